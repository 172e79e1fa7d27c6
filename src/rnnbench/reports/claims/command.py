"""From a store and the published sets beside it to judged claims, printed and as files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnbench.reports.claims.judge import Judged, judge
from rnnbench.reports.claims.measures import NEEDS_HISTORY
from rnnbench.reports.claims.table import write_claims
from rnnbench.reports.claims.values import is_trial
from rnnbench.reports.claims.wording import Claim, read_claims
from rnnbench.store.curves import Curves, read_curves
from rnnbench.store.manifests import read_manifest
from rnnbench.store.published import read_published
from rnnbench.store.record import RecordError, entry_id
from rnnbench.store.store import Store

CLAIMS = "claims"  # the name of their published set
Gathered = tuple[dict[str, dict[str, Any]], list[Store | Path]]


class Frozen:
    """The published sets of a folder, read once: of an experiment its own set, else its part of the set of claims."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, dict[str, dict[str, Any]]] = {}
        head = folder / CLAIMS / "sweep.json"
        self._parts = json.loads(head.read_text(encoding="utf-8")).get("sweeps") or {} if head.exists() else {}

    def find(self, name: str) -> tuple[dict[str, dict[str, Any]], Path | None]:
        """An experiment's records by id, and the set that holds them; none and None where nothing is published."""
        if (self._folder / name / "records.jsonl").exists():
            return self._records(name), self._folder / name
        if name in self._parts:
            found = self._records(CLAIMS)
            return {run: found[run] for run in self._parts[name] if run in found}, self._folder / CLAIMS
        return {}, None

    def _records(self, name: str) -> dict[str, dict[str, Any]]:
        if name not in self._read:
            self._read[name] = {str(record["id"]): record for record in read_published(self._folder / name)}
        return self._read[name]


def judge_all(store: Store, claims: Sequence[Claim]) -> tuple[list[Judged], list[dict[str, Any]]]:
    """Every claim's verdict, and the records of this store that they stand on (each once).

    A claim's records are those of its experiments: the finished runs that the sweep's manifest names, and the
    published set of that name beside the store, or the set of claims. Records that cannot be read are left out and
    named in `store.problems`.
    """
    frozen = Frozen(store.root.parent / "published")
    used: dict[str, dict[str, Any]] = {}

    def gather(name: str) -> Gathered:
        records, folder = frozen.find(name)
        sources: list[Store | Path] = [folder] if folder else []
        if own := own_runs(store, name):
            used.update(own)
            sources.append(store)
        return own | {run: record for run, record in records.items() if run not in own}, sources

    return _judge(claims, gather), list(used.values())


def judge_published(folder: Path, claims: Sequence[Claim]) -> list[Judged]:
    """Every claim's verdict from the published sets alone, of which the folder is the one of claims."""
    frozen = Frozen(folder.parent)

    def gather(name: str) -> Gathered:
        records, source = frozen.find(name)
        return records, [source] if source else []

    return _judge(claims, gather)


def _judge(claims: Sequence[Claim], gather: Callable[[str], Gathered]) -> list[Judged]:
    names = dict.fromkeys(name for claim in claims for name in (*claim.experiments, *claim.also))
    gathered = {name: gather(name) for name in names}
    found = []
    for claim in claims:
        records: dict[str, dict[str, Any]] = {}
        histories: Curves = {}
        for name in (*claim.experiments, *claim.also):
            some, sources = gathered[name]
            records = some | records
            if needs_history(claim):
                for source in sources:
                    histories = read_curves(source, some) | histories
        found.append(judge(claim, list(records.values()), histories))
    return found


def needs_history(claim: Claim) -> bool:
    """Whether a check of the claim reads curves beside records."""
    return any(check.measure in NEEDS_HISTORY for check in claim.checks)


def own_runs(store: Store, name: str) -> dict[str, dict[str, Any]]:
    """What this store has of an experiment: the runs of its sweep, and earlier ones of the same entries.

    A manifest names the runs of its last command, and beside them those of earlier ones: more seeds count, another
    setting does not. Where the last command was a trial (budget=smoke) the earlier ones are what there is.
    """
    results = store.root.parent
    if not (results / "sweeps" / f"{name}.json").exists():
        return {}
    manifest = read_manifest(results, name)
    last = _readable(store, manifest["runs"])
    before = _readable(store, manifest.get("earlier") or ())
    entries = {_entry(record) for record in last.values() if not is_trial(record)}
    return last | {run: record for run, record in before.items() if not entries or _entry(record) in entries}


def _readable(store: Store, runs: Iterable[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for run in runs:
        try:
            record = store.read(run)
        except (RecordError, OSError) as error:
            store.problems[str(store.record_path(run))] = str(error)
            continue
        if record is not None:
            found[run] = record
    return found


def _entry(record: Mapping[str, Any]) -> str:
    return entry_id(record.get("config") or {"axes": record.get("axes"), "dataset": record.get("dataset")})


def derive_claims(source: Path, folder: Path) -> list[str]:
    """Write the verdicts of a published set of claims into a folder; their names, none where the set is another."""
    head = json.loads((source / "sweep.json").read_text(encoding="utf-8"))
    if "claims" not in head:
        return []
    judged = judge_published(source, read_claims({"claims": head["claims"]}))
    return [path.name for path in write_claims(judged, folder)]
