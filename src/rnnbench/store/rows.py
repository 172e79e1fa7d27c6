"""A record as one flat row of plain values: what tables, plans and a store's index are made of. No pandas, no torch."""

from __future__ import annotations

import functools
import hashlib
import json
import marshal
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from rnnbench.store.record import NOT_IN_ID, Record, canonical, entry_id, identified, is_of, run_id

TIME = "datetime64[us, UTC]"
NOT_IN_ENTRY = frozenset({*NOT_IN_ID, "seed"})  # of a config: what `entry_id` leaves out

LONG_KEY = 64  # bytes of what `once` keeps as it is; of what is longer its hash
MOST_KNOWN = 200_000  # results that `once` keeps
LARGE = 2**53  # a whole number below this is the same as a float

# Axes and options that say how a network was trained: searched over, so runs that differ in them share a row. An option
# is one of the network by its beginning, and one of neither where it has a column of its own. The display name shows
# the same ones (`runs.axes.label`): what the name tells apart is never one row.
TRAINING_AXES = ("optimizer", "schedule")
NETWORK_OPTIONS = ("cell.", "depth.", "direction.", "peephole.", "encoder", "head", "forecast.")
# What a rollout is fed while it learns; tested, every one of them is the same network.
TRAINING_OPTIONS = ("forecast.sampling",)
OTHER_OPTIONS = ("precision", "device", "backend", "forecast.kind")  # the kind is an axis, `forecast`

OF_TOOLCHAIN = ("compiler", "compiler_flags")  # of a record's host, where its cell was compiled

# Every fixed column with its dtype, in order; an empty store gives exactly these.
COLUMNS: dict[str, str] = {
    "id": "str", "entry": "str", "status": "str", "reason": "str",
    "label": "str", "cell": "str", "cell_version": "str", "operator": "str", "peephole": "str", "direction": "str",
    "depth": "Int64", "hidden_size": "Int64", "options": "str", "axes": "str", "training": "str",
    "dataset": "str", "dataset_version": "str", "protocol": "str", "data_hash": "str", "task": "str",
    "budget": "str", "updates": "Int64", "batch_size": "Int64", "seed": "Int64",
    "metric": "str", "goal": "str", "value": "float64", "val": "float64",
    "floor": "float64", "floor_name": "str", "target": "float64", "best_step": "Int64",
    "params": "Int64", "live_params": "Int64", "state_size": "Int64", "flops_per_step": "float64",
    "updates_done": "Int64", "train_seconds": "float64", "wall_seconds": "float64", "steps_per_second": "float64",
    "peak_memory_mb": "float64", "device": "str", "device_kind": "str", "precision": "str", "backend": "str",
    "threads": "Int64", "host": "str", "commit": "str", "dirty": "boolean", "source_hash": "str", "torch": "str",
    "toolchain": "str", "attempts": "Int64", "started": TIME, "finished": TIME, "own_source": "str", "files": "str",
    "id_lacks": "str", "floors": "str", "solved": "float64",
}  # fmt: skip


Given = TypeVar("Given")
Made = TypeVar("Made")
Row = dict[str, Any]  # columns of one record by name, each a value of any kind


def row(record: Record) -> Row:
    """The fixed columns of one record, in their order, as plain Python values."""
    axes, dataset, budget = part(record, "axes"), part(record, "dataset"), part(record, "budget")
    metrics, git, config = part(record, "metrics"), part(record, "git"), part(record, "config")
    metric, floor_name = record.get("metric"), record.get("floor")
    floor = part(record, "floors").get(str(floor_name))
    task = config.get("dataset") or {key: dataset.get(key) for key in ("name", "version", "protocol")}
    made_from = config or {"axes": {**axes, "label": None}, "dataset": task, "budget": budget}
    plain = {name: record.get(name) for name in COLUMNS}
    derived = {
        "entry": _entry(_without_seed(made_from)),
        "task": _task(task),
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
        "host": _host(record.get("host")),
        "device_kind": _device_kind(record.get("device")),
        "backend": record.get("backend") or axes.get("backend"),
        "commit": git.get("commit"),
        "dirty": git.get("dirty"),
        "torch": part(record, "packages").get("torch"),
        "toolchain": _toolchain(record.get("host")),
        "own_source": _own_source(record.get("own_source")),
        "files": _files(config.get("dataset")),
        "id_lacks": _id_lacks(record, config),
        "floors": _floors(record),
    }
    return plain | _of_axes(axes) | derived


def _floors(record: Record) -> str | None:
    """The floors by name and which is the reference, as JSON, of a record that has them shown one by one.

    Those are the ones whose data was read for the run, or that name a reference. Elsewhere a table has the one floor.
    """
    dataset, floors = part(record, "dataset"), part(record, "floors")
    numbers = {str(name): value for name, value in floors.items() if number(value) == number(value)}
    if not numbers or not (dataset.get("reading") or dataset.get("reference")):
        return None
    return compact_json({"floors": numbers, "reference": dataset.get("reference")})


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Some rows (of `row`) by column, each value as its column holds it (`fitting`)."""
    values = zip(*(each.values() for each in rows), strict=True) if rows else ((),) * len(COLUMNS)
    return {name: fitted(of, dtype) for (name, dtype), of in zip(COLUMNS.items(), values, strict=True)}


def metrics_of(record: Record) -> Row:
    """The metrics of a record by names that a table can hold."""
    return {fitting(name, "str"): value for name, value in part(record, "metrics").items()}


def once(function: Callable[[Given], Made]) -> Callable[[Given], Made]:
    """function of one JSON value, computed once for equal values: most records share axes, config and machine.

    Known results are handed out again, so nobody may change them.
    """
    known: dict[bytes, Made] = {}

    @functools.wraps(function)
    def looked_up(value: Any) -> Made:
        try:
            key = marshal.dumps(value, 2)  # equal bytes are equal values and types; json.dumps takes five times as long
        except ValueError:  # what no JSON parser returns
            return function(value)
        if len(key) > LONG_KEY:
            key = hashlib.sha256(key).digest()
        found = known.get(key)
        if found is None:
            if len(known) >= MOST_KNOWN:
                known.clear()
            found = known[key] = function(value)
        return found

    return looked_up


@once
def _of_axes(axes: Mapping[str, object]) -> Row:
    """The columns that follow from a record's axes."""
    same = ("cell", "cell_version", "operator", "peephole", "direction", "depth", "hidden_size")
    derived = {
        "label": axes.get("label") or _label(axes),
        "options": compact(_options(axes)),
        "axes": compact_json(_network(axes)),
        "training": _training(axes),
    }
    return {name: axes.get(name) for name in same} | derived


def _without_seed(config: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry is told by, without what nearly every run has of its own: equal for as many runs as can be."""
    kept = {key: value for key, value in config.items() if key not in NOT_IN_ENTRY}
    threads = part(config, "harness").get("threads")
    return kept if threads in (None, 1) else {**kept, "harness": {"threads": threads}}


def _id_lacks(record: Record, config: Mapping[str, Any]) -> str | None:
    """`threads` where the record has the id that its config got before threads were a part of it."""
    if part(config, "harness").get("threads") in (None, 1) or not isinstance(config, dict):
        return None
    return "threads" if is_of(config, record["id"]) and run_id(config) != record["id"] else None


def _files(dataset: Any) -> str | None:
    """The files that a dataset read, option -> [path, sha256 of its content], as JSON; None where it knows of none."""
    meta = dataset.get("meta") if isinstance(dataset, dict) else None
    if not isinstance(meta, dict) or not isinstance(meta.get("files"), list):
        return None
    content = part(meta, "content")
    return compact_json({key: [dataset.get(key), content[key]] for key in content})


def _own_source(said: Any) -> str | None:
    return compact_json(said) if isinstance(said, dict) and said else None


@once
def _entry(config: Mapping[str, object]) -> str:
    return entry_id(config)


@once
def _task(task: Any) -> str:
    return compact_json({"dataset": identified(task)})


@once
def _machine(host: Any) -> Any:
    if not isinstance(host, Mapping):
        return host
    return {key: value for key, value in host.items() if key not in OF_TOOLCHAIN}


@once
def _host(host: Any) -> str | None:
    return compact(_machine(host))


@once
def _toolchain(host: Any) -> str | None:
    said = [host.get(key) for key in OF_TOOLCHAIN] if isinstance(host, Mapping) else []
    return " ".join(str(word) for word in said if word) or None


@once
def _device_kind(device: Any) -> str | None:
    return device_kind(device)


def part(record: Mapping[str, object], key: str) -> Mapping[str, Any]:
    """A nested part of a record; empty where it is missing (a run that failed early), {name: it} where it is a name."""
    value = record.get(key)
    if isinstance(value, (dict, Mapping)):
        return value
    return {} if value is None or isinstance(value, (list, tuple)) else {"name": value}


def machine(record: Mapping[str, object]) -> Any:
    """A record's host without what compiled its cell: runs of another backend were on the same machine."""
    return _machine(record.get("host"))


def number(value: Any) -> float:
    """value as a float, NaN where it is no finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return math.nan
    try:
        return float(value) if math.isfinite(value) else math.nan
    except OverflowError:  # a whole number of more than 308 digits
        return math.nan


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


def parts(text: str | None) -> list[str]:
    """What `compact` has joined: "a=1, b=[1, 2]" as ["a=1", "b=[1, 2]"]."""
    return re.split(r", (?![^\[\]]*\])", text) if text else []


def compact_json(value: Mapping[str, object]) -> str:
    """value as canonical JSON on one line: equal text for equal values."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def device_kind(device: Any) -> str | None:
    """cpu, cuda, ... of a device in words ("cuda:0", "cuda (H100)", {kind: cuda, name: H100}); else the words."""
    if isinstance(device, Mapping):
        device = device.get("kind") or device.get("type") or device.get("name")
    if device is None:
        return None
    words = str(device).replace(":", " ").replace("(", " ").replace(",", " ").split()
    return words[0] if words and words[0] in ("cpu", "cuda", "mps", "xpu") else str(device)


def is_network(option: str) -> bool:
    """Whether an option (a dotted key) says what the network is, and not how it was trained."""
    return option.startswith(NETWORK_OPTIONS) and not option.startswith(TRAINING_OPTIONS)


def _network(axes: Mapping[str, object]) -> dict[str, object]:
    """The axes that make the network. The label is computed from them; a size solved from a budget is no choice."""
    left_out = {"label", "options", *TRAINING_AXES}
    if axes.get("params_budget") is not None:
        left_out.add("hidden_size")
    own = {key: value for key, value in part(axes, "options").items() if is_network(key)}
    options = {key: value for key, value in own.items() if not key.startswith(OTHER_OPTIONS)}
    return {key: value for key, value in axes.items() if key not in left_out} | {"options": options}


def _training(axes: Mapping[str, object]) -> str | None:
    """How the network was trained, as far as it was chosen: "adam, optimizer.lr=0.01"."""
    chosen = [str(axes[name]) for name in TRAINING_AXES if axes.get(name)]
    given = _options(axes).items()
    options = {key: value for key, value in given if not is_network(key) and not key.startswith(OTHER_OPTIONS)}
    return ", ".join(filter(None, [*chosen, compact(options)])) or None


def _options(axes: Mapping[str, object]) -> dict[str, object]:
    """The options that were given. One that was set to nothing (clip=null) is given, too."""
    return {key: "null" if value is None else value for key, value in part(axes, "options").items()}


def _label(axes: Mapping[str, object]) -> str:
    """A name for axes that came without one."""
    return compact({key: value for key, value in _network(axes).items() if key != "backend"}) or "unknown"


def text(value: Any) -> str | None:
    """value as text: names as they are, options as "k=v"."""
    return compact(value) if isinstance(value, Mapping) else None if value is None else str(value)


def fitting(value: Any, dtype: str) -> Any:
    """value as a column of this dtype of `COLUMNS` holds it; what does not fit is missing: None. Times stay text."""
    if dtype == "float64":
        return None if math.isnan(n := number(value)) else n
    if dtype == "Int64":
        return int(n) if math.isfinite(n := number(value)) and n.is_integer() and abs(n) < 2**63 else None
    if dtype == "boolean":
        return value if isinstance(value, bool) else None
    if dtype == TIME and not isinstance(value, str):
        return None
    words = text(value)  # JSON may hold half a character, a table may not
    return words if words is None or words.isascii() else words.encode("utf-8", "replace").decode()


def fitted(values: Sequence[Any], dtype: str) -> list[Any]:
    """`fitting` of a whole column. What fits as it is, as nearly all does, is told without a call for each value."""
    if dtype == "str":
        return _fitted_texts(values)
    if dtype == "float64":
        return _fitted_floats(values)
    if dtype == "Int64":
        return _fitted_wholes(values)
    return [fitting(v, dtype) for v in values]


def _fitted_texts(values: Sequence[Any]) -> list[str | None]:
    return [v if v is None or (type(v) is str and v.isascii()) else fitting(v, "str") for v in values]


def _fitted_floats(values: Sequence[Any]) -> list[float | None]:
    return [v if v is None or (type(v) is float and math.isfinite(v)) else fitting(v, "float64") for v in values]


def _fitted_wholes(values: Sequence[Any]) -> list[int | None]:
    return [v if v is None or (type(v) is int and -LARGE < v < LARGE) else fitting(v, "Int64") for v in values]


# Values are compared, and entries ranked, only where all of these are equal.
BLOCK = ("dataset", "dataset_version", "protocol", "data_hash", "budget", "updates", "batch_size", "metric", "goal")
