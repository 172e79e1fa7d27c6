"""Predicting which symbols may come next, at every step of a word: what the formal languages have in common.

The target is the set of legal next symbols, K bits a step, as Gers & Schmidhuber (2001) judge their networks and as
Suzgun et al. (2019) and Bhattamishra et al. (2020) train theirs; a word counts as right when the set is right at every
step. Sets, because the next symbol itself is not determined: after `a` both `a` and `b` may come.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rnnbench.datasets.base.ranges import Ranges
from rnnbench.datasets.base.shown import Shown, StepsShown
from rnnbench.datasets.base.spec import SOLVED_ACCURACY, Batch, Split, TaskSpec
from rnnbench.datasets.base.task import Task


class NextSymbols(Task):
    """A language whose words are read symbol by symbol. A subclass names `inputs` and `outputs` and makes the words.

    x: one-hot, B T V, zeros after the end; y: B T K, 1 where a symbol may come next. Loss `nll_frame`: K independent
    sigmoids, nats summed over them, mean over the steps. Metrics `sequence_accuracy` (the share of words with every
    set right) and `step_accuracy` (the share of steps). Test words are longer than what is trained on.
    """

    inputs: str  # the symbols in their order
    outputs: str  # what may come next, in its order

    def make_spec(self, name: str, protocol: str, longest: int) -> TaskSpec:
        """The spec of a language; longest: steps of its longest word."""
        return TaskSpec(
            name=name,
            protocol=f"{protocol}, legal next symbols",
            inputs="features",
            input_size=len(self.inputs),
            outputs="step",
            output_size=len(self.outputs),
            loss="nll_frame",
            metric="sequence_accuracy",
            metrics=("sequence_accuracy", "step_accuracy"),
            goal="max",
            floor="memoryless",
            target=1.0,
            target_source="oracle",
            causal=True,
            max_length=longest,
            solved=SOLVED_ACCURACY,
        )

    def shown(self, test: Split) -> Shown | None:
        """A few words: which symbols may come at every step, and which the network expects."""
        return StepsShown(tuple(self.outputs), test)

    @abstractmethod
    def legal(self, word: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Which symbols may come after each prefix of a word (its symbols by number, T): T K, by a counter or stack."""

    def pack(self, words: list[NDArray[np.uint8]]) -> Split:
        """Words of any lengths as one split, padded: x symbols by number, N T uint8; y N T K uint8; lengths N."""
        lengths = np.array([len(word) for word in words])
        x = np.full((len(words), lengths.max()), len(self.inputs), np.uint8)
        y = np.zeros((*x.shape, len(self.outputs)), np.uint8)
        for row, target, word in zip(x, y, words, strict=True):
            row[: len(word)] = word
            target[: len(word)] = self.legal(word)
        return Split(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(lengths))

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x as one-hot vectors and y as numbers, float32, both zero after the end."""
        stored = super().batch(split, index)
        one_hot = F.one_hot(stored.x.long(), len(self.inputs) + 1)[..., :-1]  # the last one is padding
        return stored._replace(x=one_hot.float(), y=stored.y.float())

    def memoryless(self, train: Split, test: Split) -> Mapping[str, float]:
        """`memoryless`: sequence accuracy on test of the set that follows each symbol most often in train."""
        symbols = train.x.flatten().tolist()
        sets = [tuple(each) for each in train.y.flatten(0, 1).tolist()]
        best = [Counter(s for n, s in zip(symbols, sets, strict=True) if n == v) for v in range(len(self.inputs))]
        table = torch.zeros(len(self.inputs) + 1, len(self.outputs), dtype=torch.uint8)
        for symbol, seen in enumerate(best):
            if seen:
                table[symbol] = torch.tensor(seen.most_common(1)[0][0], dtype=torch.uint8)
        right = (table[test.x.long()] == test.y).all(-1)  # padding: an empty set on both sides
        return {"memoryless": float(right.all(-1).double().mean())}

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are right and sure, B T K: every prefix read by `legal`."""
        answer = torch.zeros(batch.y.shape)
        lengths = [batch.x.shape[1]] * len(batch.x) if batch.lengths is None else batch.lengths.tolist()
        for row, x, length in zip(answer, batch.x, lengths, strict=True):
            word = x[:length].argmax(-1).numpy().astype(np.uint8)
            row[:length] = torch.from_numpy(self.legal(word))
        return 200.0 * answer - 100.0


def even_lengths(rng: np.random.Generator, ranges: Ranges, split: str, size: int) -> NDArray[np.int64]:
    """Lengths of `size` words drawn evenly from the even lengths of a split's range."""
    low, high = ranges.bounds()[split]
    return 2 * rng.integers((low + 1) // 2, high // 2 + 1, size=size)
