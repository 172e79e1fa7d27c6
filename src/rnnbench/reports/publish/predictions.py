"""The predictions that a published set keeps: frozen samples, their pictures, and whether they still fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from rnnbench.reports.predictions.figures import CLIPS, draw
from rnnbench.reports.predictions.sheets import choose, published_sheets, with_samples
from rnnbench.store.files import LARGEST_TABLE, read_if_regular, read_regular
from rnnbench.store.published import frozen_samples
from rnnbench.store.record import Record
from rnnbench.store.samples import FIGURES, FILE, PREFIX, SAMPLES
from rnnbench.store.store import Store, write_atomic


def freeze(store: Store, records: Iterable[Record], folder: Path) -> dict[str, str]:
    """Copy the samples of the runs that a picture shows into a published set; their sha256 by run, in order.

    records: in the order of the sweep. Runs without samples are left out; samples of other runs are removed.
    """
    sheets, _ = with_samples(choose(records), lambda run: store.folder(run) / FILE)
    frozen: dict[str, str] = {}
    for run in [row.run for sheet in sheets for row in sheet.rows if row.run and row.samples is not None]:
        content = read_regular(store.folder(run) / FILE, LARGEST_TABLE)
        (folder / SAMPLES).mkdir(exist_ok=True)
        write_atomic(folder / SAMPLES / f"{run}.npz", content)
        frozen[run] = hashlib.sha256(content).hexdigest()
    for path in (folder / SAMPLES).glob("*.npz"):
        if path.stem not in frozen:
            path.unlink()
    return frozen


def changed(folder: Path) -> list[str]:
    """The frozen samples of a published set that are missing, or are not what was frozen."""
    names = {f"{SAMPLES}/{run}.npz": sha256 for run, sha256 in frozen_samples(folder).items()}
    return [
        name
        for name, sha256 in names.items()
        if (content := read_if_regular(folder / name)) is None or hashlib.sha256(content).hexdigest() != sha256
    ]


def links(folder: Path, records: Iterable[Record]) -> list[str]:
    """The lines of a published set's README about its pictures; none where there are none."""
    lines = []
    for sheet in published_sheets(folder, records):
        path = f"{FIGURES}/{PREFIX}{sheet.name}"
        lines += ["", f"![what each network predicts on {sheet.dataset}]({path}.png)", ""]
        lines += [f"{sheet.dataset}: test clips, one seed an entry; [the same as an animation]({path}.gif)."]
    return ["", "## Predictions", *lines] if lines else []


def draw_frozen(folder: Path, records: Iterable[Record]) -> list[Path]:
    """Draw a published set's pictures into its figures/; returns the paths."""
    sheets, _ = with_samples(published_sheets(folder, records), lambda run: folder / SAMPLES / f"{run}.npz")
    return draw(sheets, folder / FIGURES, PREFIX, CLIPS)
