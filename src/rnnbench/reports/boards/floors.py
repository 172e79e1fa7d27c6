"""Floors as rows of a leaderboard: what needs no network stands among the networks, where it belongs by its value.

Of records that keep their floors by name for that (`store.rows`: those of data that was read for the run, or that name
a reference). A floor has no rank, no seeds, no parameters and no times; `settings` says what it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rnnbench.reports.tables.frames import Row
from rnnbench.store.rows import BLOCK

FLOOR, FITTED = "floor", "fitted"  # in `settings`: a trivial predictor, and one that was fitted, which is no floor
THE_FLOOR, NO_FLOOR = "the floor: score 0", "fitted, no floor: for reference"
MARK = "score 0"
LEGEND = "A floor needs no network; the best is score 0. A fitted predictor is no floor, and stands for reference."


def is_floor(board: pd.DataFrame) -> pd.Series[bool]:
    """Which rows of a leaderboard are no entries."""
    return board["settings"].isin([FLOOR, FITTED])


def entries(board: pd.DataFrame) -> pd.DataFrame:
    """The rows of a leaderboard that are entries."""
    return board[~is_floor(board)].reset_index(drop=True)


def floors_of(frame: pd.DataFrame) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """The floors of each block of a runs frame, as the records of it keep them: values by name, and the reference."""
    if "floors" not in frame or not frame["floors"].notna().any():
        return {}
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    known = frame[frame["floors"].notna()].sort_values("id").drop_duplicates(list(BLOCK))
    for _, row in known.iterrows():
        found[key_of(row)] = json.loads(str(row["floors"]))
    return found


def key_of(row: Mapping[str, Any] | pd.Series[Any]) -> tuple[Any, ...]:
    """The block that a row is of."""
    return tuple(None if pd.isna(row[name]) else row[name] for name in BLOCK)


def with_floors(block: pd.DataFrame, said: Mapping[str, Any]) -> pd.DataFrame:
    """A ranked block with a row for each floor, before the first entry that is worse. said: of `floors_of`."""
    first = block.iloc[0]
    sign = -1 if first["goal"] == "max" else 1
    rows: list[tuple[float, int, Row]] = []
    for name, value in _distinct(said["floors"], said.get("reference"), str(first["floor_name"])).items():
        row = _row(first, name, value, fitted=name == said.get("reference"))
        rows.append((sign * value, len(rows), row))
    order = [(math.inf if math.isnan(mean) else sign * mean, n) for n, mean in enumerate(block["mean"].tolist())]
    made = pd.DataFrame([row for _, _, row in rows], columns=block.columns).astype(block.dtypes.to_dict())
    places = [*((value, 1, n, n) for value, n in order), *((value, 0, n, len(block) + n) for value, n, _ in rows)]
    both = pd.concat([block, made], ignore_index=True)
    return both.iloc[[at for *_, at in sorted(places)]].reset_index(drop=True)


def _distinct(values: Mapping[str, float], reference: str | None, floor: str) -> dict[str, float]:
    """The floors without the one that only says which of the others is the least (`best`)."""
    others = {name: value for name, value in values.items() if name not in (floor, reference)}
    alike = [name for name, value in others.items() if value == values.get(floor)]
    return {name: value for name, value in values.items() if not (name == floor == "best" and alike)}


def _row(first: pd.Series[Any], name: str, value: float, *, fitted: bool) -> Row:
    """One floor as a row of the block that `first` is of."""
    kept = (*BLOCK, "floor", "floor_name", "target")
    row: Row = {column: first[column] for column in kept}
    floor, target = first["floor"], first["target"]
    is_it = not fitted and value == floor
    return row | {
        "label": f"{FITTED if fitted else FLOOR}: {name}", "settings": FITTED if fitted else FLOOR, "mean": value,
        "score": (value - floor) / (target - floor) + 0.0 if target != floor else math.nan, "standing": "",
        "mark": MARK if is_it else "",
        "coverage": "", "failures": "", "notes": NO_FLOOR if fitted else THE_FLOOR if is_it else "",
    }  # fmt: skip
