"""Censored times to solve, against a published trial, assignments counted one by one, and simulated seeds."""

import itertools
import math

import numpy as np
import pytest

from rnnbench.reports.statistics.survival import kaplan_meier, logrank_p, logrank_scores, median_time

# Freireich et al. 1963, weeks to relapse under 6-MP (+: still well) and placebo, the example of Cox (1972) and of many
# text books since; what they print of it: S of 6-MP; its median 23 [13, none], placebo's 8 [4, 11] (log-log, as SAS
# has it); 9 relapses where 19.25 were to be expected, chi squared 16.79.
DRUG = ([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], [True] * 9 + [False] * 12)
PLACEBO = ([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [True] * 21)


def test_the_published_curve():
    at, share, greenwood = kaplan_meier(*DRUG)
    assert at.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert share == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
    assert np.sqrt(greenwood) * share == pytest.approx([0.076, 0.087, 0.096, 0.107, 0.114, 0.128, 0.135], abs=5e-4)


def test_the_published_medians():
    drug, placebo = median_time(*DRUG), median_time(*PLACEBO)
    assert (drug.median, drug.low, drug.high) == (23, 13, math.inf)
    assert (placebo.median, placebo.low, placebo.high) == (8, 4, 11)


def test_the_published_log_rank_test():
    times, events = [*DRUG[0], *PLACEBO[0]], [*DRUG[1], *PLACEBO[1]]
    scores = logrank_scores(times, events)
    assert scores[:21].sum() == pytest.approx(9 - 19.25, abs=5e-3)
    assert scores.sum() == pytest.approx(0, abs=1e-12)
    # The variance over all assignments is near that of the hypergeometric one, whose chi squared is 16.79.
    spread = 21 * 21 / 42 * scores.var(ddof=1)
    assert scores[:21].sum() ** 2 / spread == pytest.approx(16.79, rel=0.1)
    assert logrank_p(*DRUG, *PLACEBO) == pytest.approx(4e-5, abs=4e-5)


def test_without_censoring_the_median_is_the_middle_one_and_with_it_may_not_be_reached():
    assert median_time([50, 10, 30, 20, 40], [True] * 5).median == 30
    assert median_time([10, 20, 100, 100], [True, True, False, False]).median == 20
    nobody = median_time([100] * 8, [False] * 8)
    assert (nobody.median, nobody.low, nobody.high) == (math.inf, math.inf, math.inf)
    assert median_time([10, 100, 100], [True, False, False]).median == math.inf
    assert math.isnan(median_time([], []).median)


def test_a_run_that_is_watched_for_shorter_counts_up_to_there():
    # By hand: 5 watched at 1, 3 at 3 (one was lost at 2): 4/5 and 4/5 * 2/3.
    _, share, _ = kaplan_meier([1, 2, 3, 4, 4], [True, False, True, False, False])
    assert share == pytest.approx([4 / 5, 8 / 15])


def test_the_p_is_the_share_of_assignments_by_hand():
    def observed_less_expected(mine, others):
        found = 0.0
        for at in sorted({t for t, solved in (*mine, *others) if solved}):
            watched = [[run for run in side if run[0] >= at] for side in (mine, others)]
            solved = [sum(run == (at, True) for run in side) for side in watched]
            found += solved[0] - sum(solved) * len(watched[0]) / (len(watched[0]) + len(watched[1]))
        return found

    runs = [(100, True), (200, True), (200, True), (500, False), (300, True), (500, False), (500, False)]
    seen = abs(observed_less_expected(runs[:3], runs[3:]))
    hits = []
    for side in itertools.combinations(range(7), 3):
        mine, others = [runs[i] for i in side], [runs[i] for i in range(7) if i not in side]
        hits.append(abs(observed_less_expected(mine, others)) >= seen - 1e-12)
    times, solved = zip(*runs, strict=True)
    assert logrank_p(times[:3], solved[:3], times[3:], solved[3:]) == pytest.approx(np.mean(hits))
    assert len(hits) == 35


def test_the_clearest_result_of_8_and_8_runs_has_the_smallest_p():
    apart = logrank_p(range(1, 9), [True] * 8, [99] * 8, [False] * 8)
    assert apart == pytest.approx(2 / math.comb(16, 8))
    assert logrank_p([99] * 8, [False] * 8, [99] * 8, [False] * 8) == 1
    assert math.isnan(logrank_p([], [], [1], [True]))


def test_drawn_assignments_agree_with_counted_ones_and_are_the_same_each_time(monkeypatch):
    from rnnbench.reports.statistics import survival

    sides = ([100, 150, 200, 250, 400], [True] * 4 + [False]), ([150, 300, 350, 400, 400], [True] * 3 + [False] * 2)
    counted = logrank_p(*sides[0], *sides[1])
    monkeypatch.setattr(survival, "MOST_COUNTED", 0)
    drawn = logrank_p(*sides[0], *sides[1])
    assert drawn == pytest.approx(counted, abs=4 * math.sqrt(counted * (1 - counted) / survival.DRAWS))
    assert drawn == logrank_p(*sides[0], *sides[1])


@pytest.mark.parametrize("budget", [math.inf, 1.0])
def test_the_interval_of_the_median_of_8_runs_covers_the_truth(budget):
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(1_000):
        truth = rng.exponential(size=8)
        found = median_time(np.minimum(truth, min(budget, 1e9)), truth <= budget)
        covered += found.low <= math.log(2) <= found.high
    assert 0.94 <= covered / 1_000 <= 0.98


def test_the_test_holds_its_level_where_half_is_censored():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        truth = rng.exponential(size=10)
        solved = truth <= math.log(2)
        times = np.minimum(truth, math.log(2))
        hits += logrank_p(times[:5], solved[:5], times[5:], solved[5:]) <= 0.05
    assert hits / 400 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_impossible_times_are_refused():
    with pytest.raises(ValueError, match="finite and above 0"):
        kaplan_meier([0], [True])
    with pytest.raises(ValueError, match="finite and above 0"):
        median_time([math.inf], [False])
    with pytest.raises(ValueError, match="2 times and 1 words"):
        kaplan_meier([1, 2], [True])
