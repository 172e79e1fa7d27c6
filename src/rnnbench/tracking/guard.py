"""The promise about trackers: they may warn, once; they never raise and never hold training up.

Every call to the tracker is made by one daemon thread. `log` puts a point into its queue and returns. `start` and
`finish` wait for their call, both out of one purse of seconds. When the purse is empty, or when a call raises, the
tracker is switched off for good: it is told to let go (`Tracker.abandon`), one sentence is warned, and what still comes
is dropped.

`start` waits although it need not: starting beside the first updates would disturb the speeds this project measures.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from rnnbench.store.record import Record
from rnnbench.tracking.base import RunInfo, Tracker

LIMIT_SECONDS = 10.0  # all that a tracker may cost one attempt
QUEUE_SIZE = 10_000  # points a slow tracker may be behind; more are dropped, for a log call never waits


class _Job(NamedTuple):
    call: Callable[..., None]
    args: tuple[Any, ...]
    done: threading.Event | None


class Guarded(Tracker):
    """A tracker that cannot hurt the run it watches.

    limit_seconds: how long `start` and `finish` may wait, together, over the whole run. warn: gets the one sentence;
    may be called from the guard's own thread. clock: what the waits are measured with. No method raises.
    """

    def __init__(
        self,
        tracker: Tracker,
        limit_seconds: float = LIMIT_SECONDS,
        warn: Callable[[str], None] = lambda sentence: None,
        *,
        queue_size: int = QUEUE_SIZE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tracker = tracker
        self.limit_seconds = limit_seconds
        self.waited = 0.0
        self.dropped = 0
        self._warn = warn
        self._queue_size = queue_size
        self._clock = clock
        # Unbounded underneath, with the bound checked in `log`: its put never blocks, and start and finish always fit.
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._on = False
        self._ended = False  # the worker takes no more jobs
        self._worker: threading.Thread | None = None

    @property
    def on(self) -> bool:
        """Started, not finished, and not switched off."""
        return self._on

    def start(self, info: RunInfo) -> None:
        if self._worker is not None:
            return
        self._on = True
        self._worker = threading.Thread(target=self._work, name="rnnbench-tracker", daemon=True)
        self._worker.start()
        self._call_and_wait("start", self.tracker.start, (info,))

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        if not self._on:
            return
        if self._queue.qsize() >= self._queue_size:
            self.dropped += 1
            return
        self._queue.put(_Job(self.tracker.log, (dict(metrics), step), None))

    def finish(self, record: Record | None, ok: bool) -> None:
        if not self._on:
            return
        self._call_and_wait("finish", self.tracker.finish, (record, ok))
        with self._lock:
            finished, self._on = self._on, False
        self._queue.put(None)
        if finished and self.dropped:
            self._warn(f"the tracker was too slow and lost {self.dropped} points; the history of the run has them all.")

    def abandon(self) -> None:
        with self._lock:
            self._on = False
        self._queue.put(None)
        self._let_go()

    def _call_and_wait(self, verb: str, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        done = threading.Event()
        self._queue.put(_Job(call, args, done))
        if self._ended:  # switched off since the caller looked: nobody will serve the job
            return
        began = self._clock()
        served = done.wait(max(0.0, self.limit_seconds - self.waited))
        self.waited += self._clock() - began
        if not served:
            self._switch_off(f"{verb} took longer than the {self.limit_seconds:g} s a tracker may cost")

    def _switch_off(self, why: str) -> None:
        with self._lock:
            if not self._on:
                return
            self._on = False
        self._queue.put(None)
        self._let_go()
        self._warn(f"the tracker is switched off for this run ({why}); training and the record do not need it.")

    def _let_go(self) -> None:
        with contextlib.suppress(Exception):
            self.tracker.abandon()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None and self._on:
            try:
                job.call(*job.args)
            except BaseException as error:  # SystemExit too: a library that exits must end neither thread nor run
                self._switch_off(one_line(error))
            finally:
                if job.done:
                    job.done.set()
        self._ended = True
        if job is not None and job.done:
            job.done.set()
        with contextlib.suppress(Empty):
            while True:
                left = self._queue.get_nowait()
                if left is not None and left.done:
                    left.done.set()


def one_line(error: BaseException, width: int = 200) -> str:
    """An exception as a part of one sentence: its type and the first line of its text."""
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return line if len(line) <= width else line[: width - 3] + "..."
