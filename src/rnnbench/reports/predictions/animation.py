"""The animation of a sheet: input, then truth beside every prediction, frame by frame, for ever.

All lengths are pixels; x to the right, y down. While the input lasts every panel shows it, with a blue edge; then each
shows its own: the truth with a grey edge, predictions with an orange one.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnbench.reports.figures import ACCENT, BASE, WARN
from rnnbench.reports.predictions.pixels import Look, time_text
from rnnbench.reports.predictions.sheets import Row, Sheet
from rnnbench.store.samples import Bytes, Frames

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

ACROSS = 8  # panels in a row: the truth and seven entries
MOST_BYTES = 1_400_000
SIDES = (120, 96, 64)  # of a panel: the first one at which the file is small enough
MARGIN, GAP, EDGE, LINE = 12, 10, 3, 16
HEAD = 74  # title, phase, time line
BAR = 34
WIDEST_WORD = 140  # of a label; what is longer is broken
MOST_COLOURS = 192  # of a film in colour
SHADES = 64  # of a frame's colours: the palette has 256 places, and fewer shades make a smaller file
SECONDS = 5.0  # of one round; the last frame stands for a second more


def animation(sheet: Sheet, clips: int) -> bytes:
    """The first clips of a sheet as a GIF; of fewer clips or in smaller panels where it would be too large."""
    clips = min(clips, len(sheet.shown.clips))
    for n, side in [*((clips, side) for side in SIDES), *((1, side) for side in SIDES)]:
        content = _encode(list(_Stage(sheet, n, side).frames()), _palette(sheet, n))
        if len(content) <= MOST_BYTES:
            break
    return content


def _encode(frames: Sequence[Image], palette: Bytes) -> bytes:
    """Frames as an endless GIF in one palette, n x 3."""
    from PIL import Image

    flat = []
    for frame in frames:
        image = Image.fromarray(_nearest(np.asarray(frame), palette))
        image.putpalette(palette.tobytes())
        flat.append(image)
    each = int(min(400, max(120, 1000 * SECONDS / len(flat)))) // 10 * 10
    buffer = io.BytesIO()
    times = [each] * (len(flat) - 1) + [each + 1000]
    flat[0].save(buffer, "GIF", save_all=True, append_images=flat[1:], duration=times, loop=0, optimize=False)
    return buffer.getvalue()


def _nearest(pixels: Bytes, palette: Bytes) -> Bytes:
    """The place in the palette of every pixel, H W 3 -> H W.

    Pillow's own search rounds colours: its white was not white.
    """
    packed, places = np.unique(pixels.astype(np.int32) @ np.array([65536, 256, 1]), return_inverse=True)
    colours = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], -1)
    found = [
        ((part[:, None] - palette.astype(np.int32)) ** 2).sum(-1).argmin(1)
        for part in np.array_split(colours, len(colours) // 4096 + 1)  # bounds the memory of a film in colour
    ]
    return np.concatenate(found).astype(np.uint8)[places.reshape(pixels.shape[:2])]


def _palette(sheet: Sheet, clips: int) -> Bytes:
    """One palette for all frames, 256 x 3: shades of the clips' colours, and of the words and lines around them."""
    shown = sheet.shown
    if shown.truth.shape[2] == 3:
        own = _own_colours([shown.input, *(samples.prediction for _, samples in sheet.of(Frames)), shown.truth], clips)
    else:
        look = Look.of(shown, clips)
        own = look.palette[np.linspace(0, look.end, SHADES).round().astype(int)]
    greys = np.repeat(np.linspace(0, 255, 24).round().astype(np.uint8)[:, None], 3, axis=1)
    mixed = [_mix(colour, share) for colour in (ACCENT, WARN) for share in np.linspace(0.25, 1, 16)]
    return np.concatenate([own, greys, np.array(mixed)]).astype(np.uint8)


def _own_colours(frames: Sequence[Bytes], clips: int) -> Bytes:
    """The colours that stand for all of some films, each N T 3 H W, n x 3; rare ones count as much as others."""
    from PIL import Image

    pixels = np.moveaxis(np.concatenate(frames, 1)[:clips], 2, -1).reshape(-1, 3)
    found = Image.fromarray(np.unique(pixels, axis=0)[:, None]).quantize(MOST_COLOURS).getpalette() or []
    return np.array(found[: 3 * MOST_COLOURS], np.uint8).reshape(-1, 3)


def _mix(colour: str, share: float) -> tuple[int, int, int]:
    """A colour on white."""
    parts = [int(colour[n : n + 2], 16) for n in (1, 3, 5)]
    red, green, blue = (round(255 + (part - 255) * share) for part in parts)
    return red, green, blue


@cache
def _font(size: int, bold: bool = False) -> FreeTypeFont:
    """The font of the figures."""
    import matplotlib
    from PIL import ImageFont

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


class _Stage:
    """Where everything stands, and every frame of the animation drawn on it."""

    def __init__(self, sheet: Sheet, clips: int, side: int) -> None:
        shown = sheet.shown
        self.sheet, self.clips, self.look = sheet, clips, Look.of(shown, clips)
        self.input = self.look.coloured(shown.input[:clips], side)  # clips T h w 3
        self.truth = self.look.coloured(shown.truth[:clips], side)
        self.coming = [
            self.look.coloured(row.samples.prediction[:clips], side) if isinstance(row.samples, Frames) else None
            for row in sheet.rows
        ]
        self.h, self.w = self.input.shape[2:4]
        words = [word for row in sheet.rows for word in (*row.label.split(), row.note)]
        widest = max(int(_font(11).getlength(word)) + 1 for word in words)
        self.column = max(self.w + 2 * EDGE, min(widest, WIDEST_WORD)) + GAP
        rows = range(0, len(sheet.rows), ACROSS - 1)
        self.bands = [list(range(n, min(n + ACROSS - 1, len(sheet.rows)))) for n in rows]
        self.labels = [self._words(row) for row in sheet.rows]
        self.lines = [max(len(self.labels[n]) for n in band) for band in self.bands]
        across = 1 + max(map(len, self.bands))
        self.width = max(2 * MARGIN + across * self.column - GAP, 420)
        tall = sum(lines * LINE + 6 + clips * (self.h + 2 * EDGE + GAP) for lines in self.lines)
        self.bar = BAR if shown.scale.kind == "rain" else 0
        self.height = HEAD + tall + self.bar + MARGIN

    def frames(self) -> Iterator[Image]:
        """Every frame, in RGB."""
        from PIL import Image, ImageDraw

        seen, steps = self.input.shape[1], self.input.shape[1] + self.truth.shape[1]
        for step in range(steps):
            image = Image.new("RGB", (self.width, self.height), "white")
            pen = ImageDraw.Draw(image)
            self._head(pen, step, seen, steps)
            y = HEAD
            for band, lines in zip(self.bands, self.lines, strict=True):
                y = self._band(image, pen, y, band, lines, step)
            if self.bar:
                self._colour_bar(image, pen, y + 2)
            yield image

    def _head(self, pen: ImageDraw, step: int, seen: int, steps: int) -> None:
        """Title, phase and time line."""
        pen.text((MARGIN, 8), self.sheet.dataset, fill="black", font=_font(15, bold=True))
        clips = ", ".join(str(clip) for clip in self.sheet.shown.clips[: self.clips])
        words = f"test clip{'s' * (self.clips > 1)} {clips}"
        pen.text((self.width - MARGIN, 11), words, fill=BASE, font=_font(11), anchor="ra")
        now = time_text(step - seen + 1, self.look.scale)
        frame = "" if self.look.scale.minutes else "frame "
        words, colour = (f"input, {frame}{now}", ACCENT) if step < seen else (f"prediction, {frame}{now}", WARN)
        pen.text((MARGIN, 31), words, fill=colour, font=_font(13))
        wide = (self.width - 2 * MARGIN) / steps
        for n in range(steps):
            shade = _mix(ACCENT if n < seen else WARN, 1.0 if n <= step else 0.25)
            x = MARGIN + n * wide
            pen.rectangle((round(x), 54, round(x + wide) - 3, 59), fill=shade)

    def _band(self, image: Image, pen: ImageDraw, y: int, band: list[int], lines: int, step: int) -> int:
        """Up to ACROSS panels a clip, with their labels above; returns where the next band begins."""
        seen = self.input.shape[1]
        self._label(pen, MARGIN, y, lines, [("truth", "black")])
        for place, n in enumerate(band, 1):
            self._label(pen, MARGIN + place * self.column, y, lines, self.labels[n])
        y += lines * LINE + 6
        for clip in range(self.clips):
            panels = [self.truth, *(self.coming[n] for n in band)]
            for place, coming in enumerate(panels):
                x = MARGIN + place * self.column
                if coming is None:
                    self._absent(pen, x, y)
                    continue
                edge = ACCENT if step < seen else BASE if place == 0 else WARN
                pixels = self.input[clip, step] if step < seen else coming[clip, step - seen]
                self._panel(image, pen, x, y, pixels, edge)
            y += self.h + 2 * EDGE + GAP
        return y

    def _words(self, row: Row) -> list[tuple[str, str]]:
        """The lines above a panel with their colours: an entry's name, and its metric or what it lacks."""
        shade = BASE if row.samples is not None else WARN
        wide = self.column - GAP
        return [(line, "black") for line in _wrapped(row.label, wide)] + [
            (line, shade) for line in _wrapped(row.note, wide)
        ]

    def _label(self, pen: ImageDraw, x: int, y: int, lines: int, words: Sequence[tuple[str, str]]) -> None:
        """Lines that stand on the panel's upper edge."""
        for n, (line, colour) in enumerate(words):
            pen.text((x, y + (lines - len(words) + n) * LINE), line, fill=colour, font=_font(11))

    def _panel(self, image: Image, pen: ImageDraw, x: int, y: int, pixels: Bytes, edge: str) -> None:
        from PIL import Image as images

        pen.rectangle((x, y, x + self.w + 2 * EDGE - 1, y + self.h + 2 * EDGE - 1), fill=edge)
        image.paste(images.fromarray(np.ascontiguousarray(pixels)), (x + EDGE, y + EDGE))

    def _absent(self, pen: ImageDraw, x: int, y: int) -> None:
        """The panel of an entry that has nothing to show; its label says why."""
        box = (x, y, x + self.w + 2 * EDGE - 1, y + self.h + 2 * EDGE - 1)
        pen.rectangle(box, fill="#eeeeee", outline="#bbbbbb")
        pen.line((*box[:2], *box[2:]), fill="#bbbbbb")

    def _colour_bar(self, image: Image, pen: ImageDraw, y: int) -> None:
        from PIL import Image as images

        left, width = MARGIN + 112, min(self.width - 2 * MARGIN - 112 - 20, 420)
        pen.text((MARGIN, y - 2), "rain rate, mm/h", fill="black", font=_font(11))
        colours = self.look.bar[np.linspace(0, len(self.look.bar) - 1, width).round().astype(int)]
        image.paste(images.fromarray(np.repeat(colours[None], 10, axis=0)), (left, y))
        for place, text in self.look.ticks:
            x = left + round(place * (width - 1))
            pen.line((x, y + 10, x, y + 13), fill="black")
            pen.text((x, y + 15), text, fill="black", font=_font(10), anchor="ma")


def _wrapped(text: str, width: int) -> list[str]:
    """A text in lines of so many pixels, at most four; a word that is wider is broken."""
    font, lines = _font(11), [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines if len(lines) <= 4 else [*lines[:3], "…"]
