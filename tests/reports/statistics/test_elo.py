"""Bradley-Terry against closed forms, scipy's optimiser, and what the numbers mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from rnnbench.reports.statistics.elo import FEWEST_TASKS, SCALE, elo, fit


def two(*won: float) -> np.ndarray:
    return np.array([[[0.5, share], [1 - share, 0.5]] for share in won])


def random_wins(seed, n=6):
    wins = np.random.default_rng(seed).uniform(0.2, 5, size=(n, n))
    np.fill_diagonal(wins, 0)
    return wins


@pytest.mark.parametrize("won", [(1.0,), (1.0, 1.0, 1.0), (1.0, 0.0, 0.25)])
def test_of_two_entries_it_is_the_logarithm_of_the_odds(won):
    points = sum(won) + 0.5, len(won) - sum(won) + 0.5  # with the drawn game
    strengths = elo(two(*won), anchor=1).strength
    assert strengths[1] == 1000
    assert strengths[0] == pytest.approx(1000 + 400 * np.log10(points[0] / points[1]))


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_maximum_of_the_likelihood_by_another_optimiser(seed):
    wins = random_wins(seed)

    def loss(free):
        theta = np.r_[0.0, free]
        return float((wins * np.logaddexp(0, theta[None, :] - theta[:, None])).sum())

    other = np.r_[0.0, minimize(loss, np.zeros(5), method="BFGS", options={"gtol": 1e-9}).x]
    assert fit(wins[None])[0] == pytest.approx(other - other.mean(), abs=1e-5)


def test_a_batch_is_its_tables_one_by_one():
    tables = np.stack([random_wins(seed) for seed in range(4)])
    assert fit(tables) == pytest.approx(np.concatenate([fit(table[None]) for table in tables]))


def test_expected_points_are_the_points_won():
    wins = random_wins(7)
    theta = fit(wins[None])[0]
    p = 1 / (1 + np.exp(theta[None, :] - theta[:, None]))
    assert ((wins + wins.T) * p).sum(axis=1) == pytest.approx(wins.sum(axis=1))


def test_one_who_always_wins_has_a_finite_strength_and_less_of_it_with_fewer_games():
    few, many = (elo(two(*[1.0] * n), anchor=1).strength[0] for n in (2, 20))
    assert 1000 < few < many < 2000


def test_without_an_anchor_the_mean_is_a_thousand():
    assert elo(two(1.0, 0.8)).strength.mean() == pytest.approx(1000)


def test_few_tasks_give_no_interval_and_no_rank():
    found = elo(two(*[1.0] * (FEWEST_TASKS - 1)))
    assert np.isnan(found.low).all()
    assert (found.rank == 0).all()


def test_overlapping_intervals_share_a_rank_and_the_anchor_has_none():
    clear, open_ = elo(two(*[1.0, 0.9, 1.0, 0.9] * 3), 1), elo(two(*[1.0, 0.0] * 4), 1)
    assert clear.rank.tolist() == [1, 2]
    assert open_.rank.tolist() == [1, 1]
    assert (clear.low[1], clear.high[1]) == (1000, 1000)


def test_the_interval_is_the_bootstrap_over_tasks():
    won = [1.0, 0.6, 0.2, 0.9, 0.7, 0.8, 0.4]
    found = elo(two(*won), 1)
    rng = np.random.default_rng(1)
    points = np.array([rng.choice(won, len(won)).sum() for _ in range(4000)]) + 0.5
    drawn = 1000 + SCALE * np.log(points / (len(won) + 1 - points))
    assert (found.low[0], found.high[0]) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=25)
    assert np.array_equal(elo(two(*won), 1).low, found.low)


def test_entries_that_never_met_are_linked_by_those_who_met_both():
    shares = np.full((2, 3, 3), np.nan)
    shares[0, :2, :2] = two(0.8)[0]
    shares[1, 1:, 1:] = two(0.8)[0]
    strengths = elo(shares, 1).strength
    assert strengths[0] > strengths[1] > strengths[2]


def test_tasks_of_one_dataset_are_drawn_together():
    won = [1.0, 0.6, 0.2, 0.9, 0.7]
    alone, five = elo(two(*won), 1), elo(two(*np.repeat(won, 5)), 1, datasets=np.repeat(range(5), 5).tolist())
    assert five.strength[0] > alone.strength[0] > 1000  # the drawn game weighs less
    apart = elo(two(*np.repeat(won, 5)), 1)
    assert five.high[0] - five.low[0] > 1.5 * (apart.high[0] - apart.low[0])
    assert np.isnan(elo(two(*won), 1, datasets=[0, 0, 1, 2, 3]).low).all()
