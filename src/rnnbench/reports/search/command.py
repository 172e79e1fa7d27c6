"""`rnnbench search NAME`: from a search's records, or from a published set, to what is printed and the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.errors import BadInput
from rnnbench.reports.search.figures import draw
from rnnbench.reports.search.importance import importance
from rnnbench.reports.search.result import SearchResult, search_result
from rnnbench.reports.search.table import FIGURES, to_rich, write_search
from rnnbench.store.gathered import gather, the_sweep
from rnnbench.store.published import read_head, read_published
from rnnbench.store.results import PublishedSet, Runs, Sweep, default_folder, resolve
from rnnbench.store.store import Store

if TYPE_CHECKING:
    from rich.console import Group

TAKEN = (Sweep, PublishedSet, Runs)


@dataclass(frozen=True)
class Reading:
    """A result; folder: where its files go; remarks for its reader."""

    result: SearchResult
    folder: Path
    remarks: list[str]


def main_search(
    store: Store, name: str, output: str | Path | None = None, *, figures: bool = True
) -> tuple[Group, list[Path], list[str]]:
    """The result of a search: (what to print, the files written, remarks for the error stream).

    name: a search, a published set, or a folder of either (`store.results`). output: where the files go; see
    `default_folder`. Raises BadInput where there is no such search, or nothing of it is finished.
    """
    read = read_search(store, name)
    shares = importance(read.result)
    folder = Path(output) if output else read.folder
    files = write_search(read.result, shares, folder, FIGURES if figures else ())
    if figures:
        files += draw(read.result, shares, folder)
    return to_rich(read.result, shares, files), files, read.remarks


def read_search(store: Store, name: str) -> Reading:
    """The result of a search: nothing is written. Raises BadInput as `main_search` does."""
    found = the_sweep(resolve(store, name, TAKEN), "search", "a search")
    gathered = gather(found)
    head = gathered.head
    if head is None or "search" not in head:
        readers = f"`rnnbench leaderboard {name}` and `rnnbench ablation {name}`"
        raise BadInput(f"{gathered.label} is {found.WHAT}, not a search; {readers} read it.")
    if not any(record["status"] == "ok" for record in gathered.records):
        raise BadInput(f"no run of {gathered.label} has ended ok; go on with it: {gathered.command}")
    result = search_result(found.name, head["search"], gathered.records)
    return Reading(result, default_folder(store, found, f"search_{found.name}"), gathered.remarks)


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
    head = read_head(source)
    if "search" not in head:
        return None
    return search_result(head["name"], head["search"], read_published(source))
