"""Splitting a film by time, and laying clips and crops over it."""

from __future__ import annotations

import pytest

from rnnbench.datasets.film.films import crops, starts, time_split
from rnnbench.errors import BadInput


@pytest.mark.parametrize(("frames", "clip"), [(92, 10), (92, 18), (50, 10), (1000, 20), (10, 2), (10_000, 3)])
def test_splits_are_a_whole_clip_apart_and_hold_one(frames: int, clip: int) -> None:
    train, val, test = time_split(frames, clip)
    assert train.start == 0
    assert test.stop == frames
    assert val.start - train.stop == test.start - val.stop == clip
    assert min(len(train), len(val), len(test)) >= clip
    assert len(train) >= len(val) == len(test)
    last = [starts(part, clip, 1)[-1] + clip for part in (train, val, test)]
    assert last == [train.stop, val.stop, test.stop]
    assert starts(val, clip, 1)[0] - (starts(train, clip, 1)[-1] + clip) == clip


def test_a_short_film_is_refused_in_one_sentence() -> None:
    time_split(50, 10)
    with pytest.raises(BadInput, match=r"49 frames are too few for clips of 10: .* take 50; use shorter clips"):
        time_split(49, 10)


def test_strides_and_crops() -> None:
    assert starts(range(20, 32), 5, 3) == [20, 23, 26]
    assert starts(range(4), 5, 1) == []
    assert crops(256, 64) == [0, 64, 128, 192]
    assert crops(256, 100) == [0, 100]
    assert crops(256, 256) == [0]
