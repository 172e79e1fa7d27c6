"""What networks predict, for a page: the pictures of `rnnbench frames`, embedded."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

from rnnbench.reports.page.source import Source
from rnnbench.reports.predictions.published import CLIPS
from rnnbench.reports.predictions.sheets import Sheet, of_frames, with_samples

ENTRIES = 12  # of one block, best first: a picture of more is not looked at


def pictures(source: Source, board: Mapping[str, Any]) -> dict[str, Any]:
    """sheets: one picture a dataset with its words; remarks: what is not shown. Empty where no run predicts frames."""
    runs: list[str] = []
    left_out = 0
    for number in range(len(board["blocks"])):
        places = [n for n, entry in enumerate(board["entries"]) if entry["block"] == number]
        first = next((board["runs"][n]["id"][0] for n in places if board["runs"][n]["id"]), None)
        record = source.read(first) if first is not None else None
        if record is None or not of_frames(record):
            continue
        left_out += max(0, len(places) - ENTRIES)
        runs += [run for n in places[:ENTRIES] for run in board["runs"][n]["id"]]
    if not runs:
        return {"sheets": [], "remarks": []}
    sheets, remarks = with_samples(source.sheets(source.records(runs)), source.samples)
    said = [_said(remark) for remark in remarks]
    said += [f"{left_out} entries beyond the best {ENTRIES} of a block are not drawn."] * bool(left_out)
    return {"sheets": [_sheet(sheet) for sheet in sheets], "remarks": said}


def _said(remark: str) -> str:
    """A remark in one short sentence: the whole path of a file is of no use in a page that travels."""
    return remark.split(": /")[0] + ": no samples kept." if ": /" in remark else remark


def _sheet(sheet: Sheet) -> dict[str, Any]:
    from rnnbench.reports.predictions.picture import picture

    buffer = io.BytesIO()
    clips = min(CLIPS, len(sheet.shown.clips))
    figure = picture(sheet, clips)
    figure.savefig(buffer, format="png", metadata={"Software": None})
    rows = ", ".join(f"{row.label} ({row.note})" for row in sheet.rows)
    width, height = (round(inches * figure.dpi) for inches in figure.get_size_inches())
    return {
        "dataset": sheet.dataset, "terms": list(sheet.terms), "width": width, "height": height,
        "text": f"{clips} test clips of {sheet.dataset}: input, truth and what each network predicts: {rows}",
        "png": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode(),
    }  # fmt: skip
