"""Parquet, and folders of its parts, as columns of a table."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnnbench.datasets.own import table
from rnnbench.datasets.own.table import Options
from rnnbench.errors import BadInput

HOURS = [datetime.datetime(2024, 1, 1, hour) for hour in range(3)]


def written(folder: Path, columns: dict[str, Any], name: str = "x.parquet") -> Path:
    pq.write_table(pa.table(columns), folder / name)
    return folder / name


def test_every_kind_of_number_is_float64(tmp_path):
    columns = {
        "int": pa.array([1, None, 3], pa.int32()),
        "unsigned": pa.array([2**63, 1, 2], pa.uint64()),
        "half": pa.array(np.array([1, 2, 3], np.float16)),
        "single": pa.array([1.5, None, float("inf")], pa.float32()),
        "decimal": pa.array([decimal.Decimal("1.25"), None, decimal.Decimal("-2")]),
        "bool": [True, None, False],
        "nothing": pa.nulls(3),
        "text": ["1.5", "NA", "-2"],
    }
    found = table.read(written(tmp_path, columns))
    values = {name: column.values for name, column in found.columns.items()}
    assert {column.kind for column in found.columns.values()} == {"number"}
    assert {each.dtype for each in values.values()} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(values["int"], [1, np.nan, 3])
    np.testing.assert_array_equal(values["unsigned"], [2.0**63, 1, 2])
    np.testing.assert_array_equal(values["half"], [1, 2, 3])
    np.testing.assert_array_equal(values["single"], [1.5, np.nan, np.inf])
    np.testing.assert_array_equal(values["decimal"], [1.25, np.nan, -2])
    np.testing.assert_array_equal(values["bool"], [1, np.nan, 0])
    np.testing.assert_array_equal(values["nothing"], [np.nan] * 3)
    np.testing.assert_array_equal(values["text"], [1.5, np.nan, -2])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_every_unit_with_and_without_a_zone(tmp_path, unit):
    zoned = pd.Series(HOURS).dt.tz_localize("Europe/Berlin")
    columns = {
        "local": pa.array(HOURS, pa.timestamp(unit)),
        "zoned": pa.array(zoned, pa.timestamp(unit, "Europe/Berlin")),
        "text": ["2024-01-01T00:00:00Z", None, "2024-01-01T02:00:00Z"],
        "day": [datetime.date(2024, 1, day) for day in (1, 2, 3)],
    }
    found = table.read(written(tmp_path, columns)).columns
    assert {name: column.offset for name, column in found.items()} == {
        "local": False,
        "zoned": True,
        "text": True,
        "day": False,
    }
    np.testing.assert_array_equal(found["local"].values, np.array(HOURS, "M8[ns]"))
    np.testing.assert_array_equal(found["zoned"].values, np.array(HOURS, "M8[ns]") - np.timedelta64(1, "h"))
    assert np.isnat(found["text"].values).tolist() == [False, True, False]
    assert str(found["day"].values[2])[:13] == "2024-01-03T00"


def test_local_times_become_utc(tmp_path):
    path = written(tmp_path, {"d": pa.array(HOURS, pa.timestamp("us"))})
    found = table.read(path, Options(timezone="Europe/Berlin")).columns["d"]
    assert found.offset
    np.testing.assert_array_equal(found.values, np.array(HOURS, "M8[ns]") - np.timedelta64(1, "h"))


def test_texts_dictionaries_and_what_is_nested(tmp_path):
    columns = {
        "id": pa.array(["a", None, "a"]).dictionary_encode(),
        "number": [7, 8, None],
        "large": pa.array(["x", "y", "z"], pa.large_string()),
        "list": [[1], [2], [3]],
        "struct": [{"a": 1}] * 3,
    }
    found = table.read(written(tmp_path, columns), texts=["id", "number", "list"])
    assert {name: column.kind for name, column in found.columns.items()} == {
        "id": "text",
        "number": "text",
        "large": "text",
        "list": "other",
        "struct": "other",
    }
    assert found.columns["id"].values.tolist() == ["a", "", "a"]
    assert found.columns["number"].values.tolist() == ["7", "8", ""]
    assert found.columns["large"].values is None
    assert found.line(0) is None


def test_the_index_that_pandas_wrote(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.to_datetime(["2024-01-01", "2024-01-02"]))
    frame.to_parquet(tmp_path / "x.parquet")
    found = table.read(tmp_path / "x.parquet")
    assert found.columns["index"].kind == "time"


def test_a_folder_is_its_parts_in_order_of_their_names(tmp_path):
    parts = tmp_path / "parts"
    parts.mkdir()
    with pytest.raises(BadInput, match=r"^parts is a folder without a .parquet file.$"):
        table.read(parts)
    for number in (2, 0, 1):
        written(parts, {"a": [float(number)] * 2, "d": HOURS[:2]}, f"part-{number}.parquet")
    written(parts, {"b": [1]}, "_hidden.parquet")
    found = table.read(parts)
    assert found.columns["a"].values.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.rows == 6
    written(parts, {"a": ["x"], "d": HOURS[:1]}, "part-3.parquet")
    with pytest.raises(BadInput, match=r"^'a' is number in part-0.parquet and text in part-3.parquet.$"):
        table.read(parts)
    written(parts, {"a": [1.0]}, "part-3.parquet")
    with pytest.raises(BadInput, match=r"^'d' is a column of some parts only \(part-0.parquet, part-3.parquet\).$"):
        table.read(parts)


REFUSED = {
    "no rows": ({"a": pa.array([], pa.float64())}, {}, "x.parquet holds names and no row."),
    "order": (
        {"d": ["01/02/2024"] * 9},
        {},
        "01/02/2024 may be 1 February or 2 January: dataset.date_format=%d/%m/%Y.",
    ),
    "unit": ({"a": ["1.5"] * 2000 + ["kW"]}, {}, "'a' is no number at row 2001 of x.parquet: 'kW'."),
    "far": ({"d": [datetime.datetime(1600, 1, 1)]}, {}, "'d' is no time at row 1 of x.parquet: '1600-01-01 00:00:00'."),
    "column": ({"load": [1.0]}, {"columns": ("laod",)}, "no column 'laod'; did you mean 'load'?"),
    "separator": ({"a": [1.0]}, {"separator": ";"}, "dataset.separator cannot act on x.parquet, which is Parquet."),
}


def values_of(path: Path, **options: Any) -> list[Any]:
    return [column.values for column in table.read(path, Options(**options)).columns.values()]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path, name):
    columns, options, sentence = REFUSED[name]
    path = written(tmp_path, columns)
    with pytest.raises(BadInput) as caught:
        values_of(path, **options)
    assert str(caught.value) == sentence


def test_two_columns_of_one_name(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), tmp_path / "x.parquet")
    with pytest.raises(BadInput, match=r"^'a' names two columns of x.parquet: rename one.$"):
        table.read(tmp_path / "x.parquet")


def test_damaged_files_are_refused(tmp_path):
    path = written(tmp_path, {"a": np.arange(999.0), "d": pd.date_range("2024", periods=999)})
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[: len(whole) // 2], whole[:40] + b"\xff" * 400 + whole[440:]):
        path.write_bytes(content)
        with pytest.raises(BadInput) as caught:
            values_of(path)
        assert "\n" not in str(caught.value)


def test_the_order_of_day_and_month_may_be_told_late(tmp_path):
    found = table.read(written(tmp_path, {"d": ["01/02/2024"] * 2000 + ["13/02/2024"]}))
    assert str(found.columns["d"].values[0])[:10] == "2024-02-01"
    assert found.said == ["day first (13/02/2024)"]
