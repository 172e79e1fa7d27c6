"""What networks predict, for a page: the pictures of `rnnbench predictions`, embedded; texts as they are."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from rnnbench.reports.figures import png
from rnnbench.reports.page.source import Data, Source
from rnnbench.reports.predictions.figures import CLIPS, drawn
from rnnbench.reports.predictions.sheets import Sheet, of_frames, with_samples
from rnnbench.store.samples import Classes, Frames, Series, Steps, Text, Values

ENTRIES = 12  # of one block, best first: a picture of more is not looked at
SHEETS = 24  # of one page
MOST_KEPT = 64  # pictures that are remembered: a served page is made again whenever a run ends
WHAT = {
    Series.kind: "forecasts on test: what was seen, what came, and what each network and each trivial forecast says",
    Classes.kind: "which class each network takes for which, over the whole test split",
    Values.kind: "what each network predicts against what is true",
    Steps.kind: "what comes at every step, and what each network expects",
}

_kept: dict[object, Data] = {}


def pictures(source: Source, board: Data) -> Data:
    """sheets: one picture a dataset with its words, or its texts; remarks: what is not shown. Empty where no run has
    kept anything. A run on frames without samples is named; others have none where they are of an older version."""
    runs: list[str] = []
    left_out = 0
    for ids in _by_block(board):
        left_out += max(0, len(ids) - ENTRIES) if _is_kept(source, ids) else 0
        runs += [run for some in ids[:ENTRIES] for run in some]
    if not runs:
        return {"sheets": [], "remarks": []}
    sheets, remarks = with_samples(_kept_sheets(source, runs), source.samples)
    said = [_said(remark) for remark in remarks]
    if left_out:
        said.append(f"{left_out} entries beyond the best {ENTRIES} of a block are not drawn.")
    if len(sheets) > SHEETS:
        said.append(f"{len(sheets) - SHEETS} datasets beyond the first {SHEETS} are not drawn.")
    return {"sheets": [_sheet(sheet) for sheet in sheets[:SHEETS]], "remarks": said}


def _kept_sheets(source: Source, runs: Sequence[str]) -> list[Sheet]:
    """The sheets of runs; of those that predict no frames, where any row has its samples."""
    frames = {str(record["id"]) for record in source.records(runs) if of_frames(record)}
    return [
        sheet
        for sheet in source.sheets(source.records(runs))
        if any(row.run in frames or _exists(source, row.run) for row in sheet.rows)
    ]


def _exists(source: Source, run: str | None) -> bool:
    return run is not None and source.samples(run).exists()


def _by_block(board: Data) -> list[list[Sequence[str]]]:
    """The listed runs of every entry, block by block."""
    found: list[list[Sequence[str]]] = [[] for _ in board["blocks"]]
    for entry, listed in zip(board["entries"], board["runs"], strict=True):
        found[entry["block"]].append(listed["id"])
    return found


def _is_kept(source: Source, ids: Sequence[Sequence[str]]) -> bool:
    """Whether there is a picture of a block: its runs are of one dataset, so the first one tells."""
    first = next((some[0] for some in ids if some), None)
    record = None if first is None else source.read(first)
    return record is not None and (of_frames(record) or _exists(source, first))


def _said(remark: str) -> str:
    """A remark in one short sentence: the whole path of a file is of no use in a page that travels."""
    what, sign, _ = remark.partition(": /")
    return f"{what}: no samples kept." if sign else remark


def _sheet(sheet: Sheet) -> Data:
    """A sheet's picture, made once: the samples of a run are written once."""
    key = (
        sheet.kind,
        sheet.dataset,
        sheet.terms,
        tuple((r.label, r.run, r.note, r.samples is None) for r in sheet.rows),
    )
    if key not in _kept:
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        _kept[key] = _told(sheet)
    return _kept[key]


def _told(sheet: Sheet) -> Data:
    same = {"dataset": sheet.dataset, "terms": list(sheet.terms)}
    if sheet.kind == Text.kind:
        rows = sheet.of(Text)
        first = rows[0][1]
        texts = [{"label": f"{row.label} ({row.note})", "text": samples.sample} for row, samples in rows]
        return same | {"prompt": first.prompt, "how": first.how, "texts": texts}
    figure = drawn(sheet)
    rows_said = ", ".join(f"{row.label} ({row.note})" for row in sheet.rows)
    width, height = (round(inches * figure.dpi) for inches in figure.get_size_inches())
    return same | {
        "width": width, "height": height, "text": f"{_what(sheet)}: {rows_said}",
        "png": "data:image/png;base64," + base64.b64encode(png(figure)).decode(),
    }  # fmt: skip


def _what(sheet: Sheet) -> str:
    if sheet.kind == Frames.kind:
        clips = min(CLIPS, len(sheet.shown.clips))
        return f"{clips} test clips of {sheet.dataset}: input, truth and what each network predicts"
    return f"{sheet.dataset}: {WHAT[sheet.kind]}"
