"""The picture of classes: a confusion matrix an entry, and the items of the largest loss as a table."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.reports.figures import BASE
from rnnbench.reports.predictions.heads import headed
from rnnbench.reports.predictions.sheets import Sheet
from rnnbench.store.samples import Classes
from rnnbench.store.text import csv_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

WITH_SHARES, WITH_COUNTS, WITH_NAMES = 8, 24, 48  # the most classes whose cells have both, counts; whose names are read
LONGEST = 14  # characters of a class
WIDTH = 9.7  # inches for all panels
SHADES = ("#ffffff", "#d3e6f3", "#7fb6dc", "#0072B2", "#003a5c")  # of one hue, lighter to darker
WORST_COLUMNS = ("entry", "run", "item", "step", "true", "predicted", "probability_of_true")


def confusion(sheet: Sheet) -> Figure:
    """A matrix an entry: rows are true classes, columns predicted ones, colours shares of a row."""
    rows = sheet.of(Classes)
    labels = [_cut(label) for label in rows[0][1].labels]
    K = len(labels)
    wide = _panels_in_a_row(K)
    high = math.ceil(len(rows) / wide)
    side = WIDTH / wide
    letters = max(map(len, labels)) if K <= WITH_NAMES else 4
    height = min(side - 0.55 * (wide > 1), 0.42 * K + 1.3) + 0.035 * letters + 0.35
    figure, below = headed(sheet, "which class is taken for which", high * height + 0.1)
    grid = below.subplots(high, wide, squeeze=False)
    for n, axes in enumerate(grid.flat):
        if n >= len(rows):
            axes.set_axis_off()
            continue
        row, samples = rows[n]
        image = _matrix(axes, samples.counts, labels)
        axes.set_title(f"{row.label}\n{row.note}", fontsize=9, loc="left")
    shown = grid[:, : min(wide, len(rows))]  # not beside empty places
    bar = below.colorbar(image, ax=shown, shrink=0.8 / high, anchor=(0.0, 1.0), aspect=25, pad=0.01, format="{x:.0%}")
    for axes in grid.flat:  # the bar moved them to the right; at the bottom of their place names below have room
        axes.set_anchor("SW")
    bar.set_label("share of the true class", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    return figure


def _panels_in_a_row(classes: int) -> int:
    """So many have room; a matrix keeps its size, however few there are, and the first one stands at the left."""
    return 3 if classes <= 6 else 2 if classes <= 16 else 1


def _matrix(axes: Axes, counts: NDArray[np.int64], labels: list[str]) -> Any:
    """One matrix with its names and numbers; returns its image."""
    K = len(counts)
    total = counts.sum(1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    image = axes.imshow(shares, cmap=_colours(), vmin=0, vmax=1, aspect="equal", interpolation="nearest")
    axes.spines[:].set_visible(False)
    size = 9 if K <= 10 else 8 if K <= 24 else 6.5
    if K <= WITH_NAMES:
        long = max(map(len, labels)) > 3 and K > 3
        axes.set_xticks(range(K), labels, fontsize=size, rotation=90 if long else 0)
        axes.set_yticks(range(K), labels, fontsize=size)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted", fontsize=9)
    axes.set_ylabel("true", fontsize=9)
    if K <= WITH_NAMES:
        axes.text(K - 0.4, -0.8, "right", fontsize=min(size, 8), color=BASE, va="center")
        for n in range(K):
            right = f"{shares[n, n]:.0%}" if total[n, 0] else "none"
            axes.text(K - 0.4, n, right, fontsize=min(size, 8), color=BASE, va="center")
    axes.set_xticks(np.arange(1, K) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, K) - 0.5, minor=True)
    if K <= WITH_NAMES:
        axes.grid(which="minor", color="#e3e3e3", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    if K <= WITH_COUNTS:
        _numbers(axes, counts, shares)
    return image


def _numbers(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    """The count of every cell that is not empty; of few classes its share, too."""
    K = len(counts)
    digits = len(f"{counts.max():,}")
    size = float(np.clip(150 / (K * max(2, digits)), 4.5, 9))
    for i, j in zip(*counts.nonzero(), strict=True):
        share = f"\n{shares[i, j]:.1%}" if K <= WITH_SHARES else ""
        colour = "white" if shares[i, j] > 0.55 else "black"
        axes.text(j, i, f"{counts[i, j]:,}{share}", ha="center", va="center", fontsize=size, color=colour)


def _colours() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shares", list(SHADES))


def _cut(label: str) -> str:
    return label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"


def worst_csv(sheet: Sheet) -> str:
    """The items of the largest loss of every entry, a row each, largest first; step is empty where items have one."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(WORST_COLUMNS)
    for row, samples in sheet.of(Classes):
        for n, item in enumerate(samples.item.tolist()):
            step = int(samples.step[n])
            names = [samples.labels[int(numbers[n])] for numbers in (samples.true, samples.predicted)]
            told = (row.label, row.run, item, "" if step < 0 else step, *names, f"{samples.probability[n]:.4g}")
            table.writerow([csv_cell(value) for value in told])
    return text.getvalue()
