"""Small files that other processes write: read without trust in what they are. A claim is a few hundred bytes."""

from __future__ import annotations

from pathlib import Path

from rnnbench.store.files import read_regular
from rnnbench.store.parse import parse

MOST_BYTES = 1 << 16


def read(path: Path) -> bytes | None:
    """A small plain file; None of what is missing, large, or of another kind (a FIFO is not waited for)."""
    try:
        return read_regular(path, MOST_BYTES)
    except (OSError, ValueError):
        return None


def read_json(path: Path) -> object:
    """What a small plain file of JSON says, within the bounds of `parse`; None where it says nothing."""
    content = read(path)
    try:
        return None if content is None else parse(content)
    except ValueError:
        return None
