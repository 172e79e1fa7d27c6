"""The leaderboard as a picture: one panel a dataset, one line an entry, best first, each mean with its 95% interval."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rnnbench.reports.boards.floors import entries
from rnnbench.reports.boards.leaderboard import leaderboard
from rnnbench.reports.figures import ACCENT, BASE, WARN, log_ticks, new_figure, plain, save
from rnnbench.reports.selection.blocks import blocks, title
from rnnbench.reports.tables.labels import cut, dotted, pieces_apart
from rnnbench.reports.tables.numbers import known, short, with_arrow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PATH = "figures/leaderboard.png"
MOST_ROWS, MOST_PANELS = 40, 4  # beyond, a picture of it is no picture
WIDE = 30  # from largest to smallest, where a logarithmic axis says more
COLUMNS = 2
FAR = 1.5  # widths of what the entries take, to where a floor is drawn
LONGEST = 48
WIDEST, LONGEST_HEADING = 60, 120  # characters of a line over a panel, and of all of them
NOTE = "Mean over seeds with its 95% interval; blue: not told apart from the best."


def board_link(frame: pd.DataFrame) -> list[str]:
    """The lines of a published set's README about the picture; none where it is not drawn."""
    if not _panels(frame):
        return []
    return ["", f"![mean and 95% interval of every entry, dataset by dataset]({PATH})"]


def draw_board(folder: Path, frame: pd.DataFrame) -> Path | None:
    """Draw the leaderboard of a runs frame into folder/figures/leaderboard.png; None where it is too long for one."""
    parts = _panels(frame)
    path = folder / PATH
    if not parts:
        path.unlink(missing_ok=True)
        return None
    rows = [parts[n : n + COLUMNS] for n in range(0, len(parts), COLUMNS)]
    heights = [max(map(len, row)) + 3.0 + (2.0 if any(_apart(parts)) else 0.0) for row in rows]
    figure = new_figure(0.27 * sum(heights))
    grid = figure.subplots(len(rows), min(COLUMNS, len(parts)), squeeze=False, height_ratios=heights)
    cells = [axes for line in grid for axes in line]
    for axes, part, apart in zip(cells, parts, _apart(parts), strict=False):
        _panel(axes, part, apart)
    for axes in cells[len(parts) :]:
        axes.set_visible(False)
    figure.supxlabel(NOTE, x=0.005, ha="left", fontsize=8, color=BASE)
    return save(figure, path)


def _panels(frame: pd.DataFrame) -> list[pd.DataFrame]:
    parts = [block for block in blocks(entries(leaderboard(frame))) if block["mean"].notna().any()]
    return parts if sum(map(len, parts)) <= MOST_ROWS and len(parts) <= MOST_PANELS else []


def _apart(parts: Sequence[pd.DataFrame]) -> list[str]:
    """What of its protocol tells each panel from the others with its title; empty where no other has it."""
    protocols = [str(part["protocol"].iloc[0]) for part in parts]
    titles = [title(part) for part in parts]
    found = []
    for own, heading in zip(protocols, titles, strict=True):
        same = [protocol for protocol, other in zip(protocols, titles, strict=True) if other == heading]
        found.append(pieces_apart(own, same, LONGEST_HEADING) if len(same) > 1 else "")
    return found


def _panel(axes: Axes, part: pd.DataFrame, apart: str) -> None:
    """Entries from best to worst, downwards; blue where the best is not told apart, a dotted line at the floor."""
    plain(axes)
    axes.grid(False, axis="y")
    places = range(len(part), 0, -1)
    ends = [value for name in ("mean", "floor") for value in part[name] if known(value) and value > 0]
    if ends and max(ends) > WIDE * min(ends):
        axes.set_xscale("log")
    for place, (_, row) in zip(places, part.iterrows(), strict=True):
        _line(axes, place, row)
    _floor(axes, part)
    names, shared = _labels([str(label) for label in part["label"]])
    axes.set_yticks(list(places), names, fontsize=9)
    axes.set_ylim(0.1, len(part) + 0.6)
    heading = dotted(title(part), shared)
    axes.set_title("\n".join([heading, *textwrap.wrap(apart, WIDEST)]), fontsize=10, loc="left")
    first = part.iloc[0]
    axes.set_xlabel(f"{with_arrow(first['metric'], first['goal'])} on test", fontsize=9)
    if axes.get_xscale() == "log":
        log_ticks(axes.xaxis)


def _line(axes: Axes, place: int, row: pd.Series[Any]) -> None:
    """One entry's mean with its interval, which never shows values that the metric cannot have."""
    colour = ACCENT if row["standing"] in ("best", "tied") else BASE
    if not known(row["mean"]):
        axes.annotate(
            "no result", (0.02, place), xycoords=("axes fraction", "data"), fontsize=8, color=WARN, va="center"
        )
        return
    if known(row["low"]):
        low, high = row["low"], row["high"]
        if row["goal"] == "min":
            smallest = 0.3 * row["mean"] if axes.get_xscale() == "log" else 0.0
            low = max(low, smallest)
        axes.plot([low, high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
    axes.plot([row["mean"]], [place], marker="o", color=colour, markersize=6)


def _floor(axes: Axes, part: pd.DataFrame) -> None:
    """A dotted line at the floor, or, where it is so far off that entries would shrink to a point, its side."""
    floor = part["floor"].iloc[0]
    if not known(floor):
        return
    low, high = axes.get_xlim()
    logarithmic = axes.get_xscale() == "log" and floor > 0
    at, start, end = (math.log(number) for number in (floor, low, high)) if logarithmic else (floor, low, high)
    share = (at - start) / (end - start)
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": BASE}
    if -FAR < share < 1 + FAR:
        axes.axvline(floor, color=BASE, linestyle=":", linewidth=1.2)
        left = share < 0.5
        side: dict[str, Any] = {"xytext": (4 if left else -4, 0), "ha": "left" if left else "right"}
        axes.annotate(f"floor {short(floor, 3)}", (floor, 0.3), **text, **side)
        return
    words = f"\u2190 floor {short(floor, 3)}" if share < 0 else f"floor {short(floor, 3)} \u2192"
    place: dict[str, Any] = {"xytext": (0, 4), "xycoords": "axes fraction", "ha": "left" if share < 0 else "right"}
    axes.annotate(words, (0.01 if share < 0 else 0.99, 0), **text, **place)


def _labels(labels: Sequence[str]) -> tuple[list[str], str]:
    """Names of the entries without the words that all of them end with, and those words."""
    words = [label.split(" ") for label in labels]
    same = 0
    while len(labels) > 1 and all(len(w) > same + 1 for w in words) and len({w[-1 - same] for w in words}) == 1:
        same += 1
    names = [" ".join(w[: len(w) - same]) for w in words]
    shared = " ".join(words[0][len(words[0]) - same :]) if same else ""
    return [cut(name, LONGEST) for name in names], shared
