"""Stores of several machines joined into one: finished runs are copied whole, and nothing here is ever overwritten."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.errors import BadInput
from rnnbench.runs import attempts
from rnnbench.store import record as records
from rnnbench.store.gathered import the_record
from rnnbench.store.manifests import (
    Manifest,
    all_runs,
    damaged,
    read_manifest,
    read_manifest_file,
    skipped_cells,
)
from rnnbench.store.published import PublishedHead, read_head, read_what_can_be
from rnnbench.store.record import Record
from rnnbench.store.results import Found, PublishedSet, Run, Runs, Sweep, resolve
from rnnbench.store.store import Store, write_atomic

ID = re.compile(r"[0-9a-f]{12}")
OLD_SECONDS = 3600.0
NOTE = "merged.json"  # in a run's folder: where it came from


@dataclass
class Merged:
    """What became of the runs of other stores; lists hold a sentence each."""

    copied: int = 0
    equal: int = 0
    unfinished: int = 0  # copied with unfinished=True, else left where they are
    frozen: int = 0  # of the copied ones: from published sets, records without weights
    manifests: int = 0
    conflicts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def merge(store: Store, sources: list[str | Path], *, unfinished: bool = False) -> Merged:
    """Copy what `store` does not have from results folders, stores (their runs/) and published sets.

    Each run folder appears whole or not at all. A run that is in both with other metrics is named and ours is kept.
    sources: what `store.results` takes: folders, names of published sets, a manifest or a run elsewhere.
    unfinished: runs without a record, too (with their checkpoints: the same command resumes them here).
    Raises BadInput where a source is none of these, or is the store itself.
    """
    found = Merged()
    places = [_place(str(source), store) for source in sources]
    store.root.mkdir(parents=True, exist_ok=True)
    _remove_leavings(store)
    for place in places:
        if isinstance(place, PublishedSet):
            _merge_published(store, place.folder, found)
        elif isinstance(place, Run):
            _merge_run(store, place, found, unfinished)
        else:
            _merge_store(store, place, found, unfinished)
    return found


def _place(source: str, store: Store) -> Found:
    """What a source is. Raises BadInput where it is nothing, or the store itself."""
    found = resolve(store, source)
    if isinstance(found, Sweep):
        read_manifest(found.store.results, found.name)  # which says what is wrong with a damaged one
    if isinstance(found.where, Store) and found.where.root.resolve() == store.root.resolve():
        here = "the store itself" if isinstance(found, Runs) else "in the store already"
        raise BadInput(f"{source} is {here}; --results says where to, the names say where from.")
    return found


def _merge_store(store: Store, place: Runs | Sweep, found: Merged, unfinished: bool) -> None:
    """The runs of a store, with its manifests and journals; or of one sweep of it, with that manifest."""
    other = place.store
    if isinstance(place, Sweep):
        manifest = read_manifest(other.results, place.name)
        _merge_runs(store, other, all_runs(manifest), found, unfinished)
        _merge_manifests(store, [other.results.manifest(place.name)], found)
        return
    _merge_runs(store, other, other.ids(), found, unfinished)
    _merge_manifests(store, other.results.manifests(), found)
    _merge_journals(store, other.results.tune, found)


def _merge_run(store: Store, place: Run, found: Merged, unfinished: bool) -> None:
    if isinstance(place.where, Store):
        _merge_runs(store, place.where, [place.name], found, unfinished)
        return
    record = the_record(place)
    if _wanted(store, record, place.where, found):
        _copy_record(store, record, place.where, found)


def _merge_runs(store: Store, other: Store, runs: Iterable[str], found: Merged, unfinished: bool) -> None:
    for run in runs:
        folder = other.folder(run)
        if not folder.is_dir():  # a sweep's run that never began
            continue
        try:
            record = other.read(run)
            if record is not None:
                _check(record, run)
        except (records.RecordError, OSError) as error:
            found.problems.append(f"{folder}: {error}")
            continue
        if record is None:
            _merge_unfinished(store, folder, found, unfinished)
        elif _wanted(store, record, folder, found):
            _copy(store, folder, run)
            found.copied += 1


def _check(record: Record, run: str) -> None:
    """Refuse a record that is not what its place or its config says. Raises RecordError."""
    if not ID.fullmatch(str(record["id"])) or record["id"] != run:
        raise records.RecordError(f"its record has the id {record['id']!r}; it was not made by rnnbench, or was moved")
    config = record.get("config")
    if isinstance(config, dict) and records.run_id(config) != run:
        raise records.RecordError(
            f"the id of its config is {records.run_id(config)}; one of the two was changed by hand"
        )


def _wanted(store: Store, record: Record, source: Path, found: Merged) -> bool:
    """Whether a finished run is to be copied; counts and names it where not. Our unfinished one steps aside for it."""
    run = str(record["id"])
    try:
        ours = store.read(run)
    except (records.RecordError, OSError) as error:
        found.problems.append(f"{error}; the one in {source} was not copied")
        return False
    if ours is not None:
        if all(ours[key] == record[key] for key in ("status", "metrics")):
            found.equal += 1
        else:
            found.conflicts.append(f"{run}: {_said(ours)} here, {_said(record)} in {source}; ours is kept")
        return False
    if store.folder(run).exists():
        seen = attempts.look(store.folder(run))
        if seen and seen[-1].status == "running":
            found.notes.append(f"{run} is being run here; the record in {source} was not copied")
            return False
        aside = _aside(store, run)
        found.notes.append(f"{run}: what was begun here stepped aside to {aside}")
    return True


def _said(record: Record) -> str:
    value = record["metrics"].get(f"test/{record.get('metric')}")
    return f"{record['status']}" + (f" with test/{record['metric']} {value!r}" if value is not None else "")


def _aside(store: Store, run: str) -> Path:
    n = 1
    while (aside := store.root / f".begun-{run}-{n}").exists():
        n += 1
    os.rename(store.folder(run), aside)
    return aside


def _merge_unfinished(store: Store, folder: Path, found: Merged, wanted: bool) -> None:
    seen = attempts.look(folder)
    if not ID.fullmatch(folder.name) or not seen or store.folder(folder.name).exists():
        return
    if seen[-1].status == "running":
        found.notes.append(f"{folder.name} is still being run in {folder}")
        return
    found.unfinished += 1
    if wanted:
        _copy(store, folder, folder.name)


def _copy(store: Store, folder: Path, run: str, files: Mapping[str, str] | None = None) -> None:
    """A run folder, or these files as one, under its name at once."""
    temporary = store.root / f".merge-{run}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        if files is None:
            shutil.copytree(folder, temporary, ignore=_no_leavings)
        else:
            temporary.mkdir()
            for name, text in files.items():
                write_atomic(temporary / name, text)
        _sync(temporary)
        os.rename(temporary, store.folder(run))
    except OSError:
        if not store.folder(run).exists():  # else another merge was faster by a moment, and its copy is as good
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_leavings(store: Store) -> None:
    """Half copies of merges that were killed. A living one is never an hour at one run, whose stamp may be of another
    clock: it is also watched."""
    for path in attempts.left(path for path in store.root.glob(".merge-*") if is_old(path)):
        shutil.rmtree(path, ignore_errors=True)


def is_old(path: Path) -> bool:
    """Whether a half copy is an hour old, by its stamp."""
    try:
        return time.time() - path.stat().st_mtime > OLD_SECONDS
    except OSError:
        return False


def _no_leavings(folder: str, names: list[str]) -> list[str]:
    """Temporary files of killed writers, and what is no plain file or folder."""

    def plain(path: Path) -> bool:
        return not path.is_symlink() and (path.is_file() or path.is_dir())

    return [name for name in names if name.startswith(".") or not plain(Path(folder, name))]


def _sync(folder: Path) -> None:
    """To the disk, before the name is: after a power cut there is no run folder with an empty record."""
    for path in [folder, *folder.rglob("*")]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _merge_published(store: Store, folder: Path, found: Merged) -> None:
    """A published set: a record each, without weights, curves or attempts, and its manifest."""
    runs = []
    good, problems = read_what_can_be(folder)
    found.problems += [f"{folder}: {problem}" for problem in problems.values()]
    for run, record in good.items():
        try:
            _check(record, run)
        except records.RecordError as error:
            found.problems.append(f"{folder}, {run}: {error}")
            continue
        runs.append(run)
        if _wanted(store, record, folder, found):
            _copy_record(store, record, folder, found)
    try:
        _join_manifest(store, read_head(folder)["name"], _as_manifest(read_head(folder), runs), found)
    except (BadInput, ValueError) as error:
        found.problems.append(str(error))


def _as_manifest(head: PublishedHead, runs: list[str]) -> Manifest:
    """A set's head as the manifest of the sweep that it was."""
    manifest: Manifest = {"name": head["name"], "command": head["command"], "skipped": head["skipped"], "runs": runs}
    if "ablation" in head:
        manifest["ablation"] = head["ablation"]
    if "search" in head:
        manifest["search"] = head["search"]
    return manifest


def _copy_record(store: Store, record: Record, folder: Path, found: Merged) -> None:
    """A run of a published set: its record, and a note on where it comes from."""
    note = {"from": str(folder), "weights": False, "why": "a published set holds records, no weights or curves"}
    _copy(store, folder, record["id"], {NOTE: json.dumps(note) + "\n", "record.json": records.dumps(record)})
    found.copied += 1
    found.frozen += 1


def _merge_manifests(store: Store, paths: Iterable[Path], found: Merged) -> None:
    for path in paths:
        try:
            theirs = read_manifest_file(path)
        except (OSError, ValueError):
            found.problems.append(damaged(path))
            continue
        try:
            _join_manifest(store, path.stem, theirs, found)
        except ValueError as error:
            found.problems.append(str(error))


def _merge_journals(store: Store, folder: Path, found: Merged) -> None:
    """What a search remembers, so that its command goes on here. Two journals of one name are not joined: each counts
    its own trials."""
    for path in sorted(folder.glob("*.journal")):
        ours = store.results.tune / path.name
        try:
            theirs = path.read_bytes()
            if not ours.exists():
                ours.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(ours, theirs)
            elif not ours.read_bytes().startswith(theirs):
                found.notes.append(
                    f"the search {path.stem} is kept as it is here; trials of {path} are runs, and no more"
                )
        except OSError as error:
            found.problems.append(f"{path}: {error}")


def _join_manifest(store: Store, name: str, theirs: Manifest, found: Merged) -> None:
    """Their manifest under its name; where there is one of that name here, ours with their runs at its end.

    Raises ValueError on a name that is none, and where ours is damaged.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"{name!r} is no name of a sweep: its manifest was not copied")
    path = store.results.manifest(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = read_manifest(store.results, name) if path.exists() else None
    joined = theirs if ours is None else _union(ours, theirs)
    if joined != ours:
        write_atomic(path, json.dumps(joined, indent=1) + "\n")
        found.manifests += 1


def _union(ours: Manifest, theirs: Manifest) -> Manifest:
    """Ours, with what theirs has more."""
    joined: Manifest = {**theirs, **ours, "runs": list(dict.fromkeys([*ours["runs"], *theirs["runs"]]))}
    entries = {entry: list(runs) for entry, runs in ours.get("entries", {}).items()}
    for entry, runs in theirs.get("entries", {}).items():
        entries[entry] = list(dict.fromkeys([*entries.get(entry, []), *runs]))
    if entries:
        joined["entries"] = entries
    skipped = skipped_cells([*theirs["skipped"], *ours["skipped"]])
    joined["skipped"] = [{"reason": reason, "cells": n} for reason, n in skipped.items()]
    return joined
