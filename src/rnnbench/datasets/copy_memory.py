"""The copy memory task, as set by Arjovsky et al. 2016 (uRNN) and by Bai et al. 2018 (TCN)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rnnbench.datasets.base.checks import one_of, sizes_and_seed, whole
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.seeds import derive

DIALECTS = ("one_hot", "tcn")
RECALL = 10  # symbols to remember
SYMBOLS = 8  # the symbols are 1..8; 0 is the blank
MARKER = 9


class CopyMemory(Task):
    """Remember 10 symbols over T blanks and write them down again. Every sequence is T + 20 steps long.

    Both dialects: 10 symbols of 1..8, then T - 1 blanks (0), then the marker 9 at step T + 9, counted from 0. The
    target y, N T+20, is blank for T + 10 steps and then the 10 symbols in their order.

    - `one_hot` (uRNN): one marker, then 10 blanks. x: one-hot, B T+20 10; 9 classes out, as uRNN's code has it.
    - `tcn`: the marker stands at the last 11 steps. x: the raw symbol as one number, B T+20 1; 10 classes out, one of
      them (9) never used.

    Loss and metric `cross_entropy`: nats a step, the mean over all T + 20 steps. Knowing everything but the symbols
    costs 10 ln 8/(T+20), the floor `memoryless`. `recall_accuracy`: the share of right symbols in the last 10 steps
    (chance 12.5%). No 10 symbols occur in two splits. Raises BadInput on an unknown dialect, T or a size below 1.
    """

    def __init__(
        self,
        T: int = 100,
        dialect: str = "one_hot",
        data_seed: int = 0,
        train: int = 50_000,
        val: int = 5_000,
        test: int = 10_000,
    ) -> None:
        whole("T", T, 1)
        one_of("dialect", dialect, DIALECTS)
        sizes_and_seed(train, val, test, data_seed)
        self.T, self.dialect, self.data_seed = T, dialect, data_seed
        self.sizes = {"train": train, "val": val, "test": test}
        self.spec = TaskSpec(
            name="copy_memory",
            protocol=f"{dialect}, T={T}, {train}/{val}/{test}, seed {data_seed}",
            inputs="features",
            input_size=10 if dialect == "one_hot" else 1,
            outputs="step",
            output_size=9 if dialect == "one_hot" else 10,
            loss="cross_entropy",
            metric="cross_entropy",
            metrics=("cross_entropy", "recall_accuracy"),
            goal="min",
            floor="memoryless",
            target=0.0,
            target_source="oracle",
            max_length=T + 2 * RECALL,
            # a tenth of what it costs to know everything but the symbols: a score of 0.9, as the claims judge "solves"
            solved=0.1 * self._memoryless(),
        )

    def load(self) -> Data:
        """Generate the three splits. Stored as symbols in uint8: x and y are N T+20."""
        # test first and train last, so that test is the same for every size of the others
        test = self._draw("test", np.empty(0, np.int64))
        val = self._draw("val", test)
        train = self._draw("train", np.concatenate([test, val]))
        return Data(self._split(train), self._split(val), self._split(test))

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x as one-hot vectors or raw numbers, float32; y as classes, int64."""
        symbols = split.x[index]
        if self.dialect == "one_hot":
            x = F.one_hot(symbols.long(), 10).float()
        else:
            x = symbols.float().unsqueeze(-1)
        return Batch(x, split.y[index].long())

    def floors(self, data: Data) -> Mapping[str, float]:
        """`memoryless`: blanks where blanks are due, then 1 in 8 for every symbol: 10 ln 8/(T+20)."""
        return {"memoryless": self._memoryless()}

    def _memoryless(self) -> float:
        return RECALL * math.log(SYMBOLS) / (self.T + 2 * RECALL)

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are right and sure, B T+20 K, read off the first 10 inputs."""
        shown = batch.x[:, :RECALL]
        symbols = shown.argmax(-1) if self.dialect == "one_hot" else shown.squeeze(-1).long()
        answer = torch.zeros(batch.x.shape[:2], dtype=torch.int64, device=batch.x.device)
        answer[:, -RECALL:] = symbols
        return 100.0 * F.one_hot(answer, self.spec.output_size).float()

    def _draw(self, name: str, taken: NDArray[np.int64]) -> NDArray[np.int64]:
        """10 symbols a sequence as one number below 8^10, none of them among those taken by another split."""
        rng = np.random.default_rng(derive(self.data_seed, "copy_memory", name))
        codes = rng.integers(SYMBOLS**RECALL, size=self.sizes[name])
        while (clash := np.isin(codes, taken)).any():
            codes[clash] = rng.integers(SYMBOLS**RECALL, size=int(clash.sum()))
        return codes

    def _split(self, codes: NDArray[np.int64]) -> Split:
        symbols = (codes[:, None] >> (3 * np.arange(RECALL))) % SYMBOLS + 1
        x = np.zeros((len(codes), self.T + 2 * RECALL), np.uint8)
        y = np.zeros_like(x)
        x[:, :RECALL] = symbols
        y[:, -RECALL:] = symbols
        if self.dialect == "one_hot":
            x[:, -RECALL - 1] = MARKER
        else:
            x[:, -RECALL - 1 :] = MARKER
        return Split(torch.from_numpy(x), torch.from_numpy(y))
