"""What happens around the training loop: history, checkpoints, trackers, the progress line, requests to stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TextIO, TypedDict

from rnnbench.runs import checkpoint
from rnnbench.runs.attempts import Attempt
from rnnbench.store.files import LARGEST_HISTORY, NoRegularFile, read_regular
from rnnbench.store.store import write_atomic
from rnnbench.tracking import Tracker


class MadeBy(TypedDict):
    """What a checkpoint belongs to: it is resumed by the same source on the same data alone.

    toolchain: of a compiled cell, what decides its last bits: compiler, flags and processor; else None.
    """

    source_hash: str
    own_source: dict[str, str] | None
    data_hash: str
    toolchain: dict[str, str] | None


class StopRequest:
    """Set once by a signal or by the sweep, asked at every update. A second Ctrl-C ends at once."""

    def __init__(self, signals: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM)) -> None:
        self.signals = tuple(signals)
        self.reason: str | None = None
        self.pruned = False

    def ask(self, reason: str, *, prune: bool = False) -> None:
        """Stop at the next update; prune: for good, as a search's pruner decided. The first to ask decides."""
        if self.reason is None:
            self.reason, self.pruned = reason, prune

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Within the block the signals ask instead of killing. Nothing where signals cannot be had (a thread)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def handle(number: int, frame: FrameType | None) -> None:
            if self.reason is not None and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.ask(f"{signal.Signals(number).name} received")

        before = {number: signal.signal(number, handle) for number in self.signals}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class ProgressLine:
    """One line on the terminal, rewritten: update, main metric, ETA. Silent where the output is no terminal."""

    def __init__(self, title: str, updates: int, metric: str, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.on = self.stream.isatty()
        self.title, self.updates, self.metric = title, updates, metric
        self.began, self.first, self._next = time.monotonic(), None, 0.0  # type: float, int | None, float

    def show(self, update: int, row: dict[str, float]) -> None:
        if not self.on or (now := time.monotonic()) < self._next:
            return
        self._next = now + 0.2
        if self.first is None:
            self.first, self.began = update, now
        done = update - self.first
        left = (now - self.began) / done * (self.updates - update) if done else float("nan")
        eta = f"{left:.0f} s left" if left == left else ""
        value = row.get(f"val/{self.metric}")
        shown = f"val/{self.metric} {value:.4g}" if value is not None else ""
        self.stream.write(f"\r\x1b[2K{self.title}  {update}/{self.updates}  {shown}  {eta}")
        self.stream.flush()

    def clear(self) -> None:
        if self.on:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()


class RunHooks:
    """The training loop's hooks for one run in one folder."""

    def __init__(
        self,
        folder: Path,
        tracker: Tracker,
        line: ProgressLine,
        stop: StopRequest,
        saved: checkpoint.State,
        claim: Attempt,
        made_by: MadeBy,
    ) -> None:
        """saved: the checkpoint's progress, {} where the run starts anew. claim: asked before anything is written.

        made_by: what a checkpoint is good for.
        """
        self.folder, self.tracker, self.line, self.stop, self.claim = folder, tracker, line, stop, claim
        self.made_by = made_by
        self.path = folder / "history.jsonl"
        self.update = int(saved.get("update", 0))  # optimizer steps done
        self._keep(int(saved.get("rows", 0)))
        # Held open: a later attempt puts a new file in its place, and a suspended process adds to the old one.
        self._history = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _keep(self, rows: int) -> None:
        """Drop rows that were written after the checkpoint a resumed run starts from: they will come again."""
        self.claim.check()
        try:
            lines = read_regular(self.path, LARGEST_HISTORY).splitlines()[:rows]
        except FileNotFoundError:
            return
        except NoRegularFile:  # nothing of ours: the rows begin anew in its place
            lines = []
        write_atomic(self.path, b"".join(line + b"\n" for line in lines))

    def close(self) -> None:
        """No more rows."""
        os.close(self._history)

    def validated(self, row: dict[str, float]) -> None:
        self.claim.check()
        size = os.fstat(self._history).st_size
        line = (json.dumps(row) + "\n").encode()
        try:
            while line:
                line = line[os.write(self._history, line) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self._history, size)  # the disk is full: no half a row
            error.filename = str(self.path)
            raise
        self.tracker.log({k: v for k, v in row.items() if k != "step"}, int(row["step"]))

    def progress(self, update: int, row: dict[str, float]) -> None:
        self.update = update
        self.line.show(update, row)

    def save(self, state: checkpoint.State) -> None:
        self.claim.check()
        checkpoint.save(self.folder / checkpoint.LAST, {**state, **self.made_by})

    def stop_asked(self) -> str | None:
        if self.claim.lost is not None:
            self.claim.check()
        return self.stop.reason
