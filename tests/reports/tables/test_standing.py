from __future__ import annotations

import math

import pytest

from rnnbench.reports.tables.standing import best_in_bold, marked, standings

NAN = math.nan


@pytest.mark.parametrize(
    ("ends", "sure", "said"),
    [
        ([(0.9, 1.0), (0.5, 0.6)], [True, True], ["best", ""]),
        ([(0.9, 1.0), (0.5, 0.9), (0.1, 0.2)], [True, True, True], ["tied", "tied", ""]),
        ([(0.9, 1.0), (0.5, 0.6)], [True, False], ["", ""]),
        ([(0.9, 1.0), (NAN, NAN)], [True, False], ["", ""]),
        ([(NAN, NAN), (0.5, 0.6)], [False, True], ["", ""]),
        ([(0.1, 0.2), (0.15, 0.3), (NAN, NAN)], [True, True, False], ["tied", "tied", ""]),
        ([(0.9, 1.0)], [True], [""]),
        ([], [], []),
    ],
)
def test_best_tied_or_neither(ends, sure, said):
    assert standings([low for low, _ in ends], [high for _, high in ends], sure) == said


def test_a_cell_says_its_mark_and_whether_it_is_tied():
    assert marked("0.9 ± 0.1", "", "tied") == "0.9 ± 0.1 ≈"
    assert marked("0.9", "n<3", "") == "0.9 (n<3)"
    assert marked("", "", "") == "-"
    assert marked("0.9", "", "best") == "0.9"


def test_only_the_best_is_bold():
    assert best_in_bold(["tied", "best", ""], ("a", "b")) == {(1, "a"), (1, "b")}
