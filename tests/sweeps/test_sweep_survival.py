"""What a sweep outlives, and what stops it: memory, a full disk, its fork server, limits, other sweeps."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest
from rich.console import Console
from sweeping import TINY, call, claims, family, gone, start, sweep, temporaries, until

from rnnbench.runs import attempts
from rnnbench.store.store import Store
from rnnbench.sweeps.display import Display
from rnnbench.sweeps.executors import local, make_executor
from rnnbench.sweeps.limits import Limit, Limits
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.sweep import Sweep

pytestmark = pytest.mark.integration
LONG = [*TINY, "cell=rnn", "budget.updates=100000"]


def statuses(result):
    return sorted(record["status"] for record in result.records.values())


def test_a_run_beyond_its_memory_limit_is_tried_once_more_and_then_recorded(tmp_path, lab):
    said, once = io.StringIO(), f"cell.once='{tmp_path / 'once'}'"
    grid = [*TINY, "cell=greedy", "cell.megabytes=1500", "cell.after=90", "budget.updates=12"]
    limits = Limits(memory=1200 * 2**20)
    result = sweep(*grid, "harness.checkpoint_seconds=0", results=tmp_path / "always", said=said, limits=limits)
    (record,) = result.records.values()
    assert (result.exit_code, record["status"], record["attempts"]) == (1, "oom", 2)
    assert record["reason"].startswith("out of memory twice; at last the process held 1.")
    assert record["reason"].endswith("G, more than the limit of 1.17G")
    assert "more than the limit of 1.17G); it is tried once more" in said.getvalue()
    ends = claims(tmp_path / "always", record["id"])
    assert [end["status"] for end in ends] == ["oom", "oom"]
    assert temporaries(tmp_path / "always") == []

    result = sweep(*grid, once, "harness.checkpoint_seconds=0", results=tmp_path / "once_only", limits=limits)
    (record,) = result.records.values()
    assert (record["status"], record["attempts"]) == ("ok", 2)
    again = sweep(*grid, once, results=tmp_path / "never")
    assert next(iter(again.records.values()))["metrics"] == record["metrics"], "it went on from its checkpoint"


def test_a_run_that_cannot_allocate_is_tried_once_more_and_then_recorded(tmp_path, lab):
    said = io.StringIO()
    grid = [*TINY, "cell=greedy", f"cell.once=null,'{tmp_path / 'once'}'"]
    result = sweep(*grid, results=tmp_path, said=said)
    assert (result.exit_code, statuses(result)) == (1, ["ok", "oom"])
    assert said.getvalue().count("out of memory (more is wanted than there is); it is tried once more") == 2
    failed = next(record for record in result.records.values() if record["status"] == "oom")
    assert failed["reason"] == "more is wanted than there is"
    for record in result.records.values():
        assert [end["status"] for end in claims(tmp_path, record["id"])] == ["oom", record["status"]]

    retried = sweep(*grid, results=tmp_path, retry={"oom"})
    assert statuses(retried) == ["ok", "oom"]
    assert retried.records[failed["id"]]["attempts"] == 4, "a retry is tried twice again"


def test_a_kill_by_the_kernel_for_memory_is_no_common_death(tmp_path, lab, monkeypatch):
    counts = iter(range(1000))
    monkeypatch.setattr(local, "oom_kills", lambda: next(counts))  # it counts up all the time
    result = sweep(*TINY, "cell=dying", "cell.after=9", results=tmp_path)
    (record,) = result.records.values()
    assert (record["status"], record["attempts"]) == ("oom", 2)
    assert record["reason"] == (
        "out of memory twice; at last the kernel killed the process: the machine was out of memory"
    )


def test_a_fork_server_that_dies_is_replaced(tmp_path):
    class Killing(Display):
        def update(self, running):
            path = tmp_path / "runs"
            if not killed and len(list(path.glob("*/history.jsonl"))) == 2:
                killed.append(forkserver._forkserver._forkserver_pid)
                os.kill(killed[0], signal.SIGKILL)

    killed = []
    made = plan([*TINY, "cell=rnn", "seed=range(3)", "budget.updates=400", "harness.checkpoint_seconds=0"])
    result = Sweep(made, tmp_path, workers=2).run(Killing(3, 2, Console(file=io.StringIO())))
    assert (result.exit_code, statuses(result)) == (0, ["ok"] * 3)
    assert forkserver._forkserver._forkserver_pid != killed[0]
    assert sum(len(claims(tmp_path, run_id)) for run_id in result.records) > 3, "they were resumed"
    assert not any(attempts.deaths(tmp_path / "runs" / run_id) for run_id in result.records)


def test_a_worker_that_seems_alive_after_its_death_is_counted_once_it_does_not(tmp_path, lab, monkeypatch):
    """As on another host, whose processes cannot be looked up: only the heartbeat tells, a minute later."""

    def by_heartbeat(folder):
        last = max(folder.glob("attempts/*"), default=None)
        fresh = last is not None and time.time() - (last / "heartbeat").stat().st_mtime < 2
        asked.append(fresh and not (last / "outcome.json").exists())
        return asked[-1]

    asked = []
    monkeypatch.setattr(attempts, "alive", by_heartbeat)
    result = sweep(*TINY, "cell=dying", "cell.after=9", results=tmp_path, workers=1)
    (record,) = result.records.values()
    assert (record["status"], record["attempts"]) == ("killed", 3)
    assert record["reason"] == "died 3 times; at last the process was killed (SIGKILL)"
    assert asked.count(True) >= 6, "each death seemed a life for a while"


@pytest.fixture
def small_disk(tmp_path):
    """A folder with a megabyte of space, where this process may have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def whole(results: Path) -> None:
    """Nothing in a store is torn: records and outcomes can be read, histories have whole lines, no temporaries."""
    store = Store.open(results)
    store.records()
    assert store.problems == {}
    assert temporaries(results) == []
    for path in [*results.rglob("outcome.json"), *results.rglob("claim.json"), *results.glob("sweeps/*.json")]:
        json.loads(path.read_text())
    for path in results.rglob("history.jsonl"):
        assert path.read_text() == "" or path.read_text().endswith("\n")


def test_a_full_disk_stops_the_sweep_and_tears_nothing(small_disk, tmp_path):
    grid = [*TINY, "cell=rnn", "seed=range(30)", "hidden_size=64"]
    done = call("sweep", *grid, "--workers", "2", results=small_disk, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    stopped = next(line for line in done.stderr.splitlines() if line.startswith("stopped: "))
    assert stopped.startswith("stopped: the disk is full (")
    assert stopped.endswith("No space left on device): free some space")
    assert done.stderr.splitlines()[-1] == "the same command resumes what is not finished"
    whole(small_disk)
    there = len(Store.open(small_disk).records())
    assert 0 < there < 30
    assert not any(record["status"] != "ok" for record in Store.open(small_disk).records().values())

    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    done = call("sweep", *grid, "--workers", "2", results=small_disk, cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "30 runs: 30 ok"), done.stderr
    whole(small_disk)


def test_a_death_that_cannot_be_noted_since_the_disk_is_full_stops_the_sweep(tmp_path, lab, monkeypatch):
    def full(folder, reason):
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr(attempts, "note_death", full)
    said = io.StringIO()
    result = sweep(*TINY, "cell=dying", "cell.after=9", "seed=range(3)", results=tmp_path, workers=1, said=said)
    assert result.exit_code == 1
    assert result.stopped.startswith("the disk is full (")
    assert set(result.open.values()) == {"its end could not be noted", "not started"}
    assert result.summary(plan([*TINY, "cell=dying", "cell.after=9", "seed=range(3)"]))[:2] == [
        "3 runs: 3 not finished",
        f"stopped: {result.stopped}",
    ]


@pytest.mark.parametrize(
    ("what", "sign"),
    [
        (["dataset=sleepy", "cell=rnn"], "runs/*/attempts/001/heartbeat"),  # it loads its data
        (["cell=napping"], "runs/*/config.yaml"),  # an update takes 16 seconds
    ],
)
def test_ctrl_c_ends_within_ten_seconds_whatever_a_run_is_at(tmp_path, what, sign):
    process = start("sweep", *TINY, *what, "seed=range(3)", "--workers", "2", results=tmp_path, cwd=tmp_path, nap=2)
    until(lambda: len(list(tmp_path.glob(sign))) == 2)
    time.sleep(0.5)
    workers, began = family(process), time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 11, "ten seconds, and one for a busy machine"
    assert (process.returncode, "Traceback" in said) == (130, False), said
    until(lambda: gone(workers), 5)
    ends = [claims(tmp_path, path.name) for path in (tmp_path / "runs").iterdir()]
    assert [[end["status"] for end in run] for run in ends] == [["interrupted"], ["interrupted"]]
    whole(tmp_path)


def test_a_sweep_stops_after_so_many_runs(tmp_path):
    grid, limits = [*TINY, "cell=rnn", "seed=range(5)"], Limits(limit=Limit.read("3runs"))
    first = sweep(*grid, results=tmp_path, limits=limits)
    assert (first.exit_code, statuses(first)) == (130, ["ok"] * 3)
    assert first.summary(plan(grid)) == [
        "5 runs: 3 ok, 2 not finished",
        "stopped: --limit 3runs is reached",
        "the same command resumes what is not finished",
    ]
    second = sweep(*grid, results=tmp_path, limits=limits)
    assert (second.exit_code, statuses(second), second.stopped) == (0, ["ok"] * 5, None)


def test_a_sweep_stops_after_so_long_and_its_runs_resume(tmp_path):
    result = sweep(*LONG, "seed=range(3)", results=tmp_path, limits=Limits(limit=Limit.read("4s")))
    assert (result.exit_code, result.stopped) == (130, "the time of --limit 4s is over")
    reasons = sorted(result.open.values())
    assert reasons[0] == "not started"
    assert all(reason.startswith("the time of --limit 4s is over at update ") for reason in reasons[1:])
    assert len(list(tmp_path.glob("runs/*/last.ckpt"))) == 2


def test_a_sweep_stops_after_so_many_failures(tmp_path):
    diverges = [*TINY, "cell=rnn_relu", "optimizer=sgd", "clip=null", "optimizer.lr=1e20", "seed=range(6)"]
    result = sweep(*diverges, results=tmp_path, workers=1, limits=Limits(max_failures=2))
    assert (result.exit_code, statuses(result)) == (1, ["diverged"] * 2)
    assert result.stopped.startswith("--max-failures 2 is reached; at last: the loss is not finite at update ")


def test_runs_that_all_fail_at_once_stop_the_sweep(tmp_path):
    result = sweep(*TINY, "cell=rnn", "dataset=temporal_order", "dataset.T=5", "seed=range(30)", results=tmp_path)
    assert (result.exit_code, result.records) == (1, {})
    assert result.stopped.startswith("10 runs in a row failed at once and none succeeded; at last: dataset.T must be")
    assert sum(reason == "not started" for reason in result.open.values()) >= 15


def test_the_time_limit_of_every_run(tmp_path):
    result = sweep(*LONG, results=tmp_path, limits=Limits(timeout=1.0))
    (record,) = result.records.values()
    assert (record["status"], record["config"]["harness"]["timeout"]) == ("timeout", 1.0)
    assert record["id"] == plan(LONG).jobs[0].id


def test_what_another_sweep_records_meanwhile_is_not_done_again(tmp_path):
    grid = [*TINY, "cell=rnn", "seed=range(6)"]
    made = plan(grid)
    one, two = Sweep(made, tmp_path, workers=1), Sweep(made, tmp_path, workers=1)
    said = io.StringIO()

    class Other(Display):
        """Does the whole grid in between, once the first run is over."""

        def update(self, running):
            if self.ok == 1 and not began:
                began.append(True)
                two.run(Display(6, 1, Console(file=io.StringIO())))

    began = []
    result = one.run(Other(6, 1, Console(file=said, width=200)))
    assert (result.exit_code, statuses(result)) == (0, ["ok"] * 6)
    assert said.getvalue().count("by another sweep") >= 4
    assert all(len(claims(tmp_path, run_id)) == 1 for run_id in result.records), "no worker was even started"
    assert said.getvalue().splitlines()[-1].startswith("[6/6] ok")


def test_waiting_for_another_sweeps_run_holds_up_none_of_its_own(tmp_path):
    grid = [*TINY, "cell=rnn", "seed=range(4)"]
    jobs, said = plan(grid).jobs, io.StringIO()
    mine = attempts.claim(tmp_path / "runs" / jobs[0].id)

    class Waiting(Display):
        def update(self, running):
            if self.ok == 3 and not let_go:
                let_go.append(True)
                mine.close("interrupted")

    let_go = []
    result = Sweep(plan(grid), tmp_path, workers=1).run(Waiting(4, 1, Console(file=said, width=200)))
    assert (result.exit_code, statuses(result)) == (0, ["ok"] * 4)
    assert list(result.records) == [job.id for job in [*jobs[1:], jobs[0]]]
    assert [end["status"] for end in claims(tmp_path, jobs[0].id)] == ["interrupted", "ok"]


class Growing:
    """A source that comes to know of more runs as others end, as a search does."""

    split = "test"

    def __init__(self, jobs):
        self.jobs, self.known, self.told = list(jobs), 2, []

    def rest(self):
        return self.jobs

    @property
    def left(self):
        return min(self.known, len(self.jobs))

    def take(self):
        if not self.left:
            return None
        self.known -= 1
        return self.jobs.pop(0)

    def put_back(self, job):
        self.known += 1
        self.jobs.insert(0, job)

    def tell(self, job, record):
        self.told.append((job.id, record["status"]))
        self.known += 2

    def prune(self, running):
        return {}


def test_a_source_that_grows_is_counted_as_it_does(tmp_path):
    jobs = plan([*TINY, "cell=rnn", "seed=range(4)"]).jobs
    impossible = plan([*TINY, "cell=rnn", "dataset=temporal_order", "dataset.T=5"]).jobs
    empty = plan([*TINY, "cell=rnn"])
    empty.jobs = []
    source, said = Growing([*jobs[:2], *impossible, *jobs[2:]]), io.StringIO()
    result = Sweep(empty, tmp_path, workers=1, source=source).run(Display(0, 1, Console(file=said, width=300)))
    assert source.told == [
        (jobs[0].id, "ok"), (jobs[1].id, "ok"), (impossible[0].id, "refused"), (jobs[2].id, "ok"), (jobs[3].id, "ok"),
    ]  # fmt: skip
    lines = [line.split()[0] for line in said.getvalue().splitlines()]
    assert lines == ["[1/2]", "[2/4]", "[3/5]", "[4/5]", "[5/5]"]
    assert result.summary(empty)[0] == "5 runs: 4 ok, 1 not finished"
    assert result.summary(empty)[1].startswith(f"  open      {impossible[0].id}  {impossible[0].title}: dataset.T must")


@pytest.mark.parametrize("name", ["ray", "slurm"])
def test_an_executor_without_its_extra_is_one_sentence(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, f"rnnbench.sweeps.executors.{name}", None)
    with pytest.raises(ValueError, match=rf'--executor {name} needs .*: pip install "rnnbench\[{name}\]"\.'):
        make_executor(name, 1, tmp_path)


def test_an_unknown_executor_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="unknown executor 'cloud'; known: local, ray, slurm"):
        make_executor("cloud", 1, tmp_path)
