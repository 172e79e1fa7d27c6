"""Every statistic over tasks against another implementation or a closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rnnbench.reports.statistics import many_tasks as across
from rnnbench.reports.statistics.many_tasks import (
    _runs_alike,
    cliques,
    games,
    improvement,
    iqm_interval,
    mean_ranks,
    signed_rank_p,
)


@pytest.mark.parametrize("n", [4, 8, 20, 100])
def test_the_iqm_is_scipys_trimmed_mean(n):
    x = np.random.default_rng(n).normal(size=n)
    assert iqm_interval([x])[0] == pytest.approx(stats.trim_mean(x, 0.25))


def test_the_iqm_of_nine_numbers_takes_parts_of_two():
    assert iqm_interval([np.arange(1, 18, 2)])[0] == pytest.approx(9)
    # a quarter of five is 1.25: 0 goes, with a quarter of 2
    assert iqm_interval([np.array([0, 2, 3, 10, 99])])[0] == pytest.approx((0.75 * 2 + 3 + 0.75 * 10) / 2.5)
    assert math.isnan(iqm_interval([])[0])


def test_every_task_weighs_the_same_however_many_runs_it_has():
    few, many = np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.7, 0.8, 0.9, 1.0])
    (a, *_), (b, *_) = iqm_interval([few, many]), iqm_interval([np.repeat(few, 25), many])
    assert a == pytest.approx(b)


@pytest.mark.integration
def test_the_interval_of_the_iqm_is_the_stratified_bootstrap_of_the_whole_spread_widened_as_students_t():
    rng = np.random.default_rng(1)
    tasks = [rng.normal(0.5, 0.1, 8), rng.normal(0.8, 0.05, 8)]
    estimate, low, high = iqm_interval(tasks)
    assert estimate == pytest.approx(stats.trim_mean(np.concatenate(tasks), 0.25))
    spread = [part.mean() + math.sqrt(8 / 7) * (part - part.mean()) for part in tasks]
    drawn = [
        stats.trim_mean(np.concatenate([rng.choice(part, part.size) for part in spread]), 0.25) for _ in range(4000)
    ]
    wider = stats.t.ppf(0.975, 7) / stats.norm.ppf(0.975)
    ends = estimate + wider * (np.quantile(drawn, [0.025, 0.975]) - np.mean(drawn))
    assert (low, high) == pytest.approx(tuple(ends), abs=0.01)


@pytest.mark.parametrize(("tasks", "seeds"), [(1, 5), (2, 5), (5, 5), (2, 10)])
@pytest.mark.parametrize("apart", [0.0, 0.3])
def test_the_interval_of_the_iqm_covers_what_it_says(tasks, seeds, apart):
    rng = np.random.default_rng(tasks + seeds)
    levels = np.linspace(0.6, 0.6 + apart, tasks)
    # The true IQM: of so many runs that nothing is left to chance
    grid = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000) * 0.03
    true = stats.trim_mean((levels[:, None] + grid).ravel(), 0.25)
    found = [iqm_interval(list(levels[:, None] + 0.03 * rng.normal(size=(tasks, seeds)))) for _ in range(300)]
    inside = np.mean([low <= true <= high for _, low, high in found])
    assert inside >= 0.93  # the plain bootstrap has .85 to .93 here


def test_an_interval_ends_at_the_target_unless_a_run_came_beyond_it():
    near = np.array([0.80, 0.99, 0.99, 0.99, 1.0])
    assert iqm_interval([near])[2] == 1
    assert 1 < iqm_interval([near + 0.05])[2] <= 1.05


def test_fewer_than_five_runs_have_no_interval_and_intervals_are_the_same_every_time():
    assert math.isnan(iqm_interval([np.arange(4.0), np.arange(5.0)])[1])
    across._weights.cache_clear()
    once = iqm_interval([np.arange(5.0), np.arange(6.0)])
    across._weights.cache_clear()
    assert once == iqm_interval([np.arange(5.0), np.arange(6.0)])
    assert once == iqm_interval([np.arange(5.0)[::-1], np.arange(6.0)])


def test_the_probability_of_improvement_is_mann_whitneys():
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.3, 1, 7), rng.normal(0, 1, 9)
    estimate, low, high = improvement([x], [y])
    assert estimate == pytest.approx(stats.mannwhitneyu(x, y).statistic / 63)
    assert low < estimate < high
    both, *_ = improvement([x, x + 100], [y, y])
    assert both == pytest.approx((estimate + 1) / 2)


@pytest.mark.integration
def test_its_interval_is_the_plain_bootstrap_of_both_sides():
    rng = np.random.default_rng(3)
    x, y = rng.normal(0.5, 1, 10), rng.normal(0, 1, 10)
    _, low, high = improvement([x], [y])
    drawn = [stats.mannwhitneyu(rng.choice(x, 10), rng.choice(y, 10)).statistic / 100 for _ in range(2000)]
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.03)


def test_equal_runs_improve_on_nothing():
    assert improvement([np.ones(5)], [np.ones(5)]) == (0.5, 0.5, 0.5)
    assert math.isnan(improvement([], [])[0])
    assert math.isnan(improvement([np.ones(4)], [np.ones(5)])[1])


def test_games_are_shares_of_pairs_and_missing_entries_have_none():
    shares = games([np.array([1.0, 3.0]), np.array([2.0]), np.array([])])
    assert shares[0, 1] == 0.5
    assert shares[0, 0] == 0.5
    assert np.isnan(shares[2]).all()
    assert np.isnan(games([np.array([])])).all()


def test_ranks_are_scipys():
    means = np.random.default_rng(4).integers(0, 5, size=(7, 6)).astype(float)
    assert mean_ranks(means) == pytest.approx(stats.rankdata(-means, axis=0).mean(axis=1))


def test_the_order_of_runs_breaks_no_tie():
    one, other = np.array([0.1, 0.2, 0.3]), np.array([0.3, 0.2, 0.1])
    assert one.mean() != other.mean()
    assert across.mean(one) == across.mean(other)
    means = np.array([[across.mean(part)] * 6 for part in (one, other)])
    assert mean_ranks(means).tolist() == [1.5, 1.5]
    assert signed_rank_p(np.array([0.3 - 0.2, -(0.2 - 0.1)])) == 1


@pytest.mark.parametrize("n", [5, 9, 14, 40])
def test_the_signed_rank_test_is_scipys_exact_one(n):
    d = np.random.default_rng(n).normal(0.4, 1, n)
    assert signed_rank_p(d) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)


def test_ties_and_zeros_are_counted_exactly():
    d = np.array([1.0, 1.0, -1.0, 0.0, 2.0])
    flips = np.array(np.meshgrid(*[[-1, 1]] * 5)).reshape(5, -1).T
    ranks = stats.rankdata(np.abs(d)) * np.sign(d)
    assert signed_rank_p(d) == pytest.approx(np.mean(np.abs(flips @ ranks) >= abs(ranks.sum()) - 1e-12))
    assert signed_rank_p(np.zeros(3)) == 1


def test_a_test_is_possible_only_with_enough_tasks():
    assert not across.can_tell_apart(2, 5)  # 2^-4 = .0625
    assert across.can_tell_apart(2, 6)
    assert not across.can_tell_apart(8, 9)  # 28 pairs x 2^-8
    assert across.can_tell_apart(8, 11)
    assert not across.can_tell_apart(1, 100)


def test_cliques_join_what_is_not_told_apart():
    rng = np.random.default_rng(5)
    base = rng.normal(size=12)
    means = np.stack([base + 3, base + 3 + rng.normal(0, 0.1, 12), base, base + rng.normal(0, 0.1, 12)])
    assert cliques(means) == [[0], [0], [1], [1]]
    assert cliques(np.stack([base, base + 1e-9 * rng.normal(size=12)])) == [[0], [0]]


def test_an_entry_between_two_that_differ_is_in_both_of_their_cliques():
    d = np.arange(1, 13) / 12
    means = np.stack([d, np.where(np.arange(12) % 2, d - 0.01, d + 0.01), d - 2])
    assert cliques(means) == [[0], [0], [1]]
    chain = np.array([[False, False, True], [False, False, False], [True, False, False]])
    assert _runs_alike(chain) == [range(2), range(1, 3)]


def test_games_are_the_shares_of_pairs_won_with_ties_as_halves():
    rng = np.random.default_rng(5)
    merits = [np.round(rng.normal(size=n), 1) for n in (7, 0, 1, 30, 30)]  # rounded: many ties
    found = games(merits)
    for i, ours in enumerate(merits):
        for j, theirs in enumerate(merits):
            pairs = [(a > b) + (a == b) / 2 for a in ours for b in theirs]
            assert found[i, j] == sum(pairs) / len(pairs) if pairs else np.isnan(found[i, j])
