"""Frozen results: `results/published/<name>/` holds records, and tables that are derived from them and nothing else.

::

    records.jsonl      one record a line, by id: the result      leaderboard.md, .csv    rebuilt from it by `verify`
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

from rnnbench import record as records
from rnnbench.errors import BadInput, nearest
from rnnbench.reports.curves import write_curves
from rnnbench.reports.frames import part, records_frame
from rnnbench.reports.leaderboard import leaderboard
from rnnbench.reports.predictions_published import changed, draw_frozen, freeze, links
from rnnbench.reports.searched import with_searches
from rnnbench.reports.tables import write
from rnnbench.store import Store, write_atomic

DERIVED = ("leaderboard.csv", "leaderboard.md", "README.md")


def publish(store: Store, name: str, *, sweep: str | None = None, partial: bool = False) -> Path:
    """Freeze a sweep's records under a name, with their tables and predictions; returns the folder.

    sweep: the name of the sweep (of its manifest in results/sweeps/), default the same. Raises BadInput where a run of
    it is not finished: a frozen result is whole, failures included; or, partial, it says what was not run.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise BadInput(
            f"a published set's name is letters, digits, '_', '.' and '-', not {name!r}: its folder is named so."
        )
    results = store.root.parent
    manifest = read_manifest(results, sweep or name)
    found = store.records()
    wanted = manifest["runs"]
    runs = sorted(run for run in wanted if run in found)
    if not runs or (len(runs) < len(wanted) and not partial):
        raise BadInput(
            f"{len(wanted) - len(runs)} of the {len(wanted)} runs of {sweep or name} have no record yet; "
            f"finish it first: {manifest['command']}" + " (--partial freezes what there is)" * bool(runs)
        )
    folder = results / "published" / name
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [found[run] for run in runs]
    lines = [json.dumps(record, sort_keys=True, ensure_ascii=False) for record in chosen]
    write_atomic(folder / "records.jsonl", "\n".join(lines) + "\n")
    head: dict[str, Any] = {
        "name": name,
        **{key: manifest[key] for key in ("command", "skipped", "ablation", "search") if key in manifest},
        **({"not_run": _not_run(manifest, found)} if len(runs) < len(wanted) else {}),
    }
    if samples := freeze(store, chosen, folder):
        head["samples"] = samples
    write_atomic(folder / "sweep.json", json.dumps(head, indent=1) + "\n")
    if "ablation" in head:
        from rnnbench.reports.ablation_main import draw_published

        write_curves(store, runs, folder)
        _derive(folder, folder)
        draw_published(folder)
    else:
        _derive(folder, folder)
    if "search" in head:
        from rnnbench.reports.search_main import draw_search

        draw_search(folder)
    draw_frozen(folder, chosen)
    return folder


def verify(folder: Path) -> list[str]:
    """Rebuild a published set's tables from its records; the names of the files that are not equal to the byte.

    Figures are not compared, but what they are drawn from is.
    """
    with tempfile.TemporaryDirectory() as fresh:
        names = _derive(folder, Path(fresh))
        return [
            name
            for name in names
            if not (folder / name).exists() or (folder / name).read_bytes() != (Path(fresh) / name).read_bytes()
        ] + changed(folder)


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
        return needed | {key: manifest[key] for key in ("ablation", "entries", "search") if key in manifest}
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path} is damaged; the sweep's command, given again, writes it anew.") from None


def _not_run(manifest: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, str]:
    """What of a sweep has no record, by entry: "peephole=on clip=null" -> "3 of 8 runs"."""
    entries = manifest.get("entries") or {"its runs": manifest["runs"]}
    counts = {entry: (sum(run not in found for run in runs), len(runs)) for entry, runs in entries.items()}
    return {entry or "the defaults": f"{n} of {of} runs" for entry, (n, of) in counts.items() if n}


def _derive(source: Path, folder: Path) -> list[str]:
    """Write the tables that follow from records.jsonl, sweep.json and curves.jsonl; returns their names."""
    from rnnbench.reports.ablation_main import derive_ablation  # which imports this module
    from rnnbench.reports.search_main import derive_search

    found = read_published(source)
    head = json.loads((source / "sweep.json").read_text(encoding="utf-8"))
    frame = with_searches(records_frame(found), {head["name"]: head["search"]} if "search" in head else {})
    write(leaderboard(frame), folder, parquet=False)
    write_atomic(folder / "README.md", _readme(head, found, links(source, found)))
    return [*DERIVED, *derive_ablation(source, folder), *derive_search(source, folder)]


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
        "The table is [leaderboard.md](leaderboard.md); every number of it is in [records.jsonl](records.jsonl).",
        *["The search: [search.md](search.md), its trials in [search_trials.csv](search_trials.csv)."]
        * ("search" in head),
        *pictures,
    ]
    return "\n".join(lines) + "\n"
