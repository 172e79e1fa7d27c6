"""A store of runs on disk: `results/runs/<id>/`, written so that nothing half-written is ever read. Imports no torch.

::

    config.yaml        resolved, written once                history.jsonl  metrics by step; torn lines are tolerated
    attempts/NNN/      mkdir = claim (see runs/attempts.py)  record.json    written once: proof of a finished run
    best.pt            weights that were best on validation  samples.npz    what it predicted on test (see samples.py)
    outcomes.npz       the loss of each test item (see outcomes.py)
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnbench.errors import UNWRITABLE, BadInput, nearest, shown
from rnnbench.store import record as records
from rnnbench.store.door import loads, read_record
from rnnbench.store.files import LARGEST_HISTORY, NoRegularFile, read_regular
from rnnbench.store.folder import Results
from rnnbench.store.parse import parse
from rnnbench.store.record import Record, RecordError

Line = dict[str, Any]  # one line of a JSON-lines file, unchecked: of a history, the metrics at one step

# What a file system says that knows no hard links.
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK)
FEW = 4  # ids in a sentence; they are no words that a reader would look through


def write_atomic(path: Path, text: str | bytes, *, sync_folder: bool = True) -> None:
    """Write a file whole or not at all: temporary file beside it, fsync, rename, fsync of the folder.

    sync_folder: False where a later write into the same folder syncs it, as a run's record does for what lies beside.
    """
    with _beside(path, text) as name:
        os.replace(name, path)
    if sync_folder:
        _sync(path.parent)


def write_once(path: Path, text: str | bytes) -> None:
    """Write a file whole or not at all, and never over another. Raises FileExistsError where there is one, even when
    both are written at the same moment, on whatever machines."""
    with _beside(path, text) as name:
        try:
            os.link(name, path)
        except OSError as error:
            if error.errno in NO_LINKS and not os.path.lexists(path):
                os.replace(name, path)
            elif error.errno in NO_LINKS:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            elif os.stat(name).st_nlink != 2:  # else NFS has made it, and lost the answer: see open(2)
                raise
    _sync(path.parent)


@contextlib.contextmanager
def _beside(path: Path, text: str | bytes) -> Iterator[str]:
    """A temporary file beside path with this content, on the disk; removed afterwards, where it still is.

    An OSError names path: those of `write` and `fsync` name no file.
    """
    data = text.encode() if isinstance(text, str) else text
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        yield name
    except OSError as error:
        if error.errno in UNWRITABLE:
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        if name is not None:
            with contextlib.suppress(OSError):
                os.unlink(name)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_jsonl(path: Path, largest: int = LARGEST_HISTORY) -> list[Line]:
    """The rows of a JSON-lines file, [] where there is none, no file, or one of more than largest bytes. A torn line
    (the process was killed) is left out, and so is one beyond the bounds of `parse`.

    A torn line need not be the last: a resumed run appends behind it. Bytes, because a tear may split a character.
    """
    try:
        lines = read_regular(path, largest).split(b"\n")
    except (FileNotFoundError, NoRegularFile):
        return []
    rows = []
    for line in lines:
        try:
            row = parse(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


@dataclass
class Store:
    """A folder of runs. `problems` lists, after reading, the records that could not be read, by path."""

    root: Path
    problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, results: str | Path | None = None) -> Store:
        """The store in results, else in RNNBENCH_RESULTS, else in `results/` of the current folder.

        Raises BadInput where that is a file: a command that only reads would take it for an empty store.
        """
        base = Path(results or os.environ.get("RNNBENCH_RESULTS") or "results")
        if base.is_file():
            raise BadInput(f"results are kept in a folder, and {base} is a file; name another with --results.")
        return cls(Results(base).runs)

    @property
    def results(self) -> Results:
        """The results folder that the store is a part of."""
        return Results(self.root.parent)

    def folder(self, run_id: str) -> Path:
        return self.root / run_id

    def record_path(self, run_id: str) -> Path:
        return self.folder(run_id) / "record.json"

    def ids(self) -> list[str]:
        """Every run in the store, finished or not, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(p.name for p in self.root.iterdir() if p.is_dir() and not p.name.startswith("."))

    def read(self, run_id: str) -> Record | None:
        """A run's record; None while the run is not finished. Raises RecordError where it is refused."""
        return read_record(f"{self.root}/{run_id}/record.json", run_id)  # a Path would take as long as the reading

    def iterate(self) -> Iterator[Record]:
        """Every readable record, by id. What cannot be read goes to `problems` and never stops the rest."""
        self.problems.clear()
        for run_id in self.ids():
            try:
                record = self.read(run_id)
            except (RecordError, OSError) as error:
                self.problems[str(self.record_path(run_id))] = str(error)
                continue
            if record is not None:
                yield record

    def records(self) -> dict[str, Record]:
        """Every readable record by id."""
        return {record["id"]: record for record in self.iterate()}

    def write(self, record: Record) -> Path:
        """Write a run's record, once. Raises FileExistsError on a second one: the first is never overwritten.

        Raises RecordError, and writes nothing, where the record could not be read back.
        """
        path = self.record_path(record["id"])
        if path.exists():
            raise FileExistsError(errno.EEXIST, "a record is written once, and exists", str(path))
        text = records.dumps(record)
        loads(text, name=str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_once(path, text)
        return path

    def set_aside(self, run_id: str, word: str = "failed") -> Path:
        """Move a run's record to `record.failed-N.json` so that the run can be done again; nothing is lost.

        word: why it is done again: `failed`, `stale` (see `sweeps.stale`), or `rerun` (asked for).
        """
        path = self.record_path(run_id)
        n = 1
        while (aside := path.with_name(f"record.{word}-{n}.json")).exists():
            n += 1
        os.replace(path, aside)
        return aside

    def last_aside(self, run_id: str) -> Record | None:
        """The record that was set aside last of a run that has no record now; None where there is none to read."""
        folder = self.folder(run_id)
        if self.record_path(run_id).exists():
            return None
        try:
            asides = sorted(folder.glob("record.*-*.json"), key=lambda path: path.lstat().st_mtime_ns)  # of its writing
            return read_record(asides[-1], run_id) if asides else None
        except (RecordError, OSError):
            return None

    def history(self, run_id: str) -> list[Line]:
        """A run's metrics by step, as far as they were written; none where they cannot be read."""
        try:
            return read_jsonl(self.folder(run_id) / "history.jsonl")
        except OSError:
            return []

    def find(self, prefix: str) -> str:
        """The one run whose id begins with prefix. Raises BadInput when there is none or more than one."""
        ids = self.ids()
        hits = [i for i in ids if i.startswith(prefix)]
        if len(hits) == 1:
            return hits[0]
        if not hits:
            hint = nearest(prefix, ids, FEW) if ids else "the store is empty: `rnnbench run` makes a first run."
            raise BadInput(f"no run {shown(prefix)} in {self.root}; {hint}")
        some = ", ".join(hits[:FEW]) + (" ..." if len(hits) > FEW else "")
        raise BadInput(f"{shown(prefix)} is the beginning of {len(hits)} runs ({some}); give more digits.")
