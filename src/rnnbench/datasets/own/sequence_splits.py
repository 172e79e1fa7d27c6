"""Which sequences are for train, val and test: as a file says, else by whole groups, else every class in proportion.

A sequence is never cut: whole ones are in one split, and equal ones are not in two.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.splits import stratified
from rnnbench.datasets.base.words import plural
from rnnbench.datasets.own.gathered import Sequences, class_names
from rnnbench.errors import BadInput, listed_ids, nearest, shown
from rnnbench.seeds import derive

NAMES = ("train", "val", "test")
Parts = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
Shares = tuple[Fraction, Fraction, Fraction]


@dataclass(frozen=True)
class Splitting:
    """Which sequences are in train, val and test, in the file's order. how: in words, for a protocol."""

    parts: Parts
    how: str
    warnings: tuple[str, ...] = ()


def shares(split: object) -> Shares:
    """The option `split` as exact fractions. Raises BadInput unless it is three parts above 0 that make 1."""
    try:
        found = tuple(Fraction(str(share)) for share in split)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        found = ()
    if len(found) != 3 or min(found) <= 0 or sum(found) != 1:
        raise BadInput(f"dataset.split must be three parts above 0 that make 1, e.g. [.7,.1,.2]; got {shown(split)}.")
    return found[0], found[1], found[2]


def split(
    sequences: Sequences, of: Shares, seed: int, *, classes: bool, test_group: str | None = None, strict: bool = True
) -> Splitting:
    """Train, val and test.

    A test set that the file names is kept, and val is drawn from the rest; test_group: the group that is the test set
    instead. classes: the labels are classes. seed: of the drawing. strict: equal sequences in two splits are refused,
    else warned of. Raises BadInput where three splits cannot be made.
    """
    found = _drawn(sequences, of, seed, classes, test_group)
    warnings = list(found.warnings)
    if classes:
        warnings += _check_classes(sequences, found.parts)
    warnings += _check_equal(sequences, found.parts, strict)
    return Splitting(found.parts, found.how, tuple(warnings))


def _drawn(sequences: Sequences, of: Shares, seed: int, classes: bool, test_group: str | None) -> Splitting:
    everything = np.arange(len(sequences.x))
    if test_group is not None:
        if sequences.official is not None:
            raise BadInput("dataset.test_group and a test set of its own are given: leave one of them out.")
        if sequences.groups is None:
            raise BadInput(
                "dataset.test_group names a group, and the data has none: dataset.group= names their column."
            )
        groups = np.array(sequences.groups, object)
        if test_group not in sequences.groups:
            raise BadInput(f"there is no group {test_group!r}; {nearest(test_group, set(sequences.groups))}")
        official, given = groups == test_group, f"group {test_group} is the test set"
    elif sequences.official is not None:
        official, given = sequences.official, "official test"
    elif sequences.groups is not None:
        parts = _by_group(sequences.groups, of, seed, everything)
        return Splitting((parts[0], parts[1], parts[2]), f"by whole group, seed {seed}")
    else:
        parts = _proportional(sequences, everything, of, seed, classes)
        return Splitting((parts[0], parts[1], parts[2]), f"{'by class' if classes else 'at random'}, seed {seed}")
    rest, test = everything[~official], everything[official]
    for what, part in (("training", rest), ("test", test)):
        if len(part) == 0:
            raise BadInput(f"the {what} set holds no sequence ({given}).")
    two = (of[0] / (of[0] + of[1]), of[1] / (of[0] + of[1]))
    shared = _shared_groups(sequences, official)
    if sequences.groups is not None and not shared.all:
        train, val = _by_group([sequences.groups[i] for i in rest], two, seed, rest)
        return Splitting((train, val, test), f"{given}, val by whole group, seed {seed}", shared.warnings)
    train, val = _proportional(sequences, rest, two, seed, classes)
    how = f"{given}, val {'by class' if classes else 'at random'}, seed {seed}"
    return Splitting((train, val, test), how, shared.warnings)


class _Shared(NamedTuple):
    """Groups on both sides of a test set. all: none of the test set's is new, and validation is drawn alike."""

    all: bool
    warnings: tuple[str, ...]


def _shared_groups(sequences: Sequences, official: NDArray[np.bool_]) -> _Shared:
    """Which groups of a given test set are in the training set, too; a warning of them."""
    if sequences.groups is None:
        return _Shared(False, ())
    test = {group for group, is_test in zip(sequences.groups, official.tolist(), strict=True) if is_test}
    both = test & {group for group, is_test in zip(sequences.groups, official.tolist(), strict=True) if not is_test}
    if not both:
        return _Shared(False, ())
    said = f"{len(both)} of the test set's {plural(len(test), 'group')} are trained on, too: {listed_ids(sorted(both))}"
    return _Shared(both == test, (said,))


def sizes(count: int, of: Sequence[Fraction]) -> list[int]:
    """So many sequences in shares: each the whole part of its share and at least one, the first takes what is left."""
    later = [max(1, int(count * share)) for share in of[1:]]
    return [count - sum(later), *later]


def _proportional(
    sequences: Sequences, among: NDArray[np.int64], of: Sequence[Fraction], seed: int, classes: bool
) -> list[NDArray[np.int64]]:
    """Parts of some sequences, each with every class in proportion; of numbers, at random."""
    if len(among) < len(of):
        raise BadInput(f"{plural(len(among), 'sequence')} are too few: {len(of)} splits take at least {len(of)}.")
    numbers = np.zeros(len(among), np.int64)
    if classes:
        labels = [sequences.labels[i] for i in among.tolist()]
        names = class_names(labels)
        counts = Counter(labels)
        for name in names:
            if counts[name] < len(of):
                hint = "" if len(names) < len(among) / 2 else " (are the labels numbers? dataset.task=regress)"
                splits = "three" if len(of) == 3 else "two"
                raise BadInput(
                    f"class {name!r} has {plural(counts[name], 'sequence')}; {splits} splits take at least {len(of)} "
                    f"of each class{hint}."
                )
        number = {name: index for index, name in enumerate(names)}
        numbers = np.array([number[label] for label in labels], np.int64)
    parts = stratified(numbers, tuple(sizes(len(among), of)), derive(seed, "own_sequences", "split"))
    return [among[part] for part in parts]


def _by_group(
    groups: Sequence[str], of: Sequence[Fraction], seed: int, among: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """Parts that no group is in two of: shuffled, each goes to the part that lacks most of its share; none stays empty.

    groups: of the sequences `among`.
    """
    names = class_names(groups)
    if len(names) < len(of):
        what = "three splits take at least 3" if len(of) == 3 else "train and val take at least 2"
        raise BadInput(f"{plural(len(names), 'group')} ({listed_ids(names)}); {what}.")
    counts = Counter(groups)
    order = np.random.default_rng(derive(seed, "own_sequences", "groups")).permutation(len(names))
    wanted = [len(groups) * share for share in of]
    held: list[list[str]] = [[] for _ in of]
    filled = [0] * len(of)
    for place, index in enumerate(order.tolist()):
        empty = [part for part, inside in enumerate(held) if not inside]
        left = len(names) - place
        open_to = empty if left == len(empty) else range(len(of))
        lacking = [wanted[part] - filled[part] for part in open_to]
        chosen = list(open_to)[lacking.index(max(lacking))]
        held[chosen].append(names[index])
        filled[chosen] += counts[names[index]]
    found = []
    for inside in held:
        members = set(inside)
        found.append(among[[group in members for group in groups]])
    return found


def _check_classes(sequences: Sequences, parts: Parts) -> list[str]:
    """Warnings of classes that val or test lack. Raises BadInput on one that is tested and not trained on."""
    of_part = [{sequences.labels[i] for i in part.tolist()} for part in parts]
    train = of_part[0]
    for name, classes in zip(NAMES[1:], of_part[1:], strict=True):
        unknown = class_names(list(classes - train))
        if unknown:
            first = unknown[0]
            index = next(i for i in parts[NAMES.index(name)].tolist() if sequences.labels[i] == first)
            why = "" if sequences.groups is None else "; its groups are all there: take another dataset.data_seed"
            raise BadInput(
                f"class {first!r} is in {name} ({sequences.names[index]}) and not in train, so that no network can "
                f"learn it{why}."
            )
    if len(train) < 2:
        raise BadInput(f"all sequences of train have one label, {next(iter(train))!r}: there is nothing to learn.")
    return [
        f"{name} has no sequence of {listed_ids(repr(each) for each in lacking)}"
        for name, classes in zip(NAMES[1:], of_part[1:], strict=True)
        if (lacking := class_names(list(train - classes)))
    ]


def _check_equal(sequences: Sequences, parts: Parts, strict: bool) -> list[str]:
    """A warning of sequences that stand in two splits. Raises BadInput where strict."""
    seen: dict[bytes, tuple[int, int]] = {}
    twice = []
    for number, part in enumerate(parts):
        for index in part.tolist():
            key = _content(sequences.x[index])
            first = seen.setdefault(key, (number, index))
            if first[0] != number:
                twice.append((first, (number, index)))
    if not twice:
        return []
    (one, i), (other, j) = twice[0]
    said = f"{sequences.names[i]} ({NAMES[one]}) and {sequences.names[j]} ({NAMES[other]}) hold the same values"
    more = "" if len(twice) == 1 else f", as {len(twice) - 1:,} more do"
    if strict:
        raise BadInput(f"{said}{more}: leave one out, or give both one group.")
    return [said + more]


def _content(x: NDArray[Any]) -> bytes:
    """A hash over a sequence's values, T C, whatever type they were stored in."""
    values = np.ascontiguousarray(x, np.float64) + 0.0  # -0 is 0
    return hashlib.sha256(f"{values.shape}".encode() + values.tobytes()).digest()
