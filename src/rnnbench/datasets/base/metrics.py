"""A split's metrics by their full names, exact over the split: no average of batch averages.

Every value is accumulated as sum and count (sequences, or valid steps), so neither the batch size nor a smaller last
batch moves it. A metric that is itself a loss (`mse`, `cross_entropy`, `nll_frame`) is the loss's mean over the split.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rnnbench.datasets.base.losses import IGNORED, LOSSES, labels, valid_steps
from rnnbench.datasets.base.spec import Batch, TaskSpec

if TYPE_CHECKING:
    from torchmetrics import Metric

Loss = Callable[[Tensor, Batch], Tensor]
Update = Callable[[Tensor, Batch], tuple[Tensor, Tensor]]


def _accuracy(spec: TaskSpec) -> tuple[Metric, Update]:
    """The share of sequences (or valid steps) whose largest output is the class, without those that are IGNORED."""
    from torchmetrics.classification import MulticlassAccuracy

    def update(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        return _counted(prediction, labels(batch))

    return MulticlassAccuracy(spec.output_size, average="micro", validate_args=False), update


def _recall_accuracy(spec: TaskSpec) -> tuple[Metric, Update]:
    """The share of the last 10 steps whose symbol is right (copy memory; all sequences of one length)."""
    metric, _ = _accuracy(spec)
    return metric, lambda prediction, batch: _counted(prediction[:, -10:], labels(batch)[:, -10:])


def _counted(prediction: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The largest outputs and their classes, flat, without those that are IGNORED."""
    known = classes != IGNORED
    return prediction.argmax(-1)[known], classes[known]


def _sets_right(whole: bool) -> Callable[[TaskSpec], tuple[Metric, Update]]:
    """The share of steps whose K outputs are all on the right side of one half, or of sequences with every step so."""

    def make(spec: TaskSpec) -> tuple[Metric, Update]:
        from torchmetrics.classification import MulticlassAccuracy

        def update(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
            right = ((prediction > 0) == (batch.y > 0)).all(-1)
            steps = right.shape[1]
            real = torch.ones_like(right) if batch.lengths is None else valid_steps(batch.lengths, steps)
            found = ((right | ~real).all(1) if whole else right[real]).long()
            return found, torch.ones_like(found)

        return MulticlassAccuracy(2, average="micro", validate_args=False), update

    return make


METRICS: dict[str, Callable[[TaskSpec], tuple[Any, Update]]] = {
    "accuracy": _accuracy,
    "recall_accuracy": _recall_accuracy,
    "sequence_accuracy": _sets_right(whole=True),
    "step_accuracy": _sets_right(whole=False),
}


class _Mean:
    """A weighted mean that lets NaN through: a diverged run shows NaN, not the mean of what was left.

    Not torchmetrics.MeanMetric: with its check for NaN disabled, 1.9.0 sets every weight to 1.
    """

    def __init__(self) -> None:
        from torchmetrics import SumMetric

        self.total = SumMetric(nan_strategy="disable")
        self.count = SumMetric(nan_strategy="disable")
        self.dtype = torch.float64

    def to(self, device: torch.device) -> None:
        self.dtype = torch.float32 if device.type == "mps" else torch.float64  # mps has no float64
        for metric in (self.total, self.count):
            metric.set_dtype(self.dtype).to(device)

    def update(self, mean: Tensor, count: Tensor) -> None:
        self.total.update(mean.to(self.dtype) * count)
        self.count.update(count)

    def compute(self) -> Tensor:
        return self.total.compute() / self.count.compute()

    def reset(self) -> None:
        self.total.reset()
        self.count.reset()


class TaskMetrics:
    """Accumulates `loss` and every metric of a task's spec over one split.

    loss(prediction, batch): the task's training loss, a mean over the batch's sequences or valid steps.
    update(prediction, batch): prediction as the network gave it (B K or B T K, any float type, any device).
    compute() -> {"loss": ..., "accuracy": ...}, without the split's name. Raises RuntimeError before any update.
    """

    def __init__(self, spec: TaskSpec, loss: Loss) -> None:
        self.spec, self.loss = spec, loss
        unknown = [name for name in spec.metrics if name not in LOSSES and name not in METRICS]
        if unknown:
            raise ValueError(f"{spec.name} asks for unknown metrics {unknown}; known: {sorted({*LOSSES, *METRICS})}")
        self._means = {name: _Mean() for name in ("loss", *(n for n in spec.metrics if n in LOSSES and n != spec.loss))}
        self._others = {name: METRICS[name](spec) for name in spec.metrics if name in METRICS}
        self._device: torch.device | None = None
        self._seen = False

    @torch.no_grad()
    def update(self, prediction: Tensor, batch: Batch) -> None:
        """Add one batch."""
        if self._device != prediction.device:
            self._move(prediction.device)
        for name, mean in self._means.items():
            value = self.loss(prediction, batch) if name == "loss" else LOSSES[name](prediction, batch)
            mean.update(value, self._count(self.spec.loss if name == "loss" else name, batch))
        for metric, arguments in self._others.values():
            found, wanted = arguments(prediction, batch)
            if wanted.numel():  # not where every class of the batch is IGNORED
                metric.update(found, wanted)
        self._seen = True

    def compute(self) -> dict[str, float]:
        """The loss and the metrics over all that was seen since the last reset."""
        if not self._seen:
            raise RuntimeError("no batch was seen, so there is nothing to compute")
        values = {name: float(mean.compute()) for name, mean in self._means.items()}
        values |= {name: float(metric.compute()) for name, (metric, _) in self._others.items()}
        if self.spec.loss in self.spec.metrics:
            values[self.spec.loss] = values["loss"]
        return {name: values[name] for name in ("loss", *self.spec.metrics)}

    def reset(self) -> None:
        """Forget everything seen."""
        for mean in self._means.values():
            mean.reset()
        for metric, _ in self._others.values():
            metric.reset()
        self._seen = False

    def _count(self, loss: str, batch: Batch) -> Tensor:
        """How many sequences or valid steps the batch's mean loss is over."""
        if loss == "cross_entropy":
            return (labels(batch) != IGNORED).sum()
        if self.spec.outputs == "step" and batch.lengths is not None:
            return batch.lengths.sum().to(batch.y.device)
        steps = batch.y.shape[1] if self.spec.outputs == "step" else 1
        return torch.tensor(batch.y.shape[0] * steps, device=batch.y.device)

    def _move(self, device: torch.device) -> None:
        for mean in self._means.values():
            mean.to(device)
        for metric, _ in self._others.values():
            metric.to(device)
        self._device = device
