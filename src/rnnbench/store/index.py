"""What a store's records say in short, as one table in `results/index.parquet`: a hundred thousand runs in seconds.

Derived and never trusted: a row counts only while its record.json has the very time, size and inode it was read from,
and only if this code made it; every other record is read itself. So the file may be deleted, damaged, or written by two
processes at once. It is written when enough of it is new to be worth the writing, whole or not at all. No torch.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnbench.store.record import RecordError
from rnnbench.store.rows import COLUMNS, fitting, part, row
from rnnbench.store.store import Store, write_atomic

FILE = "index.parquet"
FEWEST = 200  # records that are read again in a moment need no index
SHARE = 50  # written when one in so many records is not in it: each record is then written about once, at any size

GONE = "it is gone"

Key = tuple[int, int, int]  # of record.json: time of change (ns), size, inode
KINDS = {"str": "string", "Int64": "int64", "float64": "double", "boolean": "bool"}  # pandas' names -> arrow's


@dataclass
class Index:
    """A store in short. table: a pyarrow table, one row a readable record, by folder; its columns are `rows.COLUMNS`
    (times as text), `folder`, and `metrics` as JSON. unfinished: the run folders without a record, sorted; problems:
    by path, why a record cannot be read."""

    table: Any
    unfinished: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    def columns(self, *names: str) -> dict[str, list[Any]]:
        """Some columns as lists of plain values, None where a record has none."""
        found: dict[str, list[Any]] = self.table.select(list(names)).to_pydict()
        return found

    def by_folder(self, *names: str) -> dict[str, dict[str, Any]]:
        """Some columns of every readable record by the name of its folder, which is its id."""
        found = self.columns("folder", *names)
        rows = zip(*(found[name] for name in names), strict=True)
        return {run: dict(zip(names, values, strict=True)) for run, values in zip(found["folder"], rows, strict=True)}

    def of(self, runs: Iterable[str], *names: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
        """Some columns of those of these runs that have a record, and why a record cannot be read; both by id."""
        rows = self.by_folder(*names)
        damaged = {Path(path).parent.name: why for path, why in self.problems.items()}
        asked = list(runs)
        return {run: rows[run] for run in asked if run in rows}, {run: damaged[run] for run in asked if run in damaged}


def load(store: Store) -> Index:
    """The index of a store as it is at this moment, brought up to date first."""
    seen, unfinished = _scan(store.root)
    old = _read(store.root.parent / FILE)
    known = {} if old is None else _known(old)
    kept = [known[folder][1] for folder, key in seen.items() if folder in known and known[folder][0] == key]
    new = [folder for folder, key in seen.items() if folder not in known or known[folder][0] != key]
    table = _joined(old, kept, [_entry(store, folder, seen[folder]) for folder in new])
    stale = len(new) + len(known) - len(kept)
    if len(seen) >= FEWEST and stale * SHARE >= len(seen) and stale:
        _write(table, store.root.parent / FILE)
    import pyarrow.compute as pc

    bad = table.filter(pc.is_valid(table["problem"])).select(["folder", "problem"]).to_pydict()
    problems = {str(store.record_path(f)): p for f, p in zip(bad["folder"], bad["problem"], strict=True)}
    return Index(table.filter(pc.is_null(table["problem"])), unfinished, problems)


def of_runs(store: Store, runs: Sequence[str], *names: str) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Some columns of the runs that have a record, and why a record cannot be read; both by id.

    A few are read themselves: a sweep of ten runs does not wait for an index of a hundred thousand.
    """
    if len(runs) > FEWEST:
        return load(store).of(runs, *names)
    entries = [_entry(store, run, (0, 0, 0)) for run in runs]
    known = {e["folder"]: {name: e[name] for name in names} for e in entries if "problem" not in e}
    return known, {e["folder"]: e["problem"] for e in entries if e.get("problem", GONE) != GONE}


def _scan(root: Path) -> tuple[dict[str, Key], list[str]]:
    """Each run folder's record by what tells a changed file, and the folders without one; sorted by name."""
    seen: dict[str, Key] = {}
    unfinished = []
    try:
        with os.scandir(root) as entries:
            folders = sorted(entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return {}, []
    base = str(root)
    for name in folders:
        try:
            stat = os.stat(f"{base}/{name}/record.json")
        except OSError:
            unfinished.append(name)
            continue
        seen[name] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
    return seen, unfinished


def _entry(store: Store, folder: str, key: Key) -> dict[str, Any]:
    """One record as a row of the index; of one that cannot be read, why."""
    entry: dict[str, Any] = {"folder": folder, "mtime_ns": key[0], "size": key[1], "inode": str(key[2])}
    try:
        record = store.read(folder)
    except (RecordError, OSError) as error:
        return entry | {"problem": str(error)}
    if record is None:  # set aside between the look and the reading
        return entry | {"problem": GONE}
    return entry | {"metrics": json.dumps(_numbers(part(record, "metrics")))} | _fitted(row(record))


def _numbers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): value if isinstance(value, (int, float)) else None for name, value in metrics.items()}


def _fitted(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fitting(values[name], kind) for name, kind in COLUMNS.items()}


def _schema() -> Any:
    import pyarrow as pa

    fields = [("folder", "string"), ("mtime_ns", "int64"), ("size", "int64"), ("inode", "string"),
              ("problem", "string"), ("metrics", "string")]  # fmt: skip
    fields += [(name, KINDS.get(kind, "string")) for name, kind in COLUMNS.items()]
    return pa.schema([pa.field(n, pa.type_for_alias(k)) for n, k in fields], {"made_by": _made_by()})


@functools.cache
def _made_by() -> str:
    """Of the code that makes rows: an index made by other code is made again."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for name in ("index.py", "record.py", "rows.py"):
        digest.update((package / name).read_bytes())
    return digest.hexdigest()[:16]


def _read(path: Path) -> Any:
    """The table as it was written; None where there is none, or none that can be used."""
    if not path.is_file():
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, memory_map=False)
    except (pa.ArrowException, OSError, ValueError):
        return None
    return table if table.schema.equals(_schema(), check_metadata=True) else None


def _known(table: Any) -> dict[str, tuple[Key, int]]:
    old = table.select(["folder", "mtime_ns", "size", "inode"]).to_pydict()
    keys = zip(old["folder"], old["mtime_ns"], old["size"], old["inode"], strict=True)
    return {folder: ((time, size, int(inode)), n) for n, (folder, time, size, inode) in enumerate(keys)}


def _joined(old: Any, kept: list[int], new: Iterable[Mapping[str, Any]]) -> Any:
    """The rows that still hold with the new ones, by folder."""
    import pyarrow as pa

    fresh = pa.Table.from_pylist(list(new), schema=_schema())
    if old is None:
        return fresh
    if len(kept) < old.num_rows:
        old = old.take(pa.array(kept, pa.int64()))
    return pa.concat_tables([old, fresh]).sort_by("folder") if fresh.num_rows else old


def _write(table: Any, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    with contextlib.suppress(OSError):  # a store that may only be read, a full disk: the next command reads records
        write_atomic(path, buffer.getvalue().to_pybytes())
