"""Your own film, or your own clips, from a npy or npz file."""

from __future__ import annotations

import re
import zipfile
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.checks import counts, one_of, whole
from rnnbench.datasets.base.spec import Data, TaskSpec
from rnnbench.datasets.film.films import SHARES, FilmTask, starts, time_split
from rnnbench.datasets.film.metrics import picture_metrics
from rnnbench.datasets.film.task import FRAME_LOSSES, Pictures, frame_spec
from rnnbench.errors import BadInput, MissingData
from rnnbench.seeds import derive

AXES = ("THW", "TCHW", "NTHW", "NTCHW")
USUAL = {3: "THW", 4: "TCHW", 5: "NTCHW"}  # what axes=null takes an array of so many axes for
MOST_CHANNELS = 4  # of an array that axes=null takes for TCHW
RENDER_VERSION = 1
FORM = re.compile(r" (?P<axes>N?TC?HW) (?P<shape>[0-9x]+), (?P<low>\S+)\.\.(?P<high>\S+), ")  # in a protocol


class OwnFrames(FilmTask):
    """Predict the next frames of your own recording.

    path: a npy file, or a npz file with one array or with one called `frames`. axes: `THW` or `TCHW`, one film, split
    by time 60/20/20 with gaps of a whole clip (T frames, C channels); or `NTHW` or `NTCHW`, N clips of T frames, each
    whole clip in one split, 60/20/20 at random, fixed by data_seed. null: 3 axes are THW, 5 are NTCHW, and 4 are TCHW
    where C is at most 4. stride: frames between the starts of two clips of input_steps + output_steps frames.

    low, high: what a network sees as 0 and 1; null: 0 and 255 for bytes, 0 and 1 for floats and bools. No value may
    lie outside. x: B input_steps C H W, y: B output_steps C H W, float32 in [0, 1]. loss: as in MovingDigits. Floors
    `black`, `last`, `mean`, `mean_input`. Raises BadInput on wrong options or data, MissingData on a missing file;
    shape and type are read when the spec is first asked for, the values by load().
    """

    def __init__(
        self,
        path: str | None = None,
        input_steps: int = 10,
        output_steps: int = 10,
        axes: str | None = None,
        stride: int = 1,
        low: float | None = None,
        high: float | None = None,
        loss: str = "mse_frames",
        data_seed: int = 0,
    ) -> None:
        counts(input_steps=input_steps, output_steps=output_steps, stride=stride)
        whole("data_seed", data_seed, 0)
        if axes is not None:
            one_of("axes", axes, AXES)
        one_of("loss", loss, FRAME_LOSSES)
        if (low is None) != (high is None):
            raise BadInput("dataset.low and dataset.high are given both or neither.")
        if low is not None and high is not None and not -np.inf < low < high < np.inf:
            raise BadInput(f"dataset.low must be below dataset.high; got {low!r} and {high!r}.")
        self.path, self.axes, self.loss_name, self.stride = path, axes, loss, stride
        self.input_steps, self.output_steps = input_steps, output_steps
        self.limits, self.data_seed = (low, high), data_seed
        self.recorded = self.pictures = Pictures(self._film)

    @cached_property
    def form(self) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
        """The file's axes, shape and type, from its header alone."""
        path = self._path()
        shape, dtype = header(path)
        axes = self.axes or USUAL.get(len(shape), "")
        if len(axes) != len(shape) or min(shape) < 1:
            wanted = f"dataset.axes={axes}" if self.axes else "3, 4 or 5 axes, none of them empty (THW, TCHW, NTCHW)"
            raise BadInput(f"{path} has the shape {shape}, which does not fit {wanted}.")
        if self.axes is None and axes == "TCHW" and shape[1] > MOST_CHANNELS:
            raise BadInput(
                f"{path} has the shape {shape}: say what its second axis is with dataset.axes=TCHW (a film of "
                f"{shape[1]} channels) or dataset.axes=NTHW (clips of {shape[1]} frames)."
            )
        return axes, shape, dtype

    @cached_property
    def spec(self) -> TaskSpec:  # type: ignore[override]
        """Reads the file's header, and checks that three splits come out of it."""
        axes, shape, _ = self.form
        clips = "/".join(str(len(first)) for first in self.parts)
        C = shape[axes.index("C")] if "C" in axes else 1
        height, width = shape[-2:]
        how = f"by clip, seed {self.data_seed}" if "N" in axes else "by time, gaps of a clip"
        low, high = self._limits()
        return frame_spec(
            "own_frames",
            f"{Path(self.path or '').name} {axes} {'x'.join(map(str, shape))}, {low:g}..{high:g}, {self.input_steps}->"
            f"{self.output_steps}, stride {self.stride}, {clips} {how}, {self.loss_name}, reading {RENDER_VERSION}",
            (C, height, width),
            (self.input_steps, self.output_steps),
            loss=self.loss_name,
            metrics=picture_metrics(height, width, self.loss_name),
        )

    def recall(self, protocol: str) -> None:
        """The file's form as the spec wrote it into the protocol."""
        if found := FORM.search(protocol):
            shape = tuple(int(size) for size in found["shape"].split("x"))
            self.form = found["axes"], shape, np.dtype(np.float32)  # of the type only the limits depend
            self.limits = float(found["low"]), float(found["high"])

    def read(self) -> Data:
        """Read and check the file; cut it into clips."""
        return Data(*(self.places(first, [0], [0], RENDER_VERSION) for first in self.parts))

    @cached_property
    def parts(self) -> list[list[int]]:
        """The first frames of the clips of each split."""
        axes, shape, _ = self.form
        if axes[0] == "N":
            return self._clips(*shape[:2])
        clip = self.input_steps + self.output_steps
        return [starts(part, clip, self.stride) for part in time_split(shape[0], clip)]

    def values(self, cut: Tensor) -> Tensor:
        """Bytes or numbers as shares of the way from low to high, float32."""
        low, high = self._limits()
        return (cut.float() - low) / (high - low)

    def _clips(self, N: int, T: int) -> list[list[int]]:
        """First frames, in the film of all clips one after another, by whole clips."""
        clip = self.input_steps + self.output_steps
        if N < 3 or clip > T:
            raise BadInput(
                f"{self.path} has {N} clips of {T} frames, but three splits take at least 3 clips of at least "
                f"{clip} frames (dataset.input_steps + dataset.output_steps)."
            )
        order = np.random.default_rng(derive(self.data_seed, "own_frames", "split")).permutation(N)
        held = [max(1, int(N * share)) for share in SHARES[1:]]
        ends = (N - sum(held), N - held[1])
        inside = starts(range(T), clip, self.stride)
        return [[int(n) * T + t for n in np.sort(part) for t in inside] for part in np.split(order, ends)]

    def _film(self) -> Tensor:
        """All frames one after another, T C H W, in the file's own type where torch has it, else float32."""
        axes, shape, dtype = self.form
        frames = read(self._path())
        low, high = self._limits()
        if dtype.kind == "f" and not np.isfinite(frames).all():
            place = ", ".join(map(str, np.argwhere(~np.isfinite(frames))[0]))
            raise BadInput(f"{self.path} holds NaN or infinity, first at [{place}]: fill or remove it.")
        least, most = float(frames.min()), float(frames.max())
        if least < low or most > high:
            raise BadInput(
                f"{self.path} holds values from {least:g} to {most:g}, outside {low:g}..{high:g}: "
                "set dataset.low and dataset.high to what is to be seen as 0 and 1."
            )
        C = shape[axes.index("C")] if "C" in axes else 1
        frames = frames.reshape(-1, C, *shape[-2:])
        return torch.from_numpy(np.ascontiguousarray(frames, None if dtype == np.uint8 else np.float32))

    def _limits(self) -> tuple[float, float]:
        low, high = self.limits
        if low is not None and high is not None:
            return float(low), float(high)
        _, _, dtype = self.form
        if dtype == np.uint8:
            return 0.0, 255.0
        if dtype.kind in "fb":
            return 0.0, 1.0
        raise BadInput(f"{self.path} holds {dtype}: set dataset.low and dataset.high to what is to be seen as 0 and 1.")

    def _path(self) -> Path:
        if not self.path:
            raise BadInput("dataset.path must name a npy or npz file with frames.")
        path = Path(self.path).expanduser()
        if path.suffix not in (".npy", ".npz"):
            raise BadInput(f"dataset.path must name a npy or npz file; got {self.path!r}.")
        if not path.is_file():
            raise MissingData(f"{path} is missing: set dataset.path to your npy or npz file.")
        return path


def header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array in a file, without reading its values. Raises BadInput where it is no numbers."""
    try:
        if path.suffix == ".npy":
            with path.open("rb") as stream:
                shape, dtype = _header(stream)
        else:
            with zipfile.ZipFile(path) as archive, archive.open(f"{_member(path, archive.namelist())}.npy") as stream:
                shape, dtype = _header(stream)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} cannot be read as {path.suffix[1:]} ({error}).") from error
    if dtype.kind not in "bfiu":
        raise BadInput(f"{path} holds {dtype}, not plain numbers.")
    return shape, dtype


def read(path: Path) -> NDArray[Any]:
    """The array in a file."""
    content = np.load(path, allow_pickle=False)
    if isinstance(content, np.ndarray):
        return content
    with content:
        array: NDArray[Any] = content[_member(path, [f"{name}.npy" for name in content.files])]
    return array


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = parse(stream)
    return shape, dtype


def _member(path: Path, files: list[str]) -> str:
    """The array of a npz that holds the frames."""
    names = [name.removesuffix(".npy") for name in files]
    if "frames" in names:
        return "frames"
    if len(names) != 1:
        raise BadInput(f"{path} holds {', '.join(names) or 'nothing'}: call the one with the film `frames`.")
    return names[0]
