"""Where a search is remembered: Optuna's journal, `results/tune/NAME.journal`, one for all studies of a search.

The lock is the kernel's (flock): it ends with its holder, however that ends. A line torn by a kill is cut off, else
every later line would be lost with it.
"""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psutil
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock


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


def me() -> dict[str, str | int | float]:
    """This process, so that another can tell whether it still lives."""
    process = psutil.Process()
    return {"host": platform.node(), "pid": process.pid, "born": process.create_time()}


def gone(owner: Any, elsewhere: Collection[tuple[str, int]] | None = None) -> bool:
    """Whether the process that took a trial is no more. elsewhere: host and process of the searches that are known to
    run now; without it nobody can tell of another machine, and a process there counts as alive."""
    if not isinstance(owner, dict) or owner == me():
        return True
    if owner.get("host") != platform.node():
        return elsewhere is not None and (owner.get("host"), owner.get("pid")) not in elsewhere
    try:
        process = psutil.Process(owner["pid"])
        another = abs(float(process.create_time()) - owner["born"]) > 2.0
        return bool(another or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True
