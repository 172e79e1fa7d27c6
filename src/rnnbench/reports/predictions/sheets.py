"""Which runs a picture of predictions shows: one seed of every entry, dataset by dataset, failures included."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from rnnbench.errors import BadInput
from rnnbench.reports.selection.coverage import coverage, fill_unknown
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.tables.labels import told_apart
from rnnbench.reports.tables.numbers import known, short
from rnnbench.store.published import frozen_samples
from rnnbench.store.record import Record
from rnnbench.store.rows import part, parts
from rnnbench.store.samples import Frames, Samples, read

# Runs meet in one picture where these are equal: then they were tested on the same clips.
SAME_CLIPS = ("dataset", "dataset_version", "protocol", "data_hash")
S = TypeVar("S", bound=Samples)
TOLD_APART_BY = ("training", "budget", "updates", "hidden_size", "options", "precision", "backend", "device_kind")


@dataclass(frozen=True)
class Row:
    """An entry in a picture. run: the one that is shown, None where none ended ok; note: its metric, or what it lacks.

    samples: what it predicted; None where there is nothing to show.
    """

    label: str
    run: str | None
    note: str
    samples: Samples | None = None


@dataclass(frozen=True)
class Sheet:
    """The picture of one dataset. name: of its files; terms: the protocol, seed and metric in words."""

    name: str
    dataset: str
    terms: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def first(self) -> Samples:
        """The samples that input and truth are drawn from; every row has the same."""
        return next(row.samples for row in self.rows if row.samples is not None)

    @property
    def kind(self) -> str:
        """Of which kind its samples are; every row's are of the same."""
        return self.first.kind

    def of(self, kind: type[S]) -> list[tuple[Row, S]]:
        """The rows that have something to show, each with its samples of a kind."""
        return [(row, row.samples) for row in self.rows if isinstance(row.samples, kind)]

    @property
    def shown(self) -> Frames:
        """The clips that input and truth are drawn from, of a sheet of frames."""
        return self.of(Frames)[0][1]


def of_frames(record: Record) -> bool:
    """Whether a run predicts frames."""
    return _meta(record).get("outputs") == "frames"


def shared(record: Record) -> bool:
    """Whether a run's data may be shown to others: `meta: {share: false}` in a dataset's yaml says that it may not."""
    return _meta(record).get("share") is not False


def _meta(record: Record) -> Mapping[str, Any]:
    return part(part(part(record, "config"), "dataset"), "meta")


def choose(records: Iterable[Record], seed: int | None = None, *, kept: Collection[str] | None = None) -> list[Sheet]:
    """The pictures of records, without their samples: datasets and entries in the order of the records.

    Of every entry the run with the given seed; by default the smallest that ended ok in all entries, and where there is
    none the smallest of each. A picture that would show no run at all is left out. kept: the runs whose samples there
    are, where others cannot be made (a published set).
    """
    unique = {str(record["id"]): record for record in records}
    if not unique:
        return []
    frame = fill_unknown(records_frame(unique.values())).set_index("id").loc[list(unique)].reset_index()
    frame["shown"] = (frame["status"] == "ok") & (True if kept is None else frame["id"].isin(list(kept)))
    sheets: list[Sheet] = []
    for _, block in frame.groupby(list(SAME_CLIPS), dropna=False, sort=False):
        sheet = _sheet(block, seed, {sheet.name for sheet in sheets})
        if sheet is not None:
            sheets.append(sheet)
    return sheets


def _sheet(block: pd.DataFrame, seed: int | None, taken: set[str]) -> Sheet | None:
    """The picture of one dataset; None where it would show no run. taken: the names of others."""
    entries = {str(entry): runs for entry, runs in block.groupby("entry", sort=False)}
    if seed is None:
        seed = _shared_seed(entries.values())
    shown = [_shown(runs, seed) for runs in entries.values()]
    seeds = {int(run["seed"]) for run in shown if run is not None}
    if not seeds:
        return None
    rows = []
    for label, run, runs in zip(_labels(entries), shown, entries.values(), strict=True):
        if run is None:
            rows.append(Row(label, None, _absence(runs, seed)))
            continue
        own_seed = f", seed {int(run['seed'])}" if len(seeds) > 1 else ""  # no seed ended ok everywhere
        rows.append(Row(label, str(run["id"]), _metric(run) + own_seed))
    first, dataset = block.iloc[0], str(block["dataset"].iloc[0])
    protocol = "" if pd.isna(first["protocol"]) else str(first["protocol"])
    one_seed = f", seed {min(seeds)}" if len(seeds) == 1 else ""
    said = f"weights best on validation{one_seed}{_goal(first)}"
    return Sheet(_free_name(dataset, taken), dataset, tuple(filter(None, (protocol, said))), tuple(rows))


def _shared_seed(entries: Iterable[pd.DataFrame]) -> int | None:
    """The smallest seed that can be shown of all entries that have any; None where there is none."""
    seeds = [set(runs.loc[runs["shown"], "seed"].dropna()) for runs in entries]
    some = [each for each in seeds if each]
    shared = set.intersection(*some) if some else set()
    return int(min(shared)) if shared else None


def _shown(runs: pd.DataFrame, seed: int | None) -> pd.Series[Any] | None:
    """The run of an entry that is shown: of this seed, or of its own smallest; None where it has none."""
    found = runs[runs["shown"] & runs["seed"].notna()]
    wanted = found["seed"].min() if seed is None else seed
    found = found[found["seed"] == wanted]
    return None if found.empty else found.iloc[0]


def _free_name(dataset: str, taken: set[str]) -> str:
    """The dataset's name, with a number where others have it: "digits_2"."""
    names = (dataset, *(f"{dataset}_{n}" for n in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _labels(entries: Mapping[str, pd.DataFrame]) -> list[str]:
    """The names of entries, with what tells equal ones apart: of "adam, clip=null" what not all of one name share."""
    rows = [runs.iloc[0] for runs in entries.values()]
    labels = [str(row["label"]) for row in rows]
    return told_apart(labels, lambda n: _words(rows[n]), [f"entry {entry}" for entry in entries])


def _words(row: pd.Series[Any]) -> list[str]:
    return [word for key in TOLD_APART_BY if not pd.isna(row[key]) for word in parts(str(row[key]))]


def _metric(row: pd.Series[Any]) -> str:
    """ "mse_sum 36.30": a run's main metric on the whole test split, with the same digits in every row."""
    value = row["value"]
    if known(value) and 1e-3 <= abs(value) < 1e4:
        return f"{row['metric']} {value:#.4g}".rstrip(".")
    return f"{row['metric']} {short(value) or 'missing'}"


def _goal(row: pd.Series[Any]) -> str:
    """What the rows' numbers are."""
    if pd.isna(row["metric"]):
        return ""
    better = "more" if row["goal"] == "max" else "less"
    return f"; {row['metric']} is over the whole test split, {better} is better"


def _absence(runs: pd.DataFrame, seed: int | None) -> str:
    """Why an entry has nothing to show."""
    mine = runs if seed is None else runs[runs["seed"] == seed]
    if (mine["status"] == "ok").any():
        return "no samples kept"
    if seed is None:
        return f"no run ended ok ({coverage(runs)})"
    ended = mine["status"].iloc[0] if len(mine) else "no finished run"
    return f"seed {seed}: {ended}"


def with_samples(sheets: Iterable[Sheet], path: Callable[[str], Path]) -> tuple[list[Sheet], list[str]]:
    """Sheets with the samples of their rows, and one remark for each that has none it should have.

    path: run -> its samples file. A run whose file is missing, damaged or of other clips is shown as lacking them; a
    sheet without any samples is left out.
    """
    filled, remarks = [], []
    for sheet in sheets:
        rows: list[Row] = []
        first: Samples | None = None
        for row in sheet.rows:
            if row.run is None:
                rows.append(row)
                continue
            samples, lack = _read(path(row.run), row.run, first)
            first = first or samples
            if lack:
                remarks.append(f"left out: {row.label}: {lack}")
            rows.append(replace(row, samples=samples, note="no samples kept" if lack else row.note))
        if first is not None:
            filled.append(replace(sheet, rows=tuple(rows)))
    return filled, remarks


def _read(path: Path, run: str, first: Samples | None) -> tuple[Samples | None, str]:
    """(samples, "") or (None, what is wrong with them)."""
    if not path.exists():
        return None, f"{path} is missing."
    try:
        samples = read(path)
    except BadInput as error:
        return None, str(error)
    if samples.run != run:
        return None, f"{path} is of run {samples.run}: delete it, and it is made anew."
    if first is not None and not samples.same_items(first):
        what = "clips" if isinstance(first, Frames) else "items"
        return None, f"{path} shows other {what} than the rest: delete the samples of all, and they are made anew."
    return samples, ""


def seeds_shown(records: Iterable[Record]) -> Sequence[int]:
    """The seeds with which runs ended ok."""
    ok = [record for record in records if record["status"] == "ok"]
    return sorted({int(record["seed"]) for record in ok if record["seed"] is not None})


def published_sheets(folder: Path, records: Iterable[Record], seed: int | None = None) -> list[Sheet]:
    """The pictures of a published set, without their samples: entries as frozen, those without samples at the end."""
    found = {str(record["id"]): record for record in records}
    order = {run: n for n, run in enumerate(frozen_samples(folder))}
    return choose(sorted(found.values(), key=lambda record: order.get(record["id"], math.inf)), seed, kept=order)
