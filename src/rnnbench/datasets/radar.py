"""Rain radar: the real frames of one night over the Netherlands (KNMI, in pySTEPS' example data)."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base import arrays
from rnnbench.datasets.base.checks import counts, one_of, whole
from rnnbench.datasets.base.fetch import RemoteFile, cache_folder, fetch
from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.spec import Data
from rnnbench.datasets.film.films import FilmTask, crops, starts, time_split
from rnnbench.datasets.film.radar_files import COMMIT, FOLDER, NAME, SHA256
from rnnbench.datasets.film.task import frame_spec
from rnnbench.errors import BadInput, MissingData

SIZE, FRAMES = 256, len(SHA256)
TOP, LEFT = 300, 241  # of the cut: every pixel of it is valid in every frame
COUNTS_PER_MM = 100
FRAMES_AN_HOUR = 12
BRIGHTEST = 120.0  # mm/h that scale=log shows as 1
SCALES = ("log", "mm")
THRESHOLDS = ("0.5", "2", "5")  # mm/h; of 10 mm/h there are hardly any pixels
RENDER_VERSION = 1
CUT = "knmi_20100826.derived_256.npz"
COUNTS_SHA256 = "041bf1e451ea4bb6403b6cfff45da85c8a3e8d065d025189066685d3a85ae4f1"  # of the cut counts, little-endian
FILES = {
    time: RemoteFile(
        "radar_knmi",
        NAME.format(time=time),
        sha256,
        tuple(
            f"{host}/{FOLDER}/{NAME.format(time=time)}"
            for host in (
                f"https://raw.githubusercontent.com/pySTEPS/pysteps-data/{COMMIT}",
                f"https://github.com/pySTEPS/pysteps-data/raw/{COMMIT}",
            )
        ),
    )
    for time, sha256 in SHA256.items()
}


class Radar(FilmTask):
    """The coming rain from the last: 92 frames of 256x256 pixels (about 1 km), 2010-08-26, every 5 minutes.

    One night is little: with 5 + 5 frames there are 35 start times in train and 5 each in val and test, all clips of a
    split overlap in time, and its crops share the same weather. It shows whether a network works on real rain; it
    ranks nothing finely, and its test is one hour and ten minutes of one event.

    Split by time: train first, then val, then test, 60/20/20 of the frames outside two gaps of a whole clip. crop:
    side of the clips' squares, laid side by side (256: whole frames). stride: frames between the starts of two clips.

    x: B input_steps 1 crop crop, y: B output_steps 1 crop crop, float32. scale `log`: log(1 + r) / log(121) of the
    rate r in mm/h, so 0 is dry and 1 is 120 mm/h; `mm`: mm per 5 min as they are. The loss, mse_frames, is on this
    scale; every metric is in mm: `mse_mm`, (mm per 5 min)^2, and csi, pod and far at 0.5, 2 and 5 mm/h, for which
    predictions are first held inside the scale. The floors too are made on this scale. Raises BadInput on wrong
    options, MissingData where files or h5py (extra `radar`, needed once, to cut the archive's frames) are missing.
    """

    def __init__(
        self, input_steps: int = 5, output_steps: int = 5, crop: int = 64, stride: int = 1, scale: str = "log"
    ) -> None:
        counts(input_steps=input_steps, output_steps=output_steps, stride=stride)
        whole("crop", crop, 16, "pixels of a side")
        one_of("scale", scale, SCALES)
        if crop > SIZE:
            raise BadInput(f"dataset.crop must be at most {SIZE}, the side of a frame; got {crop}.")
        self.stride, self.scale = stride, scale
        self.parts = time_split(FRAMES, input_steps + output_steps)
        self.recorded = Pictures(lambda: torch.from_numpy(read_counts().astype(np.int16)).unsqueeze(1))
        self.pictures = Pictures(lambda: self._scaled(self.recorded.on()))
        events = tuple(f"{kind}_{text}" for text in THRESHOLDS for kind in ("csi", "pod", "far"))
        self.spec = frame_spec(
            "radar",
            f"KNMI 2010-08-26, {input_steps}->{output_steps}, crop {crop}, stride {stride}, {scale} scale "
            f"{RENDER_VERSION}, by time {'/'.join(str(len(part)) for part in self.parts)}, gaps of a clip",
            (1, crop, crop),
            (input_steps, output_steps),
            loss="mse_frames",
            metrics=("mse_mm", *events),
            floor="last",
        )

    def read(self) -> Data:
        """Read the cut frames; where they are missing, fetch the archive's and cut them."""
        assert self.spec.frame_shape is not None
        corners = crops(SIZE, self.spec.frame_shape[-1])
        return Data(
            *(
                self.places(starts(part, self.steps, self.stride), corners, corners, RENDER_VERSION)
                for part in self.parts
            )
        )

    def values(self, cut: Tensor) -> Tensor:
        """The film is kept on the network's scale."""
        return cut

    def _scaled(self, counts: Tensor) -> Tensor:
        """Counts on the network's scale, computed in float64, kept in float32."""
        mm = counts.numpy() / COUNTS_PER_MM
        if self.scale == "log":
            mm = np.log1p(mm * FRAMES_AN_HOUR) / np.log1p(BRIGHTEST)
        return torch.from_numpy(mm.astype(np.float32))

    frames_an_hour = FRAMES_AN_HOUR
    brightest = BRIGHTEST

    def rain(self, frames: Tensor) -> Tensor:
        """mm per 5 min."""
        if self.scale == "mm":
            return frames.clamp(0, BRIGHTEST / FRAMES_AN_HOUR)
        return torch.expm1(frames.clamp(0, 1) * float(np.log1p(BRIGHTEST))) / FRAMES_AN_HOUR


def read_counts() -> NDArray[np.uint16]:
    """The cut frames, 92 256 256, counts of 0.01 mm per 5 min; cut and kept as a npz if it is not there yet."""
    path = cache_folder() / "radar_knmi" / CUT
    try:
        if not path.exists():
            _save(path, cut_frames())
        counts: NDArray[np.uint16] = arrays.read(path, "rain_pv")
    except (OSError, BadInput) as error:
        if isinstance(error, MissingData):
            raise
        raise MissingData(f"{path} cannot be read or written ({error}): make it readable, or delete it.") from error
    if hashlib.sha256(counts.astype("<u2").tobytes()).hexdigest() != COUNTS_SHA256:
        raise MissingData(f"{path} does not hold the expected frames: delete the file and run again to cut them anew.")
    return counts


def cut_frames() -> NDArray[np.uint16]:
    """The cut of every frame of the archive, which is downloaded where it is missing."""
    h5py = _h5py()
    counts = np.empty((FRAMES, SIZE, SIZE), np.uint16)
    for frame, file in zip(counts, FILES.values(), strict=True):
        with h5py.File(fetch(file), "r") as content:
            frame[:] = content["image1/image_data"][TOP : TOP + SIZE, LEFT : LEFT + SIZE]
    return counts


def _save(path: Path, counts: NDArray[np.uint16]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.npz")
    np.savez_compressed(temporary, rain_pv=counts, time_utc=np.array(list(FILES)), row0=TOP, col0=LEFT)
    temporary.replace(path)


def _h5py() -> Any:
    try:
        import h5py
    except ImportError:
        raise MissingData(
            f"{CUT} is cut from KNMI's HDF5 files, which takes h5py: run `pip install 'rnnbench[radar]'`."
        ) from None
    return h5py
