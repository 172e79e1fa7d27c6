"""How sweeps stand, seen from another process: from records, manifests and heartbeats only. Imports no torch."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rnnbench.errors import BadInput, nearest
from rnnbench.runs import attempts
from rnnbench.store import index
from rnnbench.store.store import Store, read_jsonl
from rnnbench.sweeps import stale

OTHERS = "(no sweep)"  # the line of runs that no manifest names
COLUMNS = ("status", "wall_seconds", "label", "seed", "reason", "finished", *stale.COLUMNS)


@dataclass(frozen=True)
class Live:
    """A run that some process has in hand. update, metrics: of the last validation that was written."""

    id: str
    title: str
    seconds: float
    attempt: int
    update: int | None
    updates: int | None
    metric: str | None
    value: float | None


@dataclass(frozen=True)
class Failure:
    """A record that is not ok."""

    id: str
    title: str
    status: str
    reason: str
    finished: str


@dataclass
class State:
    """A sweep. left: runs without a record, those in hand and the interrupted ones among them; of a search also those
    that it has not asked for yet, which no id stands for."""

    name: str
    command: str | None
    total: int
    ok: int = 0
    failed: int = 0
    stale: int = 0
    damaged: int = 0
    interrupted: int = 0
    skipped: int = 0
    running: list[Live] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)  # the latest first
    mean_seconds: float | None = None  # of a finished run

    @property
    def left(self) -> int:
        return self.total - self.ok - self.failed - self.damaged

    @property
    def eta(self) -> float | None:
        """Seconds, as fast as it goes now; None where nothing runs or none of its runs is finished."""
        if not self.running or self.mean_seconds is None:
            return None
        spent = sum(min(run.seconds, self.mean_seconds) for run in self.running)
        return max(0.0, self.mean_seconds * self.left - spent) / len(self.running)


def look(store: Store, name: str | None = None) -> list[State]:
    """Every sweep beside a store, or the one of this name; the last line is of the runs that belong to none.

    Raises BadInput on an unknown name. A damaged manifest is left out.
    """
    found = index.load(store)
    manifests = read_manifests(store.root.parent)
    if name is not None and name not in manifests:
        hint = nearest(name, manifests) if manifests else "`rnnbench sweep` has not been run here."
        raise BadInput(f"no sweep {name!r} in {store.root.parent / 'sweeps'}; {hint}")
    records = found.by_folder(*COLUMNS)
    damaged = {Path(path).parent.name for path in found.problems}
    known = _Known(records, damaged, *_unfinished(store, found.unfinished))
    chosen = {name: manifests[name]} if name is not None else manifests
    states = [_state(key, manifest["runs"], known, manifest) for key, manifest in chosen.items()]
    if name is None:
        named = {run for manifest in manifests.values() for run in manifest["runs"]}
        if others := [run for run in (*records, *damaged, *known.open) if run not in named]:
            states.append(_state(OTHERS, others, known))
    return states


def read_manifests(results: Path) -> dict[str, dict[str, Any]]:
    """The manifests in results/sweeps/ by their file's name, the longest unplanned first."""
    found = {}
    for path in sorted((results / "sweeps").glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            runs = [str(run) for run in content["runs"]]
        except (ValueError, KeyError, TypeError, OSError):  # a status never fails because of one file
            continue
        found[path.stem] = {**content, "runs": list(dict.fromkeys(runs))}
    return dict(sorted(found.items(), key=lambda item: str(item[1].get("planned", ""))))


@dataclass(frozen=True)
class _Known:
    records: Mapping[str, Mapping[str, Any]]
    damaged: set[str]
    live: Mapping[str, Live]
    open: set[str]  # tried, in nobody's hand, not finished


def _unfinished(store: Store, folders: Iterable[str]) -> tuple[dict[str, Live], set[str]]:
    live, waiting = {}, set()
    for run in folders:
        seen = attempts.look(store.folder(run))
        if seen and seen[-1].status == "running":
            live[run] = _live(run, store.folder(run), seen[-1])
        elif seen and seen[-1].status != "refused":  # it never began: the plan calls it new
            waiting.add(run)
    return live, waiting


def _live(run: str, folder: Path, seen: attempts.Seen) -> Live:
    title, updates = run, None
    try:
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        title = text.partition("\n")[0].lstrip("# ").strip() or run
        updates = int(yaml.safe_load(text)["budget"]["updates"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):  # it has only just begun
        pass
    rows = read_jsonl(folder / "history.jsonl")
    last = rows[-1] if rows else {}
    names = sorted((key for key in last if key.startswith("val/")), key=lambda key: (key == "val/loss", key))
    metric = names[0] if names else None
    return Live(run, title, seen.seconds, seen.number, last.get("step"), updates, metric, last.get(metric or ""))


def _state(name: str, runs: Iterable[str], known: _Known, manifest: Mapping[str, Any] | None = None) -> State:
    manifest = manifest or {}
    runs = list(runs)
    state = State(name, manifest.get("command"), len(runs), skipped=_skipped(manifest))
    seconds = []
    for run in runs:
        if (row := known.records.get(run)) is not None:
            state.stale += stale.is_stale(row)
            if row["status"] == "ok":
                state.ok += 1
                seconds += [row["wall_seconds"]] if row["wall_seconds"] is not None else []
            else:
                state.failed += 1
                state.failures.append(_failure(run, row))
        elif run in known.damaged:
            state.damaged += 1
        elif run in known.live:
            state.running.append(known.live[run])
        else:
            state.interrupted += run in known.open
    state.total += _not_asked(manifest.get("search"), finished=not state.left)
    state.failures.sort(key=lambda failure: failure.finished, reverse=True)
    state.mean_seconds = statistics.fmean(seconds) if seconds else None
    return state


def _not_asked(search: Any, *, finished: bool) -> int:
    """How many runs of a search have no values yet: trials, and while there are any to come, one winner's finals."""
    try:
        studies, stages = len(search["studies"]), [row["stage"] for row in search["trials"]]
        trials = max(0, int(search["trials_each"]) * studies - stages.count("trial"))
        finals = max(0, int(search["final_seeds"]) * studies - stages.count("final"))
    except (KeyError, TypeError, ValueError):  # a plain sweep, or a manifest of other making
        return 0
    return trials + (finals if trials or not (finished or "final" in stages) else 0)


def _failure(run: str, row: Mapping[str, Any]) -> Failure:
    title = f"{row['label']} · {row['dataset']} · seed {row['seed']}"
    return Failure(run, title, str(row["status"]), str(row["reason"] or ""), str(row["finished"] or ""))


def _skipped(manifest: Mapping[str, Any]) -> int:
    cells = manifest.get("skipped")
    return sum(int(cell.get("cells", 0)) for cell in cells if isinstance(cell, dict)) if isinstance(cells, list) else 0
