"""What lies in the user's files: by their bytes alone, kept only while it certainly holds, refused in one sentence."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from rnnbench.errors import BadInput, MissingData
from rnnbench.store import content
from rnnbench.store.content import content_of, path_hash


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own, in which a file counts as settled at once."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(content, "TICK_NS", -(10**12))
    return tmp_path / "cache" / "rnnbench" / "content"


@pytest.fixture
def load(tmp_path: Path) -> Path:
    """A file of the user's."""
    path = tmp_path / "data" / "load.csv"
    path.parent.mkdir()
    path.write_bytes(b"1,2\n3,4\n")
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read to their end."""
    names: list[str] = []
    digest = hashlib.file_digest

    def noted(file, kind):  # type: ignore[no-untyped-def]
        names.append(Path(file.name).name)
        return digest(file, kind)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    return names


def test_a_file_is_its_bytes_wherever_it_lies_and_whatever_it_is_called(load: Path) -> None:
    other = load.with_name("other.txt")
    other.write_bytes(load.read_bytes())
    assert path_hash(load) == path_hash(other) == hashlib.sha256(load.read_bytes()).hexdigest()
    load.write_bytes(b"1,2\n3,5\n")
    assert path_hash(load) != path_hash(other)


def test_a_file_is_read_once_until_it_changes(load: Path, read: list[str]) -> None:
    first = path_hash(load)
    assert [path_hash(load), path_hash(Path(os.path.relpath(load)))] == [first, first]
    assert read == ["load.csv"]
    status = load.stat()
    load.write_bytes(b"1,2\n3,5\n")
    os.utime(load, ns=(status.st_atime_ns, status.st_mtime_ns))  # as large, and as old: only its ctime tells
    assert path_hash(load) != first
    assert read == ["load.csv"] * 2


def test_what_was_written_a_moment_before_is_read_again(load: Path, read: list[str], monkeypatch) -> None:
    monkeypatch.setattr(content, "TICK_NS", 2 * 10**9)
    assert path_hash(load) == path_hash(load)
    assert read == ["load.csv"] * 2


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"path": 1}', b'{"path": "P", "files": {"": [1, 2]}}', b"\xff"])
def test_a_damaged_note_is_none(load: Path, cache: Path, damage: bytes) -> None:
    found = path_hash(load)
    (note,) = cache.iterdir()
    note.write_bytes(damage.replace(b"P", os.fsencode(load)))
    assert path_hash(load) == found


def test_without_a_cache_it_is_read_each_time(load: Path, cache: Path, read: list[str]) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file in the way")
    assert path_hash(load) == path_hash(load)
    assert read == ["load.csv"] * 2


def test_a_folder_is_its_names_and_their_bytes(load: Path, tmp_path: Path, read: list[str]) -> None:
    deep = load.parent / "more"
    deep.mkdir()
    (deep / "b").write_text("b")
    (load.parent / "round").symlink_to(load.parent)
    found = path_hash(load.parent)
    assert sorted(read) == ["b", "load.csv"]
    assert path_hash(load.parent) == found
    assert len(read) == 2
    moved = tmp_path / "elsewhere"
    load.parent.rename(moved)
    (moved / "round").unlink()
    (moved / "round").symlink_to(moved)
    assert path_hash(moved) == found
    (moved / "more" / "b").rename(moved / "more" / "c")
    renamed = path_hash(moved)
    (moved / "more" / "c").write_text("c")
    assert len({found, renamed, path_hash(moved)}) == 3


def test_a_folder_of_too_many_files_is_not_read(load: Path, read: list[str], monkeypatch) -> None:
    monkeypatch.setattr(content, "MOST_FILES", 1)
    assert path_hash(load.parent)
    (load.parent / "more").write_text("more")
    read.clear()
    with pytest.raises(BadInput, match="data holds more than 1 files: name the one with the data"):
        path_hash(load.parent)
    assert read == []


def test_an_option_may_be_nothing_a_path_or_several(load: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = str(load)
    assert content_of("~/data/load.csv", "dataset.path") == content_of(path, "dataset.path") == path_hash(load)
    assert [content_of(value, "dataset.path") for value in (None, "", 3)] == [None, None, None]
    other = tmp_path / "other"
    other.write_text("other")
    several = [[path, str(other)], [str(other), path], [path], {"a": path}, {"b": path}]
    assert len({content_of(value, "dataset.paths") for value in several}) == len(several)


def test_a_missing_file_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match=r"^/.*nowhere.csv is missing: set dataset.path to your file\.$"):
        content_of(str(tmp_path / "nowhere.csv"), "dataset.path")
    for odd in ("~nobody/x.csv", "a\0b", "\ud800", "x" * 5000):
        with pytest.raises(MissingData, match="is missing"):
            content_of(odd, "dataset.path")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere.csv")
    with pytest.raises(MissingData, match="link is missing"):
        content_of(str(tmp_path / "link"), "dataset.path")


def test_what_never_ends_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match=r"pipe is neither a file nor a folder, and dataset.path names it\."):
        content_of(str(tmp_path / "pipe"), "dataset.path")
    with pytest.raises(BadInput, match="pipe is no file that can be read to its end"):
        content_of(str(tmp_path), "dataset.path")


def test_a_file_that_cannot_be_read_is_one_sentence(load: Path, monkeypatch) -> None:
    def refused(*args: object) -> None:
        raise PermissionError(13, "Permission denied", str(load))

    monkeypatch.setattr(hashlib, "file_digest", refused)
    with pytest.raises(BadInput, match=r"load.csv cannot be read \(Permission denied\), and dataset.path names it\."):
        content_of(str(load), "dataset.path")


def test_a_file_that_grows_while_it_is_read_is_refused_or_read_again(load: Path, monkeypatch) -> None:
    digest, times = hashlib.file_digest, [1]

    def growing(file, kind):  # type: ignore[no-untyped-def]
        found = digest(file, kind)
        if times[0]:
            times[0] -= 1
            with load.open("ab") as more:
                more.write(b"5,6\n")
        return found

    monkeypatch.setattr(hashlib, "file_digest", growing)
    assert path_hash(load) == hashlib.sha256(load.read_bytes()).hexdigest(), "it was read again, to its new end"
    times[0] = content.LOOKS
    load.write_bytes(b"anew")
    with pytest.raises(BadInput, match="is being written while it is read; try again when it is whole"):
        path_hash(load)
