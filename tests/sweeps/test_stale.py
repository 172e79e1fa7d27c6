"""Records made by other source: shown and counted, neither silently reused nor discarded."""

from __future__ import annotations

import copy
import json
import sys

import numpy as np
import pandas as pd
import pytest
from made_up import filled, planned, record
from sweeping import LAB, call

from rnnbench.bench.gate import film
from rnnbench.errors import BadInput
from rnnbench.runs import attempts, own_source, registry, vouched
from rnnbench.runs.source_hash import source_hash
from rnnbench.store.record import run_id
from rnnbench.store.rows import COLUMNS, fitting, row
from rnnbench.sweeps import stale
from rnnbench.sweeps.outlook import look_ahead, text_rows
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.status import look
from rnnbench.sweeps.sweep import Sweep


def ids(made):
    return [job.id for job in made.jobs]


OTHER = "0123456789ab"


def is_stale(job, **replaced):
    """What index, record and frame say of a job's record; they agree."""
    made = record(job, **replaced)
    found = {name: fitting(value, COLUMNS[name]) for name, value in row(made).items()}
    said = {bool(stale.why(found)), bool(stale.why_record(made)), *stale.stale_rows(pd.DataFrame([found]))}
    assert len(said) == 1
    return said.pop()


@pytest.fixture
def vouching(tmp_path, monkeypatch):
    """A list in which today's source and another both ran the GRU on digits."""
    path = tmp_path / "vouched.jsonl"
    work = vouched.Work("gru", "1", "digits", "1")
    path.write_text("".join(f"{vouched.line(source, [work]).text()}\n" for source in (OTHER, source_hash())))
    monkeypatch.setattr(vouched, "FILE", path)


@pytest.mark.parametrize(
    ("source", "expected"),
    [(OTHER, True), (None, False), (source_hash(), False), ("", True), (3, True), (["x"], True), ({"a": 1}, True)],
)
def test_a_record_is_stale_where_its_hash_is_another(source, expected):
    assert is_stale(planned("cell=gru").jobs[0], source_hash=source) is expected


@pytest.mark.usefixtures("vouching")
def test_a_record_of_a_source_that_the_gate_saw_compute_the_same_is_not_stale():
    assert not is_stale(planned("cell=gru").jobs[0], source_hash=OTHER)
    assert is_stale(planned("cell=gru").jobs[0], source_hash="feedc0defeed"), "a source that is not in the list"
    assert is_stale(planned("cell=lstm").jobs[0], source_hash=OTHER), "a cell that neither ran"
    assert is_stale(planned("cell=gru", "dataset=adding").jobs[0], source_hash=OTHER), "a dataset that neither ran"
    assert is_stale(planned("cell=gru").jobs[0], source_hash=OTHER, device="cuda (H100)"), "a device that neither saw"
    assert is_stale(planned("cell=gru").jobs[0], source_hash=OTHER, precision="bf16"), "a precision that neither saw"


@pytest.mark.usefixtures("vouching")
def test_a_source_that_is_not_vouched_for_yet_makes_records_stale(monkeypatch):
    monkeypatch.setattr(stale, "source_hash", lambda: "feedc0defeed")
    assert is_stale(planned("cell=gru").jobs[0], source_hash=OTHER)


@pytest.mark.usefixtures("vouching")
@pytest.mark.parametrize("raised", ["cell", "dataset"])
def test_a_raised_version_is_another_run_and_nobody_vouches_for_it(raised):
    job = planned("cell=gru").jobs[0]
    config = copy.deepcopy(job.config)
    config[raised]["meta"]["version"] = 2
    made = record(job, source_hash=OTHER, config=config)
    made["axes" if raised == "cell" else "dataset"]["cell_version" if raised == "cell" else "version"] = 2
    assert run_id(config) != job.id
    assert stale.why(row(made))
    assert stale.why_record(made)


@pytest.fixture
def lab_folder(tmp_path, monkeypatch):
    """A folder of the user's with a module, as --config-dir names one."""
    folder = tmp_path / "mylab"
    folder.mkdir()
    (folder / "stale_leaky.py").write_text("leak = 0.5\n")
    registry.add_config_dir(folder)
    yield folder
    sys.modules.pop("stale_leaky", None)


def test_a_record_is_stale_where_a_module_of_the_users_has_changed(tmp_path, lab_folder):
    says = own_source.of({"_target_": "stale_leaky.Leaky"})
    made = planned("cell=rnn", "seed=range(3)", name="s")
    store = filled(tmp_path, made, 2, own_source=says)
    store.write(record(made.jobs[2]))
    assert not is_stale(made.jobs[0], own_source=says)
    (lab_folder / "stale_leaky.py").write_text("# a comment\nleak = 0.5\n")
    assert stale.reasons(store, ids(made)) == {}
    (lab_folder / "stale_leaky.py").write_text("leak = 0.6\n")
    assert is_stale(made.jobs[0], own_source=says)
    assert stale.reasons(store, ids(made)) == dict.fromkeys(ids(made)[:2], "stale_leaky.py has changed since")
    found = look_ahead(made, store, 1)
    assert found.counts == {"done": 1, "stale": 2}
    assert [run.reason for run in found.runs if run.state == "stale"] == ["stale_leaky.py has changed since"] * 2
    assert "stale_leaky.py has changed since" in "\n".join(text_rows(found))
    assert [state.stale for state in look(store)] == [2]
    assert stale.remark(store, ids(made)) == "2 of 3 runs are stale: stale_leaky.py has changed since"
    with pytest.raises(
        BadInput, match=r"^2 of the 3 runs have stale records \(stale_leaky.py has changed since\); --acc"
    ):
        Sweep(made, tmp_path).run()
    assert stale.recorded(made.jobs[0], store, retry=False)[1] == "stale_leaky.py has changed since"
    assert stale.recorded(made.jobs[0], store, retry=True) == (None, "")
    stale.settle(store, ids(made), "rerun")
    assert list(store.records()) == [made.jobs[2].id]


def test_odd_notes_on_modules_make_nothing_stale_and_stop_nobody():
    job = planned("cell=rnn").jobs[0]
    for says in (None, {}, [], "text", 3, {"../x.py": "0"}, {"leaky.py": 3}, {"a" * 5000 + ".py": "0"}):
        assert not is_stale(job, own_source=says)


def test_a_record_of_before_its_id_told_the_content_of_files_is_stale(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("film.npy", film())
    made = plan(["dataset=own_frames", "cell=convrnn", "dataset.path=film.npy", "budget=smoke"])
    job = made.jobs[0]
    assert not is_stale(job)
    config = copy.deepcopy(job.config)
    for key in ("content", "files"):
        del config["dataset"]["meta"][key]
    assert run_id(config) != job.id
    assert is_stale(job, config=config)
    assert stale.why_record(record(job, config=config)) == stale.FILES


def test_a_record_of_before_its_id_told_its_threads_is_stale_under_the_id_of_one_thread():
    one, four = (planned("cell=rnn", f"harness.threads={n}").jobs[0] for n in (1, 4))
    assert not is_stale(four)
    assert is_stale(one, config=four.config, threads=4)
    assert stale.why_record(record(one, config=four.config)) == stale.THREADS


def test_all_that_has_changed_is_said_and_not_too_much():
    assert stale.in_words(["a", "b", "a"]) == "a; b"
    assert stale.in_words("abcde") == "a; b; c; and 2 more"


@pytest.mark.usefixtures("vouching")
def test_every_reader_asks_the_list(tmp_path):
    made = planned("cell=gru,lstm", name="s")
    store = filled(tmp_path, made, 2, source_hash=OTHER)
    assert list(stale.reasons(store, ids(made))) == [job.id for job in made.jobs if job.axes["cell"] == "lstm"]
    assert look_ahead(made, store, 1).counts == {"done": 1, "stale": 1}
    assert [state.stale for state in look(store)] == [1]


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
    assert stale.reasons(store, ids(made)) == {}
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
    assert {r["source_hash"] for r in store.iterate()} == {"0123456789ab", source_hash()}
    again = call(*words, "--rerun-stale", results=results, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {r["source_hash"] for r in store.iterate()} == {source_hash()}
    assert (store.folder(made.jobs[0].id) / "record.stale-1.json").exists()
    both = call(*words, "--rerun-stale", "--accept-stale", results=results, cwd=tmp_path)
    assert both.returncode == 2
