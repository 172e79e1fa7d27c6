"""Users' tables (CSV in its dialects, Parquet) as typed columns. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput, MissingData, nearest
from rnnbench.store.content import path_hash

Kind = Literal["number", "time", "text", "other"]


@dataclass(frozen=True)
class Options:
    """How a file is written, where that is not to be inferred; None is inferred."""

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    date_format: str | None = None
    timezone: str | None = None
    encoding: str | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Column:
    """A column. values: N float64 (NaN is missing), N datetime64[ns], or for a text asked for N str; else None.

    offset: the times had an offset from UTC and are in UTC now; without one they are as they stand in the file.
    """

    name: str
    kind: Kind
    values: NDArray[Any] | None
    offset: bool = False


@dataclass(frozen=True)
class Table:
    """A table that was read. columns: in the file's order. said: what was inferred, in words."""

    path: Path
    sha256: str
    rows: int
    columns: dict[str, Column]
    said: list[str] = field(default_factory=list)

    def line(self, row: int) -> int | None:
        """The line of the file at which a row (from 0) starts, the header's being 1; None of Parquet."""
        return None if self.path.suffix == ".parquet" or self.path.is_dir() else row + 2


def read(path: Path, options: Options, *, texts: Collection[str] = (), option: str = "dataset.path") -> Table:
    """A table as typed columns. texts: the text columns whose values are wanted. Raises BadInput, MissingData."""
    import pandas as pd

    if not path.exists():
        known = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingData(f"{path.name} does not exist; {nearest(path.name, known)}")
    said = ["separator ',', UTF-8"]
    if path.suffix == ".parquet":
        frame, said = pd.read_parquet(path), []
    elif path.stat().st_size == 0:
        raise BadInput(f"{path.name} is empty.")
    else:
        frame = pd.read_csv(path, sep=options.separator, engine="python", decimal=options.decimal or ".")
    columns = {name: _column(str(name), frame[name], texts) for name in frame.columns}
    return Table(path, path_hash(path, option), len(frame), columns, said)


def _column(name: str, series: Any, texts: Collection[str]) -> Column:
    import pandas as pd

    if series.dtype.kind in "iufb" and name not in texts:
        return Column(name, "number", series.to_numpy(np.float64))
    if name in texts:
        return Column(name, "text", series.astype(str).to_numpy(object))
    try:
        return Column(name, "time", pd.to_datetime(series).to_numpy("datetime64[ns]"))
    except (ValueError, TypeError):
        return Column(name, "text", None)


def as_time(column: Column, options: Options) -> Column:
    """A column of numbers as times: YYYYMMDD, epoch seconds or milliseconds; a column of times as it is."""
    if column.kind == "time":
        return column
    if column.kind != "number" or column.values is None:
        raise BadInput(f"{column.name!r} holds no times: set dataset.date_format.")
    days = column.values.astype(np.int64)
    if (days < 10**8).all():
        text = np.char.add(np.char.add(_digits(days // 10000, 4), "-"), _digits(days // 100 % 100, 2))
        text = np.char.add(np.char.add(text, "-"), _digits(days % 100, 2))
        return Column(column.name, "time", text.astype("datetime64[ns]"))
    unit = "s" if (days < 10**11).all() else "ms"
    return Column(column.name, "time", days.astype(f"datetime64[{unit}]").astype("datetime64[ns]"), offset=True)


def _digits(values: NDArray[np.int64], width: int) -> NDArray[np.str_]:
    return np.char.zfill(values.astype(str), width)
