"""What the axes of an array of frames are: letters in the array's own order, e.g. NTHWC.

N clips, T frames, C channels, H height, W width. An array's shape rarely says which axis is which, so a guess is taken
only where nothing else fits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.words import plural
from rnnbench.errors import BadInput

ORDER = "NTCHW"  # of the axes, as they are used
EXAMPLES = "THW, TCHW, THWC, NTHW, NTCHW, NTHWC"
USUAL = {3: "THW", 4: "TCHW", 5: "NTCHW"}  # by the number of axes: what is taken where it alone fits
OTHERS = {3: ("HWT",), 4: ("NTHW", "TNHW", "THWC", "CTHW", "HWCT"), 5: ("NTHWC", "NCTHW")}
MOST_CHANNELS = 4
SMALLEST_SIDE = 5  # pixels; a shorter axis is no side of a frame


def check(layout: object) -> None:
    """Raises BadInput unless a layout has T, H and W once, N and C at most once, and nothing else."""
    letters = layout if isinstance(layout, str) else ""
    if not ({*"THW"} <= {*letters} <= {*ORDER} and len({*letters}) == len(letters)):
        raise BadInput(
            f"dataset.layout must say the file's axes in their order, {EXAMPLES} or another order of N clips, T "
            f"frames, C channels, H height, W width (N and C where there are any); got {layout!r}."
        )


def settle(source: str, shape: tuple[int, ...], layout: str | None) -> str:
    """The layout of an array: the one that was asked for, or else the usual one, where the shape leaves no other.

    source: what the array is called in a refusal. Raises BadInput where the layout does not fit, or none is asked for
    and the shape has several readings.
    """
    if layout is None and len(shape) in USUAL and min(shape) > 0:
        return _only_reading(source, shape)
    if layout is None or len(layout) != len(shape) or min(shape) < 1:
        wanted = f"dataset.layout={layout}" if layout else "3, 4 or 5 axes, none of them empty (THW, TCHW, NTCHW)"
        raise BadInput(f"{source} has the shape {shape}, which does not fit {wanted}.")
    return layout


def _only_reading(source: str, shape: tuple[int, ...]) -> str:
    """The usual layout. Raises BadInput where the shape does not fit it, or fits another as well."""
    usual = USUAL[len(shape)]
    fitting = list(_readings(shape))
    if fitting == [usual]:
        return usual
    others = [layout for layout in fitting if layout != usual]
    may_be = f", but may be {' or '.join(f'{words(each, shape)} ({each})' for each in others)}" if others else ""
    raise BadInput(
        f"{source} has the shape {shape}, which would be read as {words(usual, shape)} ({usual}){may_be}: say what it "
        f"is with dataset.layout={' or '.join([usual, *others])}."
    )


def _readings(shape: tuple[int, ...]) -> Iterator[str]:
    """The layouts under which a shape is a film or clips, the usual one first."""
    axes = len(shape)
    for layout in (USUAL[axes], *OTHERS[axes]):
        size = sizes(layout, shape)
        frames = size["C"] <= MOST_CHANNELS and min(size["H"], size["W"]) >= SMALLEST_SIDE
        several = size["T"] > 1 and ("N" not in layout or size["N"] > 1)
        if frames and several and not (layout == "HWT" and _nearer_a_square(shape[1:], shape[:2])):
            yield layout


def _nearer_a_square(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether frames of these two sides are less oblong than those of the other two."""
    return max(one) * min(other) < max(other) * min(one)


def sizes(layout: str, shape: tuple[int, ...]) -> dict[str, int]:
    """The size of every axis by its letter; 1 of an axis that there is not."""
    return {letter: shape[layout.index(letter)] if letter in layout else 1 for letter in ORDER}


def words(layout: str, shape: tuple[int, ...]) -> str:
    """`10 clips of 20 frames, 3 channels, 64x64` (height x width)."""
    size = sizes(layout, shape)
    clips = f"{size['N']:,} clips of " if "N" in layout else ""
    return f"{clips}{size['T']:,} frames, {plural(size['C'], 'channel')}, {size['H']}x{size['W']}"


def film(frames: NDArray[np.generic], layout: str) -> NDArray[np.generic]:
    """All frames one after another, clip by clip: T C H W, a view where that can be one."""
    ordered = frames.transpose([layout.index(letter) for letter in ORDER if letter in layout])
    size = sizes(layout, frames.shape)
    return ordered.reshape(size["N"] * size["T"], size["C"], size["H"], size["W"])
