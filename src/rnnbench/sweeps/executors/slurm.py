"""Under SLURM, by submitit: each run is a job. Needs ``pip install "rnnbench[slurm]"``.

No more than `size` jobs are in the queue at once, whatever the cluster would take. A job holds one local worker (see
`hosted`). At SLURM's warning (SIGUSR2, sent `signal_delay_s` before the time limit, or at a preemption) the run writes
its checkpoint and the job is requeued; it goes on where it was, on whatever node, to the same bits.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from rnnbench.errors import BadInput
from rnnbench.runs import attempts
from rnnbench.runs.plan import Job
from rnnbench.store.store import Store, write_atomic
from rnnbench.sweeps.executors.base import Ended, Executor, Running
from rnnbench.sweeps.executors.hosted import Answer, Host, Place, take_options

MISSING = '--executor slurm needs the package submitit: pip install "rnnbench[slurm]"'
REQUEUES = 1_000_000  # submitit's limit on requeues at the time limit: a run that gets on may be requeued for ever
CHECKPOINT_SECONDS = 60.0  # what a run has for its checkpoint at the warning
KILL_SECONDS = 5.0  # from a kill to when the job counts as gone
LOOK_SECONDS = 2.0  # between looks at whether a queued job has begun
BUSY_SECONDS = attempts.STALE_SECONDS + 30.0  # a run whose machine went is claimed until its last heartbeat is stale
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
            if answer.word != "busy" or time.monotonic() - began > BUSY_SECONDS or self.note.exists():
                return answer
            time.sleep(2.0)

    def _on_term(self, number: int, frame: FrameType | None) -> None:
        reason, prune = "SLURM ended the job", False
        with contextlib.suppress(OSError, ValueError):
            reason, prune = json.loads(self.note.read_text())
        if self._host is not None:
            self._host.cancel(reason, prune)

    def checkpoint(self) -> Any:
        """Called by submitit at the warning, in the midst of `__call__`: the run is stopped, and the job requeued."""
        end = time.monotonic() + CHECKPOINT_SECONDS
        if self._host is not None:
            self._host.cancel("SLURM's warning: the job is requeued")
            while self._host.busy and time.monotonic() < end:
                self._host.poll(0.5)
            self._host.kill()
        return importlib.import_module("submitit").helpers.DelayedSubmission(self)


@dataclass(eq=False)
class SlurmRun(Running):
    """A run and its job in SLURM's queue. attempt: how many attempts the run had before."""

    submitted: Any
    note: Path
    attempt: int
    begun: bool = False
    cancelled: bool = False
    killed: float | None = None  # when
    looked: float = 0.0

    @property
    def over(self) -> bool:
        """Whether the job has ended; of a killed one SLURM's own word, which takes minutes, is not waited for."""
        gone = self.killed is not None and time.monotonic() - self.killed > KILL_SECONDS
        return gone or bool(self.submitted.done())

    @property
    def seconds(self) -> float:
        """Since it has begun: waiting in the queue is not running."""
        return super().seconds if self.begun else 0.0


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

    def _open(self, given: dict[str, Any], more: dict[str, str]) -> Any:
        """submitit's executor. Raises BadInput where there is no SLURM or an option that it does not know."""
        try:
            executor = self._submitit.AutoExecutor(
                self.folder, cluster=self._cluster, slurm_max_num_timeout=REQUEUES, local_max_num_timeout=REQUEUES
            )
            executor.update_parameters(
                name="rnnbench", timeout_min=given["time"], mem_gb=given["mem"], cpus_per_task=given["cpus"],
                slurm_partition=given["partition"], slurm_signal_delay_s=given["signal_delay_s"],
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
        submitted = self._executor.submit(JobOnNode(job, self._place, note))
        self._running.append(SlurmRun(job, submitted, note, attempt))

    def poll(self, seconds: float) -> Iterator[Ended]:
        """Wait until a job ends, at most `seconds`, and yield those that did."""
        end = time.monotonic() + seconds
        while not (over := [run for run in self._running if run.over]) and time.monotonic() < end:
            time.sleep(min(0.1, seconds))
        for run in over:
            self._running.remove(run)
            run.note.unlink(missing_ok=True)
            seen = attempts.look(self._store.folder(run.job.id))[run.attempt :]
            yield Ended(run.job, *self._answer(run), sum(one.seconds for one in seen))
        for run in self._running:
            if not run.begun and time.monotonic() - run.looked > LOOK_SECONDS:
                run.looked = time.monotonic()
                if len(attempts.look(self._store.folder(run.job.id))) > run.attempt:
                    run.begun, run.began = True, time.monotonic()

    def _answer(self, run: SlurmRun) -> Answer:
        """What a finished job says of its run. A job that says nothing was taken from outside."""
        state = str(run.submitted.state).split()[0]
        result = run.submitted.paths.result_pickle
        if not result.exists():
            if run.cancelled:
                return Answer("interrupted", "the job was cancelled", None)
            if run.killed is not None:
                return Answer("died", "the job was killed by the sweep", None)
            if state == "OUT_OF_MEMORY":
                return Answer("oom", "SLURM's memory limit (mem) ended the job", None)
            return Answer("lost", f"job {run.submitted.job_id} ended without a word (SLURM says {state})", None)
        try:
            answer: Answer = run.submitted.result()
        except Exception as error:  # whatever the job's code raised, on its node
            return Answer("died", f"job {run.submitted.job_id} failed: {_last_line(error)}", None)
        if answer.word == "interrupted" and not run.cancelled:  # SIGTERM from SLURM or its administrator
            return Answer("lost", answer.sentence, None)
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
            subprocess.call([*words, run.submitted.job_id])
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            job = psutil.Process(int(run.submitted.job_id))
            for process in [*job.children(recursive=True), job] if number else [job]:
                process.send_signal(number or signal.SIGTERM)

    def close(self) -> None:
        """Jobs that are still there are cancelled."""
        self.cancel("the sweep is over")
        self._place.clear()


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip("- ")]
    named = [line for line in lines if "Error" in line]
    return ((named or lines or [type(error).__name__])[-1])[:300]
