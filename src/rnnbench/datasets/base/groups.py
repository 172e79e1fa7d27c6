"""Finite groups as permutations: their elements by number, their table, and how an element is written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Permutation = tuple[int, ...]  # p[i] is where point i goes


@dataclass(frozen=True)
class Group:
    """All products of a few generators. points: how many are permuted; generators: their cycles, points from 0.

    Elements are numbered in the order of their permutations as tuples, so 0 is the identity. A product a b is a first,
    then b, as one reads.
    """

    name: str
    points: int
    generators: tuple[tuple[tuple[int, ...], ...], ...]

    @cached_property
    def elements(self) -> tuple[Permutation, ...]:
        """Every element, the identity first."""
        made = [_of_cycles(cycles, self.points) for cycles in self.generators]
        identity = tuple(range(self.points))
        found, new = {identity}, [identity]
        while new:
            new = [after for element in new for each in made if (after := _then(element, each)) not in found]
            found.update(new)
        return tuple(sorted(found))

    @property
    def order(self) -> int:
        """The number of elements."""
        return len(self.elements)

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The generators as numbers of elements."""
        return tuple(self.elements.index(_of_cycles(cycles, self.points)) for cycles in self.generators)

    @cached_property
    def table(self) -> NDArray[np.int64]:
        """The number of a b by those of a and b."""
        place = {element: n for n, element in enumerate(self.elements)}
        return np.array([[place[_then(a, b)] for b in self.elements] for a in self.elements])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every element by its cycles, points from 1: `(1 2 3)`; the identity is `1`."""
        return tuple(map(_written, self.elements))


def _then(first: Permutation, second: Permutation) -> Permutation:
    return tuple(second[point] for point in first)


def _of_cycles(cycles: tuple[tuple[int, ...], ...], points: int) -> Permutation:
    to = list(range(points))
    for cycle in cycles:
        for point, after in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            to[point] = after
    return tuple(to)


def _written(permutation: Permutation) -> str:
    seen: set[int] = set()
    text = ""
    for start in range(len(permutation)):
        cycle, point = [], start
        while point not in seen:
            seen.add(point)
            cycle.append(str(point + 1))
            point = permutation[point]
        if len(cycle) > 1:
            text += f"({' '.join(cycle)})"
    return text or "1"


GROUPS: dict[str, Group] = {
    group.name: group
    for group in (
        Group("s3", 3, (((0, 1, 2),), ((0, 1),))),
        Group("z60", 12, (((0, 1, 2),), ((3, 4, 5, 6),), ((7, 8, 9, 10, 11),))),
        Group("a4xz5", 9, (((0, 1, 2),), ((0, 1), (2, 3)), ((4, 5, 6, 7, 8),))),
        Group("a5", 5, (((0, 1, 2, 3, 4),), ((0, 1, 2),))),
        Group("s5", 5, (((0, 1, 2, 3, 4),), ((0, 1),))),
    )
}
