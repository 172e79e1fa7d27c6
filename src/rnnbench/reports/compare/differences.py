"""Whether two sets of runs differ: gain, interval and p of one row of a comparison, and what may be said of it.

A result is tested by sign flips of at least 8 pairs, as everywhere here (see `paired.py`), and only they give `better`
and `worse`. A gate must notice a loss with five seeds too, so below that Student's t is asked, and says `perhaps`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL
from rnnbench.reports.statistics.paired import DRAWS, holm, paired, smallest_p
from rnnbench.reports.tables.numbers import known

ALPHA = 0.05
FLIPS_FROM = 8  # pairs
ALIKE_FROM = 5  # pairs that all differ by the same: fewer happen by chance where a metric has few values
ROUNDING = 1e-9  # a spread below this share of the mean is the rounding of equal numbers
Row = dict[str, Any]


def difference(a: pd.Series[Any], b: pd.Series[Any], *, sign: float) -> Row:
    """Of values by seed: the means compared, the gain with its interval, and what `add_p` needs.

    sign: 1 where more is better, -1 where less is. Paired where at least 3 seeds agree; the means `a` and `b` are then
    over these seeds, so that their difference is the gain. alike: every pair differs, and by the same.
    """
    both = pd.DataFrame({"a": a, "b": b}).dropna()
    d = sign * (both["b"] - both["a"]).to_numpy(dtype=np.float64) + 0.0  # no -0
    if len(d) >= FEWEST_FOR_INTERVAL:
        found = paired(d)
        return {
            "a": both["a"].mean(), "b": both["b"].mean(), "pairs": found.n, "gain": found.mean, "low": found.low,
            "high": found.high, "equal": not d.any(), "alike": len(d) >= ALIKE_FROM and _alike(d),
            "tests": {"flips": found.p, "t": t_p(d)},
        }  # fmt: skip
    gain, low, high, p = welch(sign * a.dropna().to_numpy(), sign * b.dropna().to_numpy())
    equal = bool(len(d)) and len(d) == len(a) == len(b) and not d.any()
    return {
        "a": a.mean(), "b": b.mean(), "pairs": len(d), "gain": gain, "low": low, "high": high, "equal": equal,
        "alike": False, "tests": {"welch": p} if known(p) else {},
    }  # fmt: skip


def add_p(rows: Sequence[Row]) -> None:
    """Add test, p and p_holm (over the rows in which anything differs) to rows of `difference`.

    Sign flips from 8 pairs on, and where their smallest p could pass Holm over so many rows: else the test is blind,
    and Student's t is taken.
    """
    family = sum(bool(row["tests"]) and not row["equal"] for row in rows)
    for row in rows:
        tests, n = row["tests"], row["pairs"]
        seeing = n >= FLIPS_FROM and max(smallest_p(n), 1 / (1 + DRAWS)) * family <= ALPHA
        row["test"] = ("flips" if seeing else "t") if "flips" in tests else next(iter(tests), "")
        row["p"] = math.nan if row["equal"] else tests.get(row["test"], math.nan)
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p


def said_of(row: Row) -> str:
    """same, too few, better, worse, perhaps better, perhaps worse or noise, of a row of `add_p`."""
    if row["equal"]:
        return "same"
    if not known(row["p_holm"]):
        return "too few"
    word = "better" if row["gain"] > 0 else "worse"
    if row["p_holm"] <= ALPHA:
        return word if row["test"] == "flips" else f"perhaps {word}"
    return f"perhaps {word}" if row["alike"] else "noise"


def _alike(differences: np.ndarray) -> bool:
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
    if _alike(differences):
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
    half = float(stdtrit(freedom, 1 - ALPHA / 2)) * error
    return gain, gain - half, gain + half, float(2 * stdtr(freedom, -abs(gain) / error))


def fails_more(lost_a: int, runs_a: int, lost_b: int, runs_b: int) -> float:
    """Fisher's exact one-sided p that so many of b's runs fail, or more, when a and b fail equally often."""
    lost, every = lost_a + lost_b, runs_a + runs_b
    ways = [math.comb(runs_b, k) * math.comb(runs_a, lost - k) for k in range(lost_b, min(lost, runs_b) + 1)]
    return sum(ways) / math.comb(every, lost)
