"""Sweeps under a real SLURM without accounting: its signals, its queue and a node's death, which no stand-in shows."""

from __future__ import annotations

import importlib.util
import re
import shlex
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from slurm_cluster import Slurm
from sweeping import LAB, TINY, call, claims, comparable
from sweeping import until as until_within

from rnnbench.store.store import Store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.integration,
    pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="submitit is not installed"),
]
NAPPING = [*TINY, "cell=napping", "budget.updates=60", "harness.checkpoint_seconds=3600", "tracker=none"]
NAP = 0.01  # 0.1 s an update
until = partial(until_within, seconds=120.0)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    slurm = Slurm(tmp_path_factory.mktemp("slurm"))
    yield slurm
    slurm.close()
    assert slurm.processes() == []


@pytest.fixture
def slurm(cluster):
    yield cluster
    cluster.end_sweeps()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a sweep on this machine has of the run that the tests disturb."""
    folder = tmp_path_factory.mktemp("local")
    assert call("sweep", *NAPPING, results=folder / "results", cwd=folder).returncode == 0
    return comparable(folder / "results")


def history(results):
    """How many rows each run has written of its history."""
    return [len(path.read_text().splitlines()) for path in results.glob("runs/*/history.jsonl")]


READ = "digits: 1,077/360/360 sequences of 8 steps, 8 features\n"  # what was read is said before training


def ended(process, code=0, seconds=120):
    """What a sweep said until it ended."""
    _, err = process.communicate(timeout=seconds)
    assert process.returncode == code, err
    assert "sacct" not in err
    return err


def submissions(results):
    return len(list((results / "slurm").glob("*_submitted.pkl")))


def test_three_runs_one_of_whose_jobs_is_cancelled_while_it_waits(slurm, tmp_path):
    results = tmp_path / "results"
    process = slurm.sweep(*TINY, "cell=rnn", "seed=range(3)", "--workers", "2", results=results)
    until(lambda: slurm.jobs("PENDING") and slurm.jobs("RUNNING"))
    assert len(slurm.queue()) == 2, "no more than --workers"
    (waiting,) = slurm.jobs("PENDING")
    slurm.call("scancel", waiting)
    err = ended(process)
    assert f"job {waiting} ended without a word (SLURM says CANCELLED)" in err
    assert submissions(results) == 4
    assert [record["status"] for record in Store.open(results).iterate()] == ["ok"] * 3
    said = "".join(path.read_text() for path in (results / "runs").glob("*/attempts/*/stdout.txt"))
    assert said == 3 * READ, "srun on the PATH is no reason to say anything"


def test_a_warning_and_a_requeue_cost_nothing_and_need_no_second_job(slurm, tmp_path, undisturbed):
    results = tmp_path / "results"
    process = slurm.sweep(*NAPPING, "--workers", "1", results=results, nap=NAP)
    for rows, command in ((3, ("scancel", "--signal=USR2")), (6, ("scontrol", "requeue"))):
        until(lambda rows=rows: sum(history(results)) >= rows)
        (job,) = slurm.jobs("RUNNING")
        slurm.call(*command, job)
    assert "elsewhere" not in ended(process)
    assert comparable(results) == undisturbed
    (run_id,) = Store.open(results).ids()
    attempts = claims(results, run_id)
    assert [claim["status"] for claim in attempts] == ["interrupted", "interrupted", "ok"]
    assert "SLURM's warning: the job is requeued at update" in attempts[0]["reason"]
    assert "SLURM ended the job at update" in attempts[1]["reason"]
    stops = [int(re.search(r"update (\d+)", claim["reason"])[1]) for claim in attempts[:2]]
    assert 0 < stops[0] < stops[1]
    assert submissions(results) == 1


def test_ctrl_c_empties_the_queue_and_the_same_command_resumes(slurm, tmp_path, undisturbed):
    results = tmp_path / "results"
    grid = [*NAPPING, "seed=range(2)", "--workers", "2"]
    process = slurm.sweep(*grid, results=results, nap=NAP)
    until(lambda: sum(history(results)) >= 2 and slurm.jobs("PENDING"))
    process.send_signal(signal.SIGINT)
    ended(process, 130)
    until_within(lambda: not slurm.queue(), seconds=5.0)
    assert len(list(results.glob("runs/*/last.ckpt"))) == 1
    ended(slurm.sweep(*grid, results=results))
    found = comparable(results)
    assert len(found) == 2
    assert undisturbed.items() <= found.items()


def script_of_the_docs(results):
    """The page's sbatch script, with this test's sweep and one CPU."""
    page = (Path(__file__).parents[2] / "docs" / "remote.md").read_text()
    (script,) = re.findall(r'^```sh title="sweep.sh"\n(.*?)^```$', page, re.M | re.S)
    sweep = ["sweep", *NAPPING, "--results", str(results), "--config-dir", str(LAB), "--workers", "1"]
    for old, new in {
        "rnnbench sweep experiment=quickstart --workers 32 --results /shared/me/results": shlex.join(
            [sys.executable, "-m", "rnnbench", *sweep]
        ),
        "--cpus-per-task=32 --mem=64G": "--cpus-per-task=1 --mem=1G",
    }.items():
        assert script.count(old) == 1
        script = script.replace(old, new)
    return script


def test_the_docs_script_of_a_sweep_inside_one_job_goes_on_after_its_warning(slurm, tmp_path, undisturbed):
    results = tmp_path / "results"
    (tmp_path / "sweep.sh").write_text(script_of_the_docs(results))
    job = slurm.call("sbatch", "--parsable", f"--output={tmp_path}/out", f"--export=ALL,LAB_NAP={NAP}",
                     "--overcommit", "--ntasks=2", "--cpus-per-task=1", str(tmp_path / "sweep.sh"))  # fmt: skip
    until(lambda: sum(history(results)) >= 3)
    slurm.call("scancel", "--signal=TERM", job)
    until(lambda: job in slurm.jobs("COMPLETED,FAILED"))
    assert comparable(results) == undisturbed, (tmp_path / "out").read_text()
    (run_id,) = Store.open(results).ids()
    assert [claim["status"] for claim in claims(results, run_id)] == ["interrupted", "ok"]


def test_a_run_outlives_its_node(slurm, tmp_path, undisturbed):
    results = tmp_path / "results"
    process = slurm.sweep(*NAPPING, "harness.checkpoint_seconds=0", "--workers", "1", results=results, nap=NAP)
    until(lambda: list(results.glob("runs/*/last.ckpt")))
    slurm.fail_node()
    until(lambda: slurm.call("sinfo", "-h", "-o", "%t").startswith("down"))
    slurm.repair_node()
    ended(process)
    assert comparable(results) == undisturbed
    (record,) = Store.open(results).iterate()
    assert record["attempts"] == 2
