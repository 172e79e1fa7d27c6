"""Several curves as one: median and quartiles at each place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def quartiles(rows: Sequence[Sequence[float]]) -> tuple[list[float], list[float], list[float]]:
    """Median, lower and upper quartile at each place of several curves; NaN where none of them has a value.

    A curve that is shorter than the others, or has NaN at a place, is left out there.
    """
    longest = max(map(len, rows))
    table = np.full((len(rows), longest), np.nan)
    for n, row in enumerate(rows):
        table[n, : len(row)] = row
    is_known = ~np.isnan(table).all(axis=0)
    found = np.full((3, longest), np.nan)
    found[:, is_known] = np.nanquantile(table[:, is_known], [0.5, 0.25, 0.75], axis=0)
    median, lower, upper = found.tolist()
    return median, lower, upper
