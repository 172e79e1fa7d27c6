"""What may stand in one table: runs of one dataset, protocol and budget, and how such a block is titled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from rnnbench.reports.tables.labels import dotted, text_or
from rnnbench.reports.tables.numbers import count, short, with_arrow
from rnnbench.store.rows import BLOCK


def blocks(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The parts of a leaderboard whose rows may be compared, in its order."""
    for _, block in table.groupby(list(BLOCK), dropna=False, sort=False):
        yield block


def title(block: pd.DataFrame) -> str:
    """ "digits · small": the dataset and budget of a block."""
    return dotted(block["dataset"].iloc[0], block["budget"].iloc[0])


def terms(block: pd.DataFrame) -> str:
    """On what terms a block's rows were compared: protocol, budget in updates, floor, target, data."""
    first = block.iloc[0]
    target = short(first["target"])
    return dotted(
        first["protocol"],
        _granted(first),
        _floor(first),
        f"target {target}" if target else "no target",
        "" if pd.isna(first["dataset_version"]) else f"version {first['dataset_version']}",
        "" if pd.isna(first["data_hash"]) else f"data {str(first['data_hash'])[:8]}",
    )


def _granted(first: pd.Series[Any]) -> str:
    if pd.isna(first["updates"]):
        return ""
    of = "" if pd.isna(first["batch_size"]) else f" of {first['batch_size']}"
    return f"{count(first['updates'])} updates{of}"


def _floor(first: pd.Series[Any]) -> str:
    floor = short(first["floor"])
    if not floor:
        return "floor unknown"
    return f"floor {floor}" if pd.isna(first["floor_name"]) else f"floor {floor} ({first['floor_name']})"


def metric_name(block: pd.DataFrame) -> str:
    """ "accuracy ↑": the main metric and where better is."""
    return with_arrow(text_or(block["metric"].iloc[0], "metric"), block["goal"].iloc[0])
