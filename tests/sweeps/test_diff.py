"""Why two ids differ, or do not: keys, values, what the id counts, results side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import begin, filled, planned, record

from rnnbench import toolchain
from rnnbench.bench.gate import film
from rnnbench.errors import BadInput
from rnnbench.runs.plan import prepare
from rnnbench.store.record import run_id
from rnnbench.store.store import Store
from rnnbench.sweeps.diff import Difference, differences, lines, side

ROOT = Path(__file__).parents[2] / "results"


@pytest.fixture
def store(tmp_path):
    made = planned("cell=rnn,gru", "seed=0", name="two")
    store = filled(tmp_path, made, 2)
    return store


def test_the_keys_that_make_two_ids(store):
    a, b = side(store, "cell=lstm optimizer.lr=0.01"), side(store, "cell=lstm 'optimizer.lr=0.02' harness.timeout=9")
    assert differences(a.config, b.config) == [
        Difference("optimizer.lr", 0.01, 0.02, True),
        Difference("harness.timeout", None, 9, False),
    ]
    text = lines(a, b)
    assert text[:2] == [f"A  {a.id}  cell=lstm optimizer.lr=0.01", f"B  {b.id}  {b.asked}"]
    assert "two ids: 1 key that changes the result differs" in text
    assert "no record of A and B here" in text


def test_overrides_of_a_published_run_have_its_record(store):
    overrides = "cell=lstm dataset=digits seed=1"
    assert side(store, overrides).record == side(store, prepare(overrides.split()).id).record is not None


def test_quotes_that_are_not_closed_are_said(store):
    with pytest.raises(BadInput, match="No closing quotation; close its quotes"):
        side(store, "cell='lstm")


def test_one_id_where_only_what_watches_differs(store):
    a, b = side(store, "cell=gru tracker=none"), side(store, "cell=gru tracker=wandb clip=1")
    assert a.id == b.id
    found = differences(a.config, b.config)
    assert found
    assert not any(difference.in_id for difference in found)
    assert "one id: nothing that changes a result differs" in lines(a, b)


def test_two_records_side_by_side(store):
    first, second = store.ids()
    text = lines(side(store, first[:6]), side(store, second))
    rows = [line.split() for line in text]
    assert ["test/accuracy", "0.5", "0.5"] in rows
    assert ["status", "ok", "ok"] in rows
    assert any(row[:1] == ["cell.meta.name"] and set(row[1:]) == {"rnn", "gru"} for row in rows)


def test_an_unfinished_run_is_compared_by_its_config(store):
    job = planned("cell=mgu", "seed=3").jobs[0]
    begin(store, job, end="interrupted")
    found = side(store, job.id[:8])
    assert (found.id, found.record) == (job.id, None)
    assert run_id(found.config) == job.id


def test_a_published_run_is_found_as_well(monkeypatch):
    """By its overrides where there is a compiler, as there was for it."""
    tools = toolchain.Toolchain(("cc",), "gcc 12.2.0", ("-O3",), "x86-64")
    monkeypatch.setattr(toolchain, "find", lambda: tools)
    found = side(Store(ROOT / "runs"), "b51af3")
    assert found.record["axes"]["label"] == "BiLSTM"
    assert side(Store(ROOT / "runs"), "cell=lstm direction=bidirectional seed=1 device=cpu").id == found.id


def test_what_names_no_run_is_refused(store):
    with pytest.raises(BadInput, match="no run 'ffff'"):
        side(store, "ffff")
    with pytest.raises(BadInput, match="unknown cell 'lsmt'"):
        side(store, "cell=lsmt")
    job = planned("cell=mgu", "seed=9").jobs[0]
    store.folder(job.id).mkdir()
    with pytest.raises(BadInput, match="has no config to compare"):
        side(store, job.id)
    store.write(record(job, config=None))
    with pytest.raises(BadInput, match="has no config to compare"):
        side(store, job.id)


BASE = prepare(["cell=lstm", "dataset=digits"]).config


def test_what_is_in_a_file_counts_and_its_path_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "a.npy", film())
    (tmp_path / "b.npy").write_bytes((tmp_path / "a.npy").read_bytes())
    words = ["dataset=own_frames", "cell=convrnn"]
    a, b = (prepare([*words, f"dataset.path={name}.npy"]).config for name in "ab")
    assert [(each.key, each.in_id) for each in differences(a, b)] == [("dataset.path", False)]
    with (tmp_path / "b.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    b = prepare([*words, "dataset.path=b.npy"]).config
    found = [("dataset.meta.content.path", True), ("dataset.path", False)]
    assert [(each.key, each.in_id) for each in differences(a, b)] == found


@pytest.mark.parametrize("threads", [1, 2])
def test_a_number_of_threads_counts_unless_both_have_one(threads):
    other = prepare(["cell=lstm", "dataset=digits", "harness.threads=3"]).config
    mine = prepare(["cell=lstm", "dataset=digits", f"harness.threads={threads}"]).config
    assert differences(mine, other) == [Difference("harness.threads", threads, 3, True)]


@given(st.data())
def test_keys_that_count_are_those_that_move_the_id(data):
    """For any one key of a config: `diff` says it is in the id exactly when changing it gives another id."""
    from rnnbench.runs.axes import leaves

    key = data.draw(st.sampled_from(sorted(leaves(BASE))))
    parts = key.split(".")
    config = changed = {**BASE}
    for part in parts[:-1]:
        changed[part] = {**changed[part]}
        changed = changed[part]
    changed[parts[-1]] = "something else"
    (difference,) = differences(BASE, config)
    assert difference.key == key
    assert difference.in_id is (run_id(config) != run_id(BASE))
