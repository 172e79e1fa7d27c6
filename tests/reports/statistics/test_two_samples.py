from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rnnbench.reports.statistics.two_samples import alike, fisher_p, t_p, welch


@pytest.mark.parametrize(("n", "m"), [(3, 5), (8, 8), (20, 4)])
def test_welch_is_scipys(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0, 1, n), rng.normal(0.5, 2, m)
    theirs = stats.ttest_ind(b, a, equal_var=False)
    gain, low, high, p = welch(a, b)
    assert p == pytest.approx(theirs.pvalue)
    assert (low, high) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert gain == pytest.approx(b.mean() - a.mean())


def test_the_paired_t_is_scipys():
    d = np.random.default_rng(1).normal(0.3, 1, 6)
    assert t_p(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    assert t_p(np.zeros(3)) == 1


@pytest.mark.parametrize("n", [3, 5, 7])
def test_a_difference_without_spread_has_the_p_of_its_signs_and_never_0(n):
    d = np.full(n, 0.9) - np.full(n, 0.7)
    assert t_p(d) == 2 / 2**n
    assert welch(np.full(n, 0.7), np.full(n, 0.9))[3] == 2 / math.comb(2 * n, n)


@pytest.mark.parametrize("table", [(0, 5, 5, 5), (1, 8, 6, 8), (3, 3, 1, 4), (0, 3, 0, 3), (2, 10, 2, 3)])
def test_failing_more_is_fishers_exact_test(table):
    lost_a, a, lost_b, b = table
    theirs = stats.fisher_exact([[lost_b, b - lost_b], [lost_a, a - lost_a]], alternative="greater").pvalue
    assert fisher_p(*table) == pytest.approx(theirs)


def test_values_are_alike_where_all_differ_by_the_same_and_not_by_nothing():
    assert alike(np.full(5, 0.2))
    assert not alike(np.zeros(5))
    assert not alike(np.array([0.2, 0.2, 0.3]))
