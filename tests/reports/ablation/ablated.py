"""Made-up records of an ablation with planted effects: a peephole study with diagnostics, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from reports.synthetic import make_record, noise
from rnnbench.reports.ablation.study import Study, ablation
from rnnbench.store.record import run_id

LAYERS = {"encoder.0": 10, "encoder.1": 10, "forecaster.0": 10, "forecaster.1": 10}
GATES = ("i", "f", "o")
PARAMS = {"off": 7_583_760, "on": 7_585_296, "conv1x1": 7_900_000, "conv": 9_100_000}
CORE = ("off", "on", "hadamard", "hadamard, detach", "conv1x1", "conv")


def peephole_record(
    peephole: str = "off",
    seed: int = 0,
    *,
    shift: float = 0.0,
    spread: float = 0.002,
    level: float = 0.0800,
    bursts: float = 1.0,
    spikes: float = 0.0,
    fade: float = 1.0,
    saturate: float = 0.0,
    status: str = "ok",
    hidden_size: int = 64,
    params: int | None = None,
    metric: str = "mse",
    goal: str = "min",
    floor: float | None = 0.2300,
    with_diagnostics: bool = True,
    options: Mapping[str, Any] | None = None,
    **same: Any,
) -> dict[str, Any]:
    """A record as a run of the study would write it. Seeds share most of their noise, so that pairing pays.

    shift, spread: the variant's true difference to off and its noise by seed; bursts, spikes, fade, saturate: factors
    and shares added to the diagnostics.
    """
    own = 0.0 if peephole == "off" and hidden_size == 64 else spread * noise("own", peephole, seed, hidden_size)
    value = level + 0.004 * noise("seed", seed) + shift + own
    label = f"ConvLSTM h={hidden_size}" + ("" if peephole == "off" else f" +peephole({peephole})")
    record = make_record(
        "convlstm", seed=seed, status=status, value=value if status == "ok" else None, metric=metric, goal=goal,
        floor=floor, target=None, dataset="moving_mnist", protocol="10-10/mse", label=label, backend="eager",
        options=dict(options or {}), **same,
    )  # fmt: skip
    record["axes"] |= {"peephole": peephole, "hidden_size": hidden_size}
    record["config"] |= {"peephole": {"name": peephole}, "hidden_size": hidden_size}
    record["id"] = run_id(record["config"])
    record["params"] = params or PARAMS.get(peephole, 7_976_976)
    record["train_seconds"] = 100 * (1 + 0.1 * (peephole != "off") + 0.01 * noise("time", peephole, seed))
    record["diagnostics"] = None
    if with_diagnostics:
        record["diagnostics"] = _diagnostics(peephole, seed, bursts, spikes, fade, saturate, status)
    return record


def _diagnostics(
    peephole: str, seed: int, bursts: float, spikes: float, fade: float, saturate: float, status: str
) -> dict[str, Any]:
    def wobble(*key: Any) -> float:
        return 1 + 0.1 * noise(peephole, seed, *key)

    median = 0.5 * wobble("median")
    gates = {
        gate: {"low": 0.04 * wobble("low", gate) + saturate / 2, "high": 0.06 * wobble("high", gate) + saturate / 2}
        for gate in GATES
    }  # fmt: skip
    found: dict[str, Any] = {
        "grad_norm": {
            "median": median, "p99": 3 * median * wobble("p99") * math.sqrt(bursts),
            "max": 8 * median * wobble("max") * bursts, "share_above_10x_median": 0.0005 + spikes * wobble("spikes"),
            "first_non_finite": 120 if status == "diverged" else None,
        },
        "h_grad_norm": {}, "cell_state_max": {}, "saturation": {}, "peephole_abs": {},
    }  # fmt: skip
    for n, (layer, steps) in enumerate(LAYERS.items()):
        fading = fade ** (1 / (steps - 1))
        found["h_grad_norm"][layer] = [
            0.02 * (n + 1) * (0.8 / fading) ** (steps - t) * wobble(layer, t) for t in range(1, steps + 1)
        ]
        if fade != 1:
            curve = found["h_grad_norm"][layer]
            found["h_grad_norm"][layer] = [v * fading ** (2 * (steps - t)) for t, v in enumerate(curve, 1)]
        found["cell_state_max"][layer] = [
            (1 - 0.8**t) * (4 + n) * (1 + 2 * saturate) * wobble("c", layer) for t in range(1, steps + 1)
        ]
        found["saturation"][layer] = gates
        if peephole != "off":
            found["peephole_abs"][layer] = {gate: 0.05 * wobble("w", layer, gate) * (n + 1) for gate in GATES}
    if status != "ok":
        found = {"grad_norm": found["grad_norm"] | {"max": None}}
    return found


def history(record: Mapping[str, Any], *, rows: int = 40, every: int = 250) -> list[dict[str, Any]]:
    """A history as a run would log it; a run that diverged stops early, on its way up."""
    seed, peephole = record["seed"], record["axes"]["peephole"]
    rows = rows if record["status"] == "ok" else rows // 3
    found = []
    for n in range(1, rows + 1):
        loss = 0.08 + 0.15 * math.exp(-n / 8) + 0.004 * noise("seed", seed) + 0.002 * noise(peephole, seed, n)
        loss += (record["metrics"].get("test/mse") or 0.085) - 0.08 - 0.004 * noise("seed", seed)
        if record["status"] != "ok":
            loss += 0.02 * 1.5 ** max(0, n - rows + 5)
        norm = 0.5 * (1 + 2 * math.exp(-n / 6)) * (1 + 0.5 * abs(noise(peephole, seed, n, "g")))
        row = {"step": n * every, "train/loss": loss * 0.97, "val/loss": loss, "val/mse": loss}
        found.append(row | {"train/grad_norm_max": norm})
    return found


def study(
    variants: Mapping[str, Mapping[str, Any]] | Iterable[str] = CORE, seeds: Iterable[int] = range(8), **same: Any
) -> list[dict[str, Any]]:
    """Every variant x seed; variants may be a mapping from peephole to what is planted in it."""
    planted = variants if isinstance(variants, Mapping) else {name: {} for name in variants}
    return [
        peephole_record(name, seed, **{**same, **how}) for name, how in planted.items() for seed in seeds
    ]  # fmt: skip


def only(records: Iterable[Mapping[str, Any]], spec: Mapping[str, Any] | None = None) -> Study:
    """The one study of an ablation."""
    studies = ablation(records, spec).studies
    assert len(studies) == 1
    return studies[0]


def effect(study: Study, name: str) -> str:
    return study.verdicts.effects[name].word


def gradient(study: Study, name: str) -> str:
    return study.verdicts.gradients[name].word


def row(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[frame["variant"] == name].iloc[0]
