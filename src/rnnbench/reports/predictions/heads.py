"""What stands above the panels of a picture: what it shows, its terms, and what lines and colours mean."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnnbench.reports.figures import BASE, WARN, WIDTH, new_figure
from rnnbench.reports.predictions.sheets import Sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

EDGE, LINE = 0.15, 0.17  # inches
CHARACTER = 0.075  # inches of one in a legend or a term
NAME = 60  # characters of an entry in a legend

Handle = tuple[str, Mapping[str, Any]]  # a name, and how its line or patch looks


def headed(sheet: Sheet, what: str, height: float, handles: Sequence[Handle] = ()) -> tuple[Figure, SubFigure]:
    """A figure and the part of it below its head, so many inches high, for the panels.

    handles: the legend; one with a `facecolor` is a patch. Entries that have nothing to show are named with the reason.
    """
    lacking = [f"{row.label}: {row.note}" for row in sheet.rows if row.samples is None]
    width = int((WIDTH - 2 * EDGE) / CHARACTER)
    terms = [line for term in sheet.terms for line in textwrap.wrap(term, width)]
    said = [line for term in lacking for line in textwrap.wrap(term, width)]
    columns = _columns(handles)
    rows = -(-len(handles) // columns) if handles else 0
    head = EDGE + 0.3 + LINE * (len(terms) + len(said)) + 0.21 * rows + 0.12
    figure = new_figure(head + height)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=[head, height])[:, 0]
    y = EDGE + 0.1
    above.text(EDGE / WIDTH, 1 - y / head, f"{sheet.dataset}: {what}", size=12, weight="bold", va="center")
    y += 0.17
    for n, line in enumerate([*terms, *said]):
        colour = WARN if n >= len(terms) else BASE
        above.text(EDGE / WIDTH, 1 - (y + LINE * (n + 0.5)) / head, line, size=9, color=colour, va="center")
    if handles:
        _legend(above, handles, columns)
    return figure, below


def _columns(handles: Sequence[Handle]) -> int:
    """How many names stand beside each other in a legend."""
    longest = max((len(_short(name)) for name, _ in handles), default=1)
    return max(1, min(len(handles), int((WIDTH - 2 * EDGE) / (CHARACTER * longest + 0.6))))


def _short(name: str) -> str:
    return textwrap.shorten(name, NAME, placeholder=" …")


def _legend(above: SubFigure, handles: Sequence[Handle], columns: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    made = [
        Patch(**style, label=_short(name)) if "facecolor" in style else Line2D([], [], **style, label=_short(name))
        for name, style in handles
    ]
    above.legend(
        handles=made, loc="lower left", bbox_to_anchor=((EDGE - 0.05) / WIDTH, 0.0), ncols=columns, fontsize=9,
        frameon=False, borderaxespad=0.2, handlelength=2.2, labelspacing=0.3,
    )  # fmt: skip
