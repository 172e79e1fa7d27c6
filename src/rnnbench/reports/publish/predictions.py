"""The predictions that a published set keeps: frozen samples, their pictures, and whether they still fit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from rnnbench.reports.predictions.figures import draw, stem
from rnnbench.reports.predictions.sheets import Sheet, choose, published_sheets, shared, with_samples
from rnnbench.reports.tables.markdown import escaped
from rnnbench.store.files import LARGEST_TABLE, read_if_regular, read_regular
from rnnbench.store.published import frozen_samples, read_head
from rnnbench.store.record import Record
from rnnbench.store.rows import part
from rnnbench.store.samples import FIGURES, FILE, SAMPLES, Classes, Frames, Text
from rnnbench.store.store import Store, write_atomic


def freeze(store: Store, records: Iterable[Record], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Copy the samples of the runs that a picture shows into a published set: their sha256 by run, in order, and of
    those that are no frames their kind by run.

    records: in the order of the sweep. Runs without samples are left out; samples of other runs are removed. Of data
    that may not be shared (`meta: {share: false}` in the dataset's yaml) counts of classes are frozen, and no more.
    """
    records = list(records)
    private = {str(record["id"]) for record in records if not shared(record)}
    found, _ = with_samples(choose(records), lambda run: store.folder(run) / FILE)
    sheets = [sheet for sheet in found if sheet.kind == Classes.kind or not private & {row.run for row in sheet.rows}]
    frozen: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for run, kind in [
        (row.run, row.samples.kind) for sheet in sheets for row in sheet.rows if row.run and row.samples is not None
    ]:
        content = read_regular(store.folder(run) / FILE, LARGEST_TABLE)
        (folder / SAMPLES).mkdir(exist_ok=True)
        write_atomic(folder / SAMPLES / f"{run}.npz", content)
        frozen[run] = hashlib.sha256(content).hexdigest()
        if kind != Frames.kind:
            kinds[run] = kind
    for path in (folder / SAMPLES).glob("*.npz"):
        if path.stem not in frozen:
            path.unlink()
    return frozen, kinds


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
    records = list(records)
    kinds = read_head(folder).get("sample_kinds", {})
    lines: list[str] = []
    for sheet in published_sheets(folder, records):
        kind = next((kinds[row.run] for row in sheet.rows if row.run in kinds), Frames.kind)
        lines += _link(sheet, kind)
    lines += _withheld(records)
    return ["", "## Predictions", *lines] if lines else []


def _link(sheet: Sheet, kind: str) -> list[str]:
    """The lines about one picture."""
    path = f"{FIGURES}/{stem(kind, sheet.name)}"
    if kind == Text.kind:
        return ["", f"{sheet.dataset}: [how each network goes on after a prompt]({path}.md), one seed an entry."]
    lines = ["", f"![what each network predicts on {sheet.dataset}]({path}.png)", ""]
    if kind == Frames.kind:
        return [*lines, f"{sheet.dataset}: test clips, one seed an entry; [the same as an animation]({path}.gif)."]
    if kind == Classes.kind:
        worst = f"[the test items of the largest loss]({path}_worst.csv)"
        return [*lines, f"{sheet.dataset}: the whole test split, one seed an entry; {worst}."]
    return [*lines, f"{sheet.dataset}: items spread evenly over test, one seed an entry."]


def _withheld(records: Iterable[Record]) -> list[str]:
    """What a set does not show, and why."""
    private = sorted({str(part(record, "dataset").get("name")) for record in records if not shared(record)})
    return [
        line
        for name in private
        for line in ("", f"{escaped(name)}: no values of its data are kept here, as they may not be shared "
                         "(`meta: {share: false}` of its yaml); numbers only.")
    ]  # fmt: skip


def draw_frozen(folder: Path, records: Iterable[Record]) -> list[Path]:
    """Draw a published set's pictures into its figures/; returns the paths."""
    sheets, _ = with_samples(published_sheets(folder, records), lambda run: folder / SAMPLES / f"{run}.npz")
    return draw(sheets, folder / FIGURES, published=True)
