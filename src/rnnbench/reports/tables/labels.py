"""Names that a reader can tell apart, and words in a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd


def dotted(*words: Any) -> str:
    """ "digits · small": the words that are known, with dots between them."""
    return " · ".join(str(word) for word in words if not pd.isna(word) and word != "")


def text_or(value: Any, otherwise: str) -> str:
    """A value as a text, another text where it is missing."""
    return otherwise if pd.isna(value) else str(value)


def told_apart(
    labels: Sequence[str], words_of: Callable[[int], Sequence[str]], otherwise: Sequence[str] | None = None
) -> list[str]:
    """labels, with what tells equal ones apart in brackets: "LSTM [depth=2, clip=null]".

    words_of: what is known of each by its place, the most telling first; asked of equal ones only. Added are the words
    that not all of one label share. Labels that even so are equal get their word of `otherwise` as well (an id, say),
    by default their number among these.
    """
    found = list(labels)
    for label, same in _equal(labels):
        words = {n: list(dict.fromkeys(words_of(n))) for n in same}
        shared = set.intersection(*map(set, words.values()))
        for n in same:
            found[n] = bracketed(label, [word for word in words[n] if word not in shared])
    for label, same in _equal(found):
        for number, n in enumerate(same, 1):
            last = str(number) if otherwise is None else otherwise[n]
            found[n] = f"{label} [{last}]" if label == labels[n] else f"{label[:-1]}, {last}]"
    return found


def pieces_apart(own: str, of_all: Sequence[str], longest: int) -> str:
    """Of a protocol's pieces ("x, y, z") those that not all have, cut to so many characters. of_all: with its own."""
    others = [text.split(", ") for text in of_all]
    return cut(", ".join(piece for piece in own.split(", ") if not all(piece in each for each in others)), longest)


def cut(text: str, longest: int) -> str:
    """text, or its beginning and an ellipsis."""
    return text if len(text) <= longest else text[: longest - 1] + "\u2026"


def _equal(labels: Sequence[str]) -> list[tuple[str, list[int]]]:
    """The labels that stand more than once, each with its places."""
    places: dict[str, list[int]] = {}
    for n, label in enumerate(labels):
        places.setdefault(label, []).append(n)
    return [(label, same) for label, same in places.items() if len(same) > 1]


def bracketed(label: str, words: Sequence[str]) -> str:
    """ "LSTM [depth=2]"; the label alone where there are no words."""
    return f"{label} [{', '.join(words)}]" if words else label
