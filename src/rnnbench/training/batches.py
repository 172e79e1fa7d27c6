"""Which sequences an update sees: a pure function of the order seed and the update's number.

So a resumed run needs no loader state, and two entries with one seed see the same batches in the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor

from rnnbench.datasets.base.spec import Batch, Split
from rnnbench.datasets.base.task import Task


class Batches:
    """Batches of a training split, by update. Each epoch is a fresh permutation; what does not fill a batch is left.

    batch_size: sequences an update, at most all of them. seed: of the order stream. in_context: for a network that
    carries no state (`Task.in_context`).
    """

    def __init__(self, task: Task, split: Split, batch_size: int, seed: int, *, in_context: bool = False) -> None:
        self.task, self.split, self.seed, self.in_context = task, split, seed, in_context
        self.batch_size = min(batch_size, split.size)
        self.per_epoch = split.size // self.batch_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def index(self, update: int) -> Tensor:
        """The sequences of one update (counted from 0), (B,) int64 on the split's device."""
        epoch, n = divmod(update, self.per_epoch)
        if epoch != self._epoch:
            order = torch.randperm(self.split.size, generator=self._generator(epoch))
            self._epoch, self._order = epoch, order.to(self.split.x.device)
        return self._order[n * self.batch_size : (n + 1) * self.batch_size]

    def _generator(self, epoch: int) -> torch.Generator:
        key = hashlib.sha256(f"{self.seed}/{epoch}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)

    def batch(self, update: int) -> Batch:
        cut = self.task.in_context if self.in_context else self.task.batch
        return cut(self.split, self.index(update))

    def begins(self, update: int) -> bool:
        """Whether an update's sequences begin anew, and do not go on where those of the update before ended."""
        return True


class Streams(Batches):
    """Batches that go on: a stream is a run of neighbouring sequences, and update n of an epoch has the nth of each.

    An epoch has M = sequences // B updates; stream b is sequences first + b M .. first + (b + 1) M - 1, with `first`
    drawn for each epoch out of what B streams of M leave over: nothing is left out for ever.
    """

    def index(self, update: int) -> Tensor:
        epoch, n = divmod(update, self.per_epoch)
        if epoch != self._epoch:
            left = self.split.size - self.batch_size * self.per_epoch
            first = int(torch.randint(left + 1, (), generator=self._generator(epoch)))
            starts = first + self.per_epoch * torch.arange(self.batch_size)
            self._epoch, self._order = epoch, starts.to(self.split.x.device)
        return self._order + n

    def begins(self, update: int) -> bool:
        """At the first update of an epoch."""
        return update % self.per_epoch == 0


class Round:
    """The updates up to the next validation, as the iterable that Lightning calls one epoch of a loader.

    It gives them as one range, not one by one: what Lightning does around each item costs a good part of a small
    network's update.
    """

    def __init__(self, batches: Batches, updates: int, every: int) -> None:
        self.batches, self.updates, self.every = batches, updates, every
        self.done = 0  # updates already done, kept up to date by the module

    def __iter__(self) -> Iterator[range]:
        end = min(self.updates, (self.done // self.every + 1) * self.every)
        if self.done < end:
            yield range(self.done, end)
