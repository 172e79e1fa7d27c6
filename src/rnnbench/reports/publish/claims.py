"""The published set of the claims: the runs of their experiments, and the verdicts that follow from them.

The claims as they were worded are frozen with it, so that the set is judged by the words it was published under.
Experiments that are published under their own name (the ablation) stay there, and are read from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.reports.claims.command import CLAIMS, needs_history, own_runs
from rnnbench.reports.claims.wording import Claim, read_claims
from rnnbench.reports.publish.freeze import folder_of, write_set
from rnnbench.store.manifests import not_run, read_manifest
from rnnbench.store.store import Store

COMMAND = "rnnbench claims --run"


def publish_claims(store: Store, content: Mapping[str, Any], *, partial: bool = False) -> Path:
    """Freeze the runs of all claims' experiments with their verdicts; returns the folder.

    content: of conf/claims.yaml. Raises BadInput where runs are missing; partial: freezes what there is, and says what
    was not run.
    """
    results = store.root.parent
    claims = read_claims(content)
    names = [name for name in _experiments(claims) if not (results / "published" / name).is_dir()]
    runs = {name: own_runs(store, name) for name in names}
    missing: dict[str, str] = {}
    skipped = []
    for name in names:
        if not (results / "sweeps" / f"{name}.json").exists():
            missing[f"experiment={name}"] = "all runs"
            continue
        manifest = read_manifest(results, name)
        skipped += manifest["skipped"]
        lacking = not_run(manifest, runs[name])
        missing |= {f"experiment={name} {entry}".strip(): what for entry, what in lacking.items()}
    found = {run: record for some in runs.values() for run, record in some.items()}
    if not found or (missing and not partial):
        first = ", ".join(f"{what} of {entry}" for entry, what in list(missing.items())[:3])
        raise BadInput(
            f"the claims' runs are not all there ({first}{', ...' if len(missing) > 3 else ''}); "
            f"finish them first: {COMMAND}" + " (--partial freezes what there is)" * bool(found)
        )
    head = {"name": CLAIMS, "command": COMMAND, "skipped": skipped, **({"not_run": missing} if missing else {})}
    head |= {"sweeps": {name: sorted(some) for name, some in runs.items()}, "claims": content["claims"]}
    wanted = {name for claim in claims if needs_history(claim) for name in claim.experiments}
    curves_of = [run for name in names if name in wanted for run in runs[name]]
    return write_set(folder_of(store, CLAIMS), head, found, curves=store, curves_of=curves_of)


def _experiments(claims: list[Claim]) -> list[str]:
    return list(dict.fromkeys(name for claim in claims for name in claim.experiments))
