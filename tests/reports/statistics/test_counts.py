"""Counts of solved runs, against scipy's own tests, tables counted one by one, and simulated seeds."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from rnnbench.reports.statistics.counts import fisher_two_sided_p, paired_p, solved_interval, unpaired_p
from rnnbench.reports.statistics.paired import sign_flip_p


@pytest.mark.parametrize(("solved", "runs", "low", "high"), [
    (0, 8, 0.0, 0.3694), (8, 8, 0.6306, 1.0), (4, 8, 0.1570, 0.8430), (1, 10, 0.0025, 0.4450),  # as tables print them
])  # fmt: skip
def test_the_interval_is_that_of_the_printed_tables(solved, runs, low, high):
    assert solved_interval(solved, runs) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_ends_where_so_extreme_a_count_has_half_of_what_is_left():
    for solved, runs in ((3, 8), (1, 3), (7, 24)):
        low, high = solved_interval(solved, runs, 0.9)
        assert stats.binom.sf(solved - 1, runs, low) == pytest.approx(0.05)
        assert stats.binom.cdf(solved, runs, high) == pytest.approx(0.05)


@pytest.mark.parametrize("runs", [3, 8, 16])
def test_the_interval_covers_what_it_says_whatever_the_chance(runs):
    chances = np.linspace(0, 1, 201)
    ends = [solved_interval(solved, runs) for solved in range(runs + 1)]
    inside = np.array([[low <= p <= high for low, high in ends] for p in chances])
    weights = stats.binom.pmf(np.arange(runs + 1)[None, :], runs, chances[:, None])
    assert (inside * weights).sum(axis=1).min() >= 0.95


def test_no_runs_have_no_interval_and_impossible_counts_are_refused():
    assert all(map(math.isnan, solved_interval(0, 0)))
    for wrong in ((3, 2), (-1, 2)):
        with pytest.raises(ValueError, match="cannot have solved a task"):
            solved_interval(*wrong)
    with pytest.raises(ValueError, match="between 0 and 1"):
        solved_interval(1, 2, 95)


def test_fisher_and_boschloo_are_those_of_scipy_in_every_table():
    for a, b in itertools.product(range(9), range(6)):
        table = [[a, b], [8 - a, 5 - b]]
        assert fisher_two_sided_p(a, 8, b, 5) == pytest.approx(stats.fisher_exact(table).pvalue)
        assert unpaired_p(a, 8, b, 5) == pytest.approx(stats.boschloo_exact(table, n=32).pvalue, abs=1e-9)


def test_unpaired_is_never_less_powerful_than_fisher_and_holds_its_level():
    tables = list(itertools.product(range(9), range(9)))
    own = {each: unpaired_p(each[0], 8, each[1], 8) for each in tables}
    assert own[(4, 8)] == pytest.approx(0.0279, abs=5e-5)
    assert fisher_two_sided_p(4, 8, 8, 8) == pytest.approx(2 * 70 / math.comb(16, 12))  # C(8, 4) tables on either side
    fisher = {each: fisher_two_sided_p(each[0], 8, each[1], 8) for each in tables}
    assert all(own[each] <= fisher[each] + 1e-12 for each in tables)
    for p in np.linspace(0.02, 0.98, 49):
        weight = stats.binom.pmf(np.arange(9), 8, p)
        assert sum(weight[a] * weight[b] for a, b in tables if own[a, b] <= 0.05) <= 0.05


def test_unpaired_does_not_mind_the_order_of_the_sides_and_one_side_alone_says_nothing():
    assert unpaired_p(2, 8, 7, 10) == pytest.approx(unpaired_p(7, 10, 2, 8))
    assert unpaired_p(0, 8, 0, 8) == unpaired_p(8, 8, 8, 8) == 1
    assert unpaired_p(3, 8, 0, 0) == 1
    assert unpaired_p(150, 200, 100, 200) == fisher_two_sided_p(150, 200, 100, 200)


def test_paired_counts_the_patterns_of_what_one_side_alone_solved():
    for only_a, only_b in itertools.product(range(6), range(6)):
        n = only_a + only_b
        patterns = [sum(each) for each in itertools.product((0, 1), repeat=n)]
        as_far = sum(abs(2 * k - n) >= abs(only_a - only_b) for k in patterns)
        assert paired_p(only_a, only_b) == pytest.approx(as_far / len(patterns))
        if n:
            assert paired_p(only_a, only_b) == pytest.approx(sign_flip_p([1] * only_a + [-1] * only_b))
    assert paired_p(0, 8) == pytest.approx(2 / 256)
    with pytest.raises(ValueError, match="not negative"):
        paired_p(-1, 2)
