"""A user's series: from a file to values on a regular grid, splits, origins, scales, floors, and what is said of them.

Letters: L input_steps, H horizon, S season, C targets, o an origin (the first predicted row). All statistics are
float64, from train's observed values; what was filled counts in none of them. Imports no torch.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.own import grid, series_columns, sources, windows
from rnnbench.datasets.own.calendar import calendar
from rnnbench.datasets.own.grid import Step
from rnnbench.datasets.own.series_columns import Rows
from rnnbench.datasets.own.series_options import Options
from rnnbench.datasets.own.windows import Plan, Range, Ranges
from rnnbench.errors import BadInput

READING_VERSION = 1  # of everything that makes numbers out of a file
MOST_INPUT = 512  # steps that a network sees where nobody says how many
YEARS = np.timedelta64(2 * 365, "D")  # of train, from which on the day of the year is told
FINEST = 50  # rows of a grid for each of the file's

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """One series. rows: where it lies in the whole; first: its first time; ranges: its splits, in rows of the whole."""

    id: str | None
    rows: Range
    first: Any
    ranges: Ranges


class Gaps(NamedTuple):
    """Places in time without a row: how many, in how many gaps, and after what the first is."""

    rows: int
    places: int
    first: str


@dataclass(frozen=True)
class Loss:
    """What was missing. values: cells without a number, by column, those of `gaps` among them; longest: the most in a
    row; windows: all of each split, before those with a missing target or an unknown input were left out."""

    gaps: Gaps
    values: dict[str, int]
    longest: int
    windows: tuple[int, ...]


@dataclass(frozen=True)
class Series:
    """A file as it is trained on: all series end to end, each on its own regular grid.

    values: rows x (targets, past, future), float64 in the file's units, filled; observed: which of them were there.
    known: rows x (sin and cos of the calendar). mean, std: parts x columns, what a network sees is (v - mean) / std;
    center: train's means, parts x columns. seasonal_error: parts x targets, on the network's scale, NaN where it
    cannot be had. origins: int64, of train, val and test, in the order of the rows.
    """

    file: str
    sha256: str
    said: tuple[str, ...]
    options: Options
    plan: Plan
    step: Step
    season: int | None
    time: str | None
    targets: tuple[str, ...]
    past: tuple[str, ...]
    future: tuple[str, ...]
    calendar: tuple[str, ...]
    left_out: tuple[str, ...]
    parts: tuple[Part, ...]
    file_rows: int
    values: Values
    observed: Mask
    known: Values
    mean: Values
    std: Values
    center: Values
    seasonal_error: Values
    origins: tuple[NDArray[np.int64], ...]
    lost: Loss

    @property
    def features(self) -> int:
        """Columns of the input of a network that sees all targets at once."""
        return len(self.targets) + len(self.past) + len(self.future) + len(self.calendar)

    @property
    def starts(self) -> NDArray[np.int64]:
        """The first row of each series."""
        return np.array([part.rows[0] for part in self.parts], np.int64)

    def part_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which series rows are of."""
        return np.searchsorted(self.starts, rows, "right") - 1

    def scaled(self) -> Values:
        """rows x (targets, past, future), as a network sees them, float64."""
        out = np.empty_like(self.values)
        for number, part in enumerate(self.parts):
            low, high = part.rows
            out[low:high] = (self.values[low:high] - self.mean[number]) / self.std[number]
        return out

    def times(self, part: Part) -> NDArray[Any]:
        """The times of a series' rows."""
        return self.step.moments(part.first, part.rows[1] - part.rows[0])


def locate(options: Options) -> tuple[Path, str]:
    """The file, and what it is called in a sentence."""
    if (not options.path) == (not options.source):
        both = "not both" if options.path else "such as dataset.path=load.csv"
        raise BadInput(f"dataset.path names a table with a column of numbers, or dataset.source a known one: {both}.")
    if options.source is not None:
        path = sources.locate(options.source)
    else:
        path = Path(os.path.expanduser(str(options.path)))
    return path, path.name


def read(options: Options) -> Series:
    """A file as series. Raises BadInput where it cannot be what is meant, MissingData where there is none."""
    path, name = locate(options)
    found = series_columns.rows(path, options)
    return from_rows(found, options, name)


def from_rows(found: Rows, options: Options, name: str) -> Series:
    """Rows of a table as series. Raises BadInput."""
    if options.missing == "refuse":
        _refuse_missing(found)
    said = list(found.table.said)
    found, order_said = _in_order(found)
    said += order_said
    groups = _groups(found)
    found, groups, repeated = _one_row_a_time(found, groups, options.duplicates)
    said += repeated
    step = _step(found, groups, options)
    season = _season(step, options)
    plan = _plan(step, season, options)
    places = _places(found, groups, step)
    gaps = _gaps(found, groups, places, step)
    _refuse_gaps(found, groups, places, step, gaps, options)
    values = _on_grid(found, groups, places, name)
    parts = _parts(found, groups, places, step, plan, options, name)
    return _finish(found, values, parts, gaps, options, plan, step, season, name, tuple(said))


def _refuse_missing(found: Rows) -> None:
    """Cells without a number, by the first column that has any."""
    missing = np.isnan(found.numbers)
    if not missing.any():
        return
    column = int(missing.any(0).argmax())
    count, first = int(missing[:, column].sum()), found.line(int(missing[:, column].argmax()))
    others = int(missing.any(0).sum()) - 1
    more = f" (and of {others} more column{'s' * (others != 1)})" if others else ""
    values = "value" if count == 1 else "values"
    are = "is" if count == 1 else "are"
    raise BadInput(
        f"{count:,} {values} of {found.names[column]!r}{more} {are} missing, first at {first}: fill them, or "
        "dataset.missing=forward."
    )


def _in_order(found: Rows) -> tuple[Rows, list[str]]:
    """Rows by series, then by time."""
    number = None
    if found.ids is not None:
        _, number = np.unique(found.ids.astype(str), return_inverse=True)
    keys = [key for key in (found.times, number) if key is not None]
    if not keys:
        return found, []
    order = np.lexsort(keys)
    said: list[str] = []
    if found.times is not None:
        later = found.times[order].astype(np.int64) if found.times.dtype.kind == "M" else found.times[order]
        same = np.ones(max(0, len(order) - 1), bool) if number is None else np.diff(number[order]) == 0
        if (np.diff(order)[same & (np.diff(later) > 0)] < 0).any():
            said.append("not in order of time: sorted")
    return _taken(found, order), said


def _taken(found: Rows, index: NDArray[np.int64]) -> Rows:
    """Rows at an index; they know which of the file's rows they are."""
    return replace(
        found,
        order=index if found.order is None else found.order[index],
        numbers=found.numbers[index],
        times=None if found.times is None else found.times[index],
        ids=None if found.ids is None else found.ids[index],
    )


def _groups(found: Rows) -> list[Range]:
    """The rows of each series, which lie together."""
    rows = len(found.numbers)
    if found.ids is None:
        return [(0, rows)]
    names = found.ids.astype(str)
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), rows]
    return list(itertools.pairwise(edges))


def _one_row_a_time(found: Rows, groups: list[Range], how: str) -> tuple[Rows, list[Range], list[str]]:
    """Rows whose time stands there again, made one, or refused."""
    if found.times is None:
        return found, groups, []
    begins = np.ones(len(found.times), bool)
    begins[1:] = found.times[1:] != found.times[:-1]
    begins[[low for low, _ in groups]] = True
    if begins.all():
        return found, groups, []
    if how == "refuse":
        _refuse_repeated(found, begins)
    (first,) = np.nonzero(begins)
    last = np.append(first[1:], len(begins)) - 1
    kept = _taken(found, last if how == "last" else first)
    if how == "mean":
        there = ~np.isnan(found.numbers)
        count = np.add.reduceat(there, first, axis=0, dtype=np.int64)
        total = np.add.reduceat(np.where(there, found.numbers, 0.0), first, axis=0)
        with np.errstate(invalid="ignore"):
            kept = replace(kept, numbers=np.where(count > 0, total / count, np.nan))
    dropped = int((~begins).sum())
    again = "1 row repeats a time" if dropped == 1 else f"{dropped:,} rows repeat a time"
    return kept, _groups(kept), [f"{again}: {'their mean' if how == 'mean' else f'the {how}'} is taken"]


def _refuse_repeated(found: Rows, begins: Mask) -> None:
    assert found.times is not None
    again = np.flatnonzero(~begins)
    row = int(again[0])
    whose = "" if found.ids is None else f" in series {str(found.ids[row])!r}"
    time = grid.clock(found.times[row])
    offset = found.table.columns[found.time].offset if found.time is not None else False
    if not offset and (zone := grid.clock_change(found.times[again], forward=False)):
        raise BadInput(
            f"{time} stands twice{whose}: the clock was put back; write the offset, or dataset.timezone={zone}."
        )
    if beside := _clock_beside(found):
        raise BadInput(f"{time} stands again and again{whose}: {beside}.")
    times = 1 + int((found.times[again] == found.times[row]).sum()) if found.ids is None else 2
    often = "twice" if times == 2 else f"{times} times"
    lines = found.lines(range(row - 1, row - 1 + min(times, 3)))
    raise BadInput(f"{time} stands {often}{whose} ({lines}): dataset.duplicates=mean|first|last.")


def _clock_beside(found: Rows) -> str:
    """Where days repeat because a column of its own holds the hours."""
    for column in found.table.columns.values():
        if column.kind == "text" and re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?( ?[AaPp][Mm])?", column.first):
            return f"{column.name!r} holds the hours ({column.first}), so join it and {found.time!r} into one column"
    return ""


def _step(found: Rows, groups: list[Range], options: Options) -> Step:
    if found.times is None:
        if options.freq != "auto":
            raise BadInput("dataset.freq needs a column of times: dataset.time=...")
        return Step("rows")
    if options.freq != "auto":
        if found.times.dtype.kind != "M":
            raise BadInput(f"dataset.freq needs dates, and {found.time!r} holds numbers.")
        return grid.forced(options.freq)
    return grid.infer([found.times[low:high] for low, high in groups], str(found.time))


def _season(step: Step, options: Options) -> int | None:
    if options.season == "auto":
        return step.season
    return None if options.season in ("none", None) else int(options.season)


def _plan(step: Step, season: int | None, options: Options) -> Plan:
    """The lengths of a window, where nobody says them as well. Raises BadInput where they do not fit together."""
    horizon = options.horizon or step.horizon
    usual = min(max(4 * (season or 0), 2 * horizon), max(MOST_INPUT, 2 * horizon))
    input_steps = options.input_steps or usual
    borders = windows.rows_of(options.borders)
    gap = options.gap if options.gap != "horizon" else horizon if borders is None else 0
    if options.anchor == "seasonal" and season is None:
        raise BadInput("dataset.anchor=seasonal needs a season: dataset.season=..., or dataset.anchor=last.")
    reach = max(input_steps, season or 0) if options.anchor == "seasonal" else input_steps
    return Plan(input_steps, horizon, options.shares, int(gap), borders, options.stride, reach)


def _calendar(found: Rows, parts: tuple[Part, ...], step: Step, options: Options) -> tuple[tuple[str, ...], Values]:
    """The columns of the calendar with their values, all series end to end."""
    if options.calendar == "none" or found.times is None or found.times.dtype.kind != "M":
        return (), np.empty((parts[-1].rows[1], 0))
    moments = [step.moments(part.first, part.rows[1] - part.rows[0]) for part in parts]
    years = False
    for part, times in zip(parts, moments, strict=True):
        low, high = (row - part.rows[0] for row in part.ranges[0])
        years = years or (high > low and times[high - 1] - times[low] >= YEARS)
    return calendar(step, np.concatenate(moments), years=years)


def _refuse_short_input(plan: Plan, future: tuple[str, ...], names: tuple[str, ...]) -> None:
    """What is known of the coming rows stands beside the last H input rows."""
    if plan.input_steps >= plan.horizon or not (future or names):
        return
    without = "dataset.calendar=none" if not future else "no dataset.future and dataset.calendar=none"
    raise BadInput(
        f"what is known of the {plan.horizon} coming steps is shown beside the last {plan.input_steps}, which are "
        f"fewer: dataset.input_steps={plan.horizon} or more, or {without}."
    )


def _places(found: Rows, groups: list[Range], step: Step) -> list[NDArray[np.int64]]:
    """The place in time of every row, from its series' first. Raises BadInput where one lies off the grid."""
    all_places = []
    for low, high in groups:
        if found.times is None:
            all_places.append(np.arange(high - low, dtype=np.int64))
            continue
        places, fits = step.places(found.times[low:high], found.times[low])
        if not fits.all():
            row = low + int((~fits).argmax())
            raise BadInput(
                f"{grid.clock(found.times[row])} ({found.line(row)}) is off the steps of {found.time!r} ({step.words} "
                f"from {grid.clock(found.times[low])}): resample, or remove such rows."
            )
        if (np.diff(places) <= 0).any():
            row = low + int((np.diff(places) <= 0).argmax()) + 1
            raise BadInput(
                f"{found.lines([row - 1, row])} fall into one step of {found.time!r} ({step.words}): resample."
            )
        all_places.append(places)
    return all_places


def _refuse_gaps(
    found: Rows, groups: list[Range], places: list[NDArray[np.int64]], step: Step, gaps: Gaps, options: Options
) -> None:
    """Places without a row are refused unless they are to be filled; and more of them than a file can mean, always."""
    rows, taken = sum(int(each[-1]) + 1 for each in places), len(found.numbers)
    if rows > FINEST * taken or rows >= grid.MOST_ROWS:
        remedy = "dataset.freq=auto" if options.freq != "auto" else _widest(found, places, step)
        raise BadInput(f"{step.words}, {found.time!r} takes {rows:,} rows, and {taken:,} are there: {remedy}.")
    if gaps.rows and options.missing == "refuse":
        are = "is" if gaps.rows == 1 else "are"
        in_gaps = "1 gap" if gaps.places == 1 else f"{gaps.places:,} gaps, first"
        missing = f"{step.amount(gaps.rows)} {are} missing in {in_gaps} after {gaps.first}"
        if zone := _put_forward(found, groups, places, step):
            raise BadInput(
                f"{missing}, when the clock was put forward: write the offset, or dataset.timezone={zone}; where it "
                "was not, dataset.missing=forward."
            )
        raise BadInput(f"{missing}: dataset.missing=forward.")


def _put_forward(found: Rows, groups: list[Range], places: list[NDArray[np.int64]], step: Step) -> str | None:
    """A time zone, as an example, where every gap is the hour that its clock leaves out in spring; else None."""
    if found.times is None or found.time is None or step.kind != "fixed" or found.table.columns[found.time].offset:
        return None
    size = np.timedelta64(int(step.size), "ns")
    missing = []
    for (low, _), each in zip(groups, places, strict=True):
        jumps = np.diff(each) - 1
        if (jumps[jumps > 0] * size != np.timedelta64(grid.HOUR, "ns")).any():
            return None
        missing.append(found.times[low + np.flatnonzero(jumps > 0)] + size)
    return grid.clock_change(np.concatenate(missing), forward=True)


def _widest(found: Rows, places: list[NDArray[np.int64]], step: Step) -> str:
    """Between which rows most of them are missing: one of the two times is mistyped, perhaps."""
    assert found.times is not None
    apart = np.concatenate([np.append(np.diff(each), 0) for each in places])
    row = int(apart.argmax())
    times = f"{grid.clock(found.times[row], step)} and {grid.clock(found.times[row + 1], step)}"
    return f"most are missing between {times} ({found.lines([row, row + 1])}), one of which may be mistyped"


def _gaps(found: Rows, groups: list[Range], places: list[NDArray[np.int64]], step: Step) -> Gaps:
    """Places without a row."""
    missing, gaps, first = 0, 0, ""
    for (low, _), each in zip(groups, places, strict=True):
        jumps = np.diff(each) - 1
        if jumps.any():
            assert found.times is not None
            whose = "" if found.ids is None else f" in series {str(found.ids[low])!r}"
            first = first or grid.clock(found.times[low + int((jumps > 0).argmax())], step) + whose
            missing, gaps = missing + int(jumps.sum()), gaps + int((jumps > 0).sum())
    return Gaps(missing, gaps, first)


def _on_grid(found: Rows, groups: list[Range], places: list[NDArray[np.int64]], name: str) -> Values:
    """Values at their places, all series end to end; NaN where there is none."""
    total = sum(int(each[-1]) + 1 for each in places)
    values = np.full((total, found.numbers.shape[1]), np.nan)
    start = 0
    for (low, high), each in zip(groups, places, strict=True):
        values[start + each] = found.numbers[low:high]
        start += int(each[-1]) + 1
    return values


def _parts(
    found: Rows,
    groups: list[Range],
    places: list[NDArray[np.int64]],
    step: Step,
    plan: Plan,
    options: Options,
    name: str,
) -> tuple[Part, ...]:
    """Each series with its splits: by the same two dates, or each by its own rows. Raises BadInput on too few rows."""
    counts = [int(each[-1]) + 1 for each in places]
    firsts = [0.0 if found.times is None else found.times[low] for low, _ in groups]
    ids = [None if found.ids is None else str(found.ids[low]) for low, _ in groups]
    if len(groups) > 1 and options.cut == "calendar":
        earliest = min(firsts)
        offsets = [_offset(step, first, earliest) for first in firsts]
        whole = max(offset + count for offset, count in zip(offsets, counts, strict=True))
        common = plan.ranges(whole, f"{name}: {whole:,} rows from the first time to the last")
        each = [_clipped(common, offset, count) for offset, count in zip(offsets, counts, strict=True)]
    else:
        each = [plan.ranges(count, _whose(id, count)) for id, count in zip(ids, counts, strict=True)]
    parts, start = [], 0
    for id, first, count, ranges in zip(ids, firsts, counts, each, strict=True):
        moved = tuple((low + start, high + start) for low, high in ranges)
        parts.append(Part(id, (start, start + count), first, (moved[0], moved[1], moved[2])))
        start += count
    return tuple(parts)


def _whose(id: str | None, count: int) -> str:
    return f"{count:,} rows" if id is None else f"series {id!r}: {count:,} rows"


def _offset(step: Step, first: Any, earliest: Any) -> int:
    """Places from the earliest time of all to a series' first, at least so many."""
    places, fits = step.places(np.asarray([first]), earliest)
    return int(places[0]) + int(not fits[0] and step.kind == "fixed")


def _clipped(ranges: Ranges, offset: int, count: int) -> Ranges:
    """Splits of the whole span as rows of a series that begins `offset` rows after it."""
    first, second, third = ((_within(low - offset, count), _within(high - offset, count)) for low, high in ranges)
    return first, second, third


def _within(row: int, count: int) -> int:
    return min(max(row, 0), count)


def _finish(
    found: Rows,
    values: Values,
    parts: tuple[Part, ...],
    gaps: Gaps,
    options: Options,
    plan: Plan,
    step: Step,
    season: int | None,
    name: str,
    said: tuple[str, ...],
) -> Series:
    """Scales, fillings and origins of values on their grid."""
    observed: Mask = ~np.isnan(values)
    mean, std, center = _scales(values, parts, found, options)
    for part in parts:
        if options.missing == "forward":
            windows.filled_forward(values, part.rows)
        elif options.missing == "linear":
            whose = "" if part.id is None else f" of series {part.id!r}"
            at = functools.partial(_row_words, step, part.first)
            windows.filled_linear(values, part.rows, part.ranges, found.names, whose, at)
    unknown: Mask = np.isnan(values)  # before the first value that was seen
    for number, (low, high) in enumerate(part.rows for part in parts):
        values[low:high] = np.where(unknown[low:high], center[number], values[low:high])
    names, known = _calendar(found, parts, step, options)
    _refuse_short_input(plan, found.future, names)
    whole = [np.concatenate(each) for each in zip(*(plan.origins(p.rows, p.ranges) for p in parts), strict=True)]
    targets = len(found.targets)
    wrong = (~observed if options.missing != "linear" else unknown)[:, :targets]
    origins = []
    for each in whole:
        fits = windows.all_true(_anywhere(wrong), each, 0, plan.horizon)
        fits &= windows.all_true(_anywhere(unknown), each, -plan.reach, 0)
        fits &= windows.all_true(_anywhere(unknown[:, targets + len(found.past) :]), each, 0, plan.horizon)
        origins.append(each[fits])
    lost = _lost(found, observed, parts, gaps, tuple(len(each) for each in whole))
    made = Series(
        file=name,
        sha256=found.table.sha256,
        said=said,
        options=options,
        plan=plan,
        step=step,
        season=season,
        time=found.time,
        targets=found.targets,
        past=found.past,
        future=found.future,
        calendar=names,
        left_out=found.left_out and (f"left out: {', '.join(found.left_out)}",),
        parts=parts,
        file_rows=found.table.rows,
        values=values,
        observed=observed,
        known=known,
        mean=mean,
        std=std,
        center=center,
        seasonal_error=np.empty((0, 0)),
        origins=tuple(origins),
        lost=lost,
    )
    _refuse_empty(made)
    return replace(made, seasonal_error=_seasonal_error(made))


def _row_words(step: Step, first: Any, row: int) -> str:
    """A row of a series in a sentence: its time, or its number."""
    return f"row {row + 1}" if step.kind == "rows" else grid.clock(step.moments(first, row + 1)[-1], step)


def _scales(values: Values, parts: tuple[Part, ...], found: Rows, options: Options) -> tuple[Values, Values, Values]:
    """mean and std (ddof 0) of train's observed rows, by series and column, and the means that a scale leaves out."""
    shape = len(parts), values.shape[1]
    mean, std = np.zeros(shape), np.ones(shape)
    for number, part in enumerate(parts):
        low, high = part.ranges[0]
        for column, name in enumerate(found.names):
            train = values[low:high, column]
            train = train[~np.isnan(train)]
            if not len(train):
                whose = "" if part.id is None else f" of series {part.id!r}"
                other = "leave it out" if part.id is None else "leave it out, or dataset.cut=each"
                raise BadInput(f"{name!r}{whose} has no value among the rows of train: {other}.")
            mean[number, column] = train.mean()
            varies = train.min() < train.max()  # the deviation of what is always .1 is rounding, and not always 0
            std[number, column] = train.std() if varies else 1.0
    if options.scale == "none":
        return np.zeros(shape), np.ones(shape), mean
    return mean, std, mean


def _lost(found: Rows, observed: Mask, parts: tuple[Part, ...], gaps: Gaps, whole: tuple[int, ...]) -> Loss:
    """What was missing on the grid."""
    cells = {name: int((~observed[:, column]).sum()) for column, name in enumerate(found.names)}
    longest = 0
    for low, high in (part.rows for part in parts):
        longest = max(longest, *(windows.longest_run(~observed[low:high, column]) for column in range(len(cells))))
    return Loss(gaps, {name: count for name, count in cells.items() if count}, longest, whole)


def _anywhere(mask: Mask) -> Mask:
    """Which rows are marked in any column."""
    return np.asarray(mask.any(1), bool)


def _refuse_empty(made: Series) -> None:
    for name, origins, whole in zip(windows.SPLITS, made.origins, made.lost.windows, strict=True):
        if not len(origins):
            why = "every one of them misses a value" if whole else "no series is long enough there"
            raise BadInput(
                f"{name} has no window of {made.plan.input_steps} + {made.plan.horizon} rows ({why}): a smaller "
                "dataset.input_steps or dataset.horizon, or dataset.cut=each."
            )


def _seasonal_error(made: Series) -> Values:
    """The mean of |z_t - z_(t-S)| over train's observed pairs, S = 1 without a season; parts x targets."""
    lag, targets = made.season or 1, len(made.targets)
    out = np.full((len(made.parts), targets), np.nan)
    for number, part in enumerate(made.parts):
        low, high = part.ranges[0]
        if high - low <= lag:
            continue
        values, there = made.values[low:high, :targets], made.observed[low:high, :targets]
        both = there[lag:] & there[:-lag]
        apart = np.where(both, np.abs(values[lag:] - values[:-lag]), 0.0) / made.std[number, :targets]
        count = both.sum(0)
        out[number] = np.where(count > 0, apart.sum(0) / np.maximum(count, 1), np.nan)
    return out
