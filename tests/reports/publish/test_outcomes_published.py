"""Outcomes by test item: frozen with a set, checked by verify, brought back by merge, and read from Python."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rnnbench
from reports.synthetic import make_record
from rnnbench.errors import BadInput
from rnnbench.reports.publish import freeze as freezing
from rnnbench.reports.publish import outcomes as publishing
from rnnbench.reports.publish.derive import verify
from rnnbench.reports.publish.freeze import publish
from rnnbench.reports.publish.outcomes import changed_outcomes
from rnnbench.store import outcomes
from rnnbench.store.outcomes import Outcomes
from rnnbench.store.store import Store
from rnnbench.sweeps.merge import merge

ITEMS = 50


def made_of(cell: str, seed: int, right: int) -> tuple[dict, Outcomes]:
    """A record, and the outcomes that it follows from: so many of 50 items are right; one class is unknown."""
    rng = np.random.default_rng([seed, len(cell)])
    total, count = rng.random(ITEMS).astype(np.float32), np.ones(ITEMS, np.int32)
    total[7], count[7] = 0, 0
    good = np.zeros(ITEMS, bool)
    good[[n for n in range(ITEMS) if n != 7][:right]] = True
    record = make_record(cell, seed=seed, value=right / 49)
    record["metrics"]["test/loss"] = sum(map(float, total)) / 49
    return record, Outcomes(record["id"], record["dataset"]["data_hash"], "accuracy", total, count, good)


@pytest.fixture
def made() -> list[tuple[dict, Outcomes]]:
    return [made_of(cell, seed, 30 + seed + len(cell)) for cell in ("rnn", "lstm") for seed in range(2)]


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """No figures, which take most of the time and are not compared."""
    for name in ("draw_board", "draw_frozen"):
        monkeypatch.setattr(freezing, name, lambda *_: None)


@pytest.fixture
def store(tmp_path, made) -> Store:
    """Four runs with their outcomes, one of an older version without, one that diverged."""
    store = Store.open(tmp_path / "ours")
    others = [make_record("gru"), make_record("gru", seed=1, status="diverged")]
    for record in [*(record for record, _ in made), *others]:
        store.write(record)
    for record, of in made:
        (store.folder(record["id"]) / outcomes.FILE).write_bytes(outcomes.dumps([of]))
    manifest = {"command": "rnnbench sweep x", "skipped": [], "runs": sorted(store.records())}
    (tmp_path / "ours" / "sweeps").mkdir()
    (tmp_path / "ours" / "sweeps" / "demo.json").write_text(json.dumps(manifest))
    return store


def same(found: Outcomes, wanted: Outcomes) -> bool:
    return found.run == wanted.run and all(
        np.array_equal(getattr(found, name), getattr(wanted, name)) for name in ("total", "count", "right")
    )


def test_a_set_keeps_them_and_merge_brings_them_back(store, made, tmp_path):
    folder = publish(store, "demo")
    assert verify(folder) == []
    assert "The loss of every test item of 4 of the 6 runs: [outcomes.npz](outcomes.npz)." in readme(folder)
    kept = outcomes.read_published(folder, [record for record, _ in made])
    assert len(kept) == 4
    assert all(same(kept[of.run], of) for _, of in made)
    other = Store.open(tmp_path / "theirs")
    found = merge(other, [folder])
    assert (found.copied, found.problems) == (6, [])
    assert sum((other.folder(run) / outcomes.FILE).exists() for run in other.ids()) == 4
    for record, of in made:
        assert same(outcomes.read_run(other.folder(of.run) / outcomes.FILE, other.read(record["id"])), of)
    again = Store.open(tmp_path / "third")
    assert merge(again, [other.root]).copied == 6, "from a store whole folders are copied"
    assert all((again.folder(of.run) / outcomes.FILE).exists() for _, of in made)


def readme(folder: Path) -> str:
    return (folder / "README.md").read_text()


def test_what_is_touched_or_belongs_to_no_such_record_is_noticed(store, made):
    folder = publish(store, "demo")
    path, head = folder / outcomes.FILE, folder / "sweep.json"
    whole, said = path.read_bytes(), head.read_text()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert verify(folder) == [outcomes.FILE]
    path.unlink()
    assert changed_outcomes(folder) == [outcomes.FILE]
    _, of = made[0]
    strangers = outcomes.dumps([of, dataclasses.replace(of, run="f" * 12)])
    others = outcomes.dumps([dataclasses.replace(of, total=of.total * 2)])
    for content, runs in ((strangers, 2), (others, 1), (b"text", 4), (outcomes.dumps([of]), 4)):
        path.write_bytes(content)
        frozen = {"runs": runs, "sha256": hashlib.sha256(content).hexdigest()}
        head.write_text(json.dumps(json.loads(said) | {"outcomes": frozen}, indent=1) + "\n")
        assert changed_outcomes(folder) == [outcomes.FILE], "its sha256 is right, and what it says is not"
    head.write_text(said)
    path.write_bytes(whole)
    assert changed_outcomes(folder) == []


@pytest.mark.integration
def test_too_large_ones_are_left_out_and_that_is_said(store, monkeypatch):
    folder = publish(store, "demo")
    assert (folder / outcomes.FILE).exists()
    monkeypatch.setattr(publishing, "MOST_BYTES", 500)
    publish(store, "demo")
    assert not (folder / outcomes.FILE).exists()
    assert "The loss of every test item of 4 of the 6 runs is left out: 0.0 MB, and a set keeps" in readme(folder)
    assert verify(folder) == []
    (folder / outcomes.FILE).write_bytes(b"of the set before")
    assert changed_outcomes(folder) == [outcomes.FILE]


@pytest.mark.integration
def test_a_set_of_runs_without_outcomes_has_neither_file_nor_line(store, made):
    for _, of in made:
        (store.folder(of.run) / outcomes.FILE).unlink()
    folder = publish(store, "demo")
    assert "outcomes" not in json.loads((folder / "sweep.json").read_text())
    assert "test item" not in readme(folder)
    assert verify(folder) == []


@pytest.mark.integration
@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(b"none"), "cannot be read as outcomes"),
        (lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")), "is a symbolic link"),
    ],
)
def test_a_damaged_file_is_named_and_the_records_come_all_the_same(store, tmp_path, damage, sentence):
    folder = publish(store, "demo")
    damage(folder / outcomes.FILE)
    other = Store.open(tmp_path / "theirs")
    found = merge(other, [folder])
    assert (found.copied, len(found.problems)) == (6, 1)
    assert sentence in found.problems[0]
    assert not list(other.root.glob(f"*/{outcomes.FILE}"))


@pytest.mark.integration
def test_outcomes_of_another_run_of_that_id_are_not_believed(store, made):
    """A record that was set aside and made again, its file still of before."""
    record, of = made[0]
    store.set_aside(record["id"])
    store.write(record | {"metrics": record["metrics"] | {"test/loss": 0.123}})
    found, problems = outcomes.gather(store, store.records().values())
    assert set(found) == {other.run for _, other in made[1:]}
    (why,) = problems.values()
    assert "its items have the loss" in why
    folder = publish(store, "demo")
    assert "3 of the 6 runs" in readme(folder)
    with pytest.raises(BadInput, match="does not belong to the record"):
        outcomes.read_run(store.folder(of.run) / outcomes.FILE, store.read(of.run))


def test_python_has_a_row_a_run_and_item(store, made):
    frame = rnnbench.outcomes(results=store.root.parent)
    assert list(frame) == ["id", "dataset", "label", "seed", "item", "loss", "count", "right"]
    assert len(frame) == 4 * ITEMS
    for record, of in made:
        mine = frame[frame["id"] == of.run]
        assert mine["item"].tolist() == list(range(ITEMS))
        assert mine["right"].sum() / 49 == pytest.approx(record["metrics"]["test/accuracy"])
        assert (mine["loss"] * mine["count"]).sum() / 49 == pytest.approx(record["metrics"]["test/loss"])
        assert mine.iloc[7][["loss", "right"]].isna().all()
        assert (mine["seed"] == record["seed"]).all()
    pd.testing.assert_frame_equal(rnnbench.outcomes("cell=rnn", results=store.root.parent).head(ITEMS * 2), frame[
        frame["label"] == "RNN 64"
    ].reset_index(drop=True))  # fmt: skip


def test_python_has_a_typed_frame_without_rows_too(store):
    frame = rnnbench.outcomes("cell=gru", results=store.root.parent)
    assert (len(frame), list(frame)[-1]) == (0, "right")
    assert (
        frame.dtypes.astype(str).to_dict() == rnnbench.outcomes(results=store.root.parent).dtypes.astype(str).to_dict()
    )
