"""The picture of yes or no at every step: what was and what was expected, as rolls; what is wrong has a colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rnnbench.reports.figures import ACCENT, WARN
from rnnbench.reports.predictions.heads import Handle, headed
from rnnbench.reports.predictions.sheets import Sheet
from rnnbench.store.samples import Bytes, Steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ITEMS = 2
TRUE, MISSED, WRONG = "#333333", "#E69F00", WARN
COLOURS = {"true": TRUE, "expected, and true": ACCENT, "missed": MISSED, "wrongly expected": WRONG}
NAMED = 16  # outputs whose names are read
HALF = 128  # of 255: from here on an output is expected


def rolls(sheet: Sheet, items: int | None = None) -> Figure:
    """Of every item a roll of the truth and one an entry: steps from left to right, an output a line."""
    rows = sheet.of(Steps)
    shown = rows[0][1]
    items = min(len(shown.items), items or ITEMS)
    K = len(shown.labels)
    each = float(np.clip(0.17 * K, 0.5, 1.1))
    count = items * (1 + len(rows))
    handles: list[Handle] = [(name, {"facecolor": colour, "edgecolor": "none"}) for name, colour in COLOURS.items()]
    figure, below = headed(sheet, "what comes at every step", count * (each + 0.42), handles)
    grid = below.subplots(count, 1, squeeze=False)
    for item in range(items):
        steps = int(shown.lengths[item])
        truth = shown.truth[item, :steps]
        first = grid[item * (1 + len(rows)), 0]
        _roll(first, _true(truth), shown.labels, f"test item {shown.items[item]:,}: truth")
        for n, (row, samples) in enumerate(rows, start=1):
            found = samples.prediction[item, :steps]
            _roll(grid[item * (1 + len(rows)) + n, 0], _judged(truth, found), shown.labels, f"{row.label} ({row.note})")
    grid[-1, 0].set_xlabel("step", fontsize=9)
    return figure


def _roll(axes: Axes, image: NDArray[np.float64], labels: tuple[str, ...], title: str) -> None:
    """image: T K 3; drawn with steps from left to right and the first output at the bottom."""
    axes.imshow(image.transpose(1, 0, 2), aspect="auto", origin="lower", interpolation="nearest")
    axes.set_title(title, fontsize=9, loc="left", pad=3)
    axes.tick_params(labelsize=8, length=2)
    axes.spines[:].set_color("#cccccc")
    if len(labels) <= NAMED:
        axes.set_yticks(range(len(labels)), [label[:10] for label in labels], fontsize=8)


def _true(truth: Bytes) -> NDArray[np.float64]:
    """T K as colours, T K 3."""
    return np.where((truth >= HALF)[..., None], _rgb(TRUE), 1.0)


def _judged(truth: Bytes, found: Bytes) -> NDArray[np.float64]:
    """What was expected against what was, T K 3: white is rightly nothing, darker is surer."""
    true, expected = (truth >= HALF)[..., None], (found >= HALF)[..., None]
    sure = 0.35 + 0.65 * (found[..., None] / 255)
    right = 1 - sure * (1 - _rgb(ACCENT))
    wrong = 1 - sure * (1 - _rgb(WRONG))
    return np.select([true & expected, true, expected], [right, _rgb(MISSED), wrong], 1.0)


def _rgb(colour: str) -> NDArray[np.float64]:
    """ "#0072B2" as three numbers from 0 to 1."""
    return np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / 255
