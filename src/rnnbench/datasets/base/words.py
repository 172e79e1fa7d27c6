"""Numbers in a dataset's sentences and protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnnbench.datasets.base.spec import Data

if TYPE_CHECKING:
    import numpy as np


def number(value: float | np.number[Any]) -> str:
    """A number in the fewest digits that no other number of its type has: 255, 0.1, 1000000000.25."""
    return str(value).removesuffix(".0")


def plural(count: int, word: str) -> str:
    """`1 channel`, `3 channels`."""
    return f"{count:,} {word}{'s' * (count != 1)}"


def sizes(data: Data) -> str:
    """The sequences of train, val and test: `1,077/360/360`."""
    return "/".join(f"{split.size:,}" for split in data)
