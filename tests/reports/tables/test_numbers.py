from __future__ import annotations

import math

import pandas as pd
import pytest

from rnnbench.reports.tables.numbers import brief_count, count, p_value, plus_minus, rounded, short


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf, pd.NA, pd.NaT])
def test_unknown_is_empty(unknown):
    for text in (short, rounded, count, brief_count, p_value):
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


def test_a_p_value_is_never_0():
    assert [p_value(p) for p in (1, 0.0341, 2 / 2**8, 1.5e-4, 9e-5, 0.0)] == [
        "1",
        "0.034",
        "0.0078",
        "0.00015",
        "<0.0001",
        "<0.0001",
    ]
