"""What a sweep consists of: every cell of its grids as a job, or as skipped with the reason."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rnnbench.errors import AxisRefused, BadInput
from rnnbench.runs import processor, registry
from rnnbench.runs.axes import check_integer, is_whole
from rnnbench.runs.compose import expand, key_of, last_value, parse
from rnnbench.runs.plan import Job, prepare, reseed
from rnnbench.store.config import Composed
from rnnbench.store.folder import Results
from rnnbench.store.manifests import Experiment, Manifest, all_runs, read_manifest_file
from rnnbench.store.store import write_atomic
from rnnbench.tracking import make_tracker


@dataclass(frozen=True)
class Skipped:
    """A cell of the grid that is no run: its axes do not go together."""

    overrides: tuple[str, ...]
    reason: str


@dataclass
class Plan:
    """A sweep's jobs, each once and in order, and its skipped cells. name: of the experiment, or what --name says.

    asked: the command, where it is none of `rnnbench sweep`. elsewhere: other machines do the runs.
    """

    name: str | None
    overrides: tuple[str, ...]
    ablation: Experiment | None = None  # what an experiment says of its ablation (reports.ablation)
    jobs: list[Job] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    asked: str | None = None
    elsewhere: bool = False

    @property
    def command(self) -> str:
        """What resumes it."""
        return self.asked or shlex.join(["rnnbench", "sweep", *self.overrides])

    def skip_reasons(self) -> dict[str, int]:
        """How many cells of the grid were skipped, by reason."""
        return dict(Counter(cell.reason for cell in self.skipped))

    def notes(self) -> list[str]:
        """What this machine makes of its runs that is good to know before, a sentence each."""
        return processor.notes(job.config for job in self.jobs)

    @property
    def key(self) -> str:
        """The name of the sweep's manifest: its own name, or a hash of what it asks for."""
        return self.name or hashlib.sha256(self.command.encode()).hexdigest()[:12]


def plan(overrides: Sequence[str], *, name: str | None = None, elsewhere: bool = False) -> Plan:
    """Expand a sweep. `experiment=NAME` stands for the grids of conf/experiment/NAME.yaml; other overrides go on top.

    elsewhere: other machines do the runs (`--executor`), so that the memory of this one is not asked.

    Raises BadInput on anything that is wrong whatever the axes (unknown names, wrong values), before any run starts.
    """
    if name is not None and not re.fullmatch(r"\w[\w.-]*", name):
        raise BadInput(f"a sweep's name is letters, digits, '_', '.' and '-', not {name!r}: its manifest is named so.")
    grids, experiment = _grids(overrides)
    made = Plan(name or experiment, tuple(overrides), elsewhere=elsewhere)
    if experiment is not None:
        made.ablation = registry.read("experiment", experiment).get("ablation")
    seen: set[str] = set()
    for job in _jobs(grids, made):
        if job.id not in seen:
            seen.add(job.id)
            made.jobs.append(job)
    if not made.jobs and not made.skipped:
        raise BadInput("this sweep is empty: one of its lists has no values.")
    check_trackers(made.jobs)
    return made


def check_trackers(jobs: Iterable[Job]) -> None:
    """Raise BadInput where a tracker's option is wrong: each run would be refused for it, one after the other."""
    for text in {json.dumps(job.config["tracker"], sort_keys=True) for job in jobs}:
        make_tracker(json.loads(text))


def _grids(overrides: Sequence[str]) -> tuple[list[list[str]], str | None]:
    """The override lists whose products make up the sweep, and the experiment that they are of."""
    named = [o for o in overrides if key_of(o) == "experiment"]
    rest = [o for o in overrides if o not in named]
    if not named:
        return [untracked(rest)], None
    if len(named) > 1 or parse(named[0]).is_sweep_override():
        raise BadInput("one experiment at a time: " + ", ".join(named))
    name = str(parse(named[0]).value())
    taken = {key_of(o) for o in rest}

    def with_rest(grid: list[str]) -> list[str]:
        """What the user says comes last and replaces what the experiment says of the same key."""
        return untracked([o for o in grid if key_of(o) not in taken] + rest)

    return [with_rest(grid) for grid in experiment_grids(name, last_value(rest, "budget"))], name


def untracked(grid: list[str]) -> list[str]:
    """The grid without a live tracker, which costs seconds a run, unless it names one."""
    return grid if any(key_of(o) == "tracker" for o in grid) else [*grid, "tracker=none"]


def experiment_grids(name: str, budget: str | None = None) -> list[list[str]]:
    """The grids of a named experiment as override lists; budget: the one asked for, whose size the experiment may know.

    `budgets: {smoke: {base: ..., grids: ...}}` says what is otherwise with that budget: fewer seeds, another dataset.
    Raises BadInput where the file is not as it should be.
    """
    content = registry.read("experiment", name)
    if "search" in content:
        raise BadInput(f"experiment={name} is a search; use `rnnbench tune experiment={name}`.")
    size = size_of(name, content, budget, "grids")
    base, more = content.get("base") or {}, size.get("base") or {}
    grids = size.get("grids") or content.get("grids") or [{}]
    mappings = [base, more, *grids] if isinstance(grids, list) else [None]
    if not all(isinstance(mapping, dict) for mapping in mappings):
        raise BadInput(f"experiment {name!r}: `base` is a mapping of overrides and `grids` a list of such mappings.")
    return [_overrides({**base, **more, **grid}) for grid in grids]


def size_of(name: str, content: Composed, budget: Any, part: str) -> Composed:
    """What an experiment says otherwise with a budget; {} where it says nothing. part: what may stand beside `base`.

    Raises BadInput where `budgets` is not as it should be.
    """
    sizes = content.get("budgets") or {}
    if not isinstance(sizes, dict) or not all(isinstance(size, dict) for size in sizes.values()):
        raise BadInput(f"experiment {name!r}: `budgets` is a mapping from a budget to its `base` and `{part}`.")
    return dict(sizes.get(str(budget)) or {})


def _overrides(mapping: Composed) -> list[str]:
    return [f"{key}={_plain(key, value)}" for key, value in mapping.items()]


def _plain(key: str, value: Any) -> str:
    if isinstance(value, bool):  # `peephole: on` in yaml is a boolean: its author meant the word
        return ("on" if value else "off") if key in registry.GROUPS else str(value).lower()
    if isinstance(value, list):
        return ",".join(_plain(key, v) for v in value)
    return "null" if value is None else str(value)


def _jobs(grids: Sequence[Sequence[str]], made: Plan) -> Iterator[Job]:
    """Compose each combination once; its seeds share the composition. What cannot be run goes to the plan's skipped."""
    composed: dict[tuple[str, ...], Job | AxisRefused] = {}
    for overrides in itertools.chain.from_iterable(map(expand, grids)):
        rest = tuple(o for o in overrides if key_of(o) != "seed")
        if rest not in composed:
            composed[rest] = _compose(rest, made)
        found = composed[rest]
        if isinstance(found, AxisRefused):
            made.skipped.append(Skipped(tuple(overrides), str(found)))
            continue
        seed = _seed(overrides)
        yield reseed(found, [*map(_as_typed, rest), f"seed={seed}"], seed)


def _compose(overrides: Sequence[str], made: Plan) -> Job | AxisRefused:
    """The job of any seed, or why there is none."""
    try:
        return prepare([*overrides, "seed=0"], group=made.name, elsewhere=made.elsewhere)
    except AxisRefused as refused:
        return refused


def _seed(overrides: Sequence[str]) -> int:
    """The seed that overrides name, else 0. Raises BadInput."""
    if not any(key_of(o) == "seed" for o in overrides):
        return 0
    seed = last_value(overrides, "seed")
    if not is_whole(seed, 0):
        raise BadInput(f"seed must be a whole number of at least 0, not {seed!r}.")
    check_integer("seed", seed)
    return int(seed)


def _as_typed(override: str) -> str:
    """cell='lstm' as a person writes it: it stands in the record as part of the command that makes the run again."""
    return re.sub(r"^(\w+)='([\w.-]+)'$", r"\1=\2", override)


def _entries(made: Plan) -> dict[str, list[str]]:
    """The runs by what sets them apart from the others, seeds aside: `peephole=on clip=null` -> ids."""
    asked = [[o for o in job.overrides if not o.startswith(("seed=", "tracker"))] for job in made.jobs]
    common = set.intersection(*map(set, asked)) if asked else set()
    found: dict[str, list[str]] = {}
    for job, overrides in zip(made.jobs, asked, strict=True):
        found.setdefault(" ".join(o for o in overrides if o not in common), []).append(job.id)
    return found


def is_search(manifest: Path) -> bool | None:
    """Whether a manifest is that of a search; None where there is none that can be read."""
    try:
        return "search" in read_manifest_file(manifest)
    except (OSError, ValueError):
        return None


def write_manifest(made: Plan, results: Path) -> Path:
    """Note a sweep beside the store: its command, its runs, its skipped cells. Tables show the latter.

    The runs of another grid that had this name before stay known as `earlier`: unfinished ones are still somebody's.
    """
    path = Results(results).manifest(made.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    runs = [job.id for job in made.jobs]
    earlier = [run for run in _known_runs(path) if run not in set(runs)]
    content: Manifest = {
        "name": made.name,
        "command": made.command,
        "planned": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": runs,
        "entries": _entries(made),
        "skipped": [{"reason": reason, "cells": n} for reason, n in made.skip_reasons().items()],
    }
    if earlier:
        content["earlier"] = earlier
    if made.ablation is not None:
        content["ablation"] = made.ablation
    write_atomic(path, json.dumps(content, indent=1) + "\n")
    return path


def _known_runs(path: Path) -> list[str]:
    """All runs that a manifest names; none where there is none, or no readable one."""
    try:
        return all_runs(read_manifest_file(path))
    except (OSError, ValueError):
        return []
