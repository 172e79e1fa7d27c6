"""Whole sweeps from this process: every run recorded, whatever single runs do, and again is the resume."""

from __future__ import annotations

import io
import json
import os
import platform
import signal
import time

import pytest
from rich.console import Console
from sweeping import LAB, TINY, claims, comparable, sweep, temporaries, until

from rnnbench.runs import attempts
from rnnbench.store.store import Store
from rnnbench.sweeps import sweep as sweep_module
from rnnbench.sweeps.display import Display
from rnnbench.sweeps.executors.local import Pool
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.sweep import Sweep, available_cores

pytestmark = pytest.mark.integration


def statuses(result):
    return sorted(record["status"] for record in result.records.values())


def test_a_grid_is_done_then_found_done_then_extended(tmp_path):
    grid, said = [*TINY, "cell=rnn,gru", "depth=1,2"], io.StringIO()
    first = sweep(*grid, "seed=range(2)", results=tmp_path, said=said)
    assert (first.exit_code, statuses(first), first.open) == (0, ["ok"] * 8, {})
    lines = said.getvalue().splitlines()
    assert [line[:5] for line in lines] == [f"[{n}/8]" for n in range(1, 9)]
    assert all(" ok " in line and " test/accuracy 0." in line for line in lines)
    assert temporaries(tmp_path) == []
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*") if path.is_file()}

    said, began = io.StringIO(), time.monotonic()
    again = sweep(*grid, "seed=range(2)", results=tmp_path, said=said)
    assert time.monotonic() - began < 5, "a fraction of a second on an idle core"
    assert (again.exit_code, again.records, said.getvalue()) == (0, first.records, "")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*") if path.is_file()} == files

    said = io.StringIO()
    larger = sweep(*grid, "seed=range(3)", results=tmp_path, said=said)
    assert (larger.exit_code, len(larger.records)) == (0, 12)
    assert [line.split()[0] for line in said.getvalue().splitlines()] == [f"[{n}/12]" for n in range(9, 13)]
    assert {path: path.stat().st_mtime_ns for path in files} == files, "what is recorded is never touched"
    assert all(len(claims(tmp_path, run_id)) == 1 for run_id in larger.records)


def test_neither_the_number_of_workers_nor_the_order_changes_a_number(tmp_path):
    sweep(*TINY, "cell=rnn,gru", "seed=0,1", results=tmp_path / "two", workers=2)
    sweep(*TINY, "seed=1,0", "cell=gru,rnn", results=tmp_path / "one", workers=1)
    two, one = comparable(tmp_path / "two"), comparable(tmp_path / "one")
    assert len(two) == 4
    assert two == one


def test_one_run_that_fails_stops_no_other_and_is_retried_when_asked(tmp_path):
    said = io.StringIO()
    grid = [*TINY, "cell=rnn_relu", "optimizer=sgd", "clip=null", "optimizer.lr=0.01,1e20,0.02"]
    result = sweep(*grid, results=tmp_path, said=said, workers=1)
    assert (result.exit_code, statuses(result)) == (1, ["diverged", "ok", "ok"])
    (failed,) = (record for record in result.records.values() if record["status"] == "diverged")
    assert failed["reason"].startswith("the loss is not finite at update ")
    title = "RNN-relu h=8 · digits · sgd, clip=null, optimizer.lr=1e+20 · seed 0"
    assert f"[2/3] diverged {title}  {failed['reason']}" in said.getvalue()
    assert f"  diverged  {failed['id']}  {title}: {failed['reason']}" in result.summary(plan(grid))
    assert (failed["params"], failed["metrics"]) == (next(iter(result.records.values()))["params"], {})

    said = io.StringIO()
    assert sweep(*grid, results=tmp_path, said=said).exit_code == 1, "still failed, and not done again"
    assert said.getvalue() == ""

    retried = sweep(*grid, results=tmp_path, said=said, retry_failed=True)
    assert (retried.exit_code, statuses(retried)) == (1, ["diverged", "ok", "ok"])
    assert len(said.getvalue().splitlines()) == 1
    aside = tmp_path / "runs" / failed["id"] / "record.failed-1.json"
    assert json.loads(aside.read_text()) == failed
    assert retried.records[failed["id"]]["attempts"] == 2
    assert retried.records[failed["id"]]["reason"] == failed["reason"]


def test_a_run_whose_worker_is_killed_once_is_resumed(tmp_path, lab):
    cell, resumed = ["cell=dying", "cell.after=90", "budget.updates=12", "harness.checkpoint_seconds=0"], io.StringIO()
    dies = sweep(*TINY, *cell, f"cell.once='{tmp_path / 'died'}'", results=tmp_path / "dies", said=resumed)
    assert (tmp_path / "died").exists()
    ((run_id, record),) = dies.records.items()
    assert (dies.exit_code, record["status"], record["attempts"]) == (0, "ok", 2)
    assert "the process was killed (SIGKILL); it is resumed (1 of 3 deaths)" in resumed.getvalue()
    first, second = claims(tmp_path / "dies", run_id)
    assert (first["status"], first["reason"], first["own_death"]) == (
        "killed",
        "the process was killed (SIGKILL)",
        True,
    )
    assert second["status"] == "ok"
    assert temporaries(tmp_path) == []

    lives = sweep(*TINY, "cell=rnn", "backend=eager", "budget.updates=12", results=tmp_path / "lives")
    ((lived_id, lived),) = lives.records.items()
    for key in ("metrics", "best_step", "updates", "params", "live_params", "state_size"):
        assert record[key] == lived[key], key
    history = [store.folder(i) / "history.jsonl" for store, i in (
        (Store.open(tmp_path / "dies"), run_id), (Store.open(tmp_path / "lives"), lived_id),
    )]  # fmt: skip
    assert history[0].read_bytes() == history[1].read_bytes()


@pytest.mark.parametrize(("how", "sentence"), [("kill", "was killed (SIGKILL)"), ("exit", "ended with code 3")])
def test_a_run_that_always_dies_is_recorded_as_killed_and_the_others_finish(tmp_path, lab, how, sentence):
    grid = [*TINY, "cell=dying", f"cell.how={how}", "cell.after=9,1000000", "seed=0,1"]
    result = sweep(*grid, results=tmp_path)
    assert (result.exit_code, statuses(result)) == (1, ["killed", "killed", "ok", "ok"])
    for record in result.records.values():
        if record["status"] == "killed":
            assert record["reason"] == f"died 3 times; at last the process {sentence}"
            assert (record["attempts"], record["metrics"], record["params"]) == (3, {}, None)
            assert [c["status"] for c in claims(tmp_path, record["id"])] == ["killed"] * 3

    said = io.StringIO()
    retried = sweep(*grid, results=tmp_path, retry_failed=True, said=said)
    assert statuses(retried) == ["killed", "killed", "ok", "ok"]
    assert {r["attempts"] for r in retried.records.values()} == {1, 6}, "a retry has three lives again"


def test_deaths_of_whole_sweeps_do_not_count(tmp_path, lab):
    once = f"cell.once='{tmp_path / 'died'}'"
    (job,) = plan([*TINY, "cell=dying", "cell.after=9", once]).jobs
    for number in (1, 2, 3):  # three sweeps were killed together with their worker: no outcome, and the process is gone
        folder = tmp_path / "runs" / job.id / "attempts" / f"{number:03d}"
        folder.mkdir(parents=True)
        claim = {"host": platform.node(), "pid": 2**22 + 1, "born": 0.0, "time": time.time()}
        (folder / "claim.json").write_text(json.dumps(claim))
    result = sweep(*TINY, "cell=dying", "cell.after=9", once, results=tmp_path)
    assert (statuses(result), result.records[job.id]["attempts"]) == (["ok"], 5)
    assert attempts.deaths(tmp_path / "runs" / job.id) == 1


def test_a_worker_that_dies_before_it_has_claimed_its_run_is_not_tried_for_ever(tmp_path, monkeypatch):
    def start(self, job):
        if job.id != blocked.id:
            return real(self, job)
        ours, theirs = self.context.Pipe()
        with theirs:
            process = self.context.Process(target=os._exit, args=(3,))
            process.start()
        return process, ours

    grid, real = [*TINY, "cell=rnn,gru"], Pool._start
    blocked = plan(grid).jobs[0]
    monkeypatch.setattr(Pool, "_start", start)
    result = sweep(*grid, results=tmp_path)
    assert (result.exit_code, statuses(result)) == (1, ["killed", "ok"])
    assert result.records[blocked.id]["reason"] == "died 3 times; at last the process ended with code 3"


def test_a_run_that_hangs_is_ended_from_outside(tmp_path, lab, monkeypatch):
    monkeypatch.setattr(sweep_module, "HANG_SECONDS", 0.5)
    hangs = [*TINY, "cell=dying", "cell.how=hang", "cell.after=9", "harness.timeout=0.5"]
    result = sweep(*hangs, results=tmp_path)
    (record,) = result.records.values()
    assert (record["status"], record["attempts"]) == ("timeout", 1)
    assert record["reason"] == "the time limit of 0.5 s is over and no update ended since"


def test_missing_data_leaves_a_run_open_and_the_others_finish(tmp_path, lab, monkeypatch):
    empty = tmp_path / "cache"
    grid = [*TINY[1:], "cell=rnn", "dataset=cached,digits"]
    registry = tmp_path / "mine"
    (registry / "dataset").mkdir(parents=True)
    (registry / "dataset" / "cached.yaml").write_text(
        "meta: {name: cached, version: 1, inputs: features, outputs: sequence, download: none, files: [],\n"
        "  paper: {updates: 1, batch_size: 1, source: none}}\n"
        f"_target_: lab_dataset.Cached\nfile: {empty / 'file'}\n"
    )
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", f"{LAB}:{registry}")
    said = io.StringIO()
    result = sweep(*grid, results=tmp_path, said=said)
    assert (result.exit_code, statuses(result)) == (1, ["ok"])
    ((run_id, reason),) = result.open.items()
    assert reason == f"{empty / 'file'} is missing: put it there."
    assert f"refused  RNN h=8 · cached · seed 0  {reason}" in said.getvalue()
    assert not (tmp_path / "runs" / run_id / "record.json").exists()
    assert "the same command resumes what is not finished" in result.summary(plan(grid))

    empty.mkdir()
    (empty / "file").touch()
    there = sweep(*grid, results=tmp_path)
    assert (there.exit_code, statuses(there), there.open) == (0, ["ok", "ok"], {})


def test_a_damaged_record_is_named_kept_and_does_not_stop_the_others(tmp_path):
    grid = [*TINY, "cell=rnn,gru"]
    rnn, gru = (job.id for job in plan(grid).jobs)
    damaged = tmp_path / "runs" / rnn / "record.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text('{"schema_version": 1, "id"')
    result = sweep(*grid, results=tmp_path, retry_failed=True)
    assert (result.exit_code, list(result.records)) == (1, [gru])
    assert str(damaged) in result.open[rnn]
    assert result.open[rnn].endswith("; move it away to run this again")
    assert damaged.read_text() == '{"schema_version": 1, "id"'


def test_a_run_whose_folder_cannot_be_written_is_left_open_and_the_others_finish(tmp_path, capfd):
    made = plan([*TINY, "cell=rnn,gru"])
    blocked = tmp_path / "runs" / made.jobs[0].id / "attempts"
    blocked.parent.mkdir(parents=True)
    blocked.touch()  # for root, as whom tests may run, a folder is always writable
    result = sweep(*TINY, "cell=rnn,gru", results=tmp_path)
    assert (result.exit_code, statuses(result)) == (1, ["ok"])
    assert result.open == {made.jobs[0].id: f"run {made.jobs[0].id} cannot be claimed: {blocked}: File exists."}
    assert "Traceback" not in capfd.readouterr().err


def test_a_sweep_that_fails_itself_leaves_no_worker_behind(tmp_path, monkeypatch):
    def fail(self, pool):
        if pool.running and (tmp_path / "runs" / pool.running[0].job.id / "history.jsonl").exists():
            processes.extend(running.process for running in pool.running)
            raise RuntimeError("a defect")

    processes = []
    monkeypatch.setattr(Sweep, "_kill_hanging", fail)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError, match="a defect"):
        sweep(*TINY, "cell=rnn", "budget.updates=100000", results=tmp_path)
    (process,) = processes
    process.join(10)
    assert process.exitcode == 0
    assert signal.getsignal(signal.SIGINT) is before
    (run,) = (tmp_path / "runs").iterdir()
    (outcome,) = claims(tmp_path, run.name)
    assert outcome["reason"].startswith("the sweep has failed at update ")


class Pressing(Display):
    """Presses Ctrl-C `times` times, a moment apart, once every run of the first round has come so far as `sign`."""

    def __init__(self, folder, sign, times):
        super().__init__(3, 2, Console(file=io.StringIO()))
        self.folder, self.sign, self.times = folder, sign, times

    def update(self, running):
        if self.times and len(list(self.folder.glob(self.sign))) == 2:
            self.times -= 1
            signal.raise_signal(signal.SIGINT)


def test_ctrl_c_leaves_everything_resumable(tmp_path):
    made = plan([*TINY, "cell=rnn", "budget.updates=100000", "seed=range(3)"])
    result = Sweep(made, tmp_path, workers=2).run(Pressing(tmp_path, "runs/*/history.jsonl", 1))
    assert (result.exit_code, result.records) == (130, {})
    *reasons, last = (result.open[job.id] for job in made.jobs)
    assert all(reason.startswith("the sweep was interrupted at update ") for reason in reasons)
    assert last == "not started"
    for job in made.jobs[:2]:
        assert (tmp_path / "runs" / job.id / "last.ckpt").exists()
        assert [outcome["status"] for outcome in claims(tmp_path, job.id)] == ["interrupted"]
    assert not (tmp_path / "runs" / made.jobs[2].id).exists()


@pytest.mark.parametrize(("presses", "grace"), [(2, 1000.0), (1, 0.5)])
def test_a_worker_that_does_not_stop_is_ended(tmp_path, lab, monkeypatch, presses, grace):
    monkeypatch.setattr(sweep_module, "GRACE_SECONDS", grace)
    made = plan([*TINY, "cell=dying", "cell.how=hang", "cell.after=9", "seed=range(2)"])
    began = time.monotonic()
    result = Sweep(made, tmp_path, workers=2).run(Pressing(tmp_path, "runs/*/config.yaml", presses))
    assert time.monotonic() - began < 10
    assert result.exit_code == 130
    assert set(result.open) == {job.id for job in made.jobs}
    either = {"interrupted before its checkpoint", "the sweep was interrupted while it was being prepared"}
    assert set(result.open.values()) <= either, "a slow start is met before the cell hangs"
    ends = [outcome for job in made.jobs for outcome in claims(tmp_path, job.id)]
    assert [end["status"] for end in ends] == ["interrupted"] * 2, "no death of the runs themselves"


@pytest.mark.parametrize(("presses", "reason"), [(1, "the sweep was interrupted"), (2, "not started")])
def test_ctrl_c_while_workers_are_being_started(tmp_path, monkeypatch, presses, reason):
    def start(self, job):
        started.append(job.id)
        for _ in range(presses):
            signal.raise_signal(signal.SIGINT)
        return real(self, job) if presses == 1 else time.sleep(60)  # as long as torch takes from a slow disk

    real, started = Pool._start, []
    monkeypatch.setattr(Pool, "_start", start)
    made = plan([*TINY, "cell=rnn", "budget.updates=100000", "seed=range(3)"])
    began = time.monotonic()
    result = Sweep(made, tmp_path, workers=2).run(Display(3, 2, Console(file=io.StringIO())))
    assert time.monotonic() - began < 20
    assert started == [made.jobs[0].id], "no more are started"
    assert (result.exit_code, len(result.open)) == (130, 3)
    assert result.open[started[0]].startswith(reason)


def test_a_run_that_another_sweep_has_is_waited_for(tmp_path):
    grid = [*TINY, "cell=rnn", "budget.updates=2000", "budget.val_every=500"]
    other, (job,) = Pool(1, tmp_path), plan(grid).jobs
    other.submit(job)
    until(lambda: (tmp_path / "runs" / job.id / "attempts" / "001").exists())
    result = sweep(*grid, results=tmp_path)
    assert (result.exit_code, statuses(result)) == (0, ["ok"])
    assert claims(tmp_path, job.id)[0]["status"] == "ok"
    assert result.records[job.id]["attempts"] == 1
    assert [ended.word for ended in other.poll(5)] == ["ok"]


def test_workers_are_as_many_as_cores_unless_said(tmp_path):
    made = plan(["cell=rnn"])
    assert Sweep(made, tmp_path).workers == available_cores() >= 1
    assert Sweep(made, tmp_path, workers=7).workers == 7
