"""The task table: every entry of a league on each of its tasks, in the task's own metric, floor and target below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from rnnbench.reports.boards.leagues import League
from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL, can_part, mean_ci
from rnnbench.reports.tables.numbers import ARROW, known, plus_minus, short
from rnnbench.reports.tables.table import Section, Table
from rnnbench.store.rows import BLOCK

COLUMNS: dict[str, str] = {
    "dataset": "str", "dataset_version": "str", "protocol": "str", "data_hash": "str", "budget": "str",
    "updates": "Int64", "batch_size": "Int64", "metric": "str", "goal": "str", "device": "str", "precision": "str",
    "label": "str", "mean": "float64", "low": "float64", "high": "float64", "n": "Int64", "runs": "Int64",
    "imputed": "Int64", "mark": "str", "standing": "str", "score": "float64", "floor": "float64",
    "floor_name": "str", "target": "float64",
}  # fmt: skip
LEGEND = (
    "Mean over the seeds that ended well ± half of its 95% interval, on test. Bold: that interval is apart from all "
    "others of the column. ≈: it overlaps the best one's. *: runs failed, counted as with a result / of all. "
    "n<3: too few seeds for an interval. Floor and target: what scores 0 and 1."
)
Row = dict[str, Any]


def task_table(leagues: Sequence[League]) -> Table:
    """One section a league, one row an entry, one column a task; the frame has a row for each of its cells."""
    cells = [_cells(league) for league in leagues]
    flat = [row for some in cells for row in some.values()]
    frame = pd.DataFrame({name: pd.Series([row[name] for row in flat], dtype=kind) for name, kind in COLUMNS.items()})
    sections = [_section(league, some) for league, some in zip(leagues, cells, strict=True)]
    return Table("tasks", frame, sections, LEGEND, frozenset({"entry"}))


def _cells(league: League) -> dict[tuple[int, int], Row]:
    """What is known of each entry on each task, by (entry, task)."""
    values, imputed, scores = (league.values(name) for name in ("value", "imputed", "score"))
    found: dict[tuple[int, int], Row] = {}
    for (e, t), runs in values.items():
        lost = imputed[e, t].astype(bool)
        mean, low, high = mean_ci(runs[~lost])
        few = 0 < (~lost).sum() < FEWEST_FOR_INTERVAL
        task = league.tasks.iloc[t]
        found[e, t] = {name: task[name] for name in (*BLOCK, "floor", "floor_name", "target")} | {
            "device": league.terms["device_kind"], "precision": league.terms["precision"],
            "label": league.entries["label"][e], "mean": mean, "low": low, "high": high, "n": int((~lost).sum()),
            "runs": len(runs), "imputed": int(lost.sum()), "mark": f"n<{FEWEST_FOR_INTERVAL}" if few else "",
            "standing": "", "score": float(scores[e, t][~lost].mean()) if (~lost).any() else math.nan,
        }  # fmt: skip
    of_task: dict[int, list[Row]] = {}
    for (_, t), row in found.items():
        of_task.setdefault(t, []).append(row)
    for rows in of_task.values():
        _stand(rows)
    return found


def _stand(rows: Sequence[Row]) -> None:
    """Say of one task's rows which one is best, or which ones are tied with the best."""
    ranked = sorted((row for row in rows if known(row["mean"])), key=lambda row: (_key(row), row["label"]))
    if len(ranked) < 2 or not known(ranked[0]["low"]):
        return
    first = ranked[0]
    tied = [row for row in ranked[1:] if row["low"] <= first["high"] and row["high"] >= first["low"]]
    for row in (first, *tied) if tied else ():
        row["standing"] = "tied"
    if not tied and all(can_part(row["low"], row["high"], row["n"]) for row in ranked):
        first["standing"] = "best"


def _key(row: Row) -> float:
    return float(-row["mean"] if row["goal"] == "max" else row["mean"])


def _section(league: League, cells: dict[tuple[int, int], Row]) -> Section:
    headings = [_heading(task) for _, task in league.tasks.iterrows()]
    rows, bold = [], set()
    for n, e in enumerate(_order(league, cells)):
        texts = {"entry": str(league.entries["label"][e])}
        for t, heading in enumerate(headings):
            row = cells.get((e, t))
            texts[heading] = "" if row is None else _text(row)
            if row is not None and row["standing"] == "best":
                bold.add((n, heading))
        rows.append(texts)
    for name in ("floor", "target"):
        ends = {heading: short(league.tasks[name][t]) for t, heading in enumerate(headings)}
        rows.append({"entry": f"({name})", **ends})
    protocols = league.tasks["protocol"].fillna("unknown")
    terms = "; ".join(f"{n}: {protocol}" for n, protocol in zip(league.tasks["name"], protocols, strict=True))
    return Section(league.title, rows, terms, bold=frozenset(bold))


def _heading(task: pd.Series[Any]) -> str:
    """ "digits accuracy ↑" """
    words = [task["name"], *("" if pd.isna(task[key]) else str(task[key]) for key in ("metric",))]
    return " ".join(filter(None, [*words, ARROW.get(str(task["goal"]), "")]))


def _order(league: League, cells: dict[tuple[int, int], Row]) -> list[int]:
    """Entries by their mean score over the tasks they were run on, those on most tasks first; then by label."""

    of_entry: dict[int, list[float]] = {}
    for (e, _), row in cells.items():
        of_entry.setdefault(e, []).append(row["score"])

    def key(e: int) -> tuple[int, float, str]:
        mine = of_entry.get(e, [])
        scores = [score for score in mine if known(score)]
        return -len(mine), -math.fsum(scores) / len(scores) if scores else math.inf, str(league.entries["label"][e])

    return sorted(range(len(league.entries)), key=key)


def _text(row: Row) -> str:
    text = plus_minus(row["mean"], row["low"], row["high"]) or "-"
    text += f" ({row['mark']})" * bool(row["mark"]) + " ≈" * (row["standing"] == "tied")
    return text + (f" *{row['n']}/{row['runs']}" if row["imputed"] else "")
