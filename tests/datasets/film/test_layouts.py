"""Which axis of an array of frames is which: every order is read alike, and a shape with two readings is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.datasets.film import layouts
from rnnbench.errors import BadInput

WITH = ("THW", "TCHW", "NTHW", "NTCHW")
EVERY = ["".join(order) for axes in WITH for order in itertools.permutations(axes)]


@given(layout=st.sampled_from(EVERY), sides=st.lists(st.integers(1, 4), min_size=5, max_size=5), data=st.data())
def test_an_array_in_any_order_holds_the_same_frames(layout: str, sides: list[int], data: st.DataObject) -> None:
    size = dict(zip(layouts.ORDER, sides, strict=True))
    usual = [letter for letter in layouts.ORDER if letter in layout]
    frames = np.arange(np.prod([size[letter] for letter in usual])).reshape([size[letter] for letter in usual])
    array = frames.transpose([usual.index(letter) for letter in layout])
    layouts.check(layout)
    assert layouts.settle("film.npy", array.shape, layout) == layout
    film = layouts.film(array, layout)
    C = size["C"] if "C" in layout else 1
    assert film.shape == ((size["N"] if "N" in layout else 1) * size["T"], C, size["H"], size["W"])
    at = {letter: data.draw(st.integers(0, size[letter] - 1)) for letter in layout}
    frame = at.get("N", 0) * size["T"] + at["T"]
    assert film[frame, at.get("C", 0), at["H"], at["W"]] == array[tuple(at[letter] for letter in layout)]


@pytest.mark.parametrize("layout", ["", "HW", "NHW", "TTHW", "THWX", "NTCHWN", "thw", 3, None, ["T", "H", "W"]])
def test_what_is_no_layout_is_refused(layout: object) -> None:
    with pytest.raises(BadInput, match=r"^dataset.layout must say the file's axes in their order"):
        layouts.check(layout)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((60, 16, 16), "THW"),
        ((60, 64, 64), "THW"),
        ((1000, 480, 640), "THW"),
        ((60, 1, 64, 64), "TCHW"),
        ((10, 20, 1, 64, 64), "NTCHW"),
        ((10, 20, 3, 64, 64), "NTCHW"),
        ((60, 4, 1, 64, 64), "NTCHW"),
    ],
)
def test_a_shape_with_one_reading_is_read_so(shape: tuple[int, ...], layout: str) -> None:
    assert layouts.settle("film.npy", shape, None) == layout


@pytest.mark.parametrize(
    ("shape", "read_as", "others"),
    [
        # films whose time or channels come last, and single pictures
        ((64, 64, 60), "64 frames, 1 channel, 64x60 (THW)", ("HWT",)),
        ((64, 64, 64), "64 frames, 1 channel, 64x64 (THW)", ("HWT",)),
        ((64, 64, 3), "64 frames, 1 channel, 64x3 (THW)", ("HWT",)),
        ((200, 4, 4), "200 frames, 1 channel, 4x4 (THW)", ()),
        # clips of few frames, or a film of few channels
        ((60, 4, 64, 64), "60 frames, 4 channels, 64x64 (TCHW)", ("NTHW", "TNHW")),
        ((60, 3, 64, 64), "60 frames, 3 channels, 64x64 (TCHW)", ("NTHW", "TNHW")),
        ((60, 20, 64, 64), "60 frames, 20 channels, 64x64 (TCHW)", ("NTHW", "TNHW")),
        ((20, 10_000, 64, 64), "20 frames, 10,000 channels, 64x64 (TCHW)", ("NTHW", "TNHW")),
        ((60, 64, 64, 3), "60 frames, 64 channels, 64x3 (TCHW)", ("THWC",)),
        ((3, 60, 64, 64), "3 frames, 60 channels, 64x64 (TCHW)", ("NTHW", "TNHW", "CTHW")),
        ((64, 64, 3, 60), "64 frames, 64 channels, 3x60 (TCHW)", ("HWCT",)),
        # clips with channels last, or before the frames
        ((10, 20, 64, 64, 3), "10 clips of 20 frames, 64 channels, 64x3 (NTCHW)", ("NTHWC",)),
        ((10, 3, 20, 64, 64), "10 clips of 3 frames, 20 channels, 64x64 (NTCHW)", ("NCTHW",)),
        ((60, 4, 3, 64, 64), "60 clips of 4 frames, 3 channels, 64x64 (NTCHW)", ("NCTHW",)),
    ],
)
def test_a_shape_with_several_readings_is_refused_with_all_of_them(
    shape: tuple[int, ...], read_as: str, others: tuple[str, ...]
) -> None:
    with pytest.raises(BadInput) as caught:
        layouts.settle("film.npy", shape, None)
    text = str(caught.value)
    assert f"would be read as {read_as}" in text
    usual = layouts.USUAL[len(shape)]
    assert text.endswith(f"say what it is with dataset.layout={' or '.join([usual, *others])}.")
    for layout in (usual, *others):
        assert layouts.settle("film.npy", shape, layout) == layout


@given(st.lists(st.integers(1, 70), min_size=3, max_size=5).map(tuple))
def test_what_is_taken_without_a_word_fits_no_other_layout(shape: tuple[int, ...]) -> None:
    """Judged anew: the axes that could be time, channels or sides, counted over all orders."""
    try:
        taken = layouts.settle("film.npy", shape, None)
    except BadInput:
        return
    size = layouts.sizes(taken, shape)
    assert taken in ("THW", "TCHW", "NTCHW")
    assert min(size["H"], size["W"]) > 4 >= size["C"]
    assert size["T"] > 1
    if len(shape) == 4:
        assert size["C"] == 1, "a second axis of 2 and more may be the frames of clips"
    if len(shape) == 5:
        assert size["C"] == 1 or size["T"] > 4
