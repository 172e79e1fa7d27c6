"""`rnnbench ablation NAME`: from a sweep's records, or from a published set, to what is printed and the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnbench.errors import BadInput, nearest
from rnnbench.reports.ablation.figures import draw, planned
from rnnbench.reports.ablation.study import AblationResult, ablation
from rnnbench.reports.ablation.table import write_ablation
from rnnbench.reports.ablation.terminal import to_rich
from rnnbench.store.curves import Curves, read_curves
from rnnbench.store.published import published, read_published
from rnnbench.store.store import Store

if TYPE_CHECKING:
    from rich.console import Group


def main_ablation(
    source: Store | Path,
    name: str,
    output: str | Path | None = None,
    *,
    spec: Mapping[str, Any] | None = None,
    figures: bool = True,
) -> tuple[Group, list[Path], list[str]]:
    """The ablation of a sweep: (what to print, the files written, remarks for the error stream).

    source: a store (then the runs of the sweep `name` that are finished; without such a sweep the published set of that
    name), or the folder of a published set. output: where the files go; by default tables/ablation_NAME/ beside the
    store, or the published folder itself. spec: the key `ablation` of the experiment; by default what the sweep's
    manifest or the published set says. Raises BadInput where there is nothing to compare.
    """
    folder, records, histories, said, remarks = _read(source, name)
    result = replace(ablation(records, said if spec is None else spec, name=name), not_run=_not_run(folder))
    folder = Path(output) if output else folder
    files = write_ablation(result, folder, planned(result, histories) if figures else ())
    if figures:
        files += draw(result, histories, folder)
    return to_rich(result, files), files, remarks


def derive_ablation(source: Path, folder: Path) -> list[str]:
    """Write the ablation's tables of a published set into folder; the names of the files, none where it is no ablation.

    A published set is one where its sweep.json has the key `ablation`. Figures are not drawn, but linked, as planned
    from records.jsonl and curves.jsonl.
    """
    head = json.loads((source / "sweep.json").read_text(encoding="utf-8"))
    if head.get("ablation") is None:
        return []
    result, histories = _published(source, head)
    return [path.name for path in write_ablation(result, folder, planned(result, histories))]


def draw_published(source: Path) -> list[Path]:
    """Draw the figures of a published ablation into its own folder."""
    head = json.loads((source / "sweep.json").read_text(encoding="utf-8"))
    result, histories = _published(source, head)
    return draw(result, histories, source)


def _not_run(folder: Path) -> dict[str, str]:
    """What a published set says was not run; nothing of any other folder."""
    head = folder / "sweep.json"
    return (json.loads(head.read_text(encoding="utf-8")).get("not_run") or {}) if head.exists() else {}


def _published(source: Path, head: Mapping[str, Any]) -> tuple[AblationResult, Curves]:
    records = read_published(source)
    result = ablation(records, head.get("ablation"), name=str(head.get("name") or source.name))
    curves = read_curves(source, [str(record["id"]) for record in records])
    return replace(result, not_run=_not_run(source)), curves


def _read(
    source: Store | Path, name: str
) -> tuple[Path, list[dict[str, Any]], Curves, Mapping[str, Any] | None, list[str]]:
    """(default output, records, histories, spec, remarks) of a sweep or a published set."""
    if isinstance(source, Store):
        results = source.root.parent
        manifest = results / "sweeps" / f"{name}.json"
        if manifest.exists():
            return _read_sweep(source, name, json.loads(manifest.read_text(encoding="utf-8")))
        frozen = published(results)
        if name not in frozen:
            known = {*frozen, *(path.stem for path in (results / "sweeps").glob("*.json"))}
            hint = nearest(name, known) if known else f"`rnnbench sweep experiment={name}` makes one."
            raise BadInput(f"no sweep and no published set {name!r} in {results}; {hint}")
        source = frozen[name]
    head_path = source / "sweep.json"
    head = json.loads(head_path.read_text(encoding="utf-8")) if head_path.exists() else {}
    records = read_published(source)
    return source, records, read_curves(source, [str(r["id"]) for r in records]), head.get("ablation"), []


def _read_sweep(
    store: Store, name: str, manifest: Mapping[str, Any]
) -> tuple[Path, list[dict[str, Any]], Curves, Mapping[str, Any] | None, list[str]]:
    found = store.records()
    records = [found[run] for run in manifest["runs"] if run in found]
    remarks = [f"left out: {problem}" for problem in store.problems.values()]
    if not records:
        raise BadInput(f"no run of {name} is finished; start it: {manifest['command']}")
    if missing := len(manifest["runs"]) - len(records):
        remarks.append(
            f"{missing} of the {len(manifest['runs'])} runs of {name} are not finished: {manifest['command']}"
        )
    folder = store.root.parent / "tables" / f"ablation_{name}"
    histories = read_curves(store, [str(record["id"]) for record in records])
    return folder, records, histories, manifest.get("ablation"), remarks
