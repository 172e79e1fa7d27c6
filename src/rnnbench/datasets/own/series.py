"""A user's series, from a file to what is said of it. The parts: columns, grid, windows, floors, words. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.own.series_options import Options
from rnnbench.datasets.own.series_read import Series, read
from rnnbench.datasets.own.series_words import describe

__all__ = ["Options", "Series", "describe", "read", "reading"]


def reading(options: Mapping[str, Any]) -> Reading:
    """Read and check what a dataset's options name, and say what would be trained on.

    options: the dataset's node as in its yaml, without `meta` and `_target_`. Raises BadInput on whatever cannot be
    meant, MissingData where a file is missing.
    """
    return describe(read(Options.of(options)))
