"""What a run keeps of its test pass to show it: a confusion matrix, points, steps; at most a few hundred kilobytes.

A task says how it is shown (`Task.shown`): with a `Shown` that is told of every batch of the one pass over test, and
then makes the samples (`rnnbench.store.samples`), for which it may ask the network a little more. B batch, T steps,
K outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from rnnbench.datasets.base.losses import IGNORED, labels
from rnnbench.datasets.base.spec import Batch, Split, TaskSpec
from rnnbench.store.samples import (
    MOST_CLASSES,
    MOST_COLUMNS,
    MOST_POINTS,
    WORST,
    Bytes,
    Classes,
    Floats,
    Places,
    Samples,
    Series,
    Steps,
    Values,
    fitted_name,
)

FEW = 4  # items of which every step is kept
LONGEST = 512  # steps of each


class Network(Protocol):
    """The tested network as a task may ask it: in eval mode, without gradients, in the run's precision."""

    device: torch.device

    def __call__(self, batch: Batch) -> Tensor:
        """Its output for a batch on its device, as in the test pass."""

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Its output for the next steps of streams, and the state to go on from. state: None at their beginning.

        Raises ValueError of a network that carries no state: it is given whole sequences.
        """


class Shown:
    """What is kept of one pass over test. Nothing is drawn at random, unless by a generator of its own.

    whole: `see` must be told of the whole pass before `samples`; else it need not be told of any batch.
    """

    whole = True

    def see(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        """Told of every batch in order: places in test, B, the batch, and the network's output."""

    def samples(self, run: str, network: Network) -> Samples | None:
        """What is kept, within the bounds of `store.samples`; None where there is nothing."""
        raise NotImplementedError


def spread(size: int, count: int) -> Tensor:
    """At most so many places, spread evenly over so many items. Returns int64 on the CPU, rising from 0."""
    count = min(size, count)
    return torch.arange(count) * size // count


def usual(spec: TaskSpec, test: Split) -> Shown | None:
    """How a task is shown that does not say it itself.

    Classes of sequences and of steps: a confusion matrix, of at most MOST_CLASSES. Yes or no at every step
    (`nll_frame`): a few items, as probabilities. Numbers a sequence: points; numbers a step: a few items over time.
    """
    if spec.loss == "cross_entropy":
        names = spec.labels if len(spec.labels) == spec.output_size else numbered(spec.output_size)
        return ClassesShown(names) if spec.output_size <= MOST_CLASSES else None
    if spec.loss == "nll_frame":
        return StepsShown(spec.labels or numbered(spec.output_size), test) if spec.output_size <= MOST_CLASSES else None
    if spec.outputs == "sequence":
        return ValuesShown(named(spec.output_size), test)
    return LinesShown(named(spec.output_size), test) if spec.outputs == "step" else None


def numbered(count: int) -> tuple[str, ...]:
    """The names of classes that have none: "0", "1"."""
    return tuple(map(str, range(count)))


def named(count: int) -> tuple[str, ...]:
    """The names of numbers that have none: "output", or "output 0", "output 1"."""
    return ("output",) if count == 1 else tuple(f"output {n}" for n in range(count))


class ClassesShown(Shown):
    """The counts of true against predicted classes of sequences (B K) or valid steps (B T K), and the worst items."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(map(fitted_name, names))
        self.counts = np.zeros((len(names), len(names)), np.int64)
        self.worst = np.zeros((0, 4), np.int64)  # item, step, true, predicted
        self.nats = np.zeros(0, np.float64)  # of each of these, largest first

    def see(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        """Count a batch."""
        K = len(self.names)
        classes = labels(batch)
        places = (classes != IGNORED).nonzero()  # M 1 or M 2: the item within the batch, its step
        true = classes[classes != IGNORED]
        logits = prediction[classes != IGNORED].float()  # M K
        predicted = logits.argmax(-1)
        found = torch.bincount(true * K + predicted, minlength=K * K)
        self.counts += found.view(K, K).cpu().numpy()
        nats = F.cross_entropy(logits, true, reduction="none").nan_to_num(nan=torch.inf, posinf=torch.inf)
        most = nats.sort(descending=True, stable=True).indices[:WORST]
        step = places[most, 1] if places.shape[1] == 2 else torch.full_like(most, -1)
        rows = torch.stack([index[places[most, 0]], step, true[most], predicted[most]], 1)
        self._merge(rows.cpu().numpy(), nats[most].double().cpu().numpy())

    def _merge(self, rows: NDArray[Any], nats: NDArray[Any]) -> None:
        """Keep the worst of those so far and of these; of equal ones the first."""
        rows, nats = np.concatenate([self.worst, rows]), np.concatenate([self.nats, nats])
        most = np.lexsort((rows[:, 1], rows[:, 0], -nats))[:WORST]
        self.worst, self.nats = rows[most], nats[most]

    def samples(self, run: str, network: Network) -> Samples | None:
        """The counts; None where no class of test is known."""
        if not self.counts.any():
            return None
        item, step, true, predicted = (np.ascontiguousarray(column) for column in self.worst.T)
        return Classes(run, self.names, self.counts, item, step, true, predicted, np.exp(-self.nats))


class _Few(Shown):
    """What is kept of a few items spread over test, as the pass comes by them."""

    def __init__(self, names: Sequence[str], test: Split, count: int, *, most: int) -> None:
        self.names = tuple(map(fitted_name, names[:most]))
        self.items = spread(test.size, count)
        self.truth: dict[int, Tensor] = {}  # by item, T K
        self.predicted: dict[int, Tensor] = {}

    def see(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        """Keep what is of the items."""
        for row in torch.isin(index.cpu(), self.items).nonzero().flatten().tolist():
            steps = batch.y.shape[1] if batch.lengths is None else int(batch.lengths[row])
            kept = slice(0, min(steps, LONGEST)), slice(0, len(self.names))
            item = int(index[row])
            self.truth[item] = batch.y[row][kept].float().cpu()
            self.predicted[item] = prediction[row][kept].float().cpu()

    def _places(self) -> Places:
        """The items in their order."""
        return np.array(sorted(self.truth), np.int64)

    def _padded(self, parts: Mapping[int, Tensor], fill: float) -> Floats:
        """The items in their order, N T K, filled behind their ends."""
        ordered = [parts[item] for item in sorted(parts)]
        padded: Floats = pad_sequence(ordered, batch_first=True, padding_value=fill).numpy()
        return padded


class ValuesShown(_Few):
    """Predicted numbers of sequences, B K, against the true ones. raw: from M K of the network to the data's units."""

    def __init__(self, columns: Sequence[str], test: Split, *, raw: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__(columns, test, MOST_POINTS, most=MOST_COLUMNS)
        self.raw = raw or (lambda values: values)

    def see(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        """Keep what is of the items."""
        mine = torch.isin(index.cpu(), self.items).to(prediction.device)
        places, K = index[mine].tolist(), len(self.names)
        for kept, part in ((self.truth, batch.y), (self.predicted, prediction)):
            kept.update(zip(places, self.raw(part[mine].float())[:, :K].cpu(), strict=True))

    def samples(self, run: str, network: Network) -> Samples | None:
        """The points."""
        places = sorted(self.truth)
        truth, prediction = (
            torch.stack([of[n] for n in places]).float().numpy() for of in (self.truth, self.predicted)
        )
        return Values(run, self.names, self._places(), truth, prediction)


class StepsShown(_Few):
    """A few items with K probabilities at every step; prediction: logits, B T K."""

    def __init__(self, names: Sequence[str], test: Split) -> None:
        super().__init__(names, test, FEW, most=MOST_CLASSES)

    def samples(self, run: str, network: Network) -> Samples | None:
        """The first LONGEST steps of each."""
        places = self._places()
        lengths = np.array([len(self.truth[item]) for item in places], np.int64)
        logits = torch.from_numpy(self._padded(self.predicted, -torch.inf))
        truth, prediction = _bytes(self._padded(self.truth, 0.0)), _bytes(logits.sigmoid().numpy())
        return Steps(run, self.names, places, lengths, truth, prediction)


def _bytes(shares: Floats) -> Bytes:
    """Shares in [0, 1] as 0..255."""
    whole: Bytes = np.rint(np.nan_to_num(shares).clip(0, 1) * 255).astype(np.uint8)
    return whole


class LinesShown(_Few):
    """A few items with K numbers at every step, over time: forecasts that begin with the first step and see no input
    beside the truth. Steps behind an item's end are missing."""

    def __init__(self, columns: Sequence[str], test: Split) -> None:
        super().__init__(columns, test, FEW, most=MOST_COLUMNS)

    def samples(self, run: str, network: Network) -> Samples | None:
        """The first LONGEST steps of each."""
        truth, prediction = self._padded(self.truth, torch.nan), self._padded(self.predicted, torch.nan)
        N, T, K = truth.shape
        places = self._places()
        return Series(
            run, self.names, tuple(f"test item {item}" for item in places), "row", (), places,
            np.zeros((N, 0), np.int64), np.tile(np.arange(T), (N, 1)),
            np.zeros((N, 0, K), np.float32), truth, prediction, np.zeros((0, N, T, K), np.float32),
        )  # fmt: skip
