"""The picture of predicted numbers: each against the true one, a panel an entry and column."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rnnbench.reports.figures import BASE, COLOURS, plain
from rnnbench.reports.predictions.heads import headed
from rnnbench.reports.predictions.sheets import Sheet
from rnnbench.store.samples import Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 4  # of the data that are drawn
WIDE = 3  # panels in a row


def scatter(sheet: Sheet) -> Figure:
    """Predicted against true, with the line on which both are equal; all panels of a column on one scale."""
    rows = sheet.of(Values)
    shown = rows[0][1]
    columns = min(COLUMNS, len(shown.columns))
    count = len(rows) * columns
    wide = min(WIDE, count)
    high = math.ceil(count / wide)
    more = f", the first {columns} of {len(shown.columns)} columns" * (len(shown.columns) > columns)
    what = f"predicted against true, {len(shown.items):,} test items{more}"
    figure, below = headed(sheet, what, high * (9.7 / max(wide, 2) + 0.25))
    grid = below.subplots(high, wide, squeeze=False)
    limits = [_limits(shown.truth[:, c], [samples.prediction[:, c] for _, samples in rows]) for c in range(columns)]
    panels = [(row, samples, column) for row, samples in rows for column in range(columns)]
    for n, axes in enumerate(grid.flat):
        if n >= count:
            axes.set_visible(False)
            continue
        row, samples, column = panels[n]
        _panel(axes, samples, column, limits[column])
        name = f" · {shown.columns[column][:30]}" if columns > 1 else ""
        axes.set_title(f"{row.label}{name}\n{row.note}", fontsize=9, loc="left")
    return figure


def _limits(truth: NDArray[np.float32], predictions: list[NDArray[np.float32]]) -> tuple[float, float]:
    """The ends of a column's axes: all true values, and predictions as far as half their range beyond."""
    true = truth[np.isfinite(truth)].astype(float)
    low, high = (float(true.min()), float(true.max())) if true.size else (0.0, 1.0)
    size = (high - low) or abs(high) or 1.0
    found = np.concatenate(predictions).astype(float)
    found = found[np.isfinite(found)]
    if found.size:
        low, high = (
            min(low, max(float(found.min()), low - size / 2)),
            max(high, min(float(found.max()), high + size / 2)),
        )
    return low - 0.04 * size, high + 0.04 * size


def _panel(axes: Axes, samples: Values, column: int, limits: tuple[float, float]) -> None:
    plain(axes)
    axes.plot(limits, limits, color=BASE, linewidth=0.9, linestyle="--", zorder=1)
    size, alpha = (5, 0.35) if len(samples.items) > 400 else (12, 0.6)
    inside = np.clip(samples.prediction[:, column], *limits)  # what is far off lies at the edge
    axes.scatter(
        samples.truth[:, column], inside, s=size, alpha=alpha, linewidths=0, color=COLOURS[0], clip_on=False, zorder=2
    )
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.tick_params(labelsize=8)
    axes.set_xlabel("true", fontsize=9)
    axes.set_ylabel("predicted", fontsize=9)
