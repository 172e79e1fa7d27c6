"""What became of all runs of a page, and where they come from: coverage, failures, skipped cells, provenance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench.reports.page.board import plain
from rnnbench.reports.page.source import Data, Source, head_runs, planned
from rnnbench.reports.selection.coverage import one_line, status_counts
from rnnbench.store.published import Head
from rnnbench.store.record import FINAL
from rnnbench.store.rows import part

ROWS = 2_000  # of a table: what is beyond is counted
IDS = 3  # runs named beside a reason

MADE_BY = ("device", "host", "precision", "backend", "threads", "commit", "dirty", "source_hash", "torch", "toolchain")


def coverage_data(source: Source) -> Data:
    """sweeps: how far each is; counts: runs by dataset, budget, label and status; failures; skipped; damaged."""
    counts = status_counts(source.frame)
    rows = [{name: plain(value) for name, value in row.items()} for row in counts[:ROWS].to_dict("records")]
    skipped, not_run = [], []
    for name, head in sorted(source.heads.items()):
        skipped += _skipped(name, head)
        not_run += _not_run(name, head)
    damaged = [
        {"record": Path(place).parent.name or place, "problem": one_line(why)}  # a run's folder, or a set's line
        for place, why in source.problems.items()
    ]
    return {
        "statuses": list(FINAL), "counts": rows, "left_out": max(0, len(counts) - ROWS), "failures": _failures(source),
        "sweeps": [_progress(source, name) for name in sorted(source.heads)],
        "skipped": skipped, "not_run": not_run, "damaged": damaged,
    }  # fmt: skip


def _skipped(name: str, head: Head) -> list[Data]:
    """The cells that a sweep never started, by reason."""
    cells = [cell for cell in head.get("skipped") or [] if isinstance(cell, Mapping)]
    return [{"sweep": name, "reason": str(cell.get("reason")), "cells": plain(cell.get("cells"))} for cell in cells]


def _not_run(name: str, head: Head) -> list[Data]:
    """How many runs of an entry a published set lacks."""
    lacking = part(head, "not_run")
    return [{"sweep": name, "entry": str(entry), "runs": str(runs)} for entry, runs in lacking.items()]


def _progress(source: Source, name: str) -> Data:
    statuses = source.frame.loc[source.frame["id"].isin(head_runs(source, name)), "status"]
    ends = statuses.value_counts()
    command = source.heads[name].get("command")
    return {
        "name": name, "command": str(command or ""), "planned": planned(source, name), "recorded": len(statuses),
        "ok": int(ends.get("ok", 0)),
    }  # fmt: skip


def _failures(source: Source) -> list[Data]:
    """Runs that did not end ok, by how and why, the commonest first."""
    columns = ["status", "reason", "dataset", "label", "id"]
    lost = source.frame.loc[source.frame["status"] != "ok", columns].sort_values("id")
    alike: dict[tuple[Any, ...], list[str]] = {}
    for status, why, dataset, label, run in zip(*(lost[name].tolist() for name in columns), strict=True):
        alike.setdefault((status, _reason(why), plain(dataset), plain(label)), []).append(run)
    rows = [
        {
            "status": status, "reason": reason, "dataset": dataset, "label": label, "runs": len(ids), "ids": ids[:IDS],
        }
        for (status, reason, dataset, label), ids in alike.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["runs"], row["status"], row["ids"]))[:ROWS]


def _reason(text: Any) -> str:
    return one_line(text, 400) if isinstance(text, str) and text else "no reason recorded"


def provenance(source: Source, stale: Callable[[pd.DataFrame], Sequence[bool]] | None = None) -> Data:
    """groups: runs by machine, commit and source; packages of the newest run of each; the span of time.

    stale: tells of each row of the frame whether other source than today's made it; without it nothing is said. A run
    of a published set is not asked: groups of which only a part is stale are two.
    """
    frame = source.frame
    live = ~frame["id"].isin(list(source.frozen))
    frame = frame.assign(old=False if stale is None else live & pd.Series(list(stale(frame)), frame.index, dtype=bool))
    names = (*MADE_BY, "old")
    groups = []
    counts = frame.groupby(list(names), dropna=False, sort=True).size()
    for values, runs in zip(counts.index.to_flat_index(), counts, strict=True):
        row = dict(zip(names, map(plain, values), strict=True))
        is_old = bool(row.pop("old"))
        groups.append(row | {"runs": int(runs), "stale": is_old})
    groups.sort(key=lambda row: (-row["runs"], json.dumps(row, sort_keys=True, default=str)))
    newest = frame[["finished", "id"]].sort_values(["finished", "id"], na_position="first")["id"].iloc[-1]
    record: Mapping[str, object] = source.read(newest) or {}
    packages = {str(key): str(value) for key, value in sorted(part(record, "packages").items())}
    return {
        "groups": groups[:ROWS], "packages": packages, "schema": plain(record.get("schema_version")),
        "first": _time(frame["started"].min()), "last": _time(frame["finished"].max()),
        "hours": plain(float(frame["wall_seconds"].sum()) / 3600, 4),
    }  # fmt: skip


def _time(value: Any) -> str:
    return "" if pd.isna(value) else str(value.strftime("%Y-%m-%d %H:%M UTC"))
