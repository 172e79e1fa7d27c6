"""Verdicts in plain words, computed from the numbers of a study by the rules of `rules`; never by a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rnnbench.reports.ablation.answers import (
    BY_SIZE,
    HELPS,
    HURTS,
    SAME,
    VOID,
    Case,
    Verdict,
    answers,
    choose,
)
from rnnbench.reports.ablation.design import Spec
from rnnbench.reports.ablation.effects import FEWER, LARGER, MORE
from rnnbench.reports.ablation.gradients import FEWEST_FOR_ABSENT, UNKNOWN, gradient_rules, gradient_verdict
from rnnbench.reports.ablation.measures import ALL
from rnnbench.reports.statistics.paired import smallest_p
from rnnbench.reports.statistics.room import LEARNED, Room, no_room
from rnnbench.reports.tables.frames import Row
from rnnbench.reports.tables.numbers import estimate, missing, p_bound, p_text, short

ALPHA = 0.05


@dataclass(frozen=True)
class Verdicts:
    """effects, gradients: the verdict on each variant and control. answers: plain words by question. choice: a name."""

    effects: Mapping[str, Verdict]
    gradients: Mapping[str, Verdict]
    answers: Mapping[str, str]
    choice: str


def rules(margin: float) -> list[str]:
    """The rules of all verdicts, the first that fits counts, as they stand under every report. margin: the share."""
    bound = p_bound(ALPHA)
    return [
        "Difference: variant - baseline of the main metric on test, of runs with one seed. Interval: 95%, "
        "Student's t below 10 pairs, expanded percentile bootstrap from 10 on. p: two-sided sign-flip permutation test."
        " Holm's p: over all variants and controls; comparisons with a control are a family of their own.",
        f"Margin, the smallest effect of interest: {margin:.3g} of the distance from floor to the baseline's mean.",
        f"Hurts: diverged in more seeds than the baseline with Holm's p < {bound}; or worse with p < {bound} "
        "and the interval not within the margin.",
        "Not enough evidence: diverged in more seeds than the baseline, whatever the mean of the runs that finished.",
        f"Helps: diverged in fewer seeds with Holm's p < {bound} (Holm over the variants with any unequal pair).",
        "Void: as the next rule, but both have solved the task (no farther from the target than the margin's share of "
        "the distance from floor to target, or where the record says that it is solved), or neither has learned it "
        f"({LEARNED:g} of that distance): equal there decides as little as better.",
        f"Does not matter: at least {FEWEST_FOR_ABSENT} pairs, and both ends of the interval within the margin.",
        f"Helps: better with Holm's p < {bound}. A variant with {LARGER:.0%} more parameters or above must also "
        f"be better than a control of its size ({FEWER:.0%} fewer to {MORE:.0%} more parameters) with "
        f"p < {bound}; otherwise size may be the reason, and the verdict says so.",
        "Not enough evidence: everything else.",
        *gradient_rules(ALPHA),
        "Choice: of the variants that help and have no gradient problem, the one that trains in the shortest time "
        "(unknown: with the fewest parameters) among those within the margin of the best. If there is none: the "
        f"baseline, unless a variant that does not matter and has no gradient problem has at least {LARGER:.0%} "
        "fewer parameters.",
    ]


def decide(
    spec: Spec,
    goal: str,
    margin: float,
    room: Room,
    effects: pd.DataFrame,
    diagnostics: pd.DataFrame,
    cost: pd.DataFrame,
    coverage: pd.DataFrame,
) -> Verdicts:
    """All verdicts of one study from its frames (see `Study`)."""
    base = str(coverage["variant"].iloc[0])
    ends, costs = _rows_by("variant", coverage), _rows_by("variant", cost)
    main = _rows_by("variant", effects[effects["against"] == base])
    by_size = _rows_by("variant", effects[effects["against"] != base])
    over_layers = diagnostics[diagnostics["layer"] == ALL]
    sign = -1.0 if goal == "min" else 1.0
    case = Case(base, sign, margin, room, main, costs, ends, effects={}, gradients={})
    for name, row in main.items():
        verdict = _effect(row, ends[name], case)
        if verdict.word == HELPS and row["role"] == "variant":
            verdict = _for_its_size(verdict, costs[name]["params_ratio"], by_size.get(name), case.sign)
        case.effects[name] = verdict
        measures = _rows_by("measure", over_layers[over_layers["variant"] == name])
        case.gradients[name] = Verdict(*gradient_verdict(measures, ends[name], base, ALPHA))
    choice = choose(case)
    said = answers(case, choice)
    return Verdicts(case.effects, case.gradients, {key: said[key] for key in spec.questions}, choice)


def _rows_by(column: str, frame: pd.DataFrame) -> dict[str, Row]:
    """The rows of a frame by the value of a column."""
    rows = [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]
    return {str(row[column]): row for row in rows}


def _effect(row: Row, ends: Row, case: Case) -> Verdict:
    """The verdict on one comparison with the baseline: the rules of `rules` in their order, the first that fits."""
    own, others = ends["paired_diverged"], ends["baseline_diverged"]
    divergence = f"diverged in {own} of {ends['known_ends']} seeds, {case.base} in {others}"
    by_divergence = f"{divergence}, Holm p {p_text(ends['p_holm'])}"
    divergence_is_clear = _below(ends["p_holm"])
    is_within = _is_within(row, case.margin)
    differs = _below(row["p_holm"]) and not is_within
    is_worse = differs and case.sign * row["difference"] < 0
    if own > others and divergence_is_clear:
        return Verdict(HURTS, by_divergence)
    if is_worse:
        return Verdict(HURTS, _said(row) if own == others else f"{_said(row)}; {divergence}")
    if own > others:
        return Verdict(UNKNOWN, f"{divergence}: means are over the runs that finished")
    if own < others and divergence_is_clear:
        return Verdict(HELPS, by_divergence)
    if is_within and row["n"] >= FEWEST_FOR_ABSENT:
        if why := no_room(case.sign * row["mean"], case.sign * row["baseline_mean"], case.room):
            return Verdict(VOID, f"{_said(row)}; {why}")
        return Verdict(SAME, f"{_said(row)}, within ±{short(case.margin, 3)}")
    if differs:
        return Verdict(HELPS, _said(row))
    return Verdict(UNKNOWN, _too_little(row, case.margin, is_within))


def _is_within(row: Row, margin: float) -> bool:
    """Whether both ends of the interval are within the margin."""
    if missing(margin) or missing(row["low"]):
        return False
    return bool(row["low"] >= -margin and row["high"] <= margin)


def _below(p: Any) -> bool:
    return not missing(p) and p < ALPHA


def _said(row: Row) -> str:
    if row["n"] == 0:
        return "no pair of finished runs"
    return f"{estimate(row['difference'], row['low'], row['high'])}, Holm p {p_text(row['p_holm'])}"


def _too_little(row: Row, margin: float, is_within: bool) -> str:
    """Why a comparison stays open, and what so few pairs could not have decided whatever they said."""
    n, family = int(row["n"]), int(row["family"])
    if not n:
        return _said(row)
    texts = [_said(row)]
    least = min(1.0, family * smallest_p(n))
    if least >= ALPHA:
        pairs = "1 pair" if n == 1 else f"{n} pairs"
        of = f" in {family} comparisons" if family > 1 else ""
        texts.append(f"{pairs}{of} cannot give a Holm p below {p_text(least)}")
    if n < FEWEST_FOR_ABSENT:
        texts.append(f"fewer than {FEWEST_FOR_ABSENT} pairs cannot show that it does not matter")
    elif not is_within and not missing(margin):
        texts.append(f"the interval reaches beyond ±{short(margin, 3)}")
    return "; ".join(texts)


def _for_its_size(verdict: Verdict, params_ratio: Any, control: Row | None, sign: float) -> Verdict:
    """A variant that helps and is larger must beat a control of its size as well."""
    if missing(params_ratio) or params_ratio < 1 + LARGER:
        return verdict
    larger = f"{params_ratio - 1:.1%} more parameters"
    if control is None:
        return Verdict(BY_SIZE, f"{verdict.why}; {larger} and no control of its size")
    is_better = _below(control["p_holm"]) and sign * control["difference"] > 0
    against = f"against {control['against']}, a control of its size: {_said(control)}"
    return Verdict(HELPS if is_better else BY_SIZE, f"{verdict.why}; {larger}; {against}")
