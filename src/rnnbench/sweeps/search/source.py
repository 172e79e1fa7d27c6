"""A search as the source of a sweep's runs: asked when a worker is free, told of every end, in whatever order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from rnnbench.runs.plan import Job
from rnnbench.store.record import Record, RecordError
from rnnbench.store.store import Store
from rnnbench.sweeps import stale
from rnnbench.sweeps.executors.base import Running
from rnnbench.sweeps.search.studies import OneStudy
from rnnbench.sweeps.source import Refused

LOOK_SECONDS = 1.0  # between two looks at the histories of running trials


class SearchSource:
    """The trials of all studies, the study with the fewest first, so that what is there by now is balanced."""

    split = "val"  # what a trial's line shows: nobody watches a search by its test values

    def __init__(
        self,
        studies: Sequence[OneStudy],
        store: Store,
        noted: Callable[[Job | None], None],
        choice: stale.Choice = None,
    ) -> None:
        """noted: called with every job that is taken, and with None at every end; choice: what of stale records."""
        self.studies, self.store, self.noted, self.choice = studies, store, noted, choice
        self.found = 0  # trials whose run was in the store already
        self._back: deque[Job] = deque()
        self._open: dict[str, list[tuple[OneStudy, int]]] = {}  # a run may be two trials': values may come again
        self._looked = 0.0
        self._specs: dict[str, tuple[str, str]] = {}

    @property
    def left(self) -> int:
        return len(self._back) + sum(study.left for study in self.studies)

    def take(self) -> Job | None:
        """The next trial that is neither recorded nor running. Raises BadInput at a stale record without a choice."""
        if self._back:
            return self._back.popleft()
        while waiting := [study for study in self.studies if study.left]:
            study = min(waiting, key=lambda each: each.search.trials - each.left)
            if (found := study.next()) is None:
                continue
            number, job = found
            self._open.setdefault(job.id, []).append((study, number))
            if len(self._open[job.id]) > 1:
                continue
            self.noted(job)
            stale.settle(self.store, [job.id], self.choice)  # another sweep may have left one
            try:
                record = self.store.read(job.id)
            except (RecordError, OSError):  # the sweep looks as well, leaves this run open and goes on
                record = None
            if record is None:
                return job
            self.found += 1
            self.tell(job, record)
        return None

    def put_back(self, job: Job) -> None:
        self._back.append(job)

    def rest(self) -> Sequence[Job]:
        """Only what was taken: a trial that was never asked for has no values yet, and should learn from the others."""
        return list(self._back)

    def tell(self, job: Job, record: Record | Refused) -> None:
        for study, number in self._open.pop(job.id, []):
            study.tell(number, record)
        self.noted(None)

    def prune(self, running: Sequence[Running]) -> Mapping[str, str]:
        """Report what the running trials have validated since, and give up what the pruner says."""
        if not running or self.studies[0].search.pruner == "none" or time.monotonic() - self._looked < LOOK_SECONDS:
            return {}
        self._looked = time.monotonic()
        given_up = {}
        for job in (each.job for each in running):
            for study, number in self._open.get(job.id, [])[:1]:
                metric, goal = self._spec(job)
                if reason := study.prune(number, self.store.history(job.id), metric, goal, job):
                    given_up[job.id] = reason
        return given_up

    def _spec(self, job: Job) -> tuple[str, str]:
        """The main metric and its goal, which the dataset knows; only a pruner asks before there is a record."""
        if job.dataset not in self._specs:
            from rnnbench.runs.build import make_task

            spec = make_task(job.config).spec
            self._specs[job.dataset] = (spec.metric, spec.goal)
        return self._specs[job.dataset]
