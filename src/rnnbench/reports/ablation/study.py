"""An ablation: every variant against its baseline, paired by seed: effect, diagnostics, cost, failures, verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from rnnbench.reports.ablation.design import Arm, Spec, design
from rnnbench.reports.ablation.effects import cost_frame, coverage_frame, diagnostics_frame, effects_frame, ok_runs
from rnnbench.reports.ablation.measures import first_non_finite, measures_frame
from rnnbench.reports.ablation.verdicts import Verdicts, decide
from rnnbench.reports.statistics.room import room_of
from rnnbench.store.manifests import Experiment
from rnnbench.store.record import Record
from rnnbench.store.rows import number, part


@dataclass(frozen=True)
class Study:
    """One baseline with its variants on one dataset and budget, compared.

    - effects: one row a variant (and one more for a variant against the control of its size, `against` names it): n
      pairs, baseline_mean and mean over these pairs, difference (variant - baseline, of the main metric on test) with
      its 95% interval, sign-flip p, Holm's p and the size of its family
    - diagnostics: one row a variant, measure (see `measures_frame`) and layer. scale `difference`: means, and their
      difference; scale `ratio`: geometric means, and their ratio. n = 0 where the baseline has no such number
    - cost: medians over ok runs (s, MB) and ratios to the baseline; times are missing where there were several machines
    - coverage: runs, ok runs, pairs, level of the main metric over ok runs, runs that diverged (status diverged, or a
      gradient that was not finite), and of the pairs whose ends are known how often which diverged, with p and Holm's p
    - verdicts; notes: what else to know; arms and details (diagnostics by run id) are for the figures
    - margin: the smallest effect of interest in the metric's unit; share: the same of the distance floor to baseline
    """

    title: str
    arms: Sequence[Arm]
    metric: str
    goal: str
    margin: float
    effects: pd.DataFrame
    diagnostics: pd.DataFrame
    cost: pd.DataFrame
    coverage: pd.DataFrame
    verdicts: Verdicts
    notes: Sequence[str]
    details: Mapping[str, Mapping[str, Any]]
    questions: Mapping[str, str]
    share: float


@dataclass(frozen=True)
class AblationResult:
    """All studies of an ablation under its name, with what was asked. not_run: how many runs are missing, by entry."""

    name: str
    spec: Spec
    studies: Sequence[Study]
    not_run: Mapping[str, str] = field(default_factory=dict)

    def frame(self, name: str) -> pd.DataFrame:
        """One frame (effects, diagnostics, cost or coverage) of all studies, with the study's title as first column."""
        frames = []
        for study in self.studies:
            frame: pd.DataFrame = getattr(study, name).copy()
            frame.insert(0, "study", study.title)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)


def ablation(records: Iterable[Record], spec: Experiment | None = None, *, name: str = "ablation") -> AblationResult:
    """Compare the entries of records with their baselines, paired by seed. The order of the records does not matter.

    spec: the key `ablation` of the experiment (see `Spec`); by default the baseline is peephole=off. Raises BadInput
    where there is no baseline or nothing to compare. The rules of the verdicts: `verdicts.rules`.
    """
    unique = {str(record["id"]): record for record in records}
    asked = Spec.read(spec)
    found = design(unique.values(), asked)
    return AblationResult(name, asked, [_study(title, arms, one, unique) for title, arms, one in found])


def _study(title: str, arms: Sequence[Arm], spec: Spec, records: Mapping[str, Record]) -> Study:
    mine = {run: records[run] for arm in arms for run in arm.runs["id"]}
    base = arms[0].runs
    goal = str(_first(arms, "goal") or "max")
    margin = _margin(ok_runs(base)["value"], base["floor"], goal, spec.margin)
    sign = -1.0 if goal == "min" else 1.0
    ends = (number(_first(arms, name)) for name in ("floor", "target", "solved"))
    room = room_of(*ends, sign=sign, smallest=spec.margin)
    broke = {run: first_non_finite(record) for run, record in mine.items()}
    effects = effects_frame(arms)
    diagnostics = diagnostics_frame(arms, measures_frame(mine.values()), broke)
    cost, notes_on_cost = cost_frame(arms)
    coverage = coverage_frame(arms, broke)
    return Study(
        title=title,
        arms=arms,
        metric=str(_first(arms, "metric") or "metric"),
        goal=goal,
        margin=margin,
        effects=effects,
        diagnostics=diagnostics,
        cost=cost,
        coverage=coverage,
        verdicts=decide(spec, goal, margin, room, effects, diagnostics, cost, coverage),
        notes=notes_on_cost + _notes(arms, margin),
        details={run: part(mine[run], "diagnostics") for run in sorted(mine)},
        questions=spec.questions,
        share=spec.margin,
    )


def _first(arms: Sequence[Arm], column: str) -> Any:
    known = [value for arm in arms for value in arm.runs[column].dropna()]
    return known[0] if known else None


def _margin(values: pd.Series[Any], floors: pd.Series[Any], goal: str, share: float) -> float:
    """The smallest effect of interest in the metric's unit; NaN where the baseline is no better than its floor."""
    if values.empty:
        return math.nan
    mean, known = float(values.mean()), floors.dropna()
    if known.empty:
        return share * abs(mean)
    floor = float(known.iloc[0])
    above = floor - mean if goal == "min" else mean - floor
    return share * above if above > 0 else math.nan


def _notes(arms: Sequence[Arm], margin: float) -> list[str]:
    """What a reader must know of a study besides its numbers."""
    runs = pd.concat([arm.runs for arm in arms])
    notes = []
    if ok_runs(arms[0].runs).empty:
        notes.append("no run of the baseline finished: nothing can be compared")
    elif math.isnan(margin):
        notes.append("the baseline is no better than its floor: no equivalence can be shown here")
    elif runs["floor"].isna().all():
        notes.append("no floor is known: the margin is a share of the baseline's value itself")
    versions = runs["source_hash"].nunique()
    if versions > 1:
        notes.append(f"the runs are of {versions} versions of the code")
    if runs["dirty"].fillna(False).any():
        notes.append("made with uncommitted changes")
    return notes
