"""How many of n runs solved a task: the interval of a count, and exact tests of two counts.

Where some seeds solve a task and some do not, the values are of two kinds, and the interval of their mean covers far
less than it says. What such runs can tell is a count, and what is exact of counts is known. Nothing here is
approximate, however few the runs: scipy.special alone is used, for scipy.stats would triple the start of every table.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

LEVEL = 0.95
GRID = 2_001  # places at which the chance of a table is looked at, before the best one is refined
REFINED = 60  # thirds that the neighbourhood of the best place is cut to: to the last digit of a float
MOST_RUNS = 200  # of both sides, for Boschloo's test: its table has a cell for every pair of counts
ROUNDING = 1e-9  # p values that differ by less than this share are equal


def solved_interval(solved: int, runs: int, level: float = LEVEL) -> tuple[float, float]:
    """The ends of the two-sided interval of the chance to solve, `solved` of `runs`; NaN without runs.

    Clopper & Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the binomial": each end
    is the chance at which so extreme a count has probability (1 - level) / 2. It covers at least what it says.
    Raises ValueError on a count that cannot be, and on a level outside (0, 1).
    """
    _check(solved, runs)
    if not 0 < level < 1:
        raise ValueError(f"level is a probability between 0 and 1, not {level}")
    if runs == 0:
        return math.nan, math.nan
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(solved, runs - solved + 1, tail)) if solved else 0.0
    high = float(betaincinv(solved + 1, runs - solved, 1 - tail)) if solved < runs else 1.0
    return low, high


def fisher_two_sided_p(solved_a: int, runs_a: int, solved_b: int, runs_b: int) -> float:
    """Fisher's exact two-sided p that a and b solve equally often: all tables with these margins that are no likelier.

    Conditional on the number solved by both together, and therefore cautious: of 8 and 8 runs it calls at most .021 of
    equal pairs different at .05. `unpaired_p` is the one to use; this one is what readers may expect.
    """
    _check(solved_a, runs_a)
    _check(solved_b, runs_b)
    ways = _ways_with(solved_a + solved_b, runs_a, runs_b)
    seen = ways[solved_b - max(0, solved_a + solved_b - runs_a)]
    return float(sum(way for way in ways if way <= seen) / sum(ways))


def unpaired_p(solved_a: int, runs_a: int, solved_b: int, runs_b: int) -> float:
    """Two-sided p that a and b solve equally often, of runs that are not paired; 1 where a side has no runs.

    Boschloo 1970, "Raised conditional level of significance for the 2 x 2-table when testing the equality of two
    probabilities": the tables whose one-sided Fisher p is no larger than the one seen, and the largest chance that such
    a table has under any common chance to solve. Exact without the condition on the margins, and never less powerful:
    of 8 and 8 runs 8 against 4 has p .028 where Fisher's is .077, and still at most .028 of equal pairs are called
    different at .05. Two-sided: twice the smaller side. Beyond 200 runs in all it is Fisher's, which differs little.
    """
    _check(solved_a, runs_a)
    _check(solved_b, runs_b)
    if not (runs_a and runs_b):
        return 1.0
    if runs_a + runs_b > MOST_RUNS:
        return fisher_two_sided_p(solved_a, runs_a, solved_b, runs_b)
    more = _boschloo(solved_a, runs_a, solved_b, runs_b)
    fewer = _boschloo(solved_b, runs_b, solved_a, runs_a)
    return min(1.0, 2 * min(more, fewer))


def paired_p(only_a: int, only_b: int) -> float:
    """Two-sided p that a and b solve equally often, of runs paired by seed. only_a, only_b: seeds one alone solved.

    McNemar 1947 in its exact form: of the seeds that one alone solved, each side has half by chance. Seeds that both or
    neither solved say nothing; 1 without any other. It equals the sign-flip test of the differences of 0 and 1.
    """
    if min(only_a, only_b) < 0:
        raise ValueError(f"counts are not negative: {only_a}, {only_b}")
    n = only_a + only_b
    tail = sum(math.comb(n, k) for k in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / (1 << n))


def _check(solved: int, runs: int) -> None:
    if not 0 <= solved <= runs:
        raise ValueError(f"{solved} of {runs} runs cannot have solved a task")


def _ways_with(solved: int, runs_a: int, runs_b: int) -> list[int]:
    """In how many ways b has k of the solved ones, for every k that can be, in order: exact whole numbers."""
    least, most = max(0, solved - runs_a), min(solved, runs_b)
    return [math.comb(runs_b, k) * math.comb(runs_a, solved - k) for k in range(least, most + 1)]


def _boschloo(solved_a: int, runs_a: int, solved_b: int, runs_b: int) -> float:
    """One-sided: the largest chance of a table that speaks for b as much as the one seen, or more."""
    fisher = _one_sided_table(runs_a, runs_b)
    extreme = fisher <= fisher[solved_a, solved_b] * (1 + ROUNDING)
    ways = np.zeros(runs_a + runs_b + 1)  # by how many are solved together, of which alone the chance depends
    for a, b in zip(*np.nonzero(extreme), strict=True):
        ways[a + b] += float(math.comb(runs_a, int(a)) * math.comb(runs_b, int(b)))
    return min(1.0, _largest_chance(ways))


@lru_cache(maxsize=64)
def _one_sided_table(runs_a: int, runs_b: int) -> np.ndarray:
    """Fisher's one-sided p that b has solved so many or more, by the counts of a (row) and b (column)."""
    found = np.ones((runs_a + 1, runs_b + 1))
    for solved in range(runs_a + runs_b + 1):
        ways = _ways_with(solved, runs_a, runs_b)
        every, least = sum(ways), max(0, solved - runs_a)
        for k in range(len(ways)):
            found[solved - least - k, least + k] = sum(ways[k:]) / every
    return found


def _largest_chance(ways: np.ndarray) -> float:
    """The maximum over p in [0, 1] of sum_s ways[s] p^s (1 - p)^(n - s)."""
    n = len(ways) - 1
    solved = np.arange(n + 1)

    def chance(p: np.ndarray) -> np.ndarray:
        values: np.ndarray = (ways * p[:, None] ** solved * (1 - p[:, None]) ** (n - solved)).sum(axis=1)
        return values

    places = np.linspace(0, 1, GRID)
    at = int(chance(places).argmax())
    low, high = places[max(at - 1, 0)], places[min(at + 1, GRID - 1)]
    for _ in range(REFINED):
        inner = low + (high - low) * np.array([1 / 3, 2 / 3])
        left, right = chance(inner)
        low, high = (low, inner[1]) if left >= right else (inner[0], high)
    return float(chance(np.array([places[at], low, high])).max())
