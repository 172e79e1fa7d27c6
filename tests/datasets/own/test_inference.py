"""Dialects of text tables: what is inferred, what is refused and with which sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnnbench.datasets.own import table
from rnnbench.datasets.own.table import Options
from rnnbench.errors import BadInput


@pytest.fixture
def file(tmp_path: Path):
    """file(text, name="x.csv"): a file with this content."""

    def write(text: str | bytes, name: str = "x.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


DATES = [str(np.datetime64("2024-01-01") + day) for day in range(90)]


def days(rows: int, cell, header: str = "d,a", separator: str = ",") -> str:
    """A table of days from 2024-01-01 on (again from there after 90)."""
    return "\n".join([header, *(f"{DATES[row % 90]}{separator}{cell(row)}" for row in range(rows))]) + "\n"


def values_of(path: Path, **options: object) -> dict[str, object]:
    return {name: column.values for name, column in table.read(path, Options(**options)).columns.items()}


def refusal(path: Path, **options: object) -> str:
    """The sentence by which a table, or one of its columns, is refused."""
    with pytest.raises(BadInput) as caught:
        values_of(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


NUMBERS = {
    "point": ("d,a\n1 Jan 2024,1.5\n2 Jan 2024,-2e3\n", "separator ',', UTF-8, times as %d %b %Y"),
    "semicolon": ("d;a\n2024-01-01;1,5\n2024-01-02;-2000\n", "separator ';', decimal comma, UTF-8"),
    "tab": ("d\ta\n2024-01-01\t1,5\n2024-01-02\t-2000,0\n", "separator tab, decimal comma, UTF-8"),
    "pipe": ("d|a\n2024-01-01|1.5\n2024-01-02|-2000\n", "separator '|', UTF-8"),
    "quoted comma": ('d,a\n2024-01-01,"1,5"\n2024-01-02,"-2000,0"\n', "separator ',', decimal comma, UTF-8"),
    "thousands": ("d;a\n2024-01-01;1.5\n2024-01-02;-2,000.0\n", "separator ';', thousands ',', UTF-8"),
    "both": ("d;a\n2024-01-01;1,5\n2024-01-02;-2.000,0\n", "separator ';', decimal comma, thousands '.', UTF-8"),
    "crlf": ("d,a\r\n2024-01-01,1.5\r\n2024-01-02,-2000\r\n", "separator ',', UTF-8"),
    "cr": ("d,a\r2024-01-01,1.5\r2024-01-02,-2000\r", "separator ',', UTF-8"),
    "no end": ("d,a\n2024-01-01,1.5\n2024-01-02,-2000", "separator ',', UTF-8"),
    "blank lines": ("\n\nd,a\n\n2024-01-01,1.5\n\n2024-01-02,-2000\n\n\n", "separator ',', UTF-8"),
    "spaces": ("d , a\n2024-01-01 , 1.5\n2024-01-02 , -2000\n", "separator ',', UTF-8"),
    "trailing": ("d,a,\n2024-01-01,1.5,\n2024-01-02,-2000,\n", "separator ',', UTF-8"),
    "trailing in rows": ("d,a\n2024-01-01,1.5,\n2024-01-02,-2000,\n", "separator ',', UTF-8"),
    "index": (",d,a\n0,2024-01-01,1.5\n1,2024-01-02,-2000\n", "the first column has no name and counts the rows"),
    "empty end": ("d,a\n2024-01-01,1.5\n2024-01-02,-2000\n,\n,\n", "2 empty rows at the end left out"),
    "bom": ("\ufeffd,a\n2024-01-01,1.5\n2024-01-02,-2000\n", "separator ',', UTF-8"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_same_two_rows_in_every_dialect(file, name):
    text, said = NUMBERS[name]
    found = table.read(file(text))
    assert list(found.columns) == ["d", "a"]
    assert found.columns["d"].kind == "time"
    assert found.columns["d"].values.tolist() == np.array(["2024-01-01", "2024-01-02"], "M8[ns]").tolist()
    assert found.columns["a"].values.tolist() == [1.5, -2000.0]
    assert said in ", ".join(found.said)


REFUSED = {
    "empty": ("", {}, "x.csv is empty."),
    "only blank": ("\n\n", {}, "x.csv is empty."),
    "names": ("d,a\n", {}, "x.csv holds names and no row."),
    "names without end": ("d,a", {}, "x.csv holds names and no row."),
    "no names": ("1,2\n3,4\n", {}, "the first line of x.csv holds no names (1, 2): add a header."),
    "twice": ("a,b,a\n1,2,3\n", {}, "'a' names two columns of x.csv (1 and 3): rename one."),
    "fields": (days(120, lambda _: "1,2", "d,a,b") + "x,1,2,3\n", {}, "line 122 of x.csv has 4 fields, the header 3."),
    "fields late": (days(9000, lambda _: "1,2", "d,a,b") + "x\n", {}, "line 9002 of x.csv has 1 field, the header 3."),
    "comma comma": (
        "d,a\n2024-01-01,1,5\n",
        {},
        "line 2 of x.csv has 3 fields, the header 2: a decimal comma needs another separator than a comma, or quotes.",
    ),
    "unit": (
        days(70, lambda row: "12.5 kW" if row == 35 else row),
        {},
        "'a' is no number at line 37: '12.5 kW' (n/a and - count as missing).",
    ),
    "late text": (
        days(9001, lambda row: "off" if row == 9000 else row),
        {},
        "'a' is no number at line 9002: 'off' (n/a and - count as missing).",
    ),
    "point": (
        days(50, lambda row: f"{row},5" if row < 49 else "1.5", "d;a", ";"),
        {},
        "'a' is no number at line 51: '1.5' (n/a and - count as missing).",
    ),
    "two ways": ("d;a;b\n2024-01-01;1,5;2.5\n", {}, "'2.5' in 'b' is no number as x.csv is read (decimal comma)"),
    "given comma": ("d;a\n2024-01-01;2.5\n", {"decimal": ","}, "'2.5' in 'a' is no number as x.csv is read"),
    "one or a thousand": (
        'd,a\n2024-01-01,"1,234"\n',
        {},
        "'1,234' in x.csv may be 1234 or 1.234: dataset.thousands=',' or dataset.decimal=','.",
    ),
    "groups": (
        days(50, lambda row: "1,234" if row < 49 else "2,34", "d;a", ";"),
        {"thousands": ","},
        "'a' is no number at line 51: '2,34'",
    ),
    "day or month": (
        "d,a\n01/02/2024,1\n02/02/2024,2\n",
        {},
        "01/02/2024 may be 1 February or 2 January: dataset.date_format=%d/%m/%Y.",
    ),
    "order changes": (
        "d,a\n" + "".join(f"{13 + row % 9}/02/2024,1\n" for row in range(50)) + "02/23/2024,1\n",
        {},
        "'d' is no time at line 52: '02/23/2024' (the others are day first (13/02/2024)).",
    ),
    "century": ("d,a\n13.02.24,1\n", {}, "13.02.24 has a year of two digits: dataset.date_format=%d/%m/%y"),
    "no such day": (days(50, lambda _: 1) + "2024-02-30,1\n", {}, "'d' is no time at line 52: '2024-02-30'"),
    "far": ("d,a\n1600-01-01,1\n", {}, "'d' is beyond at line 2: '1600-01-01' (times are counted from 1678 to 2261)."),
    "offset": (days(50, lambda _: 1) + "2024-02-01 00:00+01:00,1\n", {}, "'d' is no time at line 52"),
    "nul": (days(9000, lambda _: 1) + "\0,1\n", {}, "line 9002 of x.csv holds a NUL byte: it is no table of text."),
    "long": (days(9, lambda _: 1) + "x" * 9_000_000, {}, "line 11 of x.csv is longer than 4 MiB: is it a table?"),
    "quote": (days(9000, lambda _: "x") + '2024-01-01,"x\n', {}, 'a quote (") that opens in line 9002 of x.csv is not'),
    "utf16": ("d,a\n1,2\n".encode("utf-16"), {}, "x.csv is UTF-16: save it as UTF-8."),
    "utf16 bare": ("d,a\n1,2\n".encode("utf-16-le"), {}, "x.csv is UTF-16: save it as UTF-8."),
    "late latin": (
        days(9000, lambda _: 1).encode() + b"2024-01-01,\xe9\n",
        {},
        "x.csv is not UTF-8 (byte 0xe9 in line 9002): convert it, or dataset.encoding=cp1252.",
    ),
    "not utf8": ("d,\xe9\n1,2\n".encode("latin-1"), {"encoding": "utf-8"}, "x.csv is not UTF-8 (byte 0xe9 in line 1)"),
    "encoding": ("d,a\n", {"encoding": "rot13"}, "dataset.encoding='rot13' is no encoding"),
    "separator": ("d;a\n1;2\n", {"separator": ","}, "dataset.separator=',' is not in the first line of x.csv: 'd;a'."),
    "separators": ("d;a\n1;2\n", {"separator": ";;"}, "dataset.separator=';;' is no single character."),
    "decimal": ("d;a\n1;2\n", {"decimal": ";"}, "dataset.decimal=';' is neither '.' nor ','."),
    "same": ("d;a\n1;2\n", {"decimal": ",", "thousands": ","}, "dataset.decimal and dataset.thousands are the same"),
    "format": ("d,a\n1,2\n", {"date_format": "%Q"}, "dataset.date_format='%Q' is no format"),
    "no time so": (
        "d,a\n01/02/2024,1\n",
        {"date_format": "%Y/%m/%d"},
        "no column of x.csv is in dataset.date_format=%Y/%m/%d; it holds '01/02/2024'.",
    ),
    "zone": (
        "d,a\n1,2\n",
        {"timezone": "Europe/Berln"},
        "no time zone 'Europe/Berln' (dataset.timezone); did you mean",
    ),
    "offsets": (
        "d,a\n2024-01-01T00:00Z,1\n",
        {"timezone": "Europe/Berlin"},
        "dataset.timezone cannot act: 'd' of x.csv has offsets from UTC.",
    ),
    "rare encoding": ("d,\xe9\n1,2\n".encode("latin-1"), {"encoding": "idna"}, "x.csv is not idna"),
    "columns": ("load,b\n1x,2\n", {"columns": ("laod",)}, "no column 'laod'; did you mean 'load'?"),
    "by spaces": ("d load\n1 2\n3 4\n", {}, "the columns of x.csv are separated by spaces: save it with , ; tab or |."),
}


LATE = ("fields late", "late text", "nul", "quote", "late latin")  # beyond the head: thousands of lines


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.integration if name in LATE else ()) for name in REFUSED]
)
def test_what_cannot_be_read_is_refused_with_a_sentence_that_says_where(file, name):
    text, options, sentence = REFUSED[name]
    assert refusal(file(text), **options).startswith(sentence)


def test_every_missing_word_is_missing_and_infinity_is_not(file):
    words = ["", "NA", "N/A", "n/a", "NaN", "null", "-", "?", "#N/A", "-inf", "2"]
    values = table.read(file(days(len(words), lambda row: words[row]))).columns["a"].values
    assert np.isnan(values[:9]).all()
    assert values[9:].tolist() == [-np.inf, 2.0]


def test_a_column_of_more_than_five_percent_text_is_text(file):
    found = table.read(file(days(100, lambda row: "off" if row < 6 else row)))
    assert found.columns["a"].kind == "text"
    assert found.columns["a"].values is None
    few = table.read(file(days(100, lambda row: "off" if row < 5 else row)))
    assert few.columns["a"].kind == "number"
    with pytest.raises(BadInput, match="no number at line 2: 'off'"):
        _ = few.columns["a"].values


def test_a_column_that_turns_to_text_beyond_the_head_is_text_and_said(file):
    found = table.read(file(days(11000, lambda row: row if row < 9000 else "off")))
    assert found.columns["a"].kind == "text"
    assert "'a' is text from line 9002 on ('off')" in found.said


def test_texts_that_are_asked_for_stay_as_they_stand(file):
    text = 'unique_id,note,y\nNA,"5"" pipe, old",1\n1, x ,2\n,-,3\n'
    found = table.read(file(text), texts=["unique_id", "note", "series"])
    assert found.columns["unique_id"].values.tolist() == ["NA", "1", ""]
    assert found.columns["note"].values.tolist() == ['5" pipe, old', "x", "-"]
    assert found.columns["y"].values.tolist() == [1, 2, 3]


def test_lines_are_right_behind_quoted_newlines_and_blank_lines(file):
    found = table.read(file('\nn,a\n"one\ntwo",1\n\n"x ""y""\n\nz",2\n,\nw,3\n'), texts=["n"])
    assert [found.line(row) for row in range(4)] == [3, 6, 9, 10]
    assert found.columns["n"].values.tolist() == ["one\ntwo", 'x "y"\n\nz', "", "w"]
    assert np.isnan(found.columns["a"].values).tolist() == [False, False, True, False]


@pytest.mark.integration
def test_lines_of_a_plain_file_are_counted_by_block(file):
    rows = 500_000  # more than a block of bytes
    found = table.read(file("\n\nload\n" + "1234567.25\n" * rows))
    assert found.rows == rows
    assert found.line(0) == 4
    assert found.line(rows - 1) == rows + 3


def test_the_columns_asked_for_and_times_are_read_and_no_others(file):
    found = table.read(file("date,when,a,b\n20240101,2024-01-01,1,2\n"), Options(columns=["b"]))
    kinds = {name: column.kind for name, column in found.columns.items()}
    assert kinds == {"date": "number", "when": "time", "a": "other", "b": "number"}
    assert found.columns["a"].values is None


def test_numbers_may_be_names_where_a_word_is_one_too(file):
    found = table.read(file("date,0,1\n2024-01-01,1.5,2.5\n"))
    assert list(found.columns) == ["date", "0", "1"]


def test_cp1252_is_found_and_said(file):
    found = table.read(file("Zeit;Größe\n2024-01-01;1,5\n".encode("cp1252")))
    assert list(found.columns) == ["Zeit", "Größe"]
    assert found.said == ["separator ';'", "decimal comma", "cp1252"]


def test_an_encoding_that_is_given_is_taken_even_utf16(file):
    found = table.read(file("d,a\n2024-01-01,1.5\n".encode("utf-16")), Options(encoding="utf-16"))
    assert found.columns["a"].values.tolist() == [1.5]


def test_the_order_of_day_and_month_may_be_told_beyond_the_head(file):
    text = "d,a\n" + "".join(f"0{1 + row % 9}/02/2024,1\n" for row in range(9000)) + "01/13/2024,1\n"
    times = table.read(file(text)).columns["d"].values
    assert str(times[0])[:10] == "2024-01-02"
    assert str(times[-1])[:10] == "2024-01-13"


def test_numbers_beyond_float64_are_what_python_makes_of_them(file):
    found = table.read(file("d,a\n2024-01-01,1e999\n2024-01-02,1e-400\n2024-01-03,0.1234567890123456789\n"))
    assert found.columns["a"].values.tolist() == [float("inf"), 0.0, 0.1234567890123456789]
