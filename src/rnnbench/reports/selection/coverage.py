"""What became of the runs: failures are part of a result, so every table counts them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pandas as pd

from rnnbench.store.record import FINAL


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


def coverage(runs: pd.DataFrame) -> str:
    """ "3/3", or "1/4: 2 diverged, 1 oom": runs that count in the mean, of all runs, and what became of the others."""
    statuses = runs["status"].tolist()
    counts = Counter(statuses)
    counted = sum(s == "ok" and there for s, there in zip(statuses, runs["value"].notna().tolist(), strict=True))
    lost = [f"{counts[status]} {status}" for status in FINAL[1:] if counts[status]]
    if missing := counts["ok"] - counted:
        lost.append(f"{missing} without a test value")
    return f"{counted}/{len(runs)}" + (": " + ", ".join(lost) if lost else "")


def failures(runs: pd.DataFrame) -> str:
    """ "2 diverged: <the commonest reason>; 1 oom: ..." of the runs that failed; empty where none did."""
    texts = []
    pairs = list(zip(runs["status"].tolist(), runs["reason"].tolist(), strict=True))
    for status in FINAL[1:]:
        reasons = [reason for name, reason in pairs if name == status]
        if not reasons:
            continue
        known = Counter(one_line(reason) for reason in reasons if not pd.isna(reason))
        common = min(known, key=lambda reason: (-known[reason], reason), default="")
        texts.append(f"{len(reasons)} {status}" + (f": {common}" if common else ""))
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
    for key, columns in (("entry", [*task, "device_kind", "precision", "backend"]), ("task", task)):
        for column in columns:
            groups = frame.groupby(key)[column]
            agreed = groups.transform("nunique") == 1
            frame[column] = frame[column].where(frame[column].notna() | ~agreed, groups.transform("first"))
    return frame
