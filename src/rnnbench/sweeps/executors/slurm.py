"""Under SLURM, by submitit: each run is a job. Needs ``pip install "rnnbench[slurm]"``.

No more than `size` jobs are in the queue at once, whatever the cluster would take, and no run has two. A job holds one
local worker (see `hosted`). At SLURM's warning (SIGUSR2, about `signal_delay_s` before the time limit) the run writes
its checkpoint and the job requeues itself; it goes on where it was, on whatever node, to the same bits. At SIGTERM that
is not the sweep's (preemption, an administrator) it writes its checkpoint and the job ends: if SLURM requeues the job,
the sweep waits for it, else it submits another.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from rnnbench.errors import BadInput
from rnnbench.runs import attempts
from rnnbench.runs.living import STALE_SECONDS
from rnnbench.runs.plan import Job
from rnnbench.store.store import Store, write_atomic
from rnnbench.sweeps.executors.base import Ended, Executor, Running
from rnnbench.sweeps.executors.hosted import Answer, Host, Place, take_options
from rnnbench.sweeps.executors.slurm_queue import GONE, WAITING, JobState, Queue, ask

MISSING = '--executor slurm needs the package submitit: pip install "rnnbench[slurm]"'
REQUEUES = 1_000_000  # submitit's limit on requeues at the time limit: a run that gets on may be requeued for ever
CHECKPOINT_SECONDS = 60.0  # what a run has for its checkpoint at the warning
KILL_SECONDS = 5.0  # from a kill to when the job counts as gone
LOOK_SECONDS = 2.0  # between looks at whether a queued job has begun, and at jobs that are to end
ASK_SECONDS = 5.0  # between questions to SLURM
TAKE_SECONDS = 10.0  # for sbatch to take a job, after it has taken others
RESULT_SECONDS = 5.0  # from a job's end to its result being seen here, on a slow shared disk
BUSY_SECONDS = STALE_SECONDS + 30.0  # a run whose machine went is claimed until its last heartbeat is stale
OPTIONS: dict[str, Any] = {
    "cluster": "slurm", "time": 60, "mem": 4.0, "cpus": 1, "gpus": 1, "partition": None, "signal_delay_s": 120,
}  # fmt: skip


class JobOnNode:
    """What submitit pickles, and calls on the node. note: the file by which the sweep says why it cancels the job."""

    def __init__(self, job: Job, place: Place, note: Path) -> None:
        self.job, self.place, self.note = job, place, note
        self._host: Host | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_host": None}

    def __call__(self) -> Answer:
        """Do the run; asked to end (SIGTERM, which scancel sends), let it checkpoint first."""
        if complaint := self.place.complaint():
            return Answer("refused", complaint, None)
        self._host = Host(self.place)
        signal.signal(signal.SIGTERM, self._on_term)
        began = time.monotonic()
        while True:
            self._host.start(self.job)
            while (answer := self._host.poll(1.0)) is None:
                pass
            if answer.word == "interrupted" and not self.note.exists():
                self._leave()
            if answer.word != "busy" or time.monotonic() - began > BUSY_SECONDS or self.note.exists():
                return answer
            time.sleep(2.0)

    def _leave(self) -> None:
        """At a SIGTERM that is not the sweep's: end without a result, for SLURM may requeue the job.

        Within the grace time of a preemption the job still counts as running, and requeues itself.
        """
        job = os.environ.get("SLURM_JOB_ID")
        if job is not None and os.environ.get("SUBMITIT_EXECUTOR") == "slurm":
            state, _ = ask(["squeue", "--noheader", "--format=%T", f"--jobs={job}"])
            if state is not None and state.strip() == "RUNNING":
                ask(["scontrol", "requeue", job])
        raise SystemExit(128 + signal.SIGTERM)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        reason, prune = "SLURM ended the job", False
        with contextlib.suppress(OSError, ValueError):
            reason, prune = json.loads(self.note.read_text(encoding="utf-8"))
        if self._host is not None:
            self._host.cancel(reason, prune)

    def checkpoint(self) -> Any:
        """Called by submitit at the warning, in the midst of `__call__`: the run is stopped, and the job requeued.

        None: not requeued, for the sweep has cancelled the job meanwhile.
        """
        end = time.monotonic() + CHECKPOINT_SECONDS
        if self._host is not None:
            self._host.cancel("SLURM's warning: the job is requeued")
            while self._host.busy and time.monotonic() < end:
                self._host.poll(0.5)
            self._host.kill()
        if self.note.exists():
            return None
        return importlib.import_module("submitit").helpers.DelayedSubmission(self)


@dataclass(eq=False)
class SlurmRun(Running):
    """A run and its job in SLURM's queue. attempt: how many attempts the run had before; seen: and with the job's."""

    submitted: Any
    note: Path
    attempt: int
    seen: int = 0
    state: JobState = JobState("PENDING")  # noqa: RUF009  # it cannot be changed
    cancelled: bool = False
    killed: float | None = None  # when
    ended: float | None = None  # when SLURM first said so

    @property
    def begun(self) -> bool:
        """Whether the job works on the run: a requeued one waits again."""
        return self.seen > self.attempt and self.state.word not in WAITING

    @property
    def over(self) -> bool:
        """Whether the job has ended, and has had time to say how; of a killed one SLURM's word is not waited for."""
        if self.submitted.paths.result_pickle.exists():
            return True
        if self.killed is not None and time.monotonic() - self.killed > KILL_SECONDS:
            return True
        never_began = self.cancelled and self.seen <= self.attempt
        return self.ended is not None and (never_began or time.monotonic() - self.ended > RESULT_SECONDS)

    @property
    def seconds(self) -> float:
        """Since it has begun: waiting in the queue is not running."""
        return super().seconds if self.begun else 0.0

    def look(self, state: JobState, attempts_seen: int) -> None:
        """Take in what SLURM and the store say now."""
        now = time.monotonic()
        if attempts_seen > max(self.seen, self.attempt):
            self.seen, self.began = attempts_seen, now
        self.state = state
        self.ended = (self.ended or now) if state.ended else None


class SlurmExecutor(Executor):
    """Up to `size` jobs in the queue at once; see OPTIONS for the options and their defaults.

    time: minutes a job may take before it is requeued; mem: GB; cpus, gpus: of a job, gpus where a run's device is
    cuda; cluster: `local` runs jobs as processes of this machine, for trying things out. Any other option is sbatch's
    (account, qos, constraint, ...), by the name that submitit has for it.
    """

    def __init__(self, size: int, results: Path, /, *, memory: int | None = None, **options: str) -> None:
        try:
            self._submitit = importlib.import_module("submitit")
        except ImportError:
            raise BadInput(MISSING) from None
        given = take_options("slurm", {k: v for k, v in options.items() if k in OPTIONS}, OPTIONS)
        self.size, self._gpus, self._cluster = size, given["gpus"], given["cluster"]
        if self._cluster not in ("slurm", "local"):
            raise BadInput(f"--executor slurm: cluster={self._cluster} is neither slurm nor local.")
        self.folder = results.absolute() / "slurm"
        self._executor = self._open(given, {k: v for k, v in options.items() if k not in OPTIONS})
        self._place = Place.here(results, memory)
        self._store = Store.open(self._place.results)
        self._running: list[SlurmRun] = []
        self._queue = Queue(lambda sentence: self.say(sentence))
        self._states: dict[str, JobState] = {}
        self._looked = self._asked = float("-inf")
        self._taken = False  # a job, by sbatch

    def _open(self, given: dict[str, Any], more: dict[str, str]) -> Any:
        """submitit's executor. Raises BadInput where there is no SLURM or an option that it does not know."""
        try:
            executor = self._submitit.AutoExecutor(
                self.folder, cluster=self._cluster, slurm_max_num_timeout=REQUEUES, local_max_num_timeout=REQUEUES
            )
            executor.update_parameters(
                name="rnnbench", timeout_min=given["time"], mem_gb=given["mem"], cpus_per_task=given["cpus"],
                slurm_partition=given["partition"], slurm_signal_delay_s=given["signal_delay_s"],
                slurm_additional_parameters={"requeue": True},  # for clusters whose jobs are not requeued by default
                slurm_srun_args=[f"--cpus-per-task={given['cpus']}"],  # since 22.05 srun no longer takes it from sbatch
                **{f"slurm_{key}": value for key, value in more.items()},
            )  # fmt: skip
        except RuntimeError:
            raise BadInput(
                "--executor slurm needs SLURM's commands (srun, sbatch) on this machine; run the sweep on a login node."
            ) from None
        except (NameError, ValueError, AssertionError) as error:
            raise BadInput(f"--executor slurm: {str(error).splitlines()[0]}") from None
        return executor

    @property
    def running(self) -> Sequence[SlurmRun]:
        return self._running

    def submit(self, job: Job) -> None:
        on_gpu = job.config["device"] == "cuda"
        self._executor.update_parameters(gpus_per_node=self._gpus if on_gpu else 0)
        attempt = len(attempts.look(self._store.folder(job.id)))
        note = self.folder / f"{job.id}-{attempt + 1}.cancel"
        note.unlink(missing_ok=True)
        submitted = self._submit(JobOnNode(job, self._place, note))
        self._running.append(SlurmRun(job, submitted, note, attempt))

    def _submit(self, job: JobOnNode) -> Any:
        """submitit's job. Raises BadInput, in sbatch's words, where it is not taken."""
        began = time.monotonic()
        while True:
            try:
                submitted = self._executor.submit(job)
                self._taken = True
                return submitted
            except RuntimeError as error:
                # Where one was taken before, this may be one too many of a site's limit: a job that has answered leaves
                # the queue a moment later.
                if not self._taken or time.monotonic() - began > TAKE_SECONDS:
                    raise BadInput(f"--executor slurm: the job is not taken: {_last_line(error)}") from None
                time.sleep(1.0)

    def poll(self, seconds: float) -> Iterator[Ended]:
        """Wait until a job ends, at most `seconds`, and yield those that did."""
        end = time.monotonic() + seconds
        self._look()
        while not (over := [run for run in self._running if run.over]) and time.monotonic() < end:
            time.sleep(min(0.1, seconds))
        for run in over:
            self._running.remove(run)
            run.note.unlink(missing_ok=True)
            seen = attempts.look(self._store.folder(run.job.id))[run.attempt :]
            yield Ended(run.job, *self._answer(run), sum(one.seconds for one in seen))

    def _look(self) -> None:
        """At times: what SLURM says of the jobs, and which of them have begun."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        ending = any(run.cancelled or run.ended is not None for run in self._running)
        if self._cluster == "local":
            self._states = {run.submitted.job_id: _of_process(run.submitted) for run in self._running}
        elif ending or now - self._asked >= ASK_SECONDS:
            self._asked = now
            self._states |= self._queue.states([run.submitted.job_id for run in self._running])
        with contextlib.suppress(OSError):
            os.close(os.open(self.folder, os.O_RDONLY))  # NFS: new results in it are seen
        for run in self._running:
            state = self._states.get(run.submitted.job_id, run.state)
            run.look(state, len(attempts.look(self._store.folder(run.job.id))))

    def _answer(self, run: SlurmRun) -> Answer:
        """What a finished job says of its run. A job that says nothing was taken from outside."""
        if not run.submitted.paths.result_pickle.exists():
            if run.cancelled:
                return Answer("interrupted", "the job was cancelled", None)
            if run.killed is not None:
                return Answer("died", "the job was killed by the sweep", None)
            if run.state.word == "OUT_OF_MEMORY":
                return Answer("oom", "SLURM's memory limit (mem) ended the job", None)
            said = f"job {run.submitted.job_id} ended without a word (SLURM says {run.state.word})"
            return Answer("lost", said, None)
        try:
            answer: Answer = run.submitted.result()
        except Exception as error:  # whatever the job's code raised, on its node
            if run.cancelled:
                return Answer("interrupted", "the job was cancelled at its warning", None)
            no_requeue = "scontrol" in str(error)  # the job could not requeue itself: no fault of the run
            word = "lost" if no_requeue else "died"
            return Answer(word, f"job {run.submitted.job_id} failed: {_last_line(error)}", None)
        return answer

    def cancel(self, reason: str, running: Running | None = None, *, prune: bool = False) -> None:
        """Ask one run, or all of them, to checkpoint and end; jobs that have not begun leave the queue."""
        for run in [run for run in self._running if running is None or run is running]:
            if not run.cancelled:
                write_atomic(run.note, json.dumps([reason, prune]))
                run.cancelled = True
                self._signal(run, None)

    def kill(self, running: Running | None = None) -> None:
        """End one run, or all of them, at once; they resume from the last checkpoint."""
        for run in [run for run in self._running if running is None or run is running]:
            if run.killed is None:
                run.killed = time.monotonic()
                self._signal(run, signal.SIGKILL)

    def _signal(self, run: SlurmRun, number: signal.Signals | None) -> None:
        """None: SIGTERM, and the job does not come back."""
        if self._cluster == "slurm":
            words = ["scancel"] if number is None else ["scancel", f"--signal={number.name}", "--full"]
            ask([*words, run.submitted.job_id])  # one that has ended is no longer known: nothing to say
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            job = psutil.Process(int(run.submitted.job_id))
            for process in [*job.children(recursive=True), job] if number else [job]:
                process.send_signal(number or signal.SIGTERM)

    def close(self) -> None:
        """Jobs that are still there are cancelled."""
        self.cancel("the sweep is over")
        self._place.clear()


def _of_process(submitted: Any) -> JobState:
    """A job of cluster=local: `RUNNING`, or it has ended."""
    return JobState("RUNNING" if submitted.state == "RUNNING" else GONE)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip("- ")]
    named = [line for line in lines if "error" in line.lower()]
    return ((named or lines or [type(error).__name__])[-1])[:300]
