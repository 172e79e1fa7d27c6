"""Small files that other processes write: read without trust in what they are. A claim is a few hundred bytes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

MOST_BYTES = 1 << 16


def read(path: Path) -> bytes | None:
    """A small plain file; None of what is missing, large, or of another kind (a FIFO is not waited for)."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            return None
        return os.read(handle, MOST_BYTES)
    except OSError:
        return None
    finally:
        os.close(handle)


def read_json(path: Path) -> object:
    """What a small plain file of JSON says; None where it says nothing."""
    content = read(path)
    try:
        return None if content is None else json.loads(content)
    except (ValueError, RecursionError):
        return None
