"""The best share of a search's trials, resampled."""

import math

import numpy as np
import pytest

from rnnbench.reports.statistics.best_share import percentile_interval, resampled_best_share
from rnnbench.reports.statistics.means import RESAMPLES


def test_the_best_by_validation_is_read_on_test():
    val, test = np.arange(40.0), 100 - np.arange(40.0)
    means = resampled_best_share(val, test, 1)
    assert means.shape == (RESAMPLES,)
    share = (means == 100).mean()  # of the resamples that hold the best trial
    assert share == pytest.approx(1 - (1 - 1 / 40) ** 40, abs=0.02)


def test_failed_trials_rank_last_and_are_never_averaged():
    val, test = np.array([math.nan, 2.0, 1.0]), np.array([5.0, 7.0, math.nan])
    means = resampled_best_share(val, test, 2)
    known = means[np.isfinite(means)]
    assert set(known.tolist()) == {7.0}
    assert np.isnan(means).mean() == pytest.approx((2 / 3) ** 3, abs=0.02)  # resamples without the one that has both


def test_the_same_seed_gives_the_same_draws():
    val = test = np.random.default_rng(0).random(30)
    assert (resampled_best_share(val, test, 3) == resampled_best_share(val, test, 3)).all()
    assert (resampled_best_share(val, test, 3) != resampled_best_share(val, test, 3, seed=1)).any()


def test_the_interval_leaves_out_what_is_not_finite():
    values = np.array([*range(101), math.nan, math.inf])
    assert percentile_interval(values, 0.1) == (5.0, 95.0)
    assert all(map(math.isnan, percentile_interval(np.array([math.nan]), 0.05)))
