"""What predictions that no network made reach on test, without torch: numpy's side of `datasets.base.metrics`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

OF_CLASSES = ("accuracy", "macro_f1", "balanced_accuracy", "min_recall")
OF_NUMBERS = ("mse", "mae", "r2")


def of_classes(metric: str, found: NDArray[np.integer], wanted: NDArray[np.integer]) -> float:
    """A metric of OF_CLASSES of predicted and true classes, N each."""
    size = int(max(found.max(), wanted.max())) + 1
    true, said, both = (np.bincount(each, minlength=size) for each in (wanted, found, wanted[found == wanted]))
    if metric == "accuracy":
        return float(both.sum() / len(wanted))
    if metric == "macro_f1":
        there = true + said > 0
        return float((2 * both[there] / (true + said)[there]).mean())
    recalls = both[true > 0] / true[true > 0]
    return float(recalls.min() if metric == "min_recall" else recalls.mean())


def of_numbers(metric: str, found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """A metric of OF_NUMBERS of predicted and true numbers, N each; r2 of numbers that are all the same is NaN."""
    error = np.asarray(found, np.float64) - np.asarray(wanted, np.float64)
    if metric == "mae":
        return float(np.abs(error).mean())
    if metric == "mse":
        return float(np.square(error).mean())
    spread = np.square(wanted - np.mean(wanted, dtype=np.float64)).sum(dtype=np.float64)
    return float(1 - np.square(error).sum() / spread) if np.ptp(wanted) else float("nan")


def by_the_run(metric: str) -> str:
    """The line where floors stand, of a metric that is torchmetrics' and so has its floors with the run."""
    return f"floors on test, {metric}: each run computes them"
