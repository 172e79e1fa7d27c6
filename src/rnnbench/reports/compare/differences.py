"""Whether two sets of runs differ: gain, interval and p of one row of a comparison, and what may be said of it.

A result is tested by sign flips of at least 8 pairs, as everywhere here (see `statistics/paired.py`), and only they
give `better` and `worse`. A gate must notice a loss with five seeds too, so below that Student's t is asked, and says
`perhaps`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL
from rnnbench.reports.statistics.paired import DRAWS, holm, paired, smallest_p
from rnnbench.reports.statistics.two_samples import alike, t_p, welch
from rnnbench.reports.tables.frames import Row
from rnnbench.reports.tables.numbers import known

ALPHA = 0.05
FLIPS_FROM = 8  # pairs
ALIKE_FROM = 5  # pairs that all differ by the same: fewer happen by chance where a metric has few values


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
            "high": found.high, "equal": not d.any(), "alike": len(d) >= ALIKE_FROM and alike(d),
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
