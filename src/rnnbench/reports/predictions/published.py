"""Predictions in a published set: `samples/<id>.npz` of one run an entry, and pictures that are drawn from them alone.

The set's sweep.json names the runs with the sha256 of their files, in the order in which they are shown. A set that was
frozen without them has no such key, and no pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from rnnbench.reports.figures import save
from rnnbench.reports.predictions.sheets import Sheet, choose
from rnnbench.store.published import frozen_samples
from rnnbench.store.record import Record
from rnnbench.store.store import write_atomic

CLIPS = 2  # that a picture shows, unless more are asked for


def published_sheets(folder: Path, records: Iterable[Record], seed: int | None = None) -> list[Sheet]:
    """The pictures of a published set, without their samples: entries as frozen, those without samples at the end."""
    found = {str(record["id"]): record for record in records}
    order = {run: n for n, run in enumerate(frozen_samples(folder))}
    return choose(sorted(found.values(), key=lambda record: order.get(record["id"], math.inf)), seed, kept=order)


def draw(sheets: Iterable[Sheet], folder: Path, prefix: str, clips: int) -> list[Path]:
    """Draw every sheet with its samples as `prefix`NAME.png and .gif into a folder; returns the paths."""
    from rnnbench.reports.predictions.animation import animation
    from rnnbench.reports.predictions.picture import picture

    paths = []
    for sheet in sheets:
        paths.append(save(picture(sheet, clips), folder / f"{prefix}{sheet.name}.png"))
        paths.append(folder / f"{prefix}{sheet.name}.gif")
        write_atomic(paths[-1], animation(sheet, clips))
    return paths
