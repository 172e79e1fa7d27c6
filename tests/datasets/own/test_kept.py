"""Readings that are kept: found again, shared, verified, never in the way."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnbench.datasets.own import delimited, kept, parquet, table
from rnnbench.datasets.own.table import Options
from rnnbench.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where readings are kept, of the smallest files, too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(table, "LEAST", 0)
    return tmp_path / "cache" / "rnnbench" / "own"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text("id,d,a,b\nA,13/01/2024,1.5,\nB,14/01/2024,2.5,kW\n" + "C,15/01/2024,3.5,4\n" * 98)
    return path


def same(one: table.Table, other: table.Table) -> None:
    assert (one.rows, one.said, one.sha256) == (other.rows, other.said, other.sha256)
    assert list(one.columns) == list(other.columns)
    for name, column in one.columns.items():
        twin = other.columns[name]
        assert (column.kind, column.offset, column.refusal, column.first) == (
            twin.kind,
            twin.offset,
            twin.refusal,
            twin.first,
        )
        assert (column.held is None) == (twin.held is None)
        if column.held is not None:
            np.testing.assert_array_equal(column.held, twin.held)


def test_a_reading_is_kept_mapped_and_found_again(folder, path, monkeypatch):
    first = table.read(path, texts=["id"])
    assert isinstance(first.columns["a"].values, np.memmap)
    assert not first.columns["a"].values.flags.writeable
    assert [each.name.split("-")[0] for each in folder.iterdir()] == [first.sha256]
    monkeypatch.setattr(delimited.Reader, "read", None)  # nothing is read again
    again = table.read(path, texts=["id"])
    same(first, again)
    assert again.columns["id"].values.tolist()[:3] == ["A", "B", "C"]
    assert again.line(2) == 4
    with pytest.raises(BadInput, match="'b' is no number at line 3: 'kW'"):
        _ = again.columns["b"].values


def test_a_reading_belongs_to_its_options_and_its_content(folder, path):
    table.read(path)
    table.read(path, texts=["id"])
    table.read(path, Options(columns=("a",)))
    assert len(list(folder.iterdir())) == 3
    path.write_text("a\n1\n")
    assert table.read(path).columns["a"].values.tolist() == [1]
    assert len(list(folder.iterdir())) == 4


def cut(reading: Path) -> None:
    os.truncate(reading / "2.npy", 200)


def longer(reading: Path) -> None:
    with (reading / "2.npy").open("ab") as file:
        file.write(b"\0" * 8)


def other_type(reading: Path) -> None:
    np.save(reading / "2.npy", np.zeros(100, np.float32))


def pickled(reading: Path) -> None:
    np.save(reading / "2.npy", np.array([{}] * 100, dtype=object), allow_pickle=True)


def gone(reading: Path) -> None:
    (reading / "2.npy").unlink()


def no_json(reading: Path) -> None:
    (reading / "reading.json").write_text("[" * 10_000)


def other_version(reading: Path) -> None:
    content = json.loads((reading / "reading.json").read_text())
    (reading / "reading.json").write_text(json.dumps(content | {"version": -1}))


def outside(reading: Path) -> None:
    content = json.loads((reading / "reading.json").read_text())
    content["columns"][2]["file"] = "../../../x.csv"
    (reading / "reading.json").write_text(json.dumps(content))


def no_word(reading: Path) -> None:
    np.save(reading / "0.npy", np.full(100, 7, np.int32))


@pytest.mark.parametrize("damage", [cut, longer, other_type, pickled, gone, no_json, other_version, outside, no_word])
def test_a_damaged_reading_is_read_anew(folder, path, damage):
    first = table.read(path, texts=["id"])
    values = np.array(first.columns["a"].values)
    (reading,) = folder.iterdir()
    damage(reading)
    again = table.read(path, texts=["id"])
    np.testing.assert_array_equal(again.columns["a"].values, values)
    assert again.columns["id"].values.tolist()[:3] == ["A", "B", "C"]
    assert kept.Place(reading).read() is not None


def test_where_nothing_can_be_written_nothing_is_kept(folder, path):
    folder.parent.parent.mkdir(parents=True)
    folder.parent.write_text("a file where the cache should be")
    found = table.read(path)
    assert type(found.columns["a"].values) is np.ndarray
    assert found.rows == 100


def test_a_full_disk_is_no_error(folder, path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    expected = np.array(table.read(path).columns["a"].values)
    monkeypatch.setattr(kept.Place, "read", lambda self: None)
    monkeypatch.setattr(kept.Place, "keep", full)
    np.testing.assert_array_equal(table.read(path).columns["a"].values, expected)
    assert [each for each in folder.iterdir() if each.name.startswith(".")] == []


def test_a_refused_file_leaves_nothing(folder, path):
    path.write_text("a,b\n" + "1,2\n" * 20_000 + "1\n")
    with pytest.raises(BadInput, match=r"line 20002 of x.csv has 1 field, the header 2"):
        table.read(path)
    assert list(folder.iterdir()) == []


def test_small_files_are_not_kept(folder, path, monkeypatch):
    monkeypatch.setattr(table, "LEAST", kept.LEAST)
    table.read(path)
    assert not folder.exists()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_more_columns_than_descriptors_are_read_and_not_kept(tmp_path, folder, monkeypatch, suffix):
    frame = pd.DataFrame(np.arange(20.0).reshape(2, 10), columns=list("abcdefghij"))
    path = tmp_path / f"wide{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path, index=False)
    for most, readings in ((9, 0), (10, 1), (9, 1)):  # one that another process kept stays
        monkeypatch.setattr(kept, "widest", lambda most=most: most)
        for module in (delimited, parquet):
            monkeypatch.setattr(module, "widest", kept.widest)
        found = table.read(path)
        assert {name: column.values.tolist() for name, column in found.columns.items()} == frame.to_dict("list")
        assert isinstance(found.columns["a"].values, np.memmap) == (most == 10)
        assert len(list(folder.iterdir())) == readings


def test_a_quarter_of_the_descriptors_is_for_columns(monkeypatch):
    for soft, widest in ((1024, 256), (resource.RLIM_INFINITY, sys.maxsize)):
        monkeypatch.setattr(resource, "getrlimit", lambda which, soft=soft: (soft, resource.RLIM_INFINITY))
        assert kept.widest() == widest


def test_two_that_read_at_once_share_one_reading(folder, path):
    first = table.read(path)
    (reading,) = folder.iterdir()
    place = kept.Place(reading)
    written = place.begin()
    assert written is not None
    found, arrays = table._reader(path, Options(), [], written, True).read()
    shared = place.keep(written, found, arrays)
    same(first, table.read(path))
    assert shared.rows == first.rows
    assert list(folder.iterdir()) == [reading]


def test_the_readings_used_longest_ago_go_first(folder):
    for age, name in ((300, "old"), (200, "older-but-used"), (100, "new")):
        (folder / name).mkdir(parents=True)
        (folder / name / "0.npy").write_bytes(b"\0" * 1000)
        then = (folder / name).stat().st_mtime - age
        os.utime(folder / name, (then, then))
    (folder / ".left").mkdir()
    os.utime(folder / ".left", (0, 0))
    kept.prune(folder, spare=folder / "new", most=2000)
    assert sorted(each.name for each in folder.iterdir()) == ["new", "older-but-used"]
    kept.prune(folder, spare=folder / "new", most=0)
    assert [each.name for each in folder.iterdir()] == ["new"]


def test_local_times_are_kept_in_utc(folder, path):
    options = Options(timezone="Europe/Berlin")
    for _ in range(2):
        found = table.read(path, options).columns["d"]
        assert found.offset
        assert str(found.values[0])[:16] == "2024-01-12T23:00"


def test_data_that_was_handed_over_is_no_reading_and_stays(folder: Path) -> None:
    for name in ("a" * 64 + "-1", "handed"):
        (folder / name).mkdir(parents=True)
        (folder / name / "0.npy").write_bytes(bytes(100))
    (folder / "a-file").write_bytes(bytes(100))
    kept.prune(folder, spare=folder / "none", most=0)
    assert sorted(each.name for each in folder.iterdir()) == ["a-file", "handed"]
