"""W&B as a mirror: what an offline run holds, and that no state of the server or the key can hold a run up."""

from __future__ import annotations

import json
import socket
import sys
import time

import psutil
import pytest

from rnnbench.errors import BadInput
from rnnbench.tracking import Guarded, TrackerError, wandb_process, wandb_tracker
from rnnbench.tracking.base import record_row, record_summary
from rnnbench.tracking.wandb_tracker import WandbTracker

KEY = "a" * 40


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


def cores_of(pid):
    """W&B's service processes that were started by the process pid."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words and words[0].endswith("wandb-core") and ["--pid", str(pid)] == words[-2:]:
            found.append(process)
    return found


# ---- what is decided before anything starts


def test_the_mode_in_the_config_wins_then_the_environment_then_offline(monkeypatch):
    assert WandbTracker().mode == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert WandbTracker().mode == "disabled"
    assert WandbTracker(mode="online").mode == "online"


def test_an_unknown_mode_is_refused_with_its_place(monkeypatch):
    with pytest.raises(BadInput, match=r"tracker\.mode='ofline'.*did you mean offline"):
        WandbTracker(mode="ofline")
    with pytest.raises(BadInput, match=r"tracker\.mode=False"):
        WandbTracker(mode=False)  # what YAML makes of a bare `off`
    monkeypatch.setenv("WANDB_MODE", "never")
    with pytest.raises(BadInput, match="WANDB_MODE='never'"):
        WandbTracker()


def test_disabled_starts_no_process_and_writes_nothing(info, record):
    tracker = WandbTracker(mode="disabled")
    tracker.start(info)
    tracker.log({"loss": 1.0}, 1)
    tracker.finish(record, ok=True)
    tracker.abandon()
    assert list(info.folder.iterdir()) == []


def test_a_record_as_a_row_and_as_a_summary(record):
    assert record_row(record) == {
        "id": "0123456789ab",
        "status": "ok",
        "seed": 3,
        "dataset": "digits",
        "cell": "lstm",
        "depth": 2,
        "peephole": False,
        "options.groups": 4,
        "options.sizes": "[1, 2]",
        "val/loss": 0.25,
        "test/accuracy": 0.9,
        "test/auc": None,
    }
    assert record_summary(record)["best_step"] == 2
    assert record_row({"id": "x", "status": "error"}) == {"id": "x", "status": "error", "seed": None, "dataset": None}


# ---- the helper process, in this process, with a W&B made of paper


class PaperRun:
    def __init__(self):
        self.rows, self.summary, self.exit_code = [], {}, None

    def log(self, metrics, step=None):
        if "boom" in metrics:
            raise ValueError("no such metric\nsecond line")
        self.rows.append((step, metrics))

    def finish(self, exit_code):
        self.exit_code = exit_code


def serve(monkeypatch, *messages):
    """Let the helper do the messages; gives the paper run and the answers."""
    run, answers = PaperRun(), []

    class Settings:
        model_fields = ("silent", "console")

        def __init__(self, **settings):
            assert settings == {"silent": True, "console": "off"}  # what this release does not know is left out

    class Paper:
        pass

    paper = Paper()
    paper.Settings = Settings
    paper.init = lambda **kwargs: run
    paper.Table = lambda **kwargs: kwargs
    monkeypatch.setitem(sys.modules, "wandb", paper)
    wandb_process.serve([json.dumps(message) for message in messages], answers.append)
    return run, answers


START = ["start", {"init": {"project": "p"}, "patience": 1.0}]


@pytest.mark.parametrize("code", [0, 1])
def test_the_helper_gives_the_exit_code_and_the_row(monkeypatch, code):
    finish = ["finish", {"summary": {"a": 1}, "row": {"id": "x", "depth": 2}, "exit_code": code}]
    run, answers = serve(monkeypatch, START, ["log", 5, {"loss": 0.5}], finish)
    assert run.rows[0] == (5, {"loss": 0.5})
    assert run.rows[1][1]["record"]["data"] == [["x", 2]]
    assert run.summary == {"a": 1}
    assert run.exit_code == code
    assert answers == [{}, {}]


def test_without_a_record_there_is_no_table(monkeypatch):
    run, _ = serve(monkeypatch, START, ["finish", {"summary": {}, "row": {}, "exit_code": 1}])
    assert run.rows == []
    assert run.exit_code == 1


def test_when_the_training_process_is_gone_the_run_has_failed(monkeypatch):
    run, answers = serve(monkeypatch, START, ["log", 1, {"loss": 1.0}])
    assert run.exit_code == 1
    assert answers == [{}]


def test_summary_and_exit_code_are_given_even_if_the_table_fails():
    run = PaperRun()
    with pytest.raises(AttributeError):  # no W&B: no Table
        wandb_process.finish(None, run, {"summary": {"a": 1}, "row": {"id": "x"}, "exit_code": 0})
    assert run.summary == {"a": 1}
    assert run.exit_code == 0


def test_a_point_that_wandb_refuses_is_an_error(monkeypatch):
    with pytest.raises(ValueError, match="no such metric"):
        serve(monkeypatch, START, ["log", 1, {"boom": 1.0}])


# ---- the pipe, with a helper that is none


def fake_helper(monkeypatch, tmp_path, code):
    path = tmp_path / "helper.py"
    path.write_text("import json, signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + code)
    monkeypatch.setattr(wandb_tracker, "HELPER", path)


@pytest.mark.integration
def test_the_helpers_error_is_raised_and_the_process_collected(monkeypatch, tmp_path, info):
    fake_helper(monkeypatch, tmp_path, "sys.stdin.readline(); print(json.dumps({'error': 'UsageError: no key'}))")
    tracker = WandbTracker()
    with pytest.raises(TrackerError, match="no key"):
        tracker.start(info)
    assert tracker._process.returncode is not None
    with pytest.raises(TrackerError, match="not running"):
        tracker.log({"loss": 1.0}, 1)


@pytest.mark.integration
def test_a_helper_that_dies_is_an_error_and_not_a_hang(monkeypatch, tmp_path, info):
    fake_helper(monkeypatch, tmp_path, "sys.stdin.readline(); print('{}', flush=True); sys.stdin.readline()")
    tracker = WandbTracker()
    tracker.start(info)
    with pytest.raises(TrackerError, match="ended"):  # noqa: PT012  # which of the calls meets the closed pipe is open
        while True:
            tracker.log({"loss": 1.0}, 1)
    tracker.abandon()
    assert tracker._process.returncode is not None


@pytest.mark.integration
@pytest.mark.parametrize("answered", [0, 1])
def test_a_helper_that_hangs_is_killed_after_the_limit(monkeypatch, tmp_path, info, record, answered):
    fake_helper(monkeypatch, tmp_path, f"print('{{}}\\n' * {answered}, end='', flush=True); time.sleep(60)")
    warnings = []
    tracker = WandbTracker()
    guard = Guarded(tracker, 1.0, warnings.append)
    began = time.monotonic()
    guard.start(info)
    for step in range(3000):  # more than a pipe holds
        guard.log({"loss": 1.0, "a-name-that-is-long-enough": 2.0}, step)
    guard.finish(record, ok=True)
    assert time.monotonic() - began < 3
    assert len(warnings) == 1
    wait_until(lambda: tracker._process.returncode is not None)


# ---- the real one


@pytest.mark.integration
def test_an_offline_run_mirrors_curves_config_record_and_exit_code(info, record, read_wandb, capfd):
    tracker = WandbTracker()
    tracker.start(info)
    for step in (1, 2, 3):
        tracker.log({"val/loss": 1.0 / step}, step)
    tracker.log({"train/loss": float("nan")}, 3)
    tracker.finish(record, ok=True)
    assert capfd.readouterr() == ("", "")
    assert tracker._process.returncode == 0
    assert cores_of(tracker._process.pid) == []

    run = read_wandb(info.folder)
    assert run["name"] == "LSTM digits seed 3 0123456789ab"
    assert run["group"] == "my-sweep"
    assert run["project"] == "rnnbench"
    assert run["config"]["rnnbench_id"] == "0123456789ab"
    assert run["config"]["rnnbench_attempt"] == 1
    assert run["config"]["cell"] == {"name": "lstm"}
    curve = [(row["_step"], row["val/loss"]) for row in run["history"] if "val/loss" in row]
    assert curve == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert run["exit_code"] == 0
    assert run["summary"]["val/loss"] == 0.25  # the record's, not the curve's last
    assert run["summary"]["status"] == "ok"
    (table,) = run["folder"].glob("files/media/table/*.json")
    assert json.loads(table.read_text()) == {
        "columns": list(record_row(record)),
        "data": [list(record_row(record).values())],
    }


@pytest.mark.integration
def test_a_failed_second_attempt_in_another_folder(info, tmp_path, read_wandb, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "users-own")  # which run this is, is not the environment's to say
    second = type(info)(info.id, info.name, None, info.config, 2, info.folder)
    tracker = WandbTracker(project="other", dir=tmp_path / "elsewhere")
    tracker.start(second)
    tracker.finish(None, ok=False)
    run = read_wandb(tmp_path / "elsewhere")
    assert run["exit_code"] == 1
    assert run["name"].endswith("0123456789ab #2")
    assert run["group"] == ""
    assert run["project"] == "other"
    assert "users-own" not in run["folder"].name
    assert list(info.folder.iterdir()) == []


@pytest.mark.integration
@pytest.mark.parametrize("group", [None, "a-sweep-of-ours"])
def test_under_an_agent_a_single_run_is_the_agents_run(info, read_wandb, monkeypatch, group):
    for name, value in {"SWEEP_ID": "s123", "RUN_ID": "agents-own", "PROJECT": "of-the-agent"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    assert WandbTracker().mode == "online"  # the agent's server waits for the curves
    tracker = WandbTracker(mode="offline")
    tracker.start(type(info)(info.id, info.name, group, info.config, 1, info.folder))
    tracker.log({"val/loss": 0.5}, 1)
    tracker.finish(None, ok=True)
    run = read_wandb(info.folder)
    assert run["folder"].name.endswith("-agents-own") == (group is None)
    assert run["project"] == ("of-the-agent" if group is None else "rnnbench")
    assert run["config"]["rnnbench_id"] == info.id


def test_without_an_agent_a_run_id_in_the_environment_means_nothing(monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "users-own")
    assert wandb_tracker.agent_run() is None
    assert WandbTracker().mode == "offline"


WATCHED = """
    import os
    from pathlib import Path
    from rnnbench.tracking import RunInfo, make_tracker

    tracker = make_tracker({"name": "wandb", "mode": os.environ["MODE"]}, warn=print)
    tracker.start(RunInfo("0123", "a run", None, {}, 1, Path(os.environ["FOLDER"])))
    tracker.log({"loss": 1.0}, 1)
"""


@pytest.mark.integration
def test_a_training_process_that_dies_leaves_a_failed_run(python, info, read_wandb):
    python(WATCHED + "\n    os._exit(9)\n", MODE="offline", FOLDER=str(info.folder))
    wait_until(lambda: read_wandb(info.folder)["exit_code"] is not None)
    assert read_wandb(info.folder)["exit_code"] == 1


@pytest.fixture
def silent_server():
    """A server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def no_server():
    """An address where nobody listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.integration
@pytest.mark.parametrize("state", ["silent_server", "no_server", "no_key"])
def test_online_without_a_server_costs_seconds_once_and_the_process_ends(state, request, python, info):
    env = {"MODE": "online", "FOLDER": str(info.folder)}
    if state == "no_key":
        env["WANDB_BASE_URL"] = "http://127.0.0.1:9"
    else:
        env |= {"WANDB_BASE_URL": request.getfixturevalue(state), "WANDB_API_KEY": KEY}
    began = time.monotonic()
    done = python(WATCHED + "\n    tracker.finish(None, ok=True)\n", limit=20, **env)
    wall = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("the tracker is switched off for this run (TrackerError: ")
    assert done.stderr == ""
    assert wall < 15  # 10 s for the tracker, the rest for an interpreter on a busy machine; about 7 s when it is idle


@pytest.mark.integration
def test_killing_the_helper_in_mid_start_leaves_no_process(silent_server, info, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", silent_server)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    warnings = []
    tracker = WandbTracker(mode="online")
    guard = Guarded(tracker, 2.5, warnings.append)
    guard.start(info)
    assert len(warnings) == 1
    wait_until(lambda: tracker._process.returncode is not None)
    wait_until(lambda: not cores_of(tracker._process.pid))
    assert not psutil.pid_exists(tracker._process.pid)
