"""Local workers: one forked process a run, from a server that has imported everything once."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from rnnbench.errors import BadInput
from rnnbench.runs.host import room_for_torch
from rnnbench.runs.plan import Job
from rnnbench.sweeps.devices import Slots, on_device
from rnnbench.sweeps.executors.base import Ended, Executor, NoWorker, Running
from rnnbench.sweeps.limits import as_memory
from rnnbench.sweeps.worker import LEFT_TO_THE_SWEEP, work

LOOK_SECONDS = 0.5  # from one look at the workers' memory to the next
DYING_SECONDS = 10.0  # for a killed fork server to be gone: it takes torch with it
DEATHS = 3  # of the fork server, one after the other, before a worker was started


@dataclass
class LocalRun(Running):
    """A worker process and its run. device: the GPU slot it holds; over: why its memory was too much, once it was."""

    process: BaseProcess
    connection: Connection
    device: int | None = None
    over: str | None = None
    oom_kills: int = field(default_factory=lambda: oom_kills())


class Pool(Executor):
    """Up to `size` worker processes on this machine.

    devices: GPU slots, one of which each run takes; memory: bytes that a worker may hold, its code included; heeded:
    signals at which a worker ends by itself, its checkpoint written.
    """

    def __init__(
        self,
        size: int,
        results: Path,
        *,
        devices: Slots | None = None,
        memory: int | None = None,
        heeded: Sequence[signal.Signals] = (signal.SIGTERM,),
    ) -> None:
        self.size, self.results, self.devices, self.memory, self.heeded = size, results, devices, memory, tuple(heeded)
        if devices is not None:
            self.size = min(size, len(devices))
        if multiprocessing.current_process().daemon:
            raise BadInput(
                "a sweep starts processes, and a daemonic process of multiprocessing may start none: start the process "
                "that sweeps with daemon=False, or do single runs in it."
            )
        room_for_torch()
        self._running: list[LocalRun] = []
        self._looked = 0.0
        # forkserver: forked from a process without threads, so safe, and everything heavy is imported there once
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["rnnbench.sweeps.preload"])
        with contextlib.suppress(OSError):  # the first run tries again, and says why not
            _start_fork_server()

    @property
    def running(self) -> Sequence[LocalRun]:
        return self._running

    def submit(self, job: Job) -> None:
        """Start a run. Raises NoWorker where the fork server dies again and again, or cannot be reached."""
        device = self.devices.take() if self.devices else None
        sent = job if device is None else on_device(job, device)
        try:
            process, ours = self._start_in_spite_of_deaths(sent)
        except NoWorker:
            if self.devices and device is not None:
                self.devices.give_back(device)
            raise
        self._running.append(LocalRun(job, process, ours, device))

    def _start_in_spite_of_deaths(self, job: Job) -> tuple[BaseProcess, Connection]:
        """Start a worker. Its server may have been killed a moment ago and be not quite dead yet, or be killed while it
        imports torch, which may take a minute: what counts is how often, and for how long it was not reached since."""
        first: float | None = None  # failure
        died: set[int | None] = set()
        while True:
            try:
                return self._start(job)
            except (OSError, EOFError) as error:
                first = time.monotonic() if first is None else first
                died.add(_fork_server())
                if len(died) >= DEATHS or time.monotonic() - first > DYING_SECONDS * len(died):
                    what = " ".join(str(error).split()) or type(error).__name__
                    raise NoWorker(
                        f"no worker can be started: the process that starts them ended {len(died)} time"
                        f"{'s' * (len(died) > 1)} ({what}); is there memory enough for torch?"
                    ) from error
                time.sleep(0.05)

    def _start(self, job: Job) -> tuple[BaseProcess, Connection]:
        _start_fork_server()  # again, if it has died
        ours, theirs = self.context.Pipe()
        given = (job, self.results, theirs, dict(os.environ), self.heeded)
        with theirs, _without_main():
            process = self.context.Process(target=work, args=given, name=job.id, daemon=False)
            process.start()
        return process, ours

    def poll(self, seconds: float) -> Iterator[Ended]:
        """Wait until a worker ends, at most `seconds`, and yield those that did."""
        wait([r.process.sentinel for r in self.running], timeout=seconds)
        if self.memory is not None and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._kill_over(self.memory)
        for running in [r for r in self.running if not r.process.is_alive()]:
            yield self._collect(running)

    def _kill_over(self, most: int) -> None:
        """End the workers that hold more memory than they may. (A limit on addresses is no such limit: torch maps far
        more than it uses.)"""
        for running in self._running:
            with contextlib.suppress(psutil.Error):
                held = psutil.Process(running.process.pid).memory_info().rss
                if held > most and running.over is None:
                    running.over = f"the process held {as_memory(held)}, more than the limit of {as_memory(most)}"
                    running.process.kill()

    def _collect(self, running: LocalRun) -> Ended:
        self._running.remove(running)
        if self.devices and running.device is not None:
            self.devices.give_back(running.device)
        running.process.join()
        code = running.process.exitcode
        word, sentence = "died", _how_it_died(code)
        if running.over is not None:
            word, sentence = "oom", running.over
        elif code == -signal.SIGKILL and oom_kills() > running.oom_kills:
            word, sentence = "oom", "the kernel killed the process: the machine was out of memory"
        try:
            if running.connection.poll():
                word, sentence = running.connection.recv()
        except (EOFError, OSError):
            pass
        running.connection.close()
        running.process.close()
        return Ended(running.job, word, sentence, code, running.seconds)

    def cancel(self, reason: str, running: Running | None = None, *, prune: bool = False) -> None:
        """Ask one worker, or all of them, to checkpoint and end."""
        for each in self._running:
            if running is None or each is running:
                with contextlib.suppress(OSError):  # it is ending already
                    each.connection.send((reason, prune))

    def kill(self, running: Running | None = None) -> None:
        """End one worker, or all of them, at once; their runs resume from the last checkpoint."""
        for each in self._running:
            if running is None or each is running:
                each.process.kill()


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Within the block a forked worker does not import this process's main module first: a run needs nothing of it, the
    `rnnbench` script imports every command, and a caller's script that sweeps would be run again by each worker."""
    main = vars(sys.modules["__main__"])
    kept: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.update(dict.fromkeys(kept))
    try:
        yield
    finally:
        main.update(kept)


def _fork_server() -> int | None:
    """The number of the fork server's process, which may be dead; None before there was one."""
    pid: int | None = getattr(forkserver._forkserver, "_forkserver_pid", None)
    return pid


def _start_fork_server() -> None:
    """Start it deaf to signals that reach the whole group or job: only the sweep says when a worker stops.

    Likewise multiprocessing's resource tracker, which is deaf to SIGINT and SIGTERM by itself.
    """
    pid = _fork_server()
    with contextlib.suppress(psutil.Error):
        if pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_THE_SWEEP)  # inherited; here they wait, none is lost
    try:
        resource_tracker.ensure_running()  # where it starts it unblocks SIGINT and SIGTERM, so they are blocked again
        signal.pthread_sigmask(signal.SIG_BLOCK, LEFT_TO_THE_SWEEP)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory, on this machine or in our cgroup; 0 if unknown."""
    count = 0
    for path in ("/proc/vmstat", "/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        with contextlib.suppress(OSError, ValueError):
            lines = dict(
                line.split(maxsplit=1) for line in Path(path).read_text(encoding="utf-8").splitlines() if " " in line
            )
            count += int(lines.get("oom_kill", 0))
    return count


def _how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"the process was killed ({name})"
    return f"the process ended with code {code}"
