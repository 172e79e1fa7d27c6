"""The adding problem (Hochreiter & Schmidhuber 1997, section 5.4, in the form of Le et al. 2015 and uRNN 2016)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.checks import one_of, sizes_and_seed, whole
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.seeds import derive

DIALECTS = ("halves", "any")


class Adding(Task):
    """Add the two marked numbers of a long sequence.

    x: N T 2, float32: a value u ~ U[0, 1) and a marker that is 1 at two steps, else 0. y: N 1, the sum of the two
    marked values. Metric `mse`; predicting the mean, 1, costs 1/6 in expectation (some papers print 0.1767: a slip).

    dialect: `halves` marks one step in the first floor(T/2) steps and one in the rest (uRNN, coRNN, LEM, S4); `any`
    marks two different steps anywhere (TCN, Bai 2018). The two do not compare: `any` can hide both at the end.
    train, val, test: the numbers of sequences, each split drawn from its own stream of data_seed, so that a split does
    not move with the size of another. Raises BadInput on an unknown dialect, T below 2 or a size below 1.
    """

    def __init__(
        self,
        T: int = 50,
        dialect: str = "halves",
        data_seed: int = 0,
        train: int = 50_000,
        val: int = 5_000,
        test: int = 10_000,
    ) -> None:
        whole("T", T, 2, "two steps are marked")
        one_of("dialect", dialect, DIALECTS)
        sizes_and_seed(train, val, test, data_seed)
        self.T, self.dialect, self.data_seed = T, dialect, data_seed
        self.sizes = {"train": train, "val": val, "test": test}
        self.spec = TaskSpec(
            name="adding",
            protocol=f"{dialect}, T={T}, {train}/{val}/{test}, seed {data_seed}",
            inputs="features",
            input_size=2,
            outputs="sequence",
            output_size=1,
            loss="mse",
            metric="mse",
            metrics=("mse",),
            goal="min",
            floor="mean",
            target=0.0,
            target_source="oracle",
            max_length=T,
            solved=0.01,  # the error whose first update LEM (Rusch et al. 2022) reports on this task
        )

    def load(self) -> Data:
        """Generate the three splits."""
        return Data(**{name: self._split(name, size) for name, size in self.sizes.items()})

    def floors(self, data: Data) -> Mapping[str, float]:
        """`mean`: the test MSE of always predicting 1, the expected sum (1/6, up to the sample)."""
        return {"mean": float((data.test.y.double() - 1).square().mean())}

    def oracle(self, batch: Batch) -> Tensor:
        """The exact sum of the marked values, B 1."""
        return (batch.x[..., 0] * batch.x[..., 1]).sum(1, keepdim=True)

    def _split(self, name: str, size: int) -> Split:
        rng = np.random.default_rng(derive(self.data_seed, "adding", name))
        values = rng.random((size, self.T), dtype=np.float32)
        first, second = self._marked(rng, size)
        x = torch.zeros(size, self.T, 2)
        x[..., 0] = torch.from_numpy(values)
        rows = np.arange(size)
        x[rows, first, 1] = 1
        x[rows, second, 1] = 1
        y = torch.from_numpy(values[rows, first] + values[rows, second]).unsqueeze(1)
        return Split(x, y)

    def _marked(self, rng: np.random.Generator, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The two marked steps of every sequence, always different."""
        if self.dialect == "halves":
            half = self.T // 2
            return rng.integers(half, size=size), rng.integers(half, self.T, size=size)
        first = rng.integers(self.T, size=size)
        return first, (first + 1 + rng.integers(self.T - 1, size=size)) % self.T
