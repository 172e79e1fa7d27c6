"""How figures look here: sizes for a README, colours that colour-blind readers can tell apart, no pyplot, no display.

matplotlib is imported inside the functions: a table needs none of it.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.tables.numbers import short
from rnnbench.store.store import write_atomic
from rnnbench.store.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 10.0  # inches; at 120 dots an inch a README shows it at two thirds, text at about 11 pixels
DOTS = 120
# Okabe and Ito's colours without yellow, which is too faint for lines on white.
BASE, ACCENT, WARN = "#555555", "#0072B2", "#D55E00"
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
STYLES = ("-", "--", ":")


def new_figure(height: float, *, width: float = WIDTH) -> Figure:
    """An empty figure of so many inches that draws without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DOTS, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def panels(n: int, *, columns: int, height: float, extra: float = 0.6, **shared: Any) -> tuple[Figure, list[Axes]]:
    """A figure with n equal panels in rows, at most so many columns; height of a row and extra in inches."""
    columns = max(1, min(n, columns))
    rows = math.ceil(n / columns)
    height = max(height, 3.0) if n == 1 else height
    figure = new_figure(rows * height + extra)
    grid = figure.subplots(rows, columns, squeeze=False, **shared)
    flat = [axes for row in grid for axes in row]
    for axes in flat[n:]:
        axes.set_visible(False)
    for axes in flat[:n]:
        plain(axes)
    return figure, flat[:n]


def plain(axes: Axes) -> None:
    """Axes without a frame, with a faint grid behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=9)


def log_ticks(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis: 1, 2 and 5 of each decade, or the decades alone where there are many."""
    from matplotlib.ticker import LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    wide = low > 0 and high / low > 300
    axis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(lambda value, _: short(value, 3))
    axis.set_minor_formatter(NullFormatter())


def line_style(n: int) -> dict[str, Any]:
    """Colour and dash of the n-th line: six colours, then the same dashed, then dotted."""
    return {"color": COLOURS[n % len(COLOURS)], "linestyle": STYLES[n // len(COLOURS) % len(STYLES)]}


def legend(figure: Figure, entries: Sequence[tuple[str, Mapping[str, Any]]], *, failed: bool = False) -> None:
    """One legend for the whole figure, above its panels."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **{"linewidth": 2, **style}, label=name) for name, style in entries]
    if failed:
        handles.append(Line2D([], [], color=WARN, linewidth=1, linestyle="--", marker="x", label="failed run"))
    columns = min(len(handles), 5)
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, fontsize=9, frameon=False)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG, whole or not at all."""
    content = png(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content)
    return path


def png(figure: Figure) -> bytes:
    """A figure as PNG. Its texts are texts: no `$` begins a formula, and a letter that no font has is an empty box."""
    from matplotlib.text import Text
    from matplotlib.ticker import FixedFormatter

    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter):
                formatter.seq = [_no_formula(label) for label in formatter.seq]
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if (safe := _no_formula(text.get_text())) != text.get_text():
            text.set_text(safe)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        for harmless in (r"Glyph \d+", "constrained_layout not applied"):  # a name of a thousand letters leaves no room
            warnings.filterwarnings("ignore", harmless, UserWarning)
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _no_formula(text: str) -> str:
    return printable(text).replace("$", r"\$")
