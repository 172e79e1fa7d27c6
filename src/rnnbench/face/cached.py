"""Files of data that was handed over in memory: `own/handed` in the user's cache, each under its content's hash.

All together take at most as many bytes as the readings of files may (`kept.MOST`): beyond, those that were used longest
ago are removed. One that is in use is not: beside NAME lies `.NAME.used`, on which whoever hands the data over holds a
shared lock of the kernel, which ends with the process and all that it forked, however they end. When that was last is
the mark's time, for the file's own times are what its hash is known by. Deleting the folder is safe where nothing runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from rnnbench.errors import BadInput, unwritable
from rnnbench.store.store import write_atomic

DIGITS = 16  # of a hash in the name of a file, which stands in what is said of it
HELD = 64  # files that one process holds: each call uses one, and those of a long session are not all in use
MARK = ".used"

_held: OrderedDict[Path, int] = OrderedDict()  # descriptors of marks, by the file


def kept(content: bytes, suffix: str) -> str:
    """The path of a file with this content, which stays while this process may need it; one that is there is left as it
    is. Raises BadInput where it cannot be written."""
    import platformdirs

    from rnnbench.datasets.own.kept import HANDED

    folder = platformdirs.user_cache_path("rnnbench") / "own" / HANDED
    path = folder / f"{hashlib.sha256(content).hexdigest()[:DIGITS]}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _hold(path)  # before it is looked for: from then on nobody removes it
        if not path.is_file() or path.stat().st_size != len(content):
            write_atomic(path, content)
    except OSError as error:
        said = unwritable(error, path) or f"{path}: {os.strerror(error.errno or 0)}"
        raise BadInput(f"data cannot be kept: {said}.") from None
    prune(folder)
    return str(path)


def _mark(path: Path) -> Path:
    return path.with_name(f".{path.name}{MARK}")


def _locked(path: Path, how: int) -> int:
    """A descriptor of a file's mark, locked: that of the mark which lies there, not of one removed meanwhile. Raises
    BlockingIOError where another has the lock, OSError."""
    while True:
        descriptor = os.open(_mark(path), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, how)
            if os.path.samestat(os.fstat(descriptor), os.stat(_mark(path))):
                return descriptor
        except FileNotFoundError:
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _hold(path: Path) -> None:
    """Hold a file as one that is used, from now on; where marks cannot be written or locked, it is not held."""
    if (before := _held.pop(path, None)) is not None:
        os.close(before)
    with contextlib.suppress(OSError):
        _held[path] = descriptor = _locked(path, fcntl.LOCK_SH)
        os.utime(descriptor)
    while len(_held) > HELD:
        os.close(_held.popitem(last=False)[1])


def prune(folder: Path, most: int | None = None) -> None:
    """Remove the files used longest ago beyond `most` bytes, but for those that a process holds; and what was left
    behind half written."""
    from rnnbench.datasets.own.kept import MOST

    files = sorted(_files(folder))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= (MOST if most is None else most):
            return
        if _removed(path):
            total -= size


def _files(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file was used last, its bytes, and where it lies."""
    from rnnbench.datasets.own.kept import UNFINISHED

    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):  # gone meanwhile
                found = path.lstat()
                if not path.name.startswith("."):
                    used = [mark.stat().st_mtime for mark in (_mark(path),) if mark.exists()]
                    yield max(found.st_mtime, *used), found.st_size, path
                elif not path.name.endswith(MARK) and time.time() - found.st_mtime > UNFINISHED:
                    path.unlink()


def _removed(path: Path) -> bool:
    """Remove a file that no process holds; whether it is gone."""
    try:
        descriptor = _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or on a file system without locks
        return False
    try:
        path.unlink()
        _mark(path).unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
