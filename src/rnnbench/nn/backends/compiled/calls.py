"""Products cut into calls: neighbours among a product's rows, and among the blocks of its result, go together."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rnnbench.nn.backends.compiled.form import Product, Value
from rnnbench.nn.backends.compiled.plan import Call, Place

ALONE = ("old", "new", "gradient")  # buffers whose blocks are each a tensor of its own


class Target(NamedTuple):
    """Where a block of a product goes; accumulate and skip as in Call."""

    place: Place
    accumulate: bool | str = False
    skip: str = ""


def calls_of(
    product: Product, target: Callable[[Value], Target | None], row_place: Callable[[Value], Place]
) -> list[Call]:
    """The calls that compute a product. target: of a block of its result, None where nothing reads it."""
    made: list[Call] = []
    for first_output, width, (place, accumulate, skip) in _target_runs(product, target):
        for number, (first_input, depth, rows) in enumerate(_row_runs(product, row_place)):
            more = True if number else accumulate  # the second part of a sum is added to the first
            made.append(Call(product, first_input, depth, first_output, width, rows, place, more, skip))
    return made


def _target_runs(product: Product, target: Callable[[Value], Target | None]) -> list[tuple[int, int, Target]]:
    """(first block, how many, where the first goes)."""
    runs: list[tuple[int, int, Target]] = []
    for k, block in product.results.items():
        found = target(block)
        if found is None:
            continue
        if runs:
            first, width, start = runs[-1]
            next_place = Place(start.place.buffer, start.place.block + width)
            follows = first + width == k and found == start._replace(place=next_place)
            if follows and found.place.buffer not in ALONE:
                runs[-1] = (first, width + 1, start)
                continue
        runs.append((k, 1, found))
    return runs


def _row_runs(product: Product, row_place: Callable[[Value], Place]) -> list[tuple[int, int, Place]]:
    """(first row, how many, where the first lies). A row that is a number is zero and takes no part."""
    runs: list[tuple[int, int, Place]] = []
    for k, row in enumerate(product.rows):
        if not isinstance(row, Value):
            continue
        place = row_place(row)
        if runs:
            first, depth, start = runs[-1]
            follows = first + depth == k and place == Place(start.buffer, start.block + depth)
            if follows and place.buffer not in ALONE:
                runs[-1] = (first, depth + 1, start)
                continue
        runs.append((k, 1, place))
    return runs
