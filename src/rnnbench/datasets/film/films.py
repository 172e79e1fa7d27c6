"""Real films cut into clips: one film split by time with gaps, windows over it, crops.

A split holds only where its clips lie (N 3: first frame, top row, left column); the film lies once on each device.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor

from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.spec import Batch, Split
from rnnbench.datasets.film.task import FrameTask
from rnnbench.errors import BadInput

SHARES = (0.6, 0.2, 0.2)  # of the frames outside the gaps: train, val, test


def time_split(frames: int, clip: int) -> tuple[range, range, range]:
    """The frames of train, val and test, in this order in time, by SHARES, with `clip` unused frames between two.

    So no frame of a clip is seen by two splits, and at least one whole clip of weather, traffic, ... lies between.
    Raises BadInput where a split could not hold one clip.
    """
    usable = frames - 2 * clip
    val, test = (max(int(usable * share), clip) for share in SHARES[1:])
    train = usable - val - test
    if train < clip:
        raise BadInput(
            f"{frames} frames are too few for clips of {clip}: three splits and two gaps of {clip} frames or more take "
            f"{5 * clip}; use shorter clips (dataset.input_steps, dataset.output_steps) or a longer film."
        )
    starts = (0, train + clip, train + clip + val + clip)
    first, second, third = (range(at, at + n) for at, n in zip(starts, (train, val, test), strict=True))
    return first, second, third


def starts(part: range, clip: int, stride: int) -> list[int]:
    """The first frames of the clips that lie inside a part of the film, `stride` frames apart."""
    return list(range(part.start, part.stop - clip + 1, stride))


def crops(size: int, crop: int) -> list[int]:
    """Where crops of a side begin: side by side, without overlap; what is left over at the end is not used."""
    return list(range(0, size - crop + 1, crop))


class FilmTask(FrameTask):
    """Clips cut from a film when a batch is asked for, on the device of the split."""

    recorded: Pictures  # the film as it was recorded, T C H W: what data_hash sees
    pictures: Pictures  # the film that clips are cut from: the same, or already on the network's scale

    @abstractmethod
    def values(self, cut: Tensor) -> Tensor:
        """Part of the film as a network takes it: float32, in [0, 1]."""

    def places(self, first: Iterable[int], rows: Iterable[int], columns: Iterable[int], version: int) -> Split:
        """A split of the clips at every first frame, row and column."""
        axes = [torch.tensor(list(axis), dtype=torch.int32) for axis in (first, rows, columns)]
        x = torch.cartesian_prod(*axes)
        return Split(x, self.recorded.stamp(version, len(x)))

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x and y, float32, B T C H W."""
        film = self.pictures.on(split.x.device)
        assert self.spec.frame_shape is not None
        _, height, width = self.spec.frame_shape
        at = split.x[index].long()
        steps = torch.arange(self.steps, device=at.device)
        t = at[:, 0, None] + steps
        if film.shape[2:] == (height, width):
            return self.cut(self.values(film[t]))
        rows = (at[:, 1, None] + torch.arange(height, device=at.device))[:, None, :, None]
        columns = (at[:, 2, None] + torch.arange(width, device=at.device))[:, None, None, :]
        cropped = film[t[:, :, None, None], :, rows, columns]  # B T H W C: torch puts the indexed axes first
        return self.cut(self.values(cropped.permute(0, 1, 4, 2, 3)))
