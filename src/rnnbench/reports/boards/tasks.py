"""The task table: every entry of a league on each of its tasks, in the task's own metric, floor and target below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.boards.leagues import League
from rnnbench.reports.statistics.counts import solved_interval
from rnnbench.reports.statistics.means import FEWEST_FOR_INTERVAL, can_part, mean_ci
from rnnbench.reports.tables.frames import Row, typed_frame
from rnnbench.reports.tables.numbers import known, plus_minus, short, with_arrow
from rnnbench.reports.tables.standing import best_in_bold, marked, standings
from rnnbench.reports.tables.table import Section, Table
from rnnbench.store.rows import BLOCK

COLUMNS: dict[str, str] = {
    "dataset": "str", "dataset_version": "str", "protocol": "str", "data_hash": "str", "budget": "str",
    "updates": "Int64", "batch_size": "Int64", "metric": "str", "goal": "str", "device": "str", "precision": "str",
    "label": "str", "mean": "float64", "low": "float64", "high": "float64", "n": "Int64", "runs": "Int64",
    "imputed": "Int64", "mark": "str", "standing": "str", "score": "float64", "floor": "float64",
    "floor_name": "str", "target": "float64",
}  # fmt: skip
# Of tables with a task that can be solved, after those.
SOLVED: dict[str, str] = {"solved": "Int64", "solved_low": "float64", "solved_high": "float64"}
LEGEND = (
    "Mean over the seeds that ended well ± half of its 95% interval, on test. Bold: that interval is apart from all "
    "others of the column. ≈: it overlaps the best one's. *: runs failed, counted as with a result / of all. "
    "n<3: too few seeds for an interval. Floor and target: what scores 0 and 1."
)
SOLVED_LEGEND = " · k/n: of n runs k solved the task (a run that failed did not); the CSV has the exact 95% interval."


def task_table(leagues: Sequence[League]) -> Table:
    """One section a league, one row an entry, one column a task; the frame has a row for each of its cells."""
    cells = [_cells(league) for league in leagues]
    flat = [row for some in cells for row in some.values()]
    sections = [_section(league, some) for league, some in zip(leagues, cells, strict=True)]
    can_be_solved = any(row["solved"] is not None for row in flat)
    frame = typed_frame(flat, COLUMNS | (SOLVED if can_be_solved else {}))
    return Table("tasks", frame, sections, LEGEND + SOLVED_LEGEND * can_be_solved, frozenset({"entry"}))


def _cells(league: League) -> dict[tuple[int, int], Row]:
    """What is known of each entry on each task, by (entry, task)."""
    values, imputed, scores, reached = (league.values(name) for name in ("value", "imputed", "score", "reached"))
    tasks, labels = [task for _, task in league.tasks.iterrows()], league.entries["label"].tolist()
    found: dict[tuple[int, int], Row] = {}
    for (e, t), runs in values.items():
        lost = imputed[e, t].astype(bool)
        mean, low, high = mean_ci(runs[~lost])
        solved = _solved(reached[e, t])
        few = 0 < (~lost).sum() < FEWEST_FOR_INTERVAL
        task = tasks[t]
        found[e, t] = {name: task[name] for name in (*BLOCK, "floor", "floor_name", "target")} | {
            "device": league.terms["device_kind"], "precision": league.terms["precision"],
            "label": labels[e], "mean": mean, "low": low, "high": high, "n": int((~lost).sum()),
            "runs": len(runs), "imputed": int(lost.sum()), "mark": f"n<{FEWEST_FOR_INTERVAL}" if few else "",
            "standing": "", "score": float(scores[e, t][~lost].mean()) if (~lost).any() else math.nan,
        } | solved  # fmt: skip
    of_task: dict[int, list[Row]] = {}
    for (_, t), row in found.items():
        of_task.setdefault(t, []).append(row)
    for rows in of_task.values():
        _stand(rows)
    return found


def _solved(reached: np.ndarray) -> Row:
    """How many of an entry's runs solved the task, with the interval of that share; nothing where it has no notion."""
    if np.isnan(reached).all():
        return dict.fromkeys(SOLVED)
    solved = int(np.nansum(reached))
    low, high = solved_interval(solved, len(reached))
    return {"solved": solved, "solved_low": low, "solved_high": high}


def _stand(rows: Sequence[Row]) -> None:
    """Say of one task's rows which one is best, or which ones are tied with the best."""
    ranked = [row for row in rows if known(row["mean"])]
    ranked.sort(key=lambda row: (_key(row), row["label"]))
    low, high = ([row[end] for row in ranked] for end in ("low", "high"))
    sure = [can_part(row["low"], row["high"], row["n"]) for row in ranked]
    for row, standing in zip(ranked, standings(low, high, sure), strict=True):
        row["standing"] = standing


def _key(row: Row) -> float:
    return float(-row["mean"] if row["goal"] == "max" else row["mean"])


def _section(league: League, cells: dict[tuple[int, int], Row]) -> Section:
    """A row an entry, then the floor and the target of each task."""
    headings = [_heading(task) for _, task in league.tasks.iterrows()]
    order = _order(league, cells)
    rows = []
    for e in order:
        found = [cells.get((e, t)) for t in range(len(headings))]
        texts = ["" if row is None else _text(row) for row in found]
        rows.append({"entry": str(league.entries["label"][e]), **dict(zip(headings, texts, strict=True))})
    for name in ("floor", "target"):
        ends = [short(value) for value in league.tasks[name]]
        rows.append({"entry": f"({name})", **dict(zip(headings, ends, strict=True))})
    bold: frozenset[tuple[int, str]] = frozenset()
    for t, heading in enumerate(headings):
        bold |= best_in_bold([_standing(cells.get((e, t))) for e in order], (heading,))
    return Section(league.title, rows, _protocols(league), bold=bold)


def _standing(row: Row | None) -> str:
    return "" if row is None else str(row["standing"])


def _protocols(league: League) -> str:
    protocols = league.tasks["protocol"].fillna("unknown")
    return "; ".join(f"{name}: {protocol}" for name, protocol in zip(league.tasks["name"], protocols, strict=True))


def _heading(task: pd.Series[Any]) -> str:
    """ "digits accuracy ↑" """
    return " ".join(filter(None, (task["name"], with_arrow(task["metric"], task["goal"]))))


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
    text = marked(plus_minus(row["mean"], row["low"], row["high"]), row["mark"], row["standing"])
    text = f"{text} *{row['n']}/{row['runs']}" if row["imputed"] else text
    return text if row["solved"] is None else f"{text} · {row['solved']}/{row['runs']}".strip()
