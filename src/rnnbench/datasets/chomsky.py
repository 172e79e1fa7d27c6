"""Six formal tasks, short strings to long ones (Deletang et al. 2023, "Neural networks and the Chomsky hierarchy")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.checks import one_of, sizes_and_seed, whole
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.ranges import Ranges, ranges
from rnnbench.datasets.base.spec import Batch, Data, Split
from rnnbench.datasets.base.splits import majority_by_step
from rnnbench.datasets.base.step_classes import StepClasses, drawn_apart, signed
from rnnbench.errors import BadInput
from rnnbench.seeds import derive

Strings = NDArray[np.uint8]  # N L, symbols by number
Answers = NDArray[np.int64]  # N |y|, classes

MODULUS = 5
PLUS, MINUS, TIMES = 5, 6, 7  # after the digits 0..4
SHORTEST_SHARED = 32  # from this on strings of half the length are so many that train and val share none
OTHERS = 512  # strings of each length by which the majority is known


@dataclass(frozen=True)
class Dialect:
    """One task. symbols: what is read, by number; classes: what is answered; answers: N L -> N |y|, the classes.

    odd: only odd lengths have strings. single: |y| = 1, else |y| = L. draw: so many strings of a length.
    """

    symbols: str
    classes: str
    answers: Callable[[Strings], Answers]
    single: bool = True
    odd: bool = False
    draw: Callable[[np.random.Generator, int, int], Strings] | None = None

    def strings(self, rng: np.random.Generator, length: int, size: int) -> Strings:
        """Strings of one length, every symbol drawn evenly where it may stand."""
        if self.draw is not None:
            return self.draw(rng, length, size)
        return rng.integers(len(self.symbols), size=(size, length), dtype=np.uint8)

    def answer_steps(self, length: int) -> int:
        """|y|, for a string of so many symbols."""
        return 1 if self.single else length


def _parity(strings: Strings) -> Answers:
    odd: Answers = strings.sum(1, keepdims=True, dtype=np.int64) % 2
    return odd


def _even_pairs(strings: Strings) -> Answers:
    differ: Answers = (strings[:, :1] != strings[:, -1:]).astype(np.int64)
    return differ


def _cycle_navigation(strings: Strings) -> Answers:
    place: Answers = (strings.astype(np.int64) - 1).sum(1, keepdims=True) % MODULUS
    return place


def _modular_arithmetic(strings: Strings) -> Answers:
    """The value of digit, operator, digit, ..: products first, all modulo 5."""
    total, term = np.zeros(len(strings), np.int64), strings[:, 0].astype(np.int64)
    for at in range(1, strings.shape[1], 2):
        sign, digit = strings[:, at], strings[:, at + 1].astype(np.int64)
        product = sign == TIMES
        total = np.where(product, total, total + term)
        term = np.where(product, term * digit, np.where(sign == MINUS, -digit, digit)) % MODULUS
    return ((total + term) % MODULUS)[:, None]


def _sums(rng: np.random.Generator, length: int, size: int) -> Strings:
    """Digits at even places, operators between them."""
    strings = rng.integers(MODULUS, size=(size, length), dtype=np.uint8)
    strings[:, 1::2] = rng.integers(PLUS, TIMES + 1, size=(size, length // 2), dtype=np.uint8)
    return strings


DIALECTS: dict[str, Dialect] = {
    "parity": Dialect("ab", "01", _parity),
    "even_pairs": Dialect("ab", "01", _even_pairs),
    "cycle_navigation": Dialect("-0+", "01234", _cycle_navigation),
    "modular_arithmetic": Dialect("01234+-*", "01234", _modular_arithmetic, odd=True, draw=_sums),
    "bucket_sort": Dialect("01234", "01234", lambda strings: np.sort(strings, 1).astype(np.int64), single=False),
    "reverse_string": Dialect("ab", "ab", lambda strings: strings[:, ::-1].astype(np.int64), single=False),
}


class Chomsky(StepClasses):
    """Read a string of L symbols, then as many empty tokens as the answer has steps, and answer at these.

    - `parity`: whether the number of b is odd. One step, 2 classes.
    - `even_pairs`: whether the ends differ, which says whether the pairs ab and ba are odd in number.
    - `cycle_navigation`: where moves of -1, 0, +1 lead on a ring of 5.
    - `modular_arithmetic`: digit, operator, digit, .. with + - *, products first, modulo 5. Odd L only.
    - `bucket_sort`: five symbols in their order, L steps.
    - `reverse_string`: two symbols backwards, L steps: what a stack does, and no network of fixed memory.

    x: B T, the symbols by number, the empty token after them (its number is that of the symbols); y: B T, the answer at
    the empty tokens, IGNORED at the string. train: L of 1..longest_train, val up to longest_val, test up to
    longest_test, all lengths of a range equally often, so the splits are disjoint by length. The paper's test begins
    where its training ends: longest_train=40, longest_val=40, longest_test=500 does so; then val are strings of L from
    half of longest_train on that train does not have.

    Metrics `length_accuracy`, the paper's score: the share of right steps by length, then the mean over lengths; and
    `sequence_accuracy`. Floors: `majority`, what is most frequent at each step of other strings of the same length (of
    a sorted string that is much); `chance`, a uniform guess.

    The paper draws anew for every update, one length for a whole batch, feeds one-hot vectors, rounds an even length of
    an expression down, and prints the maximum over seeds and learning rates. Labels of the shortest strings are not
    even (three moves lead back to the start with .26). Raises BadInput on an unknown dialect, ranges
    that do not rise, or a size below 1.
    """

    def __init__(
        self,
        dialect: str = "parity",
        longest_train: int = 20,
        longest_val: int = 40,
        longest_test: int = 100,
        data_seed: int = 0,
        train: int = 20_000,
        val: int = 1_000,
        test: int = 2_000,
    ) -> None:
        one_of("dialect", dialect, DIALECTS)
        sizes_and_seed(train, val, test, data_seed)
        self.name, self.dialect, self.data_seed = dialect, DIALECTS[dialect], data_seed
        self.bounds = _bounds(longest_train, longest_val, longest_test, 2 if self.dialect.odd else 1)
        self.sizes = {"train": train, "val": val, "test": test}
        self.empty = len(self.dialect.symbols)
        lengths = "/".join(f"{low}-{high}" for low, high in self.bounds.values())
        self.spec = self.make_spec(
            "chomsky",
            f"{dialect}, {'odd ' * self.dialect.odd}lengths {lengths}, {train}/{val}/{test}, seed {data_seed}",
            tokens=self.empty + 1,
            classes=len(self.dialect.classes),
            metrics=("length_accuracy", "sequence_accuracy"),
            floor="majority",
            longest=longest_test + self.dialect.answer_steps(longest_test),
            labels=tuple(self.dialect.classes),
        )

    def load(self) -> Data:
        """Generate the three splits, shortest strings first. x is stored in uint8, y in int8."""
        found = {}
        taken: set[bytes] = set()  # val's strings, where train has strings of the same lengths
        for name in ("val", "train", "test"):
            rng = np.random.default_rng(derive(self.data_seed, "chomsky", self.name, name))
            parts = [
                drawn_apart(size, partial(self.dialect.strings, rng, length), taken)
                for length, size in self._lengths_of(name)
            ]
            if name == "val":
                taken.update(string.tobytes() for part in parts for string in part)
            found[name] = self._packed(parts)
        return Data(**found)

    def floors(self, data: Data) -> Mapping[str, float]:
        """`majority`: the most frequent class at each step, by length; `chance`: a uniform guess."""
        rng = np.random.default_rng(derive(self.data_seed, "chomsky", self.name, "majority"))
        K, longest = len(self.dialect.classes), int(data.test.x.shape[1])
        most = torch.zeros(longest + 1, longest, dtype=torch.int64)  # by steps of the whole sequence
        for length, _ in self._lengths_of("test"):
            others = self._packed([self.dialect.strings(rng, length, OTHERS)])
            steps = others.y.shape[1]
            most[steps, :steps] = majority_by_step(others.y, K)
        return {
            "majority": self.score(data.test, lambda batch: most[batch.lengths, : batch.x.shape[1]]),
            "chance": 1 / K,
        }

    def oracle(self, batch: Batch) -> Tensor:
        """Logits that are right and sure, B T K: the answer of each string by itself."""
        assert batch.lengths is not None
        answer = torch.zeros_like(batch.x)
        for row, tokens, steps in zip(answer, batch.x, batch.lengths.tolist(), strict=True):
            length = steps - 1 if self.dialect.single else steps // 2
            string = tokens[:length].numpy().astype(np.uint8)
            row[length:steps] = torch.from_numpy(self.dialect.answers(string[None])[0])
        return self.sure(answer)

    def _lengths_of(self, name: str) -> Iterator[tuple[int, int]]:
        """Every length that a split has strings of, and how many: as even as its size allows."""
        low, high = self.bounds[name]
        lengths = [length for length in range(low, high + 1) if length % 2 or not self.dialect.odd]
        size = self.sizes[name]
        counts = np.bincount(np.arange(size) * len(lengths) // size, minlength=len(lengths))
        yield from ((length, int(count)) for length, count in zip(lengths, counts, strict=True) if count)

    def _packed(self, parts: list[Strings]) -> Split:
        """Strings of rising lengths, each followed by its empty tokens, as one split."""
        steps = [part.shape[1] + self.dialect.answer_steps(part.shape[1]) for part in parts]
        rows = np.cumsum([0, *map(len, parts)])
        x = np.full((rows[-1], steps[-1]), self.empty, np.uint8)
        y = np.full(x.shape, IGNORED, signed(len(self.dialect.classes)))
        for part, start, end in zip(parts, rows, steps, strict=False):
            length = part.shape[1]
            x[start : start + len(part), :length] = part
            y[start : start + len(part), length:end] = self.dialect.answers(part)
        lengths = np.repeat(steps, [len(part) for part in parts])
        return Split(torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(lengths))


def _bounds(train: int, val: int, test: int, step: int) -> dict[str, tuple[int, int]]:
    """The shortest and the longest string of each split. Raises BadInput."""
    if train != val or isinstance(val, bool) or not isinstance(val, int):
        return ranges(train, val, test, step=step).bounds()
    why = f"shorter strings are too few to validate on strings of train's lengths, as longest_val={val} asks for"
    whole("longest_train", train, SHORTEST_SHARED, why)
    whole("longest_test", test, 1)
    if test < train + step:
        raise BadInput(
            f"dataset.longest_test must be at least {train + step}, longer than what is trained on; got {test}."
        )
    return Ranges(train, train, test).bounds() | {"val": (train // 2 + 1, train)}
