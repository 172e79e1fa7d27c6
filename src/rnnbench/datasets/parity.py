"""Parity, trained on short sequences and tested on long ones (Bhattamishra et al. 2020; Deletang et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rnnbench.datasets.base.checks import sizes_and_seed
from rnnbench.datasets.base.ranges import ranges
from rnnbench.datasets.base.spec import SOLVED_ACCURACY, Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.splits import class_floors
from rnnbench.datasets.base.task import Task
from rnnbench.seeds import derive

PADDING = 2


class Parity(Task):
    """Is the number of ones odd? One bit of memory, that every one of the inputs may flip.

    x: one-hot, B T 2 (0, 1), zeros after the end; y: N, 1 for odd. A sequence's length is drawn evenly from its
    split's range, both ends included, its bits are fair coins. train: 1..longest_train, val: up to longest_val, test:
    up to longest_test, so that the splits are disjoint by length. Each split has its own stream of data_seed.

    Metric `accuracy`; floors `chance` and `majority`. Raises BadInput on ranges that do not rise or a size below 1.
    """

    def __init__(
        self,
        longest_train: int = 40,
        longest_val: int = 64,
        longest_test: int = 256,
        data_seed: int = 0,
        train: int = 20_000,
        val: int = 1_000,
        test: int = 2_000,
    ) -> None:
        self.ranges = ranges(longest_train, longest_val, longest_test)
        sizes_and_seed(train, val, test, data_seed)
        self.data_seed = data_seed
        self.sizes = {"train": train, "val": val, "test": test}
        self.spec = TaskSpec(
            name="parity",
            protocol=f"lengths {self.ranges.words()}, {train}/{val}/{test}, seed {data_seed}",
            inputs="features",
            input_size=2,
            outputs="sequence",
            output_size=2,
            loss="cross_entropy",
            metric="accuracy",
            metrics=("accuracy",),
            goal="max",
            floor="chance",
            target=1.0,
            target_source="oracle",
            max_length=longest_test,
            solved=SOLVED_ACCURACY,
        )

    def load(self) -> Data:
        """Generate the three splits. x is stored as bits in uint8, N T."""
        return Data(**{name: self._split(name, size) for name, size in self.sizes.items()})

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x as one-hot vectors, float32, zero where the sequence is over."""
        stored = super().batch(split, index)
        return stored._replace(x=F.one_hot(stored.x.long(), PADDING + 1)[..., :-1].float())

    def floors(self, data: Data) -> Mapping[str, float]:
        """`chance`: a coin; `majority`: always train's more frequent class."""
        return class_floors(2, data.train.y, data.test.y)

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are right and sure, B 2, of the automaton with two states."""
        state = torch.zeros(len(batch.x), dtype=torch.int64)
        for one in batch.x[..., 1].long().unbind(1):
            state = state ^ one
        return 100.0 * F.one_hot(state, 2).float()

    def _split(self, name: str, size: int) -> Split:
        rng = np.random.default_rng(derive(self.data_seed, "parity", name))
        low, high = self.ranges.bounds()[name]
        lengths = rng.integers(low, high + 1, size=size)
        x = rng.integers(2, size=(size, high), dtype=np.uint8)
        real = np.arange(high) < lengths[:, None]
        y = (x * real).sum(1, dtype=np.int64) % 2
        x[~real] = PADDING
        return Split(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(lengths))
