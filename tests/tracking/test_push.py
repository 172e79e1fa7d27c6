"""Records as W&B runs: what they hold, that a second push does nothing, and that no state of W&B loses anything."""

from __future__ import annotations

import json
import socket
import time

import pytest

from rnnbench.errors import BadInput
from rnnbench.store.store import read_jsonl
from rnnbench.tracking import TrackerError
from rnnbench.tracking import push as pushing
from rnnbench.tracking.push import Mirrored, WandbMirror, answer_agent, push, push_tables

HISTORY = ({"step": 1, "val/loss": 1.0, "val/auc": None}, {"step": 2, "val/loss": 0.25})


@pytest.fixture
def mirrored(record):
    """Two records with curves, of one sweep; the second failed."""
    record = {**record, "params": 120, "train_seconds": 1.5, "config": {"optimizer": {"lr": 0.1}, "seed": 3}}
    failed = {**record, "id": "ba9876543210", "status": "diverged", "reason": "at update 7", "seed": 4, "metrics": {}}
    return [Mirrored(record, HISTORY, "my-sweep"), Mirrored(failed, HISTORY[:1], "my-sweep")]


class Taken:
    """Takes the place of W&B: notes what is pushed, refuses from the n-th run on."""

    def __init__(self, monkeypatch, refuse_from=99):
        self.pushed, self.refuse_from = [], refuse_from
        monkeypatch.setattr(WandbMirror, "push", lambda mirror, one, *_, **__: self.take(one))

    def take(self, one):
        if len(self.pushed) >= self.refuse_from:
            raise TrackerError("CommError: no route to host.")
        self.pushed.append(one.record["id"])


def test_a_second_push_does_nothing_and_a_changed_record_goes_again(monkeypatch, tmp_path, mirrored):
    taken = Taken(monkeypatch)
    done = push(mirrored, tmp_path)
    assert (done.pushed, done.unchanged, done.left, done.error) == (2, 0, 0, None)
    assert push(mirrored, tmp_path).unchanged == 2
    assert len(taken.pushed) == 2
    again = Mirrored({**mirrored[1].record, "status": "ok"}, HISTORY, "my-sweep")
    done = push([mirrored[0], again], tmp_path)
    assert (done.pushed, done.unchanged) == (1, 1)
    assert taken.pushed[2] == "ba9876543210"


def test_curves_count_as_content_and_the_group_does_not(monkeypatch, tmp_path, mirrored):
    Taken(monkeypatch)
    push(mirrored, tmp_path)
    one = mirrored[0]
    assert push([Mirrored(one.record, one.history, "another-sweep")], tmp_path).unchanged == 1
    assert push([Mirrored(one.record, HISTORY[:1], "my-sweep")], tmp_path).pushed == 1


def test_each_project_and_mode_is_a_place_of_its_own(monkeypatch, tmp_path, mirrored):
    taken = Taken(monkeypatch)
    for more in ({}, {"project": "other"}, {"mode": "online"}, {"entity": "team"}):
        assert push(mirrored, tmp_path, **more).pushed == 2
        assert push(mirrored, tmp_path, **more).pushed == 0
    assert len(taken.pushed) == 8


def test_where_wandb_refuses_the_rest_is_left_and_the_next_push_goes_on(monkeypatch, tmp_path, mirrored):
    taken = Taken(monkeypatch, refuse_from=1)
    done = push(mirrored, tmp_path)
    assert (done.pushed, done.left, done.error) == (1, 1, "CommError: no route to host")
    taken.refuse_from = 99
    done = push(mirrored, tmp_path)
    assert (done.pushed, done.unchanged, done.left) == (1, 1, 0)
    assert taken.pushed == ["0123456789ab", "ba9876543210"]


def test_a_torn_note_costs_one_push_and_no_more(monkeypatch, tmp_path, mirrored):
    Taken(monkeypatch)
    push(mirrored, tmp_path)
    notes = tmp_path / "wandb_pushed.jsonl"
    notes.write_text(notes.read_text()[:-20] + "\n")
    assert push(mirrored, tmp_path).pushed == 1


def test_an_unknown_mode_is_refused_and_disabled_pushes_nothing(tmp_path, mirrored, monkeypatch):
    with pytest.raises(BadInput, match="not a mode of W&B"):
        push(mirrored, tmp_path, mode="ofline")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert push(mirrored, tmp_path).left == 2
    assert list(tmp_path.iterdir()) == []


# ---- the real one


def test_a_record_whose_dataset_has_no_name_is_named_without(monkeypatch, tmp_path, mirrored):
    odd = Mirrored({**mirrored[0].record, "dataset": {}})
    told = []
    monkeypatch.setattr(WandbMirror, "_whole_run", lambda mirror, init, *_: told.append(init))
    assert push([odd, mirrored[1]], tmp_path).pushed == 2
    assert [init["id"] for init in told] == [odd.record["id"], "ba9876543210"]


def offline(folder):
    """The folders of offline runs by their W&B id."""
    return {path.name.rpartition("-")[2]: path for path in (folder / "wandb").glob("offline-run-*")}


@pytest.mark.integration
def test_offline_runs_hold_config_curves_summary_table_and_group(tmp_path, mirrored, read_wandb, capfd):
    done = push(mirrored, tmp_path)
    assert (done.pushed, done.error) == (2, None)
    assert capfd.readouterr() == ("", "")
    folders = offline(tmp_path)
    assert set(folders) == {"0123456789ab", "ba9876543210"}
    found = {}
    for run_id, folder in folders.items():
        (tmp_path / run_id / "wandb").mkdir(parents=True)
        found[run_id] = read_wandb((folder.rename(tmp_path / run_id / "wandb" / folder.name)).parents[1])
    run = found["0123456789ab"]
    assert run["group"] == "my-sweep"
    assert run["name"] == "lstm · digits · seed 3 0123456789ab"
    assert run["config"]["optimizer"] == {"lr": 0.1}
    assert run["config"]["rnnbench_id"] == "0123456789ab"
    assert [(r["_step"], r["val/loss"]) for r in run["history"] if "val/loss" in r] == [(1, 1.0), (2, 0.25)]
    assert run["summary"]["test/accuracy"] == 0.9
    assert run["summary"]["params"] == 120
    assert run["exit_code"] == 0
    assert list(run["folder"].glob("files/media/table/record_*.json"))
    failed = found["ba9876543210"]
    assert failed["exit_code"] == 1
    assert failed["summary"]["reason"] == "at update 7"
    assert [note["id"] for note in read_jsonl(tmp_path / "wandb_pushed.jsonl")] == ["0123456789ab", "ba9876543210"]


TABLES = {"leaderboard": (["entry", "mean"], [["LSTM", 0.9], ["GRU", None]]), "cost": (["entry"], [["LSTM"]])}


@pytest.mark.integration
def test_tables_are_one_run_that_is_made_once(tmp_path, read_wandb, capfd):
    done = push_tables(TABLES, "quickstart", tmp_path)
    assert (done.pushed, done.left, done.error) == (1, 0, None)
    assert capfd.readouterr() == ("", "")
    run = read_wandb(tmp_path)
    assert run["name"] == "tables · quickstart"
    assert run["exit_code"] == 0
    (board,) = run["folder"].glob("files/media/table/leaderboard_*.json")
    assert json.loads(board.read_text()) == {"columns": ["entry", "mean"], "data": [["LSTM", 0.9], ["GRU", None]]}
    assert push_tables(TABLES, "quickstart", tmp_path).unchanged == 1
    assert len(offline(tmp_path)) == 1
    (note,) = read_jsonl(tmp_path / "wandb_pushed.jsonl")
    assert note["id"] in offline(tmp_path) or note["id"].startswith("tables-")


def test_changed_tables_go_again_under_the_same_run(tmp_path, monkeypatch):
    went = []
    monkeypatch.setattr(WandbMirror, "push_tables", lambda mirror, run, *_: went.append(run))
    assert push_tables(TABLES, "all runs", tmp_path).pushed == 1
    changed = TABLES | {"cost": (["entry"], [["GRU"]])}
    assert push_tables(changed, "all runs", tmp_path).pushed == 1
    assert push_tables(changed, "all runs", tmp_path).unchanged == 1
    assert push_tables(changed, "cell=lstm", tmp_path).pushed == 1
    assert went[0] == went[1] != went[2]
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert push_tables(TABLES, "all runs", tmp_path).left == 1


@pytest.fixture
def silent_server():
    """A server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.integration
@pytest.mark.parametrize("state", ["no_key", "refused", "hanging"])
def test_no_state_of_the_server_loses_anything(state, monkeypatch, tmp_path, mirrored, silent_server):
    if state != "no_key":
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", silent_server if state == "hanging" else "http://127.0.0.1:9")
    began = time.monotonic()
    done = push(mirrored, tmp_path, mode="online", patience=3.0)
    assert time.monotonic() - began < 20  # about 5 s on an idle machine
    assert (done.pushed, done.left) == (0, 2)
    assert done.error is not None
    assert "\n" not in done.error
    assert not (tmp_path / "wandb_pushed.jsonl").exists()
    monkeypatch.delenv("WANDB_BASE_URL")
    assert push(mirrored, tmp_path, mode="offline").pushed == 2


# ---- wandb agent


@pytest.fixture
def agent(monkeypatch):
    """What `wandb agent` puts into the environment of a run that it starts."""
    monkeypatch.setenv("WANDB_SWEEP_ID", "s123")
    monkeypatch.setenv("WANDB_RUN_ID", "agents-own")
    monkeypatch.setenv("WANDB_PROJECT", "of-the-agent")


@pytest.mark.integration
def test_a_run_that_is_recorded_already_gives_the_agents_run_its_record(agent, tmp_path, mirrored, read_wandb):
    tracker = {"name": "wandb", "project": "rnnbench", "entity": None, "mode": "offline", "dir": None}
    assert answer_agent(mirrored[0], tracker, tmp_path) is None
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    assert folder.name.endswith("-agents-own")
    run = read_wandb(tmp_path)
    assert run["project"] == "of-the-agent"
    assert run["summary"]["val/loss"] == 0.25
    assert not (tmp_path / "wandb_pushed.jsonl").exists()


def test_without_an_agent_or_wandb_nothing_is_answered(monkeypatch, tmp_path, mirrored, agent):
    assert answer_agent(mirrored[0], {"name": "none"}, tmp_path) is None
    monkeypatch.delenv("WANDB_SWEEP_ID")
    assert answer_agent(mirrored[0], {"name": "wandb", "mode": "online"}, tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_an_agent_whose_server_is_gone_is_one_sentence(monkeypatch, tmp_path, mirrored, agent):
    def gone(*_, **__):
        raise TrackerError("CommError: refused.")

    monkeypatch.setattr(pushing.WandbMirror, "push", gone)
    said = answer_agent(mirrored[0], {"name": "wandb", "mode": "online"}, tmp_path)
    assert said == "W&B did not take the record (CommError: refused)."
    assert json.dumps(said)
