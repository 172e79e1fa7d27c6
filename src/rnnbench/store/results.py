"""What a name means: a sweep of the store, a published set, a folder with runs or a run. One answer for all commands.

A name is, in this order,

1. a sweep of the store (`results/sweeps/NAME.json`),
2. a published set: the user's own (`results/published/NAME/`), then one that comes with rnnbench,
3. a path: a published set, a manifest (`elsewhere/sweeps/NAME.json`), a results folder, its runs/, the folder of a run,
4. the id of a run or the beginning of it: of the store, then of published sets.

A command says which of the four it takes, and what is none of these is passed over. Nothing is read of what is found: a
damaged manifest is a sweep, and who reads it says what is wrong with it (`manifests.read_manifest`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rnnbench.errors import IDS, BadInput, listed, nearest, shown
from rnnbench.store.folder import Results
from rnnbench.store.published import find_frozen, is_own, is_published, published
from rnnbench.store.store import Store

ID = re.compile(r"[0-9a-f]{1,12}")
FEWEST_DIGITS = 4


@dataclass(frozen=True)
class Sweep:
    """A sweep (or search) of a store. name: of its manifest; label: what a table calls it."""

    WHAT: ClassVar = "a sweep"
    store: Store
    name: str
    label: str

    @property
    def where(self) -> Store:
        return self.store


@dataclass(frozen=True)
class PublishedSet:
    """A published set. name: of its folder."""

    WHAT: ClassVar = "a published set"
    folder: Path
    name: str
    label: str

    @property
    def where(self) -> Path:
        return self.folder


@dataclass(frozen=True)
class Runs:
    """All runs of a store elsewhere."""

    WHAT: ClassVar = "a folder with runs"
    store: Store
    name: str
    label: str

    @property
    def where(self) -> Store:
        return self.store


@dataclass(frozen=True)
class Run:
    """One run. where: its store, or the folder of a published set; name, label: its id."""

    WHAT: ClassVar = "a run"
    where: Store | Path
    name: str

    @property
    def label(self) -> str:
        return self.name


Found = Sweep | PublishedSet | Runs | Run
Kind = type[Sweep] | type[PublishedSet] | type[Runs] | type[Run]
ANY: tuple[Kind, ...] = (Sweep, PublishedSet, Runs, Run)


def resolve(store: Store, name: str, wanted: tuple[Kind, ...] = ANY) -> Found:
    """What a name, a path or the beginning of an id means, of the kinds that are wanted.

    Raises BadInput where it means nothing, something that is not wanted, or several runs.
    """
    other: Found | None = None
    for found in _meanings(store, name, ids=Run in wanted):
        if isinstance(found, wanted):
            return found
        other = other or found
    if other is None and Run not in wanted:  # an id is no name here, and known as one nevertheless
        other = _a_run(store, name)
    if other is not None:
        raise BadInput(f"{shown(name)} is {other.WHAT}, and {_words(wanted)} is needed here; {_hint(store, wanted)}")
    raise BadInput(f"no {_words(wanted, article=False)} is called {shown(name)}; {_hint(store, wanted, name)}")


def meaning(store: Store, name: str) -> Found | None:
    """What a name means of whatever kind, None where it is nothing. Raises BadInput where it is several runs."""
    return next(_meanings(store, name, ids=True), None)


def resolve_sweep(store: Store, name: str) -> Sweep:
    """The sweep of this name, or of this path. Raises BadInput where it is none."""
    found = resolve(store, name, (Sweep,))
    assert isinstance(found, Sweep)
    return found


def resolve_own_sweep(store: Store, name: str) -> str:
    """The name of a sweep of this very store, for who writes into it. Raises BadInput where it is none of it."""
    found = resolve_sweep(store, name)
    if found.store.root.resolve() != store.root.resolve():
        raise BadInput(f"{name} is a sweep of another store; --results {found.store.results.root} works on that one.")
    return found.name


def resolve_published(store: Store, name: str) -> PublishedSet:
    """The published set of this name, or in this folder. Raises BadInput where it is none."""
    found = resolve(store, name, (PublishedSet,))
    assert isinstance(found, PublishedSet)
    return found


def known(store: Store, wanted: tuple[Kind, ...] = ANY) -> list[str]:
    """The names that there are, sorted: of sweeps, and of published sets."""
    names: set[str] = set()
    if Sweep in wanted:
        names |= {path.stem for path in store.results.manifests()}
    if PublishedSet in wanted:
        names |= set(published(store.results))
    return sorted(names)


def default_folder(store: Store, found: Found, name: str, inside: str = "") -> Path:
    """Where a command writes what it makes of a place, unless it is told: tables/NAME of the user's results.

    What is made of a published set of the user's own belongs to it and goes into its folder (inside: which part of
    it); one that comes with rnnbench, or lies elsewhere, is only read.
    """
    if isinstance(found, PublishedSet) and is_own(store.results, found.folder):
        return found.folder / inside
    return store.results.tables / name


def _meanings(store: Store, name: str, *, ids: bool) -> Iterator[Found]:
    """Everything that a name means, what counts first first. ids: runs by the beginning of their id as well."""
    if not name:
        return
    plain = os.path.basename(name) == name
    if plain and os.path.isfile(store.results.manifest(name)):  # False, too, of what can be no file's name
        yield Sweep(store, name, name)
    if plain and (folder := published(store.results).get(name)) is not None:
        yield PublishedSet(folder, name, name)
    if (at := _at_path(Path(name))) is not None:
        yield at
    if ids:
        yield from _runs(store, name)


def _at_path(path: Path) -> Found | None:
    """What lies at a path."""
    if path.suffix == ".json" and os.path.isfile(path):
        return _sweep_at(path)
    if not os.path.isdir(path):
        return None
    name, label = path.resolve().name, path_label(path)
    if is_published(path):
        return PublishedSet(path, name, label)
    if Results(path).runs.is_dir():
        return Runs(Store(Results(path).runs), name, label)
    if _is_run(path):
        return Run(Store(path.parent), name)
    if path.absolute() == Results(path.absolute().parent).runs or any(map(_is_run, path.iterdir())):
        return Runs(Store(path), name, label)
    return None


def _sweep_at(path: Path) -> Sweep | None:
    """The sweep whose manifest this file is; None of a file that lies in no sweeps/."""
    path = path if path.parent.name else path.absolute()  # as the user wrote it, where that says enough
    if path != Results(path.parent.parent).manifest(path.stem):
        return None
    results = Results(path.parent.parent)
    return Sweep(Store(results.runs), path.stem, f"{results.root.name}/{path.stem}")


def _is_run(folder: Path) -> bool:
    """Whether a folder is a run, finished or not."""
    return os.path.isfile(folder / "record.json") or os.path.isdir(folder / "attempts")


def _runs(store: Store, prefix: str) -> Iterator[Run]:
    """The run whose id begins so: of the store, else of published sets. Raises BadInput where there are several."""
    if _is_run(store.folder(prefix)) and os.path.basename(prefix) == prefix:  # a whole id
        yield Run(store, prefix)
        return
    if any(run.startswith(prefix) for run in store.ids()):
        yield Run(store, store.find(prefix))
        return
    frozen = find_frozen(store.results, prefix) if ID.fullmatch(prefix) else []
    if len(frozen) > 1:
        some = ", ".join(run for run, _ in frozen[:4]) + (" ..." if len(frozen) > 4 else "")
        raise BadInput(f"{shown(prefix)} is the beginning of {len(frozen)} published runs ({some}); give more digits.")
    for run, folder in frozen:
        yield Run(folder, run)


def _a_run(store: Store, prefix: str) -> Run | None:
    """The run that somebody may have meant who gave an id where none is taken; a short word is rather a name."""
    try:
        return next(_runs(store, prefix), None) if ID.fullmatch(prefix) and len(prefix) >= FEWEST_DIGITS else None
    except BadInput:
        return None


def path_label(path: Path) -> str:
    """A folder as a title has it, its last two names: a page that travels has no use for the whole path."""
    return "/".join(part for part in Path(os.path.abspath(path)).parts[-2:] if part != os.sep)


def _words(wanted: tuple[Kind, ...], *, article: bool = True) -> str:
    """ "a sweep, a published set or a run" """
    names = [kind.WHAT if article else kind.WHAT.partition(" ")[2] for kind in wanted]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _hint(store: Store, wanted: tuple[Kind, ...], unknown: str = "") -> str:
    """What there is instead. unknown: a name that may be misspelt; a path is like no name."""
    names = known(store, wanted)
    if not names:
        return f"none is in {store.results.root}: `rnnbench sweep experiment=quickstart` makes one."
    return nearest(unknown, names, IDS) if os.path.basename(unknown) == unknown else listed(names, IDS)
