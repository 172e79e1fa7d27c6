"""Files of strangers, read whole: regular files only, and none that is larger than it has any reason to be.

A pipe that is called record.json would be waited for without end, a device may never end.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST = 64 * 2**20  # bytes of a file of JSON or yaml; the largest record of a published set has 8,000
LARGEST_HISTORY = 2**28  # a million steps
LARGEST_TABLE = 2**30  # of many records, trials or frames: a published set of a hundred thousand runs


NEVER_OPENED = (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP)  # what is said of a socket, or a device that is not there


class NoRegularFile(OSError):
    """There is something of that name, and it is no file that could be read to its end."""


def read_regular(path: str | Path, largest: int = LARGEST) -> bytes:
    """The content of a regular file (or of a link to one); nothing else is waited for.

    largest: in bytes; a sparse file has any size and takes no room until it is read. Raises FileNotFoundError,
    NoRegularFile, or OSError where it cannot be read.
    """
    # O_NONBLOCK: to open a pipe that nobody writes into would wait for the writer
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NoRegularFile(f"{os.fspath(path)} is a link that leads to itself") from None
        if error.errno in NEVER_OPENED:
            raise NoRegularFile(f"{os.fspath(path)} is no regular file") from None
        raise
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise NoRegularFile(f"{os.fspath(path)} is no regular file")
        if found.st_size > largest:
            raise NoRegularFile(f"{os.fspath(path)} has {found.st_size:,} bytes, and at most {largest:,} are read")
        return _read(handle, found.st_size)
    finally:
        os.close(handle)


def read_if_regular(path: str | Path, largest: int = LARGEST_TABLE) -> bytes | None:
    """As `read_regular`; None of what is missing, or is no such file."""
    try:
        return read_regular(path, largest)
    except (FileNotFoundError, NotADirectoryError, NoRegularFile):
        return None


def _read(handle: int, size: int) -> bytes:
    """As many bytes as the file had when it was opened, fewer where it was cut since: one call reads at most 2 GB."""
    data = os.read(handle, size)
    while len(data) < size and (more := os.read(handle, size - len(data))):
        data += more
    return data
