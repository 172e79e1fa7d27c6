"""What became of the runs: failures are part of a result, so every table counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.store.record import FINAL

Runs = pd.DataFrame | Mapping[str, Any]  # columns of runs by name, as a frame or as arrays


def status_counts(frame: pd.DataFrame) -> pd.DataFrame:
    """How many runs ended how: one row a dataset, budget and label (sorted), one column a status, then `total`.

    frame: of `records_frame`. Every status of `store.record.FINAL` has its column, also where it is 0 everywhere.
    """
    keys = ["dataset", "budget", "label"]
    counts = frame.groupby([*keys, "status"], dropna=False).size().unstack("status", fill_value=0)
    counts = counts.reindex(columns=list(FINAL), fill_value=0).astype("int64")
    counts["total"] = counts.sum(axis=1)
    counts.columns.name = None
    return counts.reset_index()


def coverage(runs: Runs) -> str:
    """ "3/3", or "1/4: 2 diverged, 1 oom": runs that count in the mean, of all runs, and what became of the others."""
    statuses = list(runs["status"])
    counts = Counter(statuses)
    there = (~np.isnan(np.asarray(runs["value"], dtype=np.float64))).tolist()
    counted = sum(status == "ok" and known for status, known in zip(statuses, there, strict=True))
    lost = [f"{counts[status]} {status}" for status in FINAL[1:] if counts[status]]
    if missing := counts["ok"] - counted:
        lost.append(f"{missing} without a test value")
    return f"{counted}/{len(statuses)}" + (": " + ", ".join(lost) if lost else "")


def failures(runs: Runs) -> str:
    """ "2 diverged: <the commonest reason>; 1 oom: ..." of the runs that failed; empty where none did."""
    reasons: dict[str, list[Any]] = {}
    for status, reason in zip(runs["status"], runs["reason"], strict=True):
        if status != "ok":
            reasons.setdefault(status, []).append(reason)
    texts = []
    for status in FINAL[1:]:
        if status not in reasons:
            continue
        known = Counter(one_line(reason) for reason in reasons[status] if not pd.isna(reason))
        common = min(known, key=lambda reason: (-known[reason], reason), default="")
        texts.append(f"{len(reasons[status])} {status}" + (f": {common}" if common else ""))
    return "; ".join(texts)


def one_line(text: Any, longest: int = 160) -> str:
    """text on one line, cut to `longest` characters."""
    line = " ".join(str(text).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def fill_unknown(frame: pd.DataFrame) -> pd.DataFrame:
    """frame with what early failures could not know (data hash, metric, device) taken from their siblings.

    A run that died before it read its data belongs in the row of its entry, not in a row of its own. Taken from the
    same entry, then from the same task, and only where all of those that know agree.
    """
    frame = frame.copy()
    task = ["dataset_version", "protocol", "data_hash", "metric", "goal", "floor", "floor_name", "target"]
    for key, columns in (("entry", [*task, "device_kind", "precision", "backend", "threads"]), ("task", task)):
        for column in columns:
            unknown = frame[column].isna()
            if unknown.any() and not unknown.all():
                said = _agreed(frame, key, column, frame.loc[unknown, key])
                frame[column] = frame[column].where(~unknown, frame[key].map(said))
    return frame


def _agreed(frame: pd.DataFrame, key: str, column: str, asked: pd.Series[Any]) -> pd.Series[Any]:
    """By key, of those that are asked: the one value of a column in all rows of the key that have a value."""
    pairs = frame.loc[frame[key].isin(asked.unique()), [key, column]].dropna().drop_duplicates()
    return pairs.drop_duplicates(key, keep=False).set_index(key)[column]
