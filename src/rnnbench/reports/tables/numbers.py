"""Numbers as people read them. What is not known is an empty text, never "nan".

First a number alone, then a probability, then a number with its interval; last what stands over a column of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

ARROW = {"max": "↑", "min": "↓"}
SMALLEST_P = 0.001  # a p value below says only that it is below
EXACT = 1e-9  # a half width below this share of its number is rounding, not spread
MOST_DECIMALS = 6  # of an estimate; finer ones are written with a power of ten


def absent(value: Any) -> bool:
    """Is there no value: None, NaN, pandas' NA or NaT?"""
    if value is None or isinstance(value, (str, int)):
        return value is None
    if isinstance(value, float):
        return math.isnan(value)
    import pandas as pd  # only for what a frame holds: what `run` prints at its end is plain

    return bool(pd.isna(value))


def known(value: Any) -> bool:
    """Is there a finite number?"""
    return not absent(value) and math.isfinite(value)


def missing(value: Any) -> bool:
    """Is there no finite number?"""
    return not known(value)


def short(value: Any, digits: int = 4) -> str:
    """A number with `digits` significant digits and no trailing zeros: 0.1667, 12, 5.3e-05, 123,457."""
    if missing(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def rounded(value: Any) -> str:
    """A measurement with 3 significant digits, zeros kept, so that a column of them lines up: 20.0, 0.512, 1,234."""
    if missing(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 999.5 else f"{value:#.3g}".rstrip(".")


def count(value: Any) -> str:
    """A whole number with thousands separated: 12,345."""
    return f"{int(value):,}" if known(value) else ""


def brief_count(value: Any) -> str:
    """A whole number in at most five characters: 843, 12.3k, 1.2M."""
    if missing(value):
        return ""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return str(int(value))


def counted(number: int, what: str) -> str:
    """ "1 pair", "3 pairs"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def share(value: Any) -> str:
    """A share in percent: "3.2%"."""
    return f"{_percent(value)}%" if known(value) else ""


def percent(value: Any) -> str:
    """A signed share in percent with one decimal: "+3.2%"."""
    return f"{_signed(_minus(f'{100 * value:.1f}'))}%" if known(value) else ""


def p_text(p: Any) -> str:
    """A p value with three decimals, and no zero before them: .034, .230, 1.000, "<.001"; never .000: no test gives it.

    CSV, Parquet and JSON keep the digits.
    """
    if missing(p):
        return ""
    return _bare(f"<{SMALLEST_P:g}") if p < SMALLEST_P else _bare(f"{p:.3f}")


def p_bound(p: Any) -> str:
    """What a p value is held against, with two significant digits however small it is: .05, .0083, 4.8e-05."""
    return _bare(f"{p:.2g}") if known(p) else ""


def plus_minus(mean: Any, low: Any, high: Any) -> str:
    """ "0.9512 ± 0.0123": the mean with the half width of its interval, 3 significant digits in the uncertain part.

    Without an interval the mean alone with 4 significant digits; without a mean, empty. The half width is half of
    high - low, also where a bootstrap interval is not symmetric: the table keeps both ends.
    """
    if missing(mean):
        return ""
    if missing(low) or missing(high):
        return short(mean)
    half = (high - low) / 2
    if half <= EXACT * abs(mean):
        return f"{short(mean)} ± 0"
    exponent = math.floor(math.log10(max(abs(mean), half)))
    scale = exponent if exponent < -3 or exponent > 5 else 0
    mean, half = mean / 10.0**scale, half / 10.0**scale
    decimals = max(0, 2 - math.floor(math.log10(half)))
    text = f"{mean:.{decimals}f} ± {half:.{decimals}f}"
    return f"({text})e{scale}" if scale else text


def between(value: Any, low: Any, high: Any, decimals: int) -> str:
    """ "0.61 [0.40, 0.83]": with so many decimals; the number alone where there is no interval."""
    if missing(value):
        return ""
    return f"{value:.{decimals}f}{_interval(low, high, lambda end: f'{end:.{decimals}f}')}"


def with_ends(value: Any, low: Any, high: Any) -> str:
    """ "-0.012 [-0.0318, 0.008]": 3 significant digits each; the number alone where there is no interval."""
    return f"{short(value, 3)}{_interval(low, high, lambda end: short(end, 3))}"


def estimate(value: Any, low: Any, high: Any) -> str:
    """ "+0.0123 [0.0071, 0.0175]": a signed difference, with the decimals its interval allows; empty without one."""
    if missing(value):
        return ""
    if missing(low) or missing(high):
        return _signed(_minus(short(value)))
    half = (high - low) / 2
    size = max(abs(value), abs(low), abs(high))
    if half <= EXACT * size:
        return f"{_signed(_minus(short(value))) if size else '0'} (no spread)"
    decimals = max(0, 1 - math.floor(math.log10(half)))
    if decimals > MOST_DECIMALS:
        texts = [_minus(f"{number:.2e}") for number in (value, low, high)]
    else:
        texts = [_minus(f"{number + 0.0:,.{decimals}f}") for number in (value, low, high)]
    return f"{_signed(texts[0])} [{texts[1]}, {texts[2]}]"


def ratio(value: Any, low: Any = None, high: Any = None) -> str:
    """ "x1.24 [1.10, 1.39]", without an interval "x1.24"."""
    return f"x{_factor(value)}{_interval(low, high, _factor)}" if known(value) else ""


def points(value: Any, low: Any = None, high: Any = None) -> str:
    """A difference of shares in percentage points: "+3.2 pp [1.1, 5.3]"."""
    if missing(value):
        return ""
    return f"{_signed(_minus(_percent(value)))} pp{_interval(low, high, lambda end: _minus(_percent(end)))}"


def with_arrow(metric: Any, goal: Any) -> str:
    """ "mse ↓": a metric and where better is, as far as both are known."""
    words = ("" if absent(metric) else str(metric), ARROW.get(str(goal), ""))
    return " ".join(word for word in words if word)


def _interval(low: Any, high: Any, form: Callable[[Any], str]) -> str:
    """ " [0.40, 0.83]", empty where an end is not known."""
    return f" [{form(low)}, {form(high)}]" if known(low) and known(high) else ""


def _factor(value: float) -> str:
    """A ratio with two decimals; a large one whole, a very small or large one with a power of ten."""
    if 0.095 <= value < 99.95:
        return f"{value:.2f}"
    return f"{value:.0f}" if 99.95 <= value < 9999.5 else f"{value:.1e}"


def _percent(value: float) -> str:
    """value x 100 with two or three digits that matter."""
    percent = 100 * value
    if percent == 0:
        return "0"
    if abs(percent) >= 1:
        return f"{percent:.1f}"
    return f"{percent:.2g}" if abs(percent) >= 1e-3 else f"{percent:.0e}"


def _signed(text: str) -> str:
    return text if text[:1] in "+−-" or not text.strip("0.,") else f"+{text}"


def _minus(text: str) -> str:
    """text with a true minus sign, and none before a zero."""
    bare = text.removeprefix("-")
    return f"−{bare}" if text != bare and bare.strip("0.,") else bare


def _bare(text: str) -> str:
    """A probability without the zero before its point."""
    return text.replace("0.", ".", 1) if text.lstrip("<").startswith("0.") else text
