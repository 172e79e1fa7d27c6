"""Records made by other source: shown and counted, neither silently reused nor discarded."""

from __future__ import annotations

import json

import pytest
from made_up import filled, planned, record
from sweeping import LAB, call

from rnnbench.errors import BadInput
from rnnbench.runs import attempts, host
from rnnbench.sweeps import stale
from rnnbench.sweeps.outlook import look_ahead
from rnnbench.sweeps.sweep import Sweep


def ids(made):
    return [job.id for job in made.jobs]


@pytest.mark.parametrize(
    ("source_hash", "expected"),
    [("0123456789ab", True), (None, False), (host.source_hash(), False)],
)
def test_a_record_is_stale_where_its_hash_is_another(source_hash, expected):
    assert stale.is_stale(source_hash) is expected


def test_the_hash_over_the_bytes_is_still_known():
    assert len(host.known_source_hashes()) == 2
    assert not any(map(stale.is_stale, host.known_source_hashes()))


def test_without_stale_records_there_is_nothing_to_choose(tmp_path):
    made = planned("cell=rnn", "seed=range(3)")
    store = filled(tmp_path, made, 2)
    for choice in (None, "accept", "rerun"):
        stale.settle(store, ids(made), choice)
    assert len(store.records()) == 2


def test_stale_records_stop_a_sweep_until_the_user_chooses(tmp_path):
    made = planned("cell=rnn", "seed=range(4)")
    store = filled(tmp_path, made, 2, source_hash="0123456789ab")
    with pytest.raises(BadInput) as caught:
        stale.settle(store, ids(made))
    assert str(caught.value) == (
        "2 of the 4 runs have stale records (the source of nn/, datasets/ or training/ has changed since); "
        "--accept-stale counts them as done, --rerun-stale sets them aside and does them again."
    )
    assert len(store.records()) == 2
    stale.settle(store, ids(made), "accept")
    assert len(store.records()) == 2
    assert look_ahead(made, store, 1).counts == {"new": 2, "stale": 2}


def test_run_again_the_old_record_is_set_aside_and_kept(tmp_path):
    made = planned("cell=rnn", "seed=range(3)")
    store = filled(tmp_path, made, 1, source_hash="0123456789ab")
    store.write(record(made.jobs[1]))
    run = made.jobs[0].id
    folder = store.folder(run) / "attempts" / "001"
    folder.mkdir(parents=True)
    attempts.write_outcome(folder, "killed", "gone", 1.0, own_death=True)
    assert attempts.deaths(store.folder(run)) == 1
    (store.folder(run) / "last.ckpt").touch()
    stale.settle(store, ids(made), "rerun")
    assert not (store.folder(run) / "last.ckpt").exists(), "nothing of the old source goes on in the new run"
    assert attempts.deaths(store.folder(run)) == 0, "they are not held against the new run"
    assert list(store.records()) == [made.jobs[1].id]
    kept = json.loads((store.folder(run) / "record.stale-1.json").read_text())
    assert (kept["id"], kept["source_hash"]) == (run, "0123456789ab")


def test_two_sweeps_may_choose_at_the_same_moment(tmp_path, monkeypatch):
    made = planned("cell=rnn", "seed=range(2)")
    store = filled(tmp_path, made, 2, source_hash="0123456789ab")

    def other(folder):
        if (folder / "record.json").exists():
            store.set_aside(folder.name, "stale")

    monkeypatch.setattr(attempts, "forgive", other)  # between the look and the move
    stale.settle(store, ids(made), "rerun")
    assert store.records() == {}
    for job in made.jobs:
        store.write(record(job, status="oom", reason="too much"))
    assert Sweep(made, tmp_path, retry_failed=True)._todo() == made.jobs
    assert [len(list(store.folder(job.id).glob("record.*.json"))) for job in made.jobs] == [2, 2]


def test_a_record_without_a_hash_counts_as_done(tmp_path):
    made = planned("cell=rnn", "seed=range(2)")
    store = filled(tmp_path, made, 2, source_hash=None)
    assert stale.find(store, ids(made)) == []
    assert look_ahead(made, store, 1).counts == {"done": 2}


@pytest.mark.integration
def test_the_command_stops_accepts_and_runs_again(tmp_path):
    words = ["sweep", "dataset=digits", "budget=smoke", "budget.updates=8", "budget.val_every=4", "hidden_size=4",
             "cell=rnn,gru", "--workers", "1"]  # fmt: skip
    made = planned("budget.updates=8", "budget.val_every=4", "hidden_size=4", "cell=rnn,gru")
    results = tmp_path / "results"
    store = filled(results, made, 1, source_hash="0123456789ab")
    assert LAB.is_dir()
    stopped = call(*words, results=results, cwd=tmp_path)
    assert stopped.returncode == 2
    assert stopped.stderr == f"rnnbench: {stale.sentence(1, 2)}\n"
    assert not store.folder(made.jobs[1].id).exists(), "nothing was run"
    accepted = call(*words, "--accept-stale", results=results, cwd=tmp_path)
    assert accepted.returncode == 0, accepted.stderr
    assert {r["source_hash"] for r in store.iterate()} == {"0123456789ab", host.source_hash()}
    again = call(*words, "--rerun-stale", results=results, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {r["source_hash"] for r in store.iterate()} == {host.source_hash()}
    assert (store.folder(made.jobs[0].id) / "record.stale-1.json").exists()
    both = call(*words, "--rerun-stale", "--accept-stale", results=results, cwd=tmp_path)
    assert both.returncode == 2
