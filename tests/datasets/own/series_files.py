"""Small tables for the tests of series, and what pandas and numpy alone make of them."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray


def hourly(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """date, load and temp: a day's rhythm, noise and a slow wave."""
    rng = np.random.default_rng(seed)
    hour = np.arange(rows)
    load = 10 + 3 * np.sin(2 * np.pi * hour / 24) + rng.normal(0, 0.3, rows)
    temp = 5 + np.sin(2 * np.pi * hour / 170) + rng.normal(0, 0.4, rows)
    dates = pd.date_range("2024-01-01", periods=rows, freq="h")
    return pd.DataFrame({"date": dates, "load": load.round(3), "temp": temp.round(3)})


def write(frame: pd.DataFrame, path: Path) -> str:
    """As a csv file; returns its path."""
    frame.to_csv(path, index=False)
    return str(path)


def case(name: str) -> str:
    """A file of the collected cases, or the test is skipped."""
    path = Path(os.environ.get("RNNBENCH_DATA") or "/nowhere") / "own_cases" / name
    if not path.exists():
        pytest.skip(f"RNNBENCH_DATA lacks own_cases/{name}")
    return str(path)


def split(rows: int, gap: int) -> tuple[tuple[int, int], ...]:
    """Rows of train, val and test by .7/.1/.2."""
    usable = rows - 2 * gap
    val, test = int(usable * Fraction(1, 10)), int(usable * Fraction(1, 5))
    train = usable - val - test
    return (0, train), (train + gap, train + gap + val), (rows - test, rows)


def expected(
    values: NDArray[np.float64], ranges: Any, L: int, H: int, S: int, lag: int | None = None
) -> dict[str, dict[str, float]]:
    """mse, mae, mase and smape of last, seasonal and mean on test, one origin after another."""
    low, high = ranges[0]
    train = values[low:high]
    mean, std = train.mean(0), train.std(0)
    z = (values - mean) / std
    lag = lag or S
    scale = np.abs(z[low + lag : high] - z[low : high - lag]).mean(0)
    errors: dict[str, list[NDArray[np.float64]]] = {"last": [], "seasonal": [], "mean": []}
    relative: dict[str, list[NDArray[np.float64]]] = {"last": [], "seasonal": [], "mean": []}
    for o in range(ranges[2][0], ranges[2][1] - H + 1):
        truth = z[o : o + H]
        for name, forecast in {
            "last": np.repeat(z[o - 1 : o], H, 0),
            "seasonal": np.stack([z[o - S + h % S] for h in range(H)]),
            "mean": np.zeros_like(truth),
        }.items():
            errors[name].append(forecast - truth)
            a, b = forecast * std + mean, truth * std + mean
            relative[name].append(2 * np.abs(a - b) / (np.abs(a) + np.abs(b)))
    found = {}
    for name, each in errors.items():
        e = np.stack(each)
        found[name] = {
            "mse": float(np.square(e).mean()),
            "mae": float(np.abs(e).mean()),
            "mase": float((np.abs(e).mean((0, 1)) / scale).mean()),
            "smape": float(np.stack(relative[name]).mean()),
        }
    return found
