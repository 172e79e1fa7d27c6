"""Which sources compute the same: `vouched.jsonl`, a line for each that the gate has seen give the baseline's bits.

A source that ran a cell and a dataset of some version with the bits of `results/published/baseline` stands in for every
other that did. What it did not run it says nothing of: other cells and datasets, another device or precision.
`rnnbench.bench.gate` writes the list; a version that is raised is another work. No torch.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rnnbench.store.record import Record
from rnnbench.store.rows import device_kind

FILE = Path(__file__).with_name("vouched.jsonl")
DEVICE, PRECISION = "cpu", "32"  # what the gate computes on and in: bits of a GPU, or of bf16, it has not seen


class Work(NamedTuple):
    """What a run computes, as far as the gate tells works apart. Versions as text."""

    cell: str
    cell_version: str
    dataset: str
    dataset_version: str
    device: str = DEVICE
    precision: str = PRECISION


@dataclass(frozen=True)
class Line:
    """A source, and the cells and datasets it ran with the baseline's bits: name -> version."""

    source: str
    cells: Mapping[str, str]
    datasets: Mapping[str, str]

    def covers(self, work: Work) -> bool:
        cell, dataset = self.cells.get(work.cell), self.datasets.get(work.dataset)
        as_run = (work.device, work.precision) == (DEVICE, PRECISION)
        return as_run and (cell, dataset) == (work.cell_version, work.dataset_version)

    def text(self) -> str:
        """The line as it stands in the list."""
        return json.dumps({"source": self.source, "cells": dict(self.cells), "datasets": dict(self.datasets)})


def line(source: str, works: Iterable[Work]) -> Line:
    """The line of a source that ran these works with the baseline's bits."""
    every = sorted(works)
    cells = {work.cell: work.cell_version for work in every}
    datasets = {work.dataset: work.dataset_version for work in every}
    return Line(source, dict(sorted(cells.items())), dict(sorted(datasets.items())))


@functools.cache
def read(path: Path = FILE) -> dict[str, Line]:
    """The list by source. What is no line of it (`damaged`), and a source's second line, vouch for nothing."""
    found: dict[str, Line] = {}
    for _, each in _lines(path):
        if each is not None:
            found.setdefault(each.source, each)
    return found


def damaged(path: Path) -> list[int]:
    """The numbers of the lines that cannot be read: what a merge left behind, most likely."""
    return [n for n, each in _lines(path) if each is None]


def _lines(path: Path) -> Iterator[tuple[int, Line | None]]:
    """Every line that is not empty, by its number."""
    for n, text in enumerate(path.read_bytes().split(b"\n"), 1):
        if text.strip():
            yield n, _parsed(text)


def _parsed(text: bytes) -> Line | None:
    try:
        found = Line(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found.source, str) and _versions(found.cells) and _versions(found.datasets) else None


def _versions(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(version, str) for version in value.values())


def equal(a: str, b: str, work: Work) -> bool:
    """Whether two sources are known to compute a work alike."""
    if a == b:
        return True
    known = read(FILE)
    return a in known and b in known and known[a].covers(work) and known[b].covers(work)


def work_of(record: Record) -> Work:
    """What a record's run computed."""
    axes, dataset = record["axes"], record["dataset"]
    return Work(
        cell=str(axes.get("cell")),
        cell_version=str(axes.get("cell_version")),
        dataset=str(dataset.get("name")),
        dataset_version=str(dataset.get("version")),
        device=str(device_kind(record["device"])),
        precision=str(record["precision"]),
    )
