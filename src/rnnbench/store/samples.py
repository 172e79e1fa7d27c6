"""What a network was seen to predict: a few test clips in one small file, `samples.npz`. Imports no torch.

::

    input       N T_in C H W, uint8          clips   N, int64: their places in the test split
    truth       N T_out C H W, uint8         about   JSON: schema_version, run, scale{kind top minutes}
    prediction  N T_out C H W, uint8

N clips, T frames, C H W: channels, height and width of a frame. A byte is 255 times a display value in [0, 1], which
`Scale` explains; the three arrays share one scale, and what lies outside of it is held at its end.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput
from rnnbench.store.files import LARGEST_TABLE, read_regular
from rnnbench.store.parse import parse
from rnnbench.store.record import Parsed

FILE = "samples.npz"
SCHEMA_VERSION = 1
LARGEST = 2**30  # bytes of all arrays together; eight clips of 20 frames of 256 x 256 have 10 million
ARRAYS = ("input", "truth", "prediction", "clips")

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Scale:
    """What a display value d in [0, 1] stands for.

    kind `plain`: the value d * top of a frame. kind `rain`: r mm/h with d = log(1 + r) / log(1 + top).
    minutes: between two frames, where frames have a time.
    """

    kind: Literal["plain", "rain"]
    top: float
    minutes: float | None = None


@dataclass(frozen=True)
class Samples:
    """The clips of one run with its predictions; see the head of this file."""

    run: str
    scale: Scale
    clips: NDArray[np.int64]
    input: Bytes
    truth: Bytes
    prediction: Bytes

    def same_clips(self, other: Samples) -> bool:
        """Whether both show the same input and truth on the same scale."""
        alike = self.scale == other.scale and np.array_equal(self.clips, other.clips)
        return alike and np.array_equal(self.input, other.input) and np.array_equal(self.truth, other.truth)


def dumps(samples: Samples) -> bytes:
    """Samples as the bytes of a npz file; the same samples give the same bytes."""
    about = {"schema_version": SCHEMA_VERSION, "run": samples.run, "scale": asdict(samples.scale)}
    arrays = {name: getattr(samples, name) for name in ARRAYS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps(about)), **arrays)
    return buffer.getvalue()


def read(path: Path) -> Samples:
    """Samples from a file. Raises BadInput where there is none, or where it is no whole samples file."""
    try:
        data = read_regular(path, LARGEST_TABLE)
        _check_sizes(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as content:  # a torn file is closed, too
            about: Parsed = parse(str(content["about"]).encode())
            arrays = {name: content[name] for name in ARRAYS}
        if about["schema_version"] > SCHEMA_VERSION:
            raise BadInput(f"{path} has schema_version {about['schema_version']}; update rnnbench.")
        samples = Samples(str(about["run"]), Scale(**about["scale"]), **arrays)
        _check(samples)
    except BadInput:
        raise
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, NotImplementedError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise BadInput(f"{path} cannot be read as samples ({error}): delete it, and it is made anew.") from None
    return samples


def _check_sizes(data: bytes) -> None:
    """Raise ValueError where the file says of itself that it is far larger once it is unpacked."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        size = sum(member.file_size for member in packed.infolist())
    if size > LARGEST:
        raise ValueError(f"its arrays have {size:,} bytes, and at most {LARGEST:,} are read")


def _check(samples: Samples) -> None:
    """Raise ValueError where the arrays do not belong together."""
    scale = samples.scale
    numbers = (scale.top, scale.minutes if scale.minutes is not None else 1.0)
    if scale.kind not in ("plain", "rain") or not all(isinstance(n, (int, float)) and n > 0 for n in numbers):
        raise ValueError("its scale is none")
    if samples.clips.dtype != np.int64 or samples.clips.ndim != 1:
        raise ValueError("its clips are no list of places")
    shown = (samples.input, samples.truth, samples.prediction)
    if any(array.dtype != np.uint8 or array.ndim != 5 or 0 in array.shape for array in shown):
        raise ValueError("its frames are no N T C H W of bytes")
    clips, frame = len(samples.clips), samples.input.shape[2:]
    if samples.truth.shape != samples.prediction.shape or any(
        (len(array), array.shape[2:]) != (clips, frame) for array in shown
    ):
        raise ValueError("its arrays differ in shape")


SAMPLES, FIGURES, PREFIX = "samples", "figures", "frames_"
