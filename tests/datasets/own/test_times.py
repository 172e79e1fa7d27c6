"""Times in users' files: formats, offsets, local time, numbers that are dates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnbench.datasets.own import table, times
from rnnbench.datasets.own.table import Column, Options
from rnnbench.errors import BadInput

STAMPS = pd.to_datetime(["2024-02-13 14:05:00", "2024-03-01 00:00:00", "2024-12-31 23:59:00"])


def column(folder: Path, cells: list[str], **options: object) -> Column:
    path = folder / "x.csv"
    path.write_text("\n".join(["d;a", *(f"{cell};1" for cell in cells)]), encoding="utf-8")
    return table.read(path, Options(**options)).columns["d"]


FORMATS = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S.%f",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%d-%b-%Y %H:%M",
    "%d %B %Y %H:%M:%S",
    "%B %d, %Y %H:%M",
]


@pytest.mark.parametrize("code", FORMATS)
def test_a_format_is_found(tmp_path, code):
    found = column(tmp_path, [stamp.strftime(code) for stamp in STAMPS])
    assert found.kind == "time"
    assert not found.offset
    np.testing.assert_array_equal(found.values, STAMPS.to_numpy("M8[ns]"))


@pytest.mark.parametrize("code", ["%y%m%d-%H:%M", "%H:%M %d.%m.%y"])
def test_a_format_is_given(tmp_path, code):
    found = column(tmp_path, [stamp.strftime(code) for stamp in STAMPS], date_format=code)
    np.testing.assert_array_equal(found.values, STAMPS.to_numpy("M8[ns]"))


def test_days_months_and_quarters(tmp_path):
    assert column(tmp_path, ["2024-02-13", "2024-02-14"]).values.astype(str)[0][:16] == "2024-02-13T00:00"
    assert column(tmp_path, ["2024-02", "2024-03"]).values.astype("M8[D]").astype(str).tolist() == [
        "2024-02-01",
        "2024-03-01",
    ]
    assert column(tmp_path, ["2024Q4", "2025Q1"]).values.astype("M8[D]").astype(str).tolist() == [
        "2024-10-01",
        "2025-01-01",
    ]


@pytest.mark.parametrize("cells", [["{}+02:00", "{}+01:00"], ["{} +0200", "{} +0100"], ["{}+02", "{}+01"]])
def test_offsets_become_utc(tmp_path, cells):
    found = column(tmp_path, [cell.format("2024-10-27 02:30") for cell in cells])
    assert found.offset
    assert found.values.astype("M8[m]").astype(str).tolist() == ["2024-10-27T00:30", "2024-10-27T01:30"]


def test_local_time_becomes_utc_across_both_clock_changes(tmp_path):
    utc = pd.date_range("2024-03-30 22:00", "2024-10-28 03:00", freq="30min", tz="UTC")
    local = utc.tz_convert("Europe/Berlin").strftime("%Y-%m-%d %H:%M").tolist()
    found = column(tmp_path, local, timezone="Europe/Berlin")
    assert found.offset
    np.testing.assert_array_equal(found.values, utc.tz_localize(None).to_numpy("M8[ns]"))
    twice = column(tmp_path, local + local, timezone="Europe/Berlin")  # two series, one after the other
    np.testing.assert_array_equal(twice.values, np.tile(utc.tz_localize(None).to_numpy("M8[ns]"), 2))


def test_local_time_that_does_not_exist_or_cannot_be_placed_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"line 3 of x.csv: 2024-03-31 02:30 does not exist in Europe/Berlin"):
        _ = column(tmp_path, ["2024-03-31 01:00", "2024-03-31 02:30"], timezone="Europe/Berlin").values
    interleaved = [f"2024-10-27 0{hour}:00" for hour in (1, 1, 2, 2, 2, 2, 3, 3)]
    with pytest.raises(BadInput, match=r"line 4 of x.csv: 2024-10-27 02:00 is twice in Europe/Berlin"):
        _ = column(tmp_path, interleaved, timezone="Europe/Berlin").values


def numbers(*values: float) -> Column:
    return Column("t", "number", np.array(values, np.float64))


@pytest.mark.parametrize(
    ("values", "expected", "offset"),
    [
        ((20240131, 20240229), ["2024-01-31", "2024-02-29"], False),
        ((19580329, np.nan), ["1958-03-29", "NaT"], False),
        ((1700, 2008), ["1700-01-01", "2008-01-01"], False),
        ((1704067200, 1704153600), ["2024-01-01", "2024-01-02"], True),
        ((1704067200000, 1704153600000), ["2024-01-01", "2024-01-02"], True),
    ],
)
def test_numbers_as_times(values, expected, offset):
    found = table.as_time(numbers(*values), Options())
    assert found.kind == "time"
    assert found.offset == offset
    assert found.values.astype("M8[D]").astype(str).tolist() == expected


def test_numbers_in_a_format_that_is_given():
    found = table.as_time(numbers(202401311230, np.nan), Options(date_format="%Y%m%d%H%M"))
    assert found.values.astype("M8[m]").astype(str).tolist() == ["2024-01-31T12:30", "NaT"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ((20240230, 20240101), "'t' reads as dates (YYYYMMDD), and 20240230 is none."),
        ((1.5, 2), "'t' holds numbers that are no times: 1.5 is none."),
        ((np.nan,), "'t' holds numbers that are no times: all are missing."),
        ((0, 1, 2), "'t' holds numbers from 0 to 2, neither dates"),
        ((np.inf, 1), "'t' holds numbers that are no times: inf is none."),
    ],
)
def test_numbers_that_are_no_times_are_refused(values, sentence):
    with pytest.raises(BadInput) as caught:
        table.as_time(numbers(*values), Options())
    assert str(caught.value).startswith(sentence)


def test_a_text_is_no_time():
    with pytest.raises(BadInput, match=r"'t' holds no times \(the first is 'soon'\)"):
        table.as_time(Column("t", "text", None, first="soon"), Options())


def test_most_cells_decide_and_the_others_are_counted():
    assert times.infer(["2024-01-01"] * 95 + ["?!"] * 5) == times.TimeFormat(times.ISO)
    assert times.infer(["2024-01-01"] * 94 + ["?!"] * 6) is None
