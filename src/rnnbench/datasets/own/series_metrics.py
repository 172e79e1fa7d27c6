"""What a user's series is measured by: the task's own metrics, and those of torchmetrics by name. No torch.

A metric of torchmetrics is told of values on train's scale, without the anchor: each step of each window is a row of
the C targets (N = windows x H, K = C). One that knows several outputs (R2Score, PearsonCorrCoef, SpearmanCorrCoef, ...)
is the mean over the targets; all others count every value alike. Sums go over the whole split, in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rnnbench.datasets.base import named_metrics
from rnnbench.datasets.base.named_metrics import Chosen, Goal
from rnnbench.errors import BadInput

OWN: dict[str, Goal] = {"mse": "min", "mae": "min", "mase": "min", "smape": "min", "mae_raw": "min"}


def choose(
    metrics: Sequence[Any] | None, metric: str | None, *, targets: int | None = None, measurable: bool = True
) -> Chosen:
    """The metrics that the options ask for. targets: how many there are, where that is known; measurable: whether any
    has a seasonal error, which mase is measured by. Raises BadInput."""
    lacking: dict[str, str] = {}
    if targets is not None and targets > 1:
        lacking["mae_raw"] = f"is in the units of one target, and there are {targets}"
    if not measurable:
        lacking["mase"] = "is measured by train's seasonal error, which is 0 or not known in every column"
    asked = [*(metrics if isinstance(metrics, (list, tuple)) else []), metric]
    for name, why in lacking.items():
        if name in asked:
            raise BadInput(f"{'dataset.metric' if metric == name else 'dataset.metrics'}: {name} {why}; take mae.")
    own: Mapping[str, Goal] = {name: goal for name, goal in OWN.items() if name not in lacking}
    return named_metrics.choose(metrics, metric, own, of="numbers")
