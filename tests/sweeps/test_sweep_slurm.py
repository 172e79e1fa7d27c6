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
from rnnbench.runs.plan import prepare
from rnnbench.store.store import Store
from rnnbench.sweeps.executors import make_executor, slurm
from rnnbench.sweeps.executors.hosted import Answer, Place
from rnnbench.sweeps.executors.slurm_queue import GONE, JobState

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
    def __init__(self, folder, job_id="7", error="KeyError: 'x'"):
        self.job_id, self.error = job_id, error
        self.paths = SimpleNamespace(result_pickle=folder / f"{job_id}_result.pkl")

    def result(self):
        raise RuntimeError(f"trace:\n{self.error}\n---")


@pytest.fixture
def slurm_commands(tmp_path, monkeypatch):
    """A folder of commands that write down how they are called: those of SLURM for one test. There is no accounting."""
    folder, log = tmp_path / "bin", tmp_path / "called.txt"
    folder.mkdir()
    answers = {"sbatch": "echo Submitted batch job 7", "squeue": f"cat {tmp_path}/squeue", "sacct": "exit 1"}
    for name in ("srun", "sbatch", "scancel", "scontrol", "sacct", "squeue"):
        answer = answers.get(name, ":")
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\n{answer}\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


def test_sbatch_is_told_the_options_and_scancel_the_end(tmp_path, slurm_commands):
    executor = make_executor("slurm", 2, tmp_path / "results", partition="small", time="90", mem="6", account="me",
                             name="mine")  # fmt: skip
    executor.submit(prepare([*TINY, "tracker=none"]))
    told = next((tmp_path / "results" / "slurm").glob("*.sh")).read_text()
    for line in ("partition=small", "time=90", "mem=6GB", "account=me", "signal=USR2@120", "cpus-per-task=1",
                 "job-name=mine", "requeue"):  # fmt: skip
        assert f"#SBATCH --{line}\n" in told
    assert " --cpus-per-task=1 " in told.splitlines()[-1], "srun does not take it from sbatch"
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
        (GONE, False, "lost", "SLURM says nothing of it any more"),
        ("OUT_OF_MEMORY", False, "oom", "memory limit"),
        ("CANCELLED", True, "interrupted", "cancelled"),
    ],
)
def test_a_job_without_an_answer_is_read_by_its_state(tmp_path, slurm_commands, state, cancelled, word, said):
    executor = make_executor("slurm", 1, tmp_path)
    run = slurm.SlurmRun(None, FakeJob(tmp_path), tmp_path / "note", 0, cancelled=cancelled)
    run.look(JobState(state), 0)
    assert run.over == cancelled, "its result may still be on the way, unless it never began"
    answer = executor._answer(run)
    assert answer.word == word
    assert said in answer.sentence
    run.cancelled, run.killed = False, 0.0  # a run that hung, beyond its time limit
    assert run.over
    assert executor._answer(run).word == "died"
    executor.close()


@pytest.mark.parametrize(
    ("error", "cancelled", "word"),
    [
        ("KeyError: 'x'", False, "died"),
        ("subprocess.CalledProcessError: Command '['scontrol', 'requeue', '7']' returned 1", False, "lost"),
        ("UncompletedJobError: Job not requeued because: checkpoint function returned None.", True, "interrupted"),
    ],
)
def test_a_job_whose_code_raised_is_the_runs_own_death_unless_its_requeueing_did(
    tmp_path, slurm_commands, error, cancelled, word
):
    executor = make_executor("slurm", 1, tmp_path)
    job = FakeJob(tmp_path, error=error)
    job.paths.result_pickle.touch()
    run = slurm.SlurmRun(None, job, tmp_path / "note", 0, cancelled=cancelled)
    assert run.over
    answer = executor._answer(run)
    assert answer.word == word
    assert cancelled or answer.sentence == f"job 7 failed: {error}"
    executor.close()


@pytest.fixture
def one_job(tmp_path, slurm_commands, monkeypatch):
    """An executor with a job in the queue, which asks SLURM at every poll; and how squeue is made to answer."""
    for pause in ("LOOK_SECONDS", "ASK_SECONDS", "RESULT_SECONDS"):
        monkeypatch.setattr(slurm, pause, 0.0)
    executor = make_executor("slurm", 1, tmp_path / "results")
    executor.submit(prepare([*TINY, "tracker=none"]))

    def answer(text):
        (tmp_path / "squeue").write_text(text)
        return list(executor.poll(0.01))

    yield executor, answer
    executor.close()


def test_a_job_that_vanishes_is_noticed_without_accounting_and_without_a_flood(one_job, capfd):
    executor, answer = one_job
    for _ in range(5):
        assert answer("7|RUNNING|None\n") == []
    assert answer("") + answer("") != []
    assert executor.running == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("meanwhile", ["7|COMPLETING|None\n", "7|PENDING|BeginTime\n", "7|REQUEUED|None\n"])
def test_a_job_that_slurm_requeues_is_waited_for(one_job, slurm_commands, meanwhile):
    """As at a preemption: its run has no second job, and `--workers` is kept."""
    executor, answer = one_job
    for text in ["7|RUNNING|None\n", *[meanwhile] * 3, "7|RUNNING|None\n"]:
        assert answer(text) == []
    assert executor.free == 0
    assert slurm_commands.read_text().count("sbatch") == 1
    assert [ended.word for _ in range(2) for ended in answer("7|PREEMPTED|None\n")] == ["lost"]


def test_a_requeued_job_waits_again_and_that_is_no_running(one_job, tmp_path):
    executor, answer = one_job
    (run,) = executor.running
    for claim, text, begun in [(None, "PENDING", False), ("001", "RUNNING", True), (None, "PENDING", False),
                               (None, "RUNNING", True)]:  # fmt: skip
        if claim:
            (tmp_path / "results" / "runs" / run.job.id / "attempts" / claim).mkdir(parents=True)
        answer(f"7|{text}|None\n")
        assert (run.begun, run.seconds > 0) == (begun, begun)


REFUSING = """#!/bin/sh
[ ! -e {0}/full ] && echo Submitted batch job 7 && exit
rm {0}/{1}
echo 'sbatch: error: {2}' >&2
exit 1
"""


def test_a_job_that_sbatch_does_not_take_is_one_sentence(tmp_path, slurm_commands):
    (tmp_path / "full").touch()
    (tmp_path / "bin" / "sbatch").write_text(REFUSING.format(tmp_path, "other", "invalid partition specified: gpus"))
    executor = make_executor("slurm", 1, tmp_path)
    with pytest.raises(BadInput, match="the job is not taken: sbatch: error: invalid partition specified: gpus"):
        executor.submit(prepare([*TINY, "tracker=none"]))
    executor.close()


def test_a_limit_of_the_site_is_waited_for_a_moment(tmp_path, slurm_commands, monkeypatch):
    (tmp_path / "bin" / "sbatch").write_text(REFUSING.format(tmp_path, "full", "job submit limit"))
    monkeypatch.setattr(slurm.time, "sleep", lambda seconds: None)
    executor, job = make_executor("slurm", 2, tmp_path), prepare([*TINY, "tracker=none"])
    executor.submit(job)
    (tmp_path / "full").touch()
    executor.submit(job)
    assert len(executor.running) == 2
    executor.close()


class Asked:
    """A host whose run is stopped by the first who asks."""

    busy = False

    def __init__(self):
        self.reasons = []

    def start(self, job):
        pass

    def poll(self, seconds):
        return Answer("interrupted", "asked", 0)

    def cancel(self, reason, prune=False):
        self.reasons.append((reason, prune))

    def kill(self):
        pass


@pytest.fixture
def on_node(tmp_path, slurm_commands, monkeypatch):
    """A job on its node, whose run has just been stopped by a SIGTERM."""
    place = Place.here(tmp_path / "results")
    monkeypatch.setattr(slurm, "Host", lambda place: Asked())
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    yield slurm.JobOnNode(prepare([*TINY, "tracker=none"]), place, tmp_path / "note")
    place.clear()


@pytest.mark.parametrize(("state", "requeued"), [("RUNNING", 1), ("COMPLETING", 0), ("CANCELLED", 0)])
def test_at_a_sigterm_of_slurms_a_job_ends_without_a_result(on_node, slurm_commands, tmp_path, state, requeued):
    """A result would be its end for the sweep, which would submit another. Within its grace time it requeues itself."""
    (tmp_path / "squeue").write_text(f"{state}\n")
    with pytest.raises(SystemExit) as left:
        on_node()
    assert left.value.code == 143
    assert slurm_commands.read_text().count("scontrol requeue 7") == requeued


def test_a_job_that_the_sweep_cancels_answers_and_is_not_requeued(on_node, slurm_commands):
    on_node.note.write_text('["enough", true]')
    assert on_node().word == "interrupted"
    on_node._on_term(signal.SIGTERM, None)
    assert on_node._host.reasons == [("enough", True)]
    assert on_node.checkpoint() is None, "submitit then does not requeue it"
    assert not slurm_commands.exists(), "no command of SLURM's was called"
