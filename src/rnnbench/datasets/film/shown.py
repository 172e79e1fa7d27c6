"""A few test clips as a trained network continues them."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

from rnnbench.datasets.base.shown import Network, Shown, spread
from rnnbench.datasets.base.spec import Batch, Split, TaskSpec
from rnnbench.store.samples import Frames, Scale

CLIPS = 4
MOST_VALUES = 8_000_000  # bytes of a file before it is packed: of large frames fewer clips are kept


class Film(Protocol):
    """What is asked of a `FrameTask`, which says what these are."""

    spec: TaskSpec
    frames_an_hour: int
    brightest: float

    @property
    def steps(self) -> int: ...
    def is_of_rain(self) -> bool: ...
    def batch(self, split: Split, index: Tensor) -> Batch: ...
    def frames(self, prediction: Tensor) -> Tensor: ...
    def rain(self, frames: Tensor) -> Tensor: ...


class FramesShown(Shown):
    """CLIPS clips spread evenly over test, with the network's prediction; fewer of a small test or of large frames.

    Spread, because neighbours in a film's split show almost the same frames. They are predicted in a batch of their
    own, so that the batches of the test pass change no bit of them.
    """

    whole = False

    def __init__(self, task: Film, test: Split) -> None:
        self.task, self.test = task, test

    def samples(self, run: str, network: Network) -> Frames:
        """The clips as bytes of the display scale."""
        task, spec = self.task, self.task.spec
        assert spec.frame_shape is not None
        most = max(1, MOST_VALUES // (math.prod(spec.frame_shape) * task.steps))
        index = spread(self.test.size, min(CLIPS, most))
        batch = task.batch(self.test, index.to(self.test.x.device))
        prediction = network(batch)
        scale = scale_of(task, torch.cat([batch.x, batch.y], 1))
        shown = (as_bytes(task, scale, part) for part in (batch.x, batch.y, task.frames(prediction.float())))
        return Frames(run, scale, index.numpy(), *(part.numpy() for part in shown))


def scale_of(task: Film, truth: Tensor) -> Scale:
    """On which scale a task's frames are shown. truth: all true frames of the clips.

    White is 1, or the brightest true value where that is more: MovingMNIST++ reaches 1/0.6.
    """
    if task.is_of_rain():
        return Scale("rain", task.brightest, 60 / task.frames_an_hour)
    return Scale("plain", max(1.0, float(truth.max())))


def as_bytes(task: Film, scale: Scale, frames: Tensor) -> Tensor:
    """Frames, on the task's own scale, as bytes of the display scale, on the CPU."""
    frames = frames.nan_to_num()
    if scale.kind == "rain":
        shown = torch.log1p(task.rain(frames) * task.frames_an_hour) / math.log1p(scale.top)
    else:
        shown = frames / scale.top
    return (shown.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
