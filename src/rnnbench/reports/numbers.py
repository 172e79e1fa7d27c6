"""Numbers as people read them. What is not known is an empty text, never "nan"."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd


def known(value: Any) -> bool:
    """Is there a finite number?"""
    return value is not None and not pd.isna(value) and math.isfinite(value)


def short(value: Any, digits: int = 4) -> str:
    """A number with `digits` significant digits and no trailing zeros: 0.1667, 12, 5.3e-05, 123,457."""
    if not known(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def rounded(value: Any) -> str:
    """A measurement with 3 significant digits, zeros kept, so that a column of them lines up: 20.0, 0.512, 1,234."""
    if not known(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


def p_value(value: Any) -> str:
    """A probability with 2 significant digits: 0.034, 1, "<0.0001"; never "0", which no test gives."""
    if not known(value):
        return ""
    return "<0.0001" if value < 1e-4 else f"{value:.2g}"


def count(value: Any) -> str:
    """A whole number with thousands separated: 12,345."""
    return f"{int(value):,}" if known(value) else ""


def brief_count(value: Any) -> str:
    """A whole number in at most five characters: 843, 12.3k, 1.2M."""
    if not known(value):
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return str(int(value))


def plus_minus(mean: Any, low: Any, high: Any) -> str:
    """ "0.9512 ± 0.0123": the mean with the half width of its interval, 3 significant digits in the uncertain part.

    Without an interval the mean alone with 4 significant digits; without a mean, empty. The half width is half of
    high - low, also where a bootstrap interval is not symmetric: the table keeps both ends.
    """
    if not known(mean):
        return ""
    if not (known(low) and known(high)):
        return short(mean)
    half = (high - low) / 2
    if half <= 1e-9 * abs(mean):  # rounding, not spread
        return f"{short(mean)} ± 0"
    exponent = math.floor(math.log10(max(abs(mean), half)))
    scale = exponent if exponent < -3 or exponent > 5 else 0
    mean, half = mean / 10.0**scale, half / 10.0**scale
    decimals = max(0, 2 - math.floor(math.log10(half)))
    text = f"{mean:.{decimals}f} ± {half:.{decimals}f}"
    return f"({text})e{scale}" if scale else text
