"""What the value of an option may be: in words, for a sentence, and as a test. Imports neither torch nor hydra."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Allowed(NamedTuple):
    """What a value must be, in words and as a test; whether it may be missing."""

    words: str
    holds: Callable[[Any], bool]
    optional: bool = False


def is_finite(value: Any) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def one_of(*known: str | None, optional: bool = False) -> Allowed:
    """One of these words; None among them stands for null."""
    return Allowed(" | ".join("null" if word is None else word for word in known), lambda v: v in known, optional)


def several(known: tuple[str, ...], *, null: bool = False, optional: bool = False) -> Allowed:
    """A list of these words, or null where that is allowed."""

    def holds(value: Any) -> bool:
        return (null and value is None) or (isinstance(value, list) and all(each in known for each in value))

    return Allowed(f"a list of {', '.join(known)}" + " (or null)" * null, holds, optional)


def text(*, optional: bool = False) -> Allowed:
    """Text that is not blank."""
    return Allowed("text", lambda v: isinstance(v, str) and bool(v.strip()), optional)


def flag(*, optional: bool = False) -> Allowed:
    """True or false."""
    return Allowed("true or false", lambda v: isinstance(v, bool), optional)


def whole(least: int, *, null: bool = False, optional: bool = False) -> Allowed:
    """A whole number of at least `least`, or null where that is allowed; true and false are none."""

    def holds(value: Any) -> bool:
        counts = isinstance(value, int) and not isinstance(value, bool) and value >= least
        return counts or (null and value is None)

    return Allowed(f"a whole number of at least {least}" + " (or null)" * null, holds, optional)
