"""Local workers: one forked process a run, from a server that has imported everything once."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from rnnbench.runs.plan import Job
from rnnbench.sweeps.executors.base import Ended, Executor, Running
from rnnbench.sweeps.worker import work


@dataclass
class LocalRun(Running):
    """A worker process and its run."""

    process: BaseProcess
    connection: Connection


class Pool(Executor):
    """Up to `size` worker processes on this machine."""

    def __init__(self, size: int, results: Path) -> None:
        self.size, self.results = size, results
        self._running: list[LocalRun] = []
        # forkserver: forked from a process without threads, so safe, and everything heavy is imported there once
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["rnnbench.sweeps.preload"])
        _start_fork_server()

    @property
    def running(self) -> Sequence[LocalRun]:
        return self._running

    def submit(self, job: Job) -> None:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=work, args=(job, self.results, theirs), name=job.id, daemon=False)
        process.start()
        theirs.close()
        self._running.append(LocalRun(job, process, ours))

    def poll(self, seconds: float) -> Iterator[Ended]:
        """Wait until a worker ends, at most `seconds`, and yield those that did."""
        wait([r.process.sentinel for r in self.running], timeout=seconds)
        for running in [r for r in self.running if not r.process.is_alive()]:
            yield self._collect(running)

    def _collect(self, running: LocalRun) -> Ended:
        self._running.remove(running)
        running.process.join()
        code = running.process.exitcode
        word, sentence = "died", _how_it_died(code)
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


def _start_fork_server() -> None:
    """Start it deaf to Ctrl-C and to SIGTERM, which reach the whole group: only the sweep says when a worker stops."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        forkserver.ensure_running()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _how_it_died(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"the process was killed ({name})"
    return f"the process ended with code {code}"
