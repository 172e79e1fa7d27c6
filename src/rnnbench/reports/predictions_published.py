"""Predictions in a published set: `samples/<id>.npz` of one run an entry, and pictures that are drawn from them alone.

The set's sweep.json names the runs with the sha256 of their files, in the order in which they are shown. A set that was
frozen without them has no such key, and no pictures.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rnnbench.reports.figures import save
from rnnbench.reports.predictions import Sheet, choose, with_samples
from rnnbench.samples import FILE
from rnnbench.store import Store, write_atomic

SAMPLES, FIGURES, PREFIX = "samples", "figures", "frames_"
CLIPS = 2  # that a picture shows, unless more are asked for


def freeze(store: Store, records: Iterable[Mapping[str, Any]], folder: Path) -> dict[str, str]:
    """Copy the samples of the runs that a picture shows into a published set; their sha256 by run, in order.

    records: in the order of the sweep. Runs without samples are left out; samples of other runs are removed.
    """
    sheets, _ = with_samples(choose(records), lambda run: store.folder(run) / FILE)
    frozen: dict[str, str] = {}
    for run in [row.run for sheet in sheets for row in sheet.rows if row.run and row.samples is not None]:
        content = (store.folder(run) / FILE).read_bytes()
        (folder / SAMPLES).mkdir(exist_ok=True)
        write_atomic(folder / SAMPLES / f"{run}.npz", content)
        frozen[run] = hashlib.sha256(content).hexdigest()
    for path in (folder / SAMPLES).glob("*.npz"):
        if path.stem not in frozen:
            path.unlink()
    return frozen


def changed(folder: Path) -> list[str]:
    """The frozen samples of a published set that are missing, or are not what was frozen."""
    names = {f"{SAMPLES}/{run}.npz": sha256 for run, sha256 in _frozen(folder).items()}
    return [
        name
        for name, sha256 in names.items()
        if not (folder / name).exists() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha256
    ]


def published_sheets(folder: Path, records: Iterable[Mapping[str, Any]], seed: int | None = None) -> list[Sheet]:
    """The pictures of a published set, without their samples: entries as frozen, those without samples at the end."""
    found = {str(record["id"]): record for record in records}
    order = {run: n for n, run in enumerate(_frozen(folder))}
    return choose(sorted(found.values(), key=lambda record: order.get(record["id"], math.inf)), seed, kept=order)


def links(folder: Path, records: Iterable[Mapping[str, Any]]) -> list[str]:
    """The lines of a published set's README about its pictures; none where there are none."""
    lines = []
    for sheet in published_sheets(folder, records):
        path = f"{FIGURES}/{PREFIX}{sheet.name}"
        lines += ["", f"![what each network predicts on {sheet.dataset}]({path}.png)", ""]
        lines += [f"{sheet.dataset}: test clips, one seed an entry; [the same as an animation]({path}.gif)."]
    return ["", "## Predictions", *lines] if lines else []


def draw_frozen(folder: Path, records: Iterable[Mapping[str, Any]]) -> list[Path]:
    """Draw a published set's pictures into its figures/; returns the paths."""
    sheets, _ = with_samples(published_sheets(folder, records), lambda run: folder / SAMPLES / f"{run}.npz")
    return draw(sheets, folder / FIGURES, PREFIX, CLIPS)


def draw(sheets: Iterable[Sheet], folder: Path, prefix: str, clips: int) -> list[Path]:
    """Draw every sheet with its samples as `prefix`NAME.png and .gif into a folder; returns the paths."""
    from rnnbench.reports.predictions_gif import animation
    from rnnbench.reports.predictions_png import picture

    paths = []
    for sheet in sheets:
        paths.append(save(picture(sheet, clips), folder / f"{prefix}{sheet.name}.png"))
        paths.append(folder / f"{prefix}{sheet.name}.gif")
        write_atomic(paths[-1], animation(sheet, clips))
    return paths


def _frozen(folder: Path) -> dict[str, str]:
    path = folder / "sweep.json"
    head = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return dict(head.get("samples") or {})
