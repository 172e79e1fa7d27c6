"""Frames as coloured pixels, for pictures and animations alike: grey for digits, a perceptual map for rain.

N clips, T frames, C H W: channels, height and width of a frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.store.samples import Bytes, Frames, Scale

SIDE = 100  # pixels that a frame's longer side should take, as nearly as whole factors allow
RAIN_MAP = "magma_r"  # perceptually uniform; dry is pale, so that light rain is seen
RAIN_TICKS = (0, 0.5, 1, 2, 5, 10, 20, 50, 120)  # mm/h
WEAKEST = 5  # mm/h: the colours of drier clips end here


@dataclass(frozen=True)
class Look:
    """How the bytes of a sheet are coloured: by their scale, with the last colour at byte `end` and above."""

    scale: Scale
    end: int

    @classmethod
    def of(cls, samples: Frames, clips: int) -> Look:
        """Grey over the whole scale; rain up to the first tick that no true frame of the shown clips is above."""
        if samples.scale.kind == "plain":
            return cls(samples.scale, 255)
        brightest = max(int(part[:clips].max()) for part in (samples.input, samples.truth))
        ends = [math.ceil(255 * place) for place, rate, _ in rain_places(samples.scale) if rate >= WEAKEST]
        return cls(samples.scale, next((end for end in ends if end >= brightest), 255))

    @property
    def palette(self) -> Bytes:
        """The colour of each byte, 256 x 3."""
        if self.scale.kind == "plain":
            return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        import matplotlib

        rgb: NDArray[Any] = matplotlib.colormaps[RAIN_MAP](np.minimum(np.arange(256) / self.end, 1.0))[:, :3]
        colours: NDArray[np.uint8] = np.rint(rgb * 255).astype(np.uint8)
        return colours

    def coloured(self, frames: Bytes, side: int = SIDE) -> Bytes:
        """Frames, ... C H W, in colour and enlarged or reduced by a whole factor: ... h w 3.

        Three channels are red, green and blue; of any other number the first one is shown.
        """
        sized = _sized(frames, side)
        if sized.shape[-3] == 3 and self.scale.kind == "plain":
            return np.moveaxis(sized, -3, -1)
        return self.palette[sized[..., 0, :, :]]

    @property
    def bar(self) -> Bytes:
        """The colours in their order, n x 3."""
        return self.palette[: self.end + 1]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where along the bar, 0 to 1, which rates in mm/h are; the last stands for all that is above."""
        within = [(255 * place / self.end, text) for place, _, text in rain_places(self.scale)]
        *inner, (_, last) = [(place, text) for place, text in within if place <= 1.0]
        return [*inner, (1.0, f"≥{last}" if self.end < 255 else last)]


def rain_places(scale: Scale) -> list[tuple[float, float, str]]:
    """The ticks of a rain scale: place on the display scale, rate in mm/h, and that as text."""
    rates = [rate for rate in RAIN_TICKS if rate <= scale.top]
    return [(math.log1p(rate) / math.log1p(scale.top), rate, f"{rate:g}") for rate in rates]


def _sized(frames: Bytes, side: int) -> Bytes:
    """Frames, ... H W, whose longer side is about `side`: pixels repeated, or means over squares of pixels."""
    height, width = frames.shape[-2:]
    longer = max(height, width)
    if longer <= 1.5 * side:
        factor = max(1, round(side / longer))
        return frames.repeat(factor, axis=-2).repeat(factor, axis=-1)
    factor = min(math.ceil(longer / (1.5 * side)), height, width)
    h, w = height // factor, width // factor
    blocks = frames[..., : h * factor, : w * factor].reshape(*frames.shape[:-2], h, factor, w, factor)
    shrunk: Bytes = np.rint(blocks.mean(axis=(-3, -1))).astype(np.uint8)
    return shrunk


def picked(steps: int, most: int) -> list[int]:
    """At most so many of 0 .. steps-1, evenly spaced, the first and the last among them."""
    if steps <= most:
        return list(range(steps))
    return [round(n * (steps - 1) / (most - 1)) for n in range(most)]


def time_text(offset: int, scale: Scale) -> str:
    """When a frame is, seen from the last input frame: "−3", "+1"; in minutes where frames have a time."""
    value = offset * (scale.minutes or 1)
    text = f"{abs(value):g}"
    sign = "+" if offset > 0 else "−" if offset < 0 else ""
    return sign + text + (" min" if scale.minutes else "")
