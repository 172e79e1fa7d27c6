"""What a table is once it is read: options, columns, rows and where each row stands in the file. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput

Kind = Literal["number", "time", "text", "other"]

TIMES = ("ds", "date", "time", "datetime", "timestamp")  # as columns of times are usually called, in any case
TEXT_SHARE = 0.05  # of a column's cells; beyond, the column is text


@dataclass(frozen=True)
class Options:
    """How a file is written, where it is not to be inferred (None), and what is read of it.

    separator: one of `, ; tab |` or another single character. decimal, thousands: signs in numbers. date_format: of
    strptime. timezone: of times without an offset (Europe/Berlin), which are then converted to UTC. encoding: a name
    that Python knows. columns: the columns of numbers that are read, None for all; of the others, times are read, what
    is asked for as text, and what is called as times usually are.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    date_format: str | None = None
    timezone: str | None = None
    encoding: str | None = None
    columns: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


class Column:
    """A column of N rows.

    kind: `number` (values are N float64; missing is NaN, infinity stays), `time` (N datetime64[ns], missing is NaT),
    `text` (an object array of N str, missing is ""; None unless it was asked for), `other` (None: lists and structs,
    which are no column of a table, and numbers that `Options.columns` leaves out). offset: the times are in UTC, for
    the file gives their offset or the user the zone; else they are as they stand in the file. first: the first filled
    cell, as a sentence may show it.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        values: NDArray[Any] | None,
        offset: bool = False,
        refusal: str | None = None,
        first: str = "",
    ) -> None:
        self.name = name
        self.kind: Kind = kind
        self.offset = offset
        self.first = first
        self.refusal = refusal
        self.held = values

    @property
    def values(self) -> NDArray[Any] | None:
        """The values. Raises BadInput where a few cells are none of the column's kind: the sentence names the first."""
        if self.refusal:
            raise BadInput(self.refusal)
        return self.held

    def __repr__(self) -> str:
        return f"Column({self.name!r}, {self.kind!r})"


@dataclass(frozen=True)
class Table:
    """A table that was read. columns: in the file's order, by name. said: what was inferred, a phrase each."""

    path: Path
    sha256: str
    rows: int
    columns: dict[str, Column]
    said: list[str] = field(default_factory=list)
    line_of: Callable[[int], int] | None = None

    def line(self, row: int) -> int | None:
        """The line of the file at which a row (from 0) starts, the header's being 1; None of Parquet.

        The file is read once more up to it: this is for a sentence about a row, not for all rows.
        """
        return None if self.line_of is None else self.line_of(int(row))


def is_wanted(name: str, kind: Kind, options: Options, texts: Collection[str]) -> bool:
    """Whether a column's values are read."""
    if name in texts or kind == "time":
        return kind != "other"
    return kind == "number" and (options.columns is None or name in options.columns or name.lower() in TIMES)


def refuse_zone(path: Path, columns: Collection[Column], options: Options) -> None:
    """Raises BadInput where a time zone is given and no time needs one. columns: before any became UTC by it."""
    times = [column for column in columns if column.kind == "time"]
    if options.timezone is not None and times and all(column.offset for column in times):
        raise BadInput(f"dataset.timezone cannot act: {times[0].name!r} of {path.name} has offsets from UTC.")


def times_of(values: Any) -> NDArray[np.datetime64]:
    """An array as datetime64[ns]."""
    return np.asarray(values, dtype="datetime64[ns]")
