"""Statistics of many tasks at once, on plain arrays: IQM, probability of improvement, ranks, cliques. No pandas here.

All resampling is stratified by task and vectorised, with generators of their own: equal runs give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from rnnbench.reports.statistics.paired import holm, smallest_p

RESAMPLES = 2_000
FEWEST_SEEDS = 5  # of each task for an interval: of 3 a bootstrap covers .52 to .89 where .95 is said
LEVEL = 0.95
ALPHA = 1 - LEVEL
Interval = tuple[float, float, float]  # the estimate, and the ends of its interval (NaN where there is none)


def _middle(weights: np.ndarray) -> np.ndarray:
    """The share of each value (last axis, sorted by value) in the interquartile mean, that of the middle half.

    Where the quarters of the weight cut through a value, the part inside counts. So of equal weights it is scipy's
    trim_mean(0.25), which rliable takes (Agarwal et al. 2021), wherever a quarter of the values is a whole number.
    """
    ends = np.cumsum(weights, axis=-1)
    total = ends[..., -1:]
    inside = np.minimum(ends, 0.75 * total) - np.maximum(ends - weights, 0.25 * total)
    shares: np.ndarray = np.clip(inside, 0.0, None) / (0.5 * total)
    return shares


def iqm_interval(scores: Sequence[np.ndarray], *, seed: int = 0) -> Interval:
    """The IQM over all runs of one entry, and its stratified bootstrap interval. scores: of each task's runs.

    Every task weighs the same, however many runs it has. The runs of each task are drawn anew, with replacement
    (2,000 times, percentiles), which is the spread by seed on these tasks and not that of other tasks. Drawing from n
    runs shows too little of their spread, so they are first moved away from their task's mean by sqrt(n / (n - 1)), and
    the interval is widened as Student's t with n - 1 degrees of freedom (of the task with fewest runs) is over the
    normal distribution. Simulated for 5 to 10 runs on 1 to 10 tasks it covers .95 to .99 (the plain bootstrap: .85 to
    .96) where tasks are equally noisy, and .84 to .98 (.70 to .95) where one has 20 times the noise of another. It ends
    at 1, the target, where no run came beyond it. A task with fewer than 5 runs leaves no interval.
    """
    sizes = tuple(len(part) for part in scores)
    if not sizes or min(sizes) == 0:
        return math.nan, math.nan, math.nan
    x = np.concatenate(scores).astype(np.float64)
    order = np.argsort(x, kind="stable")
    equal = np.repeat(1.0 / np.array(sizes), sizes)
    estimate = math.fsum(_middle(equal[order]) * x[order])
    if min(sizes) < FEWEST_SEEDS or not np.isfinite(x).all():
        return estimate, math.nan, math.nan
    spread = np.concatenate([_spread(np.sort(part)) for part in scores])
    order = np.argsort(spread, kind="stable")
    drawn = _middle(_weights(sizes, seed)[:, order]) @ spread[order]
    wider, middle = _t_over_normal(min(sizes) - 1), float(drawn.mean())
    low, high = (estimate + wider * (end - middle) for end in _ends(drawn))
    return estimate, low, min(high, max(1.0, float(x.max())))


def _spread(part: np.ndarray) -> np.ndarray:
    """One task's runs with the spread that resampling them loses: a draw's variance is (n - 1) / n of an estimate's."""
    mean = math.fsum(part) / len(part)
    moved: np.ndarray = mean + math.sqrt(len(part) / (len(part) - 1)) * (part.astype(np.float64) - mean)
    return moved


@lru_cache(maxsize=64)
def _t_over_normal(freedom: int) -> float:
    from scipy.special import ndtri, stdtrit  # scipy.stats would triple the start of every table

    return float(stdtrit(freedom, 1 - ALPHA / 2) / ndtri(1 - ALPHA / 2))


def _ends(drawn: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


@lru_cache(maxsize=64)
def _weights(sizes: tuple[int, ...], seed: int) -> np.ndarray:
    """How much each run weighs in each resample: the times it was drawn over its task's runs; (RESAMPLES, runs)."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.multinomial(n, [1 / n] * n, size=RESAMPLES) / n for n in sizes], axis=1)


def improvement(ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray], *, seed: int = 0) -> Interval:
    """The probability that a run of ours is better than a run of theirs on a task drawn at random, and its interval.

    ours, theirs: the merits of each task's runs (more is better), the same tasks in the same order. A task's share is
    the Mann-Whitney statistic: pairs won, ties half (Agarwal et al. 2021). Runs of both are drawn anew within tasks.
    No tasks give NaN; a task with fewer than 5 runs of either leaves no interval.
    """
    if not ours:
        return math.nan, math.nan, math.nan
    won = [_won(x, y) for x, y in zip(ours, theirs, strict=True)]
    estimate = float(np.mean([part.mean() for part in won]))
    sizes = [tuple(len(part) for part in side) for side in (ours, theirs)]
    if min(map(min, sizes)) < FEWEST_SEEDS:
        return estimate, math.nan, math.nan
    left, right = _weights(sizes[0], seed), _weights(sizes[1], seed + 1)
    drawn, i, j = np.zeros(RESAMPLES), 0, 0
    for part in won:
        n, m = part.shape
        drawn += ((left[:, i : i + n] @ part) * right[:, j : j + m]).sum(axis=1) / len(won)
        i, j = i + n, j + m
    return estimate, *_ends(drawn)


def _won(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """1 where a run of x is better than one of y, 0.5 where equal: (runs of x, runs of y)."""
    won: np.ndarray = (np.sign(x[:, None] - y[None, :]) + 1.0) / 2.0
    return won


def games(merits: list[np.ndarray]) -> np.ndarray:
    """Of one task: the share of pairs of runs that entry i won from entry j, ties half; NaN where one has no runs."""
    sizes = np.array([len(part) for part in merits])
    some = np.flatnonzero(sizes)
    result = np.full((len(sizes), len(sizes)), math.nan)
    if some.size == 0:
        return result
    x = np.concatenate([merits[n] for n in some])
    starts = np.r_[0, np.cumsum(sizes[some])[:-1]]
    for column in some:
        theirs = np.sort(merits[column])
        below, upto = (np.searchsorted(theirs, x, side) for side in ("left", "right"))
        won = np.add.reduceat(below + upto, starts) / 2.0  # whole and half games: exact, in whatever order
        result[some, column] = won / (sizes[some] * sizes[column])
    return result


def mean(values: np.ndarray) -> float:
    """The mean, correctly rounded: equal runs in another order give an equal mean, where a sum may differ by a bit."""
    return math.fsum(values) / len(values)


def mean_ranks(means: np.ndarray) -> np.ndarray:
    """Each entry's rank by task, 1 is best and ties share, averaged over tasks.

    means: (entries, tasks), more is better.
    """
    if means.size == 0:
        return np.full(means.shape[0], math.nan)
    ranks = np.zeros(len(means))
    for column in means.T:
        ordered = np.sort(column)
        below, upto = (np.searchsorted(ordered, column, side) for side in ("left", "right"))
        ranks += len(column) - upto + (upto - below + 1) / 2
    mean_of_tasks: np.ndarray = ranks / means.shape[1]
    return mean_of_tasks


def signed_rank_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test, exact for any number of differences, also with ties and zeros.

    Zeros are ranked and then count for neither side (Pratt); 1 where all are zero. Exact because the distribution of
    the rank sum over all sign patterns is built up rank by rank, where scipy approximates as soon as there are ties.
    What differs by less than a 10^12th of the largest is a tie: rounding is no rank.
    """
    largest = np.abs(differences).max(initial=0.0)
    differences = np.round(differences / largest, 12) if largest else differences
    size = np.abs(differences)
    ranks = (size[None, :] < size[:, None]).sum(axis=1) + ((size[None, :] == size[:, None]).sum(axis=1) + 1) / 2
    double = np.rint(2 * ranks[size > 0]).astype(int)  # ties have half ranks
    total, won = int(double.sum()), int(np.rint(2 * ranks[differences > 0]).sum())
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    for rank in double:
        chance[rank:] = (chance[rank:] + chance[:-rank]) / 2
        chance[:rank] /= 2
    far = np.abs(2 * np.arange(total + 1) - total) >= abs(2 * won - total)
    return min(1.0, float(chance[far].sum()))


def can_tell_apart(entries: int, tasks: int) -> bool:
    """Whether Holm over all pairs of entries could ever find a difference with so many tasks."""
    pairs = entries * (entries - 1) // 2
    return pairs > 0 and pairs * smallest_p(tasks) <= ALPHA


def cliques(means: np.ndarray) -> list[list[int]]:
    """The cliques of each entry: two that share one are not told apart by Wilcoxon's test over columns with Holm.

    means: (entries, columns), more is better; the columns are independent: one a dataset, not one a length of it. A
    clique is a run of entries by mean rank no two of which differ (Demsar 2006), numbered from the best one on. Call it
    only where `can_tell_apart`: otherwise everything would be one clique, and mean nothing.
    """
    apart = _told_apart(means)
    order = np.argsort(mean_ranks(means), kind="stable").tolist()
    found: list[list[int]] = [[] for _ in order]
    for number, places in enumerate(_runs_alike(apart[np.ix_(order, order)])):
        for place in places:
            found[order[place]].append(number)
    return found


def _told_apart(means: np.ndarray) -> np.ndarray:
    """Which two entries differ by Wilcoxon's test with Holm over all pairs: (entries, entries), symmetric."""
    n = len(means)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    p = holm([signed_rank_p(means[i] - means[j]) for i, j in pairs])
    apart = np.zeros((n, n), dtype=bool)
    for (i, j), value in zip(pairs, p, strict=True):
        apart[i, j] = apart[j, i] = value <= ALPHA
    return apart


def _runs_alike(apart: np.ndarray) -> list[range]:
    """The longest runs of neighbouring places no two of which are apart, in order, none inside another."""
    runs: list[range] = []
    for start in range(len(apart)):
        stop = start + 1
        while stop < len(apart) and not apart[start:stop, stop].any():
            stop += 1
        if not runs or stop > runs[-1].stop:
            runs.append(range(start, stop))
    return runs
