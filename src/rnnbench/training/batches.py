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

    batch_size: sequences an update, at most all of them. seed: of the order stream.
    """

    def __init__(self, task: Task, split: Split, batch_size: int, seed: int) -> None:
        self.task, self.split, self.seed = task, split, seed
        self.batch_size = min(batch_size, split.size)
        self.per_epoch = split.size // self.batch_size
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def index(self, update: int) -> Tensor:
        """The sequences of one update (counted from 0), (B,) int64 on the split's device."""
        epoch, n = divmod(update, self.per_epoch)
        if epoch != self._epoch:
            key = hashlib.sha256(f"{self.seed}/{epoch}".encode()).digest()
            generator = torch.Generator().manual_seed(int.from_bytes(key[:8], "big") >> 1)
            order = torch.randperm(self.split.size, generator=generator)
            self._epoch, self._order = epoch, order.to(self.split.x.device)
        return self._order[n * self.batch_size : (n + 1) * self.batch_size]

    def batch(self, update: int) -> Batch:
        return self.task.batch(self.split, self.index(update))


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
