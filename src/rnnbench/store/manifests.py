"""The manifests of sweeps, results/sweeps/NAME.json: which runs a sweep or search is made of, and what it skipped."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast

from rnnbench.errors import IDS, BadInput, nearest, shown
from rnnbench.store.files import read_regular
from rnnbench.store.folder import Results, is_id
from rnnbench.store.kinds import Kind, fits, kinds_of
from rnnbench.store.parse import parse


class SkippedCells(TypedDict):
    """Cells of a grid that were never started: why, and how many.

    runs: their ids, where only the machine lacked something (a compiler) and another could do them.
    """

    reason: str
    cells: int
    runs: NotRequired[list[str]]


Values = dict[str, Any]  # what was tried: searched key -> its value
Experiment = dict[str, Any]  # what an experiment's yaml says of its ablation: `reports.ablation.design` checks it


class StudyRow(TypedDict):
    """One study of a search. key: the overrides that make it."""

    key: str
    label: str


class SpaceRow(TypedDict):
    """One key that is searched. kind: `float`, `int` or `choice`; text: the space as it was written."""

    key: str
    text: str
    kind: str
    low: float
    high: float
    step: float | None
    scale: str
    choices: list[Any]


class TrialRow(TypedDict):
    """A trial, or a run of a winner on fresh seeds.

    id: null of a trial that was refused; stage: trial, final, or former final; values: what was tried, by key.
    """

    id: str | None
    study: str
    number: int
    stage: str
    values: Values
    state: NotRequired[str]
    reason: NotRequired[str]


class SearchRules(TypedDict, total=False):
    """A search as it was planned, and what it has tried. Of a manifest of other making anything may be missing."""

    studies: list[StudyRow]
    space: list[SpaceRow]
    trials_each: int
    baseline: str | None
    sampler: str
    pruner: str
    final_seeds: int
    seed: int
    top: float
    objectives: Sequence[str]
    trials: list[TrialRow]


class Manifest(TypedDict):
    """What is known of a sweep.

    name: as the user gave it (null where he gave none). command: makes it again, and writes this file anew.
    planned: when (ISO 8601, UTC). runs: its ids, finished or not, in the sweep's order; earlier: those of other grids
    that had this name before. entries: the runs of each entry, by the overrides that make it. skipped: cells that were
    never started. ablation, search: what the experiment compares, or searches; a search's trials and finals are in it.
    """

    name: NotRequired[str | None]
    command: str
    planned: NotRequired[str]
    runs: list[str]
    earlier: NotRequired[list[str]]
    entries: NotRequired[dict[str, list[str]]]
    skipped: list[SkippedCells]
    ablation: NotRequired[Experiment | None]
    search: NotRequired[SearchRules]


SAID = 1000  # characters of a reason in a line
MANIFEST = Kind(frozenset({dict}), kinds_of(Manifest), deep=True)


def read_manifest(results: Results, name: str) -> Manifest:
    """A sweep's manifest. Raises BadInput where there is none, or it is damaged."""
    path = results.manifest(name)
    if not os.path.lexists(path):  # a name that is too long for a file is none
        known = [path.stem for path in results.manifests()]
        hint = nearest(name, known, IDS) if known else "`rnnbench sweep` has not been run here."
        raise BadInput(f"no sweep {shown(name)} in {results.sweeps}; {hint}")
    try:
        return read_manifest_file(path)
    except (OSError, ValueError):
        raise BadInput(damaged(path)) from None


def read_manifest_file(path: Path) -> Manifest:
    """The manifest in a file. Raises OSError or ValueError where there is none to read."""
    content = parse(read_regular(path))
    if not isinstance(content, dict) or not _is_manifest(content):
        raise ValueError(f"{path} is no manifest")
    return cast(Manifest, content)


def damaged(path: Path) -> str:
    """The sentence about a manifest that cannot be read, the same in every command."""
    return f"{path} is damaged; the sweep's command, given again, writes it anew."


def read_manifests(results: Results) -> tuple[dict[str, Manifest], list[str]]:
    """Every manifest by the name of its file, sorted; and a sentence for each that is damaged.

    A damaged one is in nobody's way who did not name it.
    """
    found: dict[str, Manifest] = {}
    problems = []
    for path in results.manifests():
        try:
            found[path.stem] = read_manifest_file(path)
        except FileNotFoundError:  # removed since the folder was listed
            continue
        except (OSError, ValueError):
            problems.append(damaged(path))
    return found, problems


def _short(reason: str) -> str:
    """A reason as it may stand in a line: a manifest is not believed in how long its sentences are."""
    return reason if len(reason) <= SAID else reason[: SAID - 4] + " ..."


def skipped_cells(skipped: Iterable[SkippedCells]) -> dict[str, int]:
    """The cells that sweeps skipped because their axes do not go together, counted by reason.

    Two sweeps that skip for one reason have mostly skipped the same cells: the larger number counts.
    """
    found: dict[str, int] = {}
    for cell in skipped:
        found[cell["reason"]] = max(found.get(cell["reason"], 0), cell["cells"])
    return found


def skipped_lines(reasons: Mapping[str, int]) -> list[str]:
    """What skipped cells are said to be, a line a reason. reasons: their number, by reason."""
    return [f"skipped: {cells} cell{'s' * (cells != 1)}: {_short(reason)}" for reason, cells in reasons.items()]


def not_run(manifest: Manifest, found: Container[str]) -> dict[str, str]:
    """What of a sweep has no record, by entry: "peephole=on clip=null" -> "3 of 8 runs"."""
    entries = manifest.get("entries") or {"its runs": manifest["runs"]}
    counts = {entry: (sum(run not in found for run in runs), len(runs)) for entry, runs in entries.items()}
    return {entry or "the defaults": f"{n} of {of} runs" for entry, (n, of) in counts.items() if n}


def all_runs(manifest: Manifest) -> list[str]:
    """The ids of a sweep's runs, those of the grids that had its name before among them."""
    return [*manifest["runs"], *manifest.get("earlier", ())]


def all_manifest_runs(results: Results) -> set[str]:
    """The ids of every sweep's runs, of today's grids and of earlier ones.

    Raises BadInput on a manifest that cannot be read: whoever asks takes other runs for nobody's.
    """
    manifests, problems = read_manifests(results)
    if problems:
        raise BadInput(problems[0])
    return {run for manifest in manifests.values() for run in all_runs(manifest)}


def _is_manifest(content: Mapping[str, object]) -> bool:
    """Whether what was read has the keys of a manifest, each of its kind."""
    return (
        isinstance(content.get("command"), str)
        and _are_ids(content.get("runs"))
        and _are_ids(content.get("earlier", []))
        and are_skipped(content.get("skipped"))
        and _are_entries(content.get("entries", {}))
        and fits(content, MANIFEST)
        and is_search(content.get("search", {}))
    )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _are_ids(value: Any) -> bool:
    """Whether these may be runs of the store: names of folders in it, and of none elsewhere."""
    return _are_texts(value) and all(map(is_id, value))


def _are_entries(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_are_texts, value.values()))


def is_search(value: Any) -> bool:
    """Whether something that was read may be what a search says of itself: its lists, as far as it has them."""
    if not isinstance(value, dict):
        return False
    lists = [value.get(key, []) for key in ("trials", "studies", "space")]
    return all(isinstance(each, list) and all(isinstance(row, dict) for row in each) for each in lists)


def are_skipped(value: Any) -> bool:
    """Whether something that was read is a list of `SkippedCells`."""
    return isinstance(value, list) and all(
        isinstance(cell, dict)
        and isinstance(cell.get("reason"), str)
        and isinstance(cell.get("cells"), int)
        and _are_ids(cell.get("runs", []))
        for cell in value
    )
