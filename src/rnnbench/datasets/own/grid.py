"""The time axis of a series: how far two rows are apart, what place in time each row has, and what a season is.

A time is datetime64[ns], or a number where the file counts its steps by itself. A place is a whole number from 0, the
number of steps since the first row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput, shown

Times = NDArray[Any]  # N datetime64[ns] or N float64
Places = NDArray[np.int64]

SECOND = 1_000_000_000  # nanoseconds
MINUTE, HOUR, DAY, WEEK = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND, 7 * 86_400 * SECOND
REGULAR = 0.95  # share of the differences that the commonest must have
NEAR = 1e-3  # of a step, that a number may lie off the grid
MOST_ROWS = 1 << 31  # of a grid: places in it are int32
SHORTEST_MONTH = 28 * DAY
NAMES = {HOUR: "hourly", DAY: "daily", WEEK: "weekly"}
MONTHS = {1: "monthly", 3: "quarterly", 12: "yearly"}
UNITS = {HOUR: "hour", DAY: "day", WEEK: "week", MINUTE: "minute", SECOND: "second"}
PUT_FORWARD = {  # the month, and the first day of the week whose Sunday it is
    (3, 25): "Europe/Berlin",
    (3, 8): "America/New_York",
    (10, 1): "Australia/Sydney",
    (9, 24): "Pacific/Auckland",
}
PUT_BACK = {(10, 25): "Europe/Berlin", (11, 1): "America/New_York", (4, 1): "Australia/Sydney"}
MONTH_UNITS = {1: "month", 3: "quarter", 12: "year"}


@dataclass(frozen=True)
class Step:
    """How far two neighbouring rows are apart.

    kind: `fixed` (size in nanoseconds), `months` (size in months), `number` (size in the file's own numbers), `rows`
    (no time at all) or `alias` (a pandas offset that is none of these, such as B).
    """

    kind: Literal["fixed", "months", "number", "rows", "alias"]
    size: float = 1
    alias: str = ""

    @property
    def words(self) -> str:
        """`hourly`, `every 15 minutes`."""
        if self.kind == "rows":
            return "no time"
        if self.kind == "alias":
            return f"freq {self.alias}"
        names: dict[int, str] = MONTHS if self.kind == "months" else NAMES if self.kind == "fixed" else {}
        return names.get(int(self.size)) or f"every {self.amount(1)}"

    def amount(self, steps: int) -> str:
        """So many steps in words: `3 hours`, `30 minutes`, `5 steps`."""
        if self.kind in ("rows", "alias"):
            return _counted(steps, "row" if self.kind == "rows" else "step")
        if self.kind == "number":
            return f"{self.size * steps:g}"
        if self.kind == "months":
            whole = next(size for size in (12, 3, 1) if int(self.size) % size == 0)
            return _counted(int(self.size) // whole * steps, MONTH_UNITS[whole])
        whole = next((size for size in (WEEK, DAY, HOUR, MINUTE, SECOND) if int(self.size) % size == 0), 0)
        if not whole:
            return f"{self.size * steps / SECOND:g} seconds"
        return _counted(int(self.size) // whole * steps, UNITS[whole])

    @property
    def season(self) -> int | None:
        """Steps of the season that such steps usually have; None where there is none to be assumed."""
        size = int(self.size)
        if self.kind == "alias":
            return 5 if self.alias == "B" else None
        if self.kind == "months":
            return 12 // size if 12 % size == 0 and size < 12 else None
        if self.kind != "fixed":
            return None
        if size in (DAY, WEEK):
            return 7 if size == DAY else 52
        return DAY // size if size >= MINUTE and DAY % size == 0 else None

    @property
    def horizon(self) -> int:
        """Steps that are predicted where nobody says how many."""
        usual = {HOUR: 24, DAY: 7, WEEK: 52}
        return usual.get(int(self.size), 12) if self.kind == "fixed" else 12

    def places(self, times: Times, first: Any) -> tuple[Places, NDArray[np.bool_]]:
        """The places of times counted from `first`, and which of them lie on the grid."""
        if self.kind == "rows":
            return np.arange(len(times), dtype=np.int64), np.ones(len(times), bool)
        if self.kind == "number":
            exact = (times - first) / self.size
            near = np.rint(exact)
            return near.astype(np.int64), np.abs(exact - near) <= NEAR
        if self.kind == "months":
            apart = _months(times) - _months(np.asarray([first]))[0]
            return apart // int(self.size), apart % int(self.size) == 0
        if self.kind == "fixed":
            apart = (times - first).astype(np.int64)
            return apart // int(self.size), apart % int(self.size) == 0
        grid = self._grid(first, times.max())
        found = np.searchsorted(grid, times).clip(max=max(0, len(grid) - 1))
        return found.astype(np.int64), grid[found] == times if len(grid) else np.zeros(len(times), bool)

    def moments(self, first: Any, count: int) -> Times:
        """The times of the places 0 .. count - 1."""
        if self.kind == "rows":
            return np.arange(count, dtype=np.float64)
        if self.kind == "number":
            return np.asarray(first + np.arange(count) * self.size, np.float64)
        if self.kind == "fixed":
            return np.asarray(first + (np.arange(count) * int(self.size)).astype("timedelta64[ns]"))
        if self.kind == "months":
            month = np.datetime64(first, "M") + np.arange(count) * int(self.size)
            day = np.timedelta64(DAY, "ns")
            into = np.datetime64(first, "ns") - np.datetime64(first, "M").astype("datetime64[ns]")
            last = (month + 1).astype("datetime64[ns]") - day + into % day
            at_the_end = last[:1] == np.datetime64(
                first, "ns"
            )  # the 28th of February stands for every month's last day
            return np.asarray(np.where(at_the_end, last, np.minimum(month.astype("datetime64[ns]") + into, last)))
        return self._grid(first, None, count)

    def _grid(self, first: Any, last: Any, count: int | None = None) -> Times:
        import pandas as pd

        dates: Any = pd.date_range
        return np.asarray(dates(first, last, periods=count, freq=self.alias), "datetime64[ns]")


def _counted(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'s' * (count != 1)}"


def _months(times: Times) -> Places:
    """Months since 1970."""
    return np.asarray(times).astype("datetime64[M]").astype(np.int64)


def infer(parts: Sequence[Times], name: str) -> Step:
    """The step of sorted series without repeated times. name: of the time column.

    Raises BadInput where the commonest difference covers less than 95% of them.
    """
    numbers = bool(parts) and parts[0].dtype.kind == "f"
    apart = np.concatenate([np.diff(part) for part in parts]) if parts else np.empty(0)
    if not len(apart):
        return Step("rows")
    if numbers:
        typical = float(np.median(apart))
        sizes, counts = np.unique(np.round(apart / typical, 3), return_counts=True)
        best, share = int(counts.argmax()), float(counts.max() / counts.sum())
        step = Step("number", _refined(apart, typical * float(sizes[best])))
    else:
        sizes, counts = np.unique(apart.astype("timedelta64[ns]").astype(np.int64), return_counts=True)
        best, share = int(counts.argmax()), float(counts.max() / counts.sum())
        step = Step("fixed", int(sizes[best]))
        if share < REGULAR and sizes[best] >= SHORTEST_MONTH:
            step, share = _in_months(parts, step, share)
    if share < REGULAR:
        size = step.amount(1)
        forced = f", or dataset.freq={_alias(step, parts)}" if step.kind != "number" else ""
        raise BadInput(
            f"the steps of {name!r} are irregular (the commonest, {size}, makes {_percent(share)}): resample{forced}."
        )
    return step


def _in_months(parts: Sequence[Times], otherwise: Step, share: float) -> tuple[Step, float]:
    """The step in months with its share, where that is more regular; else what was found."""
    apart = np.concatenate([np.diff(_months(part)) for part in parts])
    sizes, counts = np.unique(apart, return_counts=True)
    best = int(counts.argmax())
    found = float(counts[best] / counts.sum())
    return (Step("months", int(sizes[best])), found) if found > share and sizes[0] > 0 else (otherwise, share)


def _refined(apart: NDArray[np.float64], size: float) -> float:
    """A step by the whole span: each difference of 30 a second is .033333 in a file, and the thousandth is 33.333 s."""
    whole = np.rint(apart / size)
    near = (whole > 0) & (np.abs(apart / size - whole) <= NEAR * whole)
    return float(apart[near].sum() / whole[near].sum()) if near.any() else size


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%"


def _alias(step: Step, parts: Sequence[Times]) -> str:
    size = int(step.size)
    if step.kind == "months":
        return {1: "MS", 3: "QS", 12: "YS"}.get(size, f"{size}MS")
    if size == DAY and all((_weekday(part) < 5).all() for part in parts):
        return "B"
    for alias, unit in (("D", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND)):
        if size % unit == 0:
            return f"{size // unit}{alias}"
    return f"{size}ns"


def forced(alias: object) -> Step:
    """The step of a pandas alias: `1h`, `15min`, `MS`, `B`. Raises BadInput where it is none, or goes backwards."""
    import pandas as pd

    try:
        offset: Any = pd.tseries.frequencies.to_offset(str(alias))
        size: int | None = None
        try:
            size = int(pd.Timedelta(offset).value)
        except ValueError:
            first = pd.Timestamp("2000-01-01")
            if str(offset.rule_code).startswith(("D", "W-")):  # a day is no fixed time to every pandas, and is one here
                size = int((first + offset + offset - (first + offset)).value)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadInput(f"dataset.freq={shown(alias)} is no frequency of pandas: 1h, 15min, D, W, MS, QS, B.") from error
    if (size is not None and size <= 0) or offset.n <= 0:
        raise BadInput(f"dataset.freq={shown(alias)} must go forward in time.")
    if size is not None:
        return Step("fixed", size)
    months = {"MS": 1, "ME": 1, "QS": 3, "QE": 3, "YS": 12, "YE": 12}.get(str(offset.rule_code).partition("-")[0])
    return Step("months", months * offset.n) if months else Step("alias", 1, str(offset.freqstr))


def _weekday(times: Times) -> NDArray[np.int64]:
    """0 of a Monday; 1970-01-01 was a Thursday."""
    return (times.astype("datetime64[D]").astype(np.int64) + 3) % 7


def clock_change(times: Times, *, forward: bool) -> str | None:
    """A time zone, as an example, whose clock is changed at these local times; None where it is not at each of them.

    times: that stand twice, or with `forward` the first ones that are missing: night hours of the Sundays when it is
    done.
    """
    if times.dtype.kind != "M" or not len(times):
        return None
    days = times.astype("datetime64[D]")
    month = times.astype("datetime64[M]").astype(int) % 12 + 1
    of_month = (days - times.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1
    night = (times - days.astype("datetime64[ns]")).astype("timedelta64[ns]").astype(np.int64) < 4 * HOUR
    if not ((_weekday(times) == 6) & night).all():
        return None
    for (in_month, first), zone in (PUT_FORWARD if forward else PUT_BACK).items():
        if ((month == in_month) & (of_month >= first) & (of_month < first + 7)).all():
            return zone
    return None


def clock(time: Any, step: Step | None = None) -> str:
    """A time in a sentence: `2024-01-05 03:00`; the date alone where steps are whole days, and it is midnight."""
    if isinstance(time, np.datetime64):
        unit = "s" if time == time.astype("datetime64[s]") else "ms"
        text = str(time.astype(f"datetime64[{unit}]")).replace("T", " ").removesuffix(":00")
        dates = step is not None and (step.kind in ("months", "alias") or (step.kind == "fixed" and step.size >= DAY))
        return text.removesuffix(" 00:00") if dates else text
    return f"{float(time):.12g}"  # seconds since 1970 and their tenths
