"""Tokens in, a class at every step or at some: what the tasks of state tracking, recall and formal languages share.

Stored compactly: x, N T, whole numbers of few bits; y, N T, the class at each step, IGNORED where the network is asked
nothing. Shapes: B batch, T time steps, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rnnbench.datasets.base.measured import AT_ONCE
from rnnbench.datasets.base.spec import SOLVED_ACCURACY, Batch, Split, TaskSpec
from rnnbench.datasets.base.task import Task

Stored = TypeVar("Stored", bound=np.generic)


class StepClasses(Task):
    """A task that is read as tokens, B T, and answered by classes, B T, IGNORED where nothing is asked."""

    def make_spec(
        self,
        name: str,
        protocol: str,
        *,
        tokens: int,
        classes: int,
        metrics: tuple[str, ...],
        floor: str,
        longest: int,
        labels: tuple[str, ...] = (),
        recall_steps: int = 10,
    ) -> TaskSpec:
        """The spec. tokens, classes: how many there are; metrics: the first is the main one, a share of right answers;
        longest: steps of the longest sequence; labels, recall_steps: as in TaskSpec."""
        return TaskSpec(
            name=name,
            protocol=protocol,
            inputs="tokens",
            input_size=tokens,
            outputs="step",
            output_size=classes,
            loss="cross_entropy",
            metric=metrics[0],
            metrics=metrics,
            goal="max",
            floor=floor,
            target=1.0,
            target_source="oracle",
            max_length=longest,
            labels=labels,
            solved=SOLVED_ACCURACY,
            recall_steps=recall_steps,
        )

    def batch(self, split: Split, index: Tensor) -> Batch:
        """Tokens and classes, int64, to the end of the longest sequence."""
        stored = super().batch(split, index)
        return stored._replace(x=stored.x.long(), y=stored.y.long())

    def sure(self, answer: Tensor) -> Tensor:
        """Logits, B T K, that are sure of the classes in answer, B T (0 where nothing is asked)."""
        return 100.0 * F.one_hot(answer, self.spec.output_size).float()

    def score(self, split: Split, guess: Callable[[Batch], Tensor]) -> float:
        """What a predictor reaches on a split in the main metric. guess: the classes that it names, B T."""
        metrics = self.metrics()
        for index in torch.arange(split.size).split(AT_ONCE):
            batch = self.batch(split, index)
            metrics.update(self.sure(guess(batch)), batch)
        return metrics.compute()[self.spec.metric]


def signed(classes: int) -> type[np.signedinteger]:
    """The smallest type that holds so many classes and IGNORED."""
    return np.int8 if classes <= 128 else np.int16


def drawn_apart(size: int, draw: Callable[[int], NDArray[Stored]], taken: set[bytes]) -> NDArray[Stored]:
    """So many rows of draw(n), N M, each drawn again while another split has it (`taken`: the bytes of its rows).

    draw must be able to give others than those taken.
    """
    rows = draw(size)
    while clash := [n for n, row in enumerate(rows) if row.tobytes() in taken]:
        rows[clash] = draw(len(clash))
    return rows
