from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.reports.statistics.ratios import log_ratio, ratio_of

POSITIVE = st.floats(min_value=5e-324, max_value=1.7e308)


@given(POSITIVE, POSITIVE)
def test_every_pair_of_positive_floats_has_a_logarithm(a, b):
    found = log_ratio(a, b)
    assert found == pytest.approx(math.log(a) - math.log(b), rel=1e-9, abs=1e-9)
    if 0 < a / b < math.inf:
        assert found == math.log(a / b)
    assert ratio_of(found) >= 0


def test_a_ratio_beyond_every_float_is_infinite_and_none_is_none():
    assert (ratio_of(1e3), ratio_of(-1e3), ratio_of(0.0)) == (math.inf, 0.0, 1.0)
    assert math.isnan(ratio_of(math.nan))
