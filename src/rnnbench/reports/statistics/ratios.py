"""Ratios by their logarithms, and back, at both ends of what a float holds."""

from __future__ import annotations

import math


def log_ratio(a: float, b: float) -> float:
    """log(a / b) of positive numbers, also where the ratio itself is no float."""
    ratio = a / b
    return math.log(ratio) if 0 < ratio < math.inf else math.log(a) - math.log(b)


def ratio_of(logarithm: float) -> float:
    """What has this logarithm; infinite where no float has it."""
    try:
        return math.exp(logarithm)
    except OverflowError:
        return math.inf
