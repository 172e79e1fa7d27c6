"""The .ts files of the UEA and UCR archives: literal files, and each refusal with its case and step."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.datasets.own import beside, ts_files
from rnnbench.errors import BadInput

HEAD = "# a comment: with colons\n%# another\n@problemName x\n@timestamps false\n@classLabel true up down\n@data\n"


def write(folder: Path, text: str, name: str = "x.ts") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_literal_file(tmp_path: Path) -> None:
    read = ts_files.read(write(tmp_path, HEAD + "1,2,3:4,5,6:up\n\n7e-1 : 8 : down\n"))
    assert [case.tolist() for case in read.x] == [[[1, 4], [2, 5], [3, 6]], [[0.7, 8]]]
    assert read.labels == ["up", "down"]
    assert read.names == ["case 1", "case 2"]
    assert ts_files.classes(tmp_path / "x.ts") == ["up", "down"]


def test_what_headers_say_in_other_ways(tmp_path: Path) -> None:
    read = ts_files.read(write(tmp_path, "\ufeff" + HEAD.upper().replace("UP DOWN", "1 2") + "1,2:1.0\n3,4:2\n"))
    assert read.labels == ["1", "2"]
    numbers = ts_files.read(write(tmp_path, "@targetLabel true\n@data\n1,2:0.25\n"))
    assert numbers.labels == ["0.25"]
    unequal = ts_files.read(write(tmp_path, HEAD.replace("@data", "@equalLength true\n@data") + "1,2:up\n1:up\n"))
    assert unequal.said == ["@equalLength is true and cases have 1 to 2 steps: taken as they are"]


@pytest.mark.parametrize(
    ("header", "cases", "said"),
    [
        ("@dimensions 2\n@seriesLength 2", "1,2:3,4:up\n1,2:3,4:down", []),
        ("@dimension 3", "1,2:3,4:up", ["@dimensions is 3 and cases have 2 channels"]),
        ("@Dimensions 2\n@serieslength 9", "1,2:up",
         ["@dimensions is 2 and cases have 1 channel", "@seriesLength is 9 and cases have 2 steps"]),
        ("@seriesLength 3\n@equalLength false", "1,2:up\n1,2,3:up", []),
        ("@seriesLength 0\n@equalLength false", "1,2:up\n1,2,3:up", []),
        ("@seriesLength 4\n@equalLength false", "1,2:up\n1,2,3:up", ["@seriesLength is 4 and cases have 2 to 3 steps"]),
        ("@seriesLength 3\n@equalLength true", "1,2:up\n1,2,3:up",
         ["@equalLength is true and cases have 2 to 3 steps"]),
        ("@dimensions x\n@seriesLength", "1,2:up", []),
    ],
)  # fmt: skip
def test_a_header_is_compared_with_its_cases(tmp_path: Path, header: str, cases: str, said: list[str]) -> None:
    read = ts_files.read(write(tmp_path, HEAD.replace("@data", f"{header}\n@data") + cases))
    assert read.said == [f"{claim}: taken as they are" for claim in said]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD.replace("timestamps false", "timeStamps true"), r"x\.ts has time stamps \(@timeStamps true\)"),
        (HEAD + "1,2:up\n1,?,3:4,5,6:up", r"case 2 lacks a value \(\?\) at step 1, channel 1: fill it"),
        (HEAD + "1,2:up\n1,2:3:up", r"case 2 has 2 steps in channel 1 and 1 in channel 2"),
        (HEAD + "1,2:up\n1,2:3,4:up", r"case 2 has 2 channels, and case 1 has 1"),
        (HEAD + "1,2:up\n1,x2:up", r"case 2 has 'x2' at step 1, channel 1, which is no number"),
        (HEAD + "1,2:up\n1,:up", r"case 2 has '' at step 1, channel 1, which is no number"),
        (HEAD + "1,nan:up", r"case 1 holds NaN at step 1, channel 0"),
        (HEAD + "1,1e999:up", r"case 1 holds infinity at step 1, channel 0"),
        (HEAD + "1,2:upp", r"case 1 is labelled 'upp', which @classLabel does not name; did you mean up"),
        (HEAD + "1,2", r"case 1 has no `:`, so no label"),
        ("@data\n1,2:up", r"x\.ts names no classes: it needs @classLabel true"),
        ("@classLabel false\n@data\n1,2", r"x\.ts names no classes"),
        (HEAD, r"x\.ts holds no case"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_with_its_place(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        ts_files.read(write(tmp_path, text))


def test_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.ts").write_bytes((HEAD + "1:up").encode() + b"\xe9")
    with pytest.raises(BadInput, match=r"x\.ts is not UTF-8 \(byte 0xe9\): convert it"):
        ts_files.read(tmp_path / "x.ts")


def test_the_test_set_lies_beside(tmp_path: Path) -> None:
    train = write(tmp_path, HEAD, "A_TRAIN.ts")
    assert beside.test_file(train) is None
    test = write(tmp_path, HEAD, "A_TEST.ts")
    assert beside.test_file(train) == test
    assert beside.test_file(test) is None
    assert beside.options_beside("sequences", {"path": str(train), "test_path": None}) == {"test_path": str(test)}
    assert beside.options_beside("sequences", {"path": str(train), "test_path": "mine.ts"}) == {}
    assert beside.options_beside("series", {"path": str(train)}) == {}


@given(st.text(alphabet="@data:,?0.1e-# \ntrueclassLabel", max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.ts"
    path.write_text(HEAD + text)
    said = None
    try:
        read = ts_files.read(path)
    except BadInput as error:
        said = str(error)
    assert len(read.x) == len(read.labels) > 0 if said is None else "\n" not in said


def test_underscores_make_no_number(tmp_path: Path) -> None:
    (tmp_path / "x.ts").write_text("@classLabel true a\n@data\n1,1_0:a\n")
    with pytest.raises(BadInput, match=r"x\.ts: case 1 has '1_0' at step 1, channel 1, which is no number"):
        ts_files.read(tmp_path / "x.ts")
