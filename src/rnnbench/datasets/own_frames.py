"""Your own film, or your own clips, from a npy or npz file."""

from __future__ import annotations

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base import arrays
from rnnbench.datasets.base.checks import counts, one_of, whole
from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.spec import Data, TaskSpec
from rnnbench.datasets.base.words import number, sizes
from rnnbench.datasets.film import layouts
from rnnbench.datasets.film.films import SHARES, FilmTask, starts, time_split
from rnnbench.datasets.film.metrics import picture_metrics
from rnnbench.datasets.film.task import FRAME_LOSSES, frame_spec
from rnnbench.errors import BadInput, MissingData
from rnnbench.seeds import derive
from rnnbench.store.content import SHOWN, path_hash

RENDER_VERSION = 1
WANTED = "frames"  # the array of a npz that counts where there are several
VALUES_AT_ONCE = 1 << 22  # that are scaled together: bounds the memory beside the film
EXACT_IN_32 = 1 << 23  # whole limits up to here leave bytes exact in float32 arithmetic
EXACT_IN_64 = 1 << 53
FORM = re.compile(r" (?P<layout>[NTCHW]{3,5}) (?P<shape>[0-9x]+), (?P<low>\S+)\.\.(?P<high>\S+), ")  # in a protocol


class OwnFrames(FilmTask):
    """Predict the next frames of your own recording.

    path: a npy file, or a npz file with one array or with one called `frames`. layout: its axes in their order, by the
    letters N clips, T frames, C channels, H height, W width, e.g. `THWC`. Without N it is one film, split by time
    60/20/20 with gaps of a whole clip; with N each whole clip is in one split, 60/20/20 at random, fixed by data_seed.
    null: 3 axes are THW, 4 TCHW, 5 NTCHW, and refused where the shape fits another layout as well (layouts.py).
    stride: frames between the starts of two clips of input_steps + output_steps frames.

    low, high: what a network sees as 0 and 1; null: 0 and 255 for bytes, 0 and 1 for floats and bools. No value may
    lie outside. Scaled in float64. x: B input_steps C H W, y: B output_steps C H W, float32 in [0, 1]. loss: as in
    MovingDigits. Floors `black`, `last`, `mean`, `mean_input`. Raises BadInput on wrong options or data, MissingData on
    a missing file; shape and type are read when the spec is first asked for, the values by load().
    """

    def __init__(
        self,
        path: str | None = None,
        input_steps: int = 10,
        output_steps: int = 10,
        layout: str | None = None,
        stride: int = 1,
        low: float | None = None,
        high: float | None = None,
        loss: str = "mse_frames",
        data_seed: int = 0,
    ) -> None:
        counts(input_steps=input_steps, output_steps=output_steps, stride=stride)
        whole("data_seed", data_seed, 0)
        if layout is not None:
            layouts.check(layout)
        one_of("loss", loss, FRAME_LOSSES)
        self.path, self.layout, self.loss_name, self.stride = path, layout, loss, stride
        self.input_steps, self.output_steps = input_steps, output_steps
        self.limits, self.data_seed = limits(low, high), data_seed
        self.found: tuple[Any, Any] | None = None  # the least and the greatest value of the file, once it was read
        self.recorded = self.pictures = Pictures(self._film)

    @cached_property
    def form(self) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
        """The file's layout, shape and type, from its header alone."""
        path = self._path()
        shape, dtype = arrays.header(path, WANTED)
        return layouts.settle(str(path), shape, self.layout), shape, dtype

    @cached_property
    def spec(self) -> TaskSpec:  # type: ignore[override]
        """Reads the file's header, and checks that three splits come out of it."""
        layout, shape, _ = self.form
        clips = "/".join(str(len(first)) for first in self.parts)
        size = layouts.sizes(layout, shape)
        how = f"by clip, seed {self.data_seed}" if "N" in layout else "by time, gaps of a clip"
        low, high = map(number, self._limits())
        return frame_spec(
            "own_frames",
            f"{self.content} {layout} {'x'.join(map(str, shape))}, {low}..{high}, {self.input_steps}->"
            f"{self.output_steps}, stride {self.stride}, {clips} {how}, {self.loss_name}, reading {RENDER_VERSION}",
            (size["C"], size["H"], size["W"]),
            (self.input_steps, self.output_steps),
            loss=self.loss_name,
            metrics=picture_metrics(size["H"], size["W"], self.loss_name),
        )

    @cached_property
    def content(self) -> str:
        """The first digits of the sha256 of the file's bytes: the same film is one film, whatever it is called."""
        return path_hash(self._path(), "dataset.path")[:SHOWN]

    def recall(self, protocol: str) -> None:
        """The file's form as the spec wrote it into the protocol."""
        self.content = protocol.partition(" ")[0]
        if found := FORM.search(protocol):
            shape = tuple(int(size) for size in found["shape"].split("x"))
            self.form = found["layout"], shape, np.dtype(np.float32)  # of the type only the limits depend
            self.limits = float(found["low"]), float(found["high"])

    def read(self) -> Data:
        """Read and check the file; cut it into clips."""
        assert self.content  # known from here on: the spec tells it, and is asked when the file may be gone
        return Data(*(self.places(first, [0], [0], RENDER_VERSION) for first in self.parts))

    @cached_property
    def parts(self) -> list[list[int]]:
        """The first frames of the clips of each split."""
        layout, shape, _ = self.form
        size = layouts.sizes(layout, shape)
        if "N" in layout:
            return self._clips(size["N"], size["T"])
        clip = self.input_steps + self.output_steps
        return [starts(part, clip, self.stride) for part in time_split(size["T"], clip)]

    def values(self, cut: Tensor) -> Tensor:
        """Bytes as shares of the way from low to high, float32; whatever else was scaled when it was read."""
        if cut.dtype != torch.uint8:
            return cut
        low, high = self._limits()
        return (cut.float() - low) / (high - low)

    def summary(self, data: Data) -> str:
        """`10 clips of 20 frames, 3 channels, 64x64, values 0..255; 18/6/6 windows of 3 + 2 frames`."""
        layout, shape, _ = self.form
        low, high = self._limits()
        found = ""
        if self.found is not None and self.found != (low, high):
            found = f" (found {number(self.found[0])}..{number(self.found[1])})"
        return (
            f"{layouts.words(layout, shape)}, values {number(low)}..{number(high)}{found}; {sizes(data)} windows "
            f"of {self.input_steps} + {self.output_steps} frames"
        )

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
        """All frames one after another, T C H W: bytes as they are, whatever else as float32 in [0, 1]."""
        layout, _, dtype = self.form
        array = arrays.read(self._path(), WANTED)
        self._check_values(array)
        frames = layouts.film(array, layout)
        low, high = self._limits()
        if dtype == np.uint8 and low.is_integer() and high.is_integer() and max(-low, high) <= EXACT_IN_32:
            return torch.from_numpy(np.ascontiguousarray(frames))
        return torch.from_numpy(scaled(frames, low, high))

    def _check_values(self, array: NDArray[Any]) -> None:
        """Note the extent of the file's values. Raises BadInput where one is no number, or outside the limits."""
        low, high = self._limits()
        smallest, largest = array.min(), array.max()  # NaN where one value is
        least, most = smallest.item(), largest.item()
        if not (np.isfinite(least) and np.isfinite(most)):
            raise BadInput(self._where_no_number(array))
        if array.dtype.kind in "iu" and max(-least, most) > EXACT_IN_64:
            raise BadInput(f"{self.path} holds integers beyond 2^53, which float64 does not tell apart: subtract some.")
        if least < low or most > high:
            raise BadInput(
                f"{self.path} holds values from {number(smallest)} to {number(largest)}, outside {number(low)}.."
                f"{number(high)}: set dataset.low and dataset.high to what is to be seen as 0 and 1."
            )
        self.found = smallest, largest

    def _where_no_number(self, array: NDArray[Any]) -> str:
        """The first NaN or infinity in words: its place in the file, and which splits see it."""
        layout, shape, _ = self.form
        place = np.unravel_index(int((~np.isfinite(array)).argmax()), array.shape)
        at = {letter: int(place[axis]) for axis, letter in enumerate(layout)}
        frame = at.get("N", 0) * layouts.sizes(layout, shape)["T"] + at["T"]
        clip = self.input_steps + self.output_steps
        names = ("train", "val", "test")
        seen = [name for name, part in zip(names, self.parts, strict=True) if any(0 <= frame - t < clip for t in part)]
        who = seen[0] if seen else "no split, between two"
        return (
            f"{self.path} holds NaN or infinity, first at [{', '.join(str(int(i)) for i in place)}] ({' '.join(layout)}"
            f", of {who}): fill or remove it."
        )

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
        if not isinstance(self.path, str):
            raise BadInput(f"dataset.path must name a npy or npz file; got {self.path!r}.")
        path = Path(os.path.expanduser(self.path))
        if path.suffix not in (".npy", ".npz"):
            raise BadInput(f"dataset.path must name a npy or npz file; got {self.path!r}.")
        if not path.is_file():
            raise MissingData(f"{path} is missing: set dataset.path to your npy or npz file.")
        return path


def limits(low: object, high: object) -> tuple[float | None, float | None]:
    """The options low and high, as float64 holds them. Raises BadInput where it cannot, or they are no range."""
    if (low is None) != (high is None):
        raise BadInput("dataset.low and dataset.high are given both or neither.")
    if low is None or high is None:
        return None, None
    least, most = _exact("low", low), _exact("high", high)
    if not (least < most and most - least < np.inf):
        raise BadInput(f"dataset.low must be below dataset.high, by a finite number; got {low!r} and {high!r}.")
    return least, most


def _exact(option: str, value: object) -> float:
    """A number as float64, to the last digit. Raises BadInput where it is none, or has more digits than that."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and -np.inf < value < np.inf:
        try:
            if float(value) == value:
                return float(value) + 0.0  # no -0, which is the same range as 0
        except OverflowError:
            pass
    raise BadInput(f"dataset.{option} must be a number that float64 holds exactly; got {value!r}.")


def scaled(frames: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Shares of the way from low to high. Computed in float64: float32 has no room for 1e9 + small numbers."""
    out = np.empty(frames.shape, np.float32)
    rows = max(1, VALUES_AT_ONCE * len(frames) // frames.size)
    for start in range(0, len(frames), rows):
        part = frames[start : start + rows].astype(np.float64)
        out[start : start + rows] = (part - low) / (high - low)
    return out
