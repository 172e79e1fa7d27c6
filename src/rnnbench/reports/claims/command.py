"""From a store and the published sets beside it to judged claims, printed and as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from rnnbench.reports.claims.judge import Judged, judge
from rnnbench.reports.claims.measures import NEEDS_HISTORY
from rnnbench.reports.claims.table import write_claims
from rnnbench.reports.claims.values import is_trial
from rnnbench.reports.claims.wording import Claim, read_claims
from rnnbench.store.curves import Curves, read_curves
from rnnbench.store.gathered import read_runs
from rnnbench.store.manifests import damaged, read_manifest_file
from rnnbench.store.published import own_published, published_in, read_head, read_published, shipped
from rnnbench.store.record import Record, entry_id
from rnnbench.store.store import Store

CLAIMS = "claims"  # the name of their published set
Gathered = tuple[dict[str, Record], list[Store | Path]]


class Frozen:
    """Published sets by name, read once: of an experiment its own set, else its part of the set of claims."""

    def __init__(self, sets: Mapping[str, Path]) -> None:
        self._sets = sets
        self._read: dict[str, dict[str, Record]] = {}
        self._parts = read_head(sets[CLAIMS]).get("sweeps", {}) if CLAIMS in sets else {}

    def find(self, name: str) -> tuple[dict[str, Record], Path | None]:
        """An experiment's records by id, and the set that holds them; none and None where nothing is published."""
        if name in self._sets:
            return self._records(name), self._sets[name]
        if name in self._parts:
            found = self._records(CLAIMS)
            return {run: found[run] for run in self._parts[name] if run in found}, self._sets[CLAIMS]
        return {}, None

    def _records(self, name: str) -> dict[str, Record]:
        if name not in self._read:
            self._read[name] = {str(record["id"]): record for record in read_published(self._sets[name])}
        return self._read[name]


def judge_all(store: Store, claims: Sequence[Claim]) -> tuple[list[Judged], list[Record]]:
    """Every claim's verdict, and the records of this store that they stand on (each once).

    A claim's records are those of its experiments: the finished runs that the sweep's manifest names, and the
    published set of that name or its part of the set of claims, of the user's own sets or else of those that come with
    rnnbench. What cannot be read, a record or a manifest, is left out and named in `store.problems`.
    """
    own = Frozen(own_published(store.results))
    others = Frozen({} if (folder := shipped()) is None else published_in(folder))
    used: dict[str, Record] = {}

    def gather(name: str) -> Gathered:
        records, folder = own.find(name)
        if folder is None:
            records, folder = others.find(name)
        sources: list[Store | Path] = [folder] if folder else []
        if mine := own_runs(store, name):
            used.update(mine)
            sources.append(store)
        return mine | {run: record for run, record in records.items() if run not in mine}, sources

    return _judge(claims, gather), list(used.values())


def judge_published(folder: Path, claims: Sequence[Claim]) -> list[Judged]:
    """Every claim's verdict from the published sets beside each other alone; the folder is the one of claims."""
    frozen = Frozen(published_in(folder.parent) | {CLAIMS: folder})

    def gather(name: str) -> Gathered:
        records, source = frozen.find(name)
        return records, [source] if source else []

    return _judge(claims, gather)


def _judge(claims: Sequence[Claim], gather: Callable[[str], Gathered]) -> list[Judged]:
    names = dict.fromkeys(name for claim in claims for name in (*claim.experiments, *claim.also))
    gathered = {name: gather(name) for name in names}
    found = []
    for claim in claims:
        records: dict[str, Record] = {}
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


def own_runs(store: Store, name: str) -> dict[str, Record]:
    """What this store has of an experiment: the runs of its sweep, and earlier ones of the same entries.

    A manifest names the runs of its last command, and beside them those of earlier ones: more seeds count, another
    setting does not. Where the last command was a trial (budget=smoke) the earlier ones are what there is. A damaged
    manifest names none, and is named in `store.problems`.
    """
    path = store.results.manifest(name)
    try:
        manifest = read_manifest_file(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        store.problems[str(path)] = damaged(path)
        return {}
    last = _readable(store, manifest["runs"])
    before = _readable(store, manifest.get("earlier", ()))
    entries = {_entry(record) for record in last.values() if not is_trial(record)}
    return last | {run: record for run, record in before.items() if not entries or _entry(record) in entries}


def _readable(store: Store, runs: Iterable[str]) -> dict[str, Record]:
    found, problems = read_runs(store, runs)
    store.problems |= problems
    return found


def _entry(record: Record) -> str:
    return entry_id(record.get("config") or {"axes": record.get("axes"), "dataset": record.get("dataset")})


def derive_claims(source: Path, folder: Path) -> list[str]:
    """Write the verdicts of a published set of claims into a folder; their names, none where the set is another."""
    head = read_head(source)
    if "claims" not in head:
        return []
    judged = judge_published(source, read_claims({"claims": head["claims"]}))
    return [path.name for path in write_claims(judged, folder)]
