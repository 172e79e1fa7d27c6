"""Running sweeps as other processes see them: which there are, how to ask one to stop, how to start one detached.

While a sweep runs there is `results/sweeps/NAME.running` with who and where (`NAME+2.running` for a second one of that
name); its loop touches the file every few seconds. `NAME.running.stop` beside it asks one on another host to stop.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.errors import BadInput, nearest
from rnnbench.runs import living
from rnnbench.runs.living import STALE_SECONDS, WATCH
from rnnbench.store.folder import Results
from rnnbench.store.small_files import read as read_small
from rnnbench.store.small_files import read_json
from rnnbench.store.store import write_atomic, write_once

LOOK_SECONDS = 0.5  # between two looks at a file that is watched
TOUCH_SECONDS = 2.0  # from one look for a stop file to the next
SILENT_SECONDS = 10.0  # without a sign in which a living sweep would have given several
STOP_SECONDS = 15.0  # what a sweep takes to stop, at most
START_SECONDS = 30.0  # what a detached one takes until it is known as running; planning thousands of runs takes longer


@dataclass(frozen=True)
class Seen:
    """A sweep that runs, as its file says. began: seconds since 1970."""

    path: Path
    name: str
    who: living.Who
    began: float
    command: str

    @property
    def host(self) -> str:
        return self.who.host

    @property
    def pid(self) -> int:
        return self.who.pid

    @property
    def here(self) -> bool:
        return self.who.here

    @property
    def alive(self) -> bool:
        """Whether it still runs: by its process where that can be looked up; else until its file, watched by this
        process, has stood still for a minute."""
        if self.here:
            return self.who.lives
        return os.path.lexists(self.path) and self.silent < STALE_SECONDS

    @property
    def silent(self) -> float:
        """For how many seconds its file has stood still, as far as this process has watched it."""
        return WATCH.silent(self.path, living.sign(self.path))


@dataclass(frozen=True)
class Detached:
    """A command started in the background. code: its exit code where it has ended already; said: its output so far."""

    pid: int
    log: Path
    code: int | None = None
    said: str = ""


def running(results: Path) -> list[Seen]:
    """The sweeps over a store that run now, on whatever host."""
    return [seen for path in sorted(Results(results).sweeps.glob("*.running")) if (seen := read(path)) and seen.alive]


def read(path: Path) -> Seen | None:
    """What a running sweep's file says; None where there is none, or none that can be read."""
    said = read_json(path)
    who = living.who(said)
    if who is None or not isinstance(said, dict):
        return None
    name, began, command = said.get("name"), living.seconds(said.get("began")), said.get("command")
    if not isinstance(name, str) or began is None or not isinstance(command, str):
        return None
    return Seen(path, name, who, began, command)


def settle(results: Path) -> None:
    """Remove the files of sweeps that are gone. Of those on other machines each is watched until it gives a sign, as a
    living one does every few seconds, or has been silent for a minute."""
    files = sorted(Results(results).sweeps.glob("*.running"))
    open_ones = {path: living.sign(path) for path in files if (seen := read(path)) and not seen.here and seen.alive}
    while open_ones:
        time.sleep(LOOK_SECONDS)
        for path, before in list(open_ones.items()):
            seen = read(path)
            if seen is None or not seen.alive or living.sign(path) != before:
                del open_ones[path]
    _remove_dead(files)


def _remove_dead(files: Sequence[Path]) -> None:
    for path in files:
        seen = read(path)
        if seen is not None and not seen.alive:
            path.unlink(missing_ok=True)


class Seat:
    """This process's file among the running sweeps."""

    def __init__(self, path: Path) -> None:
        self.path, self.request = path, path.with_name(f"{path.name}.stop")
        self._next = 0.0

    def asked(self) -> str | None:
        """`stop` or `now` where somebody on another host has asked; looks every few seconds, and says so once."""
        if time.monotonic() < self._next:
            return None
        self._next = time.monotonic() + TOUCH_SECONDS
        with contextlib.suppress(OSError):
            os.utime(self.path)
        if (word := read_small(self.request)) is None:
            return None
        with contextlib.suppress(OSError):
            self.request.unlink(missing_ok=True)
        return "now" if word.strip() == b"now" else "stop"


@contextlib.contextmanager
def announced(results: Path, name: str, command: str) -> Iterator[Seat]:
    """Within the block the sweep is known as running."""
    folder = Results(results).sweeps
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"name": name, **living.me(), "began": time.time(), "command": command})
    _remove_dead(sorted(folder.glob("*.running")))
    n = 1
    while True:
        path = folder / (f"{name}.running" if n == 1 else f"{name}+{n}.running")
        try:
            write_once(path, content)
            break
        except FileExistsError:
            n += 1
    seat = Seat(path)
    seat.request.unlink(missing_ok=True)  # of an earlier one
    try:
        yield seat
    finally:
        for each in (path, seat.request):
            with contextlib.suppress(OSError):
                each.unlink(missing_ok=True)


def stop(results: Path, name: str, *, now: bool = False, wait: float = STOP_SECONDS) -> list[str]:
    """Ask the running sweeps of a name to stop as Ctrl-C would (now: as pressed twice), wait, and say how that went.

    Raises BadInput where none of that name runs.
    """
    there = running(results)
    found = [seen for seen in there if seen.name == name]
    if not found:
        known = sorted({seen.name for seen in there})
        raise BadInput(f"no sweep {name!r} is running; {nearest(name, known) if known else 'none is at all.'}")
    for seen in found:
        _ask(seen, now=now)
    until = time.monotonic() + wait
    while any(map(_goes_on, found)) and time.monotonic() < until:
        time.sleep(0.1)
    return [_how_it_went(seen) for seen in found]


def _ask(seen: Seen, *, now: bool) -> None:
    """Ask a sweep to stop: by a signal on this machine, by a file elsewhere."""
    if not seen.here:
        write_atomic(seen.path.with_name(f"{seen.path.name}.stop"), "now\n" if now else "stop\n")
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(seen.pid, signal.SIGTERM)
        if now:  # the other signal: two of one kind would be taken for one
            os.kill(seen.pid, signal.SIGINT)


def _goes_on(seen: Seen) -> bool:
    return seen.path.exists() and seen.alive


def _how_it_went(seen: Seen) -> str:
    where = f"({seen.host}, process {seen.pid})"
    if _goes_on(seen):
        silent = ", which has given no sign meanwhile" * (not seen.here and seen.silent > SILENT_SECONDS)
        return f"{seen.name}: asked to stop, still stopping {where}{silent}"
    return f"{seen.name}: stopped {where}; its command resumes it: {seen.command}"


def detach(words: Sequence[str], results: Path, name: str, wait: float = START_SECONDS) -> Detached:
    """Start `rnnbench WORDS` in a session of its own, deaf to the end of this one.

    Returns when it can be stopped by name, or has ended already, or after `wait` seconds, or at a Ctrl-C: it goes on.
    """
    log = Results(results).log(name)
    log.parent.mkdir(parents=True, exist_ok=True)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # inherited
    try:
        with log.open("ab") as file:
            began = file.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "rnnbench", *words], stdin=subprocess.DEVNULL, stdout=file,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGHUP, before)
    until = time.monotonic() + wait
    with contextlib.suppress(KeyboardInterrupt):  # it is not reached by it: what is to be said is how to stop it
        while time.monotonic() < until and process.poll() is None:
            if any(seen.pid == process.pid and seen.here for seen in running(results)):
                break
            time.sleep(0.1)
    with log.open("rb") as file:
        file.seek(began)
        said = file.read().decode(errors="replace")
    return Detached(process.pid, log, process.poll(), said)
