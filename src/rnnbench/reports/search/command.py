"""`rnnbench search NAME`: from a search's records, or from a published set, to what is printed and the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.errors import BadInput, nearest
from rnnbench.reports.search.figures import draw
from rnnbench.reports.search.importance import importance
from rnnbench.reports.search.result import SearchResult, search_result
from rnnbench.reports.search.table import FIGURES, to_rich, write_search
from rnnbench.store.manifests import read_manifest
from rnnbench.store.published import published, read_published
from rnnbench.store.store import Store

if TYPE_CHECKING:
    from rich.console import Group


def main_search(
    store: Store, name: str, output: str | Path | None = None, *, figures: bool = True
) -> tuple[Group, list[Path], list[str]]:
    """The result of a search: (what to print, the files written, remarks for the error stream).

    output: where the files go; by default tables/search_NAME/ beside the store, or the published folder itself.
    Raises BadInput where there is no such search, or nothing of it is finished.
    """
    folder, rules, records, remarks = _read(store, name)
    result = search_result(name, rules, records)
    shares = importance(result)
    folder = Path(output) if output else folder
    files = write_search(result, shares, folder, FIGURES if figures else ())
    if figures:
        files += draw(result, shares, folder)
    return to_rich(result, shares, files), files, remarks


def derive_search(source: Path, folder: Path) -> list[str]:
    """Write the tables of a published search into folder; their names, none where the set is no search."""
    if (result := _published(source)) is None:
        return []
    return [path.name for path in write_search(result, importance(result), folder, FIGURES)]


def draw_search(source: Path) -> list[Path]:
    """Draw the figures of a published search into its own folder."""
    result = _published(source)
    return [] if result is None else draw(result, importance(result), source)


def _published(source: Path) -> SearchResult | None:
    head = json.loads((source / "sweep.json").read_text(encoding="utf-8"))
    if head.get("search") is None:
        return None
    return search_result(str(head.get("name") or source.name), head["search"], read_published(source))


def _read(store: Store, name: str) -> tuple[Path, Mapping[str, Any], list[dict[str, Any]], list[str]]:
    results = store.root.parent
    manifest = results / "sweeps" / f"{name}.json"
    if not manifest.exists():
        return _read_published(results, name)
    content = read_manifest(results, name)
    if "search" not in content:
        raise BadInput(
            f"{name} is a sweep, not a search; `rnnbench leaderboard` and `rnnbench ablation {name}` read it."
        )
    records, remarks = [], []
    for run in content["runs"]:
        try:
            record = store.read(run)
        except (ValueError, OSError) as error:
            remarks.append(f"left out: {error}")
            continue
        if record is not None:
            records.append(record)
    if not any(record["status"] == "ok" for record in records):
        raise BadInput(f"no run of {name} has ended ok; go on with it: {content['command']}")
    if missing := len(content["runs"]) - len(records) - len(remarks):
        remarks.append(f"{missing} of the runs of {name} are not finished: {content['command']}")
    return results / "tables" / f"search_{name}", content["search"], records, remarks


def _read_published(results: Path, name: str) -> tuple[Path, Mapping[str, Any], list[dict[str, Any]], list[str]]:
    frozen = published(results)
    known = {*frozen, *(path.stem for path in (results / "sweeps").glob("*.json"))}
    if name not in frozen:
        hint = nearest(name, known) if known else "`rnnbench tune` makes one."
        raise BadInput(f"no search and no published set {name!r} in {results}; {hint}")
    head = json.loads((frozen[name] / "sweep.json").read_text(encoding="utf-8"))
    if head.get("search") is None:
        raise BadInput(f"{name} is published, but it is no search.")
    return frozen[name], head["search"], read_published(frozen[name]), []
