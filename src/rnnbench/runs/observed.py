"""What is kept of the one pass over test: each observer is told of every batch, and one that fails stops no other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnnbench.datasets.base.spec import Batch
from rnnbench.datasets.base.task import Task
from rnnbench.store.outcomes import FILE, MOST_ITEMS, Outcomes, dumps
from rnnbench.store.store import write_atomic
from rnnbench.training.evaluate import Observer


class Observed:
    """Observers of one evaluation, by what each is for (a file's name). One that raises is told no more, and named by
    `warn` in a sentence: what is kept beside a record is no reason to lose it."""

    def __init__(self, observers: Mapping[str, Observer], warn: Callable[[str], None]) -> None:
        self._whole = dict(observers)
        self._warn = warn

    def __call__(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        for name, observer in list(self._whole.items()):
            self.guarded(name, functools.partial(observer, index, batch, prediction))

    def guarded(self, name: str, act: Callable[[], object]) -> None:
        """Do what follows from an observer, unless it has failed already; a failure is a sentence."""
        if name not in self._whole:
            return
        try:
            act()
        except Exception as error:
            del self._whole[name]
            self._warn(f"no {name} is kept ({type(error).__name__}: {' '.join(str(error).split())}).")


class _Part(NamedTuple):
    """What one batch said, all of B."""

    items: Tensor
    totals: Tensor
    counts: Tensor
    right: Tensor | None


class ItemOutcomes:
    """The loss of each test item, and whether it is right, as batches come by.

    An item that comes in several rows (a row a channel) is their sum, and right where all of them are.
    """

    def __init__(self, task: Task, items: int) -> None:
        self.task, self.items = task, items
        self._parts: list[_Part] = []

    def __call__(self, index: Tensor, batch: Batch, prediction: Tensor) -> None:
        if self.items > MOST_ITEMS or (losses := self.task.item_losses(prediction, batch)) is None:
            return
        right = self.task.item_right(prediction, batch)
        found = (losses.totals, losses.counts, *(() if right is None else (right,)))
        if any(each.shape != index.shape for each in found):
            raise ValueError(f"{len(index)} items and losses of the shape {tuple(losses.totals.shape)}")
        self._parts.append(_Part(index, losses.totals.float(), losses.counts.to(torch.int32), right))

    def made(self, run: str, data_hash: str, metric: str) -> Outcomes | None:
        """What was seen; None of a task that knows no loss of an item, or has too many. Raises ValueError where items
        are missing."""
        if not self._parts:
            return None
        index = torch.cat([part.items for part in self._parts]).cpu().numpy()
        totals = torch.cat([part.totals for part in self._parts]).cpu().numpy()
        counts = torch.cat([part.counts for part in self._parts]).cpu().numpy()
        total, count = np.zeros(self.items), np.zeros(self.items, np.int32)
        seen = np.zeros(self.items, bool)
        seen[index] = True
        if not seen.all():
            raise ValueError(f"{int((~seen).sum())} of {self.items} items were not seen")
        np.add.at(total, index, totals)
        np.add.at(count, index, counts)
        return Outcomes(run, data_hash, metric, total.astype(np.float32), count, self._right(index))

    def _right(self, index: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        rights = [part.right for part in self._parts if part.right is not None]
        if len(rights) < len(self._parts):
            return None
        right = np.ones(self.items, bool)
        np.logical_and.at(right, index, torch.cat(rights).cpu().numpy())
        return right


def keep(outcomes: Outcomes | None, folder: Path, *, data_hash: str, metrics: Mapping[str, float]) -> None:
    """Write a run's outcomes into its folder, where they add up to what the run says of its test.

    Raises ValueError where they do not: a task's `item_losses` and its `loss` are then two.
    """
    if outcomes is None:
        return
    said = {"id": outcomes.run, "dataset": {"data_hash": data_hash}, "metrics": metrics}
    if why := outcomes.objection(said):
        raise ValueError(why)
    write_atomic(folder / FILE, dumps([outcomes]), sync_folder=False)
