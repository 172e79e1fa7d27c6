"""From a store and the published sets beside it to judged claims, printed and as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.record import RecordError, entry_id
from rnnbench.reports.claims import Judged, judge, rules
from rnnbench.reports.claims_data import Claim
from rnnbench.reports.claims_measures import NEEDS_HISTORY
from rnnbench.reports.claims_values import SMOKE
from rnnbench.reports.curves import Curves, read_curves
from rnnbench.reports.publish import read_manifest, read_published
from rnnbench.store import Store, write_atomic

if TYPE_CHECKING:
    from rich.console import Group

CLAIMS = "claims"  # the name of their published set
Gathered = tuple[dict[str, dict[str, Any]], list[Store | Path]]
COLUMNS = (
    "claim", "text", "verdict", "check", "says", "answer", "n", "mean", "low", "high", "p", "compared_on", "words",
)  # fmt: skip


class Frozen:
    """The published sets of a folder, read once: of an experiment its own set, else its part of the set of claims."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, dict[str, dict[str, Any]]] = {}
        head = folder / CLAIMS / "sweep.json"
        self._parts = json.loads(head.read_text(encoding="utf-8")).get("sweeps") or {} if head.exists() else {}

    def find(self, name: str) -> tuple[dict[str, dict[str, Any]], Path | None]:
        """An experiment's records by id, and the set that holds them; none and None where nothing is published."""
        if (self._folder / name / "records.jsonl").exists():
            return self._records(name), self._folder / name
        if name in self._parts:
            found = self._records(CLAIMS)
            return {run: found[run] for run in self._parts[name] if run in found}, self._folder / CLAIMS
        return {}, None

    def _records(self, name: str) -> dict[str, dict[str, Any]]:
        if name not in self._read:
            self._read[name] = {str(record["id"]): record for record in read_published(self._folder / name)}
        return self._read[name]


def judge_all(store: Store, claims: Sequence[Claim]) -> tuple[list[Judged], list[dict[str, Any]]]:
    """Every claim's verdict, and the records of this store that they stand on (each once).

    A claim's records are those of its experiments: the finished runs that the sweep's manifest names, and the
    published set of that name beside the store, or the set of claims. Records that cannot be read are left out and
    named in `store.problems`.
    """
    frozen = Frozen(store.root.parent / "published")
    used: dict[str, dict[str, Any]] = {}

    def gather(name: str) -> Gathered:
        records, folder = frozen.find(name)
        sources: list[Store | Path] = [folder] if folder else []
        if own := own_runs(store, name):
            used.update(own)
            sources.append(store)
        return own | {run: record for run, record in records.items() if run not in own}, sources

    return _judge(claims, gather), list(used.values())


def judge_published(folder: Path, claims: Sequence[Claim]) -> list[Judged]:
    """Every claim's verdict from the published sets alone, of which the folder is the one of claims."""
    frozen = Frozen(folder.parent)

    def gather(name: str) -> Gathered:
        records, source = frozen.find(name)
        return records, [source] if source else []

    return _judge(claims, gather)


def _judge(claims: Sequence[Claim], gather: Callable[[str], Gathered]) -> list[Judged]:
    names = dict.fromkeys(name for claim in claims for name in (*claim.experiments, *claim.also))
    gathered = {name: gather(name) for name in names}
    found = []
    for claim in claims:
        records: dict[str, dict[str, Any]] = {}
        histories: Curves = {}
        for name in (*claim.experiments, *claim.also):
            some, sources = gathered[name]
            records = some | records
            if needs_history(claim):
                for source in sources:
                    histories = read_curves(source, some) | histories
        found.append(judge(claim, list(records.values()), histories))
    return found


def needs_history(claim: Claim) -> bool:
    """Whether a check of the claim reads curves beside records."""
    return any(check.measure in NEEDS_HISTORY for check in claim.checks)


def own_runs(store: Store, name: str) -> dict[str, dict[str, Any]]:
    """What this store has of an experiment: the runs of its sweep, and earlier ones of the same entries.

    A manifest names the runs of its last command, and beside them those of earlier ones: more seeds count, another
    setting does not. Where the last command was a trial (budget=smoke) the earlier ones are what there is.
    """
    results = store.root.parent
    if not (results / "sweeps" / f"{name}.json").exists():
        return {}
    manifest = read_manifest(results, name)
    last = _readable(store, manifest["runs"])
    before = _readable(store, manifest.get("earlier") or ())
    entries = {_entry(record) for record in last.values() if not _is_trial(record)}
    return last | {run: record for run, record in before.items() if not entries or _entry(record) in entries}


def _readable(store: Store, runs: Iterable[str]) -> dict[str, dict[str, Any]]:
    found = {}
    for run in runs:
        try:
            record = store.read(run)
        except (RecordError, OSError) as error:
            store.problems[str(store.record_path(run))] = str(error)
            continue
        if record is not None:
            found[run] = record
    return found


def _entry(record: Mapping[str, Any]) -> str:
    return entry_id(record.get("config") or {"axes": record.get("axes"), "dataset": record.get("dataset")})


def _is_trial(record: Mapping[str, Any]) -> bool:
    return bool((record.get("budget") or {}).get("name") == SMOKE)


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
        said = f"claim{'s' * (len(claims) > 1)} {', '.join(map(str, claims))}"
        lines.append(f"{said}: runs of {' and '.join(names)} are missing: rnnbench claims --run {claims[0]}")
    return lines + [f"claim {each.claim.n}: {each.to_do}" for each in judged if each.to_do and not each.is_missing]


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
