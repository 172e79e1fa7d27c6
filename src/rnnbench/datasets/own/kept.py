"""Columns as they grow, and readings kept in the user's cache: one reading of a large file for all processes. No torch.

A kept reading is a folder `own/<sha256 of the file>-<hash of options and version>` in the user's cache folder: a .npy a
column, which is mapped, and `reading.json`, which says what each of them must be. It is written beside its place and
renamed, so it is whole or not there; one that is not what its json says is removed, and the file read anew. Where the
cache cannot be written, nothing is kept. Files below LEAST bytes are not kept, either, nor those of more columns
than `widest` says: each that is mapped takes a file descriptor, of which a process often has 1024. All readings
together take at most MOST bytes (10 GiB): beyond, those that were not used for longest are removed. Deleting the folder
is always safe.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.own.columns import Column, Kind

VERSION = 1  # of a reading: another one where a file is read otherwise than before
LEAST = 4 * 1024**2  # bytes of a file; a smaller one is read again sooner than its reading is found
DESCRIPTORS = 4  # one in so many may be a column's
MOST = 10 * 1024**3  # bytes of all readings together
UNFINISHED = 24 * 3600  # seconds after which a folder that is still being written was left behind

NAME = "reading.json"
HANDED = "handed"  # beside the readings: data that was handed over in memory (face/handed.py), which is no reading
DTYPES = {"number": "<f8", "time": "<M8[ns]", "text": "<i4"}  # texts are numbers of their words
ROWS = 2**40  # that a damaged file may not claim to exceed


@dataclass
class Read:
    """A reading before it is a table. words: of a column of texts, by its number."""

    rows: int
    columns: list[Column]
    said: list[str]
    encoding: str = ""
    separator: str = ""
    words: dict[str, list[str]] = field(default_factory=dict)


class Growing:
    """A column that is appended to: in memory, or in a .npy file that is then mapped.

    Where it is a file, OSError says that it cannot be written.
    """

    def __init__(self, kind: Kind, file: Path | None = None) -> None:
        self.dtype = np.dtype(DTYPES[kind])
        self.room = np.empty(0, self.dtype)  # pages of it that no row fills are never touched
        self.rows = 0
        self.path = file
        self.file: IO[bytes] | None = None
        if file is not None:
            self.file = open(file, "wb")  # noqa: SIM115 (closed by `done`)
            self._header()

    def append(self, values: NDArray[Any]) -> None:
        values = np.ascontiguousarray(values, dtype=self.dtype)
        if self.file is None:
            self._make_room(self.rows + len(values))
            self.room[self.rows : self.rows + len(values)] = values
        else:
            self.file.write(values.data if self.dtype.kind != "M" else values.view(np.int64).data)
        self.rows += len(values)

    def _make_room(self, rows: int) -> None:
        if rows > len(self.room):
            larger = np.empty(max(rows, 2 * len(self.room)), self.dtype)
            larger[: self.rows] = self.room[: self.rows]
            self.room = larger

    def done(self) -> NDArray[Any]:
        """All values."""
        if self.file is None or self.path is None:
            return self.room[: self.rows]
        self.file.seek(0)
        self._header()
        self.close()
        return mapped(self.path)

    def close(self) -> None:
        if self.file is not None:
            self.file.close()

    def _header(self) -> None:
        """The .npy header, as long for any number of rows as numpy leaves room for it to grow."""
        if self.file is not None:
            header = {"descr": self.dtype.str, "fortran_order": False, "shape": (self.rows,)}
            np.lib.format.write_array_header_1_0(self.file, header)


def widest() -> int:
    """How many columns of a reading this process may map."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft // DESCRIPTORS


def mapped(path: Path) -> NDArray[Any]:
    """A .npy file as read-only memory that all processes share; empty ones cannot be mapped."""
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


@dataclass(frozen=True)
class Place:
    """Where the reading of a file with certain options is kept."""

    folder: Path

    @classmethod
    def of(cls, sha256: str, options: Mapping[str, Any]) -> Place:
        import platformdirs

        text = json.dumps([VERSION, dict(options)], sort_keys=True, default=str)
        name = f"{sha256}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
        return cls(platformdirs.user_cache_path("rnnbench") / "own" / name)

    def read(self) -> Read | None:
        """The reading that is kept; None where there is none, or it is damaged (and then removed)."""
        if not self.folder.is_dir():
            return None
        try:
            found = _opened(self.folder)
            os.utime(self.folder)
            return found
        except (PermissionError, _TooWide):
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            shutil.rmtree(self.folder, ignore_errors=True)
            return None

    def begin(self) -> Path | None:
        """A new folder beside the place, to write columns into; None where none can be made."""
        folder = self.folder.parent / f".{self.folder.name[:16]}-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            folder.mkdir(parents=True)
        except OSError:
            return None
        return folder

    def keep(self, written: Path, found: Read, arrays: Sequence[NDArray[Any] | None]) -> Read:
        """What was written becomes the kept reading, and is what all processes map. Raises OSError."""
        columns = []
        for at, (column, array) in enumerate(zip(found.columns, arrays, strict=True)):
            file = f"{at}.npy"
            kept = array is not None
            columns.append(
                {
                    "name": column.name,
                    "kind": column.kind,
                    "offset": column.offset,
                    "refusal": column.refusal,
                    "first": column.first,
                    "file": file if kept else None,
                    "bytes": (written / file).stat().st_size if kept else 0,
                    "words": found.words.get(column.name),
                }
            )
        content = {"version": VERSION, "rows": found.rows, "said": found.said, "columns": columns}
        content |= {"encoding": found.encoding, "separator": found.separator}
        (written / NAME).write_text(json.dumps(content), encoding="utf-8")
        with contextlib.suppress(OSError):  # another process was as quick: its reading is the same
            os.rename(written, self.folder)
        shutil.rmtree(written, ignore_errors=True)
        prune(self.folder.parent, spare=self.folder)
        return self.read() or found


class _TooWide(Exception):
    """A reading that another process kept has more columns than this one can map."""


def _opened(folder: Path) -> Read:
    """A kept reading, each file of which is what the json says. Raises OSError, ValueError, KeyError, TypeError."""
    content = json.loads((folder / NAME).read_text(encoding="utf-8"))
    rows = int(content["rows"])
    if content["version"] != VERSION or not 0 <= rows < ROWS:
        raise ValueError(f"{folder} holds a reading of another version")
    if sum(each["file"] is not None for each in content["columns"]) > widest():
        raise _TooWide
    found = Read(rows, [], [str(each) for each in content["said"]], str(content["encoding"]), str(content["separator"]))
    for each in content["columns"]:
        kind, name = each["kind"], str(each["name"])
        if kind not in (*DTYPES, "other"):
            raise ValueError(f"{kind!r} is no kind of column")
        array = None if each["file"] is None else _checked(folder, each, rows)
        if array is not None and kind == "text":
            found.words[name] = [str(word) for word in each["words"]]
            array = as_words(array, found.words[name])
        refusal = None if each["refusal"] is None else str(each["refusal"])
        found.columns.append(Column(name, kind, array, bool(each["offset"]), refusal, str(each["first"])))
    return found


def _checked(folder: Path, column: Mapping[str, Any], rows: int) -> NDArray[Any]:
    """A column's array. Raises ValueError where it is not what the json says."""
    path = folder / Path(str(column["file"])).name
    array = mapped(path) if rows else np.load(path, allow_pickle=False)
    right = array.dtype.str == DTYPES[column["kind"]] and array.shape == (rows,)
    if not right or path.stat().st_size != column["bytes"]:
        raise ValueError(f"{path} is damaged")
    return array


def as_words(numbers: NDArray[Any], words: Sequence[str]) -> NDArray[Any]:
    """The words that numbers stand for; equal ones share their memory. Raises ValueError beyond the words."""
    if len(numbers) and (int(numbers.min()) < 0 or int(numbers.max()) >= len(words)):
        raise ValueError("a number without a word")
    table = np.empty(len(words), dtype=object)
    table[:] = words
    chosen: NDArray[Any] = table[np.asarray(numbers)]
    return chosen


def prune(folder: Path, spare: Path, most: int | None = None) -> None:
    """Remove the readings used longest ago beyond `most` bytes, and what was left behind half written."""
    with contextlib.suppress(OSError):
        readings = []
        for each in folder.iterdir():
            age = time.time() - each.stat().st_mtime
            if each.name.startswith("."):
                if age > UNFINISHED:
                    shutil.rmtree(each, ignore_errors=True)
            elif each.name != HANDED and each.is_dir():
                readings.append((age, sum(file.stat().st_size for file in each.iterdir()), each))
        total = sum(size for _, size, _ in readings)
        for _, size, each in sorted(readings, key=lambda reading: reading[0], reverse=True):
            if total <= (MOST if most is None else most):
                return
            if each != spare:
                shutil.rmtree(each, ignore_errors=True)
                total -= size
