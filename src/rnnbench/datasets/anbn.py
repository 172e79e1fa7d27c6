"""a^n b^n: counting (Gers & Schmidhuber 2001; Weiss, Goldberg & Yahav 2018; Suzgun et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.next_symbols import NextSymbols
from rnnbench.datasets.base.ranges import ranges
from rnnbench.datasets.base.spec import Data

A, B = 0, 1


class AnBn(NextSymbols):
    """n times a, then n times b: at each step, which symbols may come next?

    After an a: a or b. After a b: b while fewer b than a were seen, and after as many the end `.`. A word of n has 2n
    steps. Each n is there once: train 1..longest_train, val up to longest_val, test up to longest_test (these count n,
    not steps), so nothing is drawn and an epoch is one pass over longest_train words. Gers & Schmidhuber train on n of
    1..10 up to 1..50 and test to 1000.

    Metric `sequence_accuracy`; floor `memoryless` (0: a symbol alone never tells that the word is over). Raises
    BadInput on ranges that do not rise.
    """

    inputs, outputs = "ab", "ab."
    exhaustive = True

    def __init__(self, longest_train: int = 20, longest_val: int = 32, longest_test: int = 128) -> None:
        self.ranges = ranges(longest_train, longest_val, longest_test, what="n")
        self.spec = self.make_spec("anbn", f"n {self.ranges.words()}, each once", 2 * longest_test)

    def load(self) -> Data:
        """Every word of each range, shortest first."""
        bounds = self.ranges.bounds().items()
        return Data(**{name: self.pack([_word(n) for n in range(low, high + 1)]) for name, (low, high) in bounds})

    def legal(self, word: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What may come after each prefix, by a counter: T 3."""
        y = np.zeros((len(word), 3), np.uint8)
        open_ = 0
        for t, symbol in enumerate(word):
            open_ += 1 if symbol == A else -1
            y[t] = (1, 1, 0) if symbol == A else (0, 1, 0) if open_ else (0, 0, 1)
        return y

    def floors(self, data: Data) -> Mapping[str, float]:
        """`memoryless`: a and b after a, b after b; see NextSymbols.memoryless."""
        return self.memoryless(data.train, data.test)


def _word(n: int) -> NDArray[np.uint8]:
    return np.repeat(np.array([A, B], np.uint8), n)
