"""Records as W&B runs, after the fact. A mirror: what it is made from stays where it is, and is never read back.

A record's W&B run has the record's own id, so that pushing again is the same run again. What was pushed where, and the
hash of what it was made from, is a line of ``results/wandb_pushed.jsonl``: a second push does nothing, and a record
that was done again is pushed anew under its id.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnnbench.store.config import TrackerNode
from rnnbench.store.record import Record, dumps
from rnnbench.store.store import read_jsonl
from rnnbench.tracking.base import TrackerError, record_row, record_summary
from rnnbench.tracking.guard import LIMIT_SECONDS
from rnnbench.tracking.wandb_tracker import OF_THE_AGENT, WandbTracker, agent_run

Tables = Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]]  # columns and rows by name
PATIENCE_SECONDS = 30.0  # for W&B's start of one run, and again for its upload
NOTES = "wandb_pushed.jsonl"
FACTS = (
    "goal", "floor", "target", "solved", "params", "live_params", "state_size", "flops_per_step", "updates",
    "train_seconds", "wall_seconds", "steps_per_second", "peak_memory_mb", "device", "attempts", "started", "finished",
    "source_hash",
)  # fmt: skip


@dataclass(frozen=True)
class Mirrored:
    """One record with its curves. group: its sweep; name: for people."""

    record: Record
    history: Sequence[Mapping[str, float]] = ()
    group: str | None = None

    @property
    def name(self) -> str:
        axes, dataset = self.record["axes"], self.record["dataset"].get("name")
        label = axes.get("label") or axes.get("cell")
        return f"{label} · {dataset} · seed {self.record['seed']} {self.record['id']}"

    @property
    def hash(self) -> str:
        """Over record and curves. Not the group: to be part of one more sweep is no change."""
        return hashlib.sha256(f"{dumps(self.record)}{json.dumps(self.history)}".encode()).hexdigest()


@dataclass
class Pushed:
    """What a push did. error: why it stopped before the end, in one sentence without its full stop."""

    pushed: int = 0
    unchanged: int = 0
    left: int = 0
    error: str | None = None


class WandbMirror(WandbTracker):
    """One helper process for many finished runs. Raises TrackerError as its parent does, and where W&B hangs."""

    def push(self, one: Mirrored, folder: Path, patience: float, *, agent: bool = False) -> None:
        """Make one W&B run. folder: for W&B's own ``wandb/``; patience: seconds for its start, and for its end.

        agent: it is the one that ``wandb agent`` has made for this process.
        """
        record = one.record
        init = {
            "project": self.project,
            "entity": self.entity,
            "mode": self.mode,
            "dir": str(folder),
            "id": record["id"],
            "name": one.name,
            "group": one.group,
            "tags": [record["status"], str(record["dataset"].get("name"))],
            "config": {**(record.get("config") or {}), "rnnbench_id": record["id"]},
        }
        if agent:
            init = {key: init[key] for key in ("mode", "dir", "tags", "config")}
        summary = record_summary(record) | {key: value for key in FACTS if (value := record.get(key)) is not None}
        finish = {"summary": summary, "row": record_row(record), "exit_code": 0 if record["status"] == "ok" else 1}
        self._whole_run(init, one.history, finish, patience, OF_THE_AGENT if agent else frozenset())

    def push_tables(self, run: str, name: str, tables: Tables, folder: Path, patience: float) -> None:
        """Make, or make anew, one W&B run that holds tables and no curve. run: its id; name: for people."""
        init = {
            "project": self.project, "entity": self.entity, "mode": self.mode, "dir": str(folder), "id": run,
            "name": name, "job_type": "tables", "tags": ["tables"],
        }  # fmt: skip
        content = {key: {"columns": list(columns), "data": list(rows)} for key, (columns, rows) in tables.items()}
        self._whole_run(init, (), {"summary": {}, "row": {}, "exit_code": 0, "tables": content}, patience, frozenset())

    def _whole_run(
        self, init: Mapping[str, Any], history: Sequence[Mapping[str, float]], finish: Mapping[str, Any],
        patience: float, kept: frozenset[str],
    ) -> None:  # fmt: skip
        with self._busy:
            self._process = self._process or self._open(kept)
            hanging = threading.Timer(2 * patience + 5.0, self._process.kill)
            hanging.start()
            try:
                self._send(["start", {"init": init, "patience": patience}])
                self._answer()
                for row in history:
                    points = {key: value for key, value in row.items() if key != "step" and value is not None}
                    self._send(["log", int(row["step"]), points])
                self._send(["finish", finish])
                self._answer()
            finally:
                hanging.cancel()

    def close(self) -> None:
        """Let the helper go; what it has answered is done."""
        if self._process is not None:
            self._close()
            self._process = None


def push(
    mirrored: Iterable[Mirrored],
    results: Path,
    *,
    project: str = "rnnbench",
    entity: str | None = None,
    mode: str | None = None,
    patience: float | None = None,
) -> Pushed:
    """Mirror what was not mirrored yet, into the W&B project or, offline, into folders that ``wandb sync`` uploads.

    results: where the notes of earlier pushes are, and offline the folders. Stops at the first run that W&B does not
    take; what was pushed by then is noted. Raises BadInput on an unknown mode.
    """
    mirror, done = WandbMirror(project, entity, mode), Pushed()
    notes, place = results / NOTES, f"{mirror.mode} {entity or ''}/{project}"
    known = {note["id"]: note.get("hash") for note in read_jsonl(notes) if note.get("to") == place and "id" in note}
    everything = list(mirrored)
    todo = [one for one in everything if known.get(one.record["id"]) != one.hash]
    done.left, done.unchanged = len(todo), len(everything) - len(todo)
    try:
        for one in todo if mirror.mode != "disabled" else []:
            mirror.push(one, results.absolute(), patience or PATIENCE_SECONDS)
            note = {"id": one.record["id"], "to": place, "hash": one.hash, "group": one.group, "when": _now()}
            with notes.open("a", encoding="utf-8") as file:
                file.write(json.dumps(note) + "\n")
            done.pushed, done.left = done.pushed + 1, done.left - 1
    except TrackerError as error:
        done.error = str(error).rstrip(".")
    finally:
        mirror.close()
    return done


def push_tables(
    tables: Tables, title: str, results: Path, *, project: str = "rnnbench", entity: str | None = None,
    mode: str | None = None, patience: float | None = None,
) -> Pushed:  # fmt: skip
    """Mirror tables into one W&B run, which the same title finds again; equal tables are not pushed twice.

    title: what they are of, in words. results: as of `push`. Raises BadInput on an unknown mode.
    """
    mirror, done = WandbMirror(project, entity, mode), Pushed(left=1)
    run = f"tables-{hashlib.sha256(title.encode()).hexdigest()[:12]}"
    content = hashlib.sha256(json.dumps([title, tables], sort_keys=True, default=str).encode()).hexdigest()
    notes, place = results / NOTES, f"{mirror.mode} {entity or ''}/{project}"
    known = [note for note in read_jsonl(notes) if note.get("to") == place and note.get("id") == run]
    if known and known[-1].get("hash") == content:
        return Pushed(unchanged=1)
    try:
        if mirror.mode != "disabled":
            mirror.push_tables(run, f"tables · {title}", tables, results.absolute(), patience or PATIENCE_SECONDS)
            note = {"id": run, "to": place, "hash": content, "group": None, "when": _now()}
            with notes.open("a", encoding="utf-8") as file:
                file.write(json.dumps(note) + "\n")
            done.pushed, done.left = 1, 0
    except TrackerError as error:
        done.error = str(error).rstrip(".")
    finally:
        mirror.close()
    return done


def answer_agent(one: Mirrored, tracker: TrackerNode, folder: Path) -> str | None:
    """``wandb agent`` asked for a run that is recorded already: give its W&B run the record. Returns what went wrong.

    tracker: the config's; nothing is done unless it is W&B and an agent waits. folder: the run's.
    """
    if agent_run() is None or tracker.get("name") != "wandb":
        return None
    options: dict[str, Any] = {key: value for key, value in tracker.items() if key != "name"}
    mirror = WandbMirror(**options)
    try:
        if mirror.mode != "disabled":
            mirror.push(one, folder.absolute(), LIMIT_SECONDS / 2, agent=True)
    except TrackerError as error:
        return f"W&B did not take the record ({str(error).rstrip('.')})."
    finally:
        mirror.close()
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
