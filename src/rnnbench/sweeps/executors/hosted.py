"""What a process on another machine holds for a sweep: one local worker. A run is done there as it is done here.

Ray's actors and SLURM's jobs hold a `Host`. The run is a process of its own below it, forked as on this machine, so its
death is told from the machine's: the one is an answer (`died`), the other is no answer at all (`lost`). When the host
goes, the run sees its pipe close, writes its checkpoint and ends.
"""

from __future__ import annotations

import os
import platform
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rnnbench.errors import BadInput, nearest
from rnnbench.runs import attempts, registry
from rnnbench.runs.host import passive_threads
from rnnbench.runs.plan import Job
from rnnbench.runs.source_hash import source_hash
from rnnbench.store.store import Store, write_atomic
from rnnbench.sweeps.executors.base import NoWorker


class Answer(NamedTuple):
    """How a run ended, as its host saw it: the fields of `Ended` that are not the sweep's."""

    word: str
    sentence: str
    exit_code: int | None


@dataclass(frozen=True)
class Place:
    """What every host of a sweep is told: the store, absolute, and the user's config folders. All on a shared disk."""

    results: Path
    config_dirs: tuple[str, ...] = ()
    memory: int | None = None  # bytes that a run's process may hold
    probe: str = field(default_factory=lambda: f".shared-{secrets.token_hex(6)}")
    source: str = field(default_factory=source_hash)

    @classmethod
    def here(cls, results: Path, memory: int | None = None) -> Place:
        """Of this sweep; leaves a small file beside the store by which a host knows that it sees the same folder."""
        place = cls(results.absolute(), tuple(map(str, registry.extra_dirs())), memory)
        place.results.mkdir(parents=True, exist_ok=True)
        write_atomic(place.results / place.probe, "a sweep is running; its other machines look for this file\n")
        return place

    def clear(self) -> None:
        """Take the small file away."""
        (self.results / self.probe).unlink(missing_ok=True)

    def complaint(self) -> str | None:
        """Asked on the host: why runs cannot be done here, in one sentence; None where they can."""
        node = platform.node()
        if not (self.results / self.probe).is_file():
            return (
                f"machine {node} does not see the store {self.results}; it must be one folder that all machines "
                "share (NFS or alike), under one path. Without one, sweep on each and `rnnbench merge` the stores."
            )
        if missing := [name for name in self.config_dirs if not Path(name).is_dir()]:
            return f"machine {node} does not see the config folder {missing[0]}; put it on the shared disk."
        if source_hash() != self.source:
            return (
                f"machine {node} has another rnnbench (source {source_hash()}) than this one ({self.source}); "
                "install the same on all."
            )
        return None


class Host:
    """One worker, remote-controlled. Its methods never wait longer than they are told to."""

    def __init__(self, place: Place) -> None:
        from rnnbench.sweeps.executors.local import Pool

        self.place = place
        os.environ["RNNBENCH_CONFIG_DIR"] = os.pathsep.join(place.config_dirs)
        registry.import_extra_dirs()
        passive_threads()
        # A job's SIGTERM reaches the worker, too, but only the host knows what it means: a stop, or a search's pruner.
        self._pool = Pool(1, place.results, memory=place.memory, heeded=())
        self._killed = False
        self._not_started: Answer | None = None

    @property
    def busy(self) -> bool:
        return bool(self._pool.running) or self._not_started is not None

    def start(self, job: Job) -> None:
        """Start a run; only while not busy."""
        self._killed = False
        try:
            self._pool.submit(job)
        except NoWorker as error:  # no fault of the run: another machine may do it
            self._not_started = Answer("lost", str(error), None)

    def poll(self, seconds: float) -> Answer | None:
        """How the run ended, None while it goes on after `seconds`."""
        if self._not_started is not None:
            answer, self._not_started = self._not_started, None
            return answer
        for ended in self._pool.poll(seconds):
            # Seen at once here, where its process was; from elsewhere only by a stale heartbeat, a minute later.
            folder = Store.open(self.place.results).folder(ended.job.id)
            if ended.word == "died" and self._killed:  # no death of the run's own
                attempts.note_end(folder, "interrupted", "it was ended by its sweep")
            elif ended.word == "died":
                attempts.note_death(folder, ended.sentence)
            elif ended.word == "oom":
                attempts.note_end(folder, "oom", ended.sentence)
            return Answer(ended.word, ended.sentence, ended.exit_code)
        return None

    def cancel(self, reason: str, prune: bool = False) -> None:
        """Let the run checkpoint and end."""
        self._pool.cancel(reason, prune=prune)

    def kill(self) -> None:
        """End the run at once."""
        self._killed = True
        self._pool.kill()

    def close(self) -> None:
        self._pool.close()


def take_options(executor: str, given: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an executor: defaults and what was given, as the defaults' types. Raises BadInput."""
    options = dict(known)
    for name, text in given.items():
        if name not in known:
            raise BadInput(f"--executor {executor} has no option {name!r}; {nearest(name, known)}")
        try:
            options[name] = type(known[name])(text) if known[name] is not None else text
        except ValueError:
            raise BadInput(f"--executor {executor}: {name}={text} is no {type(known[name]).__name__}.") from None
    return options
