"""What a report page is made of: the runs of a selection, and where to read what else is known of each.

Which runs these are is said by `selection.select` alone; everything behind it sees a `Source` and no store.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench.reports.predictions.sheets import Sheet, choose
from rnnbench.reports.selection.select import Selected, select
from rnnbench.store.curves import Curves
from rnnbench.store.published import Head, runs_of
from rnnbench.store.record import Record
from rnnbench.store.store import Store

__all__ = ["Data", "Source", "head_runs", "open_source", "planned"]


# What a page's script reads of one thing, as JSON holds it. The script and `docs` say what is in it.
Data = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """The runs of a page. heads: by name, what is known of their sweeps (command, runs, skipped, ablation, search).

    frame: of `records_frame`, selected; read: a run's whole record, None where there is none; curves: histories by id;
    sheets: the pictures of records; samples: run -> its samples file. problems: records that cannot be read, by place;
    remarks: what else the reader must know; tag: the selection in a file's name. frozen: the runs of published sets,
    whose source was never meant to be today's; part: not all that the places named hold.
    """

    title: str
    frame: pd.DataFrame
    heads: Mapping[str, Head]
    read: Callable[[str], Record | None]
    curves: Callable[[Iterable[str]], Curves]
    sheets: Callable[[Iterable[Record]], list[Sheet]]
    samples: Callable[[str], Path]
    problems: Mapping[str, str] = field(default_factory=dict)
    remarks: Sequence[str] = ()
    tag: str = ""
    frozen: Collection[str] = frozenset()
    part: bool = False

    def records(self, runs: Iterable[str]) -> list[Record]:
        """The whole records of runs, as far as they can be read."""
        return [record for run in runs if (record := self.read(run)) is not None]


def open_source(store: Store, words: Sequence[str] = ()) -> Source:
    """The source of a page: the runs of a selection. Raises BadInput where there is none; see `select`."""
    found = select(store, words)

    def read(run: str) -> Record | None:
        place = found.place(run)
        return place.read(run) if place else None

    def samples(run: str) -> Path:
        return (found.place(run) or found.places[0]).samples(run)

    return Source(
        found.title, found.frame, found.heads, read, found.curves,
        lambda records: _sheets(found, records), samples, found.problems, found.remarks, found.tag, found.frozen,
        bool(found.wanted),
    )  # fmt: skip


def _sheets(found: Selected, records: Iterable[Record]) -> list[Sheet]:
    """Pictures of records of all places together: one a dataset, so that their networks stand below each other."""
    by_id = {str(record["id"]): record for record in records}
    ordered: list[Record] = []
    kept: set[str] = set()
    for place, mine in zip(found.places, found.by_place(by_id), strict=True):
        pictured, there = place.pictured([by_id[run] for run in mine])
        ordered += pictured
        kept |= there
    return choose(ordered, kept=kept)


def head_runs(source: Source, name: str) -> list[str]:
    """The runs of one of the source's sweeps that are in the selection, in the sweep's order."""
    mine = set(source.frame["id"].tolist())
    return [run for run in runs_of(source.heads[name]) if run in mine]


def planned(source: Source, name: str) -> int | None:
    """How many runs a sweep has, finished or not; None in a part, as a run that never began has no dataset."""
    return None if source.part else len(runs_of(source.heads[name]))
