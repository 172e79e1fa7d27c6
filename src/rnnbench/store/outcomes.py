"""How a network did on each item of the test split: its loss, and right or wrong. Imports no torch.

`outcomes.npz` in a run's folder holds one run, that of a published set as many as the set has. Arrays hold the runs one
behind the other::

    about   JSON: schema_version, runs: a list of {run, data_hash, metric, items, counted, judged}
    total   float32, a number an item: its loss, summed over what the item counts
    count   int32, of runs that are counted: how much that is (steps, symbols; 0: nothing known); of others it is 1
    right   uint8, of runs that are judged: a bit an item, each run filled up to whole bytes; 1 is right

An item is what the test split counts: a sequence, a window, a clip, a chunk of text; its number is its place there. The
sum of the totals by the sum of the counts is the run's `test/loss`, to float32. Items of two runs are the same where
their data_hash is.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput
from rnnbench.store.files import read_regular
from rnnbench.store.folder import is_id
from rnnbench.store.parse import parse
from rnnbench.store.record import Record
from rnnbench.store.store import Store

FILE = "outcomes.npz"
SCHEMA_VERSION = 1
MOST_ITEMS = 2**24  # of a run
LARGEST = 2**29  # bytes of all arrays together: a published set of 8,000 runs with 10,000 items each
ABOUT = "about"
ARRAYS: dict[str, np.dtype[Any]] = {"total": np.dtype("<f4"), "count": np.dtype("<i4"), "right": np.dtype("u1")}
CLOSE, TINY = 1e-5, 1e-7  # how near what the items say must come to what the record says: relative, absolute
OF_RIGHT = ("accuracy", "sequence_accuracy")  # the metrics that are the share of right items

Floats = NDArray[np.float32]
Counts = NDArray[np.int32]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Outcomes:
    """One run's test, item by item. total: N, float32; count: N, int32; right: N, or None where a whole item is
    neither right nor wrong. Of an item that counts nothing (its class is unknown) `right` means nothing."""

    run: str
    data_hash: str
    metric: str
    total: Floats
    count: Counts
    right: Bools | None = None

    @property
    def items(self) -> int:
        return len(self.total)

    @property
    def loss(self) -> NDArray[np.float64]:
        """The mean loss of each item, NaN of one that counts nothing."""
        found = np.full(self.items, np.nan)
        counts = self.count > 0
        found[counts] = self.total[counts].astype(np.float64) / self.count[counts]
        return found

    def means(self) -> dict[str, float]:
        """What follows from the items for the whole split: `loss`, and `right`, the share that is."""
        counts = self.count.astype(np.int64)
        found = {"loss": float(self.total.sum(dtype=np.float64) / max(1, counts.sum()))}
        if self.right is not None:
            found["right"] = float(self.right[counts > 0].mean()) if (counts > 0).any() else math.nan
        return found

    def objection(self, record: Mapping[str, Any]) -> str:
        """Why these are not the items of this record, in words; empty where they are.

        record: at least its id, its dataset's data_hash, and its metrics.
        """
        dataset, metrics = record.get("dataset") or {}, record.get("metrics") or {}
        if self.run != record.get("id"):
            return f"it is of run {self.run}"
        if self.data_hash != dataset.get("data_hash"):
            return f"it is of other data ({self.data_hash}) than the record ({dataset.get('data_hash')})"
        means = self.means()
        if not _near(means["loss"], metrics.get("test/loss")):
            return f"its items have the loss {means['loss']:.7g}, and the record {metrics.get('test/loss')}"
        for name in OF_RIGHT:
            if "right" in means and f"test/{name}" in metrics and not _near(means["right"], metrics[f"test/{name}"]):
                return f"{means['right']:.7g} of its items are right, and {metrics[f'test/{name}']} in the record"
        return ""


def _near(found: float, said: Any) -> bool:
    return isinstance(said, (int, float)) and abs(found - said) <= CLOSE * abs(said) + TINY


def dumps(runs: Sequence[Outcomes]) -> bytes:
    """Outcomes as the bytes of a file; the same ones give the same bytes."""
    counted = [bool((each.count != 1).any()) for each in runs]
    about = {
        "schema_version": SCHEMA_VERSION,
        "runs": [
            {
                "run": each.run,
                "data_hash": each.data_hash,
                "metric": each.metric,
                "items": each.items,
                "counted": has_counts,
                "judged": each.right is not None,
            }
            for each, has_counts in zip(runs, counted, strict=True)
        ],
    }
    total = [each.total for each in runs]
    count = [each.count for each, has_counts in zip(runs, counted, strict=True) if has_counts]
    right = [np.packbits(each.right) for each in runs if each.right is not None]
    text = np.frombuffer(json.dumps(about, separators=(",", ":")).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, about=text, total=_joined("total", total), count=_joined("count", count), right=_joined("right", right)
    )
    return buffer.getvalue()


def _joined(name: str, parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, ARRAYS[name]), *parts], dtype=ARRAYS[name])


def read(path: Path) -> list[Outcomes]:
    """The outcomes in a file, of a run or of a published set.

    Raises BadInput, in one sentence, where there is none, or where it is no whole file of outcomes.
    """
    try:
        data = read_regular(path, LARGEST)
        _check_sizes(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as content:  # a torn file is closed, too
            about = parse(_plain(content[ABOUT], np.dtype("u1")).tobytes())
            arrays = {name: _plain(content[name], dtype) for name, dtype in ARRAYS.items()}
        if not isinstance(about, dict) or type(version := about.get("schema_version")) is not int:
            raise ValueError("it does not say what it is")
        if version > SCHEMA_VERSION:
            raise BadInput(f"{path} has schema_version {version}; update rnnbench.")
        return _cut(about.get("runs"), arrays)
    except BadInput:
        raise
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, NotImplementedError,
        OverflowError, RuntimeError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        said = " ".join(str(error).split())[:200]
        raise BadInput(f"{path} cannot be read as outcomes ({said}): delete it; `rnnbench run` makes one.") from None


def read_run(path: Path, record: Record) -> Outcomes:
    """The outcomes of one run from a file. Raises BadInput where they are not there, or not those of the record."""
    found = {each.run: each for each in read(path)}
    if (mine := found.get(str(record["id"]))) is None:
        raise BadInput(f"{path} has no outcomes of run {record['id']}.")
    if why := mine.objection(record):
        raise BadInput(_foreign(path, record, why))
    return mine


def _foreign(path: Path, record: Record, why: str) -> str:
    return f"{path} does not belong to the record of run {record['id']}: {why}."


def gather(source: Store | Path, records: Iterable[Record]) -> tuple[dict[str, Outcomes], dict[str, str]]:
    """The outcomes of finished runs by id, and by path why some could not be read; runs without any are in neither.

    source: the runs' store, or the folder of a published set.
    """
    found: dict[str, Outcomes] = {}
    problems: dict[str, str] = {}
    if isinstance(source, Store):
        for record in records:
            path = source.folder(record["id"]) / FILE
            try:
                if path.exists():
                    found[record["id"]] = read_run(path, record)
            except (BadInput, OSError) as error:
                problems[str(path)] = str(error)
        return found, problems
    path = source / FILE
    if not path.exists():
        return {}, {}
    try:
        there = {each.run: each for each in read(path)}
    except BadInput as error:
        return {}, {str(path): str(error)}
    for record in records:
        if (mine := there.get(record["id"])) is None:
            continue
        if why := mine.objection(record):
            problems[f"{path}, run {record['id']}"] = _foreign(path, record, why)
        else:
            found[record["id"]] = mine
    return found, problems


def read_published(folder: Path, records: Iterable[Record]) -> dict[str, Outcomes]:
    """The outcomes that a published set keeps, by run; none of a set without.

    Raises BadInput where the file is damaged, or does not belong to these records.
    """
    found, problems = gather(folder, records)
    if problems:
        raise BadInput(next(iter(problems.values())))
    return found


def _check_sizes(data: bytes) -> None:
    """Raise ValueError where the file says of itself that it is far larger once it is unpacked."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > LARGEST:
        raise ValueError(f"its arrays have {size:,} bytes, and at most {LARGEST:,} are read")


def _plain(array: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 1:
        raise ValueError("its arrays are of another kind")
    return array


def _cut(entries: Any, arrays: Mapping[str, NDArray[Any]]) -> list[Outcomes]:
    """The runs that the arrays hold one behind the other. Raises ValueError where that does not come out even."""
    if not isinstance(entries, list) or not entries:
        raise ValueError("it names no runs")
    if not np.isfinite(arrays["total"]).all() or (arrays["count"] < 0).any():
        raise ValueError("it has losses or counts that are none")
    at = dict.fromkeys(ARRAYS, 0)

    def taken(name: str, size: int) -> NDArray[Any]:
        start, at[name] = at[name], at[name] + size
        if at[name] > len(arrays[name]):
            raise ValueError("its arrays are too short for its runs")
        return arrays[name][start : at[name]]

    found = []
    for entry in entries:
        items = _checked(entry)
        total = taken("total", items)
        count = taken("count", items) if entry["counted"] else np.ones(items, np.int32)
        bits = taken("right", (items + 7) // 8) if entry["judged"] else None
        right = None if bits is None else np.unpackbits(bits, count=items).astype(bool)
        found.append(Outcomes(entry["run"], entry["data_hash"], entry["metric"], total, count, right))
    if any(at[name] != len(arrays[name]) for name in ARRAYS) or len({each.run for each in found}) < len(found):
        raise ValueError("its arrays are longer than its runs, or a run stands in it twice")
    return found


def _checked(entry: Any) -> int:
    """How many items a run has. Raises ValueError where what is said of it is not of the right kind."""
    kinds = {"run": str, "data_hash": str, "metric": str, "items": int, "counted": bool, "judged": bool}
    if not isinstance(entry, dict) or any(type(entry.get(key)) is not kind for key, kind in kinds.items()):
        raise ValueError("it does not say what its runs are")
    items = entry["items"]
    if not is_id(entry["run"]) or not 1 <= items <= MOST_ITEMS:
        raise ValueError("it names a run that is none, or too many items")
    assert isinstance(items, int)
    return items
