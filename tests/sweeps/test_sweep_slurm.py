"""The SLURM path by submitit's local executor: its limit, its records, cancelling, the warning that requeues a job."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from types import SimpleNamespace

import psutil
import pytest
from sweeping import TINY, call, claims, comparable, family, gone, start, sweep, until

from rnnbench.errors import BadInput
from rnnbench.store.store import Store
from rnnbench.sweeps.executors import make_executor, slurm

pytestmark = pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="submitit is not installed")
LOCAL = {"cluster": "local"}
NAPPING = [*TINY, "cell=napping", "budget.updates=60", "harness.checkpoint_seconds=0"]
UNDER_SLURM = ["--executor", "slurm", "--executor-option", "cluster=local"]


def overlapping(results):
    """The most runs that were in hand at one moment, from the attempts' own times."""
    edges = []
    for run_id in Store.open(results).ids():
        for folder in sorted((results / "runs" / run_id / "attempts").iterdir()):
            began = json.loads((folder / "claim.json").read_text())["time"]
            took = json.loads((folder / "outcome.json").read_text())["seconds"]
            edges += [(began, 1), (began + took, -1)]
    most = now = 0
    for _, step in sorted(edges):
        now += step
        most = max(most, now)
    return most


@pytest.mark.integration
def test_no_more_jobs_than_asked_for_and_the_records_are_the_local_ones(tmp_path):
    grid = [*TINY, "cell=rnn", "seed=range(3)"]
    result = sweep(*grid, results=tmp_path / "slurm", workers=2, executor="slurm", options=LOCAL)
    assert result.exit_code == 0
    assert len(result.records) == 3
    assert 1 <= overlapping(tmp_path / "slurm") <= 2
    assert sweep(*grid, results=tmp_path / "local").exit_code == 0
    assert comparable(tmp_path / "slurm") == comparable(tmp_path / "local")
    assert not list((tmp_path / "slurm").glob(".shared-*"))


def tasks(process):
    """The processes in which submitit does a job's work. What SLURM sends reaches them and all that they started."""
    return [p for p in family(process) if "submitit.core._submit" in p.cmdline()]


@pytest.mark.slow
@pytest.mark.integration
def test_at_the_warning_a_run_checkpoints_and_its_job_is_requeued_to_the_same_bits(tmp_path):
    results = tmp_path / "slurm"
    process = start("sweep", *NAPPING, "--workers", "1", *UNDER_SLURM, results=results, cwd=tmp_path, nap=0.02)
    until(lambda: list(results.glob("runs/*/last.ckpt")))
    (task,) = tasks(process)
    for each in [task, *task.children(recursive=True)]:
        each.send_signal(signal.SIGUSR2)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert call("sweep", *NAPPING, results=tmp_path / "local", cwd=tmp_path).returncode == 0
    assert comparable(results) == comparable(tmp_path / "local")
    (run_id,) = Store.open(results).ids()
    first, second = claims(results, run_id)
    assert first["status"] == "interrupted"
    assert "requeued" in first["reason"]
    assert second["status"] == "ok"
    assert len(list((results / "slurm").glob("*_submitted.pkl"))) == 1  # one job all along


@pytest.mark.slow
@pytest.mark.integration
def test_a_cancelled_sweep_leaves_checkpoints_and_no_process(tmp_path):
    process = start(
        "sweep", *NAPPING, "seed=range(3)", "--workers", "2", *UNDER_SLURM, results=tmp_path, cwd=tmp_path, nap=0.05
    )
    until(lambda: len(list(tmp_path.glob("runs/*/last.ckpt"))) == 2)
    everything = family(process)
    os.kill(process.pid, signal.SIGTERM)  # the sweep's alone: the jobs are told by it
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    ends = [claim["status"] for run_id in Store.open(tmp_path).ids() for claim in claims(tmp_path, run_id)]
    assert ends == ["interrupted"] * 2
    until(lambda: gone(everything))
    assert not list((tmp_path / "slurm").glob("*.cancel"))


@pytest.mark.slow
@pytest.mark.integration
def test_a_job_that_is_shot_is_lost_and_its_run_goes_on_in_another(tmp_path):
    process = start("sweep", *NAPPING, "--workers", "1", *UNDER_SLURM, results=tmp_path, cwd=tmp_path, nap=0.02)
    until(lambda: list(tmp_path.glob("runs/*/last.ckpt")))
    for each in tasks(process):
        controller = psutil.Process(each.pid).parent()
        each.kill()
        controller.kill()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "ended without a word" in err
    (record,) = Store.open(tmp_path).iterate()
    assert (record["status"], record["attempts"]) == ("ok", 2)


def test_without_slurm_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="needs SLURM's commands"):
        make_executor("slurm", 1, tmp_path)


class FakeJob:
    def __init__(self, folder, job_id="7", state="RUNNING"):
        self.job_id, self.state = job_id, state
        self.paths = SimpleNamespace(result_pickle=folder / f"{job_id}_result.pkl")

    def done(self):
        return self.state != "RUNNING"

    def result(self):
        raise RuntimeError("trace:\nKeyError: 'x'\n---")


@pytest.fixture
def slurm_commands(tmp_path, monkeypatch):
    """A folder of commands that write down how they are called: srun, sbatch and scancel for one test."""
    folder, log = tmp_path / "bin", tmp_path / "called.txt"
    folder.mkdir()
    for name in ("srun", "sbatch", "scancel", "sacct"):
        answer = "echo Submitted batch job 7" if name == "sbatch" else ":"
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\n{answer}\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


def test_sbatch_is_told_the_options_and_scancel_the_end(tmp_path, slurm_commands):
    from rnnbench.runs.plan import prepare

    executor = make_executor("slurm", 2, tmp_path / "results", partition="small", time="90", mem="6", account="me",
                             name="mine")  # fmt: skip
    executor.submit(prepare([*TINY, "tracker=none"]))
    told = next((tmp_path / "results" / "slurm").glob("*.sh")).read_text()
    for line in ("partition=small", "time=90", "mem=6GB", "account=me", "signal=USR2@120", "cpus-per-task=1",
                 "job-name=mine"):  # fmt: skip
        assert f"#SBATCH --{line}\n" in told
    assert "#SBATCH --gpus-per-node=0\n" in told
    (run,) = executor.running
    assert run.seconds == 0.0  # in the queue
    executor.cancel("enough", run)
    executor.cancel("enough", run)
    executor.kill(run)
    executor.kill(run)
    called = [line for line in slurm_commands.read_text().splitlines() if line.startswith("scancel")]
    assert called == ["scancel 7", "scancel --signal=SIGKILL --full 7"]
    assert json.loads(run.note.read_text()) == ["enough", False]
    executor.close()


def test_an_option_that_sbatch_does_not_have_is_refused(tmp_path, slurm_commands):
    for option in ("partion", "size"):  # the latter is a name of ours as well
        with pytest.raises(BadInput, match=f"Unknown argument '{option}'"):
            make_executor("slurm", 1, tmp_path, **{option: "gpu"})
    with pytest.raises(BadInput, match="neither slurm nor local"):
        make_executor("slurm", 1, tmp_path, cluster="debug")


@pytest.mark.parametrize(
    ("state", "cancelled", "word", "said"),
    [
        ("NODE_FAIL", False, "lost", "SLURM says NODE_FAIL"),
        ("PREEMPTED", False, "lost", "SLURM says PREEMPTED"),
        ("OUT_OF_MEMORY", False, "oom", "memory limit"),
        ("CANCELLED by 1000", True, "interrupted", "cancelled"),
    ],
)
def test_a_job_without_an_answer_is_read_by_its_state(tmp_path, slurm_commands, state, cancelled, word, said):
    executor = make_executor("slurm", 1, tmp_path)
    run = slurm.SlurmRun(None, FakeJob(tmp_path, state=state), tmp_path / "note", 0, cancelled=cancelled)
    answer = executor._answer(run)
    assert answer.word == word
    assert said in answer.sentence
    run.cancelled, run.killed = False, 0.0  # a run that hung, beyond its time limit
    assert run.over
    assert executor._answer(run).word == "died"
    executor.close()


def test_a_job_whose_code_raised_is_the_runs_own_death(tmp_path, slurm_commands):
    executor = make_executor("slurm", 1, tmp_path)
    job = FakeJob(tmp_path, state="FAILED")
    job.paths.result_pickle.touch()
    answer = executor._answer(slurm.SlurmRun(None, job, tmp_path / "note", 0))
    assert answer == ("died", "job 7 failed: KeyError: 'x'", None)
    executor.close()
