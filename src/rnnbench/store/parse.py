"""JSON and yaml of strangers, within bounds that everything behind can hold: an index's columns, files, Python's stack.

Whatever `parse` returns can be written, hashed, compared and averaged by anyone without a look: whole numbers of 64
bits, floats whose squares are floats, text that UTF-8 can say, and brackets no deeper than `DEEPEST`.
"""

from __future__ import annotations

import json
import re
from typing import Any

DEEPEST = 64  # brackets in brackets; a record of ours has 6
MOST_VALUES = 100_000  # in a yaml file, whose names for parts could make a few lines say billions
MOST_YAML = 2**18  # characters: a config has 3,000, and yaml is read slowly
LARGEST = 1e150  # of a float: its square is one, too, so that a spread can be computed; float32 ends at 3e38
DIGITS = 18  # every whole number of so many digits is one of 64 bits
MOST_KNOWN = 10_000  # whole numbers that are remembered
HALF = re.compile(rb"\\u[dD][89abAB]|\\u[dD][c-fC-F]")  # how JSON writes half a character, alone or as one of two


def parse(data: bytes) -> Any:
    """The value that JSON text says; NaN and Infinity, which are no JSON but Python writes them, are null.

    Raises ValueError, which says in a few words what is wrong: "is not whole JSON (...)", "has ...".
    """
    try:
        value = _DECODER.decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"is not whole text ({error.reason} at byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not whole JSON ({error})") from None
    except RecursionError:
        raise ValueError(f"has brackets in brackets, more than {DEEPEST}") from None
    if data.count(b"[") + data.count(b"{") > DEEPEST:  # only then may it be deeper
        _check_depth(value)
    if b"\\" in data and HALF.search(data):  # one byte is found ten times as fast as two
        _check_text(value)
    return value


def parse_yaml(text: str) -> Any:
    """The value that yaml says, within the same bounds. Raises ValueError as `parse` does."""
    import yaml

    if len(text) > MOST_YAML:
        raise ValueError(f"has {len(text):,} characters, and at most {MOST_YAML:,} are read")
    try:
        value = yaml.safe_load(text)
        return parse(json.dumps(_plain(value)).encode())
    except yaml.YAMLError as error:
        raise ValueError(f"is no yaml ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise ValueError(f"has brackets in brackets, more than {DEEPEST}") from None


def _plain(value: Any) -> Any:
    """A yaml value as JSON can say it; one that is named again and again (an alias of an alias) ends in ValueError."""
    left = MOST_VALUES

    def walk(inner: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError(f"has more than {MOST_VALUES:,} values")
        if isinstance(inner, dict):
            return {str(key): walk(each) for key, each in inner.items()}
        if isinstance(inner, list):
            return [walk(each) for each in inner]
        return inner if inner is None or isinstance(inner, (str, int, float)) else str(inner)

    return walk(value)


def _finite(text: str) -> float:
    value = float(text)
    if not -LARGEST <= value <= LARGEST:
        raise ValueError(f"has a number beyond {LARGEST:g} ({text[:20]})")
    return value


class _Wholes(dict[str, int]):
    """Whole numbers by their text: sizes, seeds and versions are the same few, and a known one costs no call."""

    def __missing__(self, text: str) -> int:
        if len(text) > DIGITS + 2 or not -(2**63) <= (value := int(text)) < 2**63:
            raise ValueError(f"has a whole number beyond 64 bits ({text[:20]}, {len(text)} characters)")
        if len(self) < MOST_KNOWN:
            self[text] = value
        return value


# Made once: making one takes a while.
_DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_finite, parse_int=_Wholes().__getitem__)


def _check_depth(value: Any) -> None:
    """Raises ValueError where brackets are in brackets too often."""
    layer = [value]
    for _ in range(DEEPEST):
        layer = [inner for outer in layer for inner in _inside(outer) if isinstance(inner, (dict, list))]
        if not layer:
            return
    raise ValueError(f"has brackets in brackets, more than {DEEPEST}")


def _check_text(value: Any) -> None:
    """Raises ValueError where a text has half a character, which no file can hold."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            try:
                inner.encode()
            except UnicodeEncodeError:
                raise ValueError(f"has half a character in {inner[:20]!a}") from None
        elif isinstance(inner, dict):
            waiting += [*inner.keys(), *inner.values()]
        elif isinstance(inner, list):
            waiting += inner


def _inside(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
