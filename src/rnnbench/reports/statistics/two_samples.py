"""Whether two samples differ: Student's and Welch's tests of their means, Fisher's of how many were lost.

Where there is no spread at all, t is without bound and no evidence; the p values say what the order or the signs alone
would. So they are never smaller than a permutation test of as many values could give.
"""

from __future__ import annotations

import math

import numpy as np

from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL
from rnnbench.reports.statistics.paired import smallest_p

LEVEL = 0.95
ROUNDING = 1e-9  # a spread below this share of the mean is the rounding of equal numbers


def alike(differences: np.ndarray) -> bool:
    """Whether all differ by the same, and not by 0: there is no spread to set the mean against."""
    mean = abs(float(differences.mean()))
    return mean > 0 and float(differences.std(ddof=1)) <= ROUNDING * mean


def t_p(differences: np.ndarray) -> float:
    """Two-sided p of Student's paired test; 1 where nothing differs.

    Where all differ by the same, t is without bound, and only the signs are evidence: the smallest sign-flip p.
    """
    from scipy.special import stdtr

    if not differences.any():
        return 1.0
    n = differences.size
    if alike(differences):
        return smallest_p(n)
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    return float(2 * stdtr(n - 1, -abs(mean) / spread * math.sqrt(n)))


def welch(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float, float]:
    """The difference of means b - a, the ends of its 95% interval, and Welch's two-sided p.

    Below 3 values on a side there are no interval and no p. Where neither side has a spread, p is the smallest that a
    permutation of so many values gives: only their order is evidence.
    """
    from scipy.special import stdtr, stdtrit

    if not (a.size and b.size):
        return math.nan, math.nan, math.nan, math.nan
    gain = float(b.mean() - a.mean())
    if min(a.size, b.size) < FEWEST_FOR_INTERVAL:
        return gain, math.nan, math.nan, math.nan
    parts = np.array([a.var(ddof=1) / a.size, b.var(ddof=1) / b.size])
    error = math.sqrt(parts.sum())
    if error <= ROUNDING * abs(gain) or error == 0:
        return gain, gain, gain, 1.0 if gain == 0 else 2 / math.comb(a.size + b.size, a.size)
    freedom = parts.sum() ** 2 / (parts[0] ** 2 / (a.size - 1) + parts[1] ** 2 / (b.size - 1))
    half = float(stdtrit(freedom, 0.5 + LEVEL / 2)) * error
    return gain, gain - half, gain + half, float(2 * stdtr(freedom, -abs(gain) / error))


def fisher_p(lost_a: int, runs_a: int, lost_b: int, runs_b: int) -> float:
    """Fisher's exact one-sided p that so many of b's runs fail, or more, when a and b fail equally often."""
    lost, every = lost_a + lost_b, runs_a + runs_b
    ways = [math.comb(runs_b, k) * math.comb(runs_a, lost - k) for k in range(lost_b, min(lost, runs_b) + 1)]
    return sum(ways) / math.comb(every, lost)
