"""How sweeps stand, seen from another process: counts, running runs, failures, ETA; printed once or watched."""

from __future__ import annotations

import io
import json
import os
import time

import pytest
from made_up import begin, filled, planned, record
from rich.console import Console
from sweeping import call, start, until

from rnnbench.errors import BadInput
from rnnbench.store.store import Store
from rnnbench.sweeps.outlook import look_ahead
from rnnbench.sweeps.plan import write_manifest
from rnnbench.sweeps.status import OTHERS, look
from rnnbench.sweeps.status_view import as_json, render, watch


def shown(states, width=160):
    """What a terminal of this width shows, line by line without trailing blanks."""
    out = io.StringIO()
    Console(file=out, width=width).print(render(states, "results/runs"), soft_wrap=True)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.fixture
def busy(tmp_path):
    """A sweep with runs in every state, one of them in the hand of this process."""
    made = planned("cell=rnn", "seed=range(8)", name="busy")
    store = filled(tmp_path / "results", made, 2, wall_seconds=30.0)
    store.write(record(made.jobs[2], status="oom", reason="out of memory", metrics={}, finished="2026-01-02T09:00:00"))
    store.write(record(made.jobs[3], status="timeout", reason="too slow", metrics={}, finished="2026-01-02T08:00:00"))
    store.folder(made.jobs[4].id).mkdir()
    store.record_path(made.jobs[4].id).write_text("{")
    begin(store, made.jobs[5], end="interrupted")
    claim = begin(store, made.jobs[6], rows=3)
    yield made, store
    claim.close("interrupted")


def test_a_sweep_in_numbers(busy):
    made, store = busy
    (state,) = look(store)
    assert (state.name, state.total, state.ok, state.failed, state.damaged, state.interrupted, state.left) == (
        "busy", 8, 2, 2, 1, 1, 3,
    )  # fmt: skip
    assert state.command == made.command
    (live,) = state.running
    assert (live.id, live.title) == (made.jobs[6].id, "RNN · digits · seed 6")
    assert (live.update, live.updates, live.metric, live.value) == (30, 60, "val/accuracy", 0.5)
    assert [(f.status, f.reason) for f in state.failures] == [("oom", "out of memory"), ("timeout", "too slow")]
    assert state.eta == pytest.approx(3 * 30.0 - live.seconds)


def test_it_reads_well(busy):
    _, store = busy
    lines = shown(look(store))
    assert lines[0].split() == ["sweep", "runs", "ok", "failed", "running", "interrupted", "left", "ETA"]
    assert lines[1].split()[:7] == ["busy", "8", "2", "2", "1", "1", "3"]
    assert lines[1].endswith("1 damaged")
    run = next(line for line in lines if "RNN · digits · seed 6" in line)
    assert "30/60" in run
    assert "val/accuracy 0.5" in run
    at = lines.index("last failures (2 in all)")
    assert lines[at + 1].startswith("oom ")
    assert lines[at + 1].endswith("RNN · digits · seed 2: out of memory")


def test_no_run_runs_and_no_time_is_promised(tmp_path):
    (state,) = look(filled(tmp_path, planned("cell=rnn", "seed=range(4)", name="halted"), 1))
    assert (state.left, state.eta, state.running) == (3, None, [])
    assert shown([state])[1].split()[-2:] == ["3", "-"]
    (done,) = look(filled(tmp_path / "b", planned("cell=rnn", "seed=range(2)", name="over"), 2))
    assert shown([done])[1].split()[-2:] == ["0", "done"]


def test_a_run_that_was_refused_is_not_interrupted(tmp_path):
    made = planned("cell=rnn", "seed=range(2)", name="missing")
    store = filled(tmp_path, made, 1)
    begin(store, made.jobs[1], end="refused")
    (state,) = look(store)
    assert (state.interrupted, state.left) == (0, 1)


def test_a_search_is_not_done_before_its_last_trial_was_asked_for(tmp_path):
    made = planned("cell=rnn", "seed=range(2)", name="searched")
    store = filled(tmp_path, made, 2)
    path = tmp_path / "sweeps" / "searched.json"
    rows = [{"id": job.id, "study": "all", "number": n, "stage": "trial"} for n, job in enumerate(made.jobs)]
    rows.append({"id": None, "study": "all", "number": 2, "stage": "trial"})  # its axes did not go together
    manifest = json.loads(path.read_text())

    def left(**rules):
        rules = {"studies": [{"key": "all"}], "trials": rows, "final_seeds": 2, **rules}
        path.write_text(json.dumps(manifest | {"search": rules}))
        (state,) = look(store)
        return state.left

    assert left(trials_each=8) == 5 + 2, "trials, and the winner's finals"
    assert left(trials_each=3) == 0, "a study without a winner has no finals"


def test_a_run_that_has_only_just_begun_is_running(tmp_path):
    made = planned("cell=rnn", "seed=range(2)", name="young")
    store = filled(tmp_path, made, 0)
    (store.folder(made.jobs[0].id) / "attempts" / "001").mkdir(parents=True)
    (state,) = look(store)
    (live,) = state.running
    assert (live.id, live.title, live.update, live.updates, live.value) == (made.jobs[0].id,) * 2 + (None,) * 3
    assert "0/?" in "\n".join(shown([state]))


def test_runs_of_no_sweep_have_a_line_of_their_own(tmp_path):
    store = filled(tmp_path, planned("cell=rnn", "seed=range(2)", name="one"), 2)
    alone = planned("cell=gru", "seed=7").jobs[0]
    store.write(record(alone))
    assert [(state.name, state.total) for state in look(store)] == [("one", 2), (OTHERS, 1)]
    assert [state.name for state in look(store, "one")] == ["one"]


def test_a_sweep_that_is_not_there_is_refused(tmp_path):
    store = filled(tmp_path, planned("cell=rnn", name="quick"), 1)
    with pytest.raises(BadInput, match=r"no sweep is called 'quik'; did you mean quick"):
        look(store, "quik")
    with pytest.raises(BadInput, match="`rnnbench sweep experiment=quickstart` makes one"):
        look(Store(tmp_path / "none" / "runs"), "x")


def test_an_empty_store_and_a_damaged_manifest_stop_nothing(tmp_path):
    assert look(Store(tmp_path / "runs")) == []
    assert shown([]) == ["No runs in results/runs yet."]
    store = filled(tmp_path, planned("cell=rnn", name="whole"), 1)
    for name, text in (("torn", "{"), ("odd", '{"runs": 3}'), ("list", "[]")):
        (tmp_path / "sweeps" / f"{name}.json").write_text(text)
    assert [state.name for state in look(store)] == ["whole"]


def test_stale_records_and_skipped_cells_are_counted(tmp_path):
    made = planned("cell=rnn", "peephole=off,on", "seed=range(3)", name="old")
    (state,) = look(filled(tmp_path, made, 2, source_hash="0123456789ab"))
    assert (state.stale, state.skipped) == (2, 3)
    assert shown([state])[1].endswith("2 stale, 3 skipped cells")


def test_many_sweeps_are_shortened(tmp_path):
    store = filled(tmp_path, planned("cell=rnn", name="s00"), 1)
    for n in range(1, 20):
        write_manifest(planned("cell=rnn", name=f"s{n:02d}"), tmp_path)
    lines = shown(look(store))
    assert "... and 5 earlier sweeps; `rnnbench status NAME` shows one" in lines


def test_json_says_it_all(busy):
    made, store = busy
    (row,) = json.loads(as_json(look(store)))
    assert (row["name"], row["left"], row["running"][0]["id"]) == ("busy", 3, made.jobs[6].id)
    assert row["eta_seconds"] > 0


def test_watching_ends_when_all_is_done(busy):
    made, store = busy
    jobs = made.jobs
    store.record_path(jobs[4].id).unlink()

    def work(seconds):
        store.write(record(next(job for job in jobs if store.read(job.id) is None)))

    out = io.StringIO()
    states = watch(store, "busy", Console(file=out, width=120, force_terminal=True), sleep=work)
    assert (states[0].left, states[0].ok) == (0, 6)
    assert "done" in out.getvalue()


def test_watching_ends_with_ctrl_c_and_shows_once_without_a_terminal(busy):
    _, store = busy

    def interrupt(seconds):
        raise KeyboardInterrupt

    assert watch(store, None, Console(file=io.StringIO(), force_terminal=True), sleep=interrupt)[0].left == 3
    out = io.StringIO()
    watch(store, None, Console(file=out, width=120), sleep=interrupt)
    assert out.getvalue().count("busy") == 1


@pytest.mark.integration
def test_a_running_sweep_is_seen_from_another_terminal(tmp_path):
    results = tmp_path / "results"
    words = [
        "sweep",
        "cell=napping",
        "dataset=digits",
        "budget=smoke",
        "seed=range(2)",
        "--name",
        "nap",
        "--workers",
        "1",
    ]
    process = start(*words, results=results, cwd=tmp_path, nap=1.0)
    try:
        store = Store.open(results)
        until(lambda: any(run.updates for state in look(store) for run in state.running))
        said = call("status", "nap", results=results, cwd=tmp_path)
        assert said.returncode == 0, said.stderr
        assert "digits · seed 0" in said.stdout
        assert said.stdout.splitlines()[1].split()[:5] == ["nap", "2", "0", "0", "1"]
    finally:
        process.terminate()
        process.communicate(timeout=60)
    (state,) = look(Store.open(results))
    assert (state.running, state.interrupted) == ([], 1)


@pytest.mark.parametrize(("hours", "doubt"), [(0, False), (-2, True)])
def test_a_run_on_another_machine_is_named_with_it_and_with_a_doubt(tmp_path, hours, doubt):
    """One look cannot tell whether it lives: it is neither called running without more, nor dead."""
    made = planned("cell=rnn", name="mine")
    store = filled(tmp_path, made, 0)
    claim = begin(store, made.jobs[0])
    claim.stop()
    said = json.loads((claim.folder / "claim.json").read_text()) | {"host": "elsewhere"}
    for name, text in (("claim.json", json.dumps(said)), ("heartbeat", "1 1.0")):
        (claim.folder / name).write_text(text)
        os.utime(claim.folder / name, (time.time() + 3600 * hours,) * 2)
    (state,) = look(store, "mine")
    (live,) = state.running
    assert (live.host, live.seconds) == ("elsewhere", 1.0)
    text = "\n".join(shown([state], width=200))
    assert "(on elsewhere" in text
    assert ("maybe dead: no sign for 2:00:0" in text) == doubt
    planned_row = look_ahead(made, store, 1).runs[0]
    assert (planned_row.state, "maybe dead" in planned_row.reason) == ("running", doubt)
