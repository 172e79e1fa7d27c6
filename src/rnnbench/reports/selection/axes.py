"""The axes of a network one by one, and in words where its label alone does not tell it from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from rnnbench.store.rows import parts

AXES = ("cell", "operator", "peephole", "direction", "depth", "hidden_size", "options")


def axis_words(row: Mapping[str, Any] | pd.Series[Any], more: Sequence[str] = ()) -> list[str]:
    """ "cell=lstm", "depth=2", "clip=null" ...: each axis of a row, and more of its columns."""
    words = [f"{name}={_word(row[name])}" for name in (*AXES, *more) if name != "options"]
    options = [] if pd.isna(row["options"]) else parts(str(row["options"]))
    return [*words, *options]


def _word(value: Any) -> str:
    return "none" if pd.isna(value) else str(value)
