"""What a sweep consists of: every cell of its grids as a job, or as skipped with the reason."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rnnbench.errors import AxisRefused, BadInput, NotHere
from rnnbench.runs import readings, registry
from rnnbench.runs.axes import check_integer, is_whole
from rnnbench.runs.compose import expand, key_of, last_value, parse
from rnnbench.runs.notes import notes
from rnnbench.runs.plan import Job, prepare, reseed
from rnnbench.store.config import Composed
from rnnbench.store.folder import Results
from rnnbench.store.manifests import Experiment, Manifest, SkippedCells, all_runs, read_manifest_file
from rnnbench.store.store import write_atomic
from rnnbench.tracking import make_tracker

FILE = "dataset.path"  # the option that names a user's file
LONGEST_NAME = 80  # of a sweep that nobody has named
ONE_BACKEND = "eager"  # what every cell has, on every machine


@dataclass(frozen=True)
class Skipped:
    """A cell of the grid that is no run here: its axes do not go together, or this machine lacks what they need.

    run: the id that it has where another machine can do it.
    """

    overrides: tuple[str, ...]
    reason: str
    run: str | None = None


@dataclass
class Plan:
    """A sweep's jobs, each once and in order, and its skipped cells. name: what --name says, else of `default_name`.

    asked: the command, where it is none of `rnnbench sweep`. elsewhere: other machines do the runs. leveled: the
    backends that the arms of its ablation would have had, had they not been given one.
    """

    name: str | None
    overrides: tuple[str, ...]
    ablation: Experiment | None = None  # what an experiment says of its ablation (reports.ablation)
    jobs: list[Job] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    asked: str | None = None
    elsewhere: bool = False
    leveled: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """What resumes it."""
        return self.asked or shlex.join(["rnnbench", "sweep", *self.overrides])

    def skip_reasons(self) -> dict[str, int]:
        """How many cells of the grid were skipped, by reason."""
        return dict(Counter(cell.reason for cell in self.skipped))

    def skipped_cells(self) -> list[SkippedCells]:
        """The same as a manifest has it, with the runs that another machine could do."""
        cells: list[SkippedCells] = []
        for reason, n in self.skip_reasons().items():
            runs = [cell.run for cell in self.skipped if cell.reason == reason and cell.run is not None]
            cells.append({"reason": reason, "cells": n} if not runs else {"reason": reason, "cells": n, "runs": runs})
        return cells

    def notes(self) -> list[str]:
        """What this machine makes of its runs that is good to know before, a sentence each."""
        said = notes(self.jobs)
        if self.leveled:
            said.append(
                f"an ablation runs one backend: its arms, {' and '.join(self.leveled)} by themselves, are all "
                f"{ONE_BACKEND}; backend=... chooses another."
            )
        return said

    def readings(self, *, fetch: bool = False) -> list[str]:
        """What was read of users' files for its runs, in words, each line once a file. fetch: what is yet to download,
        too.

        Raises BadInput where a file that is fetched cannot be used as its options ask, MissingData where it cannot be.
        """
        return readings.lines((job.config for job in self.jobs), fetch=fetch)

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
    made = Plan(name or default_name(experiment, overrides), tuple(overrides), elsewhere=elsewhere)
    if experiment is not None:
        made.ablation = registry.read("experiment", experiment).get("ablation")
    _fill(made, grids)
    if made.ablation is not None:
        _level(made, grids)
    if not made.jobs and not made.skipped:
        raise BadInput("this sweep is empty: one of its lists has no values.")
    check_trackers(made.jobs)
    return made


def default_name(experiment: str | None, overrides: Sequence[str]) -> str | None:
    """What a sweep is called where nobody says: as its experiment, and the user's files that it reads.

    `own_series_load` of load.csv, so that sweeps of one experiment on several files do not share a manifest. None of a
    sweep without an experiment.
    """
    paths = [override for override in overrides if key_of(override) == FILE]
    if experiment is None or not paths:
        return experiment
    values = [last_value(one, FILE) for one in expand(paths[-1:])]
    stems = [
        Path(os.path.abspath(value)).name.partition(".")[0] for value in values if isinstance(value, str) and value
    ]
    words = [re.sub(r"[^\w-]+", "_", stem).strip("_") for stem in stems]
    return "_".join([experiment, *filter(None, dict.fromkeys(words))])[:LONGEST_NAME]


def _fill(made: Plan, grids: Sequence[Sequence[str]]) -> None:
    """Enter every cell of the grids as a job, each once, or as skipped."""
    jobs: dict[str, Job] = {}
    for job in _jobs(grids, made):
        jobs.setdefault(job.id, job)
    made.jobs = [*jobs.values()]


def _level(made: Plan, grids: Sequence[Sequence[str]]) -> None:
    """Give all arms of an ablation one backend where the rule gives them several and nobody has chosen.

    Else a part would be compared in time and in last bits with what computes it, too.
    """
    found = sorted({job.config["backend"] for job in made.jobs})
    if len(found) > 1 and all(job.by_rule for job in made.jobs):
        made.leveled, made.skipped = tuple(found), []
        _fill(made, [[*grid, f"backend={ONE_BACKEND}"] for grid in grids])


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
    composed: dict[tuple[str, ...], Job | _Refused] = {}
    for overrides in itertools.chain.from_iterable(map(expand, grids)):
        rest = tuple(o for o in overrides if key_of(o) != "seed")
        if rest not in composed:
            composed[rest] = _compose(rest, made)
        found = composed[rest]
        seed = _seed(overrides)
        if isinstance(found, _Refused):
            run = None if found.job is None else reseed(found.job, rest, seed).id
            made.skipped.append(Skipped(tuple(overrides), found.reason, run))
            continue
        yield reseed(found, [*map(_as_typed, rest), f"seed={seed}"], seed)


class _Refused(NamedTuple):
    """Why there is no job. job: what it is on another machine, where this one alone lacks something."""

    reason: str
    job: Job | None = None


def _compose(overrides: Sequence[str], made: Plan) -> Job | _Refused:
    """The job of any seed, or why there is none."""
    asked = [*overrides, "seed=0"]
    try:
        return prepare(asked, group=made.name, elsewhere=made.elsewhere)
    except NotHere as refused:
        return _Refused(str(refused), prepare(asked, group=made.name, elsewhere=True))
    except AxisRefused as refused:
        return _Refused(str(refused))


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
        "skipped": made.skipped_cells(),
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
