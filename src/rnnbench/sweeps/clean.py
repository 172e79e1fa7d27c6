"""What a store does not need: told with its size, removed once agreed to. Never a record, and nothing of the living."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rnnbench import toolchain
from rnnbench.runs import attempts
from rnnbench.store.manifests import all_manifest_runs
from rnnbench.store.store import Store
from rnnbench.sweeps import control
from rnnbench.sweeps.merge import is_old

LAST = "last.ckpt"  # runs.checkpoint.LAST: that module needs torch, this one does not
ORPHAN, BEGUN, CHECKPOINT, TEMPORARY = (
    "unfinished runs that no sweep asks for",
    "unfinished runs that stepped aside for a merged record",
    "checkpoints of finished runs",
    "files that killed writers left",
)


@dataclass(frozen=True)
class Find:
    """Something to remove. what: which of the four; bytes: its size."""

    what: str
    path: Path
    bytes: int


def find(store: Store) -> list[Find]:
    """Run folders without a record, a living attempt or a sweep; checkpoints of finished runs; temporaries.

    What no stamp can tell, for clocks are set and hosts disagree, is watched: temporaries for two seconds, a process on
    another machine that seems to be silent for up to a minute.

    Raises BadInput where a sweep's manifest cannot be read: its runs would look like nobody's.
    """
    wanted = all_manifest_runs(store.results)
    attempts.settle([store.folder(run_id) for run_id in store.ids()])
    found: list[Find] = []
    for run_id in store.ids():
        folder = store.folder(run_id)
        if attempts.alive(folder):
            continue
        if not has_record(folder) and run_id not in wanted:
            found.append(Find(ORPHAN, folder, size(folder)))
            continue
        if store.record_path(run_id).exists() and (folder / LAST).exists():
            found.append(Find(CHECKPOINT, folder / LAST, size(folder / LAST)))
        found += [Find(TEMPORARY, path, size(path)) for path in attempts.temporaries(folder)]
    found += [Find(BEGUN, path, size(path)) for path in sorted(store.root.glob(".begun-*"))]
    found += [Find(TEMPORARY, path, size(path)) for path in _of_merges(store.root)]
    found += [Find(TEMPORARY, path, size(path)) for path in _of_sweeps(store.results.sweeps)]
    unwritten = set(attempts.left(each.path for each in found if each.what == TEMPORARY))
    return [each for each in found if each.what != TEMPORARY or each.path in unwritten]


def _of_merges(root: Path) -> list[Path]:
    """Half copies of merges that were killed: by their stamp, and in `find` as nobody writes them."""
    return sorted(path for path in root.glob(".merge-*") if is_old(path))


def _of_sweeps(folder: Path) -> Iterator[Path]:
    """Files of sweeps that were killed."""
    for path in folder.glob("*.running*"):
        seen = control.read(path.with_name(path.name.removesuffix(".stop")))
        if seen is None or not seen.alive:
            yield path
    yield from folder.glob(".*.*")


def has_record(folder: Path) -> bool:
    """Whether a run has a record, readable or not, or one that was set aside."""
    return any(folder.glob("record*.json"))


def size(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and not p.is_symlink()]
    return sum(p.stat().st_size for p in files)


def remove(found: Find) -> bool:
    """Remove it, unless that has become wrong since it was found. Returns whether it is gone."""
    if found.what != ORPHAN:
        folder = found.path.parent if found.what == CHECKPOINT else None
        if folder is not None and attempts.alive(folder):
            return False
        attempts.remove(found.path)
        return True
    claim = attempts.claim(found.path)  # so that nobody begins it meanwhile
    if claim is None:
        return False
    if has_record(found.path):
        claim.close("interrupted", "it was to be removed, but has a record")
        return False
    claim.stop()
    shutil.rmtree(found.path)
    return True


def text(found: list[Find]) -> list[str]:
    """What is there to remove, by kind, with sizes."""
    lines = []
    for what in (ORPHAN, BEGUN, CHECKPOINT, TEMPORARY):
        some = [each for each in found if each.what == what]
        if some:
            lines.append(f"{len(some)} {what}: {in_words(sum(each.bytes for each in some))}")
            lines += [f"  {each.path}  {in_words(each.bytes)}" for each in some[:10]]
            lines += [f"  and {len(some) - 10} more"] * (len(some) > 10)
    return lines


def compiled() -> list[str]:
    """What the user's cache holds of compiled cells: a line, or none. It belongs to every store, so none removes it."""
    count, bytes_ = toolchain.kept()
    if not bytes_:
        return []
    return [
        f"compiled cells, for every store: {count} libraries, {in_words(bytes_)} in {toolchain.cache_folder()} "
        "(left; `rm -r` removes them, and what is needed is compiled anew)"
    ]


def in_words(count: float) -> str:
    """1.2 MB; units of 1000, as file managers count."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return f"{count:.3g} {units[0]}"
