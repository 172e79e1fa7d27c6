"""The picture of a sheet: for every clip a block of rows (input, truth, one an entry), time from left to right.

All lengths are pixels of the picture, y counted from its upper edge: frames are drawn pixel by pixel, never resampled.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnbench.reports.figures import ACCENT, BASE, DOTS, WARN, new_figure
from rnnbench.reports.predictions.pixels import Look, picked, time_text
from rnnbench.reports.predictions.sheets import Sheet
from rnnbench.reports.tables.numbers import short
from rnnbench.store.samples import Bytes, Frames

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 10  # frames in a row; of longer films evenly spaced ones
LEFT, RIGHT, TOP, BOTTOM = 216, 18, 14, 14
GAP, LINE, BETWEEN = 4, 19, 30  # between frames; a line of text; between two clips
LABEL_WIDTH = 22  # characters
NARROWEST = 860
BAR = 62  # the colour bar with its ticks and label


class _Page:
    """A figure of so many pixels, and where on it things are."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure: Figure = new_figure(height / DOTS, width=width / DOTS)
        self.figure.set_layout_engine("none")
        self.pixels: Bytes = np.full((height, width, 3), 255, np.uint8)

    def text(self, x: float, y: float, words: str, *, size: float = 9, colour: str = "black", **how: Any) -> None:
        """Words at a point: by default their left end and middle."""
        place: dict[str, Any] = {"ha": "left", "va": "center"} | how
        self.figure.text(x / self.width, 1 - y / self.height, words, fontsize=size, color=colour, **place)

    def image(self, x: int, y: int, image: Bytes) -> None:
        """An image, H W 3, with its upper left corner at a point."""
        height, width = image.shape[:2]
        self.pixels[y : y + height, x : x + width] = image

    def done(self) -> Figure:
        """The figure with all images in it."""
        self.figure.figimage(self.pixels, 0, 0, origin="upper", zorder=-1)
        return self.figure


def picture(sheet: Sheet, clips: int) -> Figure:
    """The first clips of a sheet as a figure."""
    shown = sheet.shown
    clips = min(clips, len(shown.clips))
    before, after = picked(shown.input.shape[1], COLUMNS), picked(shown.truth.shape[1], COLUMNS)
    look = Look.of(shown, clips)
    h, w = look.coloured(shown.input[0, 0]).shape[:2]
    columns = max(len(before), len(after))
    width = max(LEFT + columns * (w + GAP) + RIGHT, NARROWEST)
    white = "" if shown.scale.kind == "rain" or shown.scale.top == 1 else f"white: {short(shown.scale.top)} and above"
    terms = [line for term in (*sheet.terms, white) for line in textwrap.wrap(term, (width - 2 * RIGHT) // 7)]
    block = 2 * LINE + (2 + len(sheet.rows)) * (h + GAP) + LINE // 2
    head = TOP + 28 + LINE * len(terms) + 8
    bar = BAR if shown.scale.kind == "rain" else 0
    page = _Page(width, head + clips * block + (clips - 1) * BETWEEN + bar + BOTTOM)
    page.text(RIGHT, TOP + 10, f"{sheet.dataset}: what each network predicts", size=12, weight="bold")
    for n, term in enumerate(terms):
        page.text(RIGHT, TOP + 28 + LINE * n + LINE / 2, term, colour=BASE)
    for clip in range(clips):
        _block(page, head + clip * (block + BETWEEN), sheet, look, clip, before, after)
    if bar:
        _colour_bar(page, page.height - BOTTOM - bar + 16, columns * (w + GAP) - GAP, look)
    return page.done()


def _block(page: _Page, y: int, sheet: Sheet, look: Look, clip: int, before: list[int], after: list[int]) -> None:
    """One clip: its input under its own times, then truth and predictions under theirs."""
    shown, last = sheet.shown, sheet.shown.input.shape[1] - 1
    if clip:
        rule = np.full((1, page.width - 2 * RIGHT, 3), 0xCC, np.uint8)
        page.image(RIGHT, y - BETWEEN // 2, rule)
    page.text(RIGHT, y + LINE / 2, f"test clip {shown.clips[clip]}", weight="bold")
    h = _strip(page, y, shown.input[clip], before, [t - last for t in before], look, ACCENT)
    _label(page, y + LINE, h, "input", "what the networks see", ACCENT)
    y += LINE + h + GAP + LINE // 2
    _strip(page, y, shown.truth[clip], after, [t + 1 for t in after], look, "black")
    _label(page, y + LINE, h, "truth", "the coming frames")
    y += LINE + h + GAP
    for row in sheet.rows:
        _label(page, y, h, row.label, row.note if row.samples is not None else "")
        if isinstance(row.samples, Frames):
            _strip(page, y, row.samples.prediction[clip], after, None, look)
        else:
            page.text(LEFT, y + h / 2, row.note, colour=WARN)
        y += h + GAP


def _strip(
    page: _Page, y: int, frames: Bytes, steps: list[int], times: list[int] | None, look: Look, colour: str = "black"
) -> int:
    """Frames side by side, under their times where these are given; returns the height of a frame."""
    if times is not None and look.scale.minutes is None:
        page.text(LEFT - 10, y + LINE / 2, "frame", size=8, colour=colour, ha="right")
    for n, image in enumerate(look.coloured(frames[steps])):
        h, w = image.shape[:2]
        x = LEFT + n * (w + GAP)
        if times is not None:
            page.text(x + w / 2, y + LINE / 2, time_text(times[n], look.scale), size=8, colour=colour, ha="center")
        page.image(x, y if times is None else y + LINE, image)
    return int(h)


def _label(page: _Page, y: int, height: int, name: str, note: str = "", colour: str = "black") -> None:
    """A row's name and what else is to be said of it, at the left of its frames."""
    lines = [(line, colour) for line in textwrap.wrap(name, LABEL_WIDTH, max_lines=4, placeholder=" …")] + [
        (note, BASE)
    ] * bool(note)
    top = y + height / 2 - LINE * (len(lines) - 1) / 2
    for n, (line, shade) in enumerate(lines):
        page.text(LEFT - 10, top + n * LINE, line, size=8.5, colour=shade, ha="right")


def _colour_bar(page: _Page, y: int, width: int, look: Look) -> None:
    """The colours of rain from dry to the last one, with rates in mm/h."""
    colours = look.bar[np.linspace(0, len(look.bar) - 1, width).round().astype(int)]
    page.image(LEFT, y, np.repeat(colours[None], 12, axis=0))
    page.text(LEFT - 10, y + 6, "rain rate, mm/h", size=8.5, ha="right")
    for place, text in look.ticks:
        x = LEFT + round(place * (width - 1))
        page.image(x, y + 12, np.zeros((4, 1, 3), np.uint8))
        page.text(x, y + 26, text, size=8, ha="center")
