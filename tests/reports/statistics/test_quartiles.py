"""Several curves as one."""

import math

from rnnbench.reports.statistics.quartiles import quartiles


def test_median_and_quartiles_of_those_that_are_there():
    median, lower, upper = quartiles([[0.0, 1.0, math.nan], [4.0, 3.0], [8.0, math.nan]])
    assert (median[:2], lower[:2], upper[:2]) == ([4.0, 2.0], [2.0, 1.5], [6.0, 2.5])
    assert all(math.isnan(each[2]) for each in (median, lower, upper))
