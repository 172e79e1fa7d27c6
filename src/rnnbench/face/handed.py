"""Data that a caller has in memory, as a file: a run knows its data by the bytes of a file, wherever they came from.

It is written once to the user's cache, under its own hash; equal data is one file, and one run.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from rnnbench.errors import BadInput, shown
from rnnbench.face import cached

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SERIES, SEQUENCES, TEXT = "own_series", "own_sequences", "own_text"
PATH_AT_MOST = 1000  # characters: a longer text, or one of several lines, is no path
KINDS = "a path, a DataFrame, arrays by name ({'x': ..., 'y': ...}), a text of several lines, or a list of texts"

HandedOver = str | Path | pd.DataFrame | pd.Series | Mapping[str, "ArrayLike"] | Sequence[str]


def in_file(data: HandedOver) -> tuple[str, str | None]:
    """A file that holds the data, and the dataset that it is for; None for that of a path, which its content tells.

    A DataFrame becomes Parquet (its index a column, unless it only counts), arrays a npz, texts a txt. Raises BadInput
    on anything else, and on what such a file cannot hold.
    """
    if isinstance(data, Path) or (isinstance(data, str) and "\n" not in data and len(data) < PATH_AT_MOST):
        return str(data), None
    if isinstance(data, pd.Series):
        data = data.to_frame("value" if data.name is None else str(data.name))
    if isinstance(data, pd.DataFrame):
        return cached.kept(_parquet(data), ".parquet"), SERIES
    if isinstance(data, Mapping):
        return cached.kept(_npz(data), ".npz"), SEQUENCES
    if isinstance(data, str):
        return cached.kept(_text([data]), ".txt"), TEXT
    if isinstance(data, Sequence) and data and all(isinstance(each, str) for each in data):
        return cached.kept(_text(data), ".txt"), TEXT
    raise BadInput(f"data is {KINDS}, not {shown(type(data).__name__)}.")


def handed(words: Sequence[str], data: HandedOver | None) -> list[str]:
    """Overrides with the path of data that was handed over, and a dataset for it where none is named.

    Raises BadInput as `in_file`, and where the words name a path as well.
    """
    if data is None:
        return [*words]
    from rnnbench.runs.registry import experiment_asked
    from rnnbench.runs.typed_paths import literal

    keys = [word.partition("=")[0].lstrip("+") for word in words]
    if "dataset.path" in keys:
        raise BadInput("data=... and dataset.path=... both name the data: leave one of them out.")
    path, dataset = in_file(data)
    named = "dataset" in keys or experiment_asked(words) is not None  # an experiment says what it is run on
    if not named and dataset is None:
        from rnnbench.datasets.own.kinds import kind_of
        from rnnbench.store.content import content_of

        content_of(path, "data")  # says what is near where nothing is there
        dataset = kind_of(Path(os.path.expanduser(path))).dataset
    return [*words, *([] if named else [f"dataset={dataset}"]), f"dataset.path={literal(path)}"]


def _parquet(frame: pd.DataFrame) -> bytes:
    """What `frame.to_parquet(path, index=False)` writes, an index that is more than a count before its columns."""
    frame = _with_index(frame)
    names = [str(name) for name in frame.columns]
    if not all(isinstance(name, str | int) for name in frame.columns):
        raise BadInput(f"the columns of data must have texts as names, not {shown(list(frame.columns))}.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"the columns of data must have different names; {shown(twice[0])} stands twice.")
    out = io.BytesIO()
    try:
        frame.set_axis(names, axis="columns").to_parquet(out, engine="pyarrow", index=False)
    except Exception as error:  # of pyarrow: what it cannot write it says by a dozen classes of error
        said = " ".join(str(error).split())
        raise BadInput(f"data cannot be written as Parquet ({said[:200]}): give columns of one type each.") from None
    return out.getvalue()


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    index = frame.index
    if isinstance(index, pd.RangeIndex):
        return frame
    if isinstance(index, pd.PeriodIndex):
        frame, index = frame.set_axis(index.to_timestamp()), index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex) and index.name is None:
        return frame.rename_axis("date").reset_index()
    named = any(name is not None for name in index.names)
    try:
        return frame.reset_index(drop=not named)
    except ValueError as error:  # a column has the index's name
        raise BadInput(f"the index of data is a column as well ({error}): drop one of them.") from None


def _npz(arrays: Mapping[str, Any]) -> bytes:
    """What `np.savez` writes, in the order of the names."""
    found: dict[str, np.ndarray] = {}
    for name in sorted(arrays, key=str):
        try:
            array = np.asarray(arrays[name])
        except (ValueError, TypeError, RuntimeError) as error:  # lists of several lengths, a tensor with a gradient
            raise BadInput(f"data[{name!r}] is no array ({' '.join(str(error).split())}).") from None
        if array.dtype.hasobject:
            texts = [str(each) for each in array.ravel()]
            if array.ndim != 1 or not all(isinstance(each, str) for each in array.ravel()):
                raise BadInput(f"data[{name!r}] holds objects: pad sequences of several lengths, and give lengths.")
            array = np.array(texts)
        found[str(name)] = array
    if not found:
        raise BadInput("data holds no array: give {'x': ..., 'y': ...}.")
    out = io.BytesIO()
    np.savez(out, **found)  # type: ignore[arg-type]  # of allow_pickle, which nobody calls an array
    return out.getvalue()


def _text(texts: Sequence[str]) -> bytes:
    """One after another, a line each."""
    try:
        return "\n".join(texts).encode()
    except UnicodeEncodeError as error:
        raise BadInput(f"data holds half a character, which no UTF-8 has (at {error.start}).") from None
