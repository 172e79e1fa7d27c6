"""Stores of several machines joined into one: finished runs are copied whole, and nothing here is ever overwritten."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.runs import attempts
from rnnbench.store import record as records
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
    unfinished: runs without a record, too (with their checkpoints: the same command resumes them here).
    Raises BadInput where a source is none of these, or is the store itself.
    """
    found = Merged()
    places = [_place(source, store) for source in sources]
    store.root.mkdir(parents=True, exist_ok=True)
    _remove_leavings(store)
    for folder, kind in places:
        if kind == "published":
            _merge_published(store, folder, found)
        else:
            runs = folder if kind == "store" else folder / "runs"
            _merge_runs(store, Store(runs), found, unfinished)
            _merge_manifests(store, runs.parent / "sweeps", found)
            _merge_journals(store, runs.parent / "tune", found)
    return found


def _place(source: str | Path, store: Store) -> tuple[Path, str]:
    folder = Path(source)
    if not folder.is_dir():
        raise BadInput(f"{source} is no folder; give another results folder, or results/published/NAME.")
    if (folder / "records.jsonl").is_file():
        return folder, "published"
    runs = folder / "runs" if (folder / "runs").is_dir() else folder
    if runs.resolve() == store.root.resolve():
        raise BadInput(f"{source} is the store itself; --results says where to, the folders say where from.")
    if runs != folder:
        return folder, "results"
    if any(folder.glob("*/record.json")) or any(folder.glob("*/attempts")):
        return folder, "store"
    raise BadInput(f"{source} holds no runs: neither runs/, nor run folders, nor a published set's records.jsonl.")


def _merge_runs(store: Store, other: Store, found: Merged, unfinished: bool) -> None:
    for run in other.ids():
        folder = other.folder(run)
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


def _check(record: Mapping[str, Any], run: str) -> None:
    """Refuse a record that is not what its place or its config says. Raises RecordError."""
    if not ID.fullmatch(str(record["id"])) or record["id"] != run:
        raise records.RecordError(f"its record has the id {record['id']!r}; it was not made by rnnbench, or was moved")
    config = record.get("config")
    if isinstance(config, dict) and records.run_id(config) != run:
        raise records.RecordError(
            f"the id of its config is {records.run_id(config)}; one of the two was changed by hand"
        )


def _wanted(store: Store, record: Mapping[str, Any], source: Path, found: Merged) -> bool:
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


def _said(record: Mapping[str, Any]) -> str:
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
    """Half copies of merges that were killed. A living one is never an hour at one run."""
    for path in store.root.glob(".merge-*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                shutil.rmtree(path)


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
    for n, text in enumerate((folder / "records.jsonl").read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = records.loads(text, name=f"{folder}, line {n}")
            _check(record, str(record["id"]))
        except records.RecordError as error:
            found.problems.append(f"{folder}, line {n}: {error}")
            continue
        runs.append(str(record["id"]))
        if _wanted(store, record, folder, found):
            note = {"from": str(folder), "weights": False, "why": "a published set holds records, no weights or curves"}
            _copy(store, folder, record["id"], {NOTE: json.dumps(note) + "\n", "record.json": records.dumps(record)})
            found.copied += 1
            found.frozen += 1
    try:
        head = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        manifest = {"skipped": [], **{key: value for key, value in head.items() if key not in ("samples", "not_run")}}
        _join_manifest(store, str(head["name"]), {**manifest, "runs": runs}, found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        found.problems.append(f"{folder / 'sweep.json'}: {error}")


def _merge_manifests(store: Store, folder: Path, found: Merged) -> None:
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            _join_manifest(store, path.stem, content, found)
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.problems.append(f"{path}: not a sweep's manifest ({error})")


def _merge_journals(store: Store, folder: Path, found: Merged) -> None:
    """What a search remembers, so that its command goes on here. Two journals of one name are not joined: each counts
    its own trials."""
    for path in sorted(folder.glob("*.journal")):
        ours = store.root.parent / "tune" / path.name
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


def _join_manifest(store: Store, name: str, theirs: Mapping[str, Any], found: Merged) -> None:
    """Their manifest under its name; where there is one of that name here, ours with their runs at its end."""
    if not re.fullmatch(r"\w[\w.-]*", name) or not all(isinstance(run, str) for run in theirs["runs"]):
        raise ValueError("its name or its runs are none")
    path = store.root.parent / "sweeps" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    ours = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    joined = dict(theirs) if ours is None else _union(ours, theirs)
    if joined != ours:
        write_atomic(path, json.dumps(joined, indent=1) + "\n")
        found.manifests += 1


def _union(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    entries = {entry: list(runs) for entry, runs in (ours.get("entries") or {}).items()}
    for entry, runs in (theirs.get("entries") or {}).items():
        entries[entry] = list(dict.fromkeys([*entries.get(entry, []), *runs]))
    skipped = {cell["reason"]: int(cell["cells"]) for cell in _cells(theirs)}
    for cell in _cells(ours):
        skipped[cell["reason"]] = max(int(cell["cells"]), skipped.get(cell["reason"], 0))
    return {
        **theirs, **ours, "runs": list(dict.fromkeys([*ours["runs"], *theirs["runs"]])),
        **({"entries": entries} if entries else {}),
        "skipped": [{"reason": reason, "cells": n} for reason, n in skipped.items()],
    }  # fmt: skip


def _cells(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from manifest.get("skipped") or []
