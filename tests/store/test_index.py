"""The index of a store: always what the records say, however it was made, damaged or raced for."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import threading

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
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
    return store.results.index


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
    odd = make_record(seed=77, value=None, status="error", later="wide")
    odd["metrics"] = {"test/odd": None, "val/big": 1e150, "test/accuracy": 1}
    odd["params"], odd["started"], odd["git"] = 2**62, "yesterday", None
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


ODD = {
    "no metrics at all": {"metrics": {}},
    "a metric of its own": {"metrics": {"test/only_here": 0.5, "test/accuracy": 0.25}},
    "a metric that is not known": {"metrics": {"test/accuracy": None}},
    "metrics named like columns": {"metrics": {"value": 0.5, "id": 1.0, "folder": 2.0, "metric value": 3.0}},
    "the smallest and the largest whole numbers": {"params": 2**63 - 1, "threads": -(2**63), "target": 2**63 - 1},
    "the largest number": {"metrics": {"test/accuracy": -1e150}},
    "keys that nobody knows": {"label": 3, "later": {"a": [[1.5, None], {}]}},
    "times of many kinds": {"started": "2026-01-02", "finished": "2026-01-02T03:04:05.123456789+02:00"},
    "no times": {"started": "", "finished": "soon"},
    "nothing but what it must have": {"config": None, "git": None, "packages": {}, "budget": None, "floors": None},
    "axes without a label": {"axes": {"cell": "gru", "options": {"clip": None, "cell.bias": 1.0}}, "config": {}},
    "letters of other tongues": {"reason": "zażółć 学习", "host": {"cpu": "Ω", "node": None}},
}


def put(store, record, folder=None):
    """A record as it may lie there, whatever `Store.write` would say to it."""
    path = store.record_path(folder or record["id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_odd_records_are_told_alike_made_at_once_or_added_later(store, odd):
    index.load(store)
    put(store, make_record("gru", seed=70) | odd)
    agree(store)  # added to the index that was there
    later = store_frame(store)
    file(store).unlink(missing_ok=True)
    agree(store)  # made at once
    agree(store)  # read back
    pd.testing.assert_frame_equal(store_frame(store), later)


def test_a_record_in_the_folder_of_another_run_is_refused_by_name(store):
    run = store.ids()[0]
    path = put(store, store.read(run) | {"status": "oom"}, "0-copy")
    assert "and lies in the folder of run '0-copy'" in index.load(store).problems[str(path)]
    agree(store)
    frame = store_frame(store)
    assert frame.set_index("id").loc[run, "status"] == "ok"
    assert len(frame) == 12


def test_a_folder_whose_name_is_no_text_is_named_and_stops_nothing(store):
    folder = store.root / os.fsdecode(b"caf\xe9")
    shutil.copytree(store.folder(store.ids()[0]), folder)
    (store.root / os.fsdecode(b"empty\xff")).mkdir()
    (problem,) = index.load(store).problems.values()
    assert "is named in bytes that are no text" in problem
    assert len(store_frame(store)) == 12


LIES = {
    "an end that there is none": lambda table: table.set_column(
        table.schema.get_field_index("status"), "status", pa.array(["fine"] * 12).dictionary_encode().cast(TEXTS)
    ),
    "another run": lambda table: table.set_column(
        table.schema.get_field_index("id"), "id", pa.array(["x"] * 12, pa.string())
    ),
    "no folder": lambda table: table.set_column(
        table.schema.get_field_index("folder"), "folder", pa.nulls(12, pa.string())
    ),
}
TEXTS = pa.dictionary(pa.int32(), pa.string())


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_an_index_that_says_what_no_record_can_is_made_again(store, lie, monkeypatch):
    monkeypatch.setattr(index, "FEWEST", 1)
    frame = store_frame(store)
    index._write(lie(index._read(file(store))), file(store))
    assert index._read(file(store)) is None
    pd.testing.assert_frame_equal(store_frame(store), frame)


@pytest.mark.parametrize("odd", [None, 3, "", "..", "../x", "a\0b", "\ud800"])
def test_an_id_that_is_no_name_of_a_folder_makes_no_record(store, odd):
    run = store.ids()[0]
    path = store.record_path(run)
    path.write_text(json.dumps(store.read(run) | {"id": odd}))
    said = index.load(store).problems[str(path)]
    assert said.startswith(f"{path} has ")
    assert " for id, which is " in said or "half a character" in said
    agree(store)


def test_a_metric_leaves_with_its_last_record(store):
    path = put(store, make_record("gru", seed=71, metrics={"test/rare": 0.5}))
    assert "test/rare" in store_frame(store)
    path.unlink()
    agree(store)
    assert "test/rare" not in store_frame(store)


def test_a_record_that_is_mended_or_broken_is_read_again(store):
    index.load(store)
    run = store.ids()[3]
    path = store.record_path(run)
    whole = path.read_text()
    path.write_text(whole[:50])
    assert run not in set(store_frame(store)["id"])
    agree(store)
    path.write_text(whole)
    assert run in set(store_frame(store)["id"])
    agree(store)


def test_changes_of_all_kinds_at_once_are_a_fresh_index(store):
    index.load(store)
    first, second, third, *_ = store.ids()
    shutil.rmtree(store.folder(first))
    put(store, store.read(second) | {"status": "timeout", "metrics": {"test/late": 1.0}})
    store.record_path(third).write_bytes(b"\xff\xfe")
    for seed in range(80, 86):
        put(store, make_record("mgu", seed=seed, hidden_size=8 * seed))
    changed = store_frame(store)
    problems = store.problems
    file(store).unlink()
    pd.testing.assert_frame_equal(store_frame(store), changed)
    assert store.problems == problems
    assert list(problems) == [str(store.record_path(third))]
    agree(store)


def test_a_flipped_bit_of_the_index_is_noticed(store, monkeypatch):
    index.load(store)
    content = bytearray(file(store).read_bytes())
    content[len(content) // 4] ^= 1
    file(store).write_bytes(bytes(content))
    agree(store)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["seed"]),
        lambda table: table.drop_columns(["folder"]),
        lambda table: table.drop_columns(["inode"]),
        lambda table: table.append_column("seed", table["seed"]),
        lambda table: table.append_column("metric odd", table["folder"]),
        lambda table: table.append_column("odd", table["value"]),
        lambda table: table.set_column(table.column_names.index("seed"), "seed", table["folder"]),
    ],
)
def test_an_index_of_other_columns_is_made_again_though_it_calls_itself_ours(store, change):
    index.load(store)
    path = store.results.index
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)
    agree(store)
