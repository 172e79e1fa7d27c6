"""Where a search is remembered: Optuna's journal, `results/tune/NAME.journal`, one for all studies of a search.

The lock is the kernel's (flock): it ends with its holder, however that ends. A line torn by a kill is cut off, else
every later line would be lost with it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from rnnbench.runs import living


class KernelLock(BaseJournalFileLock):
    """An exclusive lock on PATH.lock that the system lifts when its holder dies."""

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(path.name + ".lock")
        self._handle = -1

    def acquire(self) -> bool:
        """Wait for the lock and take it."""
        self._handle = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        os.close(self._handle)


def open_journal(path: Path) -> JournalStorage:
    """The journal at path, made where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = KernelLock(path)
    lock.acquire()
    try:
        _cut_torn_line(path)
    finally:
        lock.release()
    return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))


def set_aside(path: Path) -> None:
    """Move a journal to NAME.stale-N.journal: the search begins anew, nothing is lost."""
    n = 1
    while (aside := path.with_name(f"{path.stem}.stale-{n}{path.suffix}")).exists():
        n += 1
    if path.exists():
        os.replace(path, aside)


def _cut_torn_line(path: Path) -> None:
    """Nobody writes while we hold the lock, so an end without a line break was torn by a death."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        content = file.read()
        if content and not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


def me() -> dict[str, str | int | float | None]:
    """This process, so that another can tell whether it still lives."""
    return living.me()


def gone(owner: Any, elsewhere: Collection[tuple[str, int]] | None = None) -> bool:
    """Whether the process that took a trial is no more. elsewhere: host and process of the searches that are known to
    run now; without it nobody can tell of another machine, and a process there counts as alive."""
    who = living.who(owner)
    if who is None or who == living.who(me()):
        return True
    if not who.here:
        return elsewhere is not None and (who.host, who.pid) not in elsewhere
    return not who.lives
