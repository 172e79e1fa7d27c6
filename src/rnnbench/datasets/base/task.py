"""What a dataset is to the rest of the house: a TaskSpec before any data is read, then splits, batches, loss, metrics.

A dataset does not know models. Shapes: B batch, T time steps, F features, K outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.base.spec import Batch, Data, Metrics, Split, TaskSpec
from rnnbench.datasets.base.words import plural, sizes

if TYPE_CHECKING:
    from torch import Tensor

    from rnnbench.datasets.base.losses import ItemLosses
    from rnnbench.datasets.base.shown import Shown


class Curves(Protocol):
    """Accumulates what a test pass says step by step."""

    def see(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        """Told of every batch in order, as an observer of the evaluation."""

    def as_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""


class Task(ABC):
    """A dataset with its protocol. One file a dataset; options are constructor arguments, set in conf/dataset/."""

    spec: TaskSpec
    exhaustive = False  # train holds every sequence there is, so that a larger batch means all of them

    @abstractmethod
    def load(self) -> Data:
        """Read or generate the three splits (on the CPU). Raises MissingData with the file and the fix."""

    @abstractmethod
    def floors(self, data: Data) -> Mapping[str, float]:
        """Trivial predictors by name, in the main metric on test; always holds `spec.floor`."""

    def recall(self, protocol: str) -> None:  # noqa: B027  # most specs need no file
        """Know from a record's protocol what the spec else reads from the data's file: a network needs no data."""

    def reading(self) -> Reading | None:
        """What was read of the user's files; None of a dataset that is no user's. Known once the data is loaded."""
        return None

    def beside(self) -> Iterable[Tensor]:
        """What batches are drawn from besides the splits, on the CPU, N first: checked like them."""
        return ()

    def summary(self, data: Data) -> str:
        """What was read, on one line: `1,077/360/360 sequences of 8 steps, 8 features`."""
        shortest, longest = self._lengths(data)
        steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
        size = self.spec.input_size
        kind = f"one of {size:,} tokens" if self.spec.inputs == "tokens" else plural(size, "feature")
        return f"{sizes(data)} sequences of {steps} step{'s' * (longest != 1)}, {kind}"

    def _lengths(self, data: Data) -> tuple[int, int]:
        """The steps of the shortest and of the longest sequence of all splits."""
        import torch

        found = []
        for split in data:
            if split.lengths is None:
                found.append(int(self.batch(split, torch.tensor([0])).x.shape[1]))
            else:
                found += [int(split.lengths.min()), int(split.lengths.max())]
        return min(found), max(found)

    def batch(self, split: Split, index: Tensor) -> Batch:
        """The sequences at index (B integers from 0), trimmed to the longest of them, as the network takes them."""
        lengths = None if split.lengths is None else split.lengths.index_select(0, index)
        x, y = split.x, split.y
        if lengths is not None:  # trimmed before it is gathered: padding is never copied
            longest = int(lengths.max())
            x = x[:, :longest]
            if self.spec.outputs == "step":
                y = y[:, :longest]
        return Batch(x.index_select(0, index), y.index_select(0, index), lengths)

    def item_steps(self, split: Split) -> int:
        """Steps that an item of a split makes a network take, in all its rows: how many fit into memory at once."""
        return int(split.x.shape[1])

    def in_context(self, split: Split, index: Tensor) -> Batch:
        """`batch` for a network that carries no state: of a task whose streams go on from batch to batch (`spec.carry`)
        with the steps before in front, which count nowhere (`Batch.skip`, IGNORED)."""
        return self.batch(split, index)

    def streams(self, split: Split) -> int:
        """In how many parts, one after the other in itself, a split is read in evaluation where `spec.carry`."""
        return 1

    def loss(self, prediction: Tensor, batch: Batch) -> Tensor:
        """The training loss, a scalar: the mean over the batch's sequences or valid steps."""
        from rnnbench.datasets.base.losses import LOSSES, after_context

        return LOSSES[self.spec.loss](*after_context(prediction, batch))

    def item_losses(self, prediction: Tensor, batch: Batch) -> ItemLosses | None:
        """The loss of each item of a batch (an item is what `index` numbers in `batch`), which add up to the split's.

        None of a task with a loss of its own, which knows of none; it may say so here. A batch with more rows than
        items (a row a channel) has to add them up.
        """
        from rnnbench.datasets.base.losses import ITEM_LOSSES

        if type(self).loss is not Task.loss or self.spec.loss not in ITEM_LOSSES:
            return None
        return ITEM_LOSSES[self.spec.loss](prediction, batch)

    def item_right(self, prediction: Tensor, batch: Batch) -> Tensor | None:
        """Whether each item of a batch is right, B bool, where the task has right and wrong of a whole item: its class,
        or every step (`sequence_accuracy`). Of an item with no class but IGNORED it means nothing. Else None."""
        from rnnbench.datasets.base.metrics import items_right

        return items_right(self.spec, prediction, batch)

    def shown(self, test: Split) -> Shown | None:
        """What a run keeps of its test pass, to be drawn (`rnnbench predictions`); None: nothing.

        test: on the device it is tested on. A task that is shown in its own way returns its own `Shown`
        (datasets/base/shown.py); by default its spec says what there is to show.
        """
        from rnnbench.datasets.base.shown import usual

        return usual(self.spec, test)

    def curves(self) -> Curves | None:
        """What a run keeps of its test by step of a forecast (horizon.json); None: nothing."""
        return None

    def metrics(self) -> Metrics:
        """A fresh accumulator of `loss` and every metric of the spec."""
        from rnnbench.datasets.base.metrics import TaskMetrics

        return TaskMetrics(self.spec, self.loss)
