"""Frozen results: `results/published/<name>/` holds records, and tables that are derived from them and nothing else.

::

    records.jsonl      one record a line, by id: the result      leaderboard.md, .csv    rebuilt from it by `verify`
    tables.md, tables/ what `rnnbench tables` says of them       figures/                drawn from the same
    README.md          the command, commit, machine and versions, read from the records
    samples/           of networks that predict frames: what the figures of predictions are drawn from
"""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench import record as records
from rnnbench.errors import BadInput, nearest
from rnnbench.reports.board_figure import board_link, draw_board
from rnnbench.reports.curves import write_curves
from rnnbench.reports.export import to_markdown, write_table
from rnnbench.reports.frames import part, records_frame
from rnnbench.reports.leaderboard import leaderboard
from rnnbench.reports.predictions_published import changed, draw_frozen, freeze, links
from rnnbench.reports.searched import with_searches
from rnnbench.reports.tables import write
from rnnbench.reports.tables_main import all_tables
from rnnbench.store import Store, write_atomic

DERIVED = ("leaderboard.csv", "leaderboard.md", "README.md")


def publish(store: Store, name: str, *, sweep: str | None = None, partial: bool = False) -> Path:
    """Freeze a sweep's records under a name, with their tables and predictions; returns the folder.

    sweep: the name of the sweep (of its manifest in results/sweeps/), default the same. Raises BadInput where a run of
    it is not finished: a frozen result is whole, failures included; or, partial, it says what was not run.
    """
    manifest = read_manifest(store.root.parent, sweep or name)
    found = _finished(store, manifest["runs"])
    lacking = len(manifest["runs"]) - len(found)
    if not found or (lacking and not partial):
        raise BadInput(
            f"{lacking} of the {len(manifest['runs'])} runs of {sweep or name} have no record yet; "
            f"finish it first: {manifest['command']}" + " (--partial freezes what there is)" * bool(found)
        )
    head: dict[str, Any] = {
        "name": name,
        **{key: manifest[key] for key in ("command", "skipped", "ablation", "search") if key in manifest},
        **({"not_run": not_run(manifest, found)} if lacking else {}),
    }
    folder = folder_of(store, name)
    if samples := freeze(store, found.values(), folder):
        head["samples"] = samples
    return write_set(folder, head, found, curves=store if "ablation" in head else None)


def folder_of(store: Store, name: str) -> Path:
    """The folder of a published set, made where there is none. Raises BadInput on a name that is none."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise BadInput(
            f"a published set's name is letters, digits, '_', '.' and '-', not {name!r}: its folder is named so."
        )
    folder = store.root.parent / "published" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_set(
    folder: Path, head: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], *, curves: Store | None = None,
    curves_of: Iterable[str] | None = None,
) -> Path:  # fmt: skip
    """Write a set's records, its sweep.json, and all that is derived and drawn from them; returns the folder.

    curves: the store whose histories are frozen with it, of these runs or of all; None: none.
    """
    lines = [json.dumps(found[run], sort_keys=True, ensure_ascii=False) for run in sorted(found)]
    write_atomic(folder / "records.jsonl", "\n".join(lines) + "\n")
    write_atomic(folder / "sweep.json", json.dumps(head, indent=1) + "\n")
    if curves is not None:
        write_curves(curves, found if curves_of is None else curves_of, folder)
    for path in (folder / "tables").glob("*.csv"):  # of the set that was here: this one may have fewer tables
        path.unlink()
    _derive(folder, folder)
    if "ablation" in head:
        from rnnbench.reports.ablation_main import draw_published

        draw_published(folder)
    if "search" in head:
        from rnnbench.reports.search_main import draw_search

        draw_search(folder)
    draw_board(folder, _frame(head, found.values()))
    draw_frozen(folder, [found[run] for run in sorted(found)])
    return folder


def _finished(store: Store, runs: Iterable[str]) -> dict[str, dict[str, Any]]:
    found = store.records()
    return {run: found[run] for run in runs if run in found}


def verify(folder: Path) -> list[str]:
    """Rebuild a published set's tables from its records; the names of the files that are not equal to the byte.

    Figures are not compared, but what they are drawn from is.
    """
    with tempfile.TemporaryDirectory() as fresh:
        names = _derive(folder, Path(fresh))
        found = [
            name
            for name in names
            if not (folder / name).exists() or (folder / name).read_bytes() != (Path(fresh) / name).read_bytes()
        ]
    extra = sorted({f"tables/{path.name}" for path in (folder / "tables").glob("*")} - set(names))
    return found + extra + changed(folder)


def published(results: Path) -> dict[str, Path]:
    """The published sets of a results folder, by name."""
    return {path.parent.name: path.parent for path in sorted((results / "published").glob("*/records.jsonl"))}


def read_published(folder: Path) -> list[dict[str, Any]]:
    """A published set's records, old schemas upgraded. Raises RecordError where a line is damaged."""
    lines = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
    return [records.loads(line, name=f"{folder.name}, line {n}") for n, line in enumerate(lines, 1)]


def read_manifest(results: Path, sweep: str) -> dict[str, Any]:
    """What a sweep's manifest says of its command and runs. Raises BadInput where there is none, or it is damaged."""
    path = results / "sweeps" / f"{sweep}.json"
    if not path.exists():
        known = [p.stem for p in (results / "sweeps").glob("*.json")]
        hint = nearest(sweep, known) if known else "`rnnbench sweep` has not been run here."
        raise BadInput(f"no sweep {sweep!r} in {path.parent}; {hint}")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        needed = {key: manifest[key] for key in ("command", "runs", "skipped")}
        return needed | {key: manifest[key] for key in ("ablation", "entries", "search", "earlier") if key in manifest}
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path} is damaged; the sweep's command, given again, writes it anew.") from None


def not_run(manifest: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, str]:
    """What of a sweep has no record, by entry: "peephole=on clip=null" -> "3 of 8 runs"."""
    entries = manifest.get("entries") or {"its runs": manifest["runs"]}
    counts = {entry: (sum(run not in found for run in runs), len(runs)) for entry, runs in entries.items()}
    return {entry or "the defaults": f"{n} of {of} runs" for entry, (n, of) in counts.items() if n}


def _frame(head: Mapping[str, Any], found: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    return with_searches(records_frame(found), {head["name"]: head["search"]} if "search" in head else {})


def _derive(source: Path, folder: Path) -> list[str]:
    """Write the tables that follow from records.jsonl, sweep.json and curves.jsonl; returns their names."""
    from rnnbench.reports.ablation_main import derive_ablation  # which import this module
    from rnnbench.reports.claims_published import derive_claims
    from rnnbench.reports.search_main import derive_search

    found = read_published(source)
    head = json.loads((source / "sweep.json").read_text(encoding="utf-8"))
    frame = _frame(head, found)
    write(leaderboard(frame), folder, parquet=False)
    names = [*DERIVED, *_derive_tables(frame, head, folder)]
    pictures = [*board_link(frame), *links(source, found)]
    write_atomic(folder / "README.md", _readme(head, found, pictures))
    return [*names, *derive_ablation(source, folder), *derive_search(source, folder), *derive_claims(source, folder)]


def _derive_tables(frame: pd.DataFrame, head: Mapping[str, Any], folder: Path) -> list[str]:
    """Write what `rnnbench tables` has, as far as there are rows: tables.md, and tables/NAME.csv; their names."""
    skipped = {str(cell["reason"]): int(cell["cells"]) for cell in head.get("skipped") or ()}
    made = [table for table in all_tables(frame, skipped).values() if len(table.frame)]
    parts = [f"# {table.name}\n\n{to_markdown(table)}" for table in made]
    write_atomic(folder / "tables.md", "\n".join(parts))
    for table in made:
        write_table(table, folder / "tables", ("csv",))
    return ["tables.md", *(f"tables/{table.name}.csv" for table in made)]


def _readme(head: Mapping[str, Any], found: Iterable[Mapping[str, Any]], pictures: Iterable[str] = ()) -> str:
    """Where a frozen result comes from: command, statuses, commits, machines, versions; then lines about pictures."""
    found = list(found)

    def counted(values: Iterable[str]) -> str:
        return ", ".join(f"{value} ({n})" for value, n in sorted(Counter(values).items()))

    def commit(record: Mapping[str, Any]) -> str:
        git = part(record, "git")
        return f"{git.get('commit') or 'no checkout'}{' with uncommitted changes' if git.get('dirty') else ''}"

    def machine(record: Mapping[str, Any]) -> str:
        host = part(record, "host")
        return f"{host.get('gpu') or host.get('cpu')}, {record.get('device')}, {record.get('threads')} thread"

    versions = [f"{k} {v}" for k, v in part(found[0], "packages").items()]
    hours = sum(float(record.get("wall_seconds") or 0) for record in found) / 3600
    lines = [
        f"# {head['name']}",
        "",
        "Frozen records and the tables derived from them; `rnnbench verify` rebuilds the tables and compares.",
        "",
        f"- made by `{head['command']}`",
        f"- runs: {counted(str(record['status']) for record in found)}, {hours:.2f} core hours",
        f"- commit: {counted(map(commit, found))}; source {counted(str(r.get('source_hash')) for r in found)}",
        f"- machine: {counted(map(machine, found))}",
        f"- versions: {', '.join(versions)}",
        *(f"- skipped: {cell['cells']} cells: {cell['reason']}" for cell in head["skipped"]),
        *(f"- not run: {runs}: `{entry}`" for entry, runs in (head.get("not_run") or {}).items()),
        "",
        "The table is [leaderboard.md](leaderboard.md), others are in [tables.md](tables.md); every number of theirs "
        "comes from [records.jsonl](records.jsonl).",
        *["The verdicts on the claims: [claims.md](claims.md)."] * ("claims" in head),
        *["The search: [search.md](search.md), its trials in [search_trials.csv](search_trials.csv)."]
        * ("search" in head),
        *pictures,
    ]
    return "\n".join(lines) + "\n"
