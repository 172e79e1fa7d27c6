"""The numbers that a check of a claim stands on: one a seed, paired where it compares, and why others are left out."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rnnbench.reports.claims.measures import CENSORED, MEASURES, OF_COST, normalised, score
from rnnbench.reports.claims.wording import Check, Select, matches
from rnnbench.reports.statistics.ratios import log_ratio
from rnnbench.store.curves import Curves
from rnnbench.store.record import Record
from rnnbench.store.rows import machine, number, part

SMOKE = "smoke"


@dataclass(frozen=True)
class Values:
    """values: one a seed, or a pair of a seed (a logarithm where the check is a ratio); notes: what else to know.

    found: seeds with a run on every side, whatever became of it; settings: whether a side has runs of more than one
    setting, which are nobody's to choose from; compared_on: of cost, backend, device and threads; levels: the mean of
    each side over these seeds. scores: of a comparison of scores or losses the mean score of each side over them;
    solved: the score from which on the task is solved, as the records say it; NaN if they do not.
    """

    values: list[float]
    notes: list[str]
    found: int
    settings: bool
    compared_on: str = ""
    levels: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    solved: float = math.nan


@dataclass
class _Side:
    """One side by seed. limits: of runs that never got there, what the value is at least; on: what it ran on."""

    values: dict[int, float] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)
    solved: float = math.nan
    limits: dict[int, float] = field(default_factory=dict)
    machines: dict[int, str] = field(default_factory=dict)
    seeds: set[int] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    on: set[str] = field(default_factory=set)
    settings: bool = False


def values_of(check: Check, records: Sequence[Record], histories: Curves) -> Values:
    """The values of a check from the records of its claim."""
    first = _side(check.first, check, records, histories)
    second = None if check.second is None else _side(check.second, check, records, histories)
    return _level(first, check) if second is None else _comparison(first, second, check)


def _level(side: _Side, check: Check) -> Values:
    """Of a check of one side: its values by seed."""
    values = [side.values[seed] for seed in sorted(side.values)]
    return Values(
        values=values,
        notes=list(dict.fromkeys(side.notes)),
        found=len(side.seeds),
        settings=side.settings,
        compared_on=_in_words(side.on, check),
        levels=_means(values),
    )


def _comparison(first: _Side, second: _Side, check: Check) -> Values:
    """Of a check of two sides: the differences, or logarithms of ratios, of their pairs by seed."""
    notes = list(dict.fromkeys([*first.notes, *second.notes]))
    pairs = _pairs(first, second)
    apart = {seed for seed in pairs if first.machines[seed] != second.machines[seed]}
    if apart and check.measure in OF_COST:
        notes.append(f"{len(apart)} pairs are of two machines, torch versions, thread counts or precisions")
        pairs = {seed: pair for seed, pair in pairs.items() if seed not in apart}
    in_order = [pairs[seed] for seed in sorted(pairs)]
    return Values(
        values=[log_ratio(a, b) if check.ratio else a - b for a, b in in_order],
        notes=notes,
        found=len(first.seeds & second.seeds),
        settings=first.settings or second.settings,
        compared_on=_in_words(first.on | second.on, check),
        levels=_means([a for a, _ in in_order]) + _means([b for _, b in in_order]),
        scores=_scores(first, pairs) + _scores(second, pairs),
        solved=first.solved,
    )


def _scores(side: _Side, seeds: Iterable[int]) -> tuple[float, ...]:
    """The mean score of one side over the seeds compared; none where a run of them has none."""
    found = [side.scores.get(seed, math.nan) for seed in seeds]
    return _means(found) if not any(map(math.isnan, found)) else ()


def _in_words(on: set[str], check: Check) -> str:
    """What a cost was measured on; nothing of other measures."""
    return "; ".join(sorted(on)) if check.measure in OF_COST else ""


def _means(values: Sequence[float]) -> tuple[float, ...]:
    """The mean of some values; none of none."""
    return (math.fsum(values) / len(values),) if values else ()


def _pairs(first: _Side, second: _Side) -> dict[int, tuple[float, float]]:
    """Both values by seed. Where one side alone never got there it has its limit, which is less than the truth."""
    a, b = first.limits | first.values, second.limits | second.values
    got_there = first.values.keys() | second.values.keys()
    return {seed: (a[seed], b[seed]) for seed in a.keys() & b.keys() & got_there}


def _side(select: Select, check: Check, records: Sequence[Record], histories: Curves) -> _Side:
    """The measure of the runs selected, and remarks on those that do not count."""
    side = _Side()
    found = [record for record in records if matches(record, select)]
    runs = [record for record in found if not is_trial(record)]
    if len(runs) < len(found):
        side.notes.append(f"{len(found) - len(runs)} runs of budget=smoke do not count")
    side.seeds = {int(record["seed"]) for record in runs}
    different = {(record["seed"], record["id"]) for record in runs}
    if len(different) > len(side.seeds):
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
    run, status, seed = str(record["id"]), str(record["status"]), int(record["seed"])
    if status != "ok":
        lost[status] += 1
        has_score = check.measure == "score" and status == "diverged"
        if not has_score:
            return
    side.machines[seed] = _machine(record)
    if (scored := score(record, [], None)) is not None:
        side.scores[seed] = scored
        side.solved = normalised(number(record.get("solved")), record)
    side.on.add(f"{record.get('backend')}, {record.get('device')}, threads={record.get('threads')}")
    value = MEASURES[check.measure](record, histories.get(run, []), check.outputs)
    can_be_a_ratio = value is not None and value > 0
    if value is not None and (can_be_a_ratio or not check.ratio):
        side.values[seed] = value
        return
    lost[f"without {check.measure.replace('_', ' ')}"] += 1
    limit = number(record.get(CENSORED.get(check.measure, "")))
    if limit > 0 and run in histories:
        side.limits[seed] = limit


def is_trial(record: Record) -> bool:
    """Whether a run was only to see that it runs (budget=smoke): it is no evidence."""
    return bool(part(record, "budget").get("name") == SMOKE)


def _machine(record: Record) -> str:
    """All that a cost depends on beside what is compared: two runs are set against each other on one alone."""
    facts = [record.get(key) for key in ("device", "threads", "precision")]
    return json.dumps([machine(record), *facts, part(record, "packages").get("torch")], sort_keys=True)
