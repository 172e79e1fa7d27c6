"""How long two entries took to solve a task: updates until validation first said so, censored where it never did."""

from __future__ import annotations

import math

import pandas as pd

from rnnbench.reports.statistics.survival import logrank_p, median_time
from rnnbench.reports.tables.frames import Row
from rnnbench.store.curves import Curves
from rnnbench.store.rows import number

COLUMNS: dict[str, str] = {
    **dict.fromkeys(("solve_a", "solve_low_a", "solve_high_a", "solve_b", "solve_low_b", "solve_high_b"), "float64"),
    **dict.fromkeys(("timed_a", "timed_b", "censored_a", "censored_b"), "Int64"),
    "p_solve": "float64",
}
WHOLE = ("ok", "diverged")  # had all of their budget, or had made an end of it: what was not solved never was
Times = tuple[list[float], list[bool]]  # updates, and whether the task was solved by then


def time_to_solve(a: pd.DataFrame, b: pd.DataFrame, curves: tuple[Curves, Curves]) -> Row:
    """Of the runs of one entry on either side: medians with their intervals, runs timed and censored, log-rank p.

    curves: of each side. Empty where the task has no notion of it, or the runs of a side left no curves.
    """
    sides = [times(side, of) for side, of in zip((a, b), curves, strict=True)]
    row: Row = {name: None if kind == "Int64" else math.nan for name, kind in COLUMNS.items()}
    if not all(updates for updates, _ in sides):
        return row
    for name, (updates, solved) in zip("ab", sides, strict=True):
        found = median_time(updates, solved)
        row |= {f"solve_{name}": found.median, f"solve_low_{name}": found.low, f"solve_high_{name}": found.high}
        row |= {f"timed_{name}": len(updates), f"censored_{name}": len(updates) - sum(solved)}
    return row | {"p_solve": logrank_p(*sides[0], *sides[1])}


def times(runs: pd.DataFrame, curves: Curves) -> Times:
    """The updates until each run solved the task on validation, those with a curve; of one that did not, all it had.

    That is the budget of a run that ended, early or diverged, without it, and of one that was stopped by something else
    (memory, time) the updates that it did: it might have solved the task yet.
    """
    updates, solved = [], []
    for run in runs.to_dict("records"):
        rows, at = curves.get(str(run["id"]), []), number(run["solved"])
        if not rows or math.isnan(at):
            continue
        sign = -1.0 if run["goal"] == "min" else 1.0
        reached = (number(row.get("step")) for row in rows
                   if sign * number(row.get(f"val/{run['metric']}")) >= sign * at)  # fmt: skip
        step = next(reached, math.nan)
        end = run["updates"] if run["status"] in WHOLE else run["updates_done"]
        if not pd.isna(end) or step > 0:
            updates.append(step if step > 0 else float(end))
            solved.append(step > 0)
    known = [n for n, time in enumerate(updates) if time > 0]
    return [updates[n] for n in known], [solved[n] for n in known]
