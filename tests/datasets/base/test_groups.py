"""Groups against what algebra says of them: axioms, orders of elements, and whether they commute or are solvable."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from rnnbench.datasets.base.groups import GROUPS, Group

ORDERS = {  # how many elements have which order
    "s3": {1: 1, 2: 3, 3: 2},
    "z60": {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 2, 10: 4, 12: 4, 15: 8, 20: 8, 30: 8, 60: 16},  # Euler's function
    "a4xz5": {1: 1, 2: 3, 3: 8, 5: 4, 10: 12, 15: 32},
    "a5": {1: 1, 2: 15, 3: 20, 5: 24},
    "s5": {1: 1, 2: 25, 3: 20, 4: 30, 5: 24, 6: 20},
}


@pytest.fixture(params=GROUPS)
def group(request: pytest.FixtureRequest) -> Group:
    return GROUPS[request.param]


def test_the_table_is_a_group_with_the_identity_first(group: Group) -> None:
    table, n = group.table, group.order
    assert (table[0] == np.arange(n)).all()
    assert (table[:, 0] == np.arange(n)).all()
    assert (np.sort(table, 0) == np.arange(n)[:, None]).all()
    assert (np.sort(table, 1) == np.arange(n)).all()
    a, b = np.random.default_rng(0).integers(n, size=(2, 500))
    for c in range(0, n, 7):
        assert (table[table[a, b], c] == table[a, table[b, c]]).all()


def test_elements_have_the_orders_that_algebra_gives_them(group: Group) -> None:
    found = Counter()
    for element in range(group.order):
        power, order = element, 1
        while power:
            power, order = group.table[power, element], order + 1
        found[order] += 1
    assert found == ORDERS[group.name]


def commutators(group: Group, members: set[int]) -> set[int]:
    """The subgroup that all a b a^-1 b^-1 of these members make."""
    table = group.table
    inverse = {a: int(np.flatnonzero(table[a] == 0)[0]) for a in members}
    found = {int(table[table[a, b], table[inverse[a], inverse[b]]]) for a in members for b in members}
    while len(more := found | {int(table[a, b]) for a, b in itertools.product(found, found)}) > len(found):
        found = more
    return found


def test_all_but_a5_and_s5_are_solvable_and_z60_alone_commutes(group: Group) -> None:
    sizes = [group.order]
    members = set(range(group.order))
    while len(smaller := commutators(group, members)) < len(members):
        members = smaller
        sizes.append(len(members))
    assert sizes == {"s3": [6, 3, 1], "z60": [60, 1], "a4xz5": [60, 4, 1], "a5": [60], "s5": [120, 60]}[group.name]


def test_generators_are_elements_and_elements_have_names_of_their_own(group: Group) -> None:
    assert len(set(group.numbers)) == len(group.generators)
    assert 0 not in group.numbers
    assert group.names[0] == "1"
    assert len(set(group.names)) == group.order


def test_products_act_as_one_reads_and_names_are_cycles() -> None:
    s3 = GROUPS["s3"]
    assert s3.elements == ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    assert s3.names == ("1", "(2 3)", "(1 2)", "(1 2 3)", "(1 3 2)", "(1 3)")
    # first (1 2), then (2 3): 1 goes to 2 and on to 3, 2 to 1, 3 to 2
    assert s3.names[s3.table[2, 1]] == "(1 3 2)"
