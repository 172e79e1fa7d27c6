"""Times in users' files: the format of a column, texts and numbers as datetime64[ns], local times as UTC. No torch.

ISO 8601 is read by pyarrow; every other format is one of strptime's, inferred or given, and read by pandas a block at a
time. Whether 01/02/2024 is January or February is never guessed: some first or second field has to exceed 12.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rnnbench.datasets.own.columns import TEXT_SHARE, Column, Options, times_of
from rnnbench.errors import BadInput, nearest, shown

ISO = "ISO"

_CLOCK = r"(?P<clock>(?P<gap>[ T])\d{1,2}:\d{2}(?P<seconds>:\d{2}(?P<part>\.\d{1,9})?)?(?P<half> ?[AaPp][Mm])?)?"
_ZONE = r"(?P<zone> ?(?:Z|[+-]\d{2}(?::?\d{2})?))?"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}(?::\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?)?" + _ZONE)
_YEAR_FIRST = re.compile(r"\d{4}(?P<sign>[-/.])\d{1,2}(?P=sign)\d{1,2}" + _CLOCK + _ZONE)
_YEAR_LAST = re.compile(r"(?P<a>\d{1,2})(?P<sign>[-/.])(?P<b>\d{1,2})(?P=sign)(?P<year>\d{4}|\d{2})" + _CLOCK + _ZONE)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_LONG = "january|february|march|april|may|june|july|august|september|october|november|december"
_NAMED = re.compile(
    rf"(?:(?P<day>\d{{1,2}})(?P<s1>[- ]))?(?P<month>{_LONG}|{_MONTHS})(?P<after>[- ]\d{{1,2}},?)?(?P<s2>[- ])\d{{4}}"
    + _CLOCK
    + _ZONE,
    re.IGNORECASE,
)
_MONTH = re.compile(r"\d{4}-\d{2}")
_QUARTER = re.compile(r"\d{4}[- ]?[Qq][1-4]")

QUARTER = "quarter"  # 2024Q1, which strptime does not know


@dataclass(frozen=True)
class TimeFormat:
    """How a column writes its times. code: ISO, QUARTER or a format of strptime. offset: each ends in one from UTC.

    undecided: nothing has yet said whether day or month comes first (code puts the day first). because: the cell that
    said so.
    """

    code: str
    offset: bool = False
    undecided: bool = False
    because: str = ""

    def month_first(self) -> TimeFormat:
        swapped = re.sub(r"^%d(.)%m", r"%m\1%d", self.code)
        return replace(self, code=swapped)

    def in_words(self) -> str:
        if self.code.startswith("%d") and self.because:
            return f"day first ({self.because})"
        if self.code.startswith("%m") and self.because:
            return f"month first ({self.because})"
        return "" if self.code in (ISO, QUARTER) else f"times as {self.code}"


def infer(cells: Sequence[str]) -> TimeFormat | None:
    """The format of a column's filled cells; None where they are no times. Most of the cells have to agree.

    Raises BadInput of a year of two digits, which nobody can place.
    """
    if not cells:
        return None
    formats = [(cell, _format_of(cell)) for cell in cells]
    if sum(found is None for _, found in formats) > TEXT_SHARE * len(cells):
        return None
    known = [(cell, found) for cell, found in formats if found is not None]
    counts: dict[TimeFormat, int] = {}
    for _, found in known:
        counts[found] = counts.get(found, 0) + 1
    commonest = max(counts, key=lambda each: counts[each])
    return _order(commonest, [cell for cell, found in known if found == commonest])


def _format_of(cell: str) -> TimeFormat | None:
    """The format of one cell, day first where it could be either."""
    if match := _ISO.fullmatch(cell):
        return TimeFormat(ISO, offset=match["zone"] is not None)
    if _QUARTER.fullmatch(cell):
        return TimeFormat(QUARTER)
    if _MONTH.fullmatch(cell):
        return TimeFormat("%Y-%m")
    if match := _YEAR_FIRST.fullmatch(cell):
        sign = match["sign"]
        return _with_clock(f"%Y{sign}%m{sign}%d", match)
    if match := _YEAR_LAST.fullmatch(cell):
        sign = match["sign"]
        year = "%Y" if len(match["year"]) == 4 else "%y"
        return replace(_with_clock(f"%d{sign}%m{sign}{year}", match), undecided=True)
    if match := _NAMED.fullmatch(cell):
        return _with_clock(_named(match), match)
    return None


def _named(match: re.Match[str]) -> str:
    """The date's part of a format with a month's name."""
    month = "%b" if len(match["month"]) == 3 else "%B"
    before = f"%d{match['s1']}" if match["day"] else ""
    after = match["after"] or ""
    behind = f"{after[0]}%d{',' if after.endswith(',') else ''}" if after else ""
    return f"{before}{month}{behind}{match['s2']}%Y"


def _with_clock(date: str, match: re.Match[str]) -> TimeFormat:
    code = date
    if match["clock"]:
        hour = "%I" if match["half"] else "%H"
        code += f"{match['gap']}{hour}:%M"
        code += ":%S" if match["seconds"] else ""
        code += ".%f" if match["part"] else ""
        if half := match["half"]:
            code += " %p" if half.startswith(" ") else "%p"
    zone = match["zone"] or ""
    return TimeFormat(code + (" %z" if zone.startswith(" ") else "%z" if zone else ""), offset=bool(zone))


def _order(found: TimeFormat, cells: Sequence[str]) -> TimeFormat:
    """The same with day and month in their order, where these cells say it."""
    if not found.undecided:
        return found
    if "%y" in found.code:
        raise BadInput(f"{cells[0]} has a year of two digits: dataset.date_format=%d/%m/%y (or %y-%m-%d, ...).")
    return decide(found, cells)


def decide(found: TimeFormat, cells: Sequence[str]) -> TimeFormat:
    """The same, decided by the first of these cells with a field above 12; undecided where there is none."""
    for cell in cells:
        if match := _YEAR_LAST.match(cell):
            if int(match["a"]) > 12:
                return replace(found, undecided=False, because=match[0].split(" ")[0])
            if int(match["b"]) > 12:
                return replace(found.month_first(), undecided=False, because=match[0].split(" ")[0])
    return found


def ambiguous(cell: str) -> BadInput:
    """Of a column of which no field exceeds 12."""
    match = _YEAR_LAST.match(cell)
    if match is None:
        return BadInput(f"{shown(cell)} may have day or month first: dataset.date_format=%d/%m/%Y.")
    a, b, sign = int(match["a"]), int(match["b"]), match["sign"]
    names = ("", *(name.capitalize() for name in _LONG.split("|")))
    date = match[0].split(" ")[0].split("T")[0]
    if not (0 < a <= 12 and 0 < b <= 12):
        return BadInput(f"{date} may have day or month first: dataset.date_format=%d{sign}%m{sign}%Y.")
    return BadInput(f"{date} may be {a} {names[b]} or {b} {names[a]}: dataset.date_format=%d{sign}%m{sign}%Y.")


def given(code: str) -> TimeFormat:
    """A format the user gave. Raises BadInput where it is none of strptime's."""
    import datetime

    if "%" not in code:
        raise BadInput(f"dataset.date_format={shown(code)} is no format: for example %d/%m/%Y %H:%M.")
    try:
        datetime.datetime.strptime("", code)
    except ValueError as error:
        if "does not match" not in str(error):
            raise BadInput(f"dataset.date_format={shown(code)} is no format: {error}.") from None
    except re.error:
        raise BadInput(f"dataset.date_format={shown(code)} is no format: a directive stands in it twice.") from None
    return TimeFormat(code, offset="%z" in code)


def matches(cells: Sequence[str], code: str) -> bool:
    """Whether most of a column's filled cells are times in this format."""
    if not cells:
        return False
    values = parse(pa.array(list(cells), pa.string()), given(code))
    return int(np.isnat(values).sum()) <= TEXT_SHARE * len(cells)


def parse(texts: Any, form: TimeFormat) -> NDArray[np.datetime64]:
    """A pyarrow array of texts (null is missing) as datetime64[ns], in UTC where they have an offset.

    NaT where a text is missing, or no time in this format.
    """
    if form.code == QUARTER:
        texts = _quarters_as_months(texts)
        form = TimeFormat("%Y-%m")
    if form.code == ISO:
        try:
            return _from_arrow(pc.cast(texts, pa.timestamp("ns", "UTC" if form.offset else None)))
        except pa.ArrowInvalid:
            pass  # some are no times, or in a rarer form of ISO 8601
    values = _by_iso(texts, form)
    return _by_pandas(texts, form) if values is None else values


_PLAIN = re.compile(r"%(?P<a>[dm])(?P<sign>\W)%(?P<b>[dm])(?P=sign)%Y(?P<clock>(?:[ T]%H:%M(?::%S(?:\.%f)?)?)?)")
_DIGITS = {"%H": r"\d\d", "%M": r"\d\d", "%S": r"\d\d", "%f": r"\d{1,9}", ".": r"\."}


def _by_iso(texts: Any, form: TimeFormat) -> NDArray[np.datetime64] | None:
    """The same by pyarrow, far faster, with 13.01.2024 as 2024-01-13; None where one is written otherwise."""
    plain = _PLAIN.fullmatch(form.code)
    if plain is None:
        return None
    sign = re.escape(plain["sign"])
    clock = re.sub(r"%\w|\.", lambda each: _DIGITS[each[0]], plain["clock"])
    date = rf"^(\d\d){sign}(\d\d){sign}(\d{{4}})"
    if not pc.all(pc.match_substring_regex(texts, f"{date}{clock}$")).as_py():
        return None
    iso = pc.replace_substring_regex(texts, date, r"\3-\2-\1" if plain["a"] == "d" else r"\3-\1-\2")
    try:
        return _from_arrow(pc.cast(iso, pa.timestamp("ns")))
    except pa.ArrowInvalid:
        return None


def _from_arrow(values: Any) -> NDArray[np.datetime64]:
    """pyarrow timestamps of nanoseconds as numpy's."""
    bare = pc.cast(values, pa.timestamp("ns")) if values.type.tz else values
    return times_of(bare.to_numpy(zero_copy_only=False))


def _quarters_as_months(texts: Any) -> Any:
    for quarter, month in enumerate(("01", "04", "07", "10"), start=1):
        texts = pc.replace_substring_regex(texts, pattern=rf"^(\d{{4}})[- ]?[Qq]{quarter}$", replacement=rf"\1-{month}")
    return texts


def _by_pandas(texts: Any, form: TimeFormat) -> NDArray[np.datetime64]:
    import pandas as pd

    code = "ISO8601" if form.code == ISO else form.code
    if form.code == ISO and form.offset:
        texts = pc.replace_substring_regex(texts, pattern=r" ([-+Z])", replacement=r"\1")
    plain = pd.Series(texts.to_numpy(zero_copy_only=False), dtype=object)
    has_zone = plain.str.contains(r"(?:Z|[+-]\d{2}(?::?\d{2})?)$", regex=True, na=False) if form.code == ISO else None
    if has_zone is not None and form.code == ISO:  # pandas would take both, and call what has none UTC
        wrong = ~has_zone if form.offset else plain.str.contains(r"[ T]\d.*(?:Z|[+-]\d{2}:?\d{0,2})$", na=False)
        plain = plain.mask(wrong.to_numpy(bool))
    found = pd.to_datetime(plain, format=code, errors="coerce", utc=form.offset)
    if form.offset:
        found = found.dt.tz_localize(None)
    return in_range(found.to_numpy())


def in_range(values: NDArray[Any]) -> NDArray[np.datetime64]:
    """As nanoseconds; NaT beyond the years that these can count."""
    seconds = values.astype("datetime64[s]")
    low, high = np.datetime64("1678-01-01", "s"), np.datetime64("2262-01-01", "s")
    beyond = ~np.isnat(seconds) & ((seconds < low) | (seconds >= high))
    if beyond.any():
        values = values.copy()
        values[beyond] = np.datetime64("NaT")
    return times_of(values)


def is_beyond(text: str) -> bool:
    """Whether a text has a year that datetime64[ns] does not count."""
    year = re.search(r"(?<!\d)\d{4}(?!\d)", text)
    return year is not None and not YEARS[0] <= int(year[0]) <= YEARS[1]


def zone_of(name: str) -> str:
    """A time zone's name. Raises BadInput where there is none of that name."""
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = nearest(name, zoneinfo.available_timezones(), most=5)
        raise BadInput(f"no time zone {shown(name)} (dataset.timezone); {known}") from None
    return name


def to_utc(values: NDArray[np.datetime64], zone: str) -> tuple[NDArray[np.datetime64], tuple[int, str] | None]:
    """Local times in the order of the file as UTC; and the first row that cannot be placed, with why, or None.

    Where the clock was put back, an hour stands twice: its second pass begins where the time does not go on. A file
    whose times mostly fall has the newest row first, and is read from its end.
    """
    apart = np.diff(values)
    if int((apart < np.timedelta64(0)).sum()) > int((apart > np.timedelta64(0)).sum()):
        found, wrong = _rising_to_utc(values[::-1], zone)
        return found[::-1], None if wrong is None else (len(values) - 1 - wrong[0], wrong[1])
    return _rising_to_utc(values, zone)


def _rising_to_utc(values: NDArray[np.datetime64], zone: str) -> tuple[NDArray[np.datetime64], tuple[int, str] | None]:
    """The same of times that mostly rise."""
    import pandas as pd

    local = pd.DatetimeIndex(values)
    certain = local.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    open_rows = np.flatnonzero(np.asarray(certain.isna()) & ~np.isnat(values))
    if not len(open_rows):
        return _utc(certain), None
    summer = local[open_rows].tz_localize(zone, ambiguous=np.ones(len(open_rows), bool), nonexistent="NaT")
    missing = np.asarray(summer.isna())
    if missing.any():
        row = int(open_rows[int(np.argmax(missing))])
        return values, (row, f"{_minute(values[row])} does not exist in {zone} (the clock is put forward)")
    first = _first_passes(values, open_rows)
    if first is None:
        row = int(open_rows[0])
        why = (
            f"{_minute(values[row])} is twice in {zone} (the clock is put back) and rows of one time follow each other"
        )
        return values, (row, why)
    passes = np.zeros(len(values), bool)
    passes[open_rows] = first
    return _utc(local.tz_localize(zone, ambiguous=passes, nonexistent="NaT")), None


def _utc(index: Any) -> NDArray[np.datetime64]:
    return times_of(index.tz_convert("UTC").tz_localize(None).to_numpy())


def _minute(value: np.datetime64) -> str:
    return str(value.astype("datetime64[m]")).replace("T", " ")


def _first_passes(values: NDArray[np.datetime64], rows: NDArray[np.intp]) -> list[bool] | None:
    """Of rows in hours that are twice: whether it is the first pass (summer); None where their order does not say."""
    repeats = np.flatnonzero(values[1:] == values[:-1]) + 1
    if len(np.setdiff1d(repeats, rows)):
        return None
    passes: list[bool] = []
    before = -1  # the open row before
    for row in rows.tolist():
        follows = bool(passes) and before == row - 1
        if follows and values[row] > values[row - 1]:
            passes.append(passes[-1])
        elif follows:
            if not passes[-1] and values[row] == values[row - 1]:
                return None
            passes.append(False)
        else:
            passes.append(True)
        before = row
    return passes


DAY = (1000_01_01, 3000_00_00)  # YYYYMMDD
YEARS = (1678, 2261)  # that datetime64[ns] counts
LAST = 9_214_646_400  # seconds from 1970 to 2262
EPOCH_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EPOCHS = ((10**8, 10**11, "s"), (10**11, 10**14, "ms"), (10**14, 10**17, "us"), (10**17, 10**19, "ns"))


def as_time(column: Column, options: Options) -> Column:
    """A column of numbers as times: dates YYYYMMDD, years, or seconds (milli-, micro-, nanoseconds) since 1970 in UTC.

    A column of times is itself. Raises BadInput where the column holds no times.
    """
    if column.kind == "time":
        return column
    if column.kind != "number" or column.values is None:
        shows = f" (the first is {shown(column.first)})" if column.first else ""
        raise BadInput(
            f"{column.name!r} holds no times{shows}: dataset.date_format, or another column in dataset.time."
        )
    numbers = column.values
    filled = numbers[~np.isnan(numbers)]
    whole = bool(len(filled)) and bool((np.isfinite(filled) & (filled == np.floor(filled))).all())
    if not whole or filled.min() < 0:
        raise BadInput(f"{column.name!r} holds numbers that are no times: {_first_odd(filled)}.")
    if options.date_format is not None:
        return _formatted(column, numbers, given(options.date_format))
    if code := digits_of(filled):
        raise BadInput(f"{column.name!r} reads as {code} ({filled[0]:.0f}): dataset.date_format={code}.")
    low, high = float(filled.min()), float(filled.max())
    if DAY[0] <= low and high < DAY[1]:
        return _dates(column, numbers)
    if YEARS[0] <= low and high <= YEARS[1]:
        return Column(column.name, "time", _elapsed(numbers - 1970, "Y"), first=column.first)
    for least, beyond, unit in EPOCHS:
        if least <= low and high < beyond and high < LAST * EPOCH_UNITS[unit]:
            return Column(column.name, "time", _elapsed(numbers, unit), offset=True, first=column.first)
    raise BadInput(
        f"{column.name!r} holds numbers from {low:.0f} to {high:.0f}, neither dates (YYYYMMDD), years nor seconds "
        "since 1970: dataset.date_format."
    )


DIGITS = ((6, "%Y%m"), (6, "%y%m%d"), (10, "%Y%m%d%H"), (12, "%Y%m%d%H%M"), (14, "%Y%m%d%H%M%S"))
PARTS = {"%Y": (4, *YEARS), "%y": (2, 0, 99), "%m": (2, 1, 12), "%d": (2, 1, 31), "%H": (2, 0, 23), "%M": (2, 0, 59),
         "%S": (2, 0, 59)}  # fmt: skip # digits, from, to
ENOUGH = 12  # different numbers that all read as times are no chance


def digits_of(numbers: NDArray[np.float64]) -> str | None:
    """The format in which whole numbers are all times: 2024010113 is rather 13 o'clock than seconds since 1970.

    Eight digits (YYYYMMDD) are for `as_time` to read.
    """
    if not np.isfinite(numbers).all() or len(np.unique(numbers)) <= ENOUGH:
        return None
    for digits, code in DIGITS:
        if not (10 ** (digits - 1) <= numbers.min() and numbers.max() < 10**digits):
            continue
        rest, fits = numbers.astype(np.int64), np.ones(len(numbers), bool)
        for part in reversed(re.findall(r"%\w", code)):
            width, low, high = PARTS[part]
            rest, value = np.divmod(rest, 10**width)
            fits &= (value >= low) & (value <= high)
        if fits.all():
            return code
    return None


def _first_odd(filled: NDArray[np.float64]) -> str:
    odd = filled[~(np.isfinite(filled) & (filled == np.floor(filled)) & (filled >= 0))]
    return f"{odd[0]:g} is none" if len(odd) else "all are missing"


def _elapsed(numbers: NDArray[np.float64], unit: str) -> NDArray[np.datetime64]:
    """Whole numbers of a unit since 1970; NaT where there is none."""
    missing = np.isnan(numbers)
    values = times_of(np.where(missing, 0, numbers).astype(np.int64).astype(f"datetime64[{unit}]"))
    values[missing] = np.datetime64("NaT")
    return values


def _dates(column: Column, numbers: NDArray[np.float64]) -> Column:
    missing = np.isnan(numbers)
    days = np.where(missing, 2000_01_01, numbers).astype(np.int64)
    year, month, day = days // 10000, days // 100 % 100, days % 100
    first = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    dates = first.astype("datetime64[D]") + (day - 1)
    wrong = (month < 1) | (month > 12) | (day < 1) | (dates.astype("datetime64[M]") != first)
    wrong |= (year < YEARS[0]) | (year > YEARS[1])
    if wrong.any():
        raise BadInput(f"{column.name!r} reads as dates (YYYYMMDD), and {days[wrong][0]} is none.")
    values = times_of(dates)
    values[missing] = np.datetime64("NaT")
    return Column(column.name, "time", values, first=column.first)


def _formatted(column: Column, numbers: NDArray[np.float64], form: TimeFormat) -> Column:
    missing = np.isnan(numbers)
    texts = pc.cast(pa.array(np.where(missing, 0, numbers).astype(np.int64), mask=missing), pa.string())
    values = parse(texts, form)
    wrong = np.isnat(values) & ~missing
    if wrong.any():
        text = f"{numbers[wrong][0]:.0f}"
        raise BadInput(f"{column.name!r} is no time at {text}: dataset.date_format={form.code} does not read it.")
    return Column(column.name, "time", values, offset=form.offset, first=column.first)
