from __future__ import annotations

import math

import pytest

from rnnbench.reports.tables.frames import frame_to_csv, typed_frame

COLUMNS = {"name": "str", "n": "Int64", "mean": "float64"}


def test_columns_keep_their_types_without_rows_as_with_them():
    rows = [{"name": "a", "n": 1, "mean": 0.5, "more": 3}, {"name": None, "n": None, "mean": math.nan}]
    full, empty = typed_frame(rows, COLUMNS), typed_frame([], COLUMNS)
    assert list(full) == list(empty) == list(COLUMNS)
    assert full.dtypes.equals(empty.dtypes)
    assert full["n"].tolist()[0] == 1


def test_a_row_that_lacks_a_column_is_an_error():
    with pytest.raises(KeyError, match="mean"):
        typed_frame([{"name": "a", "n": 1}], COLUMNS)


def test_csv_has_six_digits_and_nothing_for_what_is_missing():
    rows = [{"name": "a, b", "n": 1, "mean": 0.123456789}, {"name": None, "n": None, "mean": math.nan}]
    assert frame_to_csv(typed_frame(rows, COLUMNS)) == 'name,n,mean\n"a, b",1,0.123457\n,,\n'
