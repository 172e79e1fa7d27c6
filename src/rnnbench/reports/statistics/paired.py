"""Differences paired by seed: how large, how sure, how likely by chance. Generators are explicit, order never matters.

Two runs with one seed saw the same data in the same order and, where a variant starts at zero, began bit-identical. So
their difference is free of most of the noise between seeds, and all tests here are on differences.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rnnbench.reports.statistics.means import mean_ci

EXACT_UP_TO = 16  # pairs: all 2^n sign patterns are counted up to here, beyond they are drawn
DRAWS = 100_000


@dataclass(frozen=True)
class Paired:
    """Paired differences in short: how many, their mean with its 95% interval, and the two-sided sign-flip p.

    mean, low, high are in the unit of the differences; low and high are NaN below 3 pairs, mean and p of no pairs.
    """

    n: int
    mean: float
    low: float
    high: float
    p: float


def paired(differences: Iterable[float], *, seed: int = 0) -> Paired:
    """Mean, interval (t below 10 pairs, expanded percentiles from 10 on) and permutation p of paired differences.

    Raises ValueError on a difference that is not finite: leaving a pair out is the caller's to decide and to show.
    """
    values = sorted(float(value) for value in differences)
    mean, low, high = mean_ci(values, seed=seed)
    return Paired(len(values), mean, low, high, sign_flip_p(values, seed=seed))


def sign_flip_p(differences: Iterable[float], *, seed: int = 0) -> float:
    """Two-sided p of the sign-flip permutation test of mean difference 0; NaN without differences.

    The share of sign patterns whose |sum| is at least the one seen. Up to 16 pairs every pattern is counted (the
    smallest p is 2^(1-n): see `smallest_p`); beyond, 100,000 are drawn with a generator seeded by `seed`, and the seen
    pattern counts as one more. Of differences that are 0 or +-1 it is McNemar's exact test.
    """
    d = np.sort(np.asarray(list(differences), dtype=np.float64))
    if not np.isfinite(d).all():
        raise ValueError("sign_flip_p takes finite differences only")
    if d.size == 0:
        return math.nan
    least = abs(float(d.sum())) - 1e-12 * float(np.abs(d).sum())  # equal sums may differ by rounding
    if d.size <= EXACT_UP_TO:
        sums = d[:1]  # the first sign is fixed: a pattern and its mirror have the same |sum|
        for value in d[1:]:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= least))
    return float((1 + np.count_nonzero(np.abs(_signs(d.size, seed) @ d) >= least)) / (1 + DRAWS))


@lru_cache(maxsize=1)
def _signs(n: int, seed: int) -> np.ndarray:
    """The drawn sign patterns, +1 and -1, one a row; a report asks for the same ones again and again."""
    return np.random.default_rng(seed).choice(np.array([-1.0, 1.0]), size=(DRAWS, n))


def smallest_p(n: int) -> float:
    """The smallest p that the test can give with n pairs: 2^(1-n); 1 without pairs."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p, in the order given. Missing ones (NaN) stay so and are no part of the family."""
    known = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    adjusted = [math.nan] * len(p_values)
    running = 0.0
    for rank, i in enumerate(sorted(known, key=lambda i: p_values[i])):
        running = max(running, min(1.0, (len(known) - rank) * p_values[i]))
        adjusted[i] = running
    return adjusted
