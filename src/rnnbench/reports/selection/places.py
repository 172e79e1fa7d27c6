"""Where runs lie: a store, one sweep of it, or a published set; and how what is kept beside their records is read."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench.reports.selection.frame import records_frame, store_frame
from rnnbench.store import record as records
from rnnbench.store.curves import Curves, read_curves
from rnnbench.store.manifests import Head, _head, read_manifest, runs_of
from rnnbench.store.record import RecordError
from rnnbench.store.results import locate
from rnnbench.store.samples import FILE, SAMPLES
from rnnbench.store.store import Store

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """The finished runs of one place. label: what it is called; where: their store, or the folder of a published set.

    frame: of `records_frame`; heads: of the sweeps in it, by name. problems: by place, why a record could not be read
    (it is left out); remarks: what else the reader must know; kept: a published set's records by id.
    """

    label: str
    where: Store | Path
    frame: pd.DataFrame
    heads: Mapping[str, Head] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    kept: Mapping[str, Record] = field(default_factory=dict)

    @functools.cached_property
    def ids(self) -> frozenset[str]:
        return frozenset(self.frame["id"])

    @property
    def frozen(self) -> bool:
        """A published set, whose source was never meant to be today's."""
        return not isinstance(self.where, Store)

    @functools.cached_property
    def home(self) -> Path:
        """The folder that two names of one place have in common."""
        return (self.where.root if isinstance(self.where, Store) else self.where).resolve()

    def read(self, run: str) -> Record | None:
        """A run's whole record, None where there is none."""
        if not isinstance(self.where, Store):
            return self.kept.get(run)
        try:
            return self.where.read(run)
        except (RecordError, OSError):  # `problems` names it
            return None

    def curves(self, runs: Iterable[str]) -> Curves:
        """Histories by id."""
        return read_curves(self.where, runs)

    def samples(self, run: str) -> Path:
        """A run's samples file, there or not."""
        if isinstance(self.where, Store):
            return self.where.folder(run) / FILE
        return self.where / SAMPLES / f"{run}.npz"

    def pictured(self, found: Sequence[Record]) -> tuple[list[Record], set[str]]:
        """Records in the order in which a picture shows them, and the runs whose samples there are or can be made."""
        if not self.frozen:
            return list(found), {str(record["id"]) for record in found}
        named = next(iter(self.heads.values()), {}).get("samples")
        order = {str(run): n for n, run in enumerate(named if isinstance(named, Mapping) else ())}
        return sorted(found, key=lambda record: order.get(record["id"], math.inf)), set(order)


def open_place(store: Store, name: str) -> Place:
    """What lies under a name (`locate`). Raises BadInput where that is nothing, or a sweep's manifest is damaged."""
    where, of_sweep = locate(store, name)
    if of_sweep:
        return _of_sweep(store, name)
    label = name
    if os.sep in name or not name.strip("."):  # a page that travels has no use for the whole path
        label = "/".join(part for part in Path(os.path.abspath(name)).parts[-2:] if part != os.sep)
    return of_store(where, label) if isinstance(where, Store) else of_published(where, label)


def of_store(store: Store, label: str = "all runs") -> Place:
    """All runs of a store, with every sweep's manifest that can be read."""
    frame = store_frame(store)
    paths = sorted((store.root.parent / "sweeps").glob("*.json"))
    heads = {path.stem: head for path in paths if (head := _head(path)) is not None}
    return Place(label, store, frame, heads, dict(store.problems))


def _of_sweep(store: Store, name: str) -> Place:
    read_manifest(store.root.parent, name)  # which says what is wrong with a damaged one
    head = _head(store.root.parent / "sweeps" / f"{name}.json") or {}
    runs = runs_of(head)
    frame = store_frame(store)
    frame = frame[frame["id"].isin(runs)].reset_index(drop=True)
    mine = set(runs)
    problems = {path: why for path, why in store.problems.items() if Path(path).parent.name in mine}
    lacking = len(runs) - len(frame) - len(problems)
    remarks = [f"{lacking} of the {len(runs)} runs of {name} are not finished"] if lacking else []
    return Place(name, store, frame, {name: head}, problems, remarks)


def of_published(folder: Path, label: str) -> Place:
    """A published set; a line that cannot be read is left out and named."""
    good: dict[str, Record] = {}
    problems = {}
    for n, line in enumerate((folder / "records.jsonl").read_bytes().splitlines(), 1):
        place = f"{folder.name}, line {n}"
        try:
            record = records.loads(line.decode("utf-8"), name=place)
        except (RecordError, UnicodeDecodeError) as error:
            problems[place] = str(error) if isinstance(error, RecordError) else f"{place} is not whole text ({error})"
            continue
        good.setdefault(str(record["id"]), record)
    head = {**(_head(folder / "sweep.json") or {}), "runs": sorted(good)}
    return Place(label, folder, records_frame(good.values()), {folder.name: head}, problems, kept=good)
