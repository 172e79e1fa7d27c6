"""A run's facts as its record. Imports no torch, so that a sweep can record a run that only ever died."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rnnbench.runs import attempts, host
from rnnbench.runs.plan import Job
from rnnbench.runs.source_hash import source_hash
from rnnbench.store.record import SCHEMA_VERSION
from rnnbench.store.store import Store


def now() -> str:
    """The time, ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def make_record(
    job: Job, status: str, facts: Mapping[str, Any], seen: list[attempts.Seen], seconds: float
) -> dict[str, Any]:
    """The record of a finished run; what a failed run never came to know is null."""
    config, spec = job.config, facts.get("spec")
    train_seconds, updates = facts.get("train_seconds"), facts.get("updates")
    return {
        "schema_version": SCHEMA_VERSION,
        "id": job.id,
        "status": status,
        "reason": facts["reason"],
        "axes": {**job.axes, "hidden_size": facts.get("hidden_size", config["hidden_size"])},
        "dataset": {
            "name": job.dataset,
            "version": config["dataset"]["meta"]["version"],
            "protocol": getattr(spec, "protocol", None),
            "data_hash": facts.get("data_hash"),
        },
        "seed": job.seed,
        "budget": {k: config["budget"][k] for k in ("name", "updates", "batch_size")},
        "metrics": facts.get("metrics", {}),
        "metric": getattr(spec, "metric", None),
        "goal": getattr(spec, "goal", None),
        "best_step": facts.get("best_step"),
        "floors": facts.get("floors", {}),
        **{key: getattr(spec, key, None) for key in ("floor", "target", "target_source")},
        **{key: facts.get(key) for key in ("params", "live_params", "state_size", "flops_per_step")},
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
        "host": host.describe(config["device"], facts.get("malloc_tuned", False)),
        "git": host.git_state(),
        "source_hash": source_hash(),
        "packages": host.packages(),
        "attempts": len(seen),
        "started": facts.get("started"),
        "finished": now(),
        "command": job.command,
        "config": config,
    }


def record_from_outside(job: Job, store: Store, status: str, reason: str) -> dict[str, Any]:
    """The record of a run that never got to write its own: killed too often, or hanging. Written by its sweep."""
    seen = attempts.look(store.folder(job.id))
    record = make_record(job, status, {"reason": reason}, seen, 0.0)
    store.write(record)
    return record
