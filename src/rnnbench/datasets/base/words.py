"""Numbers in a dataset's sentences and protocols."""

from __future__ import annotations

import numpy as np


def number(value: float | np.number) -> str:
    """A number in the fewest digits that no other number of its type has: 255, 0.1, 1000000000.25."""
    return str(value).removesuffix(".0")
