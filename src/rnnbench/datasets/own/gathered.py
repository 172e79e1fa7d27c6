"""Sequences as a user's file holds them: what every grammar of a file is read into, before splits and scales."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.words import number
from rnnbench.errors import BadInput, shown

NO_LABEL = ("", "nan", "NaN", "None", "<NA>")  # how a missing label reads as text
LONGEST = 200  # characters of a label, a group or a channel's name: tables and pictures show them


@dataclass
class Sequences:
    """N sequences in the file's order.

    x: N arrays, T C each. labels: N texts, of numbers as well; empty where there is none. names: N, how a sentence
    calls each (`sequence 'q3'`, `case 3`, `b.wav`). channels: C names. groups: N, or None where there are none.
    official: N, whether a sequence is of a test set that the file itself names, or None. said: what was inferred or
    left out, in words. rate: of recordings, in Hz.
    """

    x: list[NDArray[Any]]
    labels: list[str]
    names: list[str]
    channels: list[str]
    groups: list[str] | None = None
    official: NDArray[np.bool_] | None = None
    said: list[str] = field(default_factory=list)
    rate: int | None = None


def joined(train: Sequences, test: Sequences, train_file: Path, test_file: Path) -> Sequences:
    """Two files as one, the second being the test set. Raises BadInput where their channels or groups do not fit."""
    if train.channels != test.channels:
        first, second = ", ".join(train.channels[:10]), ", ".join(test.channels[:10])
        raise BadInput(
            f"{test_file.name} has the channels {second}, and {train_file.name} {first}: they must be the same."
        )
    if train.rate != test.rate:
        raise BadInput(f"{test_file.name} is {test.rate} Hz, and {train_file.name} {train.rate}: resample one.")
    if (train.groups is None) != (test.groups is None):
        lacking = train_file if train.groups is None else test_file
        raise BadInput(f"{lacking.name} has no groups and the other file has: name a column that both have.")
    official = np.arange(len(train.x) + len(test.x)) >= len(train.x)
    names = [f"{name} of {train_file.name}" for name in train.names] + [
        f"{name} of {test_file.name}" for name in test.names
    ]
    groups = None if train.groups is None or test.groups is None else train.groups + test.groups
    said = train.said + [text for text in test.said if text not in train.said]
    return Sequences(
        train.x + test.x, train.labels + test.labels, names, train.channels, groups, official, said, train.rate,
    )  # fmt: skip


def label_text(value: object) -> str:
    """A label or a group as text, a whole number without its point; empty where it is missing."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        return number(float(value)) if np.isfinite(value) else ""
    text = str(value).strip()
    return "" if value is None or text in NO_LABEL else text


def check_words(words: Iterable[str], what: str, file: str, *, numbers: bool = False) -> list[str]:
    """A warning of words that differ in nothing but case. what: `label`, `group` or `channel`.

    numbers: one number may be written in two ways. Raises BadInput on a word that no table can show, and on two that
    are one number: what a user thinks one class or group must not be two.
    """
    different = sorted(set(words))
    for word in different:
        if len(word) > LONGEST or not word.isprintable():
            raise BadInput(
                f"{file}: the {what} {shown(word)} is longer than {LONGEST} characters or has control characters: "
                "rename it."
            )
    of_number: dict[float, str] = {}
    of_case: dict[str, str] = {}
    alike = []
    for word in different:
        first = word if numbers else of_number.setdefault(_number(word), word)
        if first != word:
            raise BadInput(f"{file}: the {what}s {first!r} and {word!r} are one number: write it in one way.")
        if (first := of_case.setdefault(word.casefold(), word)) != word:
            alike.append(f"{first!r} and {word!r}")
    return [f"two {what}s that differ in nothing but case: {alike[0]}"] if alike else []


def _number(text: str) -> float:
    """The number that a text is; of a text that is none, a NaN, which equals no other."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def class_names(labels: Sequence[str]) -> list[str]:
    """The different labels, sorted: by number where all are numbers, else as texts."""
    different = sorted(set(labels))
    try:
        return sorted(different, key=lambda text: (float(text), text))
    except ValueError:
        return different


def check_channels(x: NDArray[Any], name: str, channels: list[str], file: str) -> None:
    """Raises BadInput where a sequence (T C) has no step, or holds NaN or infinity at one."""
    if len(x) == 0:
        raise BadInput(f"{file}: {name} has no step: leave it out.")
    wrong = ~np.isfinite(x)
    if wrong.any():
        step, channel = (int(axis[0]) for axis in np.nonzero(wrong))
        what = "NaN" if np.isnan(x[step, channel]) else "infinity"
        count = int(wrong.sum())
        raise BadInput(
            f"{file}: {name} holds {what} at step {step}, channel {channels[channel]} ({count:,} of {x.size:,} values "
            "are no numbers): fill them, or leave the channel or the sequence out."
        )
