"""A split's metrics by their full names, exact over the split: no average of batch averages.

Every value is accumulated as sum and count (sequences, or valid steps), so neither the batch size nor a smaller last
batch moves it. A metric that is itself a loss (`mse`, `mae`, `cross_entropy`, `nll_frame`) is the loss's mean over the
split. What is IGNORED, padding or context does not count; a sequence with nothing else is none.

accuracy            the share of sequences, or of steps, whose largest output is their class
balanced_accuracy   the mean over classes that occur of their recall, the share of their items that were found
bpc                 bits a symbol: the split's mean cross-entropy by ln 2
last_quarter_accuracy
                    the accuracy of the steps in the last quarter of their sequence: the last T/4 of T, rounded up
length_accuracy     the accuracy of the steps of all sequences of one length, then the mean over lengths that occur
perplexity          exp of the split's mean cross-entropy
macro_f1            the mean of 2 tp / (2 tp + fp + fn) over the classes that occur or were predicted
min_recall          the least of the recalls; a vector of K is no column of a table: the counts are in a run's samples
query_accuracy      the accuracy of the steps, called so where those that have a class are queries
r2                  1 - squared error / squared distance from the split's own mean, by output, then their mean; outputs
                    that are constant on the split do not count, and where all are it is NaN
recall_accuracy     the accuracy of the last steps, `TaskSpec.recall_steps` of them, at which is said what was shown
sequence_accuracy   the share of sequences with every step right. A step is right where its largest output is its class;
                    with yes or no in each of K outputs (`nll_frame`) where all are on the right side of one half
step_accuracy       the share of steps that are right in this sense

What else torchmetrics has is called by its name: `rnnbench.datasets.base.named_metrics`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rnnbench.datasets.base.losses import IGNORED, LOSSES, after_context, counted_steps, labels
from rnnbench.datasets.base.named_metrics import Accumulator, from_name, is_named
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
    """The share of the last steps whose symbol is right (all sequences of one length)."""
    metric, _ = _accuracy(spec)
    last = slice(-spec.recall_steps, None)
    return metric, lambda prediction, batch: _counted(prediction[:, last], labels(batch)[:, last])


def _last_quarter_accuracy(spec: TaskSpec) -> tuple[Metric, Update]:
    """The share of the steps in the last quarter of their sequence whose class is right."""
    metric, _ = _accuracy(spec)

    def update(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        classes = labels(batch)
        N, T = classes.shape
        lengths = classes.new_full((N,), T) if batch.lengths is None else batch.lengths.to(classes.device)
        first = lengths - (lengths + 3) // 4
        late = torch.arange(T, device=classes.device) >= first[:, None]
        return _counted(prediction, classes.masked_fill(~late, IGNORED))

    return metric, update


class _ByLength:
    """Whole counts by length of a sequence: steps, and those that are right."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.counts = torch.zeros(2, 0, dtype=torch.int64)

    def to(self, device: torch.device) -> None:
        self.counts = self.counts.to(device)

    def update(self, right: Tensor, lengths: Tensor) -> None:
        """right: M bool, of steps; lengths: M, of the sequences that these are from."""
        size = max(self.counts.shape[1], int(lengths.max()) + 1)
        found = torch.stack([torch.bincount(each, minlength=size) for each in (lengths, lengths[right])])
        found[:, : self.counts.shape[1]] += self.counts
        self.counts = found

    def compute(self) -> Tensor:
        steps, right = self.counts.cpu().double()
        shares: Tensor = right[steps > 0] / steps[steps > 0]
        return shares.mean()


def _length_accuracy(spec: TaskSpec) -> tuple[Any, Update]:
    def update(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        right, counts = _steps_right(spec, prediction, batch)
        N, T = right.shape
        lengths = torch.full((N,), T) if batch.lengths is None else batch.lengths
        return right[counts], lengths.to(right.device)[:, None].expand(N, T)[counts]

    return _ByLength(), update


def _counted(prediction: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """The largest outputs and their classes, flat, without those that are IGNORED."""
    known = classes != IGNORED
    return prediction.argmax(-1)[known], classes[known]


def _sets_right(whole: bool) -> Callable[[TaskSpec], tuple[Metric, Update]]:
    """The share of steps that are right, or of sequences with every step right."""

    def make(spec: TaskSpec) -> tuple[Metric, Update]:
        from torchmetrics.classification import MulticlassAccuracy

        def update(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
            right, counts = _steps_right(spec, prediction, batch)
            found = ((right | ~counts).all(1)[counts.any(1)] if whole else right[counts]).long()
            return found, torch.ones_like(found)

        return MulticlassAccuracy(2, average="micro", validate_args=False), update

    return make


class _ClassCounts:
    """Whole counts by class over a split: how often it is true, predicted, and both."""

    def __init__(self, classes: int, score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        self.classes, self.score = classes, score
        self.reset()

    def reset(self) -> None:
        self.counts = torch.zeros(3, self.classes, dtype=torch.int64)

    def to(self, device: torch.device) -> None:
        self.counts = self.counts.to(device)

    def update(self, found: Tensor, wanted: Tensor) -> None:
        some = (wanted, found, wanted[found == wanted])
        self.counts += torch.stack([torch.bincount(each, minlength=self.classes) for each in some])

    def compute(self) -> Tensor:
        true, predicted, both = self.counts.cpu().double()
        return self.score(true, predicted, both)


def _macro_f1(true: Tensor, predicted: Tensor, both: Tensor) -> Tensor:
    there = true + predicted > 0
    return (2 * both[there] / (true + predicted)[there]).mean()


def _recalls(true: Tensor, predicted: Tensor, both: Tensor) -> Tensor:
    return both[true > 0] / true[true > 0]


def _by_class(score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[[TaskSpec], tuple[Any, Update]]:
    def make(spec: TaskSpec) -> tuple[Any, Update]:
        return _ClassCounts(spec.output_size, score), lambda prediction, batch: _counted(prediction, labels(batch))

    return make


class _R2:
    """Sums of squares by output over a split, in float64, of values moved to the first one's place."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.shift: Tensor | None = None
        self.count = 0
        self.sums = torch.zeros(())

    def to(self, device: torch.device) -> None:
        self.sums = self.sums.to(device)
        self.shift = None if self.shift is None else self.shift.to(device)

    def update(self, found: Tensor, wanted: Tensor) -> None:
        wide = torch.float32 if wanted.device.type == "mps" else torch.float64  # mps has no float64
        found, wanted = found.to(wide), wanted.to(wide)
        if self.shift is None:
            self.shift = wanted[0].clone()
        moved = wanted - self.shift
        self.count += len(wanted)
        self.sums = self.sums + torch.stack([(found - wanted).square().sum(0), moved.sum(0), moved.square().sum(0)])

    def compute(self) -> Tensor:
        error, total, squares = self.sums.cpu().double()
        spread = squares - total.square() / self.count
        varies = spread > 1e-12 * squares.clamp_min(1e-300)
        explained: Tensor = 1 - error[varies] / spread[varies]
        return explained.mean()


def _r2(spec: TaskSpec) -> tuple[Any, Update]:
    return _R2(), numbers_counted


def _named(name: str, spec: TaskSpec, numbers: Update) -> tuple[Any, Update]:
    """A metric of torchmetrics, and what it is told of a batch: shares of K classes and classes, or numbers."""
    found = from_name(name)
    if found.of == "numbers":
        return Accumulator(found, spec.output_size), numbers

    def update(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        classes = labels(batch)
        known = classes != IGNORED
        wide = torch.float32 if prediction.device.type == "mps" else torch.float64  # float32 would make ties
        shares = prediction[known].to(wide).softmax(-1)
        return (shares[:, 1] if found.of == "two classes" else shares), classes[known]

    return Accumulator(found, spec.output_size), update


def numbers_counted(prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Predicted and true numbers of all that counts, N K: of sequences as they are, of steps those that are real."""
    if prediction.shape != batch.y.shape:
        raise ValueError(f"prediction {tuple(prediction.shape)} and target {tuple(batch.y.shape)} differ in shape")
    if prediction.dim() != 3:
        return prediction, batch.y
    counts = counted_steps(batch, prediction.shape[1])
    return prediction[counts], batch.y[counts]


def items_right(spec: TaskSpec, prediction: Tensor, batch: Batch) -> Tensor | None:
    """Whether each item of a batch is right, B bool, where `accuracy` is of sequences or there is `sequence_accuracy`;
    else None. Their mean over the items of a split that count anything is that metric."""
    if spec.outputs == "sequence" and "accuracy" in spec.metrics:
        return prediction.argmax(-1) == labels(batch)
    if "sequence_accuracy" in spec.metrics:
        right, counts = _steps_right(spec, prediction, batch)
        return (right | ~counts).all(1)
    return None


def _steps_right(spec: TaskSpec, prediction: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Which steps are right, and which of them count: neither padding nor context, and not IGNORED. Both B T, bool."""
    if spec.loss == "cross_entropy":
        classes = labels(batch)
        return prediction.argmax(-1) == classes, classes != IGNORED
    return ((prediction > 0) == (batch.y > 0)).all(-1), counted_steps(batch, prediction.shape[1])


METRICS: dict[str, Callable[[TaskSpec], tuple[Any, Update]]] = {
    "accuracy": _accuracy,
    "query_accuracy": _accuracy,
    "recall_accuracy": _recall_accuracy,
    "last_quarter_accuracy": _last_quarter_accuracy,
    "length_accuracy": _length_accuracy,
    "sequence_accuracy": _sets_right(whole=True),
    "step_accuracy": _sets_right(whole=False),
    "macro_f1": _by_class(_macro_f1),
    "balanced_accuracy": _by_class(lambda *counts: _recalls(*counts).mean()),
    "min_recall": _by_class(lambda *counts: _recalls(*counts).min()),
    "r2": _r2,
}


OF_LOSS: dict[str, Callable[[Tensor], Tensor]] = {  # of a split's mean loss, in nats: never a mean of these by batch
    "bpc": lambda nats: nats / math.log(2),
    "perplexity": torch.exp,
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
    numbers: what metrics of numbers that are called by torchmetrics' names are told of a batch, predicted and true
    values, N K; of a task whose network predicts on another scale than they are about.
    """

    def __init__(self, spec: TaskSpec, loss: Loss, *, numbers: Update = numbers_counted) -> None:
        self.spec, self.loss = spec, loss
        known = {*LOSSES, *METRICS, *OF_LOSS}
        named = [name for name in spec.metrics if name not in known and is_named(name)]
        if unknown := [name for name in spec.metrics if name not in known and name not in named]:
            raise ValueError(f"{spec.name} asks for unknown metrics {unknown}; known: {sorted(known)}")
        self._means = {name: _Mean() for name in ("loss", *(n for n in spec.metrics if n in LOSSES and n != spec.loss))}
        self._others = {name: METRICS[name](spec) for name in spec.metrics if name in METRICS}
        self._others |= {name: _named(name, spec, numbers) for name in named}
        self._device: torch.device | None = None
        self._seen = False

    @torch.no_grad()
    def update(self, prediction: Tensor, batch: Batch) -> None:
        """Add one batch."""
        prediction, batch = after_context(prediction, batch)
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
        mean = self._means["loss"].compute()
        values |= {name: float(OF_LOSS[name](mean)) for name in self.spec.metrics if name in OF_LOSS}
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
