"""Users' tables as typed columns: CSV in its dialects (.csv .tsv .txt, .gz of these), Parquet, a folder of its parts.

    table = read(Path("load.csv"), Options())
    table.columns["load"].values     # float64, NaN where missing
    table.columns["date"].values     # datetime64[ns]

How a text table is written is inferred from its first 64 KiB and said (`Table.said`); where it could be read in two
ways, it is refused with the option that decides. The file is read in blocks, its columns once for all processes
(`kept.py`). Everything refused is one sentence (BadInput, MissingData). Imports no torch.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rnnbench.datasets.own import delimited, parquet
from rnnbench.datasets.own.columns import Column, Kind, Options, Table
from rnnbench.datasets.own.inference import layout_of
from rnnbench.datasets.own.kept import LEAST, Place, Read
from rnnbench.datasets.own.times import as_time
from rnnbench.errors import BadInput, MissingData, nearest
from rnnbench.store.content import path_hash

TEXT = (".csv", ".tsv", ".txt", ".tab", ".dat")
PARQUET = (".parquet", ".pq")
NEAR = 10_000  # files of a folder that are looked at for the one that was meant

Arrays = list[NDArray[Any] | None]


def read(
    path: Path, options: Options | None = None, *, texts: Collection[str] = (), option: str = "dataset.path"
) -> Table:
    """A table as typed columns, in the order of the file.

    options: how it is written, where that is not to be inferred. texts: the columns that are taken as text, and whose
    values are wanted (ids, labels), whatever they look like; names that are not there are passed over. option: what
    named the path, for the sentences. Raises MissingData where nothing lies there, BadInput where it is no table that
    can be read, where an option is wrong, or where the columns take more than half of the machine's memory.
    """
    options, path = _checked(options or Options()), Path(os.path.expanduser(path))
    is_text = _is_text(path, option)
    before = _stamp(path)  # of what is hashed and read
    sha256 = path_hash(path, option)
    wanted = sorted(set(texts))
    place = Place.of(sha256, {**options.as_dict(), "texts": wanted, "parquet": not is_text})
    large = path.is_dir() or os.stat(path).st_size >= LEAST
    found = (place.read() if large else None) or _read(path, options, wanted, place if large else None, before)
    _refuse_changed(path, before)
    line_of = functools.partial(delimited.line_of, path, found.encoding, found.separator) if is_text else None
    return Table(path, sha256, found.rows, {each.name: each for each in found.columns}, found.said, line_of)


def _checked(options: Options) -> Options:
    """The same with a tuple of columns, however they were given."""
    columns = options.columns
    if columns is None:
        return options
    named = (columns,) if isinstance(columns, str) else tuple(str(each) for each in columns)
    return Options(**{**options.as_dict(), "columns": named})


def _is_text(path: Path, option: str) -> bool:
    """Whether a path is a text table; else it is Parquet. Raises MissingData, BadInput."""
    if not path.exists():
        raise missing(path, option)
    if path.is_dir():
        return False
    suffix = path.suffix.lower()
    bare = Path(path.stem).suffix.lower() if suffix == ".gz" else suffix
    if bare in TEXT:
        return True
    if suffix in PARQUET:
        return False
    what = f"{path.suffix} file" if path.suffix else "file without a suffix"
    raise BadInput(f"{path.name} is a {what}: save it as .csv, .tsv, .txt (each also .gz) or .parquet.")


def missing(path: Path, option: str) -> MissingData:
    """Of a path where nothing lies: the files near it with a name like it."""
    folder = path.parent
    if path.is_symlink():
        return MissingData(f"{path.name} is a link to nothing: set {option} to your file.")
    if not folder.is_dir():
        return MissingData(f"{path} does not exist, nor does its folder: set {option} to your file.")
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry, _ in zip(entries, range(NEAR), strict=False) if entry.name[:1] != "."]
    except OSError:
        names = []
    if not names:
        return MissingData(f"{path.name} does not exist ({folder} is empty): set {option} to your file.")
    near = nearest(path.name, names, most=5)
    return MissingData(f"{path.name} does not exist; {near.replace('known: ', 'its folder holds ')}")


def _stamp(path: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a file, or of the files in a folder."""
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return [(str(each), each.stat().st_size, each.stat().st_mtime_ns) for each in files]


def _refuse_changed(path: Path, before: list[tuple[str, int, int]]) -> None:
    """Raises BadInput where a file is no longer what it was."""
    try:
        after = _stamp(path)
    except OSError:
        after = []
    if after != before:
        raise BadInput(f"{path.name} is being written while it is read; try again when it is whole.")


def _read(
    path: Path, options: Options, texts: Collection[str], place: Place | None, before: list[tuple[str, int, int]]
) -> Read:
    """Read a file, and keep the reading where there is a place that can be written, and it is of what was hashed."""
    is_text = not path.is_dir() and path.suffix.lower() not in PARQUET
    folder = None if place is None else place.begin()
    if place is not None and folder is not None:
        try:
            reader = _reader(path, options, texts, folder, is_text)
            found, arrays = reader.read()
            _refuse_changed(path, before)
            return found if reader.folder is None else place.keep(folder, found, arrays)
        except OSError:
            pass  # the disk is full, say: it is read into memory, and not kept
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return _reader(path, options, texts, None, is_text).read()[0]


def _reader(
    path: Path, options: Options, texts: Collection[str], folder: Path | None, is_text: bool
) -> delimited.Reader | parquet.Reader:
    if is_text:
        return delimited.Reader(layout_of(path, options, texts), options, texts, folder=folder)
    return parquet.Reader(path, options, texts, folder=folder)


__all__ = ["Column", "Kind", "Options", "Table", "as_time", "missing", "read"]
