"""Which process is meant, whether it lives, and how one on another machine is watched. Imports no torch.

A process is known by its number and the moment it began. On Linux that is the kernel's count of ticks since the machine
was started (field 22 of /proc/PID/stat) together with the id of that start, which no step of the wall clock moves;
psutil's `create_time` is that count plus the start of the machine by the wall clock, and moves with it. Elsewhere
`create_time` is what the kernel noted when the process began, and stays.

Here is where a process can be looked up: the same host, started once, one space of process numbers (two containers of
one name on one disk have two). Of any other there is its heartbeat alone, and that is never held against a clock, whose
hosts may disagree by hours: who watches it, and for so long by an own monotonic clock sees it change nothing, may call
the process dead.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

from rnnbench.store.small_files import read

STALE_SECONDS = 60.0  # of silence, watched, of a process that is elsewhere
GAP_SECONDS = 15.0  # between two looks count at most as this much watching: the watcher itself may have been suspended
MOST_PID = 2**31  # no system has more
MOST_SIGNS = 100_000  # places that one process remembers

Sign = tuple[object, ...]  # of a file: differs from the one before when it was written since


@dataclass(frozen=True)
class Who:
    """A process as a claim names it. born: seconds since 1970; what the system does not tell is None.

    boot: id of the machine's start; ticks: from there to the process's; space: of process numbers.
    """

    host: str
    pid: int
    born: float
    boot: str | None = None
    ticks: int | None = None
    space: int | None = None

    @property
    def here(self) -> bool:
        """Whether it can be looked up from this process. Where a claim has no `boot`, the host's name has to do."""
        if self.host != platform.node():
            return False
        ours = (_boot(), _space())
        return all(theirs is None or theirs == own for theirs, own in zip((self.boot, self.space), ours, strict=True))

    @property
    def lives(self) -> bool:
        """Whether this very process still runs; asked of one that is `here`. A new one of its number does not count."""
        if self.ticks is not None and self.boot is not None:
            state, ticks = _stat(self.pid)
            return ticks == self.ticks and state not in ("Z", "X", "x")
        try:
            process = psutil.Process(self.pid)
            same = abs(float(process.create_time()) - self.born) < 2.0
            return same and bool(process.status() != psutil.STATUS_ZOMBIE)
        except (psutil.Error, OSError, ValueError, OverflowError):
            return False


def me() -> dict[str, str | int | float | None]:
    """This process, as `who` reads it; to be written as JSON."""
    process = psutil.Process()
    own: dict[str, str | int | float | None] = {
        "host": platform.node(), "pid": process.pid, "born": process.create_time(),
    }  # fmt: skip
    boot, (_, ticks) = _boot(), _stat(process.pid)
    if boot is not None and ticks is not None:
        own |= {"boot": boot, "ticks": ticks, "space": _space()}
    return own


def who(said: object) -> Who | None:
    """The process that a file names; None where it names none. What it says is checked, never believed."""
    if not isinstance(said, Mapping):
        return None
    host, pid, born = (said.get(key) for key in ("host", "pid", "born"))
    boot, ticks, space = (said.get(key) for key in ("boot", "ticks", "space"))
    if not isinstance(host, str) or not _whole(pid, MOST_PID) or not pid or seconds(born) is None:
        return None
    return Who(
        host, pid, seconds(born) or 0.0, boot if isinstance(boot, str) else None,
        ticks if _whole(ticks) else None, space if _whole(space) else None,
    )  # fmt: skip


def seconds(value: object) -> float | None:
    """A number of seconds, finite and not below 0; None of anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    with contextlib.suppress(OverflowError):
        if 0 <= (number := float(value)) < math.inf:
            return number
    return None


def _whole(value: object, most: int = 2**63) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < most


@cache
def _boot() -> str | None:
    """The id of this machine's start (Linux)."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip() or None
    return None


def _space() -> int | None:
    """The space that this process's number is from: of a container its own (Linux)."""
    with contextlib.suppress(OSError):
        return os.stat("/proc/self/ns/pid").st_ino
    return None


def _stat(pid: int) -> tuple[str, int | None]:
    """State and start, in ticks since the machine's, of a process; ("", None) where there is none, or no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        fields = text[text.rindex(")") + 2 :].split()  # behind the name, which may hold anything
        return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return "", None


def sign(path: Path) -> Sign:
    """What changes when a file is written: its stamps, size and content.

    The file is opened for it: a network file system answers a mere stat from memory, for up to a minute.
    """
    content = read(path)
    with contextlib.suppress(OSError, ValueError):
        found = os.stat(path)
        return found.st_ino, found.st_mtime_ns, found.st_size, content
    return (None,)


class Watch:
    """What one process has seen of others' signs: for how long each has been the same while it was looked at."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[Sign, float, float]] = {}  # the sign, when last looked, seconds without a change

    def silent(self, place: Path, now: Sign) -> float:
        """For how many seconds the sign of a place has not changed, as far as this process has watched it."""
        key, moment = os.fspath(place), time.monotonic()
        before, looked, quiet = self._seen.pop(key, ((), moment, 0.0))
        quiet = quiet + min(moment - looked, GAP_SECONDS) if before == now else 0.0
        self._seen[key] = now, moment, quiet
        if len(self._seen) > MOST_SIGNS:
            del self._seen[next(iter(self._seen))]
        return quiet

    def forget(self) -> None:
        """As if nothing had been watched."""
        self._seen.clear()


WATCH = Watch()  # of this process
