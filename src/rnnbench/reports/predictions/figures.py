"""Every sheet as a picture and as an animation, in a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rnnbench.reports.figures import save
from rnnbench.reports.predictions.sheets import Sheet
from rnnbench.store.store import write_atomic

CLIPS = 2  # that a picture shows, unless more are asked for


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
