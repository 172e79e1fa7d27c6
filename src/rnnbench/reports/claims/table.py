"""The verdicts as tables: Markdown, CSV, the terminal, and what is missing for a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.claims.judge import Finding, Judged, rules
from rnnbench.reports.tables.frames import Row, frame_to_csv, typed_frame
from rnnbench.reports.tables.markdown import table_lines
from rnnbench.reports.tables.terminal import rows_to_rich
from rnnbench.store.store import write_atomic

if TYPE_CHECKING:
    from rich.console import Group

COLUMNS: dict[str, str] = {
    "claim": "Int64", "text": "str", "verdict": "str", "check": "str", "says": "str", "answer": "str", "n": "Int64",
    "mean": "float64", "low": "float64", "high": "float64", "p": "float64", "compared_on": "str", "words": "str",
}  # fmt: skip
IN_SHORT = ("claim", "what is said", "evidence", "verdict")  # in a terminal
LEFT = frozenset({
    "what is said", "said by", "experiment", "evidence", "verdict", "runs", "check", "answer", "found", "compared on",
})  # fmt: skip


def write_claims(judged: Sequence[Judged], folder: Path) -> list[Path]:
    """claims.md (the table, the rules, every check) and claims.csv (one row a check)."""
    folder.mkdir(parents=True, exist_ok=True)
    report, table = folder / "claims.md", folder / "claims.csv"
    write_atomic(report, to_markdown(judged))
    write_atomic(table, frame_to_csv(typed_frame(list(check_rows(judged)), COLUMNS)))
    return [report, table]


def to_markdown(judged: Sequence[Judged]) -> str:
    """The report: claims, verdicts and evidence; what is missing; the rules; every check."""
    lines = ["# What tutorials say, and what the records say", "", *table_lines(map(_cells, judged), LEFT), ""]
    if missing := what_is_missing(judged):
        lines += ["", "## What is missing", ""]
        lines += [f"- {line}" for line in missing]
    lines += ["", "## Rules", "", *(f"- {rule}" for rule in rules())]
    for each in judged:
        lines += ["", f"## {each.claim.n}. {each.claim.text}", "", f"{each.verdict}: {each.evidence}.", ""]
        lines += table_lines(map(_check_cells, each.findings), LEFT)
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


def _cells(each: Judged) -> dict[str, str]:
    claim = each.claim
    return {
        "claim": str(claim.n),
        "what is said": claim.text,
        "said by": claim.source,
        "experiment": ", ".join(claim.experiments),
        "evidence": each.evidence,
        "verdict": each.verdict,
    }


def _check_cells(found: Finding) -> dict[str, str]:
    check = found.check
    return {
        "runs": check.words,
        "check": check.says,
        "answer": found.answer,
        "found": found.words,
        "compared on": found.compared_on,
    }


def check_rows(judged: Iterable[Judged]) -> Iterator[Row]:
    """One row a check, by `COLUMNS`."""
    for each in judged:
        for f in each.findings:
            said = (each.claim.n, each.claim.text, each.verdict, f.check.words, f.check.says, f.answer, f.n)
            values = (*said, f.mean, f.low, f.high, f.p, f.compared_on, f.words)
            yield dict(zip(COLUMNS, values, strict=True))


def to_rich(judged: Sequence[Judged], *, checks: bool) -> Group:
    """What is printed: the table of claims; checks: every check of them below it, with the rules."""
    from rich.console import Group
    from rich.text import Text

    shown = [{name: cells[name] for name in IN_SHORT} for cells in map(_cells, judged)]
    parts: list[Any] = [rows_to_rich(shown, LEFT)]
    for each in judged if checks else ():
        title = Text(f"{each.claim.n}. {each.claim.text}", style="bold")
        parts += ["", title, rows_to_rich(map(_check_cells, each.findings), LEFT)]
    if checks:
        parts += ["", *(Text(f"- {rule}") for rule in rules())]
    return Group(*parts, *map(Text, what_is_missing(judged)))
