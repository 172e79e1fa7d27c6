"""Learning curves for a page: few enough to open at once, all seeds of an entry on the same steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rnnbench.reports.page.board import plain
from rnnbench.reports.page.source import Data, Source
from rnnbench.store.curves import FILE, Curves
from rnnbench.store.rows import number
from rnnbench.store.store import Line

RUNS = 400  # in all, best entries of every block first
SEEDS = 10  # of one entry
POINTS = 60  # of one curve, evenly over its steps, the last one included
FIXED = ("val/loss", "train/loss", "train/grad_norm_max")

RowsByStep = Mapping[float, Line]  # of a run's history


def learning_curves(source: Source, board: Data) -> Data:
    """entries: by place, {steps, runs, seeds, metrics: {name: [values by step, a run]}}; left_out: entries without.

    why: where no entry has any, one sentence of why; else empty.
    """
    wanted = _wanted(board)
    runs = {place: board["runs"][place]["id"][:SEEDS] for place in wanted}
    histories = source.curves([run for some in runs.values() for run in some])
    found = {}
    for place, ids in runs.items():
        block = board["blocks"][board["entries"][place]["block"]]
        names = tuple(dict.fromkeys((f"val/{block['metric']}", *FIXED)))
        curves = _thinned(histories, ids, names)
        if curves:
            listed = board["runs"][place]
            seeds = dict(zip(listed["id"], listed["seed"], strict=True))
            found[place] = curves | {"seeds": [seeds[run] for run in curves["runs"]]}
    return {"entries": found, "left_out": len(board["entries"]) - len(wanted), "why": "" if found else _why(source)}


def _why(source: Source) -> str:
    """Why a page has no curves: a reader must not take it for an oversight."""
    if source.frozen:
        return (
            f"This published set was frozen without learning curves (it has no {FILE}); its metrics are in its entries."
        )
    return "No run here has left a history (history.jsonl beside its record) from which curves could be drawn."


def _wanted(board: Data) -> list[int]:
    """The entries that have room, in the order of their ranks, block beside block."""
    entries, taken, kept = board["entries"], 0, []
    for place in sorted(range(len(entries)), key=lambda n: (entries[n]["rank"] or 10**9, n)):
        size = min(SEEDS, len(board["runs"][place]["id"]))
        if size and taken + size <= RUNS:
            taken += size
            kept.append(place)
    return sorted(kept)


def _thinned(histories: Curves, runs: Sequence[str], names: Sequence[str]) -> Data:
    """The named columns of some runs on at most POINTS of the steps that any of them has; empty without any."""
    by_run = {run: {number(row.get("step")): row for row in histories[run]} for run in runs if run in histories}
    there = [name for name in names if _is_known(by_run.values(), name)]
    steps = _even(_steps(by_run.values(), there))
    if not steps:
        return {}
    metrics = {}
    for name in there:
        metrics[name] = [[plain(number(rows.get(step, {}).get(name)), 5) for step in steps] for rows in by_run.values()]
    return {"steps": [plain(step) for step in steps], "runs": list(by_run), "metrics": metrics}


def _is_known(runs: Iterable[RowsByStep], name: str) -> bool:
    """Whether any row of any run has a number in this column."""
    return any(not math.isnan(number(row.get(name))) for rows in runs for row in rows.values())


def _steps(runs: Iterable[RowsByStep], names: Sequence[str]) -> list[float]:
    """The steps at which any run has something in one of these columns."""
    found = set()
    for rows in runs:
        for step, row in rows.items():
            if any(row.get(name) is not None for name in names):
                found.add(step)
    return sorted(found)


def _even(steps: Sequence[float]) -> list[float]:
    """At most POINTS of some steps, evenly by their place, the first and the last one included."""
    if len(steps) <= POINTS:
        return list(steps)
    between = (len(steps) - 1) / (POINTS - 1)
    return [steps[round(n * between)] for n in range(POINTS)]
