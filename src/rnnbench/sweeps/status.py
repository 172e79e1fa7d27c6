"""How sweeps stand, seen from another process: from records, manifests and heartbeats only. Imports no torch."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.runs import attempts
from rnnbench.store import index
from rnnbench.store.files import read_regular
from rnnbench.store.manifests import Manifest, SearchRules, read_manifest, read_manifests
from rnnbench.store.parse import parse_yaml
from rnnbench.store.results import resolve_sweep
from rnnbench.store.rows import Row, number
from rnnbench.store.store import Store
from rnnbench.sweeps import stale

OTHERS = "(no sweep)"  # the line of runs that no manifest names
COLUMNS = ("status", "wall_seconds", "label", "seed", "reason", "finished", *stale.COLUMNS)


@dataclass(frozen=True)
class Live:
    """A run that some process has in hand. update, metrics: of the last validation that was written.

    host: of one on another machine, where a process cannot be looked up; silent: seconds since its last sign, by this
    machine's clock, which may be another than that of the sign: a look that lasts a moment can tell no more.
    """

    id: str
    title: str
    seconds: float
    attempt: int
    update: int | None
    updates: int | None
    metric: str | None
    value: float | None
    host: str | None = None
    silent: float | None = None


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
    """Every sweep of a store, or the one of this name; the last line is of the runs that belong to none.

    name: as `store.results` takes it, so that a path names a sweep of another store. Raises BadInput where it is no
    sweep, or its manifest is damaged. Of all sweeps a damaged one is left out; `read_manifests` names it. The records
    of these runs that cannot be read are named in `store.problems`.
    """
    asked = store
    if name is not None:
        found = resolve_sweep(store, name)
        store, chosen = found.store, {found.name: read_manifest(found.store.results, found.name)}
    else:
        chosen = dict(sorted(read_manifests(store.results)[0].items(), key=lambda item: item[1].get("planned", "")))
    loaded = index.load(store)
    records = loaded.by_folder(*COLUMNS)
    damaged = {Path(path).parent.name for path in loaded.problems}
    known = _Known(records, damaged, *_unfinished(store, loaded.unfinished), stale.judge())
    states = [_state(key, dict.fromkeys(manifest["runs"]), known, manifest) for key, manifest in chosen.items()]
    wanted = None if name is None else {run for manifest in chosen.values() for run in manifest["runs"]}
    asked.problems = {
        path: why for path, why in loaded.problems.items() if wanted is None or Path(path).parent.name in wanted
    }
    if name is None:
        named = {run for manifest in chosen.values() for run in manifest["runs"]}
        if others := [run for run in (*records, *damaged, *known.open) if run not in named]:
            states.append(_state(OTHERS, others, known))
    return states


@dataclass(frozen=True)
class _Known:
    records: Mapping[str, Row]
    damaged: set[str]
    live: Mapping[str, Live]
    open: set[str]  # tried, in nobody's hand, not finished
    why: Callable[[Row], str]  # a record is stale; empty where it is not


def _unfinished(store: Store, folders: Iterable[str]) -> tuple[dict[str, Live], set[str]]:
    live, waiting = {}, set()
    for run in folders:
        seen = attempts.look(store.folder(run))
        if seen and seen[-1].status == "running":
            live[run] = _live(run, store, seen[-1])
        elif seen and seen[-1].status != "refused":  # it never began: the plan calls it new
            waiting.add(run)
    return live, waiting


def _live(run: str, store: Store, seen: attempts.Seen) -> Live:
    title, updates, folder = run, None, store.folder(run)
    try:
        text = read_regular(folder / "config.yaml").decode()
        title = text.partition("\n")[0].lstrip("# ").strip() or run
        updates = int(parse_yaml(text)["budget"]["updates"])
    except (OSError, ValueError, KeyError, TypeError):  # it has only just begun
        pass
    rows = store.history(run)
    last = rows[-1] if rows else {}
    names = sorted((key for key in last if key.startswith("val/")), key=lambda key: (key == "val/loss", key))
    metric = names[0] if names else None
    step, value = number(last.get("step")), number(last.get(metric or ""))
    return Live(
        run, title, seen.seconds, seen.number, int(step) if math.isfinite(step) else None, updates, metric,
        value if math.isfinite(value) else None, seen.host, seen.silent,
    )  # fmt: skip


def _state(name: str, runs: Iterable[str], known: _Known, manifest: Manifest | None = None) -> State:
    runs = list(runs)
    state = State(name, None, len(runs))
    if manifest is not None:
        state.command, state.skipped = manifest["command"], sum(cell["cells"] for cell in manifest["skipped"])
    seconds = []
    for run in runs:
        if (row := known.records.get(run)) is not None:
            state.stale += bool(known.why(row))
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
    if manifest is not None and "search" in manifest:
        state.total += _not_asked(manifest["search"], finished=not state.left)
    state.failures.sort(key=lambda failure: failure.finished, reverse=True)
    state.mean_seconds = statistics.fmean(seconds) if seconds else None
    return state


def _not_asked(search: SearchRules, *, finished: bool) -> int:
    """How many runs of a search have no values yet: trials, and while there are any to come, one winner's finals."""
    try:
        studies, stages = len(search["studies"]), [row["stage"] for row in search["trials"]]
        trials = max(0, int(search["trials_each"]) * studies - stages.count("trial"))
        finals = max(0, int(search["final_seeds"]) * studies - stages.count("final"))
    except (KeyError, TypeError, ValueError):  # a manifest of other making
        return 0
    return trials + (finals if trials or not (finished or "final" in stages) else 0)


def _failure(run: str, row: Row) -> Failure:
    title = f"{row['label']} · {row['dataset']} · seed {row['seed']}"
    return Failure(run, title, str(row["status"]), str(row["reason"] or ""), str(row["finished"] or ""))
