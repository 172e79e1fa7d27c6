"""Stores of planned runs with made-up records, for what only reads them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml

from rnnbench.bench.scale import made_up
from rnnbench.runs import attempts
from rnnbench.runs.plan import Job
from rnnbench.store.store import Store
from rnnbench.sweeps.plan import Plan, plan, write_manifest


def record(job: Job, **replaced: Any) -> dict[str, Any]:
    """A whole record of a job that ended ok, unless `replaced` says otherwise."""
    made = made_up(job, random.Random(job.id))
    metrics = {"test/accuracy": 0.5, "test/loss": 1.0, "val/accuracy": 0.5, "val/loss": 1.0}
    return made | {"status": "ok", "reason": "", "metrics": metrics, "finished": "2026-01-02T03:04:05+00:00"} | replaced


def planned(*overrides: str, name: str | None = None) -> Plan:
    """A plan on the digits, smoke budget."""
    return plan(["dataset=digits", "budget=smoke", *overrides], name=name)


def filled(results: Path, made: Plan, done: int, **replaced: Any) -> Store:
    """A store in which the first runs of a plan are done, with its manifest."""
    store = Store.open(results)
    store.root.mkdir(parents=True, exist_ok=True)
    for job in made.jobs[:done]:
        store.write(record(job, **replaced))
    write_manifest(made, results)
    return store


def begin(store: Store, job: Job, *, rows: int = 0, end: str | None = None) -> attempts.Attempt:
    """A run that this process has in hand, validated so many times; end: how its attempt ended."""
    folder = store.folder(job.id)
    claim = attempts.claim(folder)
    assert claim is not None
    (folder / "config.yaml").write_text(f"# {job.title}\n# {job.command}\n" + yaml.safe_dump(job.config))
    lines = [{"step": 10 * (n + 1), "val/loss": 1.0, "val/accuracy": 0.25 * n} for n in range(rows)]
    (folder / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if end is not None:
        claim.close(end, f"it was {end}")
    return claim
