"""The index of a store: always what the records say, however it was made, damaged or raced for."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading

import pandas as pd
import pytest

from reports.synthetic import fill_store, make_record, make_records
from rnnbench.reports.selection.frame import records_frame, store_frame
from rnnbench.store import index
from rnnbench.store.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(index, "FEWEST", 5)
    return fill_store(Store(tmp_path / "results" / "runs"), make_records(seeds=range(4)))


def file(store):
    return store.root.parent / index.FILE


def agree(store):
    """The frame from the index is the frame from the records, to the type."""
    pd.testing.assert_frame_equal(store_frame(store), records_frame(store.iterate()))


def reads(monkeypatch):
    """The runs whose record is read from here on."""
    seen = []
    real = Store.read
    monkeypatch.setattr(Store, "read", lambda self, run: seen.append(run) or real(self, run))
    return seen


def test_the_index_says_what_the_records_say(store):
    odd = make_record(seed=77, value=None, status="error", hidden_size="wide")
    odd["metrics"] = {"test/odd": "text", "val/big": 1e300, "test/accuracy": True}
    odd["params"], odd["started"], odd["git"] = 1e300, "yesterday", None
    store.write(odd)
    half = make_record(seed=78, reason="half a character: \ud800", status="oom")
    store.folder(half["id"]).mkdir()
    store.record_path(half["id"]).write_text(json.dumps(half))
    for _ in range(2):
        agree(store)
    file(store).unlink()
    agree(store)


def test_a_second_look_reads_no_record(store, monkeypatch):
    agree(store)
    assert file(store).exists()
    seen = reads(monkeypatch)
    index.load(store)
    assert seen == []


def test_only_what_changed_is_read(store, monkeypatch):
    index.load(store)
    changed, gone, *_ = store.ids()
    record = store.read(changed) | {"status": "oom", "reason": "more"}
    store.set_aside(changed)
    store.write(record)
    shutil.rmtree(store.folder(gone))
    new = make_record("gru", seed=50)
    store.write(new)
    seen = reads(monkeypatch)
    found = index.load(store).by_folder("status")
    assert sorted(seen) == sorted([changed, new["id"]])
    assert found[changed] == {"status": "oom"}
    assert gone not in found
    monkeypatch.undo()
    agree(store)


def test_a_record_edited_in_place_with_its_time_put_back_is_told_by_its_size(store):
    index.load(store)
    run = store.ids()[0]
    path = store.record_path(run)
    stat = path.stat()
    path.write_text(path.read_text().replace('"ok"', '"oom"'))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert index.load(store).by_folder("status")[run] == {"status": "oom"}


def test_a_record_set_aside_is_an_unfinished_run(store):
    index.load(store)
    run = store.ids()[0]
    store.set_aside(run)
    found = index.load(store)
    assert found.unfinished == [run]
    assert run not in found.by_folder("status")


def test_damaged_records_are_named_again_and_again_and_never_stop_the_rest(store, monkeypatch):
    damaged = store.record_path(store.ids()[0])
    damaged.write_text("{")
    for _ in range(2):
        found = index.load(store)
        assert list(found.problems) == [str(damaged)]
        assert "not whole JSON" in found.problems[str(damaged)]
        assert len(found.by_folder("id")) == 11
    rows, problems = index.of_runs(store, store.ids()[:2], "status")
    assert (list(problems), list(rows)) == (store.ids()[:1], store.ids()[1:2])
    assert found.of(store.ids()[:2], "status")[0] == rows
    frame = store_frame(store)
    assert (len(frame), store.problems) == (11, found.problems)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", None])
def test_a_damaged_index_is_made_again(store, content):
    index.load(store)
    whole = file(store).read_bytes()
    file(store).write_bytes(whole[: len(whole) // 2] if content is None else content)
    agree(store)
    assert file(store).read_bytes() == whole


def test_an_index_of_other_code_is_made_again(store, monkeypatch):
    index.load(store)
    monkeypatch.setattr(index, "_made_by", lambda: "other code")
    seen = reads(monkeypatch)
    index.load(store)
    assert len(seen) == 12


def test_a_store_that_can_only_be_read_needs_no_index(store, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index, "write_atomic", full)
    agree(store)
    assert not file(store).exists()


def test_a_small_store_gets_no_file_and_a_store_that_is_not_there_is_empty(tmp_path):
    store = fill_store(Store(tmp_path / "runs"), make_records(seeds=range(2)))
    agree(store)
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]
    empty = index.load(Store(tmp_path / "none" / "runs"))
    assert (empty.by_folder("id"), empty.unfinished, empty.problems) == ({}, [], {})


def test_the_file_is_written_only_when_enough_is_new(store, monkeypatch):
    monkeypatch.setattr(index, "SHARE", 4)
    index.load(store)
    before = file(store).read_bytes()
    for n, written in ((60, False), (61, False), (62, False), (63, True)):
        store.write(make_record("mgu", seed=n))
        agree(store)
        assert (file(store).read_bytes() != before) is written


def _look(root, barrier, queue):
    barrier.wait()
    queue.put(index.load(Store(root)).table.num_rows)


@pytest.mark.integration
def test_processes_that_make_it_at_once_do_no_harm(store):
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(3), context.Queue()
    processes = [context.Process(target=_look, args=(store.root, barrier, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(60)
    assert found == [12, 12, 12]
    agree(store)
    assert [p.name for p in store.root.parent.iterdir() if p.name.startswith(".")] == []


def test_a_store_that_is_written_meanwhile_is_read_as_it_was_at_some_moment(store):
    done = threading.Event()

    def write():
        for n in range(40):
            store.write(make_record("cifg", seed=100 + n))
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    counts = []
    while not done.is_set():
        counts.append(index.load(store).table.num_rows)
    thread.join()
    assert counts == sorted(counts)
    assert index.load(store).table.num_rows == 52
    agree(store)


def test_every_digit_of_a_metric_survives(store):
    value = 0.1 + 0.2
    record = make_record("gru", seed=9, value=value)
    store.write(record)
    found = index.load(store)
    folders, values = found.columns("folder", found.metrics["test/accuracy"]).values()
    assert values[folders.index(record["id"])] == value
