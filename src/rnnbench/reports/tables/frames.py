"""Frames whose columns have one type each, with rows or without any, and their text as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

from rnnbench.store.text import csv_cell

# One row of a table by column. What a cell may hold is said by the columns that a table names, not here.
Row = dict[str, Any]


def typed_frame(rows: Sequence[Row], columns: Mapping[str, str]) -> pd.DataFrame:
    """A frame of rows with these columns and no others. columns: the pandas type by name, also where there are no rows.

    Raises KeyError where a row lacks a column.
    """
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in columns.items()})


def frame_to_csv(frame: pd.DataFrame) -> str:
    """Every column, floats to 6 significant digits, what is missing empty, lines ended by a newline alone.

    Texts, column names among them, are safe in a terminal and in a spreadsheet (`store.text`).
    """
    safe = frame.apply(_safe).rename(columns=csv_cell)
    return safe.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def _safe(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column whose texts are safe; numbers and times are as they are."""
    if is_numeric_dtype(column) or is_datetime64_any_dtype(column):
        return column
    return column.astype(object).map(csv_cell, na_action="ignore")
