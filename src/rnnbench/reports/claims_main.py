"""From a store and the published sets beside it to judged claims, printed and as files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.reports.claims import Judged, judge, rules
from rnnbench.reports.claims_data import Claim
from rnnbench.reports.claims_measures import NEEDS_HISTORY
from rnnbench.reports.curves import Curves, read_curves
from rnnbench.reports.publish import published, read_manifest, read_published
from rnnbench.store import Store, write_atomic

if TYPE_CHECKING:
    from rich.console import Group

COLUMNS = (
    "claim", "text", "verdict", "check", "says", "answer", "n", "mean", "low", "high", "p", "compared_on", "words",
)  # fmt: skip


def judge_all(store: Store, claims: Sequence[Claim]) -> tuple[list[Judged], list[dict[str, Any]]]:
    """Every claim's verdict, and the records of this store that they stand on (each once).

    A claim's records are those of its experiments: the finished runs that the sweep's manifest names, and the
    published set of that name beside the store.
    """
    names = dict.fromkeys(name for claim in claims for name in (*claim.experiments, *claim.also))
    gathered = {name: _gather(store, name) for name in names}
    found = []
    used: dict[str, dict[str, Any]] = {}
    for claim in claims:
        records: dict[str, dict[str, Any]] = {}
        histories: Curves = {}
        for name in (*claim.experiments, *claim.also):
            some, sources = gathered[name]
            records = some | records
            if store in sources:
                used |= some
            if any(check.measure in NEEDS_HISTORY for check in claim.checks):
                for source in sources:
                    histories = read_curves(source, some) | histories
        found.append(judge(claim, list(records.values()), histories))
    return found, list(used.values())


def _gather(store: Store, name: str) -> tuple[dict[str, dict[str, Any]], list[Store | Path]]:
    """The records of an experiment by id, and where their histories are; what this store has made comes first."""
    results = store.root.parent
    records: dict[str, dict[str, Any]] = {}
    sources: list[Store | Path] = []
    if (frozen := published(results).get(name)) is not None:
        records = {str(record["id"]): record for record in read_published(frozen)}
        sources.append(frozen)
    if (results / "sweeps" / f"{name}.json").exists():
        own = {run: record for run in read_manifest(results, name)["runs"] if (record := store.read(run)) is not None}
        records |= own
        sources.append(store)
    return records, sources


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
    if missing := [each for each in judged if each.to_do]:
        lines += ["", "## What is missing", ""]
        lines += [f"- claim {each.claim.n}: {each.to_do}" for each in missing]
    lines += ["", "## Rules", "", *(f"- {rule}" for rule in rules())]
    for each in judged:
        lines += ["", f"## {each.claim.n}. {each.claim.text}", "", f"{each.verdict}: {each.evidence}.", ""]
        rows = ([f.check.words, f.check.says, f.answer, f.words, f.compared_on] for f in each.findings)
        lines += _table(("runs", "check", "answer", "found", "compared on"), rows)
    return "\n".join(lines) + "\n"


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
    for each in judged:
        if each.to_do:
            parts.append(Text(f"claim {each.claim.n}: {each.to_do}"))
    return Group(*parts)
