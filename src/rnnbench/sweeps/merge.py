"""Stores of several machines joined into one: finished runs are copied whole, and nothing here is ever overwritten.

What a source holds is a stranger's. No symbolic link in it is followed, save one that the user named: it could lead to
any file that the user may read. A run with a link, a pipe or a device in its folder is refused by name.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.errors import UNWRITABLE, BadInput, shown
from rnnbench.runs import attempts
from rnnbench.store import outcomes as outcomes_file
from rnnbench.store import record as records
from rnnbench.store.files import LARGEST_TABLE, read_regular
from rnnbench.store.gathered import the_record
from rnnbench.store.manifests import (
    Manifest,
    all_runs,
    damaged,
    read_manifest,
    read_manifest_file,
    skipped_cells,
)
from rnnbench.store.outcomes import Outcomes
from rnnbench.store.published import HEAD, RECORDS, PublishedHead, read_head, read_what_can_be
from rnnbench.store.record import Record
from rnnbench.store.results import Found, PublishedSet, Run, Runs, Sweep, resolve
from rnnbench.store.store import Store, write_atomic

ID = re.compile(r"[0-9a-f]{12}")
OLD_SECONDS = 3600.0
BLOCK = 512  # bytes: the unit of `st_blocks`, whatever the disk's
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

    Each run folder appears whole or not at all. A run that is in both with other metrics is named and ours is kept, and
    what is refused is named.
    sources: what `store.results` takes: folders, names of published sets, a manifest or a run elsewhere.
    unfinished: runs without a record, too (with their checkpoints: the same command resumes them here).
    Raises BadInput where a source is none of these, or is the store itself.
    """
    found = Merged()
    places = [_place(str(source), store) for source in sources]
    store.root.mkdir(parents=True, exist_ok=True)
    _remove_leavings(store)
    for source, place in zip(sources, places, strict=True):
        named = Path(source)
        if isinstance(place, PublishedSet):
            _merge_published(store, place.folder, found)
        elif isinstance(place, Run):
            _merge_run(store, place, found, unfinished)
        else:
            _merge_store(store, place, named, found, unfinished)
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


def _merge_store(store: Store, place: Runs | Sweep, named: Path, found: Merged, unfinished: bool) -> None:
    """The runs of a store, with its manifests and journals; or of one sweep of it, with that manifest.

    named: what the user said, which may be a link.
    """
    other = place.store
    results = other.results
    links = [part for part in (other.root, results.sweeps, results.tune) if part.is_symlink() and part != named]
    found.problems += [f"{part} is a symbolic link; name it, and it is followed" for part in links]
    one = results.manifest(place.name) if isinstance(place, Sweep) else None
    if other.root not in links:
        runs = all_runs(read_manifest(results, place.name)) if one else other.ids()
        _merge_runs(store, other, runs, found, unfinished)
    if results.sweeps not in links:
        manifests = [one] if one else results.manifests()
        _merge_manifests(store, [path for path in manifests if path == named or _is_plain(path, found)], found)
    if not one and results.tune not in links:
        _merge_journals(store, results.tune, found)


def _is_plain(path: Path, found: Merged) -> bool:
    """Whether a path is no link and no pipe; names it where it is."""
    if why := _odd(path):
        found.problems.append(why)
    return not why


def _odd(path: Path) -> str:
    """Why a path is not read: it is neither a folder nor a regular file, or one that is mostly holes, whose copy would
    fill the disk; empty where it is one, or nothing."""
    try:
        found = path.lstat()
    except OSError:
        return ""
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a symbolic link, and none is followed"
    held = found.st_blocks * BLOCK
    if stat.S_ISREG(found.st_mode) and found.st_size > LARGEST_TABLE and held < found.st_size // 2:
        return f"{path} says that it has {found.st_size:,} bytes, and holds {held:,}"
    return "" if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) else f"{path} is no regular file"


def _odd_inside(folder: Path) -> str:
    """Why a run's folder is not copied: the first in it that is a link or no file. What is hidden is not looked at."""
    if why := _odd(folder):
        return why
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in (*folders, *sorted(files)):
            if not name.startswith(".") and (why := _odd(Path(at, name))):
                return why
    return ""


def _merge_run(store: Store, place: Run, found: Merged, unfinished: bool) -> None:
    if isinstance(place.where, Store):
        _merge_runs(store, place.where, [place.name], found, unfinished)
        return
    record = the_record(place)
    if _wanted(store, record, place.where, found):
        _copy_record(store, record, place.where, found, _outcomes(place.where, [record], found))


def _merge_runs(store: Store, other: Store, runs: Iterable[str], found: Merged, unfinished: bool) -> None:
    for run in runs:
        folder = other.folder(run)
        if not folder.is_dir():  # a sweep's run that never began
            continue
        if why := _odd(folder) or _odd(other.record_path(run)):
            found.problems.append(why)
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
        elif not store.record_path(run).exists() and (why := _odd_inside(folder)):
            found.problems.append(why)
        elif _wanted(store, record, folder, found):
            _copy(store, folder, run)
            found.copied += 1


def _check(record: Record, run: str) -> None:
    """Refuse a record that is not what its place or its config says. Raises RecordError."""
    if not ID.fullmatch(record["id"]) or record["id"] != run:
        raise records.RecordError(f"its record has the id {shown(record['id'])}, and it was not made by rnnbench")
    config = record.get("config")
    if isinstance(config, dict) and not records.is_of(config, run):
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
    if not ID.fullmatch(folder.name) or store.folder(folder.name).exists():
        return
    if why := _odd_inside(folder):
        found.problems.append(why)
        return
    if not (seen := attempts.look(folder)):
        return
    if seen[-1].status == "running":
        found.notes.append(f"{folder.name} is still being run in {folder}")
        return
    found.unfinished += 1
    if wanted:
        _copy(store, folder, folder.name)


def _copy(store: Store, folder: Path, run: str, files: Mapping[str, str | bytes] | None = None) -> None:
    """A run folder, or these files as one, under its name at once."""
    temporary = store.root / f".merge-{run}-{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        if files is None:
            _copy_tree(folder, temporary)
        else:
            temporary.mkdir()
            for name, content in files.items():
                write_atomic(temporary / name, content)
        _sync(temporary)
        os.rename(temporary, store.folder(run))
    except OSError:
        if not store.folder(run).exists():  # else another merge was faster by a moment, and its copy is as good
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy_tree(folder: Path, target: Path) -> None:
    """A run folder's copy. Raises the first OSError, naming the file that was written, where `copytree` has a list."""
    failed: list[OSError] = []

    def copied(source: str, to: str) -> None:
        try:
            shutil.copy2(source, to)
        except OSError as error:
            if error.errno in UNWRITABLE:
                error.filename, error.filename2 = to, None
            failed.append(error)
            raise

    try:
        shutil.copytree(folder, target, ignore=_no_leavings, symlinks=True, copy_function=copied)
    except shutil.Error:
        raise failed[0] if failed else OSError(f"{folder} cannot be copied") from None


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
    """Temporary files of killed writers, and what has become a link or a pipe since it was looked at."""
    return [name for name in names if name.startswith(".") or _odd(Path(folder, name))]


def _sync(folder: Path) -> None:
    """To the disk, before the name is: after a power cut there is no run folder with an empty record."""
    for path in [folder, *folder.rglob("*")]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _merge_published(store: Store, folder: Path, found: Merged) -> None:
    """A published set: a record each with its outcomes, without weights, curves or attempts; and its manifest."""
    if not all(_is_plain(folder / name, found) for name in (RECORDS, HEAD)):
        return
    runs = []
    good, problems = read_what_can_be(folder)
    found.problems += [f"{folder}: {problem}" for problem in problems.values()]
    outcomes = _outcomes(folder, good.values(), found)
    for run, record in good.items():
        try:
            _check(record, run)
        except records.RecordError as error:
            found.problems.append(f"{folder}, {run}: {error}")
            continue
        runs.append(run)
        if _wanted(store, record, folder, found):
            _copy_record(store, record, folder, found, outcomes)
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


def _outcomes(folder: Path, wanted: Iterable[Record], found: Merged) -> dict[str, Outcomes]:
    """What a published set has of its runs' test items; names what cannot be read, or belongs to no such record."""
    if not _is_plain(folder / outcomes_file.FILE, found):
        return {}
    good, problems = outcomes_file.gather(folder, wanted)
    found.problems += problems.values()
    return good


def _copy_record(
    store: Store, record: Record, folder: Path, found: Merged, outcomes: Mapping[str, Outcomes]
) -> None:  # fmt: skip
    """A run of a published set: its record, its outcomes where there are some, and a note on where it comes from."""
    note = {"from": str(folder), "weights": False, "why": "a published set holds records, no weights or curves"}
    files: dict[str, str | bytes] = {NOTE: json.dumps(note) + "\n", "record.json": records.dumps(record)}
    if (mine := outcomes.get(record["id"])) is not None:
        files[outcomes_file.FILE] = outcomes_file.dumps([mine])
    _copy(store, folder, record["id"], files)
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
        if not _is_plain(path, found):
            continue
        try:
            theirs = read_regular(path, LARGEST_TABLE)
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
