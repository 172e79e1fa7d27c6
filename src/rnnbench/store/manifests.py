"""The manifests of sweeps, results/sweeps/NAME.json: which runs a sweep or search is made of, and what it skipped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput, nearest


def skipped_cells(results: Path) -> dict[str, int]:
    """The cells that sweeps skipped because their axes do not go together, counted by reason (from results/sweeps/)."""
    found: dict[str, int] = {}
    for path in sorted((results / "sweeps").glob("*.json")):
        try:
            for cell in json.loads(path.read_text())["skipped"]:
                found[cell["reason"]] = max(found.get(cell["reason"], 0), int(cell["cells"]))
        except (ValueError, KeyError, TypeError, OSError):  # a table never fails because of one file
            continue
    return found


Head = Mapping[str, Any]  # what is known of a sweep: command, runs, skipped, ablation, search


def _head(path: Path) -> Head | None:
    """A sweep's manifest; None where it cannot be read: nothing fails because of one file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return None
    return content if isinstance(content, dict) else None


def runs_of(head: Head) -> list[str]:
    """The runs of a sweep, finished or not, in its order."""
    runs = head.get("runs")
    return [str(run) for run in runs] if isinstance(runs, list) else []


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


def searches(results: Path) -> dict[str, Mapping[str, Any]]:
    """The `search` of every manifest in results/sweeps/, by name; a manifest that cannot be read counts for nothing."""
    found = {}
    for path in sorted((results / "sweeps").glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError):
            continue
        if isinstance(content, dict) and isinstance(content.get("search"), dict):
            found[path.stem] = content["search"]
    return found


def manifest_runs(results: Path, name: str, *, earlier: bool = False) -> list[str]:
    """The ids of a sweep's runs; earlier: also of the grids that had this name before.

    Raises BadInput where there is no such sweep.
    """
    folder = results / "sweeps"
    try:
        known = json.loads((folder / f"{name}.json").read_text())
        return [str(run) for run in [*known["runs"], *(known.get("earlier", ()) if earlier else ())]]
    except FileNotFoundError:
        known = sorted(path.stem for path in folder.glob("*.json"))
        hint = nearest(name, known) if known else "none was started here."
        raise BadInput(f"no sweep {name!r} in {folder}; {hint}") from None
    except (ValueError, KeyError, TypeError):
        raise BadInput(
            f"{folder / name}.json is no manifest of a sweep: start the sweep again, it is rewritten."
        ) from None


def all_manifest_runs(results: Path) -> set[str]:
    """The ids of every sweep's runs, of today's grids and of earlier ones.

    Raises BadInput on a manifest that cannot be read.
    """
    names = [path.stem for path in (results / "sweeps").glob("*.json")]
    return {run for name in names for run in manifest_runs(results, name, earlier=True)}
