"""What squeue and sacct say of jobs, read without accounting, and what a person is told, once."""

from __future__ import annotations

import os

import pytest

from rnnbench.sweeps.executors import slurm_queue
from rnnbench.sweeps.executors.slurm_queue import ENDED, GONE, WAITING, JobState, Queue, ask, how_it_ended


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Make a command of SLURM's for one test: what it prints, says on stderr, and its exit code."""

    def make(name, out="", err="", code=0):
        (tmp_path / name).write_text(
            f"#!/bin/sh\necho {name} \"$@\" >> {tmp_path}/called\ncat <<'EOF'\n{out}\nEOF\n"
            f"[ -z '{err}' ] || echo '{err}' >&2\nexit {code}\n"
        )
        (tmp_path / name).chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    make("sacct", err="Slurm accounting storage is disabled", code=1)
    return make


@pytest.fixture
def said():
    return []


@pytest.fixture
def queue(said):
    return Queue(said.append)


def test_every_job_has_its_state_from_one_question(command, queue, said, tmp_path):
    command("squeue", "7|RUNNING|None\n8|PENDING|Resources\n9|OUT_OF_MEMORY|OutOfMemory\n6|RUNNING|None")
    states = queue.states(["9", "7", "8"])
    assert {job: state.word for job, state in states.items()} == {"7": "RUNNING", "8": "PENDING", "9": "OUT_OF_MEMORY"}
    assert [job for job, state in states.items() if state.ended] == ["9"]
    (called,) = (tmp_path / "called").read_text().splitlines()
    assert "--jobs=7,8,9" in called
    assert "--states=all" in called
    assert said == []


@pytest.mark.parametrize("word", sorted(ENDED))
def test_a_state_that_has_ended_is_no_state_that_waits(word):
    assert JobState(word).ended
    assert word not in WAITING


@pytest.mark.parametrize(
    "word", [*sorted(WAITING), "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"]
)
def test_a_job_in_any_other_state_may_go_on(word):
    assert not JobState(word).ended


def test_a_job_that_squeue_no_longer_lists_has_ended_without_accounting_too(command, queue, said):
    command("squeue", "8|RUNNING|None")
    assert queue.states(["7", "8"])["7"] == JobState(GONE)
    assert JobState(GONE).ended
    command("squeue", err="slurm_load_jobs error: Invalid job id specified", code=1)
    assert queue.states(["7"]) == {"7": JobState(GONE)}
    assert said == []


@pytest.mark.parametrize(
    ("out", "word"),
    [("CANCELLED by 1000", "CANCELLED"), ("OUT_OF_MEMORY", "OUT_OF_MEMORY"), ("", GONE), ("RUNNING", GONE)],
)
def test_accounting_where_there_is_one_says_how_it_ended(command, out, word):
    command("sacct", out)
    assert how_it_ended("7") == word


def test_a_slurm_that_does_not_answer_says_nothing_of_its_jobs_and_is_named_once(command, queue, said, monkeypatch):
    command("squeue", err="slurm_load_jobs error: Unable to contact slurm controller (connect failure)", code=1)
    assert queue.states(["7"]) == {}
    assert said == [], "a moment of silence is nothing to tell"
    monkeypatch.setattr(slurm_queue, "SILENT_SECONDS", -1.0)
    for _ in range(3):
        assert queue.states(["7"]) == {}
    (sentence,) = said
    assert sentence.startswith("SLURM does not answer (slurm_load_jobs error: Unable to contact")
    command("squeue", "7|RUNNING|None")
    assert queue.states(["7"]) == {"7": JobState("RUNNING", "None")}
    assert said[1:] == ["SLURM answers again"]


def test_a_held_job_is_named_once_with_the_command_that_releases_it(command, queue, said):
    command("squeue", "7|PENDING|launch failed requeued held\n8|PENDING|Resources")
    queue.states(["7", "8"])
    queue.states(["7", "8"])
    (sentence,) = said
    assert "scontrol release 7" in sentence


def test_a_command_that_is_missing_or_hangs_is_no_traceback(command, monkeypatch):
    assert ask(["no-such-command"])[0] is None
    monkeypatch.setattr(slurm_queue, "ANSWER_SECONDS", 0.1)
    answer, error = ask(["sleep", "5"])
    assert answer is None
    assert "timed out" in error


def test_without_jobs_nothing_is_asked(queue):
    assert queue.states([]) == {}
