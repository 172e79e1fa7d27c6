"""Users' tables from file to typed columns: the small files of all kinds, packed ones, bounds, and random dialects."""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rnnbench.datasets.own import delimited, stream, table
from rnnbench.datasets.own.table import Options
from rnnbench.errors import BadInput, MissingData

CASES = Path(os.environ.get("RNNBENCH_DATA", "nowhere")) / "own_cases"


def good() -> pd.DataFrame:
    return pd.read_csv(CASES / "s01_good.csv", parse_dates=["date"])


@pytest.mark.data
@pytest.mark.parametrize("name", ["s01_good.csv", "s02_semicolon_decimal_comma.csv", "s04_bom.csv", "s31_good.parquet"])
def test_one_table_in_four_dialects(name):
    found, expected = table.read(CASES / name), good()
    assert list(found.columns) == ["date", "load", "temp"]
    assert found.rows == 400
    np.testing.assert_array_equal(found.columns["date"].values, expected["date"].to_numpy("M8[ns]"))
    for column in ("load", "temp"):
        np.testing.assert_array_equal(found.columns[column].values, expected[column].to_numpy())
    assert found.sha256 == hashlib.sha256((CASES / name).read_bytes()).hexdigest()


@pytest.mark.data
def test_a_table_out_of_order_keeps_the_files_order():
    found, expected = table.read(CASES / "s12_shuffled.csv"), good()
    order = np.argsort(found.columns["date"].values)
    np.testing.assert_array_equal(found.columns["load"].values[order], expected["load"].to_numpy())
    assert found.line(int(order[0])) == 2 + int(order[0])


@pytest.mark.data
def test_newlines_in_quotes_are_no_rows():
    found = table.read(CASES / "s34_quoted_newline.csv")
    assert found.rows == 400
    np.testing.assert_array_equal(found.columns["load"].values, good()["load"].to_numpy())
    assert found.columns["note"].kind == "text"
    with (CASES / "s34_quoted_newline.csv").open(newline="") as file:
        reader = csv.reader(file)
        starts = [1, *(reader.line_num + 1 for _ in reader)]
    assert [found.line(row) for row in (0, 1, 200, 399)] == [starts[row + 1] for row in (0, 1, 200, 399)]


@pytest.mark.data
def test_what_the_small_files_hold():
    assert table.read(CASES / "s16_day_first.csv").said[-1] == "day first (13/01/2024)"
    assert table.read(CASES / "s29_text_column.csv").columns["weather"].kind == "text"
    assert np.isinf(table.read(CASES / "s24_inf.csv").columns["load"].values[5])
    missing = np.isnan(table.read(CASES / "s08_nan.csv").columns["temp"].values)
    assert missing.sum() == 3
    assert int(np.argmax(missing)) + 2 == 9
    long = table.read(CASES / "s28_long_duplicate.csv", texts=["unique_id"])
    assert sorted(set(long.columns["unique_id"].values)) == ["A", "B", "C"]
    local = table.read(CASES / "s14_dst_autumn_local.csv", Options(timezone="Europe/Berlin")).columns["date"]
    assert local.offset
    assert set(np.diff(local.values)) == {np.timedelta64(1, "h")}


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("s18_no_header.csv", "the first line of s18_no_header.csv holds no names (10.0, 5.175): add a header."),
        ("s22_empty.csv", "s22_empty.csv is empty."),
        ("q08_good.npz", "q08_good.npz is a .npz file: save it as .csv, .tsv, .txt (each also .gz) or .parquet."),
    ],
)
def test_small_files_that_are_refused(name, sentence):
    with pytest.raises(BadInput) as caught:
        table.read(CASES / name)
    assert str(caught.value) == sentence


def test_a_file_that_is_not_there_names_those_near_it(tmp_path):
    with pytest.raises(MissingData, match=r"^load.csv does not exist \(.* is empty\): set dataset.path to your file.$"):
        table.read(tmp_path / "load.csv")
    (tmp_path / "loads.csv").write_text("a\n1\n")
    with pytest.raises(MissingData, match=r"^load.csv does not exist; did you mean loads.csv\?$"):
        table.read(tmp_path / "load.csv")
    with pytest.raises(MissingData, match=r"nowhere/load.csv does not exist, nor does its folder: set test_path to"):
        table.read(tmp_path / "nowhere" / "load.csv", option="test_path")


@pytest.mark.parametrize("name", ["x.csv.gz", "x.tsv.gz", "x.txt"])
def test_packed_and_other_names(tmp_path, name):
    content = b"d\ta\n2024-01-01\t1.5\n"
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert table.read(tmp_path / name).columns["a"].values.tolist() == [1.5]


@pytest.mark.integration
def test_damaged_and_bottomless_packed_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.csv.gz"
    whole = gzip.compress(b"a,b\n" + os.urandom(9999).hex().encode() + b",1\n")
    for content in (whole[:-9], b"a,b\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"x.csv.gz is no whole gzip file"):
            table.read(path)
    path.write_bytes(gzip.compress(b"a,b\n1,2\n" + b"," * 10_000_000))
    with pytest.raises(BadInput, match=r"line 3 of x.csv.gz is longer than 4 MiB"):
        table.read(path)
    monkeypatch.setattr(stream, "UNPACKED", 1024**2)
    path.write_bytes(gzip.compress(b"a,b\n1,2\n" + b"\n" * 12_000_000))
    with pytest.raises(BadInput, match="unpacks to more than"):
        table.read(path)


def test_more_than_half_of_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("a,b,c\n" + "1,2,3\n" * 1000)
    monkeypatch.setattr(delimited, "machine_limit", lambda: 1000 * 8 * 2)
    with pytest.raises(BadInput, match=r"3 columns of x.csv take more than half of the memory .* dataset.columns="):
        table.read(path)
    assert table.read(path, Options(columns=("a", "c"))).columns["c"].values.sum() == 3000


@pytest.mark.integration
def test_a_table_knows_no_torch(tmp_path):
    import subprocess
    import sys

    (tmp_path / "x.csv").write_text("d,a\n13/01/2024,1\n")
    code = "import sys; from pathlib import Path; from rnnbench.datasets.own import table; "
    code += f"table.read(Path({str(tmp_path / 'x.csv')!r})); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ---- random tables in random dialects ----------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="cp1252", exclude_categories=("C", "Z")), min_size=1, max_size=6)
FORMATS = ("%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %I:%M %p", "%Y-%m-%dT%H:%M:%S%z")


@st.composite
def tables(draw):
    rows = draw(st.integers(1, 30))
    numbers = st.one_of(
        st.floats(allow_nan=False, allow_infinity=False, width=64),
        st.integers(-(10**9), 10**9).map(float),
        st.just(np.nan),
    )
    step = draw(st.sampled_from(["min", "h", "D", "13D"]))
    start = pd.Timestamp("1999-12-25") + pd.Timedelta(minutes=draw(st.integers(0, 10**7)))
    frame = pd.DataFrame({"when": pd.date_range(start, periods=rows, freq=step)})
    for at in range(draw(st.integers(1, 3))):
        frame[f"n{at}"] = draw(st.lists(numbers, min_size=rows, max_size=rows))
    if draw(st.booleans()):
        frame["word"] = draw(st.lists(WORDS, min_size=rows, max_size=rows))
    return frame


@st.composite
def dialects(draw):
    decimal = draw(st.sampled_from([".", ","]))
    return {
        "sep": draw(st.sampled_from([";", "\t", "|"] + [","] * (decimal == "."))),
        "decimal": decimal,
        "date_format": draw(st.sampled_from(FORMATS)),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252"])),
        "lineterminator": draw(st.sampled_from(["\n", "\r\n"])),
        "na_rep": draw(st.sampled_from(["", "NA", "-"])),
    }


def values_or_sentence(path: Path, texts: list[str]) -> dict[str, object] | str:
    """The columns' values, or the sentence by which the file or one of them is refused."""
    try:
        return {name: column.values for name, column in table.read(path, texts=texts).columns.items()}
    except BadInput as refused:
        return str(refused)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(frame=tables(), dialect=dialects())
@pytest.mark.integration
def test_a_random_table_in_a_random_dialect_is_read_right_or_refused_by_a_sentence(tmp_path, frame, dialect):
    written = frame.copy()
    if "%z" in dialect["date_format"]:
        written["when"] = written["when"].dt.tz_localize("Asia/Kolkata")
    path = tmp_path / "x.csv"
    written.to_csv(path, index=False, quoting=csv.QUOTE_MINIMAL, **dialect)
    values = values_or_sentence(path, ["word"])
    if isinstance(values, str):
        assert "\n" not in values
        assert len(values) < 400
        return
    assert list(values) == list(frame)
    shown = written["when"].dt.strftime(dialect["date_format"])
    times = pd.to_datetime(shown, format=dialect["date_format"], utc="%z" in dialect["date_format"])
    times = times.dt.tz_localize(None).to_numpy("M8[ns]")
    np.testing.assert_array_equal(values["when"], times)
    for name in frame:
        if name.startswith("n"):
            np.testing.assert_array_equal(values[name], frame[name].to_numpy(float))
        elif name == "word":
            assert values[name].tolist() == frame[name].tolist()


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(content=st.one_of(st.binary(max_size=200), st.text('ab01,;."\n\r\t -/:\0é|', max_size=200).map(str.encode)))
@example(content=b'"')
@example(content=b'a,b\n"\n"')
@example(content=b"\xff\xfe")
@pytest.mark.integration
def test_any_bytes_are_a_table_or_refused_by_a_sentence(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    values = values_or_sentence(path, ["a"])
    if isinstance(values, str):
        assert "\n" not in values
        return
    assert len({len(each) for each in values.values() if each is not None}) <= 1
    found = table.read(path, texts=["a"])
    assert found.line(found.rows - 1) <= len(content.splitlines())


def test_numbers_are_read_to_the_bit(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5000, 3)) * 10.0 ** rng.integers(-300, 300, size=(5000, 1))
    frame = pd.DataFrame(values, columns=list("abc"))
    frame.to_csv(tmp_path / "x.csv", index=False)  # as Python's repr, which is exact
    found = table.read(tmp_path / "x.csv")
    for name in frame:
        np.testing.assert_array_equal(found.columns[name].values, frame[name].to_numpy())
