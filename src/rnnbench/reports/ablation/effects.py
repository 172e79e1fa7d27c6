"""The frames of an ablation: effects, diagnostics, cost and coverage of every arm against its baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from rnnbench.reports.ablation import measures as measuring
from rnnbench.reports.ablation.design import Arm
from rnnbench.reports.selection.coverage import coverage, failures
from rnnbench.reports.statistics.means import mean_ci
from rnnbench.reports.statistics.paired import Paired, holm, paired, sign_flip_p
from rnnbench.reports.tables.frames import typed_frame

# A control is of a variant's size where it has as many parameters, as shares: a little fewer, or rather more, which
# makes it the harder one to beat. Sizes come in steps, and no width may lie nearer.
FEWER, MORE = 0.02, 0.10
LARGER = 0.01  # a variant needs a control of its size where it has more parameters by at least this share

EFFECTS: dict[str, str] = {
    "variant": "str", "label": "str", "role": "str", "against": "str", "n": "Int64", "baseline_mean": "float64",
    "mean": "float64", "difference": "float64", "low": "float64", "high": "float64", "p": "float64",
    "p_holm": "float64", "family": "Int64",
}  # fmt: skip
DIAGNOSTICS: dict[str, str] = {
    "variant": "str", "role": "str", "measure": "str", "layer": "str", "scale": "str", "runs": "Int64", "n": "Int64",
    "baseline": "float64", "mean": "float64", "effect": "float64", "low": "float64", "high": "float64", "p": "float64",
    "p_holm": "float64", "family": "Int64",
}  # fmt: skip
COST: dict[str, str] = {
    "variant": "str", "role": "str", "params": "Int64", "params_ratio": "float64", "live_params": "Int64",
    "flops_per_step": "float64", "train_seconds": "float64", "seconds_ratio": "float64", "peak_memory_mb": "float64",
    "memory_ratio": "float64",
}  # fmt: skip
COVERAGE: dict[str, str] = {
    "variant": "str", "label": "str", "role": "str", "runs": "Int64", "ok": "Int64", "pairs": "Int64",
    "mean": "float64", "low": "float64", "high": "float64", "diverged": "Int64", "known_ends": "Int64",
    "paired_diverged": "Int64", "baseline_diverged": "Int64", "p": "float64", "p_holm": "float64", "family": "Int64",
    "first_non_finite": "float64", "coverage": "str", "failures": "str",
}  # fmt: skip


def ok_runs(runs: pd.DataFrame) -> pd.DataFrame:
    return runs[(runs["status"] == "ok") & runs["value"].notna()]


def effects_frame(arms: Sequence[Arm]) -> pd.DataFrame:
    """The main metric of every arm against the baseline; then of larger variants against the control of their size."""
    against_baseline = [_effect(arm, arms[0]) for arm in arms[1:]]
    against_control = [_effect(arm, control) for arm in arms[1:] if (control := _control(arm, arms)) is not None]
    for family in (against_baseline, against_control):
        _adjust(family)
    return typed_frame([*against_baseline, *against_control], EFFECTS)


def _effect(arm: Arm, base: Arm) -> dict[str, Any]:
    both = pd.DataFrame({"v": ok_runs(arm.runs)["value"], "b": ok_runs(base.runs)["value"]}).dropna()
    row = _paired_row(paired(both["v"] - both["b"]), "difference")
    names = {"variant": arm.name, "label": arm.label, "role": arm.role, "against": base.name}
    return names | {"baseline_mean": both["b"].mean(), "mean": both["v"].mean()} | row


def _control(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """The control nearest to a larger variant in parameters, where one is of its size."""
    size, base = _params(arm), _params(arms[0])
    if arm.role != "variant" or not size > base * (1 + LARGER):
        return None
    near = {
        control.name: (abs(_params(control) - size), control)
        for control in arms
        if control.role == "control" and -min(FEWER * size, (size - base) / 2) <= _params(control) - size <= MORE * size
    }
    return min(near.values(), key=lambda found: (found[0], found[1].name))[1] if near else None


def _params(arm: Arm) -> float:
    known = arm.runs["params"].dropna()
    return float(known.iloc[0]) if len(known) else math.nan


def _paired_row(result: Paired, effect: str) -> dict[str, Any]:
    return {"n": result.n, effect: result.mean, "low": result.low, "high": result.high, "p": result.p}


def _adjust(rows: Sequence[dict[str, Any]]) -> None:
    """Add Holm's p over a family, and its size, to its rows."""
    adjusted = holm([row["p"] for row in rows])
    size = sum(not math.isnan(p) for p in adjusted)
    for row, p in zip(rows, adjusted, strict=True):
        row |= {"p_holm": p, "family": size}


def diagnostics_frame(arms: Sequence[Arm], measures: pd.DataFrame, broke: Mapping[str, float]) -> pd.DataFrame:
    """Every measure and layer of every arm against the baseline; a family is one measure of one layer.

    A largest norm that was not finite (broke: its update by run) counts as the largest that any run of the study had.
    """
    by_run: dict[tuple[str, str], dict[str, float]] = {}
    for run, measure, layer, value in measures.itertuples(index=False):
        by_run.setdefault((measure, layer), {})[run] = value
    seeds = [list(zip(arm.runs["seed"].astype(int), arm.runs["id"], strict=True)) for arm in arms]
    rows: list[dict[str, Any]] = []
    for measure, layer in sorted(by_run, key=lambda key: (measuring.order(key[0]), key[1] != measuring.ALL, key[1])):
        values = by_run[(measure, layer)]
        if measure in ("grad.max", "grad.max_over_median"):
            values = {run: max(values.values()) for run, update in broke.items() if not math.isnan(update)} | values
        by_seed = [{seed: values[run] for seed, run in runs if run in values} for runs in seeds]
        family = [
            _measured(arm, of_arm, by_seed[0], measure, layer)
            for arm, of_arm in zip(arms[1:], by_seed[1:], strict=True)
        ]
        _adjust(family)
        rows += family
    return typed_frame(rows, DIAGNOSTICS)


def _measured(
    arm: Arm, of_arm: Mapping[int, float], base: Mapping[int, float], measure: str, layer: str
) -> dict[str, Any]:
    """One measure of one arm by seed: by difference for a share, else on the logarithm, given back as a ratio."""
    ratio = not measuring.is_share(measure)
    if ratio:
        of_arm, base = ({seed: math.log(v) for seed, v in some.items() if v > 0} for some in (of_arm, base))
    both = sorted(set(of_arm) & set(base))
    row = _paired_row(paired(of_arm[seed] - base[seed] for seed in both), "effect")
    row |= {"baseline": _mean(base[seed] for seed in both or base)}
    row |= {"mean": _mean(of_arm[seed] for seed in both or of_arm)}
    if ratio:
        row |= {key: math.exp(row[key]) for key in ("baseline", "mean", "effect", "low", "high")}
    scale = "ratio" if ratio else "difference"
    names = {"variant": arm.name, "role": arm.role, "measure": measure, "layer": layer, "scale": scale}
    return names | {"runs": len(of_arm)} | row


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return math.fsum(known) / len(known) if known else math.nan


def cost_frame(arms: Sequence[Arm]) -> tuple[pd.DataFrame, list[str]]:
    """What every arm costs, baseline first; times and memory only where all ok runs had one machine."""
    all_ok = pd.concat([ok_runs(arm.runs) for arm in arms])
    one_machine = len(all_ok[["device", "host", "threads", "torch"]].drop_duplicates()) <= 1
    backends = sorted(all_ok["backend"].dropna().unique())
    rows: list[dict[str, Any]] = []
    for arm in arms:
        ok = ok_runs(arm.runs)
        row: dict[str, Any] = {"variant": arm.name, "role": arm.role}
        row |= {key: _known(arm.runs[key]) for key in ("params", "live_params", "flops_per_step")}
        row |= {"train_seconds": ok["train_seconds"].median() if one_machine and len(ok) else math.nan}
        row |= {"peak_memory_mb": ok["peak_memory_mb"].median() if one_machine and len(ok) else math.nan}
        base = rows[0] if rows else row
        for key, ratio in (("params", "params"), ("train_seconds", "seconds"), ("peak_memory_mb", "memory")):
            row[f"{ratio}_ratio"] = _ratio(row[key], base[key])
        rows.append(row)
    notes = [] if one_machine else ["several machines or torch versions: no times and no memory"]
    if len(backends) > 1:
        notes.append(f"the runs had several backends ({', '.join(backends)}): times do not compare")
    return typed_frame(rows, COST), notes


def _known(values: pd.Series[Any]) -> Any:
    known = values.dropna()
    return known.iloc[0] if len(known) else None


def _ratio(value: Any, base: Any) -> float:
    known = value is not None and base is not None and base > 0
    return float(value) / float(base) if known else math.nan


def coverage_frame(arms: Sequence[Arm], broke: Mapping[str, float]) -> pd.DataFrame:
    """How the runs of every arm ended, baseline first, and whether it diverged more often than the baseline."""
    ends = [_diverged(arm, broke) for arm in arms]
    rows = []
    for arm, end in zip(arms, ends, strict=True):
        ok = ok_runs(arm.runs)
        mean, low, high = mean_ci(ok["value"])
        first = arm.runs["id"].map(broke).astype("float64").min()
        row = {"variant": arm.name, "label": arm.label, "role": arm.role, "runs": len(arm.runs), "ok": len(ok)}
        row |= {
            "pairs": len(ok.index.intersection(ok_runs(arms[0].runs).index)),
            "mean": mean,
            "low": low,
            "high": high,
        }
        both = pd.DataFrame({"v": end, "b": ends[0]}).dropna()
        row |= {"diverged": int(end.sum()), "known_ends": len(both), "paired_diverged": int(both["v"].sum())}
        row |= {"baseline_diverged": int(both["b"].sum())}
        unequal = both["v"] - both["b"]  # where no pair is, there is nothing to test, and no place in the family
        row |= {"p": sign_flip_p(unequal) if unequal.any() else math.nan}
        row |= {"first_non_finite": first, "coverage": coverage(arm.runs), "failures": failures(arm.runs)}
        rows.append(row)
    _adjust(rows)
    return typed_frame(rows, COVERAGE)


def _diverged(arm: Arm, broke: Mapping[str, float]) -> pd.Series[Any]:
    """1 for a run that diverged, 0 for one that did not, missing where it ended for another reason; by seed."""
    bad = (arm.runs["status"] == "diverged") | arm.runs["id"].map(broke).notna()
    return bad.astype("float64").where(bad | (arm.runs["status"] == "ok"))
