"""What a report page is made of: the runs of a store, of one sweep in it, or of a published set alone.

The selection is thin: a name, a dataset, a budget. Everything behind it sees a `Source` and no store.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench.errors import BadInput, nearest
from rnnbench.record import RecordError
from rnnbench.reports.curves import Curves, read_curves
from rnnbench.reports.frames import records_frame, store_frame
from rnnbench.reports.predictions import Sheet, choose
from rnnbench.reports.predictions_published import SAMPLES, published_sheets
from rnnbench.reports.publish import published, read_published
from rnnbench.reports.searched import with_searches
from rnnbench.samples import FILE
from rnnbench.store import Store

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Source:
    """The runs of a page. heads: by name, what is known of their sweeps (command, runs, skipped, ablation, search).

    frame: of `records_frame`, selected; read: a run's whole record, None where there is none; curves: histories by id;
    sheets: the pictures of records; samples: run -> its samples file. problems: records that cannot be read, by path.
    frozen: a published set, whose source was never meant to be today's; part: of a dataset or a budget alone.
    """

    title: str
    frame: pd.DataFrame
    heads: Mapping[str, Mapping[str, Any]]
    read: Callable[[str], Record | None]
    curves: Callable[[Iterable[str]], Curves]
    sheets: Callable[[Iterable[Record]], list[Sheet]]
    samples: Callable[[str], Path]
    problems: Mapping[str, str] = field(default_factory=dict)
    frozen: bool = False
    part: bool = False

    def records(self, runs: Iterable[str]) -> list[Record]:
        """The whole records of runs, as far as they can be read."""
        return [record for run in runs if (record := self.read(run)) is not None]


def open_source(
    store: Store, name: str | None = None, *, dataset: str | None = None, budget: str | None = None
) -> Source:
    """The source of a page. name: a sweep, or (where there is none so called) a published set; None: the whole store.

    Raises BadInput where there is no such thing, or nothing in it is finished.
    """
    results = store.root.parent
    manifests = sorted((results / "sweeps").glob("*.json"))
    frozen = published(results)
    heads = {path.stem: head for path in manifests if (head := _head(path)) is not None}
    if name is None or name in heads:
        source = _of_store(store, heads, name)
        nothing = f"no run of {name} is finished." if name else f"no finished runs in {store.root}."
    elif name in frozen:
        source = _of_published(frozen[name], name)
        nothing = f"{name} holds no runs."
    else:
        known = {*frozen, *heads}
        hint = nearest(name, known) if known else f"`rnnbench sweep experiment={name}` makes one."
        raise BadInput(f"no sweep and no published set {name!r} in {results}; {hint}")
    if source.frame.empty:
        raise BadInput(f"{nothing} `rnnbench sweep experiment=quickstart` makes some.")
    return _only(source, dataset=dataset, budget=budget)


def _head(path: Path) -> Mapping[str, Any] | None:
    """A sweep's manifest; None where it cannot be read: a page does not fail because of one file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return None
    return content if isinstance(content, dict) else None


def _of_store(store: Store, heads: Mapping[str, Mapping[str, Any]], name: str | None) -> Source:
    frame = store_frame(store)
    if name is not None:
        heads = {name: heads[name]}
        frame = frame[frame["id"].isin(_runs(heads[name]))].reset_index(drop=True)
    searches = {key: head["search"] for key, head in heads.items() if isinstance(head.get("search"), dict)}

    def read(run: str) -> Record | None:
        try:
            return store.read(run)
        except (RecordError, OSError):  # the frame's problems name it
            return None

    return Source(
        name or "all runs", with_searches(frame, searches), heads, read, lambda runs: read_curves(store, runs), choose,
        lambda run: store.folder(run) / FILE, dict(store.problems),
    )  # fmt: skip


def _of_published(folder: Path, name: str) -> Source:
    found = {str(record["id"]): record for record in read_published(folder)}
    head = dict(_head(folder / "sweep.json") or {}) | {"runs": sorted(found)}
    searches = {name: head["search"]} if isinstance(head.get("search"), dict) else {}
    return Source(
        name, with_searches(records_frame(found.values()), searches), {name: head}, found.get,
        lambda runs: read_curves(folder, runs), lambda records: published_sheets(folder, records),
        lambda run: folder / SAMPLES / f"{run}.npz", frozen=True,
    )  # fmt: skip


def _runs(head: Mapping[str, Any]) -> Sequence[str]:
    runs = head.get("runs")
    return [str(run) for run in runs] if isinstance(runs, list) else []


def _only(source: Source, **wanted: str | None) -> Source:
    """The runs with these values alone. Raises BadInput where no run has them."""
    frame = source.frame
    for column, value in wanted.items():
        if value is not None:
            names = sorted(frame[column].dropna().unique())
            if value not in names:
                raise BadInput(f"no finished run has {column} {value!r}; {nearest(value, names)}")
            frame = frame[frame[column] == value]
    chosen = [f"{key} {value}" for key, value in wanted.items() if value is not None]
    if not chosen:
        return source
    frame = frame.reset_index(drop=True)
    mine = set(frame["id"])
    heads = {name: head for name, head in source.heads.items() if mine & set(_runs(head))}
    return replace(source, title=", ".join([source.title, *chosen]), frame=frame, heads=heads, part=True)


def head_runs(source: Source, name: str) -> list[str]:
    """The runs of one of the source's sweeps that are in the selection, in the sweep's order."""
    mine = set(source.frame["id"])
    return [run for run in _runs(source.heads[name]) if run in mine]


def planned(source: Source, name: str) -> int | None:
    """How many runs a sweep has, finished or not; None in a part, as a run that never began has no dataset."""
    return None if source.part else len(_runs(source.heads[name]))
