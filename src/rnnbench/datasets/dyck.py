"""Dyck languages: well-nested brackets of one or several kinds (Suzgun et al. 2019; Bhattamishra et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.checks import sizes_and_seed, whole
from rnnbench.datasets.base.next_symbols import NextSymbols, even_lengths
from rnnbench.datasets.base.ranges import ranges
from rnnbench.datasets.base.spec import Data
from rnnbench.errors import BadInput
from rnnbench.seeds import derive

OPENING, CLOSING = "([{<", ")]}>"


class Dyck(NextSymbols):
    """Well-nested brackets: at each step, which brackets may come next?

    Any that opens (unless depth brackets are open), and the one that closes what was opened last. kinds: 1 to 4; one
    kind needs a counter, more a stack. depth: at most so many open at once (null: no bound), from 2 on; with a bound
    the language is regular.

    Drawn: a word's length evenly from the even lengths of its split's range, then its shape evenly from all shapes of
    that length within the bound (by counting them), then the kind of each pair evenly. train: 2..longest_train, val:
    up to longest_val, test: up to longest_test, so the splits are disjoint by length.

    x: one-hot in the order ([{<)]}> of the kinds there are. Metric `sequence_accuracy`; floor `memoryless`. Raises
    BadInput on kinds, a depth or ranges that cannot be, or a size below 1.
    """

    def __init__(
        self,
        kinds: int = 2,
        depth: int | None = None,
        longest_train: int = 40,
        longest_val: int = 64,
        longest_test: int = 256,
        data_seed: int = 0,
        train: int = 10_000,
        val: int = 500,
        test: int = 1_000,
    ) -> None:
        whole("kinds", kinds, 1)
        if kinds > len(OPENING):
            raise BadInput(f"dataset.kinds must be at most {len(OPENING)}; got {kinds!r}.")
        if depth is not None:
            whole("depth", depth, 2, "with one open bracket at most nothing is nested")
        self.ranges = ranges(longest_train, longest_val, longest_test, step=2)
        sizes_and_seed(train, val, test, data_seed)
        self.kinds, self.depth, self.data_seed = kinds, depth, data_seed
        self.sizes = {"train": train, "val": val, "test": test}
        self.inputs = self.outputs = OPENING[:kinds] + CLOSING[:kinds]
        bound = "unbounded" if depth is None else f"depth {depth}"
        sizes = f"{train}/{val}/{test}, seed {data_seed}"
        self.spec = self.make_spec(
            "dyck",
            f"{kinds} kind{'s' * (kinds > 1)}, {bound}, even lengths {self.ranges.words()}, {sizes}",
            longest_test,
        )

    def load(self) -> Data:
        """Generate the three splits."""
        chances = opening_chances(self.ranges.test, self.depth)
        found = {}
        for name, size in self.sizes.items():
            rng = np.random.default_rng(derive(self.data_seed, "dyck", name))
            lengths = even_lengths(rng, self.ranges, name, size)
            found[name] = self.pack([self._word(rng, int(length), chances) for length in lengths])
        return Data(**found)

    def legal(self, word: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What may come after each prefix, by a stack: T 2 kinds. Raises ValueError on a word that is not nested."""
        y = np.zeros((len(word), 2 * self.kinds), np.uint8)
        stack: list[int] = []
        for t, symbol in enumerate(word.tolist()):
            if symbol < self.kinds:
                stack.append(symbol)
            elif not stack or stack.pop() != symbol - self.kinds:
                raise ValueError(f"step {t} closes what is not open")
            y[t, : self.kinds] = self.depth is None or len(stack) < self.depth
            if stack:
                y[t, self.kinds + stack[-1]] = 1
        return y

    def floors(self, data: Data) -> Mapping[str, float]:
        """`memoryless`: what most often follows each bracket; see NextSymbols.memoryless."""
        return self.memoryless(data.train, data.test)

    def _word(self, rng: np.random.Generator, length: int, chances: NDArray[np.float64]) -> NDArray[np.uint8]:
        """One word: its shape step by step, each opening given a kind that its closing takes up."""
        word = np.zeros(length, np.uint8)
        coins, kinds = rng.random(length), rng.integers(self.kinds, size=length)
        stack: list[int] = []
        for t in range(length):
            if coins[t] < chances[length - t, len(stack)]:
                stack.append(int(kinds[t]))
                word[t] = stack[-1]
            else:
                word[t] = self.kinds + stack.pop()
        return word


def opening_chances(longest: int, depth: int | None) -> NDArray[np.float64]:
    """How likely the next bracket opens, by steps left (row) and brackets open (column), for shapes drawn evenly.

    The share of ways to end (all closed, never more than depth open) that begin with an opening. Exact: Python's whole
    numbers, of which there are up to 2^longest.
    """
    most = longest // 2 if depth is None else min(depth, longest // 2)
    ways = [[1] + [0] * (most + 1)]  # one column more than can be open, always 0
    chances = np.zeros((longest + 1, most + 1))
    for left in range(1, longest + 1):
        before = ways[-1]
        opens = [before[d + 1] for d in range(most + 1)]
        closes = [before[d - 1] if d else 0 for d in range(most + 1)]
        row = [o + c for o, c in zip(opens, closes, strict=True)]
        chances[left] = [o / n if n else 0.0 for o, n in zip(opens, row, strict=True)]
        ways.append([*row, 0])
    return chances
