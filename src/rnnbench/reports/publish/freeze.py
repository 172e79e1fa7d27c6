"""Frozen results: `results/published/<name>/` holds records, and tables that are derived from them and nothing else.

::

    records.jsonl      one record a line, by id: the result      leaderboard.md, .csv    rebuilt from it by `verify`
    tables.md, tables/ what `rnnbench tables` says of them       figures/                drawn from the same
    README.md          the command, commit, machine and versions, read from the records
    samples/           what networks predicted on test, one seed an entry: figures of predictions are drawn from it
    outcomes.npz       the loss of each test item of its runs, where they are not too large (publish/outcomes.py)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from rnnbench.errors import BadInput
from rnnbench.reports.boards.leaderboard_figure import draw_board
from rnnbench.reports.boards.matrix_figure import draw_matrix
from rnnbench.reports.publish.derive import derive, frame_of
from rnnbench.reports.publish.outcomes import freeze_outcomes
from rnnbench.reports.publish.predictions import draw_frozen, freeze
from rnnbench.store.curves import write_curves
from rnnbench.store.door import refused
from rnnbench.store.gathered import read_runs
from rnnbench.store.manifests import not_run, read_manifest
from rnnbench.store.published import HEAD, RECORDS, PublishedHead
from rnnbench.store.record import Record
from rnnbench.store.results import resolve_own_sweep
from rnnbench.store.store import Store, write_atomic
from rnnbench.store.text import json_text


def publish(store: Store, name: str, *, sweep: str | None = None, partial: bool = False) -> Path:
    """Freeze a sweep's records under a name, with their tables and predictions; returns the folder.

    sweep: the name of the sweep (of its manifest in results/sweeps/), default the same. Raises BadInput where a run of
    it is not finished: a frozen result is whole, failures included; or, partial, it says what was not run. Records that
    cannot be read are named in `store.problems`.
    """
    manifest = read_manifest(store.results, resolve_own_sweep(store, sweep or name))
    found, store.problems = read_runs(store, manifest["runs"])
    lacking = len(set(manifest["runs"])) - len(found)
    if not found or (lacking and not partial):
        damaged = f" ({refused(store.problems)[-1]})" if store.problems else ""
        raise BadInput(
            f"{lacking} of the {len(manifest['runs'])} runs of {sweep or name} have no record yet{damaged}; "
            f"finish it first: {manifest['command']}" + " (--partial freezes what there is)" * bool(found)
        )
    head: PublishedHead = {"name": name, "command": manifest["command"], "skipped": manifest["skipped"]}
    if "ablation" in manifest:
        head["ablation"] = manifest["ablation"]
    if "search" in manifest:
        head["search"] = manifest["search"]
    if lacking:
        head["not_run"] = not_run(manifest, found)
    folder = folder_of(store, name)
    samples, kinds = freeze(store, found.values(), folder)
    if samples:
        head["samples"] = samples
    if kinds:
        head["sample_kinds"] = kinds
    if outcomes := freeze_outcomes(store, found, folder):
        head["outcomes"] = outcomes
    return write_set(folder, head, found, curves=store if "ablation" in head else None)


def folder_of(store: Store, name: str) -> Path:
    """The folder of a published set, made where there is none. Raises BadInput on a name that is none."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise BadInput(
            f"a published set's name is letters, digits, '_', '.' and '-', not {name!r}: its folder is named so."
        )
    folder = store.results.published / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_set(
    folder: Path, head: PublishedHead, found: Mapping[str, Record], *, curves: Store | None = None,
    curves_of: Iterable[str] | None = None,
) -> Path:  # fmt: skip
    """Write a set's records, its sweep.json, and all that is derived and drawn from them; returns the folder.

    curves: the store whose histories are frozen with it, of these runs or of all; None: none.
    """
    lines = [json_text(json.dumps(found[run], sort_keys=True, ensure_ascii=False)) for run in sorted(found)]
    write_atomic(folder / RECORDS, "\n".join(lines) + "\n")
    write_atomic(folder / HEAD, json.dumps(head, indent=1) + "\n")
    if curves is not None:
        write_curves(curves, found if curves_of is None else curves_of, folder)
    for path in (folder / "tables").glob("*.csv"):  # of the set that was here: this one may have fewer tables
        path.unlink()
    derive(folder, folder)
    if "ablation" in head:
        from rnnbench.reports.ablation.command import draw_published

        draw_published(folder)
    if "search" in head:
        from rnnbench.reports.search.command import draw_search

        draw_search(folder)
    frame = frame_of(head, found.values())
    draw_board(folder, frame)
    draw_matrix(folder, frame)
    draw_frozen(folder, [found[run] for run in sorted(found)])
    return folder
