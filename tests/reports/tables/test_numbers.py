from __future__ import annotations

import math

import pandas as pd
import pytest

from rnnbench.reports.tables.numbers import (
    between,
    brief_count,
    count,
    counted,
    p_bound,
    p_text,
    plus_minus,
    rounded,
    short,
    with_arrow,
    with_ends,
)


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, pd.NA, pd.NaT])
def test_unknown_is_empty(unknown):
    for text in (short, rounded, count, brief_count, p_text, p_bound):
        assert text(unknown) == ""
    assert plus_minus(unknown, 1, 2) == ""


@pytest.mark.parametrize(
    ("mean", "low", "high", "text"),
    [
        (0.95123, 0.93893, 0.96353, "0.9512 ± 0.0123"),
        (0.95, 0.95, 0.95, "0.95 ± 0"),
        (0.1, 0.1 - 1e-17, 0.1 + 1e-17, "0.1 ± 0"),
        (0.951234, None, None, "0.9512"),
        (0.951234, math.nan, math.nan, "0.9512"),
        (123.4, 111.1, 135.7, "123.4 ± 12.3"),
        (15321, 14087, 16555, "15321 ± 1234"),
        (5.3e-5, 4.2e-5, 6.4e-5, "(5.30 ± 1.10)e-5"),
        (-0.5, -0.6, -0.4, "-0.500 ± 0.100"),
        (0.0, -0.1, 0.1, "0.000 ± 0.100"),
        (2e7, 1e7, 3e7, "(2.00 ± 1.00)e7"),
    ],
)
def test_plus_minus(mean, low, high, text):
    assert plus_minus(mean, low, high) == text


def test_short_rounded_and_counts():
    assert [short(v) for v in (0, 0.1, 1 / 6, 12, 5.3e-5, 123456.7)] == [
        "0",
        "0.1",
        "0.1667",
        "12",
        "5.3e-05",
        "123,457",
    ]
    assert [rounded(v) for v in (20, 0.5123, 100, 999.7, 12345.6)] == ["20.0", "0.512", "100", "1,000", "12,346"]
    assert [count(v) for v in (0, 19338)] == ["0", "19,338"]
    assert [brief_count(v) for v in (843, 19338, 1.25e6, 3e9)] == ["843", "19.3k", "1.25M", "3G"]


def test_a_p_value_has_three_decimals_and_is_never_0():
    values = (1, 0.9996, 0.34, 0.0341, 2 / 2**8, 1.5e-3, 1e-3, 9.9e-4, 0.0)
    texts = ["1.000", "1.000", ".340", ".034", ".008", ".002", ".001", "<.001", "<.001"]
    assert [p_text(p) for p in values] == texts


def test_what_a_p_value_is_held_against_keeps_its_digits_however_small():
    assert [p_bound(p) for p in (0.05, 0.25, 0.05 / 6, 0.00049, 0.05 / 1035, 1)] == [
        ".05",
        ".25",
        ".0083",
        ".00049",
        "4.8e-05",
        "1",
    ]


def test_intervals():
    assert between(0.6149, 0.4, 0.83, 2) == "0.61 [0.40, 0.83]"
    assert between(0.6149, math.nan, 0.83, 3) == "0.615"
    assert with_ends(-0.01234, -0.03178, 0.008) == "-0.0123 [-0.0318, 0.008]"
    assert with_ends(0.5, None, None) == "0.5"
    assert between(math.nan, 1, 2, 2) == with_ends(None, 1, 2).partition(" ")[0] == ""


@pytest.mark.parametrize(
    ("metric", "goal", "text"), [("mse", "min", "mse ↓"), ("f1", "max", "f1 ↑"), ("x", None, "x"), (None, "max", "↑")]
)
def test_a_metric_says_where_better_is(metric, goal, text):
    assert with_arrow(metric, goal) == text


def test_things_are_counted_in_words():
    assert [counted(n, "pair") for n in (0, 1, 2)] == ["0 pairs", "1 pair", "2 pairs"]
