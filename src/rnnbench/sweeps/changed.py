"""Files of the user's that have changed since runs were recorded: what is new of a plan is new because of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from rnnbench.runs.plan import Job
from rnnbench.store import index
from rnnbench.store.index import Index
from rnnbench.store.record import canonical
from rnnbench.store.store import Store

Place = tuple[str, str, str]  # dataset, option, and its value as JSON: a path, mostly


def changed_in(jobs: Iterable[Job], store: Store) -> list[str]:
    """`changed_since` of a store, whose index is read only where a job reads files."""
    jobs = list(jobs)
    return changed_since(jobs, index.load(store)) if any(map(_files, jobs)) else []


def changed_since(jobs: Iterable[Job], loaded: Index) -> list[str]:
    """`load.csv has changed since 3 runs`, for every file that jobs read and recorded runs knew otherwise."""
    wanted: dict[Place, set[str]] = {}
    for job in jobs:
        for place, sha256 in _files(job).items():
            wanted.setdefault(place, set()).add(sha256)
    found: Counter[Place] = Counter()
    for (dataset, files), runs in _recorded(loaded).items() if wanted else ():
        for key, (value, sha256) in json.loads(files).items():
            place = (dataset, key, json.dumps(value))
            if place in wanted and sha256 not in wanted[place]:
                found[place] += runs
    return [_sentence(json.loads(value), found[dataset, key, value]) for dataset, key, value in found]


def _files(job: Job) -> dict[Place, str]:
    """What a job reads, with the sha256 of its content."""
    node = dict(job.config["dataset"])
    content = job.config["dataset"]["meta"].get("content") or {}
    return {(job.dataset, key, json.dumps(canonical(node[key]))): sha256 for key, sha256 in content.items()}


def _recorded(loaded: Index) -> Counter[tuple[str, str]]:
    """How many runs are recorded of each dataset with each state of its files (`rows.COLUMNS`)."""
    columns = loaded.columns("dataset", "files")
    pairs = zip(columns["dataset"], columns["files"], strict=True)
    return Counter((str(dataset), files) for dataset, files in pairs if files is not None)


def _sentence(value: object, runs: int) -> str:
    name = value if isinstance(value, str) else json.dumps(value)
    return f"{name} has changed since {runs} run{'s' * (runs != 1)}"
