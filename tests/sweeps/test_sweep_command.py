"""`rnnbench sweep` as a user runs it: a process group of its own that is interrupted, killed, and started twice."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest
from sweeping import LAB, TINY, call, claims, comparable, family, gone, start, sweep, temporaries, until

from rnnbench.store.store import Store
from rnnbench.sweeps.plan import plan

pytestmark = pytest.mark.integration
NAPPING = [*TINY, "cell=napping", "harness.checkpoint_seconds=0", "seed=range(4)", "budget.updates=40"]
NAP = 0.02  # a step; a run takes above 6 s, so that there is something to interrupt


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a sweep of NAPPING records when nobody disturbs it."""
    results = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNBENCH_CONFIG_DIR", str(LAB))
        patch.setattr(sys, "path", [*sys.path, str(LAB)])
        assert sweep(*NAPPING, results=results).exit_code == 0
    found = comparable(results)
    assert len(found) == 4
    return found


def histories(results: Path) -> int:
    """How many runs have begun and validated."""
    return sum(path.stat().st_size > 0 for path in results.glob("runs/*/history.jsonl"))


def test_a_sweep_records_what_single_runs_record(tmp_path):
    grid = [*TINY, "cell=lstm,gru", "peephole=off,on"]
    done = call("sweep", *grid, "--workers", "2", results=tmp_path / "sweep", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("digits · smoke\n"), "its leaderboard"
    assert "skipped: 1 cell: cell=gru takes no peephole" in done.stderr
    assert done.stderr.splitlines()[-1] == "3 runs: 3 ok"
    records = Store.open(tmp_path / "sweep").records()
    command = next(r["command"] for r in records.values() if r["axes"]["peephole"] == "on")
    alone = call(*shlex.split(command)[1:], "tracker=none", results=tmp_path / "alone", cwd=tmp_path)
    assert (alone.returncode, alone.stderr) == (0, "digits: 1,077/360/360 sequences of 8 steps, 8 features\n")
    assert "ok  LSTM +peephole h=8 · digits" in alone.stdout
    swept, single = comparable(tmp_path / "sweep"), comparable(tmp_path / "alone")
    assert len(single) == 1
    assert single.items() <= swept.items()
    again = call("sweep", *grid, results=tmp_path / "sweep", cwd=tmp_path)
    assert (again.returncode, again.stderr.splitlines()[-1]) == (0, "3 runs: 3 ok")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "sweep"]


def test_a_failed_run_is_exit_code_1(tmp_path):
    diverges = ["cell=rnn_relu", "optimizer=sgd", "optimizer.lr=1e20", "clip=null"]
    done = call("sweep", *TINY, *diverges, results=tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert "diverged" in done.stderr
    assert done.stderr.splitlines()[-1] == "--retry-failed does failed runs again"


def test_kill_9_of_the_whole_sweep_loses_nothing(tmp_path, unbroken):
    process = start("sweep", *NAPPING, "--workers", "2", results=tmp_path, cwd=tmp_path, nap=NAP)
    until(lambda: histories(tmp_path) == 2)
    workers = family(process)
    assert len(workers) >= 4, "fork server, resource tracker and two workers"
    process.kill()
    process.communicate()
    until(lambda: gone(workers), 10)
    assert Store.open(tmp_path).records() == {}
    ended = [claims(tmp_path, path.name) for path in (tmp_path / "runs").iterdir()]
    assert [c["status"] for (c,) in ended] == ["interrupted"] * 2
    assert all(c["reason"].startswith("the sweep is gone at update ") for (c,) in ended)

    done = call("sweep", *NAPPING, "--workers", "2", results=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert comparable(tmp_path) == unbroken
    assert temporaries(tmp_path) == []


def test_kill_9_of_the_sweep_and_all_its_workers_loses_nothing(tmp_path, unbroken):
    process = start("sweep", *NAPPING, "--workers", "2", results=tmp_path, cwd=tmp_path, nap=NAP)
    until(lambda: len(list(tmp_path.glob("runs/*/last.ckpt"))) == 2)
    workers = family(process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: gone(workers), 5)
    assert [claims(tmp_path, path.name) for path in (tmp_path / "runs").iterdir()] == [[{}], [{}]]
    done = call("sweep", *NAPPING, "--workers", "2", results=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert comparable(tmp_path) == unbroken


@pytest.mark.parametrize(("send", "number"), [(os.killpg, signal.SIGINT), (os.kill, signal.SIGTERM)])
def test_ctrl_c_checkpoints_and_the_same_command_resumes(tmp_path, unbroken, send, number):
    process = start("sweep", *NAPPING, "--workers", "2", results=tmp_path, cwd=tmp_path, nap=NAP)
    until(lambda: histories(tmp_path) == 2)
    workers, began = family(process), time.monotonic()
    send(process.pid, number)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - began < 12
    assert process.returncode == 130
    assert "stopping: 2 running, each writes its checkpoint (again: end at once)" in said
    assert said.splitlines()[-1] == "the same command resumes what is not finished"
    assert "Traceback" not in said
    until(lambda: gone(workers), 5)
    for path in (tmp_path / "runs").iterdir():
        (outcome,) = claims(tmp_path, path.name)
        assert outcome["status"] == "interrupted"
        assert outcome["reason"].startswith("the sweep was interrupted at update ")
        assert (path / "last.ckpt").exists()
        assert [json.loads(line)["step"] for line in (path / "history.jsonl").read_text().splitlines()]
    assert temporaries(tmp_path) == []

    done = call("sweep", *NAPPING, results=tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert comparable(tmp_path) == unbroken
    assert {r["attempts"] for r in Store.open(tmp_path).records().values()} == {1, 2}


def test_ctrl_c_while_the_workers_are_still_being_prepared(tmp_path):
    process = start("sweep", *NAPPING, results=tmp_path, cwd=tmp_path, nap=NAP)
    until(lambda: (tmp_path / "sweeps").exists() and len(family(process)) >= 2)
    workers = family(process)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in said) == (130, False), said
    until(lambda: gone(workers), 5)
    assert Store.open(tmp_path).records() == {}


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    stuck = [*TINY, "cell=dying", "cell.how=hang", "cell.after=9"]  # it never comes to its checkpoint
    process = start("sweep", *stuck, results=tmp_path, cwd=tmp_path)
    until(lambda: list(tmp_path.glob("runs/*/attempts/001/heartbeat")))
    time.sleep(1)
    workers = family(process)
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None, "it waits for the worker"
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert (process.returncode, "Traceback" in said) == (130, False), said
    until(lambda: gone(workers), 5)


def test_two_sweeps_over_one_store_share_the_work(tmp_path):
    grid = [*TINY, "cell=napping", "seed=range(8)", "budget.updates=20"]
    both = [start("sweep", *grid, "--workers", "1", results=tmp_path, cwd=tmp_path, nap=0.005) for _ in range(2)]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert all(text.splitlines()[-1] == "8 runs: 8 ok" for text in said)
    records = Store.open(tmp_path).records()
    assert len(records) == 8
    hosts = set()
    for run_id in records:
        done = [outcome for outcome in claims(tmp_path, run_id) if outcome["reason"] != "already recorded"]
        assert [outcome["status"] for outcome in done] == ["ok"], "no run is done twice"
        claim = json.loads((tmp_path / "runs" / run_id / "attempts" / "001" / "claim.json").read_text())
        hosts.add(claim["pid"])
    assert len(hosts) == 8, "each run in a process of its own"
    assert temporaries(tmp_path) == []


def test_the_unbroken_sweep_is_what_was_planned(unbroken, lab):
    assert set(unbroken) == {job.id for job in plan(NAPPING).jobs}
