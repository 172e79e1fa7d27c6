from __future__ import annotations

import json
import os

import pytest

from rnnbench.errors import BadInput
from rnnbench.store.record import KEYS, RecordError, run_id
from rnnbench.store.store import Store, read_jsonl, write_atomic


def make_record(seed=0, status="ok", reason=None):
    known = {"schema_version": 1, "id": run_id({"seed": seed}), "status": status, "reason": reason, "seed": seed}
    return dict.fromkeys(KEYS) | known | {"axes": {"cell": "lstm"}, "dataset": {"name": "digits"}, "metrics": {}}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def test_open_prefers_argument_to_environment_to_current_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("RNNBENCH_RESULTS", str(tmp_path / "a"))
    assert Store.open(tmp_path / "b").root == tmp_path / "b" / "runs"
    assert Store.open().root == tmp_path / "a" / "runs"
    monkeypatch.delenv("RNNBENCH_RESULTS")
    monkeypatch.chdir(tmp_path)
    assert Store.open().root.resolve() == tmp_path / "results" / "runs"


def test_a_store_that_is_not_there_is_empty(store):
    assert store.ids() == []
    assert store.records() == {}
    with pytest.raises(BadInput, match="the store is empty"):
        store.find("a")


def test_a_record_is_written_once_and_read_back(store):
    record = make_record()
    assert store.read(record["id"]) is None
    path = store.write(record)
    assert store.read(record["id"]) == record
    assert store.records() == {record["id"]: record}
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="written once"):
        store.write(record | {"status": "error"})
    assert path.read_bytes() == before


def test_what_could_not_be_read_back_is_not_written(store):
    record = make_record(status="skipped")
    with pytest.raises(RecordError, match="skipped"):
        store.write(record)
    assert not store.record_path(record["id"]).exists()


def test_set_aside_keeps_every_earlier_record(store):
    for n in (1, 2):
        record = make_record(status="oom", reason=f"try {n}")
        store.write(record)
        aside = store.set_aside(record["id"])
        assert aside.name == f"record.failed-{n}.json"
        assert store.read(record["id"]) is None
    reasons = [json.loads(p.read_text())["reason"] for p in sorted(aside.parent.glob("record.failed-*"))]
    assert reasons == ["try 1", "try 2"]
    assert store.ids() == [record["id"]]
    with pytest.raises(FileNotFoundError):
        store.set_aside(record["id"])


def test_damaged_records_are_named_and_never_stop_the_rest(store):
    records = [make_record(seed=seed) for seed in range(5)]
    for record in records:
        store.write(record)
    ids = [record["id"] for record in records]
    store.record_path(ids[0]).write_text("{")
    store.record_path(ids[1]).write_bytes(b'{"id": "\xff"}')
    store.record_path(ids[2]).write_text(json.dumps(records[2] | {"schema_version": 99}))
    store.folder("unfinished").mkdir()
    assert set(store.records()) == set(ids[3:])
    assert set(store.problems) == {str(store.record_path(i)) for i in ids[:3]}
    assert "update rnnbench" in store.problems[str(store.record_path(ids[2]))]
    with pytest.raises(RecordError, match="not whole text"):
        store.read(ids[1])


def test_problems_are_those_of_the_last_reading(store):
    record = make_record()
    path = store.write(record)
    whole = path.read_text()
    path.write_text(whole[:-10])
    assert not store.records()
    assert store.problems
    path.write_text(whole)
    assert store.records()
    assert not store.problems


def test_find_by_prefix(store):
    for name in ("abc111", "abc222", "def333"):
        store.folder(name).mkdir(parents=True)
    assert store.find("d") == "def333"
    assert store.find("abc1") == "abc111"
    with pytest.raises(BadInput, match=r"beginning of 2 runs \(abc111, abc222\)"):
        store.find("abc")
    with pytest.raises(BadInput, match="did you mean def333"):
        store.find("def334")
    for name in ("abc333", "abc444"):
        store.folder(name).mkdir(parents=True)
    with pytest.raises(BadInput, match="known: abc111, abc222, abc333, abc444 and 1 more"):
        store.find("zzz")


def test_write_atomic_replaces_whole_files(tmp_path):
    path = tmp_path / "f"
    write_atomic(path, "old")
    write_atomic(path, b"n\xff")
    assert path.read_bytes() == b"n\xff"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, step):
    path = tmp_path / "f"
    path.write_text("old")

    def full(*_args):
        raise OSError("disk full")

    monkeypatch.setattr(f"rnnbench.store.store.os.{step}", full)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f"]


def test_read_jsonl_leaves_out_torn_lines_only(tmp_path):
    path = tmp_path / "history.jsonl"
    assert read_jsonl(path) == []
    rows = [{"step": 1}, {"step": 2, "note": "a\u2028b\x85c"}, {"step": 3}]
    lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b'\n{"step": 4, "note": "\xc3')  # the tear splits a character
    assert read_jsonl(path) == rows
    with path.open("ab") as file:  # a resumed run appends behind the tear: that row is lost, the later ones are not
        file.write(b'{"step": 4}\n{"step": 5}\n')
    assert read_jsonl(path) == [*rows, {"step": 5}]
    path.write_bytes(b'{"step": 1}\n\x00\x00\x00\n7\n')
    assert read_jsonl(path) == [{"step": 1}]


def test_history_of_a_run(store):
    assert store.history("nothing") == []
    store.folder("x").mkdir(parents=True)
    (store.folder("x") / "history.jsonl").write_text('{"step": 1}\n')
    assert store.history("x") == [{"step": 1}]
