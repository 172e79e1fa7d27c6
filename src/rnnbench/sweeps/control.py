"""Running sweeps as other processes see them: which there are, how to ask one to stop, how to start one detached.

While a sweep runs there is `results/sweeps/NAME.running` with who and where (`NAME+2.running` for a second one of that
name); its loop touches the file every few seconds. `NAME.running.stop` beside it asks one on another host to stop.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from rnnbench.errors import BadInput, nearest
from rnnbench.runs.attempts import STALE_SECONDS
from rnnbench.store.folder import Results
from rnnbench.store.store import write_atomic

TOUCH_SECONDS = 2.0  # from one look for a stop file to the next
STOP_SECONDS = 15.0  # what a sweep takes to stop, at most
START_SECONDS = 30.0  # what a detached one takes until it is known as running; planning thousands of runs takes longer


@dataclass(frozen=True)
class Seen:
    """A sweep that runs, as its file says. began: seconds since 1970."""

    path: Path
    name: str
    host: str
    pid: int
    born: float
    began: float
    command: str

    @property
    def here(self) -> bool:
        return self.host == platform.node()

    @property
    def alive(self) -> bool:
        """Whether it still runs: by its process on this host, by its file's age on another."""
        if not self.here:
            with contextlib.suppress(OSError):
                return time.time() - self.path.stat().st_mtime < STALE_SECONDS
            return False
        try:
            process = psutil.Process(self.pid)
            same = abs(float(process.create_time()) - self.born) < 2.0
            return same and bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False


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
    try:
        found = json.loads(path.read_text())
        return Seen(path, *(found[key] for key in ("name", "host", "pid", "born", "began", "command")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


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
        try:
            word = self.request.read_text().strip()
            self.request.unlink(missing_ok=True)
        except OSError:
            return None
        return word or "stop"


@contextlib.contextmanager
def announced(results: Path, name: str, command: str) -> Iterator[Seat]:
    """Within the block the sweep is known as running."""
    folder = Results(results).sweeps
    folder.mkdir(parents=True, exist_ok=True)
    me = psutil.Process()
    content = {
        "name": name, "host": platform.node(), "pid": me.pid, "born": me.create_time(), "began": time.time(),
        "command": command,
    }  # fmt: skip
    for path in folder.glob("*.running"):
        with contextlib.suppress(FileNotFoundError):
            seen = read(path)
            torn = seen is None and time.time() - path.stat().st_mtime > TOUCH_SECONDS  # else it is being written
            if torn or (seen is not None and not seen.alive):
                path.unlink()  # its sweep was killed
    n = 1
    while True:
        path = folder / (f"{name}.running" if n == 1 else f"{name}+{n}.running")
        try:
            with path.open("x") as file:
                json.dump(content, file)
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
        return f"{seen.name}: asked to stop, still stopping {where}"
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
