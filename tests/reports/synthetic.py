"""Made-up records: valid, deterministic, and as varied as a test asks for. No network was trained."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from rnnbench.store.record import KEYS, SCHEMA_VERSION, run_id
from rnnbench.store.store import Store

LABELS = {"rnn": "RNN 64", "lstm": "LSTM 64", "gru": "GRU 64", "convlstm": "ConvLSTM 64"}
QUALITY = {"rnn": 0.80, "lstm": 0.90, "gru": 0.93, "convlstm": 0.95}
DEFAULT_LR = 0.001
UNSET: Any = object()


def noise(*key: Any) -> float:
    """A number in [-1, 1) that depends on key and nothing else."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**31 - 1


def make_record(
    cell: str = "lstm",
    *,
    seed: int = 0,
    lr: float = DEFAULT_LR,
    status: str = "ok",
    reason: str | None = None,
    value: float | None = UNSET,
    val: float | None = UNSET,
    dataset: str = "digits",
    protocol: str = "rows-8x8/accuracy",
    data_hash: str | None = "0123456789abcdef",
    budget: str = "small",
    updates: int = 500,
    metric: str = "accuracy",
    goal: str = "max",
    floor: float | None = 0.1,
    target: float | None = 1.0,
    device: str = "cpu",
    precision: str = "32-true",
    backend: str = "torch",
    options: dict[str, Any] | None = None,
    label: str | None = None,
    **replaced: Any,
) -> dict[str, Any]:
    """One record as a finished run would write it; `replaced` sets top-level keys as they are.

    value, val: the main metric on test and validation; by default the quality of the cell with noise by seed and lr,
    and missing unless the status is ok.
    """
    axes = {
        "cell": cell, "operator": "conv2d" if cell.startswith("conv") else "dense", "peephole": "none",
        "direction": "forward", "depth": 1, "hidden_size": 64, "backend": backend,
        "optimizer": "adam", "label": label or LABELS.get(cell, f"{cell.upper()} 64"),
        "options": (options or {}) | ({} if lr == DEFAULT_LR else {"optimizer.lr": lr}),
    }  # fmt: skip
    config = {
        "cell": {"name": cell, "version": 1, "options": options}, "seed": seed, "optimizer": {"name": "adam", "lr": lr},
        "dataset": {"name": dataset, "protocol": protocol, "metric": metric}, "backend": backend,
        "budget": {"name": budget, "updates": updates}, "device": device.split(":")[0], "precision": precision,
    }  # fmt: skip
    if value is UNSET:
        value = QUALITY.get(cell, 0.85) + 0.01 * noise(cell, seed, lr) if status == "ok" else None
    if val is UNSET:
        val = None if value is None else value + 0.002 * noise("val", cell, seed, lr)
    seconds = 20.0 + noise("time", cell, seed)
    metrics = {f"test/{metric}": value, f"val/{metric}": val, "test/loss": 0.3, "val/loss": 0.25}
    record: dict[str, Any] = dict.fromkeys(KEYS) | {
        "schema_version": SCHEMA_VERSION, "id": run_id(config), "status": status, "reason": reason, "axes": axes,
        "dataset": {"name": dataset, "version": 1, "protocol": protocol, "data_hash": data_hash}, "seed": seed,
        "budget": {"name": budget, "updates": updates, "batch_size": 32}, "metrics": metrics if status == "ok" else {},
        "metric": metric, "goal": goal, "best_step": updates if status == "ok" else None,
        "floors": {"chance": floor}, "floor": "chance", "target": target, "params": 19_338, "live_params": 19_338,
        "state_size": 128, "flops_per_step": 37_888.0, "updates": updates if status == "ok" else 120,
        "train_seconds": seconds, "wall_seconds": seconds + 3, "steps_per_second": updates / seconds,
        "peak_memory_mb": 412.5, "device": device, "precision": precision, "backend": backend, "threads": 2,
        "deterministic": True, "host": "example", "git": {"commit": "a1b2c3d4", "dirty": False},
        "source_hash": "feedc0de", "packages": {"python": "3.12.3", "torch": "2.13.0"}, "attempts": 1,
        "started": "2026-01-02T03:04:05+00:00", "finished": "2026-01-02T03:04:28+00:00", "config": config,
    }  # fmt: skip
    if status != "ok" and reason is None:
        record["reason"] = "loss is not finite at update 120" if status == "diverged" else f"{status} in training"
    return record | replaced


def make_records(
    cells: Iterable[str] = ("rnn", "lstm", "gru"),
    seeds: Iterable[int] = range(3),
    lrs: Iterable[float] = (DEFAULT_LR,),
    **same: Any,
) -> list[dict[str, Any]]:
    """Every cell x learning rate x seed; more than one learning rate makes a search."""
    return [make_record(cell, seed=seed, lr=lr, **same) for cell in cells for lr in lrs for seed in seeds]


def fill_store(store: Store, records: Iterable[dict[str, Any]]) -> Store:
    """Write records into a store, as runs would."""
    for record in records:
        store.write(record)
    return store
