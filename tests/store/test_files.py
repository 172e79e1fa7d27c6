"""What lies where a file is expected: a pipe, a socket, a folder, a link to itself, ten gigabytes of nothing."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.synthetic import make_record
from rnnbench.errors import BadInput, unwritable
from rnnbench.runs import checkpoint
from rnnbench.store import samples, small_files
from rnnbench.store.files import LARGEST, NoRegularFile, read_if_regular, read_regular
from rnnbench.store.index import load
from rnnbench.store.store import Store, read_jsonl
from rnnbench.sweeps.merge import merge


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 * 2**30)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


KINDS = {
    "a pipe": os.mkfifo, "a socket": listening, "a folder": Path.mkdir, "ten gigabytes": sparse,
    "a link to itself": lambda path: path.symlink_to(path.name), "a device": lambda path: path.symlink_to("/dev/zero"),
}  # fmt: skip


@pytest.fixture(params=KINDS)
def odd(request, tmp_path, monkeypatch) -> Iterator[Path]:
    """Something of that kind; what waits for it, or reads all of it, is ended."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "odd"
    KINDS[request.param](path)
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(5)
    yield path
    signal.alarm(0)


def test_none_of_it_is_waited_for_and_each_is_named(odd):
    with pytest.raises(NoRegularFile, match=r"odd (is no regular file|has 10,737|is a link that leads to itself)"):
        read_regular(odd, LARGEST)


def test_every_reader_says_that_there_is_nothing(odd):
    assert read_if_regular(odd) is None
    assert small_files.read_json(odd) is None
    assert read_jsonl(odd) == []
    assert checkpoint.load(odd) is None
    with pytest.raises(BadInput, match="cannot be read as samples"):
        samples.read(odd)


def test_a_store_with_it_is_read(odd, tmp_path):
    store = Store(tmp_path / "runs")
    good, bad, begun = (make_record(seed=seed)["id"] for seed in range(3))
    store.write(make_record(seed=0))
    for run in (bad, begun):
        store.folder(run).mkdir()
    if odd.is_symlink():  # which leads elsewhere from there
        store.record_path(bad).symlink_to("record.json")
    else:
        odd.rename(store.record_path(bad))
    (store.folder(begun) / "record.failed-1.json").symlink_to("record.failed-1.json")
    assert list(store.records()) == [good]
    assert store.last_aside(begun) is None
    index = load(store)
    assert index.columns("id") == {"id": [good]}
    assert list(index.problems) == list(store.problems) == [str(store.record_path(bad))]


def test_files_of_holes_are_not_copied(tmp_path):
    other = Store(tmp_path / "other" / "runs")
    record = make_record(seed=0)
    other.write(record)
    sparse(other.folder(record["id"]) / "best.pt")
    found = merge(Store(tmp_path / "here" / "runs"), [tmp_path / "other"])
    assert found.copied == 0
    assert "best.pt says that it has 10,737,418,240 bytes, and holds 0" in found.problems[0]


def test_a_merge_onto_a_full_disk_names_the_disk_and_the_file(tmp_path, monkeypatch):
    other = Store(tmp_path / "other" / "runs")
    other.write(make_record(seed=0))

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source, None, target)

    monkeypatch.setattr(shutil, "copy2", full)
    here = Store(tmp_path / "here" / "runs")
    with pytest.raises(OSError, match="No space left") as caught:
        merge(here, [tmp_path / "other"])
    assert "the disk is full" in unwritable(caught.value, "results")
    assert str(here.root) in caught.value.filename
    assert here.ids() == []


def test_small_files_are_read_within_the_bounds_of_parse(tmp_path):
    (tmp_path / "claim.json").write_text('{"pid": ' + "9" * 300 + "}")
    assert small_files.read_json(tmp_path / "claim.json") is None
    (tmp_path / "claim.json").write_text('{"pid": 9}')
    assert small_files.read_json(tmp_path / "claim.json") == {"pid": 9}
