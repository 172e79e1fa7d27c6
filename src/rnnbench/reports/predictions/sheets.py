"""Which runs a picture of predictions shows: one seed of every entry, dataset by dataset, failures included."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench.errors import BadInput
from rnnbench.reports.selection.coverage import coverage, fill_unknown
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.tables.numbers import known, short
from rnnbench.store.rows import part, parts
from rnnbench.store.samples import Samples, read

# Runs meet in one picture where these are equal: then they were tested on the same clips.
SAME_CLIPS = ("dataset", "dataset_version", "protocol", "data_hash")
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
    def shown(self) -> Samples:
        """The samples that input and truth are drawn from; every row has the same."""
        return next(row.samples for row in self.rows if row.samples is not None)


def of_frames(record: Mapping[str, Any]) -> bool:
    """Whether a run predicts frames."""
    return part(part(part(record, "config"), "dataset"), "meta").get("outputs") == "frames"


def choose(
    records: Iterable[Mapping[str, Any]], seed: int | None = None, *, kept: Collection[str] | None = None
) -> list[Sheet]:
    """The pictures of records, without their samples: datasets and entries in the order of the records.

    Of every entry the run with the given seed; by default the smallest that ended ok in all entries, and where there is
    none the smallest of each. A picture that would show no run at all is left out. kept: the runs whose samples there
    are, where others cannot be made (a published set).
    """
    unique = {str(record["id"]): record for record in records if of_frames(record)}
    if not unique:
        return []
    frame = fill_unknown(records_frame(unique.values())).set_index("id").loc[list(unique)].reset_index()
    frame["shown"] = (frame["status"] == "ok") & (True if kept is None else frame["id"].isin(list(kept)))
    sheets: list[Sheet] = []
    for _, block in frame.groupby(list(SAME_CLIPS), dropna=False, sort=False):
        if (sheet := _sheet(block, seed, {sheet.name for sheet in sheets})) is not None:
            sheets.append(sheet)
    return sheets


def _sheet(block: pd.DataFrame, seed: int | None, taken: set[str]) -> Sheet | None:
    entries = {str(entry): runs for entry, runs in block.groupby("entry", sort=False)}
    ok = {entry: set(runs.loc[runs["shown"], "seed"].dropna()) for entry, runs in entries.items()}
    shared = set.intersection(*(seeds for seeds in ok.values() if seeds)) if any(ok.values()) else set()
    if seed is None and shared:
        seed = int(min(shared))
    rows, seeds = [], []
    for (entry, runs), label in zip(entries.items(), _labels(entries), strict=True):
        wanted = min(ok[entry], default=None) if seed is None else seed
        found = runs[runs["shown"] & (runs["seed"] == wanted)] if wanted is not None else runs[:0]
        if found.empty:
            rows.append(Row(label, None, _absence(runs, seed)))
        else:
            seeds.append(int(found["seed"].iloc[0]))
            rows.append(Row(label, str(found["id"].iloc[0]), _metric(found.iloc[0])))
    if not seeds:
        return None
    if len(set(seeds)) > 1:  # no seed ended ok everywhere: each row says its own
        of = iter(seeds)
        rows = [row if row.run is None else Row(row.label, row.run, f"{row.note}, seed {next(of)}") for row in rows]
    first, dataset = block.iloc[0], str(block["dataset"].iloc[0])
    names = (dataset, *(f"{dataset}_{n}" for n in range(2, len(taken) + 3)))
    name = next(name for name in names if name not in taken)
    protocol = "" if pd.isna(first["protocol"]) else str(first["protocol"])
    said = f"weights best on validation{f', seed {seeds[0]}' if len(set(seeds)) == 1 else ''}{_goal(first)}"
    return Sheet(name, dataset, tuple(filter(None, (protocol, said))), tuple(rows))


def _labels(entries: Mapping[str, pd.DataFrame]) -> list[str]:
    """The names of entries, with what tells equal ones apart: of "adam, clip=null" what not all of one name share."""
    rows = {entry: runs.iloc[0] for entry, runs in entries.items()}
    words = {
        entry: {k: () if pd.isna(row[k]) else tuple(parts(str(row[k]))) for k in TOLD_APART_BY}
        for entry, row in rows.items()
    }
    labels = []
    for entry, row in rows.items():
        others = [words[e] for e, other in rows.items() if e != entry and other["label"] == row["label"]]
        named, added = list(others), []
        for k in TOLD_APART_BY:
            if any(other[k] != words[entry][k] for other in others):
                shared = set.intersection(*(set(other[k]) for other in named))
                added += [word for word in words[entry][k] if word not in shared]
                others = [other for other in others if other[k] == words[entry][k]]
        added += [f"entry {entry}"] if others else []
        labels.append(str(row["label"]) + (f" [{', '.join(added)}]" if added else ""))
    return labels


def _metric(row: pd.Series[Any]) -> str:
    """ "mse_sum 36.30": a run's main metric on the whole test split, with the same digits in every row."""
    value = row["value"]
    plain = known(value) and 1e-3 <= abs(value) < 1e4
    return f"{row['metric']} {f'{value:#.4g}' if plain else short(value) or 'missing'}".rstrip(".")


def _goal(row: pd.Series[Any]) -> str:
    """What the rows' numbers are."""
    if pd.isna(row["metric"]):
        return ""
    return f"; {row['metric']} is over the whole test split, {'more' if row['goal'] == 'max' else 'less'} is better"


def _absence(runs: pd.DataFrame, seed: int | None) -> str:
    """Why an entry has nothing to show."""
    mine = runs if seed is None else runs[runs["seed"] == seed]
    if (mine["status"] == "ok").any():
        return "no samples kept"
    if seed is None:
        return f"no run ended ok ({coverage(runs)})"
    return f"seed {seed}: {mine['status'].iloc[0] if len(mine) else 'no finished run'}"


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
            samples, lack = _read(path(row.run), row.run, first) if row.run else (None, "")
            first = first or samples
            if lack:
                remarks.append(f"left out: {row.label}: {lack}")
            rows.append(Row(row.label, row.run, row.note if not lack else "no samples kept", samples))
        if first is not None:
            filled.append(Sheet(sheet.name, sheet.dataset, sheet.terms, tuple(rows)))
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
    if first is not None and not samples.same_clips(first):
        return None, f"{path} shows other clips than the rest: delete the samples of all, and they are made anew."
    return samples, ""


def seeds_shown(records: Iterable[Mapping[str, Any]]) -> Sequence[int]:
    """The seeds with which runs that predict frames ended ok."""
    return sorted({int(r["seed"]) for r in records if of_frames(r) and r["status"] == "ok" and r["seed"] is not None})
