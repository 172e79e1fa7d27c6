"""The temporal order problem (Hochreiter & Schmidhuber 1997, task 6a): which came first, X or Y?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rnnbench.datasets.base.checks import sizes_and_seed, whole
from rnnbench.datasets.base.spec import SOLVED_ACCURACY, Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.seeds import derive

SYMBOLS = "abcdEBXY"  # the order of the 8 inputs
PADDING = len(SYMBOLS)
E, B, X = 4, 5, 6


class TemporalOrder(Task):
    """Classify a sequence by the order of its two relevant symbols, far apart among distractors.

    A sequence starts with E, ends with B (the trigger) and is otherwise drawn from a, b, c, d, but for two steps that
    are X or Y. Classes: XX 0, XY 1, YX 2, YY 3, equally likely. x: one-hot, B T 8 (order abcdEBXY, zeros after the
    end); y: N. Steps count from 0; all bounds are included, and drawn evenly: the length from T..T+T//10, the first
    relevant step from T//10..T//5, the second from T//2..3T//5. T=100 is the paper's setting (100-110, 10-20, 50-60).

    Metric `accuracy`, chance 0.25. The paper instead called a sequence right when all output errors were below 0.3.
    Raises BadInput on T below 20 (shorter sequences are so few that the splits would overlap) or a size below 1.
    """

    def __init__(
        self, T: int = 50, data_seed: int = 0, train: int = 50_000, val: int = 5_000, test: int = 10_000
    ) -> None:
        whole("T", T, 20, "shorter sequences are too few for three disjoint splits")
        sizes_and_seed(train, val, test, data_seed)
        self.T, self.data_seed = T, data_seed
        self.longest = T + T // 10
        self.sizes = {"train": train, "val": val, "test": test}
        self.spec = TaskSpec(
            name="temporal_order",
            protocol=f"task 6a, T={T}-{self.longest}, {train}/{val}/{test}, seed {data_seed}",
            inputs="features",
            input_size=len(SYMBOLS),
            outputs="sequence",
            output_size=4,
            loss="cross_entropy",
            metric="accuracy",
            metrics=("accuracy",),
            goal="max",
            floor="chance",
            target=1.0,
            target_source="oracle",
            max_length=self.longest,
            solved=SOLVED_ACCURACY,
        )

    def load(self) -> Data:
        """Generate the three splits. x is stored as symbols in uint8, N T."""
        return Data(**{name: self._split(name, size) for name, size in self.sizes.items()})

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x as one-hot vectors, float32, zero where the sequence is over."""
        stored = super().batch(split, index)
        one_hot = F.one_hot(stored.x.long(), len(SYMBOLS) + 1)[..., :-1]  # the last one is padding
        return stored._replace(x=one_hot.float())

    def floors(self, data: Data) -> Mapping[str, float]:
        """`chance`: a uniform guess among the 4 classes."""
        return {"chance": 0.25}

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are right and sure, B 4, read off the two relevant inputs."""
        is_y = batch.x[..., X + 1]
        relevant = batch.x[..., X] + is_y
        first = relevant * (relevant.cumsum(1) == 1)
        answer = 2 * (is_y * first).sum(1) + (is_y * (relevant - first)).sum(1)
        return 100.0 * F.one_hot(answer.long(), 4).float()

    def _split(self, name: str, size: int) -> Split:
        rng = np.random.default_rng(derive(self.data_seed, "temporal_order", name))
        T, rows = self.T, np.arange(size)
        lengths = rng.integers(T, self.longest + 1, size=size)
        steps = (rng.integers(T // 10, T // 5 + 1, size=size), rng.integers(T // 2, 3 * T // 5 + 1, size=size))
        order = rng.integers(2, size=(2, size))
        x = rng.integers(4, size=(size, self.longest), dtype=np.uint8)
        x[:, 0] = E
        for step, is_y in zip(steps, order, strict=True):
            x[rows, step] = X + is_y
        x[rows, lengths - 1] = B
        x[np.arange(self.longest) >= lengths[:, None]] = PADDING
        y = 2 * order[0] + order[1]
        return Split(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(lengths))
