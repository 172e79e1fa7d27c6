"""Where runs lie: a store, one sweep of it, or a published set; and how what is kept beside their records is read."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from rnnbench.reports.selection.frame import records_frame, store_frame
from rnnbench.store.curves import Curves, read_curves
from rnnbench.store.gathered import the_record
from rnnbench.store.manifests import read_manifest, read_manifests
from rnnbench.store.outcomes import Outcomes
from rnnbench.store.outcomes import gather as gather_outcomes
from rnnbench.store.published import Head, PublishedHead, frozen_samples, read_head, read_what_can_be
from rnnbench.store.record import Record, RecordError
from rnnbench.store.results import Found, PublishedSet, Run, Runs, Sweep
from rnnbench.store.samples import FILE, SAMPLES
from rnnbench.store.store import Store


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
        return frozenset(self.frame["id"].tolist())

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

    def outcomes(self, runs: Iterable[str]) -> dict[str, Outcomes]:
        """The outcomes by test item of those runs that have some; what does not belong to its record is left out."""
        found = (record for run in sorted(set(runs)) if (record := self.read(run)) is not None)
        return gather_outcomes(self.where, found)[0]

    def samples(self, run: str) -> Path:
        """A run's samples file, there or not."""
        if isinstance(self.where, Store):
            return self.where.folder(run) / FILE
        return self.where / SAMPLES / f"{run}.npz"

    def pictured(self, found: Sequence[Record]) -> tuple[list[Record], set[str]]:
        """Records in the order in which a picture shows them, and the runs whose samples there are or can be made."""
        if isinstance(self.where, Store):
            return list(found), {str(record["id"]) for record in found}
        order = {run: n for n, run in enumerate(frozen_samples(self.where))}
        return sorted(found, key=lambda record: order.get(record["id"], math.inf)), set(order)


def open_place(found: Found) -> Place:
    """What lies under a name (`resolve`). Raises BadInput where a sweep's manifest or a set's head is damaged."""
    if isinstance(found, Sweep):
        return _of_sweep(found)
    if isinstance(found, PublishedSet):
        return of_published(found.folder, found.label)
    if isinstance(found, Runs):
        return of_store(found.store, found.label)
    return _of_run(found)


def of_store(store: Store, label: str = "all runs") -> Place:
    """All runs of a store, with every sweep's manifest that can be read; one that cannot is a remark."""
    frame = store_frame(store)
    manifests, damaged = read_manifests(store.results)
    return Place(label, store, frame, manifests, dict(store.problems), damaged)


def _of_sweep(found: Sweep) -> Place:
    store = found.store
    manifest = read_manifest(store.results, found.name)
    mine = set(manifest["runs"])
    frame = store_frame(store)
    frame = frame[frame["id"].isin(mine)].reset_index(drop=True)
    problems = {path: why for path, why in store.problems.items() if Path(path).parent.name in mine}
    lacking = len(mine) - len(frame) - len(problems)
    remarks = [f"{lacking} of the {len(mine)} runs of {found.label} are not finished"] if lacking else []
    return Place(found.label, store, frame, {found.name: manifest}, problems, remarks)


def _of_run(found: Run) -> Place:
    record = the_record(found)
    kept = {} if isinstance(found.where, Store) else {found.name: record}
    return Place(found.label, found.where, records_frame([record]), kept=kept)


def of_published(folder: Path, label: str) -> Place:
    """A published set; a line that cannot be read is left out and named. Raises BadInput where its head is damaged."""
    good, problems = read_what_can_be(folder)
    name = folder.resolve().name
    head: PublishedHead = {**read_head(folder), "runs": sorted(good)}
    return Place(label, folder, records_frame(good.values()), {name: head}, problems, kept=good)
