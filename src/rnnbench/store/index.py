"""What a store's records say in short, as one table in `results/index.parquet`: a hundred thousand runs in seconds.

Derived and never trusted: a row counts only while its record.json has the very time, size and inode it was read from,
and only if this code made it; every other record is read itself. So the file may be deleted, damaged, or written by two
processes at once. It is written when enough of it is new to be worth the writing, whole or not at all. No torch.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rnnbench.store.folder import is_id
from rnnbench.store.record import FINAL, Record, RecordError
from rnnbench.store.rows import COLUMNS, Row, columns, fitting, metrics_of, number, row
from rnnbench.store.store import Store, write_atomic

FEWEST = 200  # records that are read again in a moment need no index
SHARE = 50  # written when one in so many records is not in it: each record is then written about once, at any size
AT_ONCE = 2_000  # records that are read before their rows become a part of the table: the rest of them may go

GONE = "it is gone"
UNSIGNED = 2**64 - 1

KEY = ("mtime_ns", "size", "inode")  # of record.json: what tells that it changed
KINDS = {"Int64": "int64", "float64": "double", "boolean": "bool"}  # pandas' names -> arrow's
DIFFERENT = ("id", "started", "finished")  # texts that nearly every record has of its own
METRIC = "metric "  # how the column of a metric begins


@dataclass
class Index:
    """A store in short. table: a pyarrow table, one row a readable record, by folder; its columns are `folder`,
    `rows.COLUMNS` (times as text), and one for each metric (`metrics`): NaN where it is no finite number, missing where
    the record has no such metric. unfinished: the run folders without a record, sorted; problems: by path, why a
    record cannot be read."""

    table: Any
    unfinished: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, str]:
        """The metrics that any record has, sorted, each with its column in the table."""
        found = [name for name in self.table.column_names if name.startswith(METRIC)]
        there = [name for name in found if self.table[name].null_count < self.table.num_rows]
        return dict(sorted((name.removeprefix(METRIC), name) for name in there))

    def columns(self, *names: str) -> dict[str, list[Any]]:
        """Some columns as lists of plain values, None where a record has none."""
        return {name: _plain_values(self.table[name]) for name in names}

    def by_folder(self, *names: str) -> dict[str, Row]:
        """Some columns of every readable record by the name of its folder, which is its id."""
        found = self.columns("folder", *names)
        rows = zip(*(found[name] for name in names), strict=True)
        return {run: dict(zip(names, values, strict=True)) for run, values in zip(found["folder"], rows, strict=True)}

    def of(self, runs: Iterable[str], *names: str) -> tuple[dict[str, Row], dict[str, str]]:
        """Some columns of those of these runs that have a record, and why a record cannot be read; both by id."""
        rows = self.by_folder(*names)
        damaged = {Path(path).parent.name: why for path, why in self.problems.items()}
        asked = list(runs)
        return {run: rows[run] for run in asked if run in rows}, {run: damaged[run] for run in asked if run in damaged}


def _plain_values(column: Any) -> list[Any]:
    """A column of a table as Python values; of few different ones each is made once."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        values: list[Any] = column.to_pylist()
        return values
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    texts = [*whole.dictionary.to_pylist(), None]  # -1 is the last, the missing one
    return [texts[at] for at in whole.indices.fill_null(-1).to_numpy().tolist()]


def load(store: Store) -> Index:
    """The index of a store as it is at this moment, brought up to date first."""
    import pyarrow.compute as pc

    seen = _scan(store.root)
    old = _read(store.results.index)
    holds, new = _compared(old, seen)
    table = _joined(old, holds, _rows_of(store, seen, new))
    stale = len(new) + (len(holds) - int(holds.sum()))
    if len(seen.folders) >= FEWEST and stale * SHARE >= len(seen.folders) and stale:
        _write(table, store.results.index)
    if table["problem"].null_count == table.num_rows:
        return Index(table, seen.unfinished, seen.odd)
    bad = table.filter(pc.is_valid(table["problem"])).select(["folder", "problem"]).to_pydict()
    problems = {str(store.record_path(f)): p for f, p in zip(bad["folder"], bad["problem"], strict=True)}
    return Index(table.filter(pc.is_null(table["problem"])), seen.unfinished, problems | seen.odd)


def of_runs(store: Store, runs: Sequence[str], *names: str) -> tuple[dict[str, Row], dict[str, str]]:
    """Some columns of the runs that have a record, and why a record cannot be read; both by id.

    A few are read themselves: a sweep of ten runs does not wait for an index of a hundred thousand.
    """
    if len(runs) > FEWEST:
        return load(store).of(runs, *names)
    known, problems = {}, {}
    for run in runs:
        record, problem = _record(store, run)
        if record is not None:
            values = row(record)
            known[run] = {name: fitting(values[name], COLUMNS[name]) for name in names}
        elif problem != GONE:
            problems[run] = problem
    return known, problems


@dataclass(frozen=True)
class Seen:
    """What a look at a store's folders found. folders: those with a record, sorted by name; keys: a row for each of
    them (`KEY`), by what tells a changed file; unfinished: the folders without a record, sorted; odd: by path, why a
    record cannot even be named in a table."""

    folders: list[str]
    keys: np.ndarray
    unfinished: list[str]
    odd: dict[str, str] = field(default_factory=dict)


def _scan(root: Path) -> Seen:
    """One look at every run folder: one `stat` a record, relative to the open folder, which is the shorter way."""
    try:
        with os.scandir(root) as entries:
            names = sorted([entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry)])
        base = os.open(root, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return Seen([], np.empty((0, len(KEY)), np.uint64), [])
    folders: list[str] = []
    unfinished: list[str] = []
    odd: dict[str, str] = {}
    keys: list[int] = []  # of all folders in one list of numbers: nothing that Python's garbage collector walks through
    try:
        for name in names:
            try:
                found = os.stat(f"{name}/record.json", dir_fd=base)
            except (FileNotFoundError, NotADirectoryError):
                unfinished.append(name)
                continue
            except OSError as error:
                odd[f"{root}/{name}/record.json"] = f"{root}/{name}/record.json cannot be read: {error.strerror}"
                continue
            if not is_id(name):
                odd[f"{root}/{name}/record.json"] = f"{root}/{name} is named in bytes that are no text (UTF-8)"
                continue
            folders.append(name)
            # a time before 1970 or far ahead is as good as any to tell a change by
            keys += (found.st_mtime_ns & UNSIGNED, found.st_size, found.st_ino)
    finally:
        os.close(base)
    return Seen(folders, np.array(keys, np.uint64).reshape(-1, len(KEY)), unfinished, odd)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _compared(old: Any, seen: Seen) -> tuple[np.ndarray, list[int]]:
    """Which rows of the index that was written still hold, and the numbers of the folders that it does not answer."""
    if old is None:
        return np.empty(0, bool), list(range(len(seen.folders)))
    import pyarrow as pa
    import pyarrow.compute as pc

    places = pc.index_in(pa.array(seen.folders, pa.string()), value_set=old["folder"]).fill_null(-1).to_numpy()
    keys = np.column_stack([old[name].to_numpy() for name in KEY])
    # -1, of a folder that is new, is the last row: whatever that says, it is not of this folder
    answered = (places >= 0) & (keys[places] == seen.keys).all(axis=1) if len(keys) else places >= 0
    holds = np.zeros(old.num_rows, bool)
    holds[places[answered]] = True
    return holds, np.flatnonzero(~answered).tolist()


def _rows_of(store: Store, seen: Seen, new: Sequence[int]) -> list[Any]:
    """The rows of the folders of these numbers, read from their records, as tables of some each."""
    parts = [new[at : at + AT_ONCE] for at in range(0, len(new), AT_ONCE)]
    return [_read_rows(store, [seen.folders[n] for n in some], seen.keys[some]) for some in parts]


def _read_rows(store: Store, folders: Sequence[str], keys: np.ndarray) -> Any:
    """Records as rows of the index; of one that cannot be read, why."""
    import pyarrow as pa

    rows, metrics, problems = [], [], []
    for folder in folders:  # one record at a time: thousands of them alive keep Python's garbage collector busy
        record, problem = _record(store, folder)
        if record is not None:
            rows.append(row(record))
            metrics.append(metrics_of(record))
        problems.append(None if record is not None else problem)
    made = {name: pa.array(values, _type(name)) for name, values in columns(rows).items()}
    made |= {METRIC + name: pa.array(values, pa.float64()) for name, values in _by_metric(metrics).items()}
    if len(rows) < len(folders):
        readable = np.array([problem is None for problem in problems])
        places = pa.array(np.cumsum(readable) - 1, pa.int64(), mask=~readable)
        made = {name: values.take(places) for name, values in made.items()}
    own = zip(HEAD, [folders, *keys.T, problems], strict=True)
    return pa.table({name: pa.array(values, _type(name)) for name, values in own} | made)


def _record(store: Store, folder: str) -> tuple[Record | None, str]:
    """A folder's record, else why it cannot be read."""
    try:
        record = store.read(folder)
    except (RecordError, OSError) as error:
        return None, str(error)
    return record, GONE  # it was set aside between the look and the reading


def _by_metric(metrics: Sequence[Row]) -> dict[str, list[float | None]]:
    """The metrics of some records by name: NaN where one is no finite number, None where a record has none."""
    names = dict.fromkeys(name for some in metrics for name in some)
    return {name: [number(some[name]) if name in some else None for some in metrics] for name in names}


HEAD = {"folder": "string", "mtime_ns": "uint64", "size": "uint64", "inode": "uint64", "problem": "string"}


def _type(name: str) -> Any:
    """The type of a fixed column. Texts that many records share are kept once, and their number for each record."""
    import pyarrow as pa

    if name in HEAD:
        return pa.type_for_alias(HEAD[name])
    if COLUMNS[name] in KINDS:
        return pa.type_for_alias(KINDS[COLUMNS[name]])
    return pa.string() if name in DIFFERENT else pa.dictionary(pa.int32(), pa.string())


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema([pa.field(name, _type(name)) for name in (*HEAD, *COLUMNS)])


@functools.cache
def _made_by() -> str:
    """Of the code that makes rows: an index made by other code is made again."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for name in ("index.py", "door.py", "kinds.py", "parse.py", "record.py", "rows.py"):
        digest.update((package / name).read_bytes())
    return digest.hexdigest()[:16]


def _read(path: Path) -> Any:
    """The table as it was written; None where there is none, or none that can be used."""
    if not path.is_file():
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError):
        return None
    made_by = (table.schema.metadata or {}).get(b"made_by")
    is_ours = made_by == _made_by().encode() and _fits(table.schema) and _is_true(table)
    return table if is_ours else None


def _fits(schema: Any) -> bool:
    """Whether these are the columns that are written: whatever calls itself ours need not be it."""
    import pyarrow as pa

    fixed = _schema()
    if schema.names[: len(fixed)] != fixed.names or len(set(schema.names)) < len(schema.names):
        return False
    metrics = [schema.field(n) for n in range(len(fixed), len(schema))]
    return all(schema.field(n).type == fixed.field(n).type for n in range(len(fixed))) and all(
        field.name.startswith(METRIC) and field.type == pa.float64() for field in metrics
    )


def _is_true(table: Any) -> bool:
    """Whether every row says what the record of its folder must: an id, and an end that there is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    good = table.filter(pc.is_null(table["problem"]))
    ids = pc.equal(good["id"].cast(pa.string()), good["folder"])
    ends = pc.is_in(good["status"].cast(pa.string()), value_set=pa.array(FINAL))
    return not table["folder"].null_count and all(
        pc.all(each, skip_nulls=False).as_py() is not False and not each.null_count for each in (ids, ends)
    )


def _joined(old: Any, holds: np.ndarray, new: Sequence[Any]) -> Any:
    """The rows that still hold with the new ones, by folder."""
    import pyarrow as pa

    if old is not None and not new:
        return old if holds.all() else old.filter(pa.array(holds))
    kept = [] if old is None or not holds.any() else [old.filter(pa.array(holds))]
    whole = pa.concat_tables([_schema().empty_table(), *kept, *new], promote_options="default")
    whole = whole.unify_dictionaries().combine_chunks()
    return whole.sort_by("folder") if kept else whole


def _write(table: Any, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = pa.BufferOutputStream()
    marked = table.replace_schema_metadata({"made_by": _made_by()})
    pq.write_table(marked, buffer, compression="lz4", write_page_checksum=True)
    with contextlib.suppress(OSError):  # a store that may only be read, a full disk: the next command reads records
        write_atomic(path, buffer.getvalue().to_pybytes())
