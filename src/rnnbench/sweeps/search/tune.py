"""A whole search: its trials, then the winners on fresh seeds. Running it again is the resume."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.runs.plan import Job
from rnnbench.runs.space import Dimension
from rnnbench.store.manifests import Manifest, SpaceRow, TrialRow, Values, read_manifest_file
from rnnbench.store.record import FINAL, Record, RecordError
from rnnbench.store.store import Store, write_atomic
from rnnbench.sweeps import control, stale
from rnnbench.sweeps.display import Display
from rnnbench.sweeps.limits import Limits
from rnnbench.sweeps.plan import Plan, is_search
from rnnbench.sweeps.search.definition import Search
from rnnbench.sweeps.search.journal import open_journal, set_aside
from rnnbench.sweeps.search.source import SearchSource
from rnnbench.sweeps.search.studies import OneStudy, Row, check_studies
from rnnbench.sweeps.source import Listed
from rnnbench.sweeps.sweep import Result, Sweep

ANSWERS = ("ok", "diverged", "pruned")  # ends that say something of the values that were tried


ANEW = ": the search begins anew"


@dataclass
class Tune:
    """A search over a store. workers: trials at once; options: what its sweeps take (see `Sweep`).

    stale: what is done with stale records; to run them again is to search again from the first trial.
    Raises BadInput where there are such records and no choice was made.
    """

    search: Search
    results: str | Path | None
    workers: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    stale: stale.Choice = None
    interrupted: bool = False
    stopped: str | None = None  # by a limit, or because going on would not help
    open: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store.open(self.results)
        self.options = {"workers": self.workers, **self.options}
        results = self.store.results
        if is_search(results.manifest(self.search.name)) is False:
            raise BadInput(f"{self.search.name} is the name of a sweep here; give this search a --name of its own.")
        journal = results.tune / f"{self.search.name}.journal"
        self._earlier = self._earlier_rows()
        if stale.settle(self.store, [row["id"] for row in self._earlier if row["id"]], self.stale, again=ANEW):
            set_aside(journal)  # what was learned of other source is not gone on with
            self._earlier = []
        storage = open_journal(journal)
        check_studies(self.search, storage)
        # A search announces itself before it takes a trial: who took one and is not among these is gone.
        control.settle(results.root)
        elsewhere = {(seen.host, seen.pid) for seen in control.running(results.root)}
        self.studies = [OneStudy(self.search, study, storage, elsewhere) for study in self.search.studies]
        self.finals: list[TrialRow] = []
        self.plan = Plan(self.search.name, (), asked=self.search.command)
        self._written = ""
        self._began, self._started = time.monotonic(), 0

    def run(self) -> int:
        """Do what is not done yet; returns the exit code: 0, 1 where runs failed or are open, 130 interrupted."""
        self.store.root.mkdir(parents=True, exist_ok=True)
        for study in self.studies:
            study.follow(self.store.read)
        self.write_manifest()
        source = SearchSource(self.studies, self.store, self._noted, self.stale)
        if source.left:
            self._sweep(source, source.left)
        known = {run for study in self.studies for run in study.refused.values()}  # they may be refused for ever
        if self.interrupted or set(self.open) - known or any(s.closed < self.search.trials for s in self.studies):
            return self._exit_code()
        self._run_finals()
        return self._exit_code()

    def _sweep(self, source: SearchSource | Listed, total: int) -> Result:
        limits = self.options.get("limits")
        sweep = Sweep(self.plan, self.results, source=source, **{**self.options, "limits": self._left(limits)})
        result = sweep.run(Display(total, sweep.workers))
        self._started += sweep.brakes.started
        self.stopped = result.stopped or self.stopped
        self.interrupted |= result.interrupted
        self.open |= result.open
        self.write_manifest()
        return result

    def _left(self, limits: Limits | None) -> Limits | None:
        """What --limit leaves for the next stage: trials and finals share it."""
        if limits is None or (limit := limits.limit) is None:
            return limits
        runs = None if limit.runs is None else max(0, limit.runs - self._started)
        seconds = None if limit.seconds is None else max(0.0, limit.seconds - (time.monotonic() - self._began))
        return replace(limits, limit=replace(limit, runs=runs, seconds=seconds))

    def _run_finals(self) -> None:
        """The winner of every study on fresh seeds; what is recorded already is not done again."""
        jobs: list[Job] = []
        for study in self.studies:
            for row in study.winners():
                for n in range(self.search.final_seeds):
                    job = self.search.final(study.study, row.parameters, n)
                    jobs.append(job)
                    self.finals.append({
                        "id": job.id, "study": study.study.key, "number": row.number, "stage": "final",
                        "values": self._values(row.parameters),
                    })  # fmt: skip
        self.plan.jobs += jobs
        self.write_manifest()
        stale.settle(self.store, [job.id for job in jobs], self.stale)
        todo = [job for job in jobs if self._record(job.id) is None]
        if todo:
            self._sweep(Listed(todo), len(todo))

    def _noted(self, job: Job | None) -> None:
        if job is not None:
            self.plan.jobs.append(job)
        self.write_manifest()

    def _values(self, parameters: Values) -> Values:
        """What was sampled, as the overrides have it."""
        return {d.key: d.value(parameters[d.key]) for d in self.search.space if d.key in parameters}

    def _record(self, run: str) -> Record | None:
        try:
            return self.store.read(run)
        except (RecordError, OSError) as error:
            self.open[run] = f"{error}; move it away to run this again"
            return None

    def write_manifest(self) -> None:
        """results/sweeps/NAME.json: a sweep's keys, and under `search` the rules and every trial and final."""
        search = self.search
        rows = [*self._trial_rows(), *self._all_finals()]
        entries: dict[str, list[str]] = {}
        for row in rows:
            if row["id"]:
                entries.setdefault(f"{row['study']} {row['stage']}s", []).append(row["id"])
        content: Manifest = {
            "name": search.name,
            "command": search.command,
            "runs": list(dict.fromkeys(run for row in rows if (run := row["id"]))),
            "entries": entries,
            "skipped": [{"reason": reason, "cells": n} for reason, n in Counter(search.skipped).items()],
            "search": {
                "studies": [{"key": study.key, "label": study.label} for study in search.studies],
                "space": list(map(_dimension, search.space)),
                "trials_each": search.trials,
                "baseline": search.baseline,
                "sampler": search.sampler,
                "pruner": search.pruner,
                "final_seeds": search.final_seeds,
                "seed": search.seed,
                "top": search.top,
                "objectives": search.objectives,
                "trials": rows,
            },
        }
        text = json.dumps(content, indent=1)
        if text == self._written:
            return
        self._written = text
        path = self.store.results.manifest(search.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        planned = {"planned": datetime.now(UTC).isoformat(timespec="seconds")}
        write_atomic(path, json.dumps({**content, **planned}, indent=1) + "\n")

    def _trial_rows(self) -> list[TrialRow]:
        """Every trial as the manifest has it."""
        return [self._trial_row(row) for study in self.studies for row in study.rows()]

    def _trial_row(self, row: Row) -> TrialRow:
        told: TrialRow = {
            "id": row.run,
            "study": row.study,
            "number": row.number,
            "stage": "trial",
            "state": row.state,
            "values": self._values(row.parameters),
        }
        if row.reason:
            told["reason"] = row.reason
        return told

    def _earlier_rows(self) -> list[TrialRow]:
        """Trials and finals that the manifest knows of."""
        try:
            known = read_manifest_file(self.store.results.manifest(self.search.name))
            return list(known["search"]["trials"])
        except (OSError, ValueError, KeyError):
            return []

    def _all_finals(self) -> list[TrialRow]:
        """The finals of today's winners, and as `former final` those of earlier winners: they stay known."""
        wanted = {row["id"] for row in self.finals}
        earlier = [row for row in self._earlier if row["stage"] != "trial"]
        over: list[TrialRow] = [{**row, "stage": "former final"} for row in earlier if row["id"] not in wanted]
        return self.finals + (over if self.finals else earlier)

    def _statuses(self) -> dict[str, list[str]]:
        """Statuses of the records of trials and finals."""
        found: dict[str, list[str]] = {"trial": [], "final": []}
        for stage, ids in (
            ("trial", [row.run for study in self.studies for row in study.rows()]),
            ("final", [row["id"] for row in self.finals]),
        ):
            for run in ids:
                record = self._record(run) if run else {"status": "refused"}
                found[stage].append("open" if record is None else str(record["status"]))
        return found

    def summary(self) -> list[str]:
        """How many trials and finals there are, by status, and how to go on."""
        statuses = self._statuses()
        lines = [_counted(stage, words) for stage, words in statuses.items() if words]
        if said := stale.remark(self.store, self._runs()):
            lines.append(said)
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        wanted = self.search.trials * len(self.studies)
        if len(statuses["trial"]) < wanted or "open" in statuses["trial"] + statuses["final"]:
            lines.append(f"the same command goes on, to {wanted} trials")
        return [*lines, *(f"  skipped: {reason}" for reason in self.search.skipped)]

    def _runs(self) -> list[str]:
        """The runs of trials and finals, each once."""
        trials = [row.run for study in self.studies for row in study.rows() if row.run]
        finals = [row["id"] for row in self.finals if row["id"]]
        return list(dict.fromkeys([*trials, *finals]))

    @property
    def any_ok(self) -> bool:
        """Whether there is anything to report."""
        return "ok" in self._statuses()["trial"]

    def _exit_code(self) -> int:
        if self.interrupted:
            return 130
        statuses = self._statuses()
        bad = [s for s in statuses["trial"] if s not in (*ANSWERS, "refused")]
        bad += [s for s in statuses["final"] if s != "ok"]
        return 1 if bad or self.open or self.stopped or "ok" not in statuses["trial"] else 0


def _dimension(dimension: Dimension) -> SpaceRow:
    """A searched key as the manifest has it."""
    return {
        "key": dimension.key,
        "text": dimension.text,
        "kind": dimension.kind,
        "low": dimension.low,
        "high": dimension.high,
        "step": dimension.step,
        "scale": dimension.scale,
        "choices": [dimension.value(n) for n in range(len(dimension.texts))],
    }


def _counted(stage: str, statuses: Sequence[str]) -> str:
    """`20 trials: 18 ok, 2 pruned`."""
    counts = Counter(statuses)
    parts = [f"{counts[status]} {status}" for status in (*FINAL, "refused", "open") if counts[status]]
    return f"{len(statuses)} {stage}{'s' * (len(statuses) != 1)}: {', '.join(parts)}"
