"""`rnnbench ablation NAME`: from a sweep's records, or from a published set, to what is printed and the files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.errors import BadInput
from rnnbench.reports.ablation.figures import draw, planned
from rnnbench.reports.ablation.study import AblationResult, ablation
from rnnbench.reports.ablation.table import write_ablation
from rnnbench.reports.ablation.terminal import to_rich
from rnnbench.store.curves import Curves, read_curves
from rnnbench.store.gathered import gather, the_sweep
from rnnbench.store.manifests import Experiment
from rnnbench.store.published import read_head, read_published
from rnnbench.store.results import PublishedSet, Runs, Sweep, default_folder, resolve
from rnnbench.store.rows import part
from rnnbench.store.store import Store

if TYPE_CHECKING:
    from rich.console import Group

TAKEN = (Sweep, PublishedSet, Runs)


@dataclass(frozen=True)
class Reading:
    """A result with what was read for it: histories by run; folder: where its files go; remarks for its reader."""

    result: AblationResult
    histories: Curves
    folder: Path
    remarks: list[str]


def main_ablation(
    store: Store,
    name: str,
    output: str | Path | None = None,
    *,
    spec: Experiment | None = None,
    figures: bool = True,
) -> tuple[Group, list[Path], list[str]]:
    """The ablation of a sweep: (what to print, the files written, remarks for the error stream).

    name: a sweep (then its runs that are finished), a published set, or a folder of either (`store.results`). output:
    where the files go; see `default_folder`. spec: the key `ablation` of the experiment; by default what the sweep's
    manifest or the published set says. Raises BadInput where there is nothing to compare.
    """
    read = read_ablation(store, name, spec=spec)
    folder = Path(output) if output else read.folder
    files = write_ablation(read.result, folder, planned(read.result, read.histories) if figures else ())
    if figures:
        files += draw(read.result, read.histories, folder)
    return to_rich(read.result, files), files, read.remarks


def read_ablation(store: Store, name: str, *, spec: Experiment | None = None) -> Reading:
    """The ablation of a sweep, as a result: nothing is written. Arguments and errors as of `main_ablation`."""
    found = the_sweep(resolve(store, name, TAKEN), "ablation", "an ablation")
    gathered = gather(found)
    if not gathered.records:
        start = f"; start it: {gathered.command}" if gathered.command else "."
        raise BadInput(f"no run of {gathered.label} is finished{start}")
    head = gathered.head
    if spec is None and head is not None:
        spec = head.get("ablation")
    result = ablation(gathered.records, spec, name=found.name)
    result = replace(result, not_run=part(head or {}, "not_run"))
    folder = default_folder(store, found, f"ablation_{found.name}")
    return Reading(result, gathered.curves(), folder, gathered.remarks)


def derive_ablation(source: Path, folder: Path) -> list[str]:
    """Write the ablation's tables of a published set into folder; the names of the files, none where it is no ablation.

    A published set is one where its head has the key `ablation`. Figures are not drawn, but linked, as planned from its
    records and curves.
    """
    if read_head(source).get("ablation") is None:
        return []
    result, histories = _published(source)
    return [path.name for path in write_ablation(result, folder, planned(result, histories))]


def draw_published(source: Path) -> list[Path]:
    """Draw the figures of a published ablation into its own folder."""
    result, histories = _published(source)
    return draw(result, histories, source)


def _published(source: Path) -> tuple[AblationResult, Curves]:
    head, records = read_head(source), read_published(source)
    result = ablation(records, head.get("ablation"), name=head["name"])
    curves = read_curves(source, [str(record["id"]) for record in records])
    return replace(result, not_run=head.get("not_run") or {}), curves
