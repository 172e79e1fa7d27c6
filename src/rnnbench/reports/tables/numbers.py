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


def between(value: float, low: float, high: float, decimals: int) -> str:
    """ "0.61 [0.40, 0.83]", the number alone where there is no interval, empty where there is no number."""
    if not known(value):
        return ""
    ends = f" [{low:.{decimals}f}, {high:.{decimals}f}]" if known(low) and known(high) else ""
    return f"{value:.{decimals}f}{ends}"


ARROW = {"max": "↑", "min": "↓"}


def estimate(value: Any, low: Any, high: Any) -> str:
    """ "+0.0123 [0.0071, 0.0175]": a signed difference, with the decimals its interval allows; empty without one."""
    if not known(value):
        return ""
    if not (known(low) and known(high)):
        return _signed(_minus(short(value)))
    half = (high - low) / 2
    size = max(abs(value), abs(low), abs(high))
    if half <= 1e-9 * size:
        return f"{_signed(_minus(short(value))) if size else '0'} (no spread)"
    decimals = 1 - math.floor(math.log10(half))
    if decimals > 6:
        return f"{_signed(_minus(f'{value:.2e}'))} [{_minus(f'{low:.2e}')}, {_minus(f'{high:.2e}')}]"
    decimals = max(0, decimals)
    texts = [_minus(f"{number + 0.0:,.{decimals}f}") for number in (value, low, high)]
    return f"{_signed(texts[0])} [{texts[1]}, {texts[2]}]"


def ratio(value: Any, low: Any = None, high: Any = None) -> str:
    """ "x1.24 [1.10, 1.39]", without an interval "x1.24"."""
    if not known(value):
        return ""
    texts = [_size(number) for number in (value, low, high)]
    return f"x{texts[0]}" + (f" [{texts[1]}, {texts[2]}]" if known(low) and known(high) else "")


def points(value: Any, low: Any = None, high: Any = None) -> str:
    """A difference of shares in percentage points: "+3.2 pp [1.1, 5.3]"."""
    if not known(value):
        return ""
    texts = [_minus(_percent(number)) for number in (value, low, high)]
    return f"{_signed(texts[0])} pp" + (f" [{texts[1]}, {texts[2]}]" if known(low) and known(high) else "")


def share(value: Any) -> str:
    """A share in percent: "3.2%"."""
    return f"{_percent(value)}%" if known(value) else ""


def percent(value: Any) -> str:
    """A signed share in percent with one decimal: "+3.2%"."""
    return _signed(_minus(f"{100 * value:.1f}")) + "%" if known(value) else ""


def p_text(p: Any) -> str:
    """A p value: ".0078", ".23", "<.0001", "1"."""
    if not known(p):
        return ""
    if p >= 0.995:
        return "1"
    return "<.0001" if p < 1e-4 else f"{p:.4f}"[1:] if p < 0.1 else f"{p:.2f}"[1:]


def missing(value: Any) -> bool:
    """Is there no finite number?"""
    return bool(pd.isna(value)) or not known(value)


def _percent(value: Any) -> str:
    """value x 100 with two or three digits that matter."""
    if not known(value):
        return ""
    percent = 100 * value
    if percent == 0:
        return "0"
    return f"{percent:.1f}" if abs(percent) >= 1 else f"{percent:.2g}" if abs(percent) >= 1e-3 else f"{percent:.0e}"


def _size(value: Any) -> str:
    if not known(value):
        return ""
    return f"{value:.2f}" if 0.095 <= value < 99.95 else f"{value:.0f}" if 99.95 <= value < 9999.5 else f"{value:.1e}"


def _signed(text: str) -> str:
    return text if text[:1] in "+−-" or not text.strip("0.,") else f"+{text}"


def _minus(text: str) -> str:
    """text with a true minus sign, and none before a zero."""
    bare = text.removeprefix("-")
    return f"−{bare}" if text != bare and bare.strip("0.,") else bare


def bold_parts(text: str) -> list[tuple[str, bool]]:
    """A text with Markdown's **bold** in parts: (text, is it bold)."""
    return [(piece, bool(n % 2)) for n, piece in enumerate(text.split("**")) if piece]
