"""A run's facts as its record. Imports no torch, so that a sweep can record a run that only ever died."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NotRequired, TypedDict, cast

from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.base.spec import TaskSpec
from rnnbench.runs import attempts, host, own_source
from rnnbench.runs.plan import Job
from rnnbench.runs.source_hash import source_hash
from rnnbench.store.config import Composed
from rnnbench.store.record import SCHEMA_VERSION, DatasetPart, Diagnostics, Record
from rnnbench.store.store import Store


class Facts(TypedDict):
    """What became known of a run, as far as it came. spec: the dataset's, as its task gives it."""

    reason: str
    started: NotRequired[str]
    malloc_tuned: NotRequired[bool]
    spec: NotRequired[TaskSpec]
    floors: NotRequired[dict[str, float]]
    data_hash: NotRequired[str]
    reading: NotRequired[Reading | None]
    own_source: NotRequired[dict[str, str] | None]
    params: NotRequired[int]
    hidden_size: NotRequired[int]
    state_size: NotRequired[int]
    flops_per_step: NotRequired[int]
    best_step: NotRequired[int | None]
    updates: NotRequired[int]
    train_seconds: NotRequired[float]
    live_params: NotRequired[int]
    diagnostics: NotRequired[Diagnostics]
    metrics: NotRequired[dict[str, float]]
    peak_memory_mb: NotRequired[float]


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def make_record(job: Job, status: str, facts: Facts, seen: list[attempts.Seen], seconds: float) -> Record:
    """The record of a finished run; what a failed run never came to know is null."""
    config, spec = job.config, facts.get("spec")
    train_seconds, updates = facts.get("train_seconds"), facts.get("updates")
    return {
        "schema_version": SCHEMA_VERSION,
        "id": job.id,
        "status": status,
        "reason": facts["reason"],
        "axes": {**job.axes, "hidden_size": facts.get("hidden_size", config["hidden_size"])},
        "dataset": _dataset(job, facts),
        "seed": job.seed,
        "budget": {
            "name": config["budget"]["name"],
            "updates": config["budget"]["updates"],
            "batch_size": config["budget"]["batch_size"],
        },
        "metrics": facts.get("metrics", {}),
        "metric": getattr(spec, "metric", None),
        "goal": getattr(spec, "goal", None),
        "best_step": facts.get("best_step"),
        "floors": facts.get("floors", {}),
        "floor": getattr(spec, "floor", None),
        "target": getattr(spec, "target", None),
        "target_source": getattr(spec, "target_source", None),
        "params": facts.get("params"),
        "live_params": facts.get("live_params"),
        "state_size": facts.get("state_size"),
        "flops_per_step": facts.get("flops_per_step"),
        "diagnostics": facts.get("diagnostics", {}),
        "updates": updates,
        "train_seconds": train_seconds,
        "wall_seconds": seconds + sum(a.seconds for a in seen if a.status != "running"),
        "steps_per_second": updates / train_seconds if updates and train_seconds else None,
        "peak_memory_mb": facts.get("peak_memory_mb") or host.peak_memory_mb(config["device"]),
        "device": config["device"],
        "precision": config["precision"],
        "backend": config["backend"],
        "threads": config["harness"]["threads"],
        "deterministic": config["device"] == "cpu",
        "host": host.describe(config["device"], facts.get("malloc_tuned", False), backend=config["backend"]),
        "git": host.git_state(),
        "source_hash": source_hash(),
        "packages": host.packages(),
        "attempts": len(seen),
        "started": facts.get("started"),
        "finished": now(),
        "command": job.command,
        "config": config,
        "own_source": facts["own_source"] if "own_source" in facts else own_source.of(cast(Composed, config)),
        "solved": spec.solved_above(facts.get("floors", {}).get(spec.floor)) if spec is not None else None,
    }


def _dataset(job: Job, facts: Facts) -> DatasetPart:
    """What was learned; what most datasets have nothing to say of is left out."""
    spec, reading = facts.get("spec"), facts.get("reading")
    part: DatasetPart = {
        "name": job.dataset,
        "version": job.config["dataset"]["meta"]["version"],
        "protocol": getattr(spec, "protocol", None),
        "data_hash": facts.get("data_hash"),
    }
    if reading is not None:
        part["reading"] = reading.as_dict()
    if spec is not None and spec.reference is not None:
        part["reference"] = spec.reference
    if spec is not None and spec.labels:
        part["labels"] = list(spec.labels)
    return part


def record_from_outside(job: Job, store: Store, status: str, reason: str) -> Record:
    """The record of a run that never got to write its own: killed too often, or hanging. Written by its sweep."""
    seen = attempts.look(store.folder(job.id))
    record = make_record(job, status, {"reason": reason}, seen, 0.0)
    return write_first(store, record)


def write_first(store: Store, record: Record) -> Record:
    """Write a run's record, unless another process was faster by a moment; returns the one that is there."""
    try:
        store.write(record)
    except FileExistsError:
        if (there := store.read(record["id"])) is not None:
            return there
        raise
    return record
