"""The picture of forecasts: what was seen, what came, what every network and every trivial forecast said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.reports.figures import BASE, line_style, plain
from rnnbench.reports.predictions.heads import Handle, headed
from rnnbench.reports.predictions.sheets import Sheet
from rnnbench.store.samples import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, PANELS = 4, 8  # columns of the data, and panels, that a picture shows unless more are asked for
HEIGHT = 1.9  # inches of a row of panels
BEFORE = 3  # horizons of input that are drawn
ROOM = 0.35  # of the range of data and networks, by which a trivial forecast may widen it; one farther away leaves it
FLOOR_STYLES: tuple[dict[str, Any], ...] = tuple(
    {"color": colour, "linewidth": 1.0, "linestyle": style}
    for colour in ("#8c8c8c", "#b89b6a")
    for style in (":", "--", "-.", (0, (1, 4)))
)
SEEN: dict[str, Any] = {"color": BASE, "linewidth": 1.0}
TRUE: dict[str, Any] = {"color": "black", "linewidth": 1.8}


def forecasts(sheet: Sheet, items: int | None = None) -> Figure:
    """Panels side by side, one a forecast and column of the data, as a figure. items: how many of the forecasts."""
    rows = sheet.of(Series)
    shown = rows[0][1]
    columns = min(COLUMNS, len(shown.columns))
    kept = len(shown.series)
    items = min(kept, items or max(2, PANELS // columns))
    picked = np.linspace(0, kept - 1, items).round().astype(int)
    handles: list[Handle] = [*([("input", SEEN)] if shown.input.shape[1] else []), ("truth", TRUE)]
    handles += [(f"{row.label} ({row.note})", _style(n)) for n, (row, _) in enumerate(rows)]
    handles += [(f"{name} (trivial)", FLOOR_STYLES[n % 8]) for n, name in enumerate(shown.floor_names)]
    count = items * columns
    wide = min(2, count)
    high = -(-count // wide)
    figure, below = headed(sheet, _what(shown, columns), high * HEIGHT + 0.1, handles)
    grid = below.subplots(high, wide, squeeze=False)
    places = [(item, column) for item in picked.tolist() for column in range(columns)]
    for n, axes in enumerate(grid.flat):
        if n >= count:
            axes.set_visible(False)
            continue
        _panel(axes, rows, *places[n])
    return figure


def _what(shown: Series, columns: int) -> str:
    left = len(shown.columns) - columns
    more = f" (the first {columns} of {columns + left} columns)" if left else ""
    if not shown.input.shape[1]:
        return f"predictions on test{more}"
    return f"forecasts on test{more}" + "; trivial ones far away leave their panel" * bool(shown.floor_names)


def _style(n: int) -> dict[str, Any]:
    return {"linewidth": 1.4, **line_style(n)}


def _panel(axes: Axes, rows: list[tuple[Any, Series]], item: int, column: int) -> None:
    """One forecast of one column."""
    shown = rows[0][1]
    plain(axes)
    seen = min(shown.input.shape[1], BEFORE * shown.times.shape[1])
    before = slice(shown.input.shape[1] - seen, None)
    past, coming = (_clock(shown, times) for times in (shown.input_times[item, before], shown.times[item]))
    axes.plot(past, shown.input[item, before, column], **SEEN)
    for n in range(len(shown.floor_names)):
        axes.plot(coming, shown.floors[n, item, :, column], **FLOOR_STYLES[n % 8], **_mark(coming))
    axes.plot(coming, shown.truth[item, :, column], **TRUE, **_mark(coming))
    for n, (_, samples) in enumerate(rows):
        axes.plot(coming, samples.prediction[item, :, column], **_style(n), **_mark(coming))
    if seen:
        axes.axvline(coming[0], color="#bbbbbb", linewidth=0.8, zorder=0)
    _limit(axes, [shown.input[item, before, column], shown.truth[item, :, column],
                  *(samples.prediction[item, :, column] for _, samples in rows)],
           shown.floors[:, item, :, column])  # fmt: skip
    if shown.clock == "time":
        _dates(axes)
    else:
        axes.set_xlabel("row" if seen else "step", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.set_ylabel(_cut(shown.columns[column], 24), fontsize=9)
    axes.set_title(_title(shown, item), fontsize=9, loc="left")


def _mark(coming: NDArray[Any]) -> dict[str, Any]:
    """A single step is no line."""
    return {"marker": "o", "markersize": 4} if len(coming) == 1 else {}


def _clock(shown: Series, times: NDArray[np.int64]) -> NDArray[Any]:
    return times.astype("datetime64[ns]") if shown.clock == "time" else times


def _limit(axes: Axes, kept: list[NDArray[np.float32]], floors: NDArray[np.float32]) -> None:
    """The y axis holds the data and every network, and the trivial forecasts that are not far away from them."""
    values = np.concatenate([part.ravel() for part in kept]).astype(float)
    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    size = (high - low) or abs(high) or 1.0
    least, most = low - ROOM * size, high + ROOM * size
    for floor in floors.astype(float):
        near = floor[np.isfinite(floor)]
        if near.size and least <= near.min() and near.max() <= most:
            low, high = min(low, float(near.min())), max(high, float(near.max()))
    axes.set_ylim(low - 0.06 * size, high + 0.06 * size)


def _dates(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.xaxis.get_offset_text().set_fontsize(8)


def _title(shown: Series, item: int) -> str:
    """Which series, from when: "q3, from 2024-01-14 13:00"."""
    name = _cut(shown.series[item], 40)
    if shown.clock == "row":
        start = "" if not shown.input.shape[1] else f"from row {shown.times[item, 0]:,}"
    else:
        start = "from " + time_words(int(shown.times[item, 0]))
    return ", ".join(filter(None, (name, start)))


def time_words(nanoseconds: int) -> str:
    """A time as a table has it, without what is zero: "2024-01-14 13:00", "2024-01-14"."""
    text = str(np.datetime64(nanoseconds, "ns").astype("datetime64[s]")).replace("T", " ")
    return text.removesuffix(":00").removesuffix(" 00:00")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
