"""Tasks that predict the coming frames of a film: what a prediction is, floors, pictures that live beside the splits.

B clips, T frames, C H W: channels, height and width of a frame. A frame's values lie in [0, 1] unless a task says more.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from rnnbench.datasets.base.kept_floors import kept
from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.spec import Batch, Data, Metrics, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.datasets.base.words import plural, sizes
from rnnbench.datasets.film.metrics import FrameMetrics
from rnnbench.datasets.film.shown import FramesShown

FLOORS = ("black", "last", "mean", "mean_input")
FRAME_LOSSES = ("mse_frames", "bce_sequence")
CLIPS_AT_ONCE = 50  # of the floors, which never hold more than this many clips
KEPT_FROM = 1000  # clips of test, from which drawing and scoring them all takes seconds
MEAN_CLIPS = 1000  # of train, from which its mean frame is taken


def frame_spec(
    name: str,
    protocol: str,
    frame: tuple[int, int, int],
    steps: tuple[int, int],
    *,
    loss: str,
    metrics: tuple[str, ...],
    floor: str = "mean",
    target: tuple[float, str] | None = None,
) -> TaskSpec:
    """The spec of a task on frames. frame: C, H, W; steps: T_in, T_out; metrics: the main one first, less is better;
    target: with its source."""
    return TaskSpec(
        name=name,
        protocol=protocol,
        inputs="frames",
        input_size=frame[0],
        outputs="frames",
        output_size=frame[0],
        loss=loss,
        metric=metrics[0],
        metrics=metrics,
        goal="min",
        floor=floor,
        target=target[0] if target else None,
        target_source=target[1] if target else "",
        max_length=steps[0],
        frame_shape=frame,
        input_steps=steps[0],
        output_steps=steps[1],
    )


class FrameTask(Task):
    """A task whose x and y are frames: B T_in C H W and B T_out C H W, float32, y following x without a gap.

    The network's output ("prediction") has y's shape. With loss `mse_frames` it is the frames themselves (a linear
    output, never clipped before a squared error); with `bce_sequence` it is one logit a pixel. A network that predicts
    the next frame at every step may give T_in - 1 + T_out frames: all are trained, the last T_out are scored.
    """

    _train: Split | None = None
    _mean: Tensor | None = None

    @abstractmethod
    def read(self) -> Data:
        """The three splits, on the CPU."""

    def load(self) -> Data:
        """Read or generate the three splits (on the CPU). Raises MissingData with the file and the fix."""
        data = self.read()
        self._train, self._mean = data.train, None
        return data

    @property
    def steps(self) -> int:
        """Frames of a whole clip, T_in + T_out."""
        assert self.spec.input_steps is not None
        assert self.spec.output_steps is not None
        return self.spec.input_steps + self.spec.output_steps

    def cut(self, frames: Tensor) -> Batch:
        """Whole clips, B T C H W, as x and y."""
        return Batch(frames[:, : self.spec.input_steps], frames[:, self.spec.input_steps : self.steps])

    def mean_frame(self) -> Tensor:
        """The mean of all frames of train's first MEAN_CLIPS clips, C H W, float32, on the CPU; made once."""
        if self._mean is None:
            train = self._train if self._train is not None else self.load().train
            total: Tensor | None = None
            for index in torch.arange(min(train.size, MEAN_CLIPS)).split(CLIPS_AT_ONCE):
                batch = self.batch(train, index)
                part = torch.cat([batch.x, batch.y], 1).double().mean(1).sum(0)
                total = part if total is None else total + part
            assert total is not None
            self._mean = (total / min(train.size, MEAN_CLIPS)).float()
        return self._mean

    def beside(self) -> Iterable[Tensor]:
        """The pictures that clips are drawn from, where there are any."""
        pictures = getattr(self, "pictures", None)
        return [pictures.on()] if isinstance(pictures, Pictures) else []

    def summary(self, data: Data) -> str:
        """`35/5/5 clips of 5 + 5 frames, 1 channel, 64x64` (height x width)."""
        spec = self.spec
        assert spec.frame_shape is not None
        C, height, width = spec.frame_shape
        steps = f"{spec.input_steps} + {spec.output_steps}"
        return f"{sizes(data)} clips of {steps} frames, {plural(C, 'channel')}, {height}x{width}"

    def outputs(self, prediction: Tensor) -> Tensor:
        """The part of a network's output that is about the future. Returns B T_out C H W."""
        assert self.spec.output_steps is not None
        return prediction[:, -self.spec.output_steps :]

    def frames(self, prediction: Tensor) -> Tensor:
        """A network's output as frames, for metrics and pictures. Returns B T_out C H W."""
        coming = self.outputs(prediction)
        return coming.sigmoid() if self.spec.loss == "bce_sequence" else coming

    def rain(self, frames: Tensor) -> Tensor:
        """Frames in mm of rain per frame, where the task is about rain (metrics `mse_mm`, `csi_...`)."""
        raise NotImplementedError(f"{self.spec.name} has no rain")

    frames_an_hour = 12  # of rain
    brightest = 120.0  # mm/h of rain, the end of the scale that pictures show

    def is_of_rain(self) -> bool:
        """Whether its frames can be told in mm of rain."""
        return type(self).rain is not FrameTask.rain

    def floor_predictions(self, batch: Batch) -> dict[str, Tensor]:
        """What the trivial predictors show, as frames (B T_out C H W, views): for tables and for pictures.

        One still for all coming steps. `black`: zeros; `last`: the last input frame; `mean`: the mean frame of train;
        `mean_input`: the mean of the clip's own input frames.
        """
        x, shape = batch.x, batch.y.shape
        stills = {
            "black": torch.zeros_like(x[:, :1]),
            "last": x[:, -1:],
            "mean": self.mean_frame().to(x.device),
            "mean_input": x.mean(1, keepdim=True),
        }
        return {name: still.expand(shape) for name, still in stills.items()}

    def floors(self, data: Data) -> Mapping[str, float]:
        """`black`, `last`, `mean` and `mean_input` in the main metric on test; of a large one kept (kept_floors.py)."""
        if data.test.size < KEPT_FROM or data.test.x.device.type != "cpu":
            return self._floors(data)
        return kept(self, data, lambda: self._floors(data))

    def _floors(self, data: Data) -> dict[str, float]:
        table = self.floor_table(data.test, (self.spec.metric,))
        return {name: values[self.spec.metric] for name, values in table.items()}

    def floor_table(self, split: Split, metrics: tuple[str, ...] | None = None) -> dict[str, dict[str, float]]:
        """Every floor in the given metrics (all of the spec's by default) over a split, clip by clip."""
        found: dict[str, FrameMetrics] = {name: self.frame_metrics(metrics) for name in FLOORS}
        for index in torch.arange(split.size, device=split.x.device).split(CLIPS_AT_ONCE):
            batch = self.batch(split, index)
            for name, frames in self.floor_predictions(batch).items():
                found[name].update_frames(frames, batch)
        return {name: values.compute() for name, values in found.items()}

    def frame_metrics(self, names: tuple[str, ...] | None = None) -> FrameMetrics:
        """A fresh accumulator of the named metrics (all of the spec's by default)."""
        return FrameMetrics(self, names)

    def metrics(self) -> Metrics:
        """A fresh accumulator of `loss` and every metric of the spec."""
        return self.frame_metrics()

    def shown(self, test: Split) -> FramesShown:
        """A few clips, as the network continues them."""
        return FramesShown(self, test)
