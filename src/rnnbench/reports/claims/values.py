"""The numbers that a check of a claim stands on: one a seed, paired where it compares, and why others are left out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnbench.reports.claims.measures import CENSORED, MEASURES, OF_COST
from rnnbench.reports.claims.wording import Check, Select, matches
from rnnbench.store.curves import Curves
from rnnbench.store.rows import number, part

SMOKE = "smoke"
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Values:
    """values: one a seed, or a pair of a seed (a logarithm where the check is a ratio); notes: what else to know.

    found: seeds with a run on every side, whatever became of it; settings: whether a side has runs of more than one
    setting, which are nobody's to choose from; compared_on: of cost, backend, device and threads; levels: the mean of
    each side over these seeds.
    """

    values: list[float]
    notes: list[str]
    found: int
    settings: bool
    compared_on: str = ""
    levels: tuple[float, ...] = ()


@dataclass
class _Side:
    """One side by seed. limits: of runs that never got there, what the value is at least; on: what it ran on."""

    values: dict[int, float] = field(default_factory=dict)
    limits: dict[int, float] = field(default_factory=dict)
    machines: dict[int, str] = field(default_factory=dict)
    seeds: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    on: set[str] = field(default_factory=set)
    settings: bool = False


def values_of(check: Check, records: Sequence[Record], histories: Curves) -> Values:
    """The values of a check from the records of its claim."""
    sides = [_side(select, check, records, histories) for select in (check.first, check.second) if select is not None]
    notes = list(dict.fromkeys(note for side in sides for note in side.notes))
    cost = check.measure in OF_COST
    on = "; ".join(sorted({word for side in sides for word in side.on})) if cost else ""
    found = len(set.intersection(*(side.seeds for side in sides)))
    several = any(side.settings for side in sides)
    if len(sides) == 1:
        values = [sides[0].values[seed] for seed in sorted(sides[0].values)]
        levels = [values]
    else:
        pairs = _pairs(sides[0], sides[1])
        if cost and (apart := [s for s in pairs if sides[0].machines[s] != sides[1].machines[s]]):
            notes.append(f"{len(apart)} pairs are of two machines, torch versions, thread counts or precisions")
            pairs = {seed: pair for seed, pair in pairs.items() if seed not in apart}
        values = [math.log(a / b) if check.ratio else a - b for _, (a, b) in sorted(pairs.items())]
        levels = [[pairs[seed][side] for seed in sorted(pairs)] for side in (0, 1)]
    means = tuple(math.fsum(level) / len(level) for level in levels if level)
    return Values(values, notes, found, several, on, means)


def _pairs(first: _Side, second: _Side) -> dict[int, tuple[float, float]]:
    """Both values by seed. Where one side alone never got there it has its limit, which is less than the truth."""
    a, b = first.limits | first.values, second.limits | second.values
    got_there = first.values.keys() | second.values.keys()
    return {seed: (a[seed], b[seed]) for seed in a.keys() & b.keys() & got_there}


def _side(select: Select, check: Check, records: Sequence[Record], histories: Curves) -> _Side:
    """The measure of the runs selected, and remarks on those that do not count."""
    side = _Side()
    found = [record for record in records if matches(record, select)]
    tried = [record for record in found if (record.get("budget") or {}).get("name") == SMOKE]
    runs = [record for record in found if (record.get("budget") or {}).get("name") != SMOKE]
    side.notes += [f"{len(tried)} runs of budget=smoke do not count"] * bool(tried)
    side.seeds = {int(record["seed"]) for record in runs}
    if len({(record["seed"], record["id"]) for record in runs}) > len(side.seeds):
        side.settings = True
        side.notes.append("the runs are of more than one setting (budget or options)")
        return side
    lost: Counter[str] = Counter()
    for record in runs:
        _count(side, lost, record, check, histories)
    side.notes += [f"{n} {word}" for word, n in lost.items()]
    return side


def _count(side: _Side, lost: Counter[str], record: Record, check: Check, histories: Curves) -> None:
    """Enter one run into its side, or into what is lost."""
    value = MEASURES[check.measure](record, histories.get(str(record["id"]), []), check.outputs)
    usable = record["status"] == "ok" or (check.measure == "score" and record["status"] == "diverged")
    if record["status"] != "ok":
        lost[str(record["status"])] += 1
    if not usable:
        return
    seed = int(record["seed"])
    side.machines[seed] = _machine(record)
    side.on.add(f"{record.get('backend')}, {record.get('device')}, threads={record.get('threads')}")
    if value is not None and (value > 0 or not check.ratio):
        side.values[seed] = value
        return
    lost[f"without {check.measure.replace('_', ' ')}"] += 1
    limit = number(record.get(CENSORED.get(check.measure, "")))
    if limit > 0 and str(record["id"]) in histories:
        side.limits[seed] = limit


def _machine(record: Record) -> str:
    """All that a cost depends on beside what is compared: two runs are set against each other on one alone."""
    facts = [record.get(key) for key in ("host", "device", "threads", "precision")]
    return json.dumps([*facts, part(record, "packages").get("torch")], sort_keys=True)
