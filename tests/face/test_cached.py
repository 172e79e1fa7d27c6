"""Data that was handed over lies in the cache under a bound: what was used longest ago goes, and nothing in use."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnbench.datasets.own import kept
from rnnbench.face import cached


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cached, "_held", type(cached._held)())
    yield tmp_path / "rnnbench" / "own" / "handed"
    forget()


def files(folder: Path) -> list[str]:
    return sorted(path.read_text() for path in folder.glob("*.txt"))


def forget() -> None:
    """As if the process that handed the data over had ended."""
    for descriptor in cached._held.values():
        os.close(descriptor)
    cached._held.clear()


def used(path: str, ago: float) -> None:
    """A file was written, and used last, so many seconds ago."""
    for each in (Path(path), cached._mark(Path(path))):
        then = each.stat().st_mtime - ago
        os.utime(each, (then, then))


def test_what_was_used_longest_ago_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 20)
    for ago, text in ((300, "a" * 8), (200, "b" * 8)):
        used(cached.kept(text.encode(), ".txt"), ago)
    forget()
    cached.kept(b"a" * 8, ".txt")  # used again: b is the older one now
    forget()
    assert files(folder) == ["a" * 8, "b" * 8]
    cached.kept(b"c" * 8, ".txt")
    assert files(folder) == ["a" * 8, "c" * 8]
    assert len(list(folder.iterdir())) == 4, "a mark goes with its file"


def test_the_bound_is_that_of_kept_readings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept.MOST == 10 * 1024**3
    path = cached.kept(b"once", ".txt")
    forget()
    cached.prune(folder)
    assert Path(path).exists()
    cached.prune(folder, most=3)
    assert not Path(path).exists()


def test_a_file_in_use_stays_whatever_the_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 0)
    mine = cached.kept(b"mine", ".txt")
    other = cached.kept(b"other", ".txt")
    assert [Path(each).exists() for each in (mine, other)] == [True, True]
    cached.prune(folder, most=0)  # a lock is of an open file: this is what another process finds
    assert files(folder) == ["mine", "other"]
    forget()
    cached.kept(b"new", ".txt")
    assert files(folder) == ["new"]


def test_only_the_latest_files_of_a_long_session_are_held(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "HELD", 2)
    monkeypatch.setattr(kept, "MOST", 0)
    for text in ("first", "second", "first", "third"):
        cached.kept(text.encode(), ".txt")
    assert files(folder) == ["first", "third"]


def test_a_file_that_went_is_written_again_with_the_times_its_hash_is_known_by(folder: Path) -> None:
    path = cached.kept(b"once", ".txt")
    before = os.stat(path)
    assert cached.kept(b"once", ".txt") == path
    after = os.stat(path)
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
    for each in folder.iterdir():
        each.unlink()
    assert cached.kept(b"once", ".txt") == path
    assert files(folder) == ["once"]
    cached.prune(folder, most=0)
    assert files(folder) == ["once"], "and it is held again"


def test_without_locks_data_is_kept_and_nothing_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(cached.fcntl, "flock", refuse)
    monkeypatch.setattr(kept, "MOST", 0)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for text in ("one", "two"):
        cached.kept(text.encode(), ".txt")
    assert files(folder) == ["one", "two"]
    assert not before or len(os.listdir("/proc/self/fd")) == before


def test_what_was_left_half_written_goes_after_a_day(folder: Path) -> None:
    path = Path(cached.kept(b"whole", ".txt"))
    left, fresh = folder / f".{path.name}.left", folder / f".{path.name}.fresh"
    for each in (left, fresh):
        each.write_text("half")
    os.utime(left, (0, 0))
    os.utime(cached._mark(path), (0, 0))
    cached.prune(folder)
    assert sorted(each.name for each in folder.iterdir()) == sorted([path.name, fresh.name, cached._mark(path).name])
