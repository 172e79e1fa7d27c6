"""What runs will cost, from what recorded runs did cost, and on what that rests."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnbench.runs.plan import Job
from rnnbench.store.index import Index
from rnnbench.store.record import entry_id

NEEDED = ("status", "entry", "cell", "dataset", "device_kind", "train_seconds", "wall_seconds", "updates_done")
ENTRY, ALIKE, UNKNOWN = "the same entry", "the same cell and dataset", "unknown"


@dataclass
class Estimate:
    """Seconds by run id, None where nothing like it was ever run; basis: how many runs rest on what."""

    seconds: dict[str, float | None] = field(default_factory=dict)
    basis: dict[str, str] = field(default_factory=dict)
    core_seconds: float = 0.0

    @property
    def known(self) -> list[float]:
        return [seconds for seconds in self.seconds.values() if seconds is not None]

    @property
    def unknown(self) -> int:
        return len(self.seconds) - len(self.known)

    def eta(self, workers: int) -> float | None:
        """Seconds until all known ones are done by so many workers; None where nothing is known."""
        return max(sum(self.known) / workers, max(self.known)) if self.known else None

    def rests_on(self) -> str:
        """The basis in words: "5 runs on records of the same entry, 2 unknown"."""
        counts = Counter(self.basis.values())
        texts = [f"{counts[name]} on records of {name}" for name in (ENTRY, ALIKE) if counts[name]]
        return ", ".join(texts + [f"{counts[UNKNOWN]} unknown"] * bool(counts[UNKNOWN]))


def estimate(jobs: Sequence[Job], index: Index) -> Estimate:
    """What jobs will take on the device they ask for, one by one: the median of finished runs of the same entry.

    Else of the same cell and dataset: seconds an update x updates, and what a run takes besides training.
    """
    made = Estimate()
    if not jobs:
        return made
    entries, alike = _past(index)
    for job in jobs:
        device = str(job.config["device"])
        whole = entries.get((entry_id(job.config), device))
        rates = alike.get((str(job.axes["cell"]), job.dataset, device))
        if whole:
            seconds, basis = statistics.median(whole), ENTRY
        elif rates:
            each, rest = (statistics.median(column) for column in zip(*rates, strict=True))
            seconds, basis = each * job.config["budget"]["updates"] + rest, ALIKE
        else:
            made.seconds[job.id], made.basis[job.id] = None, UNKNOWN
            continue
        made.seconds[job.id], made.basis[job.id] = seconds, basis
        made.core_seconds += seconds * job.config["harness"]["threads"]
    return made


Whole = dict[tuple[str, str], list[float]]
Rates = dict[tuple[str, str, str], list[tuple[float, float]]]


def _past(index: Index) -> tuple[Whole, Rates]:
    """Wall seconds by entry and device; (seconds an update, seconds besides) by cell, dataset and device."""
    entries: Whole = defaultdict(list)
    alike: Rates = defaultdict(list)
    for status, entry, cell, dataset, device, train, wall, updates in _rows(index):
        if status != "ok" or wall is None:
            continue
        entries[entry, device].append(wall)
        if train and updates:
            alike[cell, dataset, device].append((train / updates, max(0.0, wall - train)))
    return entries, alike


def _rows(index: Index) -> Iterable[tuple[Any, ...]]:
    found = index.columns(*NEEDED)
    return zip(*(found[name] for name in NEEDED), strict=True)
