"""What a record's `diagnostics` say, as single numbers that can be compared between two runs of one seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from rnnbench.store.record import Record
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
    if kind != "sat":
        return f"|w| of gate {gate}"
    return f"gate {gate} below .01" if end == ["low"] else f"gate {gate} above .99"


def is_share(key: str) -> bool:
    """Is a measure a share (compared by difference)? All others are positive sizes, compared by ratio."""
    return key.startswith("sat.") or key == "grad.spikes"


def order(key: str) -> tuple[int, int, str]:
    """Where a measure stands in tables: gates as papers write them, behind their mean."""
    if key in NAMES:
        return list(NAMES).index(key), -1, ""
    kind, gate, *end = key.split(".")
    mean = "sat.total" if kind == "sat" else "w.mean"
    return list(NAMES).index(mean), gate_place(gate), "".join([gate, *end])


def gate_place(gate: str) -> int:
    """Where a gate stands in the order of the papers; unknown ones come last."""
    return GATES.find(gate) if gate in GATES else len(GATES)


def measures_frame(records: Iterable[Record]) -> pd.DataFrame:
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


def first_non_finite(record: Record) -> float:
    """The update of the first gradient that was not finite; NaN where all were, or nothing is known."""
    return number(part(part(record, "diagnostics"), "grad_norm").get("first_non_finite"))


def _measures(diagnostics: Mapping[str, object]) -> Iterator[tuple[str, str, float]]:
    """(measure, layer, value) of one run, also where the value is not finite."""
    for key, value in _norms(part(diagnostics, "grad_norm")).items():
        yield key, ALL, value
    by_layer = _by_layer(diagnostics)
    by_measure: dict[str, list[float]] = {}
    for layer, values in by_layer.items():
        for key, value in values.items():
            yield key, layer, value
            by_measure.setdefault(key, []).append(value)
    for key in sorted(by_measure):
        yield key, ALL, _over_layers(key, by_measure[key])


def _norms(norm: Mapping[str, object]) -> dict[str, float]:
    """Of the gradient's norm over training."""
    median, largest = number(norm.get("median")), number(norm.get("max"))
    return {
        "grad.median": median,
        "grad.p99": number(norm.get("p99")),
        "grad.max": largest,
        "grad.max_over_median": largest / median if median > 0 else math.nan,
        "grad.spikes": number(norm.get("share_above_10x_median")),
    }


def _by_layer(diagnostics: Mapping[str, object]) -> dict[str, dict[str, float]]:
    """By layer and measure: what a run recorded of its layers."""
    found: dict[str, dict[str, float]] = {}
    for layer, curve in curves(diagnostics, "h_grad_norm"):
        found.setdefault(layer, {}).update(_fading(curve))
    for layer, curve in curves(diagnostics, "cell_state_max"):
        found.setdefault(layer, {})["c.max"] = _largest(curve)
    for layer, gates in part(diagnostics, "saturation").items():
        found.setdefault(layer, {}).update(_saturation(gates))
    for layer, gates in part(diagnostics, "peephole_abs").items():
        found.setdefault(layer, {}).update(_weights(gates))
    return found


def _fading(curve: list[float]) -> dict[str, float]:
    """curve: the gradient's norm with respect to h at every t."""
    first, last = curve[0], curve[-1]
    ratio = max(first / last, FADED) if last > 0 else math.nan
    return {"h.first": first, "h.first_over_last": ratio}


def curves(diagnostics: Mapping[str, object], key: str) -> Iterator[tuple[str, list[float]]]:
    """The curves over t of a diagnostic by layer; NaN where a value is missing."""
    for name, curve in part(diagnostics, key).items():
        if isinstance(curve, (list, tuple)) and curve:
            yield str(name), [number(value) for value in curve]


def saturated(gates: Any) -> dict[str, tuple[float, float]]:
    """Of one layer's gates: the shares of values below .01 and above .99, NaN where one is missing."""
    return {
        str(gate): (number(ends.get("low")), number(ends.get("high")))
        for gate, ends in _mapping(gates).items()
        if isinstance(ends, Mapping)
    }


def _saturation(gates: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    sums = []
    for gate, (low, high) in saturated(gates).items():
        found |= {f"sat.{gate}.low": low, f"sat.{gate}.high": high}
        sums.append(low + high)
    return found | {"sat.total": _mean(sums)}


def _weights(gates: Any) -> dict[str, float]:
    found = {f"w.{gate}": number(value) for gate, value in _mapping(gates).items()}
    return found | {"w.mean": _mean(found.values())}


def _over_layers(key: str, values: list[float]) -> float:
    if key == "c.max":
        return _largest(values)
    if not key.startswith("h."):
        return _mean(values)
    positive = [math.log(value) for value in values if math.isfinite(value) and value > 0]
    return math.exp(_mean(positive)) if positive else math.nan


def _largest(values: Iterable[float]) -> float:
    return max((value for value in values if math.isfinite(value)), default=math.nan)


def _mean(values: Iterable[float]) -> float:
    """Of the finite ones; NaN of none. `fsum`: in any order the same."""
    known = [value for value in values if math.isfinite(value)]
    return math.fsum(known) / len(known) if known else math.nan


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
