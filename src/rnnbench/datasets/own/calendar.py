"""What a calendar says of a row, as sin and cos: the hour of the day, the day of the week, the day of the year."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.own.grid import DAY, WEEK, Step

YEAR = 365.25  # days


def calendar(step: Step, times: NDArray[Any], *, years: bool) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names and values, rows x names, of the parts of the calendar that vary from step to step.

    times: datetime64[ns]. Hours are those of the file, or of UTC where it has offsets. years: train has seen more than
    one year; else the day of the year would only tell a network which week of train it is in.
    """
    days = times.astype("datetime64[D]")
    hours = (times - days.astype("datetime64[ns]")).astype("timedelta64[ns]").astype(np.int64) / DAY
    weekday = ((days.astype(np.int64) + 3) % 7) / 7  # 1970-01-01 was a Thursday
    of_year = (days - times.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64) / YEAR
    phases = {"hour": hours, "weekday": weekday, "day_of_year": of_year}
    names, columns = [], []
    for name in _varying(step, years):
        angle = 2 * np.pi * phases[name]
        names += [f"sin_{name}", f"cos_{name}"]
        columns += [np.sin(angle), np.cos(angle)]
    return tuple(names), np.column_stack(columns) if columns else np.empty((len(times), 0))


def _varying(step: Step, years: bool) -> list[str]:
    """hour below a day, weekday where a step is no whole number of weeks, day of the year below a year."""
    if step.kind == "alias":
        return ["weekday", *(["day_of_year"] if years else [])]
    if step.kind == "months":
        return ["day_of_year"] if step.size % 12 and years else []
    if step.kind != "fixed":
        return []
    size = int(step.size)
    found = ["hour"] if size % DAY else []
    found += ["weekday"] if size % WEEK and size < WEEK else []
    return found + (["day_of_year"] if size < 365 * DAY and years else [])
