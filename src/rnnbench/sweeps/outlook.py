"""What a sweep would do: the state of each of its runs, and what is left costs. Reads the store, changes nothing."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rnnbench.errors import listed_ids
from rnnbench.runs import attempts
from rnnbench.runs.living import STALE_SECONDS
from rnnbench.runs.plan import Job
from rnnbench.store import index
from rnnbench.store.record import FINAL
from rnnbench.store.store import Store
from rnnbench.store.text import csv_cell, json_text
from rnnbench.sweeps.changed import changed_since
from rnnbench.sweeps.display import clock
from rnnbench.sweeps.estimate import Estimate, estimate
from rnnbench.sweeps.plan import Plan
from rnnbench.sweeps.stale import COLUMNS, judge

STATES = ("new", "interrupted", "running", "done", "failed", "stale", "damaged")
TODO = ("new", "interrupted")  # what the same command would do now
SHOWN = 12  # runs of each state that a text lists
ADVICE = {
    "failed": "--retry-failed does them again",
    "stale": "of other source or data; --accept-stale counts them as done, --rerun-stale does them again",
    "interrupted": "resumed from their checkpoint",
    "running": "another process has them in hand",
}


@dataclass(frozen=True)
class Standing:
    """How a run stands. reason: why it failed, is damaged or stale, or was interrupted."""

    job: Job
    state: str
    status: str | None = None
    reason: str = ""


@dataclass
class Outlook:
    """A plan against a store. estimate: of what is to be done; again: the states that are done again, as asked;
    remarks: which files have changed since runs that are recorded."""

    plan: Plan
    runs: list[Standing]
    estimate: Estimate
    workers: int
    again: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state; states without any are left out."""
        found = Counter(run.state for run in self.runs)
        return {state: found[state] for state in STATES if found[state]}

    @property
    def todo(self) -> list[Standing]:
        return _to_do(self.runs, self.again)


def look_ahead(plan: Plan, store: Store, workers: int, again: Collection[str] = ()) -> Outlook:
    """How each run of a plan stands in the store, and what the rest will take on so many workers.

    again: states that count as to be done: `failed` for --retry-failed, `stale` for --rerun-stale, `done` and both for
    --rerun.
    """
    loaded = index.load(store)
    known, problems = loaded.of([job.id for job in plan.jobs], "status", "reason", *COLUMNS)
    why = judge()
    runs = []
    for job in plan.jobs:
        if job.id in problems:
            runs.append(Standing(job, "damaged", None, problems[job.id]))
        elif job.id in known:
            found = known[job.id]
            stale = why(found)
            state = "stale" if stale else "done" if found["status"] == "ok" else "failed"
            runs.append(Standing(job, state, found["status"], "; ".join(filter(None, [found["reason"], stale]))))
        else:
            runs.append(_unrecorded(job, store))
    todo = [run.job for run in _to_do(runs, again)]
    said = changed_since([run.job for run in runs if run.state in TODO], loaded)
    return Outlook(plan, runs, estimate(todo, loaded), workers, frozenset(again), tuple(said))


def _to_do(runs: Iterable[Standing], again: Collection[str]) -> list[Standing]:
    def failed(run: Standing) -> bool:  # a stale record, too
        return "failed" in again and run.status in FINAL and run.status != "ok"

    return [run for run in runs if run.state in (*TODO, *again) or failed(run)]


def _unrecorded(job: Job, store: Store) -> Standing:
    seen = attempts.look(store.folder(job.id))
    if not seen or seen[-1].status == "refused":
        return Standing(job, "new")
    if seen[-1].status == "running":
        return Standing(job, "running", reason=_where(seen[-1]))
    return Standing(job, "interrupted", seen[-1].status, seen[-1].reason)


def _where(seen: attempts.Seen) -> str:
    """On which other machine a run is: from here nobody can tell at once whether it still is."""
    if seen.host is None:
        return ""
    doubt = (seen.silent or 0.0) > STALE_SECONDS
    return f"on {seen.host}" + f", maybe dead: no sign for {seen.silent or 0.0:.0f} s by the clock here" * doubt


def summary(outlook: Outlook) -> list[str]:
    """Counts, advice, skipped cells and the cost of what is left, a line each."""
    plan = outlook.plan
    parts = [f"{n} {state}" for state, n in outlook.counts.items()]
    cells = len(plan.skipped)
    parts += [f"{cells} skipped cell{'s' * (cells != 1)}"] * bool(cells)
    n = len(plan.jobs)
    lines = [f"{plan.name or 'sweep'}: {n} run{'s' * (n != 1)}: " + ", ".join(parts or ["nothing"])]
    for state in outlook.counts:
        if state in outlook.again:
            lines.append(f"  {state}: done again")
        elif state == "damaged":
            ids = listed_ids(run.job.id for run in outlook.runs if run.state == state)
            lines.append(f"  {state}: {outlook.counts[state]} {_cannot(outlook.counts[state])}: {ids}")
        elif state in ADVICE:
            lines.append(f"  {state}: {ADVICE[state]}")
    lines += [f"  skipped: {k} cell{'s' * (k != 1)}: {reason}" for reason, k in plan.skip_reasons().items()]
    lines += [f"  {line}" for line in plan.readings()]
    lines += [f"  note: {sentence}" for sentence in plan.notes()]
    lines += [f"  {remark}" for remark in outlook.remarks]
    return [*lines, _cost(outlook)]


def _cannot(count: int) -> str:
    return f"record{'s' * (count != 1)} cannot be read (move {'them' if count != 1 else 'it'} away to run again)"


def _cost(outlook: Outlook) -> str:
    made, todo, workers = outlook.estimate, len(outlook.todo), outlook.workers
    if not todo:
        return "to do: nothing"
    head = f"to do: {todo} run{'s' * (todo != 1)}"
    eta = made.eta(workers)
    if eta is None:
        return f"{head}, time unknown: nothing like them is recorded"
    least = "at least " * bool(made.unknown)
    hours = f"{made.core_seconds / 3600:.2g} core-hours"
    workers_text = f"{workers} worker{'s' * (workers != 1)}"
    return f"{head}, {least}{clock(eta)} on {workers_text}, {least}{hours} (estimated: {made.rests_on()})"


def text_rows(outlook: Outlook, *, everything: bool = False) -> Iterator[str]:
    """One line a run in the sweep's order, a dozen of each state unless everything is asked for."""
    shown: Counter[str] = Counter()
    for run in outlook.runs:
        shown[run.state] += 1
        if everything or shown[run.state] <= SHOWN:
            word = run.status if run.state in ("failed", "stale") and run.status != "ok" else ""
            why = ": ".join(filter(None, [word, run.reason]))
            yield f"{run.state:<11} {run.job.id}  {run.job.title}" + (f"  ({why})" if why else "")
    hidden = {state: n - SHOWN for state, n in shown.items() if n > SHOWN}
    if hidden and not everything:
        yield "... and " + ", ".join(f"{n} {state}" for state, n in hidden.items()) + " more (--all lists them)"


def as_rows(outlook: Outlook) -> list[dict[str, Any]]:
    """Every run as a flat row, for json and csv; seconds and what they rest on where it is to be done."""
    made = outlook.estimate
    return [
        {
            "id": run.job.id, "state": run.state, "status": run.status, "title": run.job.title,
            "dataset": run.job.dataset, "seed": run.job.seed, "reason": run.reason or None,
            "seconds": None if (s := made.seconds.get(run.job.id)) is None else round(s, 3),
            "estimated_from": made.basis.get(run.job.id), "command": run.job.command,
        }
        for run in outlook.runs
    ]  # fmt: skip


def as_csv(outlook: Outlook) -> str:
    """The rows as csv."""
    columns = ("id", "state", "status", "title", "dataset", "seed", "reason", "seconds", "estimated_from", "command")
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in as_rows(outlook))
    return out.getvalue()


def as_data(outlook: Outlook) -> dict[str, Any]:
    """Everything the text says, and every run, as plain values."""
    plan, made = outlook.plan, outlook.estimate
    return {
        "name": plan.name, "command": plan.command, "counts": outlook.counts,
        "skipped": [{"reason": reason, "cells": n} for reason, n in plan.skip_reasons().items()],
        "notes": plan.notes(), "readings": plan.readings(),
        "todo": len(outlook.todo), "workers": outlook.workers, "eta_seconds": made.eta(outlook.workers),
        "core_hours": made.core_seconds / 3600 if made.known else None, "unknown": made.unknown,
        "estimated_from": made.rests_on() or None, "remarks": list(outlook.remarks), "runs": as_rows(outlook),
    }  # fmt: skip


def as_json(outlook: Outlook) -> str:
    """The same as text."""
    return json_text(json.dumps(as_data(outlook), indent=1, ensure_ascii=False)) + "\n"
