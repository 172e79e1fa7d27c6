"""Sources by name: the files that come with the package are those that were released, the others are fetched."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from rnnbench.datasets.own import sources
from rnnbench.datasets.own.sources import DOWNLOADS, EMBEDDED, locate
from rnnbench.errors import BadInput, MissingData

ROOT = Path(__file__).parents[3]


def rows(name: str) -> list[list[str]]:
    with locate(name).open(newline="", encoding="ascii") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize(
    ("name", "header", "length", "first", "last"),
    [
        ("co2", ["date", "co2"], 2284, ["19580329", "316.1"], ["20011229", "371.5"]),
        ("sunspots", ["YEAR", "SUNACTIVITY"], 309, ["1700", "5"], ["2008", "2.9"]),
        (
            "seattle_weather",
            ["date", "precipitation", "temp_max", "temp_min", "wind"],
            1461,
            ["2012/01/01", "0.0", "12.8", "5.0", "4.7"],
            ["2015/12/31", "0.0", "5.6", "-2.1", "3.5"],
        ),
    ],
)
def test_an_embedded_file_is_the_one_that_was_released(name, header, length, first, last, offline, cache) -> None:
    found = rows(name)
    assert found[0] == header
    assert (len(found) - 1, found[1], found[-1]) == (length, first, last)
    assert hashlib.sha256(locate(name).read_bytes()).hexdigest() == EMBEDDED[name][1]
    assert list(cache.iterdir()) == [], "an embedded file is not copied"


def test_every_file_of_the_folder_has_a_name_and_stands_in_the_notice() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    folder = locate("co2").parent
    assert {path.name for path in folder.iterdir()} == {file for file, _ in EMBEDDED.values()}
    for file, sha256 in EMBEDDED.values():
        assert file in notice
        assert sha256 in notice


def test_a_changed_file_of_the_package_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "files", lambda package: tmp_path)
    (tmp_path / "embedded").mkdir()
    with pytest.raises(
        MissingData, match=r"co2\.csv cannot be read \(No such file or directory\): install rnnbench anew"
    ):
        locate("co2")
    (tmp_path / "embedded" / "co2.csv").write_text("date,co2\n19580329,316.2\n")
    with pytest.raises(MissingData, match=r"co2\.csv was changed \(sha256 .* instead of 16695fa2786e"):
        locate("co2")


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_that_fails_is_one_sentence_with_the_command(name, cache, offline) -> None:
    with pytest.raises(MissingData) as caught:
        locate(name)
    sentence = str(caught.value)
    assert f"curl --create-dirs -fLo {DOWNLOADS[name].path} https://raw.githubusercontent.com/" in sentence
    assert "\n" not in sentence


def test_downloads_are_pinned_to_a_commit_and_lie_where_the_cache_has_them() -> None:
    places = {name: (file.folder, file.name) for name, file in DOWNLOADS.items()}
    assert places["etth1"] == ("ett", "ETTh1.csv")
    assert places["shakespeare"] == ("tinyshakespeare", "input.txt")
    for file in DOWNLOADS.values():
        assert len(file.sha256) == 64
        assert all(any(len(part) == 40 for part in url.split("/")) for url in file.urls)


@pytest.mark.data
@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_download_is_there(name, need) -> None:
    need(DOWNLOADS[name])
    assert hashlib.sha256(locate(name).read_bytes()).hexdigest() == DOWNLOADS[name].sha256


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("co3", "there is no source 'co3': did you mean co2?"),
        ("seattle_wether", "did you mean seattle_weather?"),
        ("", "there is no source '': known: co2, etth1, "),
        (None, "there is no source None: "),
        (["co2"], "there is no source a list of 1: "),
    ],
)
def test_an_unknown_name_is_one_sentence(name, sentence) -> None:
    with pytest.raises(BadInput) as caught:
        locate(name)
    assert sentence in str(caught.value)
