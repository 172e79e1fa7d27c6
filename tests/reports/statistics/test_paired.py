"""Paired statistics against independent implementations and by hand."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from rnnbench.reports.statistics.paired import EXACT_UP_TO, holm, paired, sign_flip_p, smallest_p


def differences(n, *, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1, n)


@pytest.mark.parametrize("n", [2, 5, 8, 11, 13])
@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_the_exact_p_is_scipys(n, shift):
    d = differences(n, shift=shift, seed=n)
    theirs = scipy_stats.permutation_test(
        (d, np.zeros(n)), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=2**n
    )
    assert sign_flip_p(d) == pytest.approx(theirs.pvalue, abs=1e-12)


def test_the_exact_p_by_counting_every_pattern():
    d = differences(16, shift=0.4)
    patterns = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    sums = np.abs((2 * patterns - 1) @ d)
    assert sign_flip_p(d) == pytest.approx(np.mean(sums >= abs(d.sum()) - 1e-9), abs=1e-12)


def test_beyond_sixteen_pairs_the_drawn_p_is_near_the_exact_one():
    d = differences(18, shift=0.5, seed=3)
    sums = np.array([0.0])
    for value in d:
        sums = np.concatenate([sums + value, sums - value])
    exact = np.mean(np.abs(sums) >= abs(d.sum()) - 1e-9)
    assert d.size > EXACT_UP_TO
    assert sign_flip_p(d) == pytest.approx(exact, abs=5 * math.sqrt(exact / 100_000))
    assert sign_flip_p(d) == sign_flip_p(d[::-1])
    assert sign_flip_p(np.full(40, 0.1)) == pytest.approx(1 / 100_001)


def test_divergences_are_tested_as_mcnemar_does():
    d = [1.0] * 5 + [-1.0] + [0.0] * 4
    assert sign_flip_p(d) == pytest.approx(scipy_stats.binomtest(5, 6).pvalue)


@pytest.mark.parametrize("n", [1, 3, 5, 8])
def test_equal_signs_give_the_smallest_p(n):
    assert sign_flip_p(np.arange(1, n + 1)) == smallest_p(n) == 2 ** (1 - n)


def test_what_the_protocol_says_of_five_and_eight_pairs():
    assert smallest_p(5) == 0.0625
    assert 6 * smallest_p(8) < 0.05 < 7 * smallest_p(8)


def test_no_difference_at_all_is_p_1_and_an_interval_of_nothing():
    result = paired([0.0] * 8)
    assert (result.n, result.mean, result.low, result.high, result.p) == (8, 0, 0, 0, 1)


def test_sums_that_are_equal_but_for_rounding_count_as_equal():
    assert sign_flip_p([0.1, 0.2, 0.3]) == 0.25
    assert sign_flip_p([0.3, 0.1, -0.2]) == pytest.approx(6 / 8)  # |+-.3 +-.1 -+.2|: .2 or more in 6 of 8


def test_the_interval_is_students_below_ten_pairs_and_bootstrap_above():
    few, many = differences(9, shift=0.3), differences(12, shift=0.3)
    low, high = scipy_stats.t.interval(0.95, 8, few.mean(), scipy_stats.sem(few))
    assert (paired(few).low, paired(few).high) == pytest.approx((low, high))
    tail = scipy_stats.norm.cdf(-math.sqrt(12 / 11) * scipy_stats.t.ppf(0.975, 11))  # expanded percentiles
    theirs = scipy_stats.bootstrap(
        (many,), np.mean, confidence_level=1 - 2 * tail, method="percentile", rng=np.random.default_rng(1)
    )
    assert (paired(many).low, paired(many).high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)
    assert paired(many) == paired(many[::-1])


def test_nothing_to_compare_has_no_numbers():
    result = paired([])
    assert result.n == 0
    assert all(map(math.isnan, (result.mean, result.low, result.high, result.p)))


def test_what_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite"):
        sign_flip_p([1.0, math.nan])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_leaves_out_what_was_not_tested():
    found = holm([0.02, math.nan, 0.03])
    assert found[0] == pytest.approx(0.04)
    assert found[2] == pytest.approx(0.04)
    assert math.isnan(found[1])


def test_holm_keeps_the_family_wise_error():
    generator = np.random.default_rng(0)
    wrong = sum(min(holm([sign_flip_p(generator.normal(size=8)) for _ in range(3)])) < 0.05 for _ in range(400))
    assert wrong / 400 < 0.08
