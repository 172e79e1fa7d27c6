"""What may stand in one table: runs of one dataset, protocol and budget, and how such a block is titled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from rnnbench.reports.tables.numbers import ARROW, count, short
from rnnbench.store.rows import BLOCK


def blocks(table: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The parts of a leaderboard whose rows may be compared, in its order."""
    for _, block in table.groupby(list(BLOCK), dropna=False, sort=False):
        yield block


def title(block: pd.DataFrame) -> str:
    """ "digits · small": the dataset and budget of a block."""
    return " · ".join(str(v) for v in (block["dataset"].iloc[0], block["budget"].iloc[0]) if not pd.isna(v))


def terms(block: pd.DataFrame) -> str:
    """On what terms a block's rows were compared: protocol, budget in updates, floor, target, data."""
    first = block.iloc[0]
    updates = f"{count(first['updates'])} updates" if not pd.isna(first["updates"]) else ""
    if updates and not pd.isna(first["batch_size"]):
        updates += f" of {first['batch_size']}"
    named = "" if pd.isna(first["floor_name"]) else f" ({first['floor_name']})"
    parts = [
        _or(first["protocol"], ""),
        updates,
        f"floor {short(first['floor'])}{named}" if short(first["floor"]) else "floor unknown",
        f"target {short(first['target'])}" if short(first["target"]) else "no target",
        f"version {first['dataset_version']}" if not pd.isna(first["dataset_version"]) else "",
        f"data {str(first['data_hash'])[:8]}" if not pd.isna(first["data_hash"]) else "",
    ]
    return " · ".join(text for text in parts if text)


def metric_name(block: pd.DataFrame) -> str:
    """ "accuracy ↑": the main metric and where better is."""
    metric, goal = block["metric"].iloc[0], block["goal"].iloc[0]
    return f"{_or(metric, 'metric')} {ARROW.get(_or(goal, ''), '')}".strip()


def _or(value: Any, otherwise: str) -> str:
    return otherwise if pd.isna(value) else str(value)
