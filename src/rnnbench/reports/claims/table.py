"""The verdicts as tables: Markdown, CSV, the terminal, and what is missing for a verdict."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.claims.judge import Judged, rules
from rnnbench.store.store import write_atomic

if TYPE_CHECKING:
    from rich.console import Group


COLUMNS = (
    "claim", "text", "verdict", "check", "says", "answer", "n", "mean", "low", "high", "p", "compared_on", "words",
)  # fmt: skip


def write_claims(judged: Sequence[Judged], folder: Path) -> list[Path]:
    """claims.md (the table, the rules, every check) and claims.csv (one row a check)."""
    folder.mkdir(parents=True, exist_ok=True)
    report, table = folder / "claims.md", folder / "claims.csv"
    write_atomic(report, to_markdown(judged))
    write_atomic(table, _to_csv(judged))
    return [report, table]


def to_markdown(judged: Sequence[Judged]) -> str:
    """The report: claims, verdicts and evidence; what is missing; the rules; every check."""
    lines = ["# What tutorials say, and what the records say", "", *_table(HEAD, map(_row, judged)), ""]
    if missing := what_is_missing(judged):
        lines += ["", "## What is missing", ""]
        lines += [f"- {line}" for line in missing]
    lines += ["", "## Rules", "", *(f"- {rule}" for rule in rules())]
    for each in judged:
        lines += ["", f"## {each.claim.n}. {each.claim.text}", "", f"{each.verdict}: {each.evidence}.", ""]
        rows = ([f.check.words, f.check.says, f.answer, f.words, f.compared_on] for f in each.findings)
        lines += _table(("runs", "check", "answer", "found", "compared on"), rows)
    return "\n".join(lines) + "\n"


def what_is_missing(judged: Sequence[Judged]) -> list[str]:
    """What would decide the claims that are open: one line for those that wait for the runs of the same experiments."""
    waiting: dict[tuple[str, ...], list[int]] = {}
    for each in judged:
        if each.to_do and each.is_missing:
            waiting.setdefault(each.claim.experiments, []).append(each.claim.n)
    lines = []
    for names, claims in waiting.items():
        said = "claim" if len(claims) == 1 else "claims"
        said += f" {', '.join(map(str, claims))}: runs of {' and '.join(names)} are missing"
        lines.append(f"{said}: rnnbench claims --run {claims[0]}")
    undecided = [each for each in judged if each.to_do and not each.is_missing]
    return lines + [f"claim {each.claim.n}: {each.to_do}" for each in undecided]


HEAD = ("claim", "what is said", "said by", "experiment", "evidence", "verdict")


def _row(each: Judged) -> list[str]:
    claim = each.claim
    return [str(claim.n), claim.text, claim.source, ", ".join(claim.experiments), each.evidence, each.verdict]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def _to_csv(judged: Sequence[Judged]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in judged:
        for f in each.findings:
            numbers = ["" if value != value else f"{value:.6g}" for value in (f.mean, f.low, f.high, f.p)]
            said = [each.claim.n, each.claim.text, each.verdict, f.check.words, f.check.says, f.answer, f.n]
            writer.writerow([*said, *numbers, f.compared_on, f.words])
    return text.getvalue()


def to_rich(judged: Sequence[Judged], *, checks: bool) -> Group:
    """What is printed: the table of claims; checks: every check of them below it, with the rules."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("claim", "what is said", "evidence", "verdict"):
        table.add_column(name, justify="right" if name == "claim" else "left")
    for each in judged:
        table.add_row(*(Text(text) for text in (str(each.claim.n), each.claim.text, each.evidence, each.verdict)))
    parts: list[Any] = [table]
    for each in judged if checks else ():
        inner = Table("runs", "check", "answer", "found", title=f"{each.claim.n}. {each.claim.text}", box=None)
        for f in each.findings:
            on = f" ({f.compared_on})" if f.compared_on else ""
            inner.add_row(*(Text(text) for text in (f.check.words, f.check.says, f.answer, f.words + on)))
        parts += [Text(""), inner]
    if checks:
        parts += [Text(""), *(Text(f"- {rule}") for rule in rules())]
    return Group(*parts, *map(Text, what_is_missing(judged)))
