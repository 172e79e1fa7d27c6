"""Whole searches as the command: recorded, killed and resumed, interrupted, pruned, shown and frozen."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import NamedTuple

import pytest
from sweeping import LAB, comparable, family, gone, start, until

from rnnbench.cli import main
from rnnbench.store.store import Store

pytestmark = pytest.mark.integration

TINY = ["dataset=digits", "budget=smoke", "budget.updates=8", "budget.val_every=4", "cell=rnn"]
SPACE = ["optimizer.lr=tag(log,interval(1e-3,1e-1))", "hidden_size=int(interval(4,12))"]
RANDOM = ["--sampler", "random", "--name", "s"]


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """A command in this process: only its workers cost a start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")

    def run(*words, results):
        code = main([*words, "--results", str(results), "--config-dir", str(LAB)])
        return Said(code, *capsys.readouterr())

    return run


def manifest(results, name="s"):
    return json.loads((results / "sweeps" / f"{name}.json").read_text())


def rows(results, stage, name="s"):
    return [row for row in manifest(results, name)["search"]["trials"] if row["stage"] == stage]


def test_a_search_is_done_resumed_extended_and_frozen(tmp_path, call):
    command = ["tune", *TINY, *SPACE, *RANDOM]
    said = call(*command, "--trials", "4", "--final-seeds", "2", results=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "4 trials: 4 ok" in said.stderr
    assert "2 finals: 2 ok" in said.stderr
    assert "  val/accuracy 0." in said.stderr.split("[4/4]")[0], "a trial shows validation"
    trials, finals = rows(tmp_path, "trial"), rows(tmp_path, "final")
    records = Store.open(tmp_path).records()
    assert set(records) == {row["id"] for row in [*trials, *finals]}
    best = max(trials, key=lambda row: (records[row["id"]]["metrics"]["val/accuracy"], -row["number"]))
    assert [row["number"] for row in finals] == [best["number"]] * 2
    assert [records[row["id"]]["seed"] for row in finals] == [100_000, 100_001]
    assert {records[row["id"]]["config"]["optimizer"]["lr"] for row in finals} == {best["values"]["optimizer.lr"]}

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("record.json")}
    again = call(*command, "--trials", "4", "--final-seeds", "2", results=tmp_path)
    assert again.returncode == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("record.json")} == before
    assert "stale" not in again.stderr
    with pytest.MonkeyPatch.context() as patch:  # the source changes
        patch.setattr("rnnbench.sweeps.stale.source_hash", lambda: "0123456789ab")
        said = call(*command, "--trials", "4", "--final-seeds", "2", "--accept-stale", results=tmp_path)
    assert "6 of 6 runs are stale: the source of nn/" in said.stderr
    more = call(*command, "--trials", "6", results=tmp_path)
    assert more.returncode == 0
    assert [row["id"] for row in rows(tmp_path, "trial")][:4] == [row["id"] for row in trials]
    assert len(rows(tmp_path, "trial")) == 6
    assert {row["id"] for row in rows(tmp_path, "former final")} | {row["id"] for row in rows(tmp_path, "final")} == {
        row["id"] for row in finals
    }, "what was a final stays known"

    for words, files in (
        (("search", "s"), ["tables/search_s/search.md", "tables/search_s/search.png"]),
        (("publish", "s"), ["published/s/search.md", "published/s/search_space.png", "published/s/sweep.json"]),
        (("verify", "s"), []),
        (("leaderboard",), ["tables/leaderboard.csv"]),
    ):
        said = call(*words, results=tmp_path)
        assert said.returncode == 0, said.stderr
        assert all((tmp_path / file).stat().st_size for file in files)
    table = (tmp_path / "tables" / "leaderboard.csv").read_text().splitlines()
    assert len(table) == 2, "six trials are one row"
    assert ",tuned,6," in table[1]
    changed = tmp_path / "published" / "s" / "search_trials.csv"
    changed.write_text(changed.read_text().replace("trial", "tiral", 1))
    assert "s: differs from what its records give: search_trials.csv" in call("verify", results=tmp_path).stdout


def test_a_search_killed_at_once_goes_on_with_the_same_trials(tmp_path, call):
    command = ["tune", *TINY, *SPACE, *RANDOM, "--trials", "4", "--workers", "2", "cell=napping"]
    process = start(*command, results=tmp_path / "a", cwd=tmp_path, nap=0.01)
    until(lambda: len(list((tmp_path / "a").rglob("record.json"))) >= 1)
    until(lambda: "running" in {row["state"] for row in rows(tmp_path / "a", "trial")})
    workers = family(process)
    process.kill()
    process.communicate()
    until(lambda: gone(workers))
    again = call(*command, results=tmp_path / "a")
    assert again.returncode == 0, again.stderr
    assert [row["state"] for row in rows(tmp_path / "a", "trial")] == ["complete"] * 4
    assert call(*command, results=tmp_path / "b").returncode == 0
    assert comparable(tmp_path / "a") == comparable(tmp_path / "b"), "as if it had never been killed"
    assert [row["id"] for row in rows(tmp_path / "a", "trial")] == [row["id"] for row in rows(tmp_path / "b", "trial")]


def test_ctrl_c_ends_a_search_and_asks_for_no_more_trials(tmp_path):
    command = ["tune", *TINY, *SPACE, *RANDOM, "--trials", "50", "--workers", "1", "cell=napping"]
    process = start(*command, results=tmp_path, cwd=tmp_path, nap=0.02)
    until(lambda: list(tmp_path.rglob("heartbeat")))
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert len(rows(tmp_path, "trial")) <= 2
    assert "the same command goes on, to 50 trials" in err


def test_a_pruned_trial_is_a_record_and_a_row(tmp_path):
    command = ["tune", *TINY, "budget.updates=48", "cell=napping", "optimizer.lr=0.03,0.02,1e-7,1e-8",
               "--sampler", "grid", "--pruner", "asha", "--workers", "1", "--name", "s"]  # fmt: skip
    process = start(*command, results=tmp_path, cwd=tmp_path, nap=0.006)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    states = [row["state"] for row in rows(tmp_path, "trial")]
    assert states[0] == "complete"
    assert "pruned" in states[2:]
    store = Store.open(tmp_path)
    for row in rows(tmp_path, "trial"):
        record = store.read(row["id"])
        assert record["status"] == ("pruned" if row["state"] == "pruned" else "ok")
        if record["status"] == "pruned":
            assert record["reason"].startswith("asha: val/accuracy ")
            assert record["updates"] < 48


def test_a_limit_is_shared_by_trials_and_finals(tmp_path, call):
    command = ["tune", *TINY, *SPACE, *RANDOM, "--trials", "2", "--final-seeds", "2", "--workers", "1"]
    said = call(*command, "--limit", "3runs", results=tmp_path)
    assert (said.returncode, len(Store.open(tmp_path).records())) == (130, 3)
    assert "--limit 3runs is reached" in said.stderr
    assert call(*command, results=tmp_path).returncode == 0


def test_a_sweep_and_a_search_do_not_take_each_others_name(tmp_path, call):
    (tmp_path / "sweeps").mkdir()
    path = tmp_path / "sweeps" / "s.json"
    for content, words, said in (
        ({"skipped": [], "search": {}}, ["sweep", *TINY, "--name", "s"], "s is the name of a search here"),
        ({"skipped": []}, ["tune", *TINY, *SPACE, *RANDOM], "s is the name of a sweep here"),
    ):
        path.write_text(text := json.dumps({"command": "x", "runs": []} | content))
        refused = call(*words, results=tmp_path)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert said in refused.stderr
        assert path.read_text() == text
    assert not (tmp_path / "tune").exists()


def test_what_is_refused_before_any_trial_leaves_nothing(tmp_path, call):
    said = call("tune", *TINY, "--name", "s", results=tmp_path / "r")
    assert (said.returncode, said.stderr.count("\n")) == (2, 1)
    assert "nothing to search" in said.stderr
    assert not (tmp_path / "r").exists()


def made_by_other_source(results, runs):
    store = Store.open(results)
    for run in runs:
        path = store.record_path(run)
        path.write_text(json.dumps(json.loads(path.read_text()) | {"source_hash": "0123456789ab"}))


def test_a_search_asks_about_records_of_other_source(tmp_path, call):
    command = ["tune", *TINY, *SPACE, *RANDOM, "--trials", "2", "--final-seeds", "1"]
    assert call(*command, results=tmp_path).returncode == 0
    before = manifest(tmp_path)["search"]["trials"]
    one = before[0]["id"]
    made_by_other_source(tmp_path, [one])
    asked = call(*command, results=tmp_path)
    assert asked.returncode == 2
    assert asked.stderr.startswith("rnnbench: 1 of the 3 runs has a stale record (the source of")
    assert asked.stderr.endswith("does it again: the search begins anew.\n")
    assert manifest(tmp_path)["search"]["trials"] == before
    shown = call("search", "s", "--no-figures", results=tmp_path)
    assert "1 of 3 runs is stale" in shown.stderr
    accepted = call(*command, "--accept-stale", results=tmp_path)
    assert (accepted.returncode, manifest(tmp_path)["search"]["trials"]) == (0, before)
    again = call(*command, "--rerun-stale", results=tmp_path)
    assert again.returncode == 0, again.stderr
    assert manifest(tmp_path)["search"]["trials"] == before, "a random search draws the same values again"
    assert not json.loads(Store.open(tmp_path).record_path(one).read_text())["source_hash"].startswith("0123")
    assert (Store.open(tmp_path).folder(one) / "record.stale-1.json").exists()
    assert (tmp_path / "tune" / "s.stale-1.journal").exists()


def test_a_search_does_not_take_another_sweeps_stale_record(tmp_path, call):
    command = ["tune", *TINY, *SPACE, *RANDOM, "--trials", "1"]
    assert call(*command, results=tmp_path).returncode == 0
    run = rows(tmp_path, "trial")[0]["id"]
    made_by_other_source(tmp_path, [run])
    for known in ("tune/s.journal", "sweeps/s.json"):
        (tmp_path / known).unlink()
    asked = call(*command, results=tmp_path)
    assert asked.returncode == 2, asked.stderr
    assert "the run has a stale record" in asked.stderr
    assert call(*command, "--accept-stale", results=tmp_path).returncode == 0
    assert [row["id"] for row in rows(tmp_path, "trial")] == [run]
