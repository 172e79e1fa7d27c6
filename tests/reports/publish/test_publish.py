"""Frozen results: whole, derived from their records alone, and noticed when they are not."""

import json
import os
import re
from pathlib import Path

import pytest

from reports.synthetic import make_record, make_records
from rnnbench.errors import BadInput
from rnnbench.reports.publish.derive import verify
from rnnbench.reports.publish.freeze import publish
from rnnbench.store.published import published_in, read_published
from rnnbench.store.record import RecordError
from rnnbench.store.store import Store
from rnnbench.store.text import printable

COMMITTED = published_in(Path(__file__).parents[3] / "results" / "published")


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path)
    records = list(make_records())
    for record in records:
        store.write(record)
    manifest = {
        "command": "rnnbench sweep x",
        "skipped": [{"reason": "no", "cells": 2}],
        "runs": [r["id"] for r in records],
    }
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "demo.json").write_text(json.dumps(manifest))
    return store


def test_a_published_set_is_equal_to_what_its_records_give(store):
    folder = publish(store, "demo")
    assert verify(folder) == []
    assert {r["id"] for r in read_published(folder)} == set(store.records())
    assert "rnnbench sweep x" in (folder / "README.md").read_text()
    assert "skipped: 2 cells: no" in (folder / "README.md").read_text()


@pytest.mark.integration
def test_publishing_again_gives_the_same_bytes(store):
    folder = publish(store, "demo")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path.relative_to(folder).as_posix() for path in before} >= {"figures/leaderboard.png", "tables/cost.csv"}
    publish(store, "demo")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.integration
def test_a_table_that_follows_from_nothing_is_noticed(store):
    folder = publish(store, "demo")
    (folder / "tables" / "axes.csv").write_text("made up\n")
    assert verify(folder) == ["tables/axes.csv"]
    publish(store, "demo")
    assert verify(folder) == [], "a set published anew keeps no table of the one before"


@pytest.mark.integration
def test_a_leaderboard_too_long_for_a_picture_has_none(store):
    folder = publish(store, "demo")
    assert "figures/leaderboard.png" in (folder / "README.md").read_text()
    many = [make_record(f"cell{n}") for n in range(41)]
    for record in many:
        store.write(record)
    manifest = {"command": "rnnbench sweep y", "skipped": [], "runs": [r["id"] for r in many]}
    (store.root.parent / "sweeps" / "demo.json").write_text(json.dumps(manifest))
    folder = publish(store, "demo")
    assert "figures/leaderboard.png" not in (folder / "README.md").read_text()
    assert not (folder / "figures" / "leaderboard.png").exists()
    assert verify(folder) == []


@pytest.mark.integration
@pytest.mark.parametrize("name", ["leaderboard.md", "leaderboard.csv", "README.md", "tables.md", "tables/tasks.csv"])
def test_a_touched_table_is_noticed(store, name):
    folder = publish(store, "demo")
    path = folder / name
    path.write_text(path.read_text().replace("1", "2", 1))
    assert verify(folder) == [name]
    path.unlink()
    assert verify(folder) == [name]


def test_a_touched_number_in_the_records_is_noticed(store):
    folder = publish(store, "demo")
    path = folder / "records.jsonl"
    lines = path.read_text().splitlines()
    record = json.loads(lines[0])
    record["metrics"] = {k: v + 0.1 for k, v in record["metrics"].items()}
    path.write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n")
    assert "leaderboard.csv" in verify(folder)


def test_an_unfinished_sweep_is_not_published(store):
    run = next(iter(store.records()))
    store.record_path(run).unlink()
    with pytest.raises(
        BadInput, match=r"1 of the .* runs of demo have no record yet; finish it first: rnnbench sweep x"
    ):
        publish(store, "demo")


def test_a_part_of_a_sweep_says_what_was_not_run(store):
    path = store.root.parent / "sweeps" / "demo.json"
    manifest = json.loads(path.read_text())
    first, second, *rest = manifest["runs"]
    path.write_text(json.dumps(manifest | {"entries": {"cell=lstm": [first, second], "cell=gru": rest}}))
    store.record_path(first).unlink()
    with pytest.raises(BadInput, match=r"1 of the .* runs of demo have no record yet.*--partial freezes what there is"):
        publish(store, "demo")
    folder = publish(store, "demo", partial=True)
    assert "- not run: 1 of 2 runs: `cell=lstm`" in (folder / "README.md").read_text()
    assert "cell=gru" not in (folder / "README.md").read_text()
    assert len(read_published(folder)) == len(rest) + 1
    assert verify(folder) == []


def test_nothing_finished_is_nothing_to_publish(store):
    for run in store.records():
        store.record_path(run).unlink()
    with pytest.raises(BadInput, match=r"finish it first: rnnbench sweep x$"):
        publish(store, "demo", partial=True)


def test_an_unknown_sweep_is_named_with_the_nearest(store):
    with pytest.raises(BadInput, match=r"no sweep is called 'dmo'; did you mean demo"):
        publish(store, "dmo")


def test_a_damaged_line_is_named(store):
    folder = publish(store, "demo")
    (folder / "records.jsonl").write_text("{torn\n")
    with pytest.raises(RecordError, match="demo, line 1"):
        read_published(folder)


@pytest.mark.integration  # seconds a set: its tables are made again
@pytest.mark.parametrize("name", list(COMMITTED))
def test_every_committed_set_is_equal_to_its_records(name):
    assert verify(COMMITTED[name]) == []


def test_a_damaged_manifest_is_one_sentence(store):
    (store.root.parent / "sweeps" / "demo.json").write_text('{"runs": ')
    with pytest.raises(BadInput, match=r"demo.json is damaged"):
        publish(store, "demo")


@pytest.mark.parametrize("name", ["../x", "a/b", ""])
def test_a_name_is_no_path(store, name):
    with pytest.raises(BadInput, match="its folder is named so"):
        publish(store, name, sweep="demo")


EVIL = "a\x1b[31m\u202e\x9b`b`\n# h <b>c</b>"


def test_nothing_that_is_named_in_a_set_is_markup_or_obeyed_by_a_terminal(store):
    path = store.results.manifest("demo")
    evil = {"command": EVIL, "skipped": [{"reason": EVIL, "cells": 2}], "entries": {EVIL: ["0123456789ab"]}}
    path.write_text(json.dumps(json.loads(path.read_text()) | evil))
    odd = make_record("mgu", seed=9) | {"reason": EVIL, "source_hash": EVIL, "packages": {EVIL: EVIL}}
    store.write(odd)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"runs": [*store.records()]}))
    folder = publish(store, "demo", partial=True)
    written = [file for file in folder.rglob("*") if file.suffix in (".md", ".csv", ".json", ".jsonl")]
    assert len(written) > 5
    for file in written:
        text = file.read_text()
        assert printable(text) == text, file
        assert "\n# h" not in text
    lines = (folder / "README.md").read_text().splitlines()
    made_by = next(line for line in lines if line.startswith("- made by"))
    assert made_by.count("`") == 2, "what is code ends at its end"
    assert made_by.endswith("`")
    assert not [line for line in lines if re.search(r"(?<!\\)<b>", line) and line.count("`") < 2]
    assert EVIL in [record["reason"] for record in read_published(folder)]
    assert verify(folder) == []


def test_a_pipe_in_a_table_s_place_is_no_table(store):
    folder = publish(store, "demo")
    (folder / "tables.md").unlink()
    os.mkfifo(folder / "tables.md")
    assert verify(folder) == ["tables.md"]
