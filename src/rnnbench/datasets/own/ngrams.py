"""What predicts text without a network: n-gram models with add-one smoothing, and a compressor. numpy only.

p(c | context) = (n(context c) + 1) / (n(context) + V), n counted in train, V symbols; a context is counted where a
symbol follows it. Scored on test from its second symbol on; a context reaches back over test's beginning.
"""

from __future__ import annotations

import bz2
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.own.symbols import Text

AT_ONCE = 1 << 20  # symbols that are counted together: bounds the memory
MOST_DENSE = 1 << 20  # codes that a table is made for
ORDERS = {"unigram": 1, "bigram": 2, "trigram": 3}
MOST_PACKED = 32_000_000  # bytes of train that the compressor is given: beyond, it takes longer than a small network


def bits(text: Text, order: int) -> float:
    """The mean of -log2 p over test[1:], in bits a symbol, of a model that sees order - 1 symbols."""
    V, train_end, test_start = len(text.symbols), text.borders[1], text.borders[2]
    tested = _codes(text.ids[test_start + 2 - order :], order, V)
    wanted, often = np.unique(tested, return_counts=True)
    contexts, context_of = np.unique(wanted // V, return_inverse=True)
    seen, seen_contexts = np.zeros(len(wanted), np.int64), np.zeros(len(contexts), np.int64)
    for part in _parts(text.ids[:train_end], order):
        codes = _codes(part, order, V)
        seen += _counted(codes, wanted)
        seen_contexts += _counted(codes // V, contexts)
    p = (seen + 1) / (seen_contexts[context_of] + V)
    return float(-(often * np.log2(p)).sum() / often.sum())


def _parts(ids: NDArray[np.integer], order: int) -> Iterator[NDArray[np.integer]]:
    """ids in parts that share order - 1 symbols, so that every n-gram lies in one of them."""
    for start in range(0, len(ids) - order + 1, AT_ONCE):
        yield ids[start : start + AT_ONCE + order - 1]


def _codes(ids: NDArray[np.integer], order: int, V: int) -> NDArray[np.int64]:
    """One number an n-gram: its symbols as the digits of a number to the base V."""
    count = len(ids) - order + 1
    codes = np.zeros(count, np.int64)
    for n in range(order):
        codes *= V
        codes += ids[n : n + count]
    return codes


def _counted(codes: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each of wanted (sorted) is among codes."""
    if max(wanted[-1], codes.max()) < MOST_DENSE:
        return np.bincount(codes, minlength=int(wanted[-1]) + 1)[wanted]
    at = np.searchsorted(wanted, codes)
    at[at == len(wanted)] = 0
    return np.bincount(at[wanted[at] == codes], minlength=len(wanted))


def packed(text: Text) -> float | None:
    """bz2(train + test) - bz2(train), in bits a symbol of test: what a compressor that has seen train takes for it.

    None where train is larger than MOST_PACKED, and where test is so short that it takes no more bytes.
    """
    train, test = text.part(0), text.part(2)
    if len(train) > MOST_PACKED:
        return None
    both = _compressed(text.encoded(part) for part in (train, test))
    more = both - _compressed([text.encoded(train)])
    return 8 * more / len(test) if more > 0 else None


def _compressed(parts: Iterable[bytes]) -> int:
    """Bytes that bz2 makes of these."""
    compressor = bz2.BZ2Compressor()
    return sum(len(compressor.compress(part)) for part in parts) + len(compressor.flush())


@dataclass(frozen=True)
class Model:
    """An n-gram model for the contexts that test has. V: symbols. context_of: N, of which context each symbol of
    test[1:] is told; seen: how often each context comes in train; begins: where its n-grams begin in symbols and often,
    those that follow it and how often, by number, and where the last ones end."""

    V: int
    context_of: NDArray[np.int64]
    seen: NDArray[np.int64]
    begins: NDArray[np.int64]
    symbols: NDArray[np.int64]
    often: NDArray[np.int64]

    def answers(self) -> NDArray[np.int64]:
        """The likeliest symbol at each of N positions; of several as likely the one with the least number."""
        found = np.zeros(len(self.seen), np.int64)
        context = np.repeat(np.arange(len(self.seen)), np.diff(self.begins))
        order = np.lexsort((-self.symbols, self.often, context))  # the last of each context is its answer
        found[context[order]] = self.symbols[order]
        return found[self.context_of]

    def logarithms(self, low: int, high: int) -> NDArray[np.float64]:
        """ln p of every symbol at the positions low..high; (high - low) x V."""
        contexts = self.context_of[low:high]
        counts = np.zeros((len(contexts), self.V))
        sizes = self.begins[contexts + 1] - self.begins[contexts]
        row = np.repeat(np.arange(len(contexts)), sizes)
        at = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + np.repeat(self.begins[contexts], sizes)
        counts[row, self.symbols[at]] = self.often[at]
        return np.asarray(np.log((counts + 1) / (self.seen[contexts] + self.V)[:, None]))


def model(text: Text, order: int) -> Model:
    """The add-one model of `bits`, with what it says of every symbol."""
    V, train_end, test_start = len(text.symbols), text.borders[1], text.borders[2]
    tested = _codes(text.ids[test_start + 2 - order :], order, V) // V
    contexts, context_of = np.unique(tested, return_inverse=True)
    codes, often = np.empty(0, np.int64), np.empty(0, np.int64)
    for part in _parts(text.ids[:train_end], order):
        new = _codes(part, order, V)
        at = np.searchsorted(contexts, new // V)
        at[at == len(contexts)] = 0
        new, count = np.unique(new[contexts[at] == new // V], return_counts=True)
        joined = np.concatenate([codes, new])
        codes, where = np.unique(joined, return_inverse=True)
        often = np.bincount(where, np.concatenate([often, count]), len(codes)).astype(np.int64)
    of = np.searchsorted(contexts, codes // V)
    begins = np.searchsorted(of, np.arange(len(contexts) + 1))
    seen = np.bincount(of, often, len(contexts)).astype(np.int64)
    return Model(V, context_of, seen, begins, codes % V, often)
