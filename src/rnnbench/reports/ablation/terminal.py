"""An ablation for a terminal of 100 columns: the same texts as in Markdown, narrower."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.ablation.figures import FEW
from rnnbench.reports.ablation.overview import OVERVIEW_NOTE, overview_cells, tally
from rnnbench.reports.ablation.study import AblationResult, Study
from rnnbench.reports.ablation.table import (
    STAR,
    Cells,
    cost_cells,
    coverage_cells,
    diagnostic_cells,
    effect_cells,
    gradient_reasons,
    metric_name,
)
from rnnbench.reports.selection.blocks import terms
from rnnbench.reports.tables.numbers import bold_parts, missing, short

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

ABREAST = 3  # variants beside each other in the table of diagnostics
WRAP = ("study", "variant", "verdict", "diagnostic", "runs with a result", "diverged", "gradient problem")


def to_rich(result: AblationResult, files: Sequence[Path] = ()) -> Group:
    """The report to print with rich: verdicts first, then the tables, last where the files are."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = []
    if len(result.studies) > 1:
        parts += [_head("overview"), *(_marked(line) for line in tally(result)), _table(overview_cells(result))]
        parts += [Text(OVERVIEW_NOTE, style="dim"), ""]
    for study in result.studies if len(result.studies) <= FEW else ():
        parts += [Text(study.title, style="bold"), Text(terms(study.arms[0].runs), style="dim")]
        parts += [Text(f"note: {note}", style="yellow") for note in study.notes]
        for key, question in study.questions.items():
            parts += ["", Text(question, style="bold cyan"), _marked(study.verdicts.answers[key])]
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
    parts.append(_table({name: text for name, text in row.items() if name != "p"} for row in effect_cells(study)))
    parts += [_head("failures and gradients"), _table(coverage_cells(study))]
    parts += [Text(f"  {line}", style="yellow") for line in gradient_reasons(study)]
    if not study.diagnostics.empty:
        parts.append(_head("diagnostics"))
        rows = list(diagnostic_cells(study))
        fixed, arms = list(rows[0])[:2], list(rows[0])[2:]
        for n in range(0, len(arms), ABREAST):
            parts.append(_table({name: row[name] for name in [*fixed, *arms[n : n + ABREAST]]} for row in rows))
        parts.append(Text(STAR, style="dim"))
    return [*parts, _head("cost"), _table(cost_cells(study)), ""]


def _head(text: str) -> Text:
    from rich.text import Text

    return Text(f"\n{text}", style="bold")


def _marked(text: str) -> Text:
    """A text with Markdown's bold as a terminal shows it."""
    from rich.text import Text

    return Text.assemble(*((piece, "bold" if bold else "") for piece, bold in bold_parts(text)))


def _table(rows: Iterable[Cells]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    cells = list(rows)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in cells[0]:
        wraps = name in WRAP
        table.add_column(name, justify="left" if wraps else "right", no_wrap=not wraps, overflow="fold")
    for row in cells:
        table.add_row(*(Text(text) for text in row.values()))
    return table
