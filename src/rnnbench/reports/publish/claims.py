"""The published set of the claims: the runs of their experiments, and the verdicts that follow from them.

The claims as they were worded are frozen with it, so that the set is judged by the words it was published under.
Experiments that are published under their own name (the ablation) stay there, and are read from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rnnbench.errors import BadInput
from rnnbench.reports.claims.command import CLAIMS, needs_history, own_runs
from rnnbench.reports.claims.wording import Claim, Node, read_claims
from rnnbench.reports.publish.freeze import folder_of, write_set
from rnnbench.reports.publish.outcomes import freeze_outcomes
from rnnbench.store.manifests import SkippedCells, not_run, read_manifest
from rnnbench.store.published import PublishedHead, own_published
from rnnbench.store.record import Record
from rnnbench.store.store import Store

COMMAND = "rnnbench claims --run"


@dataclass
class _Gathered:
    """What the claims' experiments have here. runs: records by id, by experiment; missing: by entry, how many runs."""

    runs: dict[str, dict[str, Record]]
    missing: dict[str, str] = field(default_factory=dict)
    skipped: list[SkippedCells] = field(default_factory=list)

    @property
    def records(self) -> dict[str, Record]:
        return {run: record for some in self.runs.values() for run, record in some.items()}


def publish_claims(store: Store, content: Node, *, partial: bool = False) -> Path:
    """Freeze the runs of all claims' experiments with their verdicts; returns the folder.

    content: of conf/claims.yaml. Raises BadInput where runs are missing; partial: freezes what there is, and says what
    was not run.
    """
    claims = read_claims(content)
    own = own_published(store.results)
    gathered = _gather(store, [name for name in _experiments(claims) if name not in own])
    found = gathered.records
    if not found or (gathered.missing and not partial):
        raise BadInput(_lacking(gathered.missing, some=bool(found)))
    curves_of = _with_history(claims, gathered.runs)
    folder, head = folder_of(store, CLAIMS), _head(gathered, content)
    if outcomes := freeze_outcomes(store, found, folder):
        head["outcomes"] = outcomes
    return write_set(folder, head, found, curves=store, curves_of=curves_of)


def _gather(store: Store, names: Iterable[str]) -> _Gathered:
    """The runs of experiments, and what of them is missing. Raises BadInput on a damaged manifest."""
    found = _Gathered({name: own_runs(store, name) for name in names})
    for name, runs in found.runs.items():
        if not store.results.manifest(name).exists():
            found.missing[f"experiment={name}"] = "all runs"
            continue
        manifest = read_manifest(store.results, name)
        found.skipped += manifest["skipped"]
        for entry, what in not_run(manifest, runs).items():
            found.missing[f"experiment={name} {entry}".strip()] = what
    return found


def _head(gathered: _Gathered, content: Node) -> PublishedHead:
    """What the set says of itself: which runs are whose, and the claims as they are worded today."""
    head: PublishedHead = {"name": CLAIMS, "command": COMMAND, "skipped": gathered.skipped}
    if gathered.missing:
        head["not_run"] = gathered.missing
    head["sweeps"] = {name: sorted(runs) for name, runs in gathered.runs.items()}
    head["claims"] = content["claims"]
    return head


def _with_history(claims: Iterable[Claim], runs: Mapping[str, Iterable[str]]) -> list[str]:
    """The runs whose curves a check reads."""
    wanted = {name for claim in claims if needs_history(claim) for name in claim.experiments}
    return [run for name, mine in runs.items() if name in wanted for run in mine]


def _lacking(missing: Mapping[str, str], *, some: bool) -> str:
    """The sentence about runs that are missing. some: whether there are any others."""
    first = ", ".join(f"{what} of {entry}" for entry, what in list(missing.items())[:3])
    more = ", ..." if len(missing) > 3 else ""
    way = f"finish them first: {COMMAND}" + (" (--partial freezes what there is)" if some else "")
    return f"the claims' runs are not all there ({first}{more}); {way}"


def _experiments(claims: Iterable[Claim]) -> list[str]:
    return list(dict.fromkeys(name for claim in claims for name in claim.experiments))
