"""The errors a user can cause, each one sentence that says what is wrong and what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

LISTED = 40  # known names in a sentence


class BadInput(ValueError):
    """What the user asked for cannot be done: shown as one sentence without a traceback, exit code 2."""


class AxisRefused(BadInput):
    """A cell cannot take this axis (peepholes on a GRU): `run` refuses it, a sweep records a skipped cell."""


class MissingData(BadInput):
    """A dataset's file is missing, corrupt or cannot be fetched; the sentence names the file and the command."""


def disk_full(error: BaseException | None) -> bool:
    """Whether an error means that nothing more can be written: no fault of the run that met it."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def nearest(name: str, known: Iterable[str], most: int = LISTED) -> str:
    """The end of a sentence about an unknown name: the nearest known ones, else all, or the first `most`."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return "did you mean " + " or ".join(close) + "?" if close else listed(known, most)


def listed(known: Iterable[str], most: int = LISTED) -> str:
    """The end of a sentence: what there is, or the first `most` of it."""
    known = sorted(known)
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return "known: " + ", ".join(known[:most]) + more + "."
