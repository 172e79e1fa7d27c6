"""The sweep: every job of a plan recorded, whatever single runs do. Running it again is the resume."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from rnnbench.errors import BadInput, disk_full, unwritable
from rnnbench.runs import attempts
from rnnbench.runs.plan import Job
from rnnbench.store.config import Config, HarnessNode
from rnnbench.store.record import FINAL, Record, RecordError
from rnnbench.store.store import Store
from rnnbench.sweeps import control, devices, stale
from rnnbench.sweeps.changed import changed_in
from rnnbench.sweeps.display import Display
from rnnbench.sweeps.executors import make_executor
from rnnbench.sweeps.executors.base import Ended, Executor, NoWorker
from rnnbench.sweeps.limits import Brakes, Limits
from rnnbench.sweeps.outcomes import Judge, Result, outcome_text
from rnnbench.sweeps.plan import Plan, is_search, write_manifest
from rnnbench.sweeps.source import Listed, Refused, Source

GRACE_SECONDS = 9.0  # what a worker has to checkpoint in when asked to stop
HANG_SECONDS = 30.0  # beyond its own time limit, before a worker counts as hanging
ELSEWHERE_SECONDS = 0.5  # from one look at a run that another sweep has to the next
BY_SIGNAL = "the sweep was interrupted"


class Sweep:
    """Runs a plan. workers: runs at once, one thread each; retry_failed: do failed runs again."""

    def __init__(
        self,
        plan: Plan,
        results: str | Path | None,
        *,
        workers: int | None = None,
        retry_failed: bool = False,
        retry: Collection[str] = (),
        source: Source | None = None,
        limits: Limits | None = None,
        gpus: Sequence[int] | None = None,
        per_gpu: int | None = None,
        executor: str = "local",
        options: Mapping[str, str] | None = None,
        manifest: bool = True,
        stale: stale.Choice = None,
        rerun: bool = False,
    ):
        """source: where the runs come from; without one they are the plan's that are not recorded yet.

        retry: statuses of failed runs that are done again (retry_failed: any of them). gpus, per_gpu: which GPUs, and
        how many runs at once on each; default: one on each there is. executor: where the runs are done, options: its
        own (`executors.make_executor`). manifest: note the plan beside the store. stale: what is done
        with stale records; without a choice, `run` raises BadInput at the first. rerun: do every recorded run again.

        Raises BadInput on GPUs that are not there.
        """
        self.plan, self.store, self.source = plan, Store.open(results), source
        self.limits, self.executor, self.manifest = limits or Limits(), executor, manifest
        self.stale, self.rerun = stale, rerun
        self.options = dict(options or {})
        self.devices = devices.slots(plan.jobs, gpus, per_gpu) if executor == "local" else None
        self.workers = workers or (available_cores() if self.devices is None else len(self.devices))
        if self.devices is not None:
            self.workers = min(self.workers, len(self.devices))
        self.retry = frozenset(FINAL) - {"ok"} if retry_failed else frozenset(retry)
        self.result = Result(rerun=rerun)
        self._signals = 0
        self._starting = False  # a worker, which waits for its server to import torch: seconds, at first
        self._stopped = 0.0  # when
        self._seen: set[str] = set()  # looked up in the store
        # What a process that is no worker of ours has in hand, when to look again, and how ours ended, if it did.
        self._elsewhere: dict[str, tuple[Job, float, Ended | None]] = {}

    def run(self, display: Display | None = None) -> Result:
        """Do what is not recorded yet. Ctrl-C lets the workers checkpoint; a second one ends them at once."""
        self.store.root.mkdir(parents=True, exist_ok=True)
        results = self.store.results.root
        if self.manifest and self.source is None and is_search(self.store.results.manifest(self.plan.key)):
            raise BadInput(f"{self.plan.key} is the name of a search here; give this sweep a --name of its own.")
        source = self.source or Listed(self._todo())
        if self.manifest and self.source is None:  # a search keeps one of its own, which grows with every trial
            write_manifest(self.plan, results)
        show = display or Display(len(self.plan.jobs), self.workers)
        show.recorded, show.failed = len(self.result.records), len(self.result.open)
        self.brakes = Brakes(self.limits)
        self.judge = Judge(self.store, self.result, show, source.split)
        heeded = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
        before = {number: signal.signal(number, self._on_signal) for number in heeded}
        try:
            with control.announced(results, self.plan.key, self.plan.command) as self._seat, show:
                self._loop(source, show)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        attempts.tidy(map(self.store.folder, self.result.records))
        return self.result

    def _todo(self) -> list[Job]:
        """The jobs without a record; failed ones again where asked, their old record set aside."""
        ids = [job.id for job in self.plan.jobs]
        if self.rerun:
            stale.set_aside(self.store, ids)
        else:
            stale.settle(self.store, ids, self.stale)
        todo = []
        for job in self.plan.jobs:
            record = self._look_up(job)
            if record is not None:
                self.result.records[job.id] = record
            elif job.id not in self.result.open:
                todo.append(job)
        self.result.remarks += changed_in(todo, self.store)
        return todo

    def _look_up(self, job: Job) -> Record | None:
        """A job's record. At the first look one to be retried is set aside; a damaged one leaves its run open."""
        first = job.id not in self._seen
        self._seen.add(job.id)
        try:
            record = self.store.read(job.id)
        except (RecordError, OSError) as error:
            self.result.open[job.id] = f"{error}; move it away to run this again"
            return None
        if first and record is not None and record["status"] in self.retry:
            attempts.forgive(self.store.folder(job.id))
            with contextlib.suppress(FileNotFoundError):  # another sweep over this store was faster
                self.store.set_aside(job.id)
            return None
        return record

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals > 1 and self._starting:
            raise KeyboardInterrupt

    def _loop(self, source: Source, show: Display) -> None:
        own = {"devices": self.devices, "memory": self.limits.memory}
        size = min(self.workers, max(source.left, 1)) if self.source is None else self.workers
        pool = make_executor(self.executor, size, self.store.results.root, **{**self.options, **own})
        pool.say = lambda sentence: show.line(sentence, "yellow")
        try:
            self._work_off(source, pool, show)
        except BaseException:
            pool.cancel("the sweep has failed")  # else the workers would be waited for
            raise
        finally:
            pool.close()
        for run_id in self._elsewhere:
            self.result.open[run_id] = "another sweep is doing it"
        for job in source.rest():
            self.result.open.setdefault(job.id, "not started")

    def _work_off(self, source: Source, pool: Executor, show: Display) -> None:
        while source.left or pool.running or self._elsewhere:
            self._heed(pool, show)
            if not self._stopped:
                self._fill(source, pool, show)
            if not pool.running and (self._stopped or self._used_up(source)):
                break
            show.total = show.done + len(pool.running) + source.left + len(self._elsewhere)
            for ended in pool.poll(0.25):
                self._after(ended, source, pool, show)
            self._look_elsewhere(source, pool, show)
            pruned = source.prune(pool.running)
            for running in pool.running:
                if running.job.id in pruned:
                    pool.cancel(pruned[running.job.id], running, prune=True)
            self._kill_hanging(pool)
            show.update(pool.running)
        if self._signals and self.result.open:  # it reached the last workers, too, and they were faster
            self.result.interrupted = True

    def _heed(self, pool: Executor, show: Display) -> None:
        """Stop where a person or a limit says so; at once where a person says so twice, or workers take too long."""
        word = self._seat.asked()
        if (self._signals or word) and not self._stopped:
            show.line(f"stopping: {len(pool.running)} running, each writes its checkpoint (again: end at once)")
            self._stop(BY_SIGNAL, pool)
            self.result.interrupted = True
        elif not self._stopped and (reason := self.brakes.time_is_over()):
            show.line(f"stopping: {reason}; {len(pool.running)} running, each writes its checkpoint")
            self._stop(reason, pool)
            self.result.interrupted, self.result.stopped = True, reason
        if self._stopped and (self._signals > 1 or word == "now" or time.monotonic() - self._stopped > GRACE_SECONDS):
            pool.kill()

    def _stop(self, reason: str, pool: Executor) -> None:
        """Take no more runs and ask the running ones to end."""
        self._stopped = time.monotonic()
        pool.cancel(reason)

    def _fail(self, reason: str, pool: Executor, show: Display) -> None:
        """Stop because going on would not help."""
        if not self._stopped:
            show.line(f"stopping: {reason}", "red")
            self.result.stopped = reason
            self._stop(reason, pool)

    def _used_up(self, source: Source) -> bool:
        """Whether --limit allows no more runs though there are some."""
        if not self.brakes.takes_no_more or not (source.left or self._elsewhere):
            return False
        assert self.limits.limit is not None
        self.result.interrupted, self.result.stopped = True, f"--limit {self.limits.limit.text} is reached"
        return True

    def _fill(self, source: Source, pool: Executor, show: Display) -> None:
        """Give every free worker a run; what is recorded by now, or in another sweep's hands, needs none."""
        while self._takes_more(pool) and (job := source.take()) is not None:
            self.result.titles[job.id] = job.title
            if (record := self._look_up(job)) is not None:
                self.judge.recorded(job, record, None)
                source.tell(job, record)
            elif job.id in self.result.open:
                source.tell(job, refused(job, self.result.open[job.id]))
            elif attempts.alive(self.store.folder(job.id)):
                self._elsewhere[job.id] = job, time.monotonic() + ELSEWHERE_SECONDS, None
            else:
                self._submit(job, source, pool, show)

    def _takes_more(self, pool: Executor) -> bool:
        """Whether another run may be begun now."""
        return not (self._signals or self._stopped or self.brakes.takes_no_more) and pool.free > 0

    def _submit(self, job: Job, source: Source, pool: Executor, show: Display) -> None:
        attempts.bury(self.store.folder(job.id))  # a worker would have to watch anew who was seen here to be dead
        self.brakes.started += 1
        try:
            self._starting = self.executor == "local"  # a job that SLURM has taken is not to be forgotten
            pool.submit(self._limited(job))
        except KeyboardInterrupt:  # a worker that was started all the same ends, as it has lost its sweep
            source.put_back(job)
        except NoWorker as error:
            source.put_back(job)
            self._fail(str(error), pool, show)
        finally:
            self._starting = False

    def _limited(self, job: Job) -> Job:
        """The job with the sweep's time limit: no part of its id."""
        if self.limits.timeout is None:
            return job
        harness: HarnessNode = {**job.config["harness"], "timeout": self.limits.timeout}
        config: Config = {**job.config, "harness": harness}
        return replace(job, config=config)

    def _after(self, ended: Ended, source: Source, pool: Executor, show: Display) -> None:
        """A worker ended: put its run where it belongs."""
        job, busy = ended.job, ended.word == "busy"
        try:
            verdict = self.judge.after(ended, bool(self._stopped))
        except OSError as error:
            if not disk_full(error):
                raise
            self.result.open[job.id] = "its end could not be noted"
            self._fail(unwritable(error, self.store.root) or str(error), pool, show)
            return
        if verdict == "again" or busy:
            self.brakes.started -= 1
        if verdict == "again":
            source.put_back(job)
        elif verdict == "elsewhere":
            self._elsewhere[job.id] = job, time.monotonic() + ELSEWHERE_SECONDS, None if busy else ended
        elif verdict == "full":
            self._fail(ended.sentence, pool, show)
        elif (record := self.result.records.get(job.id)) is not None or ended.word == "refused":
            told = record or refused(job, ended.sentence)
            source.tell(job, told)
            self.brakes.ended(told, ended.seconds)
            if reason := self.brakes.too_many_failures(told["reason"]):
                self._fail(reason, pool, show)

    def _look_elsewhere(self, source: Source, pool: Executor, show: Display) -> None:
        """Runs in other hands: done by now, or left. (One of ours that died on another host seems alive at first.)"""
        now = time.monotonic()
        for run_id, (job, due, ended) in list(self._elsewhere.items()):
            if now < due:
                continue
            if (record := self._look_up(job)) is not None:
                self.judge.recorded(job, record, None)
                source.tell(job, record)
            elif attempts.alive(self.store.folder(run_id)):
                self._elsewhere[run_id] = job, now + ELSEWHERE_SECONDS, ended
                continue
            del self._elsewhere[run_id]
            if record is None and ended is not None:
                self._after(ended, source, pool, show)
            elif record is None:
                source.put_back(job)

    def _kill_hanging(self, pool: Executor) -> None:
        """A run looks at its own time limit at every update; one that does not get there is killed from outside."""
        for running in pool.running:
            limit = running.job.config["harness"]["timeout"]
            if limit is not None and running.seconds > limit + HANG_SECONDS:
                self.judge.hung.add(running.job.id)
                pool.kill(running)


def refused(job: Job, reason: str) -> Refused:
    """What a source is told of a run that is not possible, and so has no record."""
    return {"id": job.id, "status": "refused", "reason": reason, "metrics": {}}


def available_cores() -> int:
    """The cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


__all__ = ["Result", "Sweep", "available_cores", "outcome_text"]
