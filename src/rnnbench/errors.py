"""The errors a user can cause, each one sentence that says what is wrong and what to do."""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable

LISTED = 40  # choices of ours in a sentence
IDS = 10  # ids, or names that users gave, in a sentence
SHOWN = 60  # characters of a value that is named in a sentence


class BadInput(ValueError):
    """What the user asked for cannot be done: shown as one sentence without a traceback, exit code 2."""


class AxisRefused(BadInput):
    """A cell cannot take this axis (peepholes on a GRU): `run` refuses it, a sweep records a skipped cell."""


class NotHere(AxisRefused):
    """This machine lacks what the axis needs (a compiler), and another may have it: a sweep's skipped cell is a run."""


class MissingData(BadInput):
    """A dataset's file is missing, corrupt or cannot be fetched; the sentence names the file and the command."""


# Why nothing can be written, in words, and what to do. None of it is the fault of the run that met it.
UNWRITABLE = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk quota is used up", "free some space"),
    errno.EROFS: ("the disk can only be read", "name a folder elsewhere (--results, --output)"),
    errno.EACCES: ("access is denied", "ask its owner, or name a folder elsewhere (--results, --output)"),
    errno.EPERM: ("access is denied", "ask its owner, or name a folder elsewhere (--results, --output)"),
}


def disk_full(error: BaseException | None) -> bool:
    """Whether an error means that nothing more can be written: no fault of the run that met it."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def unwritable(error: OSError, place: object) -> str | None:
    """Why nothing can be written, with the path, in a sentence without its full stop; None of any other error.

    place: what is named where the error names no file.
    """
    if error.errno not in UNWRITABLE:
        return None
    what, then = UNWRITABLE[error.errno]
    path = error.filename if isinstance(error.filename, (str, bytes, os.PathLike)) else place
    return f"{what} ({os.fsdecode(path) if isinstance(path, bytes) else path}: {os.strerror(error.errno)}): {then}"


# What the loader says where the memory that a process may have is too small for torch's libraries.
NO_ROOM = ("failed to map segment", "cannot allocate memory", "cannot create shared object", "cannot apply additional")


def no_room(error: BaseException) -> bool:
    """Whether an import failed since memory did not suffice."""
    return isinstance(error, MemoryError) or any(text in str(error).lower() for text in NO_ROOM)


def no_start(error: BaseException) -> str:
    """Why nothing can be computed here at all, in a sentence without its full stop."""
    what = " ".join(str(error).split()) or type(error).__name__
    if no_room(error):
        return f"memory is too small to start torch ({what}): allow more (`ulimit -v`, the job's or container's limit)"
    return f"a worker cannot start: {type(error).__name__}: {what}"


def nearest(name: str, known: Iterable[str], most: int = LISTED) -> str:
    """The end of a sentence about an unknown name: the nearest known ones, else all, or the first `most`."""
    known = sorted(known)
    close = difflib.get_close_matches(name[:SHOWN], known, n=3, cutoff=0.5)
    return "did you mean " + " or ".join(close) + "?" if close else listed(known, most)


def listed(known: Iterable[str], most: int = LISTED) -> str:
    """The end of a sentence: what there is, or the first `most` of it."""
    known = sorted(known)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return "known: " + ", ".join(known[:most]) + more + "."


def listed_ids(ids: Iterable[str], most: int = IDS) -> str:
    """Some ids in a sentence: the first `most`, and how many more there are."""
    found = list(ids)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def shown(value: object) -> str:
    """A value as a sentence names it, which is not longer for it: its beginning, where it is long or nested."""
    text = repr(value) if isinstance(value, (str, int, float, bool)) or value is None else _outline(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}... ({len(text):,} characters)"


def _outline(value: object) -> str:
    """What a nested value is, without a look at all of it."""
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    return f"a list of {len(value)}" if isinstance(value, (list, tuple)) else type(value).__name__
