"""What a live tracker is. A tracker watches a run; the record never depends on it.

Values travel one way, from the run to the tracker. Nothing here or below hands anything back, so a run's numbers are
the same with and without a tracker, and a tracker's config is no part of a run's id.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnbench.store.config import Config
from rnnbench.store.record import Record


class TrackerError(RuntimeError):
    """A tracker cannot go on (no server, no key, a dead helper). `Guarded` turns it into one warning."""


@dataclass(frozen=True)
class RunInfo:
    """What a tracker may know about the run it watches, at its start."""

    id: str
    """The run's id (rnnbench's own, the name of its folder)."""
    name: str
    """For people: the display label, the dataset and the seed."""
    group: str | None
    """The sweep's name; None for a single run."""
    config: Config
    """The resolved config."""
    attempt: int
    """Which attempt at the run this is, from 1: a resumed run is a new attempt."""
    folder: Path = field(repr=False)
    """The run's folder."""


class Tracker(ABC):
    """One tracker for one attempt: `start` once, `log` many times, `finish` once; then it is used up.

    A tracker may be slow and may raise; only `Guarded` ones (see `make_tracker`) are given to a run.
    """

    @abstractmethod
    def start(self, info: RunInfo) -> None:
        """Begin. Everything heavy (imports, processes, the server) happens here and not in `__init__`."""

    @abstractmethod
    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """One point of each curve. step: the number of updates so far; it never decreases."""

    @abstractmethod
    def finish(self, record: Record | None, ok: bool) -> None:
        """End. record: the run's record, None where the attempt ended without one. ok: was this a success."""

    def abandon(self) -> None:
        """Let go of everything at once, and never wait: nothing of the tracker may hold up the process from here on.

        Called from any thread, even while another call still hangs in its own. Default: there is nothing to let go of.
        """
        return


class NoTracker(Tracker):
    """Tracks nothing."""

    def start(self, info: RunInfo) -> None:
        pass

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        pass

    def finish(self, record: Record | None, ok: bool) -> None:
        pass


Row = dict[str, Any]  # one row of a table, or a summary: names and plain values


def _flat(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        elif value is None or isinstance(value, bool | int | float | str):
            yield f"{prefix}{key}", value
        else:
            yield f"{prefix}{key}", str(value)


def record_row(record: Record) -> Row:
    """A record as one table row: id, status, seed, dataset, the axes, then the metrics under their own names.

    Nested axes are joined by a dot (``options.groups``), lists become their text: a cell of a table is one value.
    """
    row: Row = {key: record.get(key) for key in ("id", "status", "seed")}
    row["dataset"] = (record.get("dataset") or {}).get("name")
    row.update(_flat("", record.get("axes") or {}))
    row.update(_flat("", record.get("metrics") or {}))
    return row


def record_summary(record: Record) -> Row:
    """A record's final values: its metrics under their own names, and how the run ended."""
    return {
        **dict(_flat("", record.get("metrics") or {})),
        "status": record.get("status"),
        "reason": record.get("reason"),
        "best_step": record.get("best_step"),
    }
