"""What SLURM says of jobs. squeue knows each that has not ended, and for MinJobAge (300 s by default) those that have.

So no accounting is needed. sacct, which submitit asks, is asked last: how a job ended that squeue no longer lists.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

ANSWER_SECONDS = 20.0  # what a command of SLURM's may take
SILENT_SECONDS = 60.0  # without an answer, before that is said
ENDED = frozenset({
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
})  # fmt: skip
WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "CONFIGURING"})
GONE = "nothing of it any more"  # no state of SLURM's: neither squeue nor sacct knows the job
UNKNOWN_JOB = "Invalid job id specified"  # squeue's error where all jobs that it is asked for are gone


class JobState(NamedTuple):
    """A job's state in SLURM's word, or GONE, and why it is in it."""

    word: str
    reason: str = ""

    @property
    def ended(self) -> bool:
        """For good: a job that SLURM requeues is PENDING again, and never in one of these states between."""
        return self.word in ENDED or self.word == GONE


class Queue:
    """Asks SLURM of jobs. say: what a person must be told, each thing once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._held: set[str] = set()
        self._answered = time.monotonic()
        self._silent = False  # and said so

    def states(self, jobs: Collection[str]) -> dict[str, JobState]:
        """The state of each job; empty where SLURM does not answer, which says nothing of the jobs."""
        if not jobs:
            return {}
        listing = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(sorted(jobs))}"]
        answer, error = ask(listing)
        if answer is None and UNKNOWN_JOB not in error:
            self._note_silence(error)
            return {}
        self._note_answer()
        rows = [line.strip().split("|", 2) for line in (answer or "").splitlines() if line.count("|") >= 2]
        found = {job: JobState(word, reason) for job, word, reason in rows if job in jobs}
        for job, state in found.items():
            self._note_hold(job, state)
        return found | {job: JobState(how_it_ended(job)) for job in jobs if job not in found}

    def _note_silence(self, error: str) -> None:
        if not self._silent and time.monotonic() - self._answered > SILENT_SECONDS:
            self._silent = True
            self._say(f"SLURM does not answer ({error}); its jobs go on, and it is asked again")

    def _note_answer(self) -> None:
        self._answered = time.monotonic()
        if self._silent:
            self._silent = False
            self._say("SLURM answers again")

    def _note_hold(self, job: str, state: JobState) -> None:
        if state.word in WAITING and "held" in state.reason.lower() and job not in self._held:
            self._held.add(job)
            self._say(f"SLURM holds job {job} ({state.reason}): it begins after `scontrol release {job}`")


def how_it_ended(job: str) -> str:
    """What accounting says of a job that squeue no longer lists; GONE where there is no accounting."""
    answer, _ = ask(["sacct", "--noheader", "--allocations", "--parsable2", "--format=State", f"--jobs={job}"])
    words = (answer or "").split()  # `CANCELLED by 1000` has more than one
    return words[0] if words and words[0] in ENDED else GONE


def ask(command: Sequence[str]) -> tuple[str | None, str]:
    """What a command of SLURM's prints, and its last word on stderr; None where it fails. Nothing is printed here."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, errors="replace")
    except (OSError, subprocess.TimeoutExpired) as failure:
        return None, f"{command[0]}: {failure}"
    said = done.stderr.strip().splitlines()
    error = said[-1] if said else f"{command[0]} ended with code {done.returncode}"
    return (done.stdout if done.returncode == 0 else None), error
