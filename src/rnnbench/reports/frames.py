"""Records as one tidy DataFrame, one row a run. Everything else in this room starts from that frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from rnnbench.record import canonical, entry_id

TIME = "datetime64[us, UTC]"

# Values are compared, and entries ranked, only where all of these are equal.
BLOCK = ("dataset", "dataset_version", "protocol", "data_hash", "budget", "updates", "batch_size", "metric", "goal")

# Axes and options that say how a network was trained: searched over, so runs that differ in them share a row. An option
# is one of the network by its beginning, and one of neither where it has a column of its own.
TRAINING_AXES = ("optimizer", "schedule")
NETWORK_OPTIONS = ("cell.", "depth.", "direction.", "peephole.", "encoder", "head")
OTHER_OPTIONS = ("precision", "device", "backend")

# Every fixed column with its dtype, in order; an empty store gives exactly these.
COLUMNS: dict[str, str] = {
    "id": "str", "entry": "str", "status": "str", "reason": "str",
    "label": "str", "cell": "str", "operator": "str", "peephole": "str", "direction": "str",
    "depth": "Int64", "hidden_size": "Int64", "options": "str", "axes": "str", "training": "str",
    "dataset": "str", "dataset_version": "str", "protocol": "str", "data_hash": "str", "task": "str",
    "budget": "str", "updates": "Int64", "batch_size": "Int64", "seed": "Int64",
    "metric": "str", "goal": "str", "value": "float64", "val": "float64",
    "floor": "float64", "floor_name": "str", "target": "float64", "best_step": "Int64",
    "params": "Int64", "live_params": "Int64", "state_size": "Int64", "flops_per_step": "float64",
    "updates_done": "Int64", "train_seconds": "float64", "wall_seconds": "float64", "steps_per_second": "float64",
    "peak_memory_mb": "float64", "device": "str", "device_kind": "str", "precision": "str", "backend": "str",
    "threads": "Int64", "host": "str", "commit": "str", "dirty": "boolean", "source_hash": "str", "torch": "str",
    "attempts": "Int64", "started": TIME, "finished": TIME,
}  # fmt: skip


def records_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a run, sorted by id, so that the order of the records never shows in anything derived.

    Columns (what a record does not hold is missing, never zero):

    - id; entry: the run without its seed (`rnnbench.record.entry_id` of its config, else of its axes, dataset, budget)
    - status, reason
    - label, cell, operator, peephole, direction, depth, hidden_size, options ("k=v, ..."): the axes;
      axes: those that make the network, as canonical JSON, equal exactly when the same network is compared;
      training: the others, "adam, optimizer.lr=0.01"
    - dataset, dataset_version, protocol, data_hash; task: the dataset with its options as canonical JSON
    - budget (its name), updates, batch_size: what was granted; updates_done: optimizer steps really taken
    - seed
    - metric, goal (max | min): the main metric; value: it on test; val: it on validation
    - "split/metric": every metric of the record under its own name, after the fixed columns, sorted
    - floor (value of the dataset's named floor), floor_name, target
    - best_step, params, live_params, state_size, flops_per_step
    - train_seconds, wall_seconds (s), steps_per_second (1/s), peak_memory_mb (MB)
    - device (in words), device_kind (cpu | cuda | ...), precision, backend, threads, host
    - commit, dirty, source_hash, torch (its version)
    - attempts, started, finished (UTC)

    Two records with one id are one run: the first stays.
    """
    unique: dict[str, Mapping[str, Any]] = {}
    for record in records:
        unique.setdefault(str(record["id"]), record)
    ordered = [unique[key] for key in sorted(unique)]
    rows = [_row(record) for record in ordered]
    columns = {name: _series([row[name] for row in rows], dtype) for name, dtype in COLUMNS.items()}
    metrics = [part(record, "metrics") for record in ordered]
    for name in sorted({str(key) for some in metrics for key in some} - set(COLUMNS)):
        columns[name] = pd.Series([number(some.get(name)) for some in metrics], dtype="float64")
    return pd.DataFrame(columns)


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fixed columns of one record, as plain Python values."""
    axes, dataset, budget = part(record, "axes"), part(record, "dataset"), part(record, "budget")
    metrics, git = part(record, "metrics"), part(record, "git")
    metric, floor_name = record.get("metric"), record.get("floor")
    floor = part(record, "floors").get(str(floor_name))
    config = part(record, "config")
    task = config.get("dataset") or {key: dataset.get(key) for key in ("name", "version", "protocol")}
    plain = {name: record.get(name) for name in COLUMNS}
    derived = {
        "entry": entry_id(config or {"axes": {**axes, "label": None}, "dataset": task, "budget": budget}),
        "label": axes.get("label") or _label(axes),
        "options": compact(axes.get("options")),
        "axes": compact_json(_network(axes)),
        "training": _training(axes),
        "task": compact_json({"dataset": task}),
        "dataset": dataset.get("name"),
        "dataset_version": dataset.get("version"),
        "protocol": dataset.get("protocol"),
        "data_hash": dataset.get("data_hash"),
        "budget": budget.get("name"),
        "updates": budget.get("updates"),
        "batch_size": budget.get("batch_size"),
        "value": metrics.get(f"test/{metric}"),
        "val": metrics.get(f"val/{metric}"),
        "floor": floor if floor is not None else floor_name,
        "floor_name": floor_name,
        "updates_done": record.get("updates"),
        "host": compact(record.get("host")),
        "device_kind": device_kind(record.get("device")),
        "backend": record.get("backend") or axes.get("backend"),
        "commit": git.get("commit"),
        "dirty": git.get("dirty"),
        "torch": part(record, "packages").get("torch"),
    }
    same = ("cell", "operator", "peephole", "direction", "depth", "hidden_size")
    return plain | {name: axes.get(name) for name in same} | derived


def part(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A nested part of a record; empty where it is missing (a run that failed early), {name: it} where it is a name."""
    value = record.get(key)
    if isinstance(value, Mapping):
        return value
    return {} if value is None or isinstance(value, (list, tuple)) else {"name": value}


def number(value: Any) -> float:
    """value as a float, NaN where it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    return float(value) if math.isfinite(value) else math.nan


def compact(value: Any) -> str | None:
    """Nested options as "k=v, group.k=v", sorted, nulls left out; None where nothing is left."""
    if not isinstance(value, Mapping):
        return None if value is None else str(value)
    items: list[str] = []
    for key in sorted(value, key=str):
        inner = value[key]
        if isinstance(inner, Mapping):
            items += [f"{key}.{text}" for text in (compact(inner) or "").split(", ") if text]
        elif inner is not None:
            items.append(f"{key}={canonical(inner)}")
    return ", ".join(items) or None


def compact_json(value: Mapping[str, Any]) -> str:
    """value as canonical JSON on one line: equal text for equal values."""
    import json

    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def device_kind(device: Any) -> str | None:
    """cpu, cuda, ... of a device in words ("cuda:0", "cuda (H100)", {kind: cuda, name: H100}); else the words."""
    if isinstance(device, Mapping):
        device = device.get("kind") or device.get("type") or device.get("name")
    if device is None:
        return None
    words = str(device).replace(":", " ").replace("(", " ").replace(",", " ").split()
    return words[0] if words and words[0] in ("cpu", "cuda", "mps", "xpu") else str(device)


def _network(axes: Mapping[str, Any]) -> dict[str, Any]:
    """The axes that make the network. The label is computed from them; a size solved from a budget is no choice."""
    left_out = {"label", "options", *TRAINING_AXES}
    if axes.get("params_budget") is not None:
        left_out.add("hidden_size")
    options = {key: value for key, value in part(axes, "options").items() if key.startswith(NETWORK_OPTIONS)}
    return {key: value for key, value in axes.items() if key not in left_out} | {"options": options}


def _training(axes: Mapping[str, Any]) -> str | None:
    """How the network was trained, as far as it was chosen: "adam, optimizer.lr=0.01"."""
    chosen = [str(axes[name]) for name in TRAINING_AXES if axes.get(name)]
    known = (*NETWORK_OPTIONS, *OTHER_OPTIONS)
    options = {key: value for key, value in part(axes, "options").items() if not key.startswith(known)}
    return ", ".join(filter(None, [*chosen, compact(options)])) or None


def _label(axes: Mapping[str, Any]) -> str:
    """A name for axes that came without one."""
    return compact({key: value for key, value in _network(axes).items() if key != "backend"}) or "unknown"


def _series(values: list[Any], dtype: str) -> pd.Series[Any]:
    """One column; a value that does not fit its dtype is missing rather than an error in everyone's table."""
    if dtype == "float64":
        return pd.Series([number(value) for value in values], dtype="float64")
    if dtype == "Int64":
        whole = [int(n) if math.isfinite(n := number(v)) and n.is_integer() else None for v in values]
        return pd.Series(whole, dtype="Int64")
    if dtype == "boolean":
        return pd.Series([v if isinstance(v, bool) else None for v in values], dtype="boolean")
    if dtype == TIME:
        texts = pd.Series([v if isinstance(v, str) else None for v in values], dtype="str")
        return pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce").astype("datetime64[us, UTC]")
    return pd.Series([_text(value) for value in values], dtype="str")


def _text(value: Any) -> str | None:
    """value as text: names as they are, options as "k=v"."""
    return compact(value) if isinstance(value, Mapping) else None if value is None else str(value)
