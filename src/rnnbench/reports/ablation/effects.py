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
from rnnbench.reports.statistics.ratios import ratio_of
from rnnbench.reports.tables.frames import Row, typed_frame

# A control is of a variant's size where it has as many parameters, as shares: a little fewer, or rather more, which
# makes it the harder one to beat. Sizes come in steps, and no width may lie nearer.
FEWER, MORE = 0.02, 0.10
LARGER = 0.01  # parameters more than the baseline's, as a share, from which size may be the reason for an effect

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
    """Those that ended ok and have a value of the main metric."""
    return runs[(runs["status"] == "ok") & runs["value"].notna()]


def effects_frame(arms: Sequence[Arm]) -> pd.DataFrame:
    """The main metric of every arm against the baseline; then of larger variants against the control of their size."""
    against_baseline = [_effect(arm, arms[0]) for arm in arms[1:]]
    against_control = [_effect(arm, control) for arm in arms[1:] if (control := _control(arm, arms)) is not None]
    for family in (against_baseline, against_control):
        _adjust(family)
    return typed_frame([*against_baseline, *against_control], EFFECTS)


def _effect(arm: Arm, base: Arm) -> Row:
    both = pd.DataFrame({"v": ok_runs(arm.runs)["value"], "b": ok_runs(base.runs)["value"]}).dropna()
    row = _paired_row(paired(both["v"] - both["b"]), "difference")
    names = {"variant": arm.name, "label": arm.label, "role": arm.role, "against": base.name}
    return names | {"baseline_mean": both["b"].mean(), "mean": both["v"].mean()} | row


def _control(arm: Arm, arms: Sequence[Arm]) -> Arm | None:
    """The control nearest to a larger variant in parameters, where one is of its size."""
    size, base = _params(arm), _params(arms[0])
    if arm.role != "variant" or not size > base * (1 + LARGER):
        return None
    fewest = -min(FEWER * size, (size - base) / 2)  # never nearer to the baseline than to the variant
    near = []
    for control in arms:
        more = _params(control) - size
        if control.role == "control" and fewest <= more <= MORE * size:
            near.append((abs(more), control.name, control))
    return min(near, key=lambda found: found[:2])[2] if near else None


def _params(arm: Arm) -> float:
    known = arm.runs["params"].dropna()
    return float(known.iloc[0]) if len(known) else math.nan


def _paired_row(result: Paired, effect: str) -> Row:
    return {"n": result.n, effect: result.mean, "low": result.low, "high": result.high, "p": result.p}


def _adjust(rows: Sequence[Row]) -> None:
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
    broken = [run for run, update in broke.items() if not math.isnan(update)]
    rows: list[Row] = []
    for measure, layer in sorted(by_run, key=_place):
        values = by_run[(measure, layer)]
        if measure in ("grad.max", "grad.max_over_median"):
            values = dict.fromkeys(broken, max(values.values())) | values
        base = _by_seed(arms[0], values)
        family = []
        for arm in arms[1:]:
            names = {"variant": arm.name, "role": arm.role, "measure": measure, "layer": layer}
            family.append(names | _measured(_by_seed(arm, values), base, measure))
        _adjust(family)
        rows += family
    return typed_frame(rows, DIAGNOSTICS)


def _place(of: tuple[str, str]) -> tuple[tuple[int, int, str], bool, str]:
    """Where a measure of a layer stands in the frame: over all layers first."""
    measure, layer = of
    return measuring.order(measure), layer != measuring.ALL, layer


def _by_seed(arm: Arm, values: Mapping[str, float]) -> dict[int, float]:
    """An arm's values by seed. values: by run."""
    seeds = zip(arm.runs["seed"].astype(int), arm.runs["id"], strict=True)
    return {seed: values[run] for seed, run in seeds if run in values}


def _measured(of_arm: Mapping[int, float], base: Mapping[int, float], measure: str) -> Row:
    """One measure of one arm by seed: by difference for a share, else on the logarithm, given back as a ratio."""
    if measuring.is_share(measure):
        return {"scale": "difference", "runs": len(of_arm)} | _pairs(of_arm, base)
    of_arm, base = _logarithms(of_arm), _logarithms(base)
    row = _pairs(of_arm, base)
    row |= {key: ratio_of(row[key]) for key in ("baseline", "mean", "effect", "low", "high")}
    return {"scale": "ratio", "runs": len(of_arm)} | row


def _logarithms(by_seed: Mapping[int, float]) -> dict[int, float]:
    return {seed: math.log(value) for seed, value in by_seed.items() if value > 0}


def _pairs(of_arm: Mapping[int, float], base: Mapping[int, float]) -> Row:
    """Effect and means over the pairs; where there is none the means are over all runs."""
    both = sorted(set(of_arm) & set(base))
    row = _paired_row(paired(of_arm[seed] - base[seed] for seed in both), "effect")
    row["baseline"] = _mean(base[seed] for seed in both or base)
    row["mean"] = _mean(of_arm[seed] for seed in both or of_arm)
    return row


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return math.fsum(known) / len(known) if known else math.nan


def cost_frame(arms: Sequence[Arm]) -> tuple[pd.DataFrame, list[str]]:
    """What every arm costs, baseline first; times and memory only where all ok runs had one machine."""
    all_ok = pd.concat([ok_runs(arm.runs) for arm in arms])
    one_machine = len(all_ok[["device", "host", "threads", "torch"]].drop_duplicates()) <= 1
    rows = [_cost(arm, one_machine) for arm in arms]
    for row in rows:
        for key, ratio in (("params", "params"), ("train_seconds", "seconds"), ("peak_memory_mb", "memory")):
            row[f"{ratio}_ratio"] = _ratio(row[key], rows[0][key])
    notes = []
    if not one_machine:
        notes.append("several machines or torch versions: no times and no memory")
    backends = sorted(all_ok["backend"].dropna().unique())
    if len(backends) > 1:
        notes.append(f"the runs had several backends ({', '.join(backends)}): times do not compare")
    return typed_frame(rows, COST), notes


def _cost(arm: Arm, one_machine: bool) -> Row:
    """Sizes, and medians of what was measured, missing where there were several machines."""
    ok = ok_runs(arm.runs)
    row: Row = {"variant": arm.name, "role": arm.role}
    for key in ("params", "live_params", "flops_per_step"):
        row[key] = _known(arm.runs[key])
    for key in ("train_seconds", "peak_memory_mb"):
        row[key] = ok[key].median() if one_machine and len(ok) else math.nan
    return row


def _known(values: pd.Series[Any]) -> Any:
    known = values.dropna()
    return known.iloc[0] if len(known) else None


def _ratio(value: Any, base: Any) -> float:
    known = value is not None and base is not None and base > 0
    return float(value) / float(base) if known else math.nan


def coverage_frame(arms: Sequence[Arm], broke: Mapping[str, float]) -> pd.DataFrame:
    """How the runs of every arm ended, baseline first, and whether it diverged more often than the baseline."""
    base = arms[0]
    rows = []
    for arm in arms:
        ok = ok_runs(arm.runs)
        mean, low, high = mean_ci(ok["value"])
        rows.append({
            "variant": arm.name,
            "label": arm.label,
            "role": arm.role,
            "runs": len(arm.runs),
            "ok": len(ok),
            "pairs": len(ok.index.intersection(ok_runs(base.runs).index)),
            "mean": mean,
            "low": low,
            "high": high,
            **_divergence(_diverged(arm, broke), _diverged(base, broke)),
            "first_non_finite": arm.runs["id"].map(broke).astype("float64").min(),
            "coverage": coverage(arm.runs),
            "failures": failures(arm.runs),
        })  # fmt: skip
    _adjust(rows)
    return typed_frame(rows, COVERAGE)


def _divergence(own: pd.Series[Any], base: pd.Series[Any]) -> Row:
    """How often a variant and its baseline diverged (see `_diverged`), and the p of the difference."""
    both = pd.DataFrame({"own": own, "base": base}).dropna()
    unequal = both["own"] - both["base"]
    return {
        "diverged": int(own.sum()),
        "known_ends": len(both),
        "paired_diverged": int(both["own"].sum()),
        "baseline_diverged": int(both["base"].sum()),
        # Where every pair ended alike there is nothing to test, and no place in the family.
        "p": sign_flip_p(unequal) if unequal.any() else math.nan,
    }


def _diverged(arm: Arm, broke: Mapping[str, float]) -> pd.Series[Any]:
    """1 for a run that diverged, 0 for one that did not, missing where it ended for another reason; by seed."""
    bad = (arm.runs["status"] == "diverged") | arm.runs["id"].map(broke).notna()
    return bad.astype("float64").where(bad | (arm.runs["status"] == "ok"))
