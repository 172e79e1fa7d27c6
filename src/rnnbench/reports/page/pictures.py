"""What networks predict, for a page: the pictures of `rnnbench frames`, embedded."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from rnnbench.reports.figures import png
from rnnbench.reports.page.source import Data, Source
from rnnbench.reports.predictions.figures import CLIPS
from rnnbench.reports.predictions.sheets import Sheet, of_frames, with_samples

ENTRIES = 12  # of one block, best first: a picture of more is not looked at


def pictures(source: Source, board: Data) -> Data:
    """sheets: one picture a dataset with its words; remarks: what is not shown. Empty where no run predicts frames."""
    runs: list[str] = []
    left_out = 0
    for ids in _by_block(board):
        if _is_of_frames(source, ids):
            left_out += max(0, len(ids) - ENTRIES)
            runs += [run for some in ids[:ENTRIES] for run in some]
    if not runs:
        return {"sheets": [], "remarks": []}
    sheets, remarks = with_samples(source.sheets(source.records(runs)), source.samples)
    said = [_said(remark) for remark in remarks]
    if left_out:
        said.append(f"{left_out} entries beyond the best {ENTRIES} of a block are not drawn.")
    return {"sheets": [_sheet(sheet) for sheet in sheets], "remarks": said}


def _by_block(board: Data) -> list[list[Sequence[str]]]:
    """The listed runs of every entry, block by block."""
    found: list[list[Sequence[str]]] = [[] for _ in board["blocks"]]
    for entry, listed in zip(board["entries"], board["runs"], strict=True):
        found[entry["block"]].append(listed["id"])
    return found


def _is_of_frames(source: Source, ids: Sequence[Sequence[str]]) -> bool:
    """Whether the runs of a block predict frames: they are of one dataset, so the first one tells."""
    first = next((some[0] for some in ids if some), None)
    record = None if first is None else source.read(first)
    return record is not None and of_frames(record)


def _said(remark: str) -> str:
    """A remark in one short sentence: the whole path of a file is of no use in a page that travels."""
    what, sign, _ = remark.partition(": /")
    return f"{what}: no samples kept." if sign else remark


def _sheet(sheet: Sheet) -> Data:
    from rnnbench.reports.predictions.picture import picture

    clips = min(CLIPS, len(sheet.shown.clips))
    figure = picture(sheet, clips)
    rows = ", ".join(f"{row.label} ({row.note})" for row in sheet.rows)
    width, height = (round(inches * figure.dpi) for inches in figure.get_size_inches())
    return {
        "dataset": sheet.dataset, "terms": list(sheet.terms), "width": width, "height": height,
        "text": f"{clips} test clips of {sheet.dataset}: input, truth and what each network predicts: {rows}",
        "png": "data:image/png;base64," + base64.b64encode(png(figure)).decode(),
    }  # fmt: skip
