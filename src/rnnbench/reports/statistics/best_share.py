"""The best share of many trials by validation, and its spread. Generators are explicit: tables stay the same."""

from __future__ import annotations

import math

import numpy as np

from rnnbench.reports.statistics.means import RESAMPLES


def resampled_best_share(val: np.ndarray, test: np.ndarray, best: int, *, seed: int = 0) -> np.ndarray:
    """The mean of `test` over the `best` trials by `val` (less is better), of trials drawn anew: RESAMPLES values.

    val, test: by trial, NaN of one that failed. Whole trials are drawn, with replacement and failed ones included, and
    chosen from again: so the spread is that of the whole search. NaN where nothing drawn has values.
    """
    key = np.where(np.isfinite(val) & np.isfinite(test), val, np.inf)
    rng = np.random.default_rng([seed, len(key)])
    drawn = rng.integers(0, len(key), size=(RESAMPLES, len(key)))
    order = np.argsort(key[drawn], axis=1, kind="stable")[:, :best]
    chosen = np.take_along_axis(drawn, order, axis=1)
    values = np.where(np.isfinite(key[chosen]), test[chosen], np.nan)
    has_values = ~np.isnan(values).all(axis=1)
    means = np.full(len(values), np.nan)
    means[has_values] = np.nanmean(values[has_values], axis=1)
    return means


def percentile_interval(values: np.ndarray, alpha: float) -> tuple[float, float]:
    """The ends between which 1 - alpha of the finite values are; NaN where there is none."""
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    low, high = np.quantile(values, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)
