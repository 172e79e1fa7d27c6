"""Where the runs of a sweep are done: one small interface, submit, poll, cancel, for local workers, Ray and SLURM.

An executor starts runs and says when their workers are gone. It decides nothing: what a run's end means, whether it is
done again and what is recorded is the sweep's, which believes the store and no exit code.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rnnbench.runs.plan import Job


class NoWorker(Exception):
    """No worker can be started here, for a reason that another try would not change. Said in a sentence."""


@dataclass
class Running:
    """A run that a worker has in hand."""

    job: Job
    began: float = field(default_factory=time.monotonic, kw_only=True)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


@dataclass(frozen=True)
class Ended:
    """A worker that is gone. exit_code as the system has it.

    word: what it said last (see worker.work). Where it said nothing: died, or oom if memory is known to be why; lost,
    if its machine is gone or took it away for something else: the run is not to blame.
    """

    job: Job
    word: str
    sentence: str
    exit_code: int | None
    seconds: float


class Executor(ABC):
    """Up to `size` runs at once, each in a process of its own that claims its run in the store."""

    size: int
    say: Callable[[str], None] = staticmethod(lambda sentence: None)  # to the sweep's display; the sweep sets it

    @property
    @abstractmethod
    def running(self) -> Sequence[Running]:
        """The runs in hand."""

    @property
    def free(self) -> int:
        """How many more runs can be submitted now."""
        return self.size - len(self.running)

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Start a run; only while `free`."""

    @abstractmethod
    def poll(self, seconds: float) -> Iterator[Ended]:
        """Wait until a worker ends, at most `seconds`, and yield those that did."""

    @abstractmethod
    def cancel(self, reason: str, running: Running | None = None, *, prune: bool = False) -> None:
        """Ask one worker, or all of them, to checkpoint and end; they end `interrupted` and are polled as ever.

        prune: they are not to be gone on with, and end with a record of status `pruned`.
        """

    @abstractmethod
    def kill(self, running: Running | None = None) -> None:
        """End one worker, or all of them, at once; their runs resume from the last checkpoint."""

    def close(self) -> None:  # noqa: B027  # most have nothing to give back
        """Give back what the executor holds. Called once, after the last poll."""
