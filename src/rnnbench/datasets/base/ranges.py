"""Length generalisation: the three splits are three ranges of lengths, short ones to train on and the longest to test.

So no sequence is in two splits, and a choice by validation is a choice for lengths that training never showed.
"""

from __future__ import annotations

from typing import NamedTuple

from rnnbench.datasets.base.checks import whole
from rnnbench.errors import BadInput


class Ranges(NamedTuple):
    """The longest length of each split; a split begins one above the end of the one before, train at `first`."""

    train: int
    val: int
    test: int
    first: int = 1

    def bounds(self) -> dict[str, tuple[int, int]]:
        """The shortest and the longest length of every split, both included."""
        return {"train": (self.first, self.train), "val": (self.train + 1, self.val), "test": (self.val + 1, self.test)}

    def words(self) -> str:
        """For a protocol: lengths 1-40/41-64/65-256."""
        return "/".join(f"{low}-{high}" for low, high in self.bounds().values())


def ranges(train: int, val: int, test: int, *, what: str = "length", first: int = 1, step: int = 1) -> Ranges:
    """Checks the options longest_train, longest_val and longest_test of a task; their unit is `what`.

    step: at least so far apart, so that every range holds a length the language has. Raises BadInput.
    """
    whole("longest_train", train, first + step - 1)
    whole("longest_val", val, 1)
    whole("longest_test", test, 1)
    found = Ranges(train, val, test, first)
    if not found.train + step <= found.val or not found.val + step <= found.test:
        raise BadInput(
            f"dataset.longest_train, longest_val and longest_test must rise by at least {step} in {what} each, for "
            f"tests are longer than what is trained on; got {found.train}, {found.val}, {found.test}."
        )
    return found
