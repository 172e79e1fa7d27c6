"""What follows from a published set's records, rebuilt: its tables and README, equal to the byte or not."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from rnnbench.reports.boards.all_tables import all_tables
from rnnbench.reports.boards.leaderboard import leaderboard
from rnnbench.reports.boards.leaderboard_figure import board_link
from rnnbench.reports.boards.leaderboard_table import leaderboard_table
from rnnbench.reports.boards.matrix_figure import matrix_link
from rnnbench.reports.publish.outcomes import changed_outcomes, outcome_lines
from rnnbench.reports.publish.predictions import changed, links
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.selection.searched import with_searches
from rnnbench.reports.tables.markdown import code, escaped, to_markdown
from rnnbench.reports.tables.write import write_table
from rnnbench.store.files import read_if_regular
from rnnbench.store.manifests import skipped_cells
from rnnbench.store.published import PublishedHead, read_head, read_published
from rnnbench.store.record import Record
from rnnbench.store.rows import part
from rnnbench.store.store import write_atomic

DERIVED = ("leaderboard.csv", "leaderboard.md", "README.md")


def verify(folder: Path) -> list[str]:
    """Rebuild a published set's tables from its records; the names of the files that are not equal to the byte.

    Figures are not compared, but what they are drawn from is.
    """
    with tempfile.TemporaryDirectory() as fresh:
        names = derive(folder, Path(fresh))
        found = [name for name in names if read_if_regular(folder / name) != (Path(fresh) / name).read_bytes()]
    extra = sorted({f"tables/{path.name}" for path in (folder / "tables").glob("*")} - set(names))
    return found + extra + changed(folder) + changed_outcomes(folder)


def frame_of(head: PublishedHead, found: Iterable[Record]) -> pd.DataFrame:
    return with_searches(records_frame(found), {head["name"]: head["search"]} if "search" in head else {})


def derive(source: Path, folder: Path) -> list[str]:
    """Write the tables that follow from records.jsonl, sweep.json and curves.jsonl; returns their names."""
    from rnnbench.reports.ablation.command import derive_ablation
    from rnnbench.reports.claims.command import derive_claims
    from rnnbench.reports.search.command import derive_search

    found = read_published(source)
    head = read_head(source)
    frame = frame_of(head, found)
    write_table(leaderboard_table(leaderboard(frame)), folder, ("csv", "md"))
    names = [*DERIVED, *_derive_tables(frame, head, folder)]
    pictures = [*board_link(frame), *matrix_link(frame), *links(source, found)]
    write_atomic(folder / "README.md", _readme(head, found, pictures))
    return [*names, *derive_ablation(source, folder), *derive_search(source, folder), *derive_claims(source, folder)]


def _derive_tables(frame: pd.DataFrame, head: PublishedHead, folder: Path) -> list[str]:
    """Write what `rnnbench tables` has, as far as there are rows: tables.md, and tables/NAME.csv; their names."""
    made = [table for table in all_tables(frame, skipped_cells(head["skipped"])).values() if len(table.frame)]
    parts = [f"# {table.name}\n\n{to_markdown(table)}" for table in made]
    write_atomic(folder / "tables.md", "\n".join(parts))
    for table in made:
        write_table(table, folder / "tables", ("csv",))
    return ["tables.md", *(f"tables/{table.name}.csv" for table in made)]


def _readme(head: PublishedHead, found: Iterable[Record], pictures: Iterable[str] = ()) -> str:
    """Where a frozen result comes from: command, statuses, commits, machines, versions; then lines about pictures."""
    found = list(found)

    def counted(values: Iterable[str]) -> str:
        return escaped(", ".join(f"{value} ({n})" for value, n in sorted(Counter(values).items())))

    def commit(record: Record) -> str:
        git = part(record, "git")
        return f"{git.get('commit') or 'no checkout'}{' with uncommitted changes' if git.get('dirty') else ''}"

    def machine(record: Record) -> str:
        host = part(record, "host")
        return f"{host.get('gpu') or host.get('cpu')}, {record.get('device')}, {record.get('threads')} thread"

    versions = [escaped(f"{k} {v}") for k, v in part(found[0], "packages").items()]
    hours = sum(float(record.get("wall_seconds") or 0) for record in found) / 3600
    lines = [
        f"# {escaped(head['name'])}",
        "",
        "Frozen records and the tables derived from them; `rnnbench verify` rebuilds the tables and compares.",
        "",
        f"- made by {code(head['command'])}",
        f"- runs: {counted(str(record['status']) for record in found)}, {hours:.2f} core hours",
        f"- commit: {counted(map(commit, found))}; source {counted(str(r.get('source_hash')) for r in found)}",
        f"- machine: {counted(map(machine, found))}",
        f"- versions: {', '.join(versions)}",
        *(f"- skipped: {cell['cells']} cells: {escaped(cell['reason'])}" for cell in head["skipped"]),
        *(f"- not run: {escaped(runs)}: {code(entry)}" for entry, runs in head.get("not_run", {}).items()),
        "",
        "The table is [leaderboard.md](leaderboard.md), others are in [tables.md](tables.md); every number of theirs "
        "comes from [records.jsonl](records.jsonl).",
        *outcome_lines(head, len(found)),
        *["The verdicts on the claims: [claims.md](claims.md)."] * ("claims" in head),
        *["The search: [search.md](search.md), its trials in [search_trials.csv](search_trials.csv)."]
        * ("search" in head),
        *pictures,
    ]
    return "\n".join(lines) + "\n"
