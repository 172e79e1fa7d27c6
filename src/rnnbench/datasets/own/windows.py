"""Which rows are train, val and test, and at which rows a forecast starts. Nothing is drawn: time decides.

L input rows, H target rows. An origin o is the first predicted row. It belongs to a split where its H target rows
o .. o+H-1 lie in it. Train also needs its L input rows o-L .. o-1 in train; those of val and test may reach back over
the border, for they are past at o.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput

SPLITS = ("train", "val", "test")
Range = tuple[int, int]  # rows from .. to, the last not included
Ranges = tuple[Range, Range, Range]


@dataclass(frozen=True)
class Plan:
    """How rows become windows. shares: of train, val, test, exact; borders: where they end, in rows; gap: rows left
    out between two splits; reach: rows before an origin that are looked at (L, or a season)."""

    input_steps: int
    horizon: int
    shares: tuple[Fraction, Fraction, Fraction]
    gap: int
    borders: tuple[int, int, int] | None
    stride: int
    reach: int

    def ranges(self, rows: int, what: str) -> Ranges:
        """The rows of the three splits. what: whose rows, in a sentence. Raises BadInput where they are too few."""
        window = f"one window takes {self.input_steps + self.horizon} ({self.input_steps} + {self.horizon})"
        if self.borders is not None:
            return self._by_borders(rows, what, window)
        usable = rows - 2 * self.gap
        val, test = (max(0, int(usable * share)) for share in self.shares[1:])
        train = usable - val - test
        if train < self.reach + self.horizon or min(val, test) < self.horizon:
            gaps = f"three splits with two gaps of {self.gap}" if self.gap else "three splits"
            raise BadInput(f"{what} are too few: {window}; {gaps} take at least {self.least_rows()}.")
        return (0, train), (train + self.gap, train + self.gap + val), (rows - test, rows)

    def _by_borders(self, rows: int, what: str, window: str) -> Ranges:
        """The splits that end at the given rows."""
        assert self.borders is not None
        first, second, third = self.borders
        if third > rows:
            raise BadInput(f"{what}, and dataset.borders end at {third}: the last of them is at most {rows}.")
        found = (0, first), (first + self.gap, second), (second + self.gap, third)
        for name, (low, high) in zip(SPLITS, found, strict=True):
            least = self.reach + self.horizon if name == "train" else self.horizon
            if high - low < least:
                raise BadInput(
                    f"dataset.borders={list(self.borders)} leave {max(0, high - low)} rows to {name}, which takes at "
                    f"least {least}: {window}."
                )
        return found

    def least_rows(self) -> int:
        """The fewest rows that three splits can be made of."""
        usable = max(*(-(-self.horizon // share) for share in self.shares[1:]), self.reach + self.horizon)
        usable = int(usable)
        while usable - sum(int(usable * share) for share in self.shares[1:]) < self.reach + self.horizon:
            usable += 1
        return usable + 2 * self.gap

    def origins(self, part: Range, ranges: Ranges) -> list[NDArray[np.int64]]:
        """The origins of train, val and test in one series. part: its rows."""
        found = []
        for name, (low, high) in zip(SPLITS, ranges, strict=True):
            from_row = low if name == "train" else part[0]
            first = max(low, from_row + self.reach)
            found.append(np.arange(first, high - self.horizon + 1, self.stride, dtype=np.int64))
        return found


def exact_shares(split: Any) -> tuple[Fraction, Fraction, Fraction]:
    """The option `split` as exact fractions: .1 is a tenth. Raises BadInput where they are not three that make 1."""
    try:
        shares = [Fraction(str(share)) for share in split]
    except (TypeError, ValueError, ZeroDivisionError):
        shares = []
    if len(shares) != 3 or min(shares) <= 0 or sum(shares) != 1:
        raise BadInput(f"dataset.split must be three shares that make 1, such as [.7,.1,.2]; got {split!r}.")
    return shares[0], shares[1], shares[2]


def rows_of(borders: Any) -> tuple[int, int, int] | None:
    """The option `borders`: null, or three rows in rising order. Raises BadInput."""
    if borders is None:
        return None
    given = list(borders) if isinstance(borders, Sequence) and not isinstance(borders, str) else []
    whole = all(isinstance(row, int) and not isinstance(row, bool) for row in given)
    if len(given) != 3 or not whole or not 0 < given[0] < given[1] < given[2]:
        raise BadInput(
            f"dataset.borders must be the three rows at which train, val and test end, such as [8640,11520,14400]; "
            f"got {borders!r}."
        )
    return given[0], given[1], given[2]


def all_true(wrong: NDArray[np.bool_], origins: NDArray[np.int64], low: int, high: int) -> NDArray[np.bool_]:
    """Which origins o have no wrong row among o+low .. o+high-1."""
    before = np.concatenate([[0], np.cumsum(wrong)])
    return np.asarray(before[origins + high] == before[origins + low])


def filled_forward(values: NDArray[np.float64], part: Range) -> None:
    """Put the last value that was seen in place of NaN, in place; what has none before it stays NaN."""
    low, high = part
    rows = np.arange(high - low)[:, None]
    block = values[low:high]
    seen = np.maximum.accumulate(np.where(np.isnan(block), -1, rows), axis=0)
    values[low:high] = np.where(seen < 0, np.nan, np.take_along_axis(block, seen.clip(min=0), axis=0))


def filled_linear(
    values: NDArray[np.float64], part: Range, ranges: Ranges, names: Sequence[str], whose: str, at: Callable[[int], str]
) -> None:
    """Draw a line over NaN between two values of one split, in place. Raises BadInput where a gap leaves its split.

    whose: ` of series 'a'`; at: a row of the series in words.
    """
    low, high = part
    edges = [edge for one in ranges for edge in one]
    for column, name in enumerate(names):
        block = values[low:high, column]
        there = np.flatnonzero(~np.isnan(block))
        missing = np.flatnonzero(np.isnan(block))
        if not len(missing):
            continue
        after = np.searchsorted(there, missing)
        if (after == 0).any() or (after == len(there)).any():
            where = "begins" if (after == 0).any() else "ends"
            raise BadInput(
                f"{name!r}{whose} {where} with missing values, and a line takes two ends: dataset.missing=forward."
            )
        first, last = there[after - 1] + low, there[after] + low
        crosses = np.searchsorted(edges, first, "right") != np.searchsorted(edges, last, "right")
        if crosses.any():
            row = int(missing[crosses.argmax()])
            raise BadInput(
                f"a gap of {name!r}{whose} at {at(row)} lies across the border of a split, and a line over it would "
                "tell one of the other: dataset.missing=forward."
            )
        block[missing] = np.interp(missing, there, block[there])


def longest_run(missing: NDArray[np.bool_]) -> int:
    """The most rows in a row that are missing."""
    edge = np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8))
    lengths = np.flatnonzero(edge == -1) - np.flatnonzero(edge == 1)
    return int(lengths.max()) if len(lengths) else 0
