"""The whole records of what a name means, for whoever needs more of a run than the columns of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.errors import BadInput, listed_ids, shown
from rnnbench.store.curves import Curves, read_curves
from rnnbench.store.door import refused
from rnnbench.store.manifests import read_manifest, read_manifests
from rnnbench.store.published import Head, read_head, read_what_can_be
from rnnbench.store.record import Record, RecordError
from rnnbench.store.results import Found, PublishedSet, Run, Runs, Sweep, meaning
from rnnbench.store.store import Store


@dataclass(frozen=True)
class Gathered:
    """The finished runs of one place.

    label: what it is called; where: their store, or the folder of a published set. records: whole, in the order of the
    sweep (else by id); head: what the sweep's manifest or the published set says, None of a folder or a run.
    problems: by place, why a record could not be read (it is left out); lacking: how many runs have no record.
    """

    label: str
    where: Store | Path
    records: Sequence[Record]
    head: Head | None = None
    problems: Mapping[str, str] = field(default_factory=dict)
    lacking: int = 0

    @property
    def remarks(self) -> list[str]:
        """What the reader of a table must know: what is left out, what is not finished."""
        said = refused(self.problems)
        if self.lacking:
            of = self.lacking + len(self.problems) + len(self.records)
            said.append(f"{self.lacking} of the {of} runs of {self.label} are not finished: {self.command}")
        return said

    @property
    def command(self) -> str:
        """What makes the runs that are missing."""
        return self.head["command"] if self.head else ""

    def curves(self) -> Curves:
        """The histories of the runs, by id."""
        return read_curves(self.where, [str(record["id"]) for record in self.records])


def gather(found: Found) -> Gathered:
    """The records of a place. Raises BadInput where it cannot be read at all: a damaged manifest, a run without one."""
    if isinstance(found, Sweep):
        manifest = read_manifest(found.store.results, found.name)
        records, problems = read_runs(found.store, manifest["runs"])
        lacking = len(set(manifest["runs"])) - len(records) - len(problems)
        return Gathered(found.label, found.store, list(records.values()), manifest, problems, lacking)
    if isinstance(found, PublishedSet):
        records, problems = read_what_can_be(found.folder)
        return Gathered(found.label, found.folder, list(records.values()), read_head(found.folder), problems)
    if isinstance(found, Runs):
        records, problems = read_runs(found.store, found.store.ids())
        return Gathered(found.label, found.store, list(records.values()), None, problems)
    return Gathered(found.label, found.where, [the_record(found)])


def the_record(found: Run) -> Record:
    """A run's record. Raises BadInput where it is not finished, RecordError where the record cannot be read."""
    if not isinstance(found.where, Store):
        return read_what_can_be(found.where)[0][found.name]
    record = found.where.read(found.name)
    if record is None:
        raise BadInput(f"run {found.name} is not finished; `rnnbench show {found.name}` says how to go on with it.")
    return record


def resolve_run(store: Store, name: str) -> Run:
    """The one run of this id, or of an id that begins so; and of a sweep, published set or folder that holds but one.

    Raises BadInput where there is none, or it is several.
    """
    found = meaning(store, name)
    if found is None:
        return Run(store, store.find(name))  # which says what is wrong
    if isinstance(found, Run):
        return found
    runs = _ids(found)
    if len(runs) != 1:
        some = f": {', '.join(runs[:4])}{' ...' * (len(runs) > 4)}" if runs else ""
        raise BadInput(
            f"{shown(name)} is {found.WHAT} ({len(runs)} runs), and one run is needed here; give its id{some}."
        )
    return Run(found.where, runs[0])


def _ids(found: Sweep | PublishedSet | Runs) -> list[str]:
    """The runs of a place, finished or not."""
    if isinstance(found, Sweep):
        return read_manifest(found.store.results, found.name)["runs"]
    if isinstance(found, PublishedSet):
        return list(read_what_can_be(found.folder)[0])
    return found.store.ids()


def read_runs(store: Store, runs: Iterable[str]) -> tuple[dict[str, Record], dict[str, str]]:
    """The records of those of these runs that are finished, by id; and by path, why a record cannot be read."""
    found: dict[str, Record] = {}
    problems: dict[str, str] = {}
    for run in dict.fromkeys(runs):
        try:
            record = store.read(run)
        except (RecordError, OSError) as error:
            problems[str(store.record_path(run))] = str(error)
            continue
        if record is not None:
            found[run] = record
    return found, problems


def the_sweep(found: Found, key: str, what: str) -> Found:
    """Of a folder with runs the one sweep that a report can be about; every other place as it is.

    key: what the manifest must have, "ablation" or "search"; where none has it, any sweep will do. what: in words, what
    is asked for. Raises BadInput where there are several.
    """
    if not isinstance(found, Runs):
        return found
    manifests, _ = read_manifests(found.store.results)
    names = [name for name, manifest in manifests.items() if manifest.get(key) is not None] or list(manifests)
    if len(names) == 1:
        return Sweep(found.store, names[0], f"{found.label}/{names[0]}")
    if names:
        some = listed_ids(names)
        first = found.store.results.manifest(names[0])
        raise BadInput(f"{found.label} holds several sweeps ({some}), and {what} is of one; give its manifest: {first}")
    return found
