"""Every sheet as files in a folder: a picture, an animation of frames, the worst items of classes, texts of text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.reports.figures import save
from rnnbench.reports.predictions.sheets import Sheet
from rnnbench.store.samples import PREFIX, Classes, Frames, Samples, Series, Steps, Text, Values
from rnnbench.store.store import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLIPS = 2  # that a picture of frames shows, unless more are asked for
OF_OTHERS = "predictions_"  # begins a picture's name in a published set; of frames it is PREFIX


def draw(sheets: Iterable[Sheet], folder: Path, *, published: bool = False, clips: int | None = None) -> list[Path]:
    """Draw every sheet with its samples into a folder; returns the paths.

    Of each NAME.png; NAME.gif beside it of frames, NAME_worst.csv of classes, NAME.md alone of text. published: the
    names say that they are pictures of predictions. clips: how many clips, or other items, a picture shows.
    """
    paths: list[Path] = []
    for sheet in sheets:
        name = stem(sheet.kind, sheet.name) if published else sheet.name
        paths += _draw(sheet, folder / name, clips)
    return paths


def stem(kind: str, name: str) -> str:
    """What the files of a sheet are called in a published set, without their ending."""
    return f"{PREFIX if kind == Frames.kind else OF_OTHERS}{name}"


def _draw(sheet: Sheet, path: Path, clips: int | None) -> list[Path]:
    """The files of one sheet. path: without an ending."""
    from rnnbench.reports.predictions.animation import animation
    from rnnbench.reports.predictions.classes import worst_csv
    from rnnbench.reports.predictions.texts import markdown

    if sheet.kind == Text.kind:
        return [_write(path, ".md", markdown(sheet).encode())]
    files = [save(drawn(sheet, clips), path.with_name(f"{path.name}.png"))]
    if sheet.kind == Frames.kind:
        files.append(_write(path, ".gif", animation(sheet, clips or CLIPS)))
    if sheet.kind == Classes.kind:
        files.append(_write(path, "_worst.csv", worst_csv(sheet).encode()))
    return files


def _write(path: Path, ending: str, content: bytes) -> Path:
    whole = path.with_name(f"{path.name}{ending}")
    write_atomic(whole, content)
    return whole


def drawn(sheet: Sheet, clips: int | None = None) -> Figure:
    """The picture of a sheet that is no text. clips: how many clips, or other items, it shows."""
    from rnnbench.reports.predictions.classes import confusion
    from rnnbench.reports.predictions.picture import picture
    from rnnbench.reports.predictions.series import forecasts
    from rnnbench.reports.predictions.steps import rolls
    from rnnbench.reports.predictions.values import scatter

    match sheet.kind:
        case Series.kind:
            return forecasts(sheet, clips)
        case Classes.kind:
            return confusion(sheet)
        case Values.kind:
            return scatter(sheet)
        case Steps.kind:
            return rolls(sheet, clips)
    return picture(sheet, clips or CLIPS)


def countable(samples: Samples) -> int:
    """How many clips or other items there are to choose from; 0 where a picture shows all there is."""
    if isinstance(samples, Frames):
        return len(samples.clips)
    return len(samples.truth) if isinstance(samples, (Series, Steps)) else 0
