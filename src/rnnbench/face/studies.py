"""What a sweep was made to answer, from Python: an ablation's verdicts, a search's winners, the verdicts on claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from rnnbench.face.selecting import stale_remarks
from rnnbench.face.surroundings import undisturbed
from rnnbench.face.views import View, section, table
from rnnbench.reports.tables.frames import Row, typed_frame

if TYPE_CHECKING:
    from rnnbench.reports.ablation.study import AblationResult, Study
    from rnnbench.reports.claims.judge import Judged
    from rnnbench.reports.search.result import SearchResult
    from rnnbench.reports.tables.table import Section, Table

CLAIM_COLUMNS = {
    "claim": "Int64", "text": "str", "source": "str", "experiments": "str", "evidence": "str", "verdict": "str",
    "to_do": "str",
}  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Ablation(View):
    """Variants against their baseline, paired by seed, in studies: one a dataset, budget and baseline (`study`).

    verdicts (also `frame`): a row a variant and control: effect (helps, hurts, does not matter ...) and why,
    gradient_problem and its signs, choice. effects: difference to the baseline with interval and p. gradients: a row a
    variant, diagnostic and layer. cost: parameters, seconds and memory with ratios. coverage: what became of the runs.
    answers: the questions in plain words, by study. The columns stand in `rnnbench.reports.ablation.study.Study`.
    rules: of all verdicts.
    """

    name: str
    verdicts: pd.DataFrame
    effects: pd.DataFrame
    gradients: pd.DataFrame
    cost: pd.DataFrame
    coverage: pd.DataFrame
    answers: Mapping[str, Mapping[str, str]]
    rules: tuple[str, ...]
    tables: tuple[Table, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:  # type: ignore[override]
        """The verdicts."""
        return self.verdicts

    def shown(self) -> Sequence[Table]:
        """A table a study: answers, effects, failures and gradients, cost."""
        return self.tables


def ablation(name: str, *, results: str | Path | None = None) -> Ablation:
    """A sweep's variants, or a published set's, compared pairwise by seed: ``ablation("convlstm_peephole").verdicts``.

    name: of the sweep or experiment, or of a published set. The same readings as `rnnbench ablation`, which writes
    files and draws figures, too. Raises BadInput where there is no such sweep, no baseline, or nothing to compare.
    """
    with undisturbed(torch=False):
        from rnnbench.reports.ablation.command import read_ablation
        from rnnbench.reports.ablation.table import verdicts_frame
        from rnnbench.reports.ablation.verdicts import rules
        from rnnbench.store.store import Store

        store = Store.open(results)
        read = read_ablation(store, name)
        found = read.result
        questions = {
            study.title: {text: study.verdicts.answers[key] for key, text in study.questions.items()}
            for study in found.studies
        }
        frames = {key: found.frame(key) for key in ("effects", "cost", "coverage")}
        return Ablation(
            name=name, verdicts=verdicts_frame(found), gradients=found.frame("diagnostics"), answers=questions,
            rules=tuple(rules(found.spec.margin)), tables=tuple(_study_table(found, study) for study in found.studies),
            remarks=(*read.remarks, *stale_remarks(store, name)), **frames,
        )  # fmt: skip


def _study_table(found: AblationResult, study: Study) -> Table:
    from rnnbench.reports.ablation.table import cost_cells, coverage_cells, effect_cells, gradient_reasons, metric_name

    answers = [f"{question} {_unmarked(study.verdicts.answers[key])}" for key, question in study.questions.items()]
    sections = [
        section(study.title, [], [*answers, *(f"note: {note}" for note in study.notes)]),
        section(f"effect on {metric_name(study)} (test)", list(effect_cells(study))),
        section("failures and gradients", list(coverage_cells(study)), gradient_reasons(study)),
        section("cost", list(cost_cells(study))),
    ]
    left = ("variant", "verdict", "runs with a result", "diverged", "gradient problem")
    return table(f"ablation_{found.name}", study.effects, sections, left)


def _unmarked(text: str) -> str:
    """A text without Markdown's bold."""
    return text.replace("**", "")


@dataclass(frozen=True, eq=False, repr=False)
class Search(View):
    """What a search found.

    studies (also `frame`): a row a study: trials, best_val, values, the best share on test with its interval against
    the baseline, verdict, final_test. trials: a row a trial or final. winners: each study's best trial by validation.
    shares: how much of the spread each option explains (fANOVA). The columns stand in `rnnbench.reports.search.result`.
    sentences: what a search of this size can decide. space: what was searched. result: what all this was read from.
    """

    name: str
    studies: pd.DataFrame
    trials: pd.DataFrame
    winners: pd.DataFrame
    space: Mapping[str, str]
    sentences: tuple[str, ...]
    result: SearchResult
    remarks: tuple[str, ...] = ()

    @cached_property
    def shares(self) -> pd.DataFrame:
        """Columns study, label, trials, key, importance, note. Fitted when first asked for: a second a study."""
        from rnnbench.reports.search.importance import importance

        with undisturbed(torch=False):
            return importance(self.result)

    @property
    def frame(self) -> pd.DataFrame:  # type: ignore[override]
        """The studies."""
        return self.studies

    def shown(self) -> list[Table]:
        """Its studies and shares."""
        return [_search_table(self.result, self.shares)]


def search(name: str, *, results: str | Path | None = None) -> Search:
    """What a search, or a published one, found: ``search("odyssey").studies``. `rnnbench tune` makes one.

    name: of the search or experiment, or of a published set. Raises BadInput where there is no such search, or nothing
    of it is finished.
    """
    with undisturbed(torch=False):
        from rnnbench.reports.search.command import read_search
        from rnnbench.store.store import Store

        store = Store.open(results)
        read = read_search(store, name)
        found = read.result
        trials = found.trials
        return Search(
            name=name, studies=found.studies, trials=trials, sentences=found.sentences, result=found,
            winners=trials[trials["chosen"] == "best"].reset_index(drop=True),
            space={dimension["key"]: dimension["text"] for dimension in found.rules["space"]},
            remarks=(*read.remarks, *stale_remarks(store, name)),
        )  # fmt: skip


def _search_table(found: SearchResult, shares: pd.DataFrame) -> Table:
    from rnnbench.reports.search.table import front_cells, importance_cells, study_cells

    cells = study_cells(found)
    whole = section(found.name, cells, found.sentences)
    narrow = [
        {name: text for name, text in row.items() if name != "of"} for row in cells
    ]  # the winners' values fill it
    sections = [replace(whole, brief=section(found.name, narrow, found.sentences))]
    if front := front_cells(found):
        sections.append(section("the front: no other trial is better in every objective", front))
    sections.append(section(f"importance (fANOVA) for val/{found.metric}", importance_cells(shares)))
    return table(f"search_{found.name}", found.studies, sections, ("study", "of", "verdict", "note"))


@dataclass(frozen=True, eq=False, repr=False)
class Claims(View):
    """The verdicts on what tutorials say.

    frame: a row a claim: text, source, experiments, evidence, verdict (holds, does not hold, depends, not enough
    evidence), to_do (what would decide an open one). checks: a row a check with its answer, n, mean, interval and p.
    rules: of all verdicts.
    """

    frame: pd.DataFrame
    checks: pd.DataFrame
    rules: tuple[str, ...]
    table: Table
    remarks: tuple[str, ...] = ()

    def shown(self) -> list[Table]:
        """Claims with their evidence and verdict."""
        return [self.table]


def claims(*numbers: int, results: str | Path | None = None) -> Claims:
    """What tutorials say of recurrent networks, judged by the records: ``claims(5, 19).checks``; without numbers all.

    Runs nothing (`rnnbench claims --run` makes what is missing). Raises BadInput on a number that is no claim.
    """
    with undisturbed(torch=False):
        from rnnbench.face.claiming import read
        from rnnbench.reports.claims.command import judge_all
        from rnnbench.reports.claims.judge import rules
        from rnnbench.reports.claims.table import COLUMNS, check_rows, what_is_missing
        from rnnbench.store.door import refused
        from rnnbench.store.store import Store
        from rnnbench.sweeps.stale import counted, why_record

        store = Store.open(results)
        judged, used = judge_all(store, read(numbers))
        remarks = refused(store.problems)
        if stale := list(filter(None, map(why_record, used))):
            remarks.append(counted(stale, len(used)))
        frame = typed_frame([_claim_row(each) for each in judged], CLAIM_COLUMNS)
        shown = frame.rename(columns={"text": "what is said"})[["claim", "what is said", "evidence", "verdict"]]
        rows = [{str(key): value for key, value in row.items()} for row in shown.to_dict("records")]
        sections: list[Section] = [section("", rows, what_is_missing(judged))]
        return Claims(
            frame=frame, checks=typed_frame(list(check_rows(judged)), COLUMNS), rules=tuple(rules()),
            remarks=tuple(remarks),
            table=table("claims", frame, sections, ("what is said", "evidence", "verdict")),
        )  # fmt: skip


def _claim_row(each: Judged) -> Row:
    claim = each.claim
    return {
        "claim": claim.n, "text": claim.text, "source": claim.source, "experiments": ", ".join(claim.experiments),
        "evidence": each.evidence, "verdict": each.verdict, "to_do": each.to_do,
    }  # fmt: skip
