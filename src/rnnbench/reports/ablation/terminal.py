"""An ablation for a terminal of 100 columns: the same texts as in Markdown, narrower."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.ablation.figures import FEW
from rnnbench.reports.ablation.overview import OVERVIEW_NOTE, overview_cells, tally
from rnnbench.reports.ablation.study import AblationResult, Study
from rnnbench.reports.ablation.table import (
    LEFT,
    STAR,
    cost_cells,
    coverage_cells,
    diagnostic_cells,
    effect_cells,
    gradient_reasons,
    metric_name,
)
from rnnbench.reports.selection.blocks import terms
from rnnbench.reports.tables.numbers import missing, short
from rnnbench.reports.tables.terminal import marked_text, rows_to_rich

if TYPE_CHECKING:
    from rich.console import Group
    from rich.text import Text

ABREAST = 3  # variants beside each other in the table of diagnostics


def to_rich(result: AblationResult, files: Sequence[Path] = ()) -> Group:
    """The report to print with rich: verdicts first, then the tables, last where the files are."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = []
    if len(result.studies) > 1:
        parts += [
            _head("overview"),
            *(marked_text(line) for line in tally(result)),
            rows_to_rich(overview_cells(result), LEFT),
        ]
        parts += [Text(OVERVIEW_NOTE, style="dim"), ""]
    for study in result.studies if len(result.studies) <= FEW else ():
        parts += [Text(study.title, style="bold"), Text(terms(study.arms[0].runs), style="dim")]
        parts += [Text(f"note: {note}", style="yellow") for note in study.notes]
        for key, question in study.questions.items():
            parts += ["", Text(question, style="bold cyan"), marked_text(study.verdicts.answers[key])]
        parts += _tables(study)
    if len(result.studies) > FEW:
        parts.append(Text("Every study's own tables and answers stand in ablation.md.", style="dim"))
    parts.append(Text("The rules of the verdicts stand at the end of ablation.md.", style="dim"))
    parts += [Text(f"written: {path}", style="dim") for path in files]
    return Group(*parts)


def _tables(study: Study) -> list[Any]:
    from rich.text import Text

    margin = "" if missing(study.margin) else f", margin ±{short(study.margin, 3)}"
    parts: list[Any] = [_head(f"effect on {metric_name(study)} (test){margin}")]
    effects = [{name: text for name, text in row.items() if name != "p"} for row in effect_cells(study)]
    parts.append(rows_to_rich(effects, LEFT))
    parts += [_head("failures and gradients"), rows_to_rich(coverage_cells(study), LEFT)]
    parts += [Text(f"  {line}", style="yellow") for line in gradient_reasons(study)]
    if not study.diagnostics.empty:
        parts.append(_head("diagnostics"))
        rows = list(diagnostic_cells(study))
        fixed, arms = list(rows[0])[:2], list(rows[0])[2:]
        for n in range(0, len(arms), ABREAST):
            names = [*fixed, *arms[n : n + ABREAST]]
            parts.append(rows_to_rich([{name: row[name] for name in names} for row in rows], LEFT))
        parts.append(Text(STAR, style="dim"))
    return [*parts, _head("cost"), rows_to_rich(cost_cells(study), LEFT), ""]


def _head(text: str) -> Text:
    from rich.text import Text

    return Text(f"\n{text}", style="bold")
