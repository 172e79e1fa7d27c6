"""Frames whose columns have one type each, with rows or without any, and their text as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

# One row of a table by column. What a cell may hold is said by the columns that a table names, not here.
Row = dict[str, Any]


def typed_frame(rows: Sequence[Row], columns: Mapping[str, str]) -> pd.DataFrame:
    """A frame of rows with these columns and no others. columns: the pandas type by name, also where there are no rows.

    Raises KeyError where a row lacks a column.
    """
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in columns.items()})


def frame_to_csv(frame: pd.DataFrame) -> str:
    """Every column, floats to 6 significant digits, what is missing empty, lines ended by a newline alone."""
    return frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
