"""Sequences from the .ts files of the UEA and UCR archives: a header of @keys, then a case a line.

A case is `channel:channel:...:label`, and a channel its values, separated by commas; the number of steps may differ
between cases, not between the channels of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.words import plural
from rnnbench.datasets.own.gathered import Sequences, check_channels
from rnnbench.errors import BadInput, nearest, shown

DIGITS = 18  # of a number in a header, which may say anything
COMMENT = "#%"  # how a line begins that says nothing


@dataclass
class _Head:
    """What the header says. classes: in its order, None where it names none."""

    classes: list[str] | None = None
    numbers: bool = False  # @targetLabel true: the labels are numbers
    equal: bool = False  # @equalLength true, which is a claim, as are the two numbers
    dimensions: int | None = None
    steps: int | None = None  # @seriesLength
    seen: list[str] = field(default_factory=list)


def read(path: Path) -> Sequences:
    """The cases of one file, in its order, the labels as texts. Raises BadInput naming the case, from 1."""
    head = _Head()
    cases: list[NDArray[np.float64]] = []
    labels: list[str] = []
    for text in _lines(path):
        if text.startswith("@"):
            _key(path, head, text)
        elif text[0] not in COMMENT:
            values, label = _case(path, head, text, len(cases) + 1)
            cases.append(values)
            labels.append(label)
    if not cases:
        raise BadInput(f"{path.name} holds no case: a line `channel:channel:...:label` for each sequence, after @data.")
    _check_channels(path, cases)
    names = [f"case {index}" for index in range(1, len(cases) + 1)]
    return Sequences(
        cases, labels, names, [str(channel) for channel in range(cases[0].shape[1])], said=_belied(head, cases)
    )


def _belied(head: _Head, cases: list[NDArray[np.float64]]) -> list[str]:
    """What the header claims and the cases are not; they are taken as they are."""
    lengths, channels = {len(case) for case in cases}, cases[0].shape[1]
    steps = f"{min(lengths)} to {max(lengths)} steps" if len(lengths) > 1 else f"{max(lengths)} steps"
    claims = []
    if head.dimensions not in (None, channels):
        claims.append(f"@dimensions is {head.dimensions} and cases have {plural(channels, 'channel')}")
    if head.equal and len(lengths) > 1:
        claims.append(f"@equalLength is true and cases have {steps}")
    elif head.steps and head.steps != max(lengths):  # of several lengths it is the longest, or 0
        claims.append(f"@seriesLength is {head.steps} and cases have {steps}")
    return [f"{claim}: taken as they are" for claim in claims]


def classes(path: Path) -> list[str]:
    """The names after @classLabel, in the header's order; empty where there are none."""
    head = _Head()
    for text in _lines(path):
        if text.lower() == "@data":
            break
        if text.startswith("@"):
            _key(path, head, text)
    return head.classes or []


def _lines(path: Path) -> Iterator[str]:
    """The lines that are not empty, without the space around them."""
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for line in stream:
                if text := line.strip():
                    yield text
    except UnicodeDecodeError as error:
        raise BadInput(f"{path.name} is not UTF-8 (byte 0x{error.object[error.start]:02x}): convert it.") from None


def _key(path: Path, head: _Head, text: str) -> None:
    """One line of the header."""
    key, *rest = text.split()
    word = key.lower()
    yes = bool(rest) and rest[0].lower() == "true"
    if word == "@timestamps" and yes:
        raise BadInput(f"{path.name} has time stamps (@timeStamps true), which are not read: write the values alone.")
    if word == "@classlabel":
        head.classes = rest[1:] if yes else None
    elif word == "@targetlabel":
        head.numbers = yes
    elif word == "@equallength":
        head.equal = yes
    elif word in ("@dimensions", "@dimension", "@serieslength") and rest and rest[0].isdecimal():
        count = int(rest[0][:DIGITS])
        head.steps, head.dimensions = (count, head.dimensions) if word == "@serieslength" else (head.steps, count)


def _case(path: Path, head: _Head, text: str, case: int) -> tuple[NDArray[np.float64], str]:
    """One case: its values, T C, and its label."""
    *channels, label = text.split(":")
    label = label.strip()
    if head.classes is None and not head.numbers:
        raise BadInput(
            f"{path.name} names no classes: it needs @classLabel true, with their names (or @targetLabel true)."
        )
    if not channels:
        raise BadInput(f"{path.name}: case {case} has no `:`, so no label: `channel:channel:...:label`.")
    if head.classes is not None:
        label = _known(path, head.classes, label, case)
    split = [channel.split(",") for channel in channels]
    lengths = [len(values) for values in split]
    for number, length in enumerate(lengths[1:], start=2):
        if length != lengths[0]:
            raise BadInput(
                f"{path.name}: case {case} has {lengths[0]} steps in channel 1 and {length} in channel {number}."
            )
    try:
        if any("_" in channel for channel in channels):  # Python takes 1_0 for a number
            raise ValueError
        values = np.array(split, dtype=np.float64).T
    except ValueError:
        raise BadInput(_no_number(path, split, case)) from None
    check_channels(values, f"case {case}", [str(channel) for channel in range(len(channels))], path.name)
    return values, label


def _known(path: Path, names: list[str], label: str, case: int) -> str:
    """A case's class as the header names it: `1` of `1.0`, too."""
    if label in names:
        return label
    for name in names:
        try:
            if float(name) == float(label):
                return name
        except ValueError:
            continue
    known = nearest(label, names)
    raise BadInput(f"{path.name}: case {case} is labelled {shown(label)}, which @classLabel does not name; {known}")


def _no_number(path: Path, split: list[list[str]], case: int) -> str:
    """Which value of a case is no number."""
    for channel, values in enumerate(split, start=1):
        for step, text in enumerate(values):
            try:
                float(text.replace("_", "?"))
            except ValueError:
                if text.strip() == "?":
                    where = f"case {case} lacks a value (?) at step {step}, channel {channel}"
                    return f"{path.name}: {where}: fill it, or leave the case out."
                return (
                    f"{path.name}: case {case} has {shown(text)} at step {step}, channel {channel}, which is no number."
                )
    return f"{path.name}: case {case} cannot be read as numbers."


def _check_channels(path: Path, cases: list[NDArray[np.float64]]) -> None:
    """The same number of channels in every case."""
    first = cases[0].shape[1]
    for number, case in enumerate(cases, start=1):
        if case.shape[1] != first:
            raise BadInput(f"{path.name}: case {number} has {case.shape[1]} channels, and case 1 has {first}.")
