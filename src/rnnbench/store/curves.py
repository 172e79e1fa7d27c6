"""Histories of many runs, from the store or from a published set, where they are one file beside the records."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rnnbench.store.files import LARGEST_TABLE
from rnnbench.store.record import dumps
from rnnbench.store.rows import number
from rnnbench.store.store import Line, Store, read_jsonl, write_atomic

FILE = "curves.jsonl"
Curves = dict[str, list[Line]]


def read_curves(source: Store | Path, ids: Iterable[str]) -> Curves:
    """The history rows of runs by id, by step; runs without any are left out.

    source: a store, or the folder of a published set with `curves.jsonl` (one line a run: {"id": ..., "rows": [...]}).
    Of several rows with one step (a resumed run) the last stays.
    """
    wanted = sorted(set(ids))
    if isinstance(source, Store):
        found = {run: source.history(run) for run in wanted}
    else:
        lines = {str(line.get("id")): line.get("rows") for line in read_jsonl(source / FILE, LARGEST_TABLE)}
        found = {run: _rows(lines[run]) for run in wanted if run in lines}
    return {run: ordered for run, rows in found.items() if (ordered := _by_step(rows))}


def write_curves(store: Store, ids: Iterable[str], folder: Path) -> Path:
    """Freeze the histories of runs as folder/curves.jsonl, by id; the same histories give the same bytes."""
    curves = read_curves(store, ids)
    clean = [json.loads(dumps({"id": run, "rows": curves[run]})) for run in sorted(curves)]
    text = "".join(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n" for line in clean)
    path = folder / FILE
    write_atomic(path, text)
    return path


def _rows(value: Any) -> list[Line]:
    """What a line of the file has for rows, those that are some."""
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _by_step(rows: Iterable[Line]) -> list[Line]:
    steps = {number(row.get("step")): dict(row) for row in rows}
    return [steps[step] for step in sorted(step for step in steps if step == step)]  # NaN is not equal to itself
