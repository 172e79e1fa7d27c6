"""What a record's `diagnostics` say, as single numbers that can be compared between two runs of one seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from rnnbench.store.rows import number, part

ALL = "all"
GATES = "ifgorzn"
FADED = 1e-12  # a gradient that has faded by more than this counts as faded by this
NAMES = {
    "grad.median": "gradient norm over training: median",
    "grad.p99": "gradient norm: 99th percentile",
    "grad.max": "gradient norm: largest",
    "grad.max_over_median": "gradient norm: largest / median",
    "grad.spikes": "updates above 10x the median norm",
    "h.first": "|dLoss/dh| at t=1",
    "h.first_over_last": "|dLoss/dh| at t=1 / at t=T",
    "c.max": "largest |C|",
    "sat.total": "saturated, mean over gates",
    "w.mean": "|w| of the peephole, mean over gates",
}


def measure_name(key: str) -> str:
    """A measure in words: "gate i below .01"."""
    if key in NAMES:
        return NAMES[key]
    kind, gate, *end = key.split(".")
    return f"gate {gate} {'below .01' if end == ['low'] else 'above .99'}" if kind == "sat" else f"|w| of gate {gate}"


def is_share(key: str) -> bool:
    """Is a measure a share (compared by difference)? All others are positive sizes, compared by ratio."""
    return key.startswith("sat.") or key == "grad.spikes"


def order(key: str) -> tuple[int, int, str]:
    """Where a measure stands in tables: gates as papers write them, behind their mean."""
    if key in NAMES:
        return list(NAMES).index(key), -1, ""
    kind, gate, *end = key.split(".")
    place = GATES.find(gate) if gate in GATES else len(GATES)
    return list(NAMES).index("sat.total" if kind == "sat" else "w.mean"), place, "".join([gate, *end])


def measures_frame(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a run, measure and layer: id, measure, layer (`all`: over the layers), value (finite numbers only).

    - grad.median, .p99, .max, .max_over_median, .spikes: of the gradient's norm over training, before clipping; spikes
      is the share of updates above 10x the median. No layers.
    - h.first: |dLoss/dh_t| at t=1; h.first_over_last: divided by the same at the last step. all: geometric mean.
    - c.max: the largest |C| at any t. all: the largest.
    - sat.GATE.low, .high: share of a gate's values below .01, above .99; sat.total: both, mean over gates. all: mean.
    - w.GATE: mean |peephole weight|; w.mean: over gates. all: mean.

    Runs that failed are in it with what they recorded until then.
    """
    rows = [
        {"id": str(record["id"]), "measure": key, "layer": layer, "value": value}
        for record in records
        for key, layer, value in _measures(part(record, "diagnostics"))
        if math.isfinite(value)
    ]
    return pd.DataFrame(rows, columns=["id", "measure", "layer", "value"]).astype({"value": "float64"})


def first_non_finite(record: Mapping[str, Any]) -> float:
    """The update of the first gradient that was not finite; NaN where all were, or nothing is known."""
    return number(part(part(record, "diagnostics"), "grad_norm").get("first_non_finite"))


def _measures(diagnostics: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    norm = part(diagnostics, "grad_norm")
    sizes = {key: number(norm.get(key)) for key in ("median", "p99", "max")}
    yield from ((f"grad.{key}", ALL, value) for key, value in sizes.items())
    yield "grad.max_over_median", ALL, sizes["max"] / sizes["median"] if sizes["median"] > 0 else math.nan
    yield "grad.spikes", ALL, number(norm.get("share_above_10x_median"))
    layers: dict[str, dict[str, float]] = {}
    for name, curve in curves(diagnostics, "h_grad_norm"):
        first, last = curve[0], curve[-1]
        ratio = max(first / last, FADED) if last > 0 else math.nan
        layers.setdefault(name, {}).update({"h.first": first, "h.first_over_last": ratio})
    for name, curve in curves(diagnostics, "cell_state_max"):
        known = [value for value in curve if math.isfinite(value)]
        layers.setdefault(name, {})["c.max"] = max(known, default=math.nan)
    for name, gates in part(diagnostics, "saturation").items():
        layers.setdefault(name, {}).update(_saturation(gates))
    for name, gates in part(diagnostics, "peephole_abs").items():
        weights = {f"w.{gate}": number(value) for gate, value in _mapping(gates).items()}
        layers.setdefault(name, {}).update(weights | {"w.mean": _mean(weights.values())})
    for name, values in layers.items():
        yield from ((key, name, value) for key, value in values.items())
    for key in sorted({key for values in layers.values() for key in values}):
        yield key, ALL, _over_layers(key, [values[key] for values in layers.values() if key in values])


def curves(diagnostics: Mapping[str, Any], key: str) -> Iterator[tuple[str, list[float]]]:
    """The curves over t of a diagnostic by layer; NaN where a value is missing."""
    for name, curve in part(diagnostics, key).items():
        if isinstance(curve, (list, tuple)) and curve:
            yield str(name), [number(value) for value in curve]


def _saturation(gates: Any) -> dict[str, float]:
    found = {
        f"sat.{gate}.{end}": number(ends.get(end))
        for gate, ends in _mapping(gates).items()
        if isinstance(ends, Mapping)
        for end in ("low", "high")
    }
    names = {key.rsplit(".", 1)[0] for key in found}
    return found | {"sat.total": _mean(found[f"{name}.low"] + found[f"{name}.high"] for name in sorted(names))}


def _over_layers(key: str, values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    if key == "c.max":
        return max(known, default=math.nan)
    if key.startswith("h."):
        positive = [math.log(value) for value in known if value > 0]
        return math.exp(_mean(positive)) if positive else math.nan
    return _mean(known)


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
