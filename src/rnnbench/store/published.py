"""Published sets: the frozen records of a sweep, one folder each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rnnbench.store import record as records


def published(results: Path) -> dict[str, Path]:
    """The published sets of a results folder, by name."""
    return {path.parent.name: path.parent for path in sorted((results / "published").glob("*/records.jsonl"))}


def read_published(folder: Path) -> list[dict[str, Any]]:
    """A published set's records, old schemas upgraded. Raises RecordError where a line is damaged."""
    lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return [records.loads(line, name=f"{folder.name}, line {n}") for n, line in enumerate(lines, 1)]
