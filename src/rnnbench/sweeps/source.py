"""Where the runs of a sweep come from: a plan's list, or a search that picks the next from what is known by then."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypedDict, final

from rnnbench.runs.plan import Job
from rnnbench.store.record import Record
from rnnbench.sweeps.executors.base import Running


@final
class Refused(TypedDict):
    """What is told of a run that was never possible, and so has no record."""

    id: str
    status: Literal["refused"]
    reason: str
    metrics: Mapping[str, float]


class Source(Protocol):
    """Asked by the sweep's loop whenever a worker is free, told of every end."""

    split: str  # whose figure a finished run's line shows: test, or val where runs are compared to choose one

    @property
    def left(self) -> int:
        """How many runs are still to be taken, as far as known; 0: none, whatever the running ones bring."""

    def take(self) -> Job | None:
        """The next run; None when there is none now (there may be, once a running one has ended)."""

    def put_back(self, job: Job) -> None:
        """A run that was taken and is to be done again: its worker died, or another sweep has it."""

    def tell(self, job: Job, record: Record | Refused) -> None:
        """How a run ended, failures included. One that is recorded already is told when it is taken."""

    def rest(self) -> Sequence[Job]:
        """The runs that are known and were never taken, asked for when the sweep ends early."""

    def prune(self, running: Sequence[Running]) -> Mapping[str, str]:
        """Which of the running runs are not worth going on with: id -> reason. Asked a few times a second."""


class Listed:
    """A plan's runs, in order."""

    split = "test"

    def __init__(self, jobs: Iterable[Job]) -> None:
        self._jobs = deque(jobs)

    @property
    def left(self) -> int:
        return len(self._jobs)

    def take(self) -> Job | None:
        return self._jobs.popleft() if self._jobs else None

    def put_back(self, job: Job) -> None:
        self._jobs.append(job)

    def tell(self, job: Job, record: Record | Refused) -> None:
        """Nothing to learn: the list is what it is."""

    def rest(self) -> Sequence[Job]:
        return list(self._jobs)

    def prune(self, running: Sequence[Running]) -> Mapping[str, str]:
        return {}
