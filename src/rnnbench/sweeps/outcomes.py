"""What the end of a worker means, and how a whole sweep ended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from rnnbench.runs import attempts
from rnnbench.runs.plan import Job
from rnnbench.runs.recording import record_from_outside
from rnnbench.store.record import FINAL, Record, RecordError
from rnnbench.store.store import Store
from rnnbench.sweeps.display import Display
from rnnbench.sweeps.executors.base import Ended
from rnnbench.sweeps.plan import Plan

LOSSES = 10  # machines that may go away under a run, before the sweep leaves it open

# recorded; to be done again; in the hands of another sweep; open (see Result.open)
# full: open, since nothing can be written or started
Verdict = Literal["recorded", "again", "elsewhere", "open", "full"]


@dataclass
class Result:
    """How a sweep ended: its records by id, the runs that have none with the reason, and what stopped it, if anything.

    interrupted: by a person or a limit, so that the same command is to go on; stopped: the reason in a sentence.
    """

    records: dict[str, Record] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    stopped: str | None = None
    titles: dict[str, str] = field(default_factory=dict)  # of runs that a search picked: the plan does not list them
    remarks: list[str] = field(default_factory=list)  # what its reader must know: which files have changed
    rerun: bool = False  # what was recorded is done again: not by the command that resumes

    @property
    def exit_code(self) -> int:
        """0 all ok, 1 some failed or not possible, 130 interrupted."""
        if self.interrupted:
            return 130
        failed = any(r["status"] != "ok" for r in self.records.values())
        return 1 if failed or self.open or self.stopped else 0

    def summary(self, plan: Plan) -> list[str]:
        """What to tell at the end: counts by status, each failure with its reason, and how to go on."""
        titles = {**{job.id: job.title for job in plan.jobs}, **self.titles}
        failed = {i: record for i, record in self.records.items() if record["status"] != "ok"}
        lines = [self._counts(plan)]
        for run_id, record in failed.items():
            lines.append(f"  {record['status']:<9} {run_id}  {titles.get(run_id, '')}: {record['reason']}")
        if not (self.interrupted or self.stopped):
            lines += [f"  open      {i}  {titles.get(i, '')}: {reason}" for i, reason in self.open.items()]
        if self.stopped:
            lines.append(f"stopped: {self.stopped}")
        lines += self.remarks
        if self.open:
            without = ", without --rerun," if self.rerun else ""
            lines.append(f"the same command{without} resumes what is not finished")
        if failed:
            lines.append("--retry-failed does failed runs again")
        return lines

    def _counts(self, plan: Plan) -> str:
        """`3 runs: 2 ok, 1 error`."""
        counts = Counter(record["status"] for record in self.records.values())
        parts = [f"{counts[status]} {status}" for status in FINAL if counts[status]]
        if self.open:
            parts.append(f"{len(self.open)} not finished")
        n = len({job.id for job in plan.jobs} | set(self.records) | set(self.open))
        return f"{n} run{'s' * (n != 1)}: {', '.join(parts) or 'nothing to do'}"


class Judge:
    """Believes the store and no exit code; counts how often a run has died, and gives it up when that is enough."""

    def __init__(self, store: Store, result: Result, show: Display, split: str = "test") -> None:
        """split: whose figure is shown; nobody watches a search by its test values."""
        self.store, self.result, self.show, self.split = store, result, show, split
        self.hung: set[str] = set()  # killed from outside, beyond their time limit
        self._doubtful: set[str] = set()  # said to be dead while they seem to be alive
        # Seen by this sweep: a worker may die before it has claimed its run.
        self._deaths: Counter[str] = Counter()
        self._ooms: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()

    def after(self, ended: Ended, stopping: bool) -> Verdict:
        """What a worker's end means. stopping: workers were asked to end, or killed."""
        job, folder = ended.job, self.store.folder(ended.job.id)
        try:
            record = self.store.read(job.id)
        except RecordError as error:
            return self._leave_open(ended, f"{error}; move it away to run this again")
        if record is not None:
            self.recorded(job, record, ended.seconds)
            return "recorded"
        if ended.word == "busy":
            return "elsewhere"
        if ended.word == "died" and attempts.alive(folder):
            self._doubtful.add(job.id)
            return "elsewhere"
        if ended.word in ("interrupted", "full", "unable"):
            self.result.open[job.id] = ended.sentence
            return "open" if ended.word == "interrupted" else "full"
        if ended.word == "refused":
            return self._leave_open(ended, ended.sentence)
        if stopping:  # killed by us
            self.result.open[job.id] = "interrupted before its checkpoint"
            attempts.note_end(folder, "interrupted", "it was ended before its checkpoint")
            return "open"
        return self._failed(ended)

    def _failed(self, ended: Ended) -> Verdict:
        """A worker that ended without a record, and nobody asked it to."""
        job, folder = ended.job, self.store.folder(ended.job.id)
        if ended.word == "lost":
            return self._lost(ended)
        if job.id in self._doubtful:
            self._doubtful.discard(job.id)
            if attempts.look(folder)[-1].status == "interrupted":
                return "again"  # it had lost its fork server, and ended in order since
        if job.id in self.hung:
            attempts.note_death(folder, ended.sentence)
            limit = job.config["harness"]["timeout"]
            return self._give_up(ended, "timeout", f"the time limit of {limit:g} s is over and no update ended since")
        return self._out_of_memory(ended) if ended.word == "oom" else self._died(ended)

    def recorded(self, job: Job, record: Record, seconds: float | None) -> None:
        """A run has its record: count and show it. seconds: None where another sweep has done it."""
        self.result.records[job.id] = record
        self.show.finished(job.title, record["status"], outcome_text(record, self.split), seconds)

    def _leave_open(self, ended: Ended, reason: str) -> Verdict:
        self.result.open[ended.job.id] = reason
        self.show.finished(ended.job.title, "refused", reason, ended.seconds)
        return "open"

    def _died(self, ended: Ended) -> Verdict:
        """Up to three deaths of its own; each time it goes on from its checkpoint."""
        job = ended.job
        self._deaths[job.id] += 1
        deaths = max(attempts.note_death(self.store.folder(job.id), ended.sentence), self._deaths[job.id])
        if deaths >= attempts.DEATHS:
            return self._give_up(ended, "killed", f"died {deaths} times; at last {ended.sentence}")
        note = f"{job.title}: {ended.sentence}; it is resumed ({deaths} of {attempts.DEATHS} deaths)"
        self.show.line(note, "yellow")
        return "again"

    def _lost(self, ended: Ended) -> Verdict:
        """Its machine is gone: no death of the run's own, so it is done elsewhere, unless that never ends."""
        job = ended.job
        self._losses[job.id] += 1
        if self._losses[job.id] >= LOSSES:
            return self._leave_open(ended, f"lost its machine {LOSSES} times; at last {ended.sentence}")
        self.show.line(f"{job.title}: {ended.sentence}; it goes on elsewhere", "yellow")
        # Of a machine that is gone nothing comes but the silence of its heartbeat, and that takes a minute to be sure.
        return "elsewhere" if attempts.alive(self.store.folder(job.id)) else "again"

    def _out_of_memory(self, ended: Ended) -> Verdict:
        """Once more: it may have had bad company. Then it is recorded."""
        job, folder = ended.job, self.store.folder(ended.job.id)
        self._ooms[job.id] += 1
        attempts.note_end(folder, "oom", ended.sentence)
        if max(attempts.out_of_memory(folder), self._ooms[job.id]) > 1:
            return self._give_up(ended, "oom", f"out of memory twice; at last {ended.sentence}")
        self.show.line(f"{job.title}: out of memory ({ended.sentence}); it is tried once more", "yellow")
        return "again"

    def _give_up(self, ended: Ended, status: str, reason: str) -> Verdict:
        """Record a run that never wrote a record of its own."""
        self.recorded(ended.job, record_from_outside(ended.job, self.store, status, reason), ended.seconds)
        return "recorded"


def outcome_text(record: Record, split: str = "test") -> str:
    """A record's main figure, or why there is none."""
    if record["status"] != "ok":
        return str(record["reason"])
    metric = f"{split}/{record['metric']}"
    value = record["metrics"].get(metric)
    return f"{metric} not finite" if value is None else f"{metric} {value:.4g}"  # JSON has no infinity (record.dumps)
