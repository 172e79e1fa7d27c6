"""The axes of a network one by one, and in words where its label alone does not tell it from another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from rnnbench.reports.tables.labels import text_or
from rnnbench.store.rows import parts

AXES = ("cell", "operator", "peephole", "direction", "depth", "hidden_size", "options")


def axis_words(rows: pd.DataFrame, more: Sequence[str] = ()) -> Callable[[int], list[str]]:
    """The axes of the row at a place of a frame: ["cell=lstm", "depth=2", "clip=null", ...]. more: columns beside."""

    def words_of(place: int) -> list[str]:
        words = [f"{name}={text_or(rows[name].iloc[place], 'none')}" for name in (*AXES, *more) if name != "options"]
        options = rows["options"].iloc[place]
        return words if pd.isna(options) else [*words, *parts(str(options))]

    return words_of
