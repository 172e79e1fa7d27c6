"""Sequences that took long to read, kept in the user's cache: log-mel energies, parsed files, once for all processes.

They lie where readings of tables do, under the same bound and the same rules (`kept.py`): a folder with `values.npy`,
all steps one below the other, which is mapped, and `sequences.json`. A folder that is not what its json says, down to
the checksum of its values, is removed and the file read anew. What is read in no time and small is not kept.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rnnbench.datasets.own import kept
from rnnbench.datasets.own.gathered import Sequences

VERSION = 1  # another one where a file or a recording is read otherwise than before
LEAST = 4 * 1024**2  # bytes of values; fewer are kept only
SLOW = 0.5  # where they took so many seconds of the processor

VALUES, SAID = "values.npy", "sequences.json"


def found_or_read(sha256: str, how: Mapping[str, Any], read: Callable[[], Sequences]) -> Sequences:
    """What `read` reads of a file with this sha256, or what it read before, to the bit.

    how: all that decides what is read of these bytes; values that can be written as json. Raises what `read` does.
    """
    place = kept.Place.of(sha256, {"sequences": VERSION, **how})
    held = _held(place.folder)
    if held is not None:
        return held
    start = time.process_time()
    sequences = read()
    size = sum(x.nbytes for x in sequences.x)
    if (size >= LEAST or time.process_time() - start >= SLOW) and 0 < size <= kept.MOST // 2:
        return _keep(place, sequences) or sequences
    return sequences


def this_machine() -> list[str]:
    """What the last bits of a computed value depend on, beside what it is computed of."""
    return [np.__version__, platform.machine(), platform.node()]


def _keep(place: kept.Place, sequences: Sequences) -> Sequences | None:
    """Write a reading beside its place, and rename it; None where it cannot be written."""
    folder = place.begin()
    if folder is None:
        return None
    try:
        _write(folder, sequences)
        os.rename(folder, place.folder)
    except OSError:  # the disk is full, or another process was as quick, whose reading is the same
        shutil.rmtree(folder, ignore_errors=True)
    kept.prune(place.folder.parent, spare=place.folder)
    return _held(place.folder)


def _write(folder: Path, sequences: Sequences) -> None:
    """Values are written, not mapped: a full disk is then an error, and no signal. Raises OSError."""
    steps = [len(x) for x in sequences.x]
    dtype = np.result_type(*{x.dtype for x in sequences.x})
    header = {"descr": dtype.str, "fortran_order": False, "shape": (sum(steps), len(sequences.channels))}
    checksum = 0
    with open(folder / VALUES, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for x in sequences.x:
            content = np.ascontiguousarray(x, dtype).data
            checksum = zlib.crc32(content, checksum)  # a disk errs, and a copy may be cut
            file.write(content)
    said = {key: value for key, value in asdict(_without_values(sequences)).items() if key != "x"}
    said |= {"version": VERSION, "steps": steps, "dtype": dtype.str, "crc32": checksum}
    said["official"] = None if sequences.official is None else sequences.official.tolist()
    (folder / SAID).write_text(json.dumps(said), encoding="utf-8")


def _without_values(sequences: Sequences) -> Sequences:
    return Sequences(
        [], sequences.labels, sequences.names, sequences.channels, sequences.groups, None, sequences.said,
        sequences.rate,
    )  # fmt: skip


def _held(folder: Path) -> Sequences | None:
    """The reading that is kept; None where there is none, or it is damaged (and then removed)."""
    if not folder.is_dir():
        return None
    try:
        found = _opened(folder)
        os.utime(folder)
        return found
    except PermissionError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _opened(folder: Path) -> Sequences:
    """Raises OSError, ValueError, KeyError, TypeError where the folder is not what its json says."""
    said = json.loads((folder / SAID).read_text(encoding="utf-8"))
    steps = said["steps"]
    N, channels = len(steps), _texts(said["channels"], len(said["channels"]))
    if said["version"] != VERSION or not all(type(count) is int and count >= 0 for count in steps):
        raise ValueError(f"{folder} holds a reading of another version")
    values = np.asarray(kept.mapped(folder / VALUES))
    right = values.dtype.str == said["dtype"] and values.dtype.kind in "bfiu"
    if not right or values.shape != (sum(steps), len(channels)) or zlib.crc32(values.data) != said["crc32"]:
        raise ValueError(f"{folder} is damaged")
    ends = np.cumsum(steps).tolist()
    x = [values[end - count : end] for end, count in zip(ends, steps, strict=True)]
    official = None if said["official"] is None else np.array(said["official"], np.bool_)
    if official is not None and official.shape != (N,):
        raise ValueError(f"{folder} is damaged")
    groups = None if said["groups"] is None else _texts(said["groups"], N)
    rate = None if said["rate"] is None else int(said["rate"])
    told = _texts(said["said"], len(said["said"]))
    return Sequences(x, _texts(said["labels"], N), _texts(said["names"], N), channels, groups, official, told, rate)


def _texts(values: Any, count: int) -> list[str]:
    """A list of so many texts. Raises ValueError where it is none."""
    if not isinstance(values, list) or len(values) != count or not all(isinstance(text, str) for text in values):
        raise ValueError("no list of texts")
    return values
