"""The sweep: every job of a plan recorded, whatever single runs do. Running it again is the resume."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from rnnbench.record import FINAL, RecordError
from rnnbench.runs import attempts
from rnnbench.runs.plan import Job
from rnnbench.runs.recording import record_from_outside
from rnnbench.store import Store
from rnnbench.sweeps.display import Display
from rnnbench.sweeps.executors.base import Ended, Executor
from rnnbench.sweeps.executors.local import Pool
from rnnbench.sweeps.plan import Plan, write_manifest
from rnnbench.sweeps.source import Listed, Source

GRACE_SECONDS = 10.0  # what a worker has to checkpoint in when asked to stop
HANG_SECONDS = 30.0  # beyond its own time limit, before a worker counts as hanging


@dataclass
class Result:
    """How a sweep ended: its records by id, and the runs that have none with the reason."""

    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """0 all ok, 1 some failed or not possible, 130 interrupted."""
        if self.interrupted:
            return 130
        failed = any(r["status"] != "ok" for r in self.records.values())
        return 1 if failed or self.open else 0

    def summary(self, plan: Plan) -> list[str]:
        """What to tell at the end: counts by status, each failure with its reason, and how to go on."""
        counts = Counter(r["status"] for r in self.records.values())
        parts = [f"{counts[status]} {status}" for status in FINAL if counts[status]]
        if self.open:
            parts.append(f"{len(self.open)} not finished")
        n = len(plan.jobs)
        lines = [f"{n} run{'s' * (n != 1)}: {', '.join(parts)}"]
        titles = {job.id: job.title for job in plan.jobs}
        for run_id, record in self.records.items():
            if record["status"] != "ok":
                lines.append(f"  {record['status']:<9} {run_id}  {titles[run_id]}: {record['reason']}")
        if not self.interrupted:
            lines += [f"  open      {run_id}  {titles[run_id]}: {reason}" for run_id, reason in self.open.items()]
        if self.open:
            lines.append("the same command resumes what is not finished")
        if any(r["status"] != "ok" for r in self.records.values()):
            lines.append("--retry-failed does failed runs again")
        return lines


class Sweep:
    """Runs a plan on local workers. workers: processes at once, one thread each; retry_failed: do failed runs again."""

    def __init__(
        self,
        plan: Plan,
        results: str | Path | None,
        *,
        workers: int | None = None,
        retry_failed: bool = False,
        source: Source | None = None,
    ):
        """source: where the runs come from; without one they are the plan's that are not recorded yet."""
        self.plan, self.store, self.source = plan, Store.open(results), source
        self.workers = workers or available_cores()
        self.retry_failed = retry_failed
        self.result = Result()
        self._signals = 0
        self._deaths: Counter[str] = Counter()  # seen by this sweep: a worker may die before it has claimed its run
        self._hung: set[str] = set()  # killed from outside, beyond their time limit
        self._forgiven: Counter[str] = Counter()  # before --retry-failed

    def run(self, display: Display | None = None) -> Result:
        """Do what is not recorded yet. Ctrl-C lets the workers checkpoint; a second one ends them at once."""
        self.store.root.mkdir(parents=True, exist_ok=True)
        if self.source is None:  # a search keeps a manifest of its own, which grows with every trial
            write_manifest(self.plan, self.store.root.parent)
        source = self.source or Listed(self._todo())
        show = display or Display(len(self.plan.jobs), self.workers)
        show.recorded = len(self.result.records)
        before = {n: signal.signal(n, self._on_signal) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            with show:
                self._loop(source, show)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return self.result

    def _todo(self) -> list[Job]:
        """The jobs without a record; failed ones again where asked, their old record set aside."""
        todo = []
        for job in self.plan.jobs:
            try:
                record = self.store.read(job.id)
            except (RecordError, OSError) as error:
                self.result.open[job.id] = f"{error}; move it away to run this again"
                continue
            if record is not None and record["status"] != "ok" and self.retry_failed:
                self.store.set_aside(job.id)
                self._forgiven[job.id] = attempts.deaths(self.store.folder(job.id))
                record = None
            if record is None:
                todo.append(job)
            else:
                self.result.records[job.id] = record
        return todo

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _loop(self, source: Source, show: Display) -> None:
        pool = Pool(min(self.workers, max(source.left, 1)), self.store.root.parent)
        try:
            self._work_off(source, pool, show)
        except BaseException:
            pool.cancel("the sweep has failed")  # else the workers would be waited for
            raise
        finally:
            pool.close()
        self.result.open |= {job.id: "not started" for job in source.rest()}

    def _work_off(self, source: Source, pool: Executor, show: Display) -> None:
        asked = 0.0
        while source.left or pool.running:
            if self._signals and not asked:
                asked, self.result.interrupted = time.monotonic(), True
                show.line(f"stopping: {len(pool.running)} running, each writes its checkpoint (again: end at once)")
                pool.cancel("the sweep was interrupted")
            if asked and (self._signals > 1 or time.monotonic() - asked > GRACE_SECONDS):
                pool.kill()
            while not asked and pool.free and (job := source.take()) is not None:
                pool.submit(job)
            if asked and not pool.running:
                break
            for ended in pool.poll(0.25):
                again = self._after(ended, show)
                if again is not None and not asked:
                    source.put_back(again)
                elif (record := self.result.records.get(ended.job.id)) is not None:
                    source.tell(ended.job, record)
            pruned = source.prune(pool.running)
            for running in pool.running:
                if running.job.id in pruned:
                    pool.cancel(pruned[running.job.id], running, prune=True)
            self._kill_hanging(pool)
            show.update(pool.running)

    def _after(self, ended: Ended, show: Display) -> Job | None:
        """A worker ended: believe the store; return the job if it is to be done again."""
        job, folder = ended.job, self.store.folder(ended.job.id)
        record = self.store.read(job.id)
        if record is not None:
            self.result.records[job.id] = record
            split = getattr(self.source, "split", "test")
            show.finished(job.title, record["status"], outcome_text(record, split), ended.seconds)
            return None
        if ended.word == "busy":
            time.sleep(0.5)  # another sweep has it; look again later
            return job
        if ended.word == "interrupted":
            self.result.open[job.id] = ended.sentence
            return None
        if ended.word == "refused":
            self.result.open[job.id] = ended.sentence
            show.finished(job.title, "refused", ended.sentence, ended.seconds)
            return None
        if self.result.interrupted:  # killed by us
            self.result.open[job.id] = "interrupted before its checkpoint"
            return None
        if job.id in self._hung:
            attempts.note_death(folder, ended.sentence)
            limit = job.config["harness"]["timeout"]
            self._give_up(ended, show, "timeout", f"the time limit of {limit:g} s is over and no update ended since")
            return None
        self._deaths[job.id] += 1
        noted = attempts.note_death(folder, ended.sentence) - self._forgiven[job.id]
        deaths = max(noted, self._deaths[job.id])
        if deaths < attempts.DEATHS:
            show.line(f"{job.title}: {ended.sentence}; it is resumed ({deaths} of {attempts.DEATHS} deaths)", "yellow")
            return job
        self._give_up(ended, show, "killed", f"died {deaths} times; at last {ended.sentence}")
        return None

    def _give_up(self, ended: Ended, show: Display, status: str, reason: str) -> None:
        """Record a run that never wrote a record of its own."""
        record = record_from_outside(ended.job, self.store, status, reason)
        self.result.records[ended.job.id] = record
        show.finished(ended.job.title, status, reason, ended.seconds)

    def _kill_hanging(self, pool: Executor) -> None:
        """A run looks at its own time limit at every update; one that does not get there is killed from outside."""
        for running in pool.running:
            limit = running.job.config["harness"]["timeout"]
            if limit is not None and running.seconds > limit + HANG_SECONDS:
                self._hung.add(running.job.id)
                pool.kill(running)


def available_cores() -> int:
    """The cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def outcome_text(record: Mapping[str, Any], split: str = "test") -> str:
    """A record's main figure, or why there is none."""
    if record["status"] != "ok":
        return str(record["reason"])
    metric = f"{split}/{record['metric']}"
    return f"{metric} {record['metrics'][metric]:.4g}"
