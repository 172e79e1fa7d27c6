from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rnnbench.reports.statistics.means import mean_ci

FLOATS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("n", range(3, 10))
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_t_interval_below_ten_equals_scipy(n, level):
    x = np.random.default_rng(n).normal(3, 2, n)
    expected = stats.t.interval(level, n - 1, loc=x.mean(), scale=stats.sem(x))
    assert mean_ci(x, level) == pytest.approx((x.mean(), *expected), rel=1e-12)


def test_t_interval_in_closed_form():
    # With 2 degrees of freedom t = (2p - 1) / sqrt(2 p (1 - p)), which is 4.3027 at p = .975; the deviation is 1.
    mean, low, high = mean_ci([1, 2, 3])
    assert mean == 2
    assert high - mean == pytest.approx(0.95 / math.sqrt(2 * 0.975 * 0.025) / math.sqrt(3))
    assert mean - low == pytest.approx(high - mean)


def expanded(level: float, n: int) -> float:
    """The level whose plain percentiles are the expanded ones (Hesterberg 2015)."""
    return 1 - 2 * stats.norm.cdf(-math.sqrt(n / (n - 1)) * stats.t.ppf(0.5 + level / 2, n - 1))


@pytest.mark.parametrize("n", [10, 12, 16])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bootstrap_from_ten_agrees_with_scipy(n, level):
    x = np.random.default_rng(n).exponential(2, n)
    mean, low, high = mean_ci(x, level)
    theirs = stats.bootstrap(
        (x,), np.mean, n_resamples=10_000, confidence_level=expanded(level, n), method="percentile",
        rng=np.random.default_rng(1),
    )  # fmt: skip
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert mean == pytest.approx(x.mean())
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)
    tails = (0.5 - level / 2, 0.5 + level / 2)
    draws = np.random.default_rng(0).integers(0, n, size=(10_000, n))
    plain = np.diff(np.quantile(np.sort(x)[draws].mean(axis=1), tails)).item()
    wider = stats.t.ppf(tails[1], n - 1) * math.sqrt(n / (n - 1)) / stats.norm.ppf(tails[1])
    assert (high - low) / plain == pytest.approx(wider, rel=0.05), "wider than the plain percentiles of the same draw"


@pytest.mark.parametrize("n", [9, 10])
def test_it_covers_the_mean_as_often_as_it_says_on_either_side_of_ten(n):
    draws = np.random.default_rng(n).normal(size=(400, n))
    covered = np.mean([low <= 0 <= high for _, low, high in map(mean_ci, draws)])
    assert 0.925 < covered < 0.98, "the plain percentiles cover .90 of 10"


def test_bootstrap_is_seeded():
    x = np.random.default_rng(0).normal(size=12)
    assert mean_ci(x) == mean_ci(x)
    assert mean_ci(x, seed=1) != mean_ci(x)


def test_too_few_values_have_no_interval():
    assert all(math.isnan(v) for v in mean_ci([]))
    for values in ([0.5], [0.5, 0.7], [0.1, 0.1]):
        mean, low, high = mean_ci(values)
        assert mean == pytest.approx(np.mean(values))
        assert math.isnan(low)
        assert math.isnan(high)


def test_equal_values_have_an_interval_of_exactly_no_width():
    assert mean_ci([0.1] * 3) == (0.1, 0.1, 0.1)
    assert mean_ci([0.1] * 12) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_must_be_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        mean_ci([1, 2, bad])


@pytest.mark.parametrize("level", [0, 1, 95])
def test_level_must_be_a_probability(level):
    with pytest.raises(ValueError, match="level"):
        mean_ci([1, 2, 3], level)


@given(st.lists(FLOATS, min_size=3, max_size=14), st.randoms())
def test_order_does_not_matter_and_the_mean_lies_within(values, random):
    shuffled = list(values)
    random.shuffle(shuffled)
    mean, low, high = mean_ci(values)
    assert mean_ci(shuffled) == (mean, low, high)
    assert low - 1e-6 <= mean <= high + 1e-6
