"""Floors of a long series, computed once a machine: not while it is planned, and again in every run. No torch.

A file is `<cache folder>/floors/<key>.npz`; its key is a hash of all that the values depend on: the values themselves,
the windows, the code, numpy, and how the processor's vectors and threads round. What is damaged is computed anew, and
where the folder cannot be written, nothing is kept. Floors that take less than about a quarter of a second are not
kept, either.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.fetch import cache_folder
from rnnbench.datasets.own import series_floors
from rnnbench.datasets.own.series_floors import LONGEST_FITTED, MOST_FITTED, Scores
from rnnbench.datasets.own.series_read import Series

LEAST = 1 << 29  # multiplications, about
A_VALUE = 50  # what a forecast value costs beside the linear model
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
NUMBERS = ("mse", "mae", "mase", "smape", "mae_raw")


def floors(series: Series) -> dict[str, Scores]:
    """`series_floors.floors`, as they were found before, to the bit, or computed and kept."""
    if _work(series) < LEAST:
        return series_floors.floors(series)
    what = _what(series)
    key = hashlib.sha256(what.encode()).hexdigest()[:32]
    path = cache_folder() / "floors" / f"{key}.npz"
    found = _read(path, what, (series.plan.horizon, len(series.targets)))
    if found is None:
        found = series_floors.floors(series)
        _write(path, what, found)
    return found


def _work(series: Series) -> int:
    """How many multiplications the floors take, about."""
    L, H, C = series.plan.input_steps, series.plan.horizon, len(series.targets)
    values = len(series.origins[2]) * H * C
    if L > LONGEST_FITTED:
        return values * A_VALUE
    fitted = min(MOST_FITTED, len(series.origins[0]) * C)
    return values * (A_VALUE + L) + fitted * (L + 1) * (L + 1 + H)


def _what(series: Series) -> str:
    """All that the values depend on."""
    digest = hashlib.sha256()
    C = len(series.targets)
    arrays = (
        series.values[:, :C], series.mean[:, :C], series.std[:, :C], series.center[:, :C], series.seasonal_error,
        series.origins[0], series.origins[2], series.starts, series.observed[:, :C],
    )  # fmt: skip
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)
    what = {
        "data": digest.hexdigest(),
        "windows": [series.plan.input_steps, series.plan.horizon, series.season],
        "source": _source(),
        "numpy": np.__version__,
        "machine": [platform.machine(), *_vectors(), os.cpu_count()],
        "threads": [os.environ.get(name) for name in THREADS],
    }
    return json.dumps(what, sort_keys=True)


@functools.cache
def _source() -> str:
    """A hash over the source that computes floors."""
    files = (Path(__file__), Path(str(series_floors.__file__)))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


@functools.cache
def _vectors() -> tuple[str, ...]:
    """The processor's vector instructions, as numpy found them."""
    config = np.show_config(mode="dicts")
    found = config.get("SIMD Extensions", {}) if isinstance(config, dict) else {}
    return (*found.get("baseline", ()), *found.get("found", ()))


def _read(path: Path, what: str, shape: tuple[int, int]) -> dict[str, Scores] | None:
    """The scores in a file; None where there is none, or what it holds is not whole or of something else."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            if str(file["of"]) != what:
                return None
            return {str(name): _scores(file, str(name), shape) for name in file["names"].tolist()} or None
    except (OSError, ValueError, KeyError, EOFError, AttributeError, TypeError, zipfile.BadZipFile):
        return None


def _scores(file: np.lib.npyio.NpzFile, name: str, shape: tuple[int, int]) -> Scores:
    """Scores from a file. Raises ValueError on what they cannot be, KeyError where they are missing."""
    numbers: NDArray[np.float64] = file[f"{name} numbers"]
    by: NDArray[np.float64] = file[f"{name} by"]
    if numbers.dtype != np.float64 or numbers.shape != (len(NUMBERS),):
        raise ValueError(f"{name} has other numbers")
    if by.dtype != np.float64 or by.shape != (2, *shape):
        raise ValueError(f"{name} is of other windows")
    mse, mae, mase, smape, mae_raw = numbers.tolist()
    return Scores(mse, mae, None if np.isnan(mase) else mase, smape, mae_raw, by[0].copy(), by[1].copy())


def _write(path: Path, what: str, found: dict[str, Scores]) -> None:
    """Atomically, where it can be: the folder of the data may be another user's."""
    arrays: dict[str, NDArray[np.generic]] = {"of": np.array(what), "names": np.array(list(found))}
    for name, scores in found.items():
        numbers = [getattr(scores, each) for each in NUMBERS]
        arrays[f"{name} numbers"] = np.array([np.nan if each is None else each for each in numbers], np.float64)
        arrays[f"{name} by"] = np.stack([scores.mse_by, scores.mae_by])
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
