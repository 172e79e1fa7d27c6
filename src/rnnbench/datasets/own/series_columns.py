"""Which column of a table is the time, which names the series, and which are numbers to predict or to look at."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.own import table
from rnnbench.datasets.own.series_options import Options
from rnnbench.datasets.own.times import YEARS, digits_of
from rnnbench.errors import BadInput, listed, listed_ids, shown

TIMES = ("ds", "date", "time", "datetime", "timestamp")  # in any case, the first that is there
IDS = ("unique_id", "item_id", "series")
VALUES = ("y",)
LARGEST = 1e30  # squares of it are still numbers
FIRST_YEAR, LAST_YEAR = 1000, 2999  # whole numbers in a column of times that are years


@dataclass(frozen=True)
class Rows:
    """A table as rows of one or more series, in the file's order.

    numbers: rows x (targets, past, future), float64, NaN is missing; times: rows, datetime64[ns] or float64, None
    without a time column; ids: rows, None of a single series. left_out: `weather (text)`, ... order: which rows of the
    file these are; None: all, as they stand there.
    """

    table: table.Table
    targets: tuple[str, ...]
    past: tuple[str, ...]
    future: tuple[str, ...]
    numbers: NDArray[np.float64]
    time: str | None
    times: NDArray[Any] | None
    id: str | None
    ids: NDArray[Any] | None
    left_out: tuple[str, ...]
    order: NDArray[np.int64] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `numbers`."""
        return self.targets + self.past + self.future

    def line(self, row: int) -> str:
        """`line 9`, or `row 8` of a file without lines."""
        row = row if self.order is None else int(self.order[row])
        line = self.table.line(row)
        return f"row {row + 1}" if line is None else f"line {line}"

    def lines(self, rows: Iterable[int]) -> str:
        """`lines 52 and 53`."""
        words = [self.line(row).partition(" ") for row in rows]
        numbers = sorted(int(number) for _, _, number in words)
        return f"{words[0][0]}s " + " and ".join(map(str, numbers))


def rows(path: Path, options: Options) -> Rows:
    """A file's table with the part that each column plays. Raises BadInput, MissingData."""
    taken = {options.time, *options.target, *options.past, *options.future}
    usual = [each for name in IDS for each in _cases(name) if each not in taken]
    texts = usual if options.id is None else [options.id]
    found = table.read(path, options.table, texts=texts)
    time, id = _time(found, options.time), _id(found, options.id, taken)
    if id is not None and id not in texts:
        found = table.read(path, options.table, texts=[id])
    if time is not None and time == id:
        raise BadInput(f"column {time!r} cannot be both dataset.time and dataset.id.")
    for option in ("target", "past", "future"):
        _refuse(found, option, getattr(options, option), {time: "time", id: "id"})
    past, future = options.past, options.future
    targets = options.target or _targets(found, {time, id, *past, *future})
    _refuse_twice(targets, past, future)
    names = targets + past + future
    left_out = [_described(found.columns[name]) for name in found.columns if name not in {time, id, *names}]
    made = Rows(
        found, targets, past, future, _numbers(found, names),
        time, None if time is None else _as_time(found.columns[time], options),
        id, None if id is None else _ids(found.columns[id]),
        tuple(left_out),
    )  # fmt: skip
    _refuse_infinity(made)
    _refuse_no_time(made)
    return made


def _cases(name: str) -> tuple[str, ...]:
    """How a usual name may be written: a file is read once where it is one of these."""
    return name, name.upper(), name.capitalize()


def _named(found: table.Table, names: Sequence[str], taken: Collection[str | None] = ()) -> str | None:
    """The first column called by one of the names, in any case, that is nothing else."""
    for wanted in names:
        for name in found.columns:
            if name.lower() == wanted and name not in taken:
                return name
    return None


def _known(found: table.Table, name: str) -> str:
    if name not in found.columns:
        near = difflib.get_close_matches(name, found.columns, n=1, cutoff=0.5)
        raise BadInput(
            f"no column {name!r}; did you mean {near[0]!r}?" if near else f"no column {name!r}; {listed(found.columns)}"
        )
    return name


def _time(found: table.Table, option: str | None) -> str | None:
    """The column of times: the one asked for, one with a usual name, or the only one that holds dates."""
    if option is not None:
        return _known(found, option)
    usual = _named(found, TIMES)
    if usual is not None:
        return usual
    dates = [column.name for column in found.columns.values() if column.kind == "time"]
    if dates:
        return dates[0] if len(dates) == 1 else None
    year = _named(found, ("year",))
    return year if year is not None and _counts_years(found.columns[year]) else None


def _counts_years(column: table.Column) -> bool:
    """Whether a column has a later year in each row: years beside months would stand there again and again."""
    values = column.held if column.kind == "number" else None
    if values is None or not len(values) or not np.isfinite(values).all():
        return False
    whole = bool((values == np.rint(values)).all() and (np.diff(values) > 0).all())
    return whole and values[0] >= FIRST_YEAR and values[-1] <= LAST_YEAR


def _id(found: table.Table, option: str | None, taken: Collection[str | None]) -> str | None:
    return _named(found, IDS, taken) if option is None else _known(found, option)


def _targets(found: table.Table, others: set[str | None]) -> tuple[str, ...]:
    """`y`, else every column of numbers that is nothing else."""
    usual = _named(found, VALUES)
    if usual is not None and usual not in others and found.columns[usual].kind == "number":
        return (usual,)
    names = [
        column.name
        for column in found.columns.values()
        if column.kind == "number" and column.name not in others and not _is_empty(column)
    ]
    if not names:
        told = [_described(column) for name, column in found.columns.items() if name not in others]
        raise BadInput(f"{found.path.name} holds no column of numbers to predict: {listed_ids(told) or 'times alone'}.")
    return tuple(names)


def _is_empty(column: table.Column) -> bool:
    return column.kind == "number" and column.held is not None and bool(np.isnan(column.held).all())


def _refuse(found: table.Table, option: str, names: Sequence[str], taken: dict[str | None, str]) -> None:
    """Only columns of numbers that are nothing else are predicted or looked at."""
    for name in names:
        column = found.columns[_known(found, name)]
        if name in taken:
            raise BadInput(f"dataset.{option}=[{name}] is the {taken[name]} already.")
        if column.kind != "number":
            kind = "text" if column.kind == "text" else column.kind
            raise BadInput(f"dataset.{option}=[{name}] is {kind}; only numbers are taken.")


def _refuse_twice(targets: Sequence[str], past: Sequence[str], future: Sequence[str]) -> None:
    names = [*targets, *past, *future]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(
                f"column {name!r} is one of dataset.target, dataset.past and dataset.future, not two of them."
            )


def _described(column: table.Column) -> str:
    """A column that is not taken, with its kind, and of texts the first: it shows a unit that stands with a number."""
    if _is_empty(column):
        return f"{column.name} (empty)"
    first = f" {shown(column.first)}" if column.kind == "text" and re.search(r"\d", column.first) else ""
    return f"{column.name} ({column.kind}{first})"


def _numbers(found: table.Table, names: Sequence[str]) -> NDArray[np.float64]:
    parts = [np.asarray(found.columns[name].values, np.float64) for name in names]
    return np.column_stack(parts)


def _ids(column: table.Column) -> NDArray[Any]:
    """The names of series, as the file writes them: 007 is not 7, and a number of 19 digits is not its neighbour."""
    return np.asarray(column.values, object)


def _as_time(column: table.Column, options: Options) -> NDArray[Any]:
    """Times: dates, years, epochs; else the numbers as they are, such as seconds from the start."""
    if column.kind == "number":
        values = np.asarray(column.values, np.float64)
        known = values[~np.isnan(values)]
        whole = bool((known == np.rint(known)).all())
        if options.date_format is not None:
            return np.asarray(table.as_time(column, options.table).values)
        if whole and len(known) and known.min() >= FIRST_YEAR and known.max() <= LAST_YEAR:
            _refuse_far_years(column.name, known)
            return (values - 1970).astype("datetime64[Y]").astype("datetime64[ns]")
        is_counted = len(known) > 0 and known.min() < 10_000_000 and digits_of(known) is None
        if not whole or not len(known) or is_counted:
            return values
    if column.kind == "text":
        raise BadInput(
            f"column {column.name!r} is text and no time: say how it is written, such as "
            "dataset.date_format=%d/%m/%Y, or which column is, dataset.time=..."
        )
    return np.asarray(table.as_time(column, options.table).values)


def _refuse_far_years(name: str, known: NDArray[np.float64]) -> None:
    """Nanoseconds count the years 1678 .. 2261; others would come out as wrong dates."""
    low, high = YEARS
    far = known[(known < low) | (known > high)]
    if len(far):
        raise BadInput(
            f"{name!r} reads as years, and {far[0]:.0f} is beyond {low} to {high}: leave dates out "
            "(another column in dataset.time), or count from the first year."
        )


def _refuse_infinity(found: Rows) -> None:
    wrong = np.isinf(found.numbers)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise BadInput(f"infinity in {found.names[column]!r} at {found.line(int(row))}.")
    large = np.abs(found.numbers) > LARGEST
    if large.any():
        row, column = np.argwhere(large)[0]
        value, where = found.numbers[row, column], found.line(int(row))
        raise BadInput(
            f"{value:g} in {found.names[column]!r} at {where} is beyond {LARGEST:g}: another unit, or a gap."
        )


def _refuse_no_time(found: Rows) -> None:
    """Every row is at some time, and of some series."""
    if found.times is not None:
        unknown = np.isnat(found.times) if found.times.dtype.kind == "M" else ~np.isfinite(found.times)
        if unknown.any():
            count, first = int(unknown.sum()), found.line(int(unknown.argmax()))
            times = f"{count:,} times of {found.time!r} are" if count > 1 else f"a time of {found.time!r} is"
            raise BadInput(f"{times} missing, first at {first}: fill or remove such rows.")
    if found.ids is not None:
        unnamed = np.isin(found.ids, ["", "nan", "None"])
        if unnamed.any():
            raise BadInput(f"{found.line(int(unnamed.argmax()))} is of no series ({found.id!r} is empty): name it.")
