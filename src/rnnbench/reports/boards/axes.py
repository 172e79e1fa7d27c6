"""What one axis does with all else equal: peephole, direction, depth and operator, paired by seed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.selection.coverage import coverage
from rnnbench.reports.statistics.means import can_part
from rnnbench.reports.statistics.paired import holm, paired
from rnnbench.reports.tables.frames import Row, typed_frame
from rnnbench.reports.tables.labels import bracketed, dotted
from rnnbench.reports.tables.numbers import between, known, p_text, short, with_arrow, with_ends
from rnnbench.reports.tables.table import Section, Table, without_empty
from rnnbench.store.rows import BLOCK, compact_json, parts

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
    "runs": "Int64", "lost": "Int64", "base_runs": "Int64", "base_lost": "Int64", "verdict": "str", "notes": "str",
}  # fmt: skip
LEGEND = (
    "Gain: the mean difference between runs of one seed that differ in this axis only, with its 95% interval; above 0 "
    "is better, whatever the metric's direction. Score gain: the same where floor to target is 1. p: sign-flip test, "
    "from 8 pairs on, Holm over all tests of the axis. better, worse: p (Holm) ≤ .05; perhaps: the interval alone "
    "leaves out 0; open: neither. Only runs that ended well have a gain, so who fails more often than the baseline is "
    "never called better (fails more), and who fails less often never worse (fails less). "
    "Parameters are not held equal: the notes say where they differ."
)
LEFT = frozenset({"value", "dataset", "entry", "verdict", "notes"})


def axis_table(runs: pd.DataFrame) -> Table:
    """The paired effect of each axis in runs (of `chosen.chosen`): one row a value, task and network otherwise equal.

    The baseline is no peephole, forward, one layer, the dense operator. Compared are ok runs of one seed on one task
    (`BLOCK`), device, precision and training options; the backend may follow from the axis and is noted then. Failed
    runs stay in sight: they are counted on both sides (runs, lost, base_runs, base_lost), and a value whose runs all
    failed has a row as well. They are not imputed: a gain in the metric's unit would then be that of the floor.
    """
    seeded = runs[runs["seed"].notna()]
    rows: list[Row] = []
    for axis in BASE:
        family = list(_effects(seeded, axis))
        _judge(family)
        rows += sorted(family, key=lambda row: [str(row[key]) for key in ("value", "dataset", "label", "training")])
    sections = [_section(axis, [row for row in rows if row["axis"] == axis]) for axis in BASE]
    sections = [section for section in sections if section.rows]
    return Table("axes", typed_frame(rows, COLUMNS), sections, LEGEND, LEFT, "No two entries differ in one axis only.")


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


def _effects(runs: pd.DataFrame, axis: str) -> Iterator[Row]:
    of = {axes: _split(axes, axis) for axes in runs["axes"].unique()}
    if {BASE[axis]} >= {split[0] for split in of.values() if split is not None}:  # nothing to set against the baseline
        return
    found = runs["axes"].map(of)
    runs = runs[found.notna()]
    if runs.empty:
        return
    found = found[found.notna()]
    runs = runs.assign(axis_value=[value for value, _ in found], rest=[rest for _, rest in found])
    keys = [*TERMS, "rest"]
    runs = runs.assign(context=runs.groupby(keys, dropna=False).ngroup())
    values = runs.groupby("context")["axis_value"]
    based = (runs["axis_value"] == BASE[axis]).groupby(runs["context"]).transform("any")
    runs = runs[based & (values.transform("nunique") > 1)]
    for _, context in runs.groupby("context"):
        base = context[context["axis_value"] == BASE[axis]]
        for value, mine in context[context["axis_value"] != BASE[axis]].groupby("axis_value"):
            yield _effect(axis, str(value), mine, base)


def _effect(axis: str, value: str, mine: pd.DataFrame, base: pd.DataFrame) -> Row:
    first = base.iloc[0]
    ok = [part[(part["status"] == "ok") & part["value"].notna()] for part in (base, mine)]
    both = pd.DataFrame({"v": _by_seed(ok[1]), "b": _by_seed(ok[0])}).dropna()
    sign = -1.0 if first["goal"] == "min" else 1.0
    found = paired(sign * (both["v"] - both["b"]))
    context = pd.concat([base, mine])
    floor, target = (sign * context[name].dropna().max() for name in ("floor", "target"))  # the task's: all are equal
    return {
        "axis": axis, "value": value, "against": BASE[axis], "label": first["label"], "device": first["device_kind"],
        **{name: first[name] for name in ("dataset", "protocol", "budget", "updates", "precision", "training")},
        "metric": first["metric"], "goal": first["goal"], "n": found.n, "base": both["b"].mean(),
        "mean": both["v"].mean(), "gain": found.mean, "low": found.low, "high": found.high,
        "score_gain": found.mean / (target - floor) if target > floor else math.nan,
        "p": found.p if found.n >= FEWEST_FOR_TEST else math.nan, "runs": len(mine), "lost": len(mine) - len(ok[1]),
        "base_runs": len(base), "base_lost": len(base) - len(ok[0]), "notes": "; ".join(_notes(base, mine)),
    }  # fmt: skip


def _notes(base: pd.DataFrame, mine: pd.DataFrame) -> list[str]:
    """What else differs between the two sides, and what became of the runs that have no pair."""
    backends = [sorted(part["backend"].dropna().unique()) for part in (base, mine)]
    notes = [f"backend {'/'.join(backends[0])} against {'/'.join(backends[1])}"] if backends[0] != backends[1] else []
    sizes = [float(part["params"].astype("float64").median()) for part in (base, mine)]
    if sizes[0] > 0 and abs(sizes[1] / sizes[0] - 1) > SIZE:
        notes.append(f"parameters ×{sizes[1] / sizes[0]:.2f}")
    for name, part in (("", mine), ("the baseline's ", base)):
        if lost := coverage(part).partition(": ")[2]:
            notes.append(f"{name}{lost} of {len(part)}")
    if alone := len(set(base["seed"]) ^ set(mine["seed"])):
        notes.append(f"{alone} seeds without a pair")
    return notes


def _by_seed(runs: pd.DataFrame) -> pd.Series[Any]:
    """A value for each seed; of two runs of one seed (two configs whose axes are equal) their mean."""
    return runs.groupby("seed")["value"].mean()


def _judge(family: Sequence[Row]) -> None:
    """Add Holm's p over an axis' tests, and what can be said."""
    adjusted = holm([row["p"] for row in family])
    size = int(np.sum(~np.isnan(adjusted)))
    for row, p in zip(family, adjusted, strict=True):
        sure = known(p) and p <= ALPHA
        apart = can_part(row["low"], row["high"], row["n"]) and (row["low"] > 0 or row["high"] < 0)
        word = "better" if row["gain"] > 0 else "worse"
        verdict = word if sure else f"perhaps {word}" if apart else "open"
        row |= {"p_holm": p, "family": size, "verdict": _with_failures(row, verdict) if row["n"] else "no pairs"}


def _with_failures(row: Row, verdict: str) -> str:
    """The verdict of the survivors, unless the side that it prefers fails more often: what survived is no fair draw."""
    more = row["lost"] / row["runs"] - row["base_lost"] / row["base_runs"]
    if more > 0 and verdict.endswith("better"):
        return "fails more"
    if more < 0 and verdict.endswith("worse"):
        return "fails less"
    return verdict


def _section(axis: str, rows: Sequence[Row]) -> Section:
    better, worse = (sum(row["verdict"] == word for row in rows) for word in ("better", "worse"))
    rest = len(rows) - better - worse
    said = f"{len(rows)} comparisons: {better} better, {worse} worse, {rest} not told apart"
    trained = _trained(rows)
    texts = [_texts(row, words) for row, words in zip(rows, trained, strict=True)]
    kept = without_empty(texts, ("score gain", "p (Holm)", "notes"))
    return Section(f"{axis}, against {BASE[axis]}", kept, said)


def _trained(rows: Sequence[Row]) -> list[list[str]]:
    """How the networks of rows that would read alike were trained: what not all of them share is to be said."""
    words: list[list[str]] = [[] if pd.isna(row["training"]) else parts(str(row["training"])) for row in rows]
    shared: dict[tuple[str, ...], set[str]] = {}
    for row, mine in zip(rows, words, strict=True):
        alike = _alike(row)
        shared[alike] = shared.get(alike, set(mine)) & set(mine)
    return [[word for word in mine if word not in shared[_alike(row)]] for row, mine in zip(rows, words, strict=True)]


def _alike(row: Row) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in ("value", "dataset", "protocol", "budget", "label", "metric"))


def _texts(row: Row, trained: Sequence[str]) -> dict[str, str]:
    return {
        "value": row["value"],
        "dataset": dotted(row["dataset"], row["budget"]),
        "entry": bracketed(str(row["label"]), trained),
        "metric": with_arrow(row["metric"], row["goal"]),
        "n": str(row["n"]),
        "against": short(row["base"]),
        "gain": with_ends(row["gain"], row["low"], row["high"]),
        "score gain": between(row["score_gain"], math.nan, math.nan, 3),
        "p (Holm)": p_text(row["p_holm"]),
        "verdict": row["verdict"],
        "notes": row["notes"],
    }
