from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from reports.synthetic import fill_store, make_record
from rnnbench.errors import BadInput
from rnnbench.reports.show import show_run
from rnnbench.store.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def text_of(store, run_id):
    console = Console(width=100, file=io.StringIO())
    console.print(show_run(store, run_id))
    return console.file.getvalue()


def test_a_finished_run_is_shown_whole(store):
    record = make_record("gru", seed=1, value=0.9321, options={"reset_after": True}) | {
        "command": "rnnbench run 'a=b c'",
        "solved": 0.99,
    }
    fill_store(store, [record])
    text = text_of(store, record["id"][:6])
    for part in (
        "ok", record["id"], "GRU 64", "reset_after=True", "test/accuracy ↑", "0.9321", "floor chance", "0.1 (score 0)",
        "target", "1 (score 1)", "0.99 on", "19,338", "cpu", "32-true", "a1b2c3d4", "feedc0de", "torch=2.13.0",
        "412.5 MB", "rnnbench run 'a=b c'", "record.json", "seed", "best step",
    ):  # fmt: skip
        assert part in text, part


def test_a_failed_run_shows_its_reason_attempts_and_earlier_records(store):
    record = make_record(status="diverged")
    fill_store(store, [record])
    store.set_aside(record["id"])
    fill_store(store, [record | {"reason": "again not finite"}])
    attempts = store.folder(record["id"]) / "attempts"
    for name, files in {
        "001": {
            "claim.json": {"host": "here", "pid": 7, "born": 1.5, "time": 0},
            "outcome.json": {"status": "interrupted", "reason": "ctrl-c"},
        },
        "002": {"claim.json": {"host": "there", "pid": 8}, "traceback.txt": "boom"},
    }.items():
        (attempts / name).mkdir(parents=True)
        for file, content in files.items():
            (attempts / name / file).write_text(json.dumps(content))
    (attempts / "002" / "heartbeat").touch()
    (attempts / "002" / "broken.json").write_text("{")
    text = " ".join(text_of(store, record["id"]).split())
    for part in (
        "diverged",
        "again not finite",
        "record.failed-1.json",
        "interrupted: ctrl-c; began=1970-01-01T00:00:00+00:00, host=here, pid=7",
    ):
        assert part in text, part
    assert "born" not in text
    for part in (
        "last sign=20",
        "no outcome",
        "host=there",
        "broken.json=cannot be read",
        "traceback.txt",
        "not recorded",
    ):
        assert part in text, part


def test_an_unfinished_run_shows_what_is_known(store):
    folder = store.folder("abc")
    folder.mkdir(parents=True)
    assert "config.yaml is missing" in text_of(store, "abc")
    (folder / "config.yaml").write_text("# GRU\n# rnnbench run a=b\ncell: {name: gru}\nseed: 3\nharness: {x: hidden}\n")
    (folder / "history.jsonl").write_text('{"step": 50, "val/loss": 0.51234}\n{"step": 1')
    text = text_of(store, "a")
    for part in (
        "not finished",
        "name=gru",
        "seed",
        "1 rows",
        "again with",
        "rnnbench run a=b",
        "step=50, val/loss=0.5123",
        "config.yaml",
    ):
        assert part in text, part
    assert "hidden" not in text
    (folder / "config.yaml").write_text("a: [")
    assert "cannot be read" in text_of(store, "a")


def test_a_damaged_record_is_said_to_be_so(store):
    record = make_record()
    fill_store(store, [record])
    store.record_path(record["id"]).write_text('{"schema_version": 9}')
    text = text_of(store, record["id"])
    assert "damaged record" in text
    assert "update rnnbench" in text.replace("\n", " ")


def test_unknown_run(store):
    with pytest.raises(BadInput, match="the store is empty"):
        show_run(store, "abc")
    fill_store(store, [make_record()])
    with pytest.raises(BadInput, match="no run 'zzz'"):
        show_run(store, "zzz")
