"""How long until a task is solved, where some runs never did: censored times, their median, and a test of two sets.

A run that did not solve within its budget took longer than that; to leave it out, or to count it with the budget, would
both make a network look faster the more often it fails. `times` are the updates until a run solved, or its budget where
it did not (`solved` false: censored).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

LEVEL = 0.95
MOST_COUNTED = 20_000  # assignments that are all counted: 8 and 8 runs have 12,870
DRAWS = 100_000
AT_ONCE = 10_000


@dataclass(frozen=True)
class Median:
    """The median time and the ends of its interval: NaN, infinite where too few solved to say that it ends."""

    median: float
    low: float
    high: float


def kaplan_meier(times: Sequence[float], solved: Sequence[bool]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The times at which runs solved, in order, the share unsolved after each, and Greenwood's sum up to it.

    Kaplan & Meier 1958: S(t) = product over t_i <= t of (1 - d_i / n_i), with d_i that solve at t_i among n_i that have
    not before and are still watched. Greenwood 1926: sum of d_i / (n_i (n_i - d_i)), infinite where S is 0; S^2 times
    it is the variance of S. A run censored at t is still watched at t. Raises ValueError on times that are not finite
    and above 0, or of another number than `solved`.
    """
    t, event = _checked(times, solved)
    at = np.unique(t[event])
    watched = (t[None, :] >= at[:, None]).sum(axis=1)
    events = ((t[None, :] == at[:, None]) & event[None, :]).sum(axis=1)
    left = watched - events
    share = np.cumprod(left / watched) if len(at) else np.zeros(0)
    with np.errstate(divide="ignore"):
        greenwood = np.cumsum(events / (watched * left.astype(np.float64)))
    return at, share, greenwood


def median_time(times: Sequence[float], solved: Sequence[bool], level: float = LEVEL) -> Median:
    """The Kaplan-Meier median of the time to solve: the first time after which at most half are unsolved.

    Infinite where more than half never solved; NaN without runs. Its interval holds the times at which the pointwise
    interval of S, symmetric on the scale log(-log S) (Kalbfleisch & Prentice 1980), holds one half (Brookmeyer &
    Crowley 1982), as R's `survfit(conf.type="log-log")`, SAS and lifelines have it.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is a probability between 0 and 1, not {level}")
    at, share, greenwood = kaplan_meier(times, solved)
    if not len(times):
        return Median(math.nan, math.nan, math.nan)
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    is_inside = (share > 0) & (share < 1)
    lower, upper = share.copy(), share.copy()  # of S = 0 the ends are 0: nobody is left
    log_share = np.log(share[is_inside])
    wide = z * np.sqrt(greenwood[is_inside]) / np.abs(log_share)
    lower[is_inside] = np.exp(log_share * np.exp(wide))
    upper[is_inside] = np.exp(log_share * np.exp(-wide))
    return Median(_first(at, share), _first(at, lower), _first(at, upper))


def logrank_scores(times: Sequence[float], solved: Sequence[bool]) -> np.ndarray:
    """Each run's score in the log-rank test of a pooled sample: 1 where it solved, less the Nelson-Aalen sum of d / n
    up to its time. Their sum is 0; the sum over one side is how many of it solved, less how many were to be expected.
    """
    t, event = _checked(times, solved)
    at = np.unique(t[event])
    watched = (t[None, :] >= at[:, None]).sum(axis=1)
    events = ((t[None, :] == at[:, None]) & event[None, :]).sum(axis=1)
    hazard = (at[None, :] <= t[:, None]) @ (events / watched) if len(at) else np.zeros(len(t))
    scores: np.ndarray = event - hazard
    return scores


def logrank_p(
    times_a: Sequence[float], solved_a: Sequence[bool], times_b: Sequence[float], solved_b: Sequence[bool],
    *, seed: int = 0,
) -> float:  # fmt: skip
    """Two-sided permutation p of the log-rank test that a and b take equally long; NaN where a side has no runs.

    Mantel 1966; the share of assignments of the runs to the sides whose |observed - expected| is at least the one seen.
    Up to 20,000 assignments all are counted, beyond 100,000 are drawn by a generator seeded with `seed`, and the seen
    one counts as one more. Exact where both sides are censored alike, as those of one budget are.
    """
    n, every = len(times_a), len(times_a) + len(times_b)
    scores = logrank_scores([*times_a, *times_b], [*solved_a, *solved_b])
    if not 0 < n < every:
        return math.nan
    least = abs(float(scores[:n].sum())) - 1e-9 * float(np.abs(scores).sum())  # equal sums may differ by rounding
    if math.comb(every, n) <= MOST_COUNTED:
        sides = np.array(list(combinations(range(every), n)))
        return float(np.mean(np.abs(scores[sides].sum(axis=1)) >= least))
    rng = np.random.default_rng(seed)
    order = np.tile(scores, (AT_ONCE, 1))
    hits = 0
    for _ in range(DRAWS // AT_ONCE):
        hits += int(np.count_nonzero(np.abs(rng.permuted(order, axis=1)[:, :n].sum(axis=1)) >= least))
    return (1 + hits) / (1 + DRAWS)


def _checked(times: Sequence[float], solved: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    t, event = np.asarray(times, dtype=np.float64), np.asarray(solved, dtype=bool)
    if t.shape != event.shape:
        raise ValueError(f"{len(t)} times and {len(event)} words on whether they were solved")
    if not (np.isfinite(t).all() and (t > 0).all()):
        raise ValueError("a time to solve is finite and above 0; a run that never solved has its budget")
    return t, event


def _first(at: np.ndarray, share: np.ndarray) -> float:
    """The first time at which a share is at most one half; infinite where it never is."""
    reached = np.flatnonzero(share <= 0.5 + 1e-12)
    return float(at[reached[0]]) if reached.size else math.inf
