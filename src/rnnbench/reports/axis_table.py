"""What one axis does with all else equal: peephole, direction, depth and operator, paired by seed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.across_table import between
from rnnbench.reports.export import Section, Table
from rnnbench.reports.frames import BLOCK, compact_json
from rnnbench.reports.numbers import known, short
from rnnbench.reports.paired import holm, paired
from rnnbench.reports.tables import ARROW

BASE = {"peephole": "off", "direction": "forward", "depth": "1", "operator": "dense"}
SAME = {"none": "off"}  # how a peephole that is absent may be called
FEWEST_FOR_TEST = 8  # a sign-flip test of fewer pairs survives no family
ALPHA = 0.05
SIZE = 0.01  # parameters that differ by more than this share are told: a wider network may do as well
TERMS = (*BLOCK, "device_kind", "precision", "training")
COLUMNS: dict[str, str] = {
    "axis": "str", "value": "str", "against": "str", "dataset": "str", "protocol": "str", "budget": "str",
    "updates": "Int64", "device": "str", "precision": "str", "training": "str", "label": "str", "metric": "str",
    "goal": "str", "n": "Int64", "base": "float64", "mean": "float64", "gain": "float64", "low": "float64",
    "high": "float64", "score_gain": "float64", "p": "float64", "p_holm": "float64", "family": "Int64",
    "verdict": "str", "notes": "str",
}  # fmt: skip
LEGEND = (
    "Gain: the mean difference between runs of one seed that differ in this axis only, with its 95% interval; above 0 "
    "is better, whatever the metric's direction. Score gain: the same where floor to target is 1. p: sign-flip test, "
    "from 8 pairs on, Holm over all tests of the axis. better, worse: p (Holm) ≤ .05; perhaps: the interval alone "
    "leaves out 0; open: neither. Parameters are not held equal: the notes say where they differ."
)
LEFT = frozenset({"value", "dataset", "entry", "verdict", "notes"})
Row = dict[str, Any]


def axis_table(runs: pd.DataFrame) -> Table:
    """The paired effect of each axis in runs (of `chosen.chosen`): one row a value, task and network otherwise equal.

    The baseline is no peephole, forward, one layer, the dense operator. Compared are ok runs of one seed on one task
    (`BLOCK`), device, precision and training options; the backend may follow from the axis and is noted then.
    """
    ok = runs[(runs["status"] == "ok") & runs["value"].notna() & runs["seed"].notna()]
    rows: list[Row] = []
    for axis in BASE:
        family = list(_effects(ok, axis))
        _judge(family)
        rows += sorted(family, key=lambda row: [str(row[key]) for key in ("value", "dataset", "label", "training")])
    frame = pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in COLUMNS.items()})
    sections = [_section(axis, [row for row in rows if row["axis"] == axis]) for axis in BASE]
    sections = [section for section in sections if section.rows]
    return Table("axes", frame, sections, LEGEND, LEFT, "No two entries differ in one axis only.")


@lru_cache(maxsize=200_000)
def _split(axes: str, axis: str) -> tuple[str, str] | None:
    """An entry's value on an axis, and the rest of its axes as text; None where it has no such axis."""
    try:
        all_axes = json.loads(axes)
    except ValueError:  # a study of a search
        return None
    if not isinstance(all_axes, dict) or all_axes.get(axis) is None:
        return None
    rest = {key: value for key, value in all_axes.items() if key not in (axis, "backend")}
    if axis == "operator" and str(rest.get("cell", "")).startswith("conv"):
        rest["cell"] = str(rest["cell"]).removeprefix("conv")
    value = str(all_axes[axis])
    return SAME.get(value, value), compact_json(rest)


def _effects(ok: pd.DataFrame, axis: str) -> Iterator[Row]:
    of = {axes: _split(axes, axis) for axes in ok["axes"].unique()}
    found = ok["axes"].map(of)
    ok = ok[found.notna()]
    if ok.empty:
        return
    found = found[found.notna()]
    ok = ok.assign(axis_value=[value for value, _ in found], rest=[rest for _, rest in found])
    keys = [*TERMS, "rest"]
    ok = ok.assign(context=ok.groupby(keys, dropna=False).ngroup())
    values = ok.groupby("context")["axis_value"]
    based = (ok["axis_value"] == BASE[axis]).groupby(ok["context"]).transform("any")
    ok = ok[based & (values.transform("nunique") > 1)]
    for _, context in ok.groupby("context"):
        base = context[context["axis_value"] == BASE[axis]]
        for value, mine in context[context["axis_value"] != BASE[axis]].groupby("axis_value"):
            yield _effect(axis, str(value), mine, base)


def _effect(axis: str, value: str, mine: pd.DataFrame, base: pd.DataFrame) -> Row:
    first = base.iloc[0]
    both = pd.DataFrame({"v": _by_seed(mine), "b": _by_seed(base)}).dropna()
    sign = -1.0 if first["goal"] == "min" else 1.0
    found = paired(sign * (both["v"] - both["b"]))
    floor, target = sign * first["floor"], sign * first["target"]
    backends = [sorted(part["backend"].dropna().unique()) for part in (base, mine)]
    notes = [f"backend {'/'.join(backends[0])} against {'/'.join(backends[1])}"] if backends[0] != backends[1] else []
    sizes = [float(part["params"].astype("float64").median()) for part in (base, mine)]
    if sizes[0] > 0 and abs(sizes[1] / sizes[0] - 1) > SIZE:
        notes.append(f"parameters ×{sizes[1] / sizes[0]:.2f}")
    if lost := len(set(base["seed"]) ^ set(mine["seed"])):
        notes.append(f"{lost} seeds without a pair")
    return {
        "axis": axis, "value": value, "against": BASE[axis], "label": first["label"], "device": first["device_kind"],
        **{name: first[name] for name in ("dataset", "protocol", "budget", "updates", "precision", "training")},
        "metric": first["metric"], "goal": first["goal"], "n": found.n, "base": both["b"].mean(),
        "mean": both["v"].mean(), "gain": found.mean, "low": found.low, "high": found.high,
        "score_gain": found.mean / (target - floor) if target > floor else math.nan,
        "p": found.p if found.n >= FEWEST_FOR_TEST else math.nan, "notes": "; ".join(notes),
    }  # fmt: skip


def _by_seed(runs: pd.DataFrame) -> pd.Series[Any]:
    """A value for each seed; of two runs of one seed (two configs whose axes are equal) their mean."""
    return runs.groupby("seed")["value"].mean()


def _judge(family: Sequence[Row]) -> None:
    """Add Holm's p over an axis' tests, and what can be said."""
    adjusted = holm([row["p"] for row in family])
    size = int(np.sum(~np.isnan(adjusted)))
    for row, p in zip(family, adjusted, strict=True):
        sure = known(p) and p <= ALPHA
        apart = known(row["low"]) and (row["low"] > 0 or row["high"] < 0)
        word = "better" if row["gain"] > 0 else "worse"
        verdict = word if sure else f"perhaps {word}" if apart else "open"
        row |= {"p_holm": p, "family": size, "verdict": verdict if row["n"] else "no pairs"}


def _section(axis: str, rows: Sequence[Row]) -> Section:
    counts = {word: sum(row["verdict"] == word for row in rows) for word in ("better", "worse")}
    rest = len(rows) - sum(counts.values())
    said = f"{len(rows)} comparisons: {counts['better']} better, {counts['worse']} worse, {rest} not told apart"
    texts = [_texts(row) for row in rows]
    blank = {name for name in ("score gain", "p (Holm)", "notes") if not any(text[name] for text in texts)}
    kept = [{name: text for name, text in each.items() if name not in blank} for each in texts]
    return Section(f"{axis}, against {BASE[axis]}", kept, said)


def _texts(row: Row) -> dict[str, str]:
    on = [str(row[key]) for key in ("dataset", "budget") if not pd.isna(row[key])]
    return {
        "value": row["value"],
        "dataset": " · ".join(on),
        "entry": str(row["label"]),
        "metric": f"{row['metric']} {ARROW.get(str(row['goal']), '')}".strip(),
        "n": str(row["n"]),
        "against": short(row["base"]),
        "gain": short(row["gain"], 3) + _interval(row),
        "score gain": between(row["score_gain"], math.nan, math.nan, 3),
        "p (Holm)": f"{row['p_holm']:.2g}" if known(row["p_holm"]) else "",
        "verdict": row["verdict"],
        "notes": row["notes"],
    }


def _interval(row: Row) -> str:
    return f" [{short(row['low'], 3)}, {short(row['high'], 3)}]" if known(row["low"]) else ""
