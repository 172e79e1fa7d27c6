"""Which runs a table shows: of several entries with one set of axes, the one that validation prefers. One rule for all.

Vectorised, because a store of a hundred thousand runs is grouped for every table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.selection.coverage import fill_unknown
from rnnbench.store.rows import BLOCK

# Runs meet in one row only where these are equal as well.
ROW = ("device_kind", "precision", "backend", "threads", "axes")


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """A runs frame made ready for any table: by id, what early failures could not know filled in, and `choose` done."""
    return choose(fill_unknown(frame.sort_values("id")))


def choose(runs: pd.DataFrame) -> pd.DataFrame:
    """runs (a runs frame, `fill_unknown` done) with three columns more; the index starts at 0.

    - row: the number of its row; a row is one block (`BLOCK`), device kind, precision, backend, number of threads and
      network (`axes`)
    - shown: whether the row shows it. Shown is the entry with the best mean value on validation, where a failed run
      counts as the floor or as the row's worst value, whichever is worse: a setting that is best where it survives is
      not the best setting. Of equal ones it is the one with more ok runs, then the one whose id comes first; one
      without any is shown only if all are. Of a search only trials choose, and the winner is shown by its final runs
      where there are any: the trial was chosen for its luck as well.
    - undecided: the row has several entries and no validation value to choose by

    Test values choose nothing.
    """
    runs = runs.reset_index(drop=True)
    runs = runs.assign(row=runs.groupby([*BLOCK, *ROW], dropna=False, sort=True).ngroup())
    stage = runs["stage"] if "stage" in runs else pd.Series("", index=runs.index)
    has_trials = (stage == "trial").groupby(runs["row"]).transform("any")
    ok = runs["status"] == "ok"
    asked = runs.assign(ok=ok, key=_keys(runs, ok))[~has_trials | (stage == "trial")]
    asked = asked.assign(known=ok & asked["key"].notna())
    by_entry = asked.groupby(["row", "entry"], sort=False)
    entries = by_entry.agg(key=("key", "mean"), ok=("ok", "sum"), known=("known", "any")).reset_index()
    entries["key"] = entries["key"].where(np.isfinite(entries["key"]) & entries["known"], np.inf)
    ordered = entries.sort_values(["row", "key", "ok", "entry"], ascending=[True, True, False, True])
    best = ordered.drop_duplicates("row").set_index("row")
    mine = runs["entry"] == runs["row"].map(best["entry"])
    finals = mine & has_trials & (stage == "final")
    has_finals = finals.groupby(runs["row"]).transform("any")
    several = entries.groupby("row")["entry"].size() > 1
    open_rows = best.index[np.isinf(best["key"]) & (best["ok"] > 0) & several.reindex(best.index)]
    return runs.assign(shown=mine & (finals | ~has_finals), undecided=runs["row"].isin(open_rows))


def _keys(runs: pd.DataFrame, ok: pd.Series[bool]) -> pd.Series[Any]:
    """Each run's value on validation, less is better; of a failed one the floor or its row's worst, the worse one."""
    sign = pd.Series(np.where(runs["goal"] == "max", -1.0, 1.0), index=runs.index)
    keys = (sign * runs["val"]).where(ok)
    worst = keys.groupby(runs["row"]).transform("max")
    if "floor" in runs:
        floor = sign * runs.groupby("row")["floor"].transform("first")
        worst = pd.Series(np.fmax(worst, floor), index=runs.index)
    return keys.where(ok, worst)
