"""What a network was seen to predict on test, in one small file beside its weights, `samples.npz`. Imports no torch.

::

    about    JSON: schema_version, kind, run, and the texts and numbers of its kind; arrays by name, each below

    frames   clips of films: input N T_in C H W, truth and prediction N T_out C H W, uint8; clips N, int64: their places
             in the test split; scale{kind top minutes}. A byte is 255 times a display value in [0, 1], which `Scale`
             explains; what lies outside of it is held at its end. Written as schema 1, which has no kind
    series   forecasts: input N L C, truth and prediction N H C, floors F N H C, float32, in the units of the data
    classes  K classes over the whole test split: counts K K, int64, and the items of the largest loss
    values   numbers: truth and prediction N C, float32; items N, int64: their places in the test split
    steps    K yes or no at every step: truth and prediction N T K, uint8, 255 is certain; items and lengths N, int64
    text     a prompt, and how the network goes on

N items, T and L and H steps, C columns. Every kind is a class below, which says the rest. What a file holds is parsed
and never believed: no pickle, sizes, types and texts within bounds, and arrays that belong together.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput
from rnnbench.store.files import LARGEST_TABLE, read_regular
from rnnbench.store.parse import parse
from rnnbench.store.record import Parsed

FILE = "samples.npz"
SCHEMA_VERSION = 2
OF_FRAMES = 1  # the schema that frames are written in: what they are has not changed since
LARGEST = 2**30  # bytes of all arrays of frames together; eight clips of 20 frames of 256 x 256 have 10 million
LARGEST_OTHER = 2**26  # of any other kind: the largest that is kept has 8 million
LARGEST_ABOUT = 2**20  # of what is said about them
ARRAYS = ("input", "truth", "prediction", "clips")  # of frames

ORIGINS = 8  # of a series
MOST_COLUMNS = 64  # of series and values
MOST_FLOORS = 32
MOST_CLASSES = 512  # more are not kept
WORST = 16  # test items
MOST_POINTS = 2_000  # of values
LONGEST_NAME = 200  # characters of a column, a class, a floor, a series
LONGEST_TEXT = 20_000  # characters of a prompt or a sample

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Places = NDArray[np.int64]


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
class Frames:
    """The clips of one run with its predictions; see the head of this file."""

    kind: ClassVar[str] = "frames"
    arrays: ClassVar[tuple[str, ...]] = ARRAYS

    run: str
    scale: Scale
    clips: Places
    input: Bytes
    truth: Bytes
    prediction: Bytes

    def __repr__(self) -> str:
        """What there is, not every number."""
        return _named(self)

    def about(self) -> dict[str, Any]:
        """Its texts and numbers, as JSON has them."""
        return {"scale": asdict(self.scale)}

    @classmethod
    def of(cls, run: str, about: Parsed, arrays: Mapping[str, NDArray[Any]]) -> Frames:
        """From what a file says; unchecked."""
        return cls(run, Scale(**about["scale"]), **arrays)

    def check(self) -> None:
        """Raise ValueError where the arrays do not belong together."""
        scale = self.scale
        numbers = (scale.top, scale.minutes if scale.minutes is not None else 1.0)
        if scale.kind not in ("plain", "rain") or not all(isinstance(n, (int, float)) and n > 0 for n in numbers):
            raise ValueError("its scale is none")
        if self.clips.dtype != np.int64 or self.clips.ndim != 1:
            raise ValueError("its clips are no list of places")
        shown = (self.input, self.truth, self.prediction)
        if any(array.dtype != np.uint8 or array.ndim != 5 or 0 in array.shape for array in shown):
            raise ValueError("its frames are no N T C H W of bytes")
        clips, frame = len(self.clips), self.input.shape[2:]
        if self.truth.shape != self.prediction.shape or any(
            (len(array), array.shape[2:]) != (clips, frame) for array in shown
        ):
            raise ValueError("its arrays differ in shape")

    def same_items(self, other: Samples) -> bool:
        """Whether both show the same input and truth on the same scale."""
        if not isinstance(other, Frames) or self.scale != other.scale:
            return False
        return _all_equal(self, other, ("clips", "input", "truth"))


@dataclass(frozen=True)
class Series:
    """Forecasts from a few origins spread over test, with the trivial ones from the same origins.

    All values are in the units of the data (nothing is standardised); NaN is missing. columns: the C names, those of
    the targets. series: N names, of which series each forecast is; "" where there is one only. clock: what times count,
    nanoseconds since 1970 (`time`, as the file says them) or rows of the file (`row`). origins: N, the places of the
    forecasts in the test split. input_times N L, times N H. floor_names: F names, in the order of `floors`.
    """

    kind: ClassVar[str] = "series"
    arrays: ClassVar[tuple[str, ...]] = ("origins", "input_times", "times", "input", "truth", "prediction", "floors")

    run: str
    columns: tuple[str, ...]
    series: tuple[str, ...]
    clock: Literal["time", "row"]
    floor_names: tuple[str, ...]
    origins: Places
    input_times: Places
    times: Places
    input: Floats
    truth: Floats
    prediction: Floats
    floors: Floats

    def __repr__(self) -> str:
        """What there is, not every number."""
        return _named(self)

    def about(self) -> dict[str, Any]:
        """Its texts and numbers, as JSON has them."""
        return {
            "columns": list(self.columns), "series": list(self.series), "clock": self.clock,
            "floor_names": list(self.floor_names),
        }  # fmt: skip

    @classmethod
    def of(cls, run: str, about: Parsed, arrays: Mapping[str, NDArray[Any]]) -> Series:
        """From what a file says; unchecked but for its names."""
        columns, series, floors = (_names(about, key) for key in ("columns", "series", "floor_names"))
        return cls(run, columns, series, about["clock"], floors, **arrays)

    def check(self) -> None:
        """Raise ValueError where the arrays do not belong together."""
        N, C, F = len(self.series), len(self.columns), len(self.floor_names)
        if self.clock not in ("time", "row"):
            raise ValueError("its clock is none")
        if not (1 <= N <= ORIGINS and 1 <= C <= MOST_COLUMNS and F <= MOST_FLOORS):
            raise ValueError(f"it has {N} forecasts of {C} columns and {F} floors")
        if self.times.ndim != 2 or self.input_times.ndim != 2:
            raise ValueError("its times are no N T")
        L, H = self.input_times.shape[1], self.times.shape[1]
        if not H:
            raise ValueError("its forecasts have no step")
        _expect(self, "origins", np.int64, (N,))
        _expect(self, "input_times", np.int64, (N, L))
        _expect(self, "times", np.int64, (N, H))
        _expect(self, "input", np.float32, (N, L, C))
        _expect(self, "truth", np.float32, (N, H, C))
        _expect(self, "prediction", np.float32, (N, H, C))
        _expect(self, "floors", np.float32, (F, N, H, C))

    def same_items(self, other: Samples) -> bool:
        """Whether both show forecasts of the same values."""
        if not isinstance(other, Series):
            return False
        alike = (self.columns, self.series, self.clock) == (other.columns, other.series, other.clock)
        return alike and _all_equal(self, other, ("origins", "times", "truth"))


@dataclass(frozen=True)
class Classes:
    """Which class was taken for which, over the whole test split, and the WORST items: those of the largest loss.

    labels: K names. counts: K K, int64: a row is a true class, a column a predicted one; items without a class do not
    count. Of the worst, largest loss first: item, its place in the test split; step, where every step has a class, else
    -1; true and predicted, numbers of classes; probability (float64), what the network gave the true class.
    """

    kind: ClassVar[str] = "classes"
    arrays: ClassVar[tuple[str, ...]] = ("counts", "item", "step", "true", "predicted", "probability")

    run: str
    labels: tuple[str, ...]
    counts: Places
    item: Places
    step: Places
    true: Places
    predicted: Places
    probability: NDArray[np.float64]

    def __repr__(self) -> str:
        """What there is, not every number."""
        return _named(self)

    def about(self) -> dict[str, Any]:
        """Its texts and numbers, as JSON has them."""
        return {"labels": list(self.labels)}

    @classmethod
    def of(cls, run: str, about: Parsed, arrays: Mapping[str, NDArray[Any]]) -> Classes:
        """From what a file says; unchecked but for its names."""
        return cls(run, _names(about, "labels"), **arrays)

    def check(self) -> None:
        """Raise ValueError where the arrays do not belong together."""
        K, M = len(self.labels), self.item.size
        if not 1 <= K <= MOST_CLASSES or M > WORST:
            raise ValueError(f"it has {K} classes and {M} worst items")
        _expect(self, "counts", np.int64, (K, K))
        for name in ("item", "step", "true", "predicted"):
            _expect(self, name, np.int64, (M,))
        _expect(self, "probability", np.float64, (M,))
        if self.counts.min() < 0 or float(self.counts.sum(dtype=np.float64)) > 2**53:
            raise ValueError("its counts are none")
        if M and not (
            0 <= min(self.true.min(), self.predicted.min()) <= max(self.true.max(), self.predicted.max()) < K
        ):
            raise ValueError("its worst items are of classes it does not have")
        if not ((self.probability >= 0) & (self.probability <= 1)).all():
            raise ValueError("its probabilities are none")

    def same_items(self, other: Samples) -> bool:
        """Whether both count the same true classes."""
        if not isinstance(other, Classes) or self.labels != other.labels:
            return False
        return np.array_equal(self.counts.sum(1), other.counts.sum(1))


@dataclass(frozen=True)
class Values:
    """Predicted numbers against true ones, of items spread over test. columns: C names; items: N places in test."""

    kind: ClassVar[str] = "values"
    arrays: ClassVar[tuple[str, ...]] = ("items", "truth", "prediction")

    run: str
    columns: tuple[str, ...]
    items: Places
    truth: Floats
    prediction: Floats

    def __repr__(self) -> str:
        """What there is, not every number."""
        return _named(self)

    def about(self) -> dict[str, Any]:
        """Its texts and numbers, as JSON has them."""
        return {"columns": list(self.columns)}

    @classmethod
    def of(cls, run: str, about: Parsed, arrays: Mapping[str, NDArray[Any]]) -> Values:
        """From what a file says; unchecked but for its names."""
        return cls(run, _names(about, "columns"), **arrays)

    def check(self) -> None:
        """Raise ValueError where the arrays do not belong together."""
        N, C = self.items.size, len(self.columns)
        if not (1 <= N <= MOST_POINTS and 1 <= C <= MOST_COLUMNS):
            raise ValueError(f"it has {N} items of {C} columns")
        _expect(self, "items", np.int64, (N,))
        _expect(self, "truth", np.float32, (N, C))
        _expect(self, "prediction", np.float32, (N, C))

    def same_items(self, other: Samples) -> bool:
        """Whether both show the same true values."""
        if not isinstance(other, Values) or self.columns != other.columns:
            return False
        return _all_equal(self, other, ("items", "truth"))


@dataclass(frozen=True)
class Steps:
    """What may come or sound at every step, K times yes or no, of a few items spread over test.

    truth, prediction: N T K, uint8: 255 times the probability. items: N places in test; lengths: N, the steps that are
    kept of each, from its beginning. labels: K names.
    """

    kind: ClassVar[str] = "steps"
    arrays: ClassVar[tuple[str, ...]] = ("items", "lengths", "truth", "prediction")

    run: str
    labels: tuple[str, ...]
    items: Places
    lengths: Places
    truth: Bytes
    prediction: Bytes

    def __repr__(self) -> str:
        """What there is, not every number."""
        return _named(self)

    def about(self) -> dict[str, Any]:
        """Its texts and numbers, as JSON has them."""
        return {"labels": list(self.labels)}

    @classmethod
    def of(cls, run: str, about: Parsed, arrays: Mapping[str, NDArray[Any]]) -> Steps:
        """From what a file says; unchecked but for its names."""
        return cls(run, _names(about, "labels"), **arrays)

    def check(self) -> None:
        """Raise ValueError where the arrays do not belong together."""
        N, K = self.items.size, len(self.labels)
        T = self.truth.shape[1] if self.truth.ndim == 3 else 0
        if not (1 <= N <= MOST_POINTS and 1 <= K <= MOST_CLASSES and T):
            raise ValueError(f"it has {N} items of {T} steps and {K} outputs")
        _expect(self, "items", np.int64, (N,))
        _expect(self, "lengths", np.int64, (N,))
        _expect(self, "truth", np.uint8, (N, T, K))
        _expect(self, "prediction", np.uint8, (N, T, K))
        if not ((self.lengths >= 1) & (self.lengths <= T)).all():
            raise ValueError("its lengths are none")

    def same_items(self, other: Samples) -> bool:
        """Whether both show the same truth."""
        if not isinstance(other, Steps) or self.labels != other.labels:
            return False
        return _all_equal(self, other, ("items", "lengths", "truth"))


@dataclass(frozen=True)
class Text:
    """How a network goes on after a prompt. how: in words, how it was drawn ("temperature 0.8, seed 0")."""

    kind: ClassVar[str] = "text"
    arrays: ClassVar[tuple[str, ...]] = ()

    run: str
    prompt: str
    sample: str
    how: str = ""

    def about(self) -> dict[str, Any]:
        """Its texts and numbers, as JSON has them."""
        return {"prompt": self.prompt, "sample": self.sample, "how": self.how}

    @classmethod
    def of(cls, run: str, about: Parsed, arrays: Mapping[str, NDArray[Any]]) -> Text:
        """From what a file says; unchecked."""
        return cls(run, about["prompt"], about["sample"], about["how"])

    def check(self) -> None:
        """Raise ValueError where it is no text, or a very long one."""
        for text, longest in ((self.prompt, LONGEST_TEXT), (self.sample, LONGEST_TEXT), (self.how, LONGEST_NAME)):
            if not isinstance(text, str) or len(text) > longest:
                raise ValueError(f"it is no text of at most {longest:,} characters")

    def same_items(self, other: Samples) -> bool:
        """Whether both go on after the same prompt, drawn in the same way."""
        return isinstance(other, Text) and (self.prompt, self.how) == (other.prompt, other.how)


def _named(samples: Samples) -> str:
    """The kind, the run, and each array with its shape, for whoever prints it."""
    shapes = {name: getattr(samples, name).shape for name in samples.arrays}
    arrays = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    return f"<{type(samples).__name__} of run {samples.run}: {arrays}>"


Samples = Frames | Series | Classes | Values | Steps | Text
KINDS: dict[str, type[Samples]] = {each.kind: each for each in (Frames, Series, Classes, Values, Steps, Text)}


def dumps(samples: Samples) -> bytes:
    """Samples as the bytes of a npz file; the same samples give the same bytes. Unchecked: see `check` of each kind."""
    if isinstance(samples, Frames):
        head: dict[str, Any] = {"schema_version": OF_FRAMES, "run": samples.run}
    else:
        head = {"schema_version": SCHEMA_VERSION, "kind": samples.kind, "run": samples.run}
    arrays = {name: getattr(samples, name) for name in samples.arrays}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps(head | samples.about())), **arrays)
    return buffer.getvalue()


def read(path: Path) -> Samples:
    """Samples from a file. Raises BadInput where there is none, or where it is no whole samples file."""
    try:
        data = read_regular(path, LARGEST_TABLE)
        size = _unpacked(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as content:  # a torn file is closed, too
            about: Parsed = parse(str(content["about"]).encode())
            if about["schema_version"] > SCHEMA_VERSION:
                raise BadInput(f"{path} has schema_version {about['schema_version']}; update rnnbench.")
            kind = KINDS[about["kind"] if about["schema_version"] > OF_FRAMES else Frames.kind]
            if size > (LARGEST if kind is Frames else LARGEST_OTHER):
                raise ValueError(f"its arrays have {size:,} bytes, too many for {kind.kind}")
            samples = kind.of(str(about["run"]), about, {name: content[name] for name in kind.arrays})
        samples.check()
    except BadInput:
        raise
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, MemoryError, NotImplementedError,
        zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise BadInput(f"{path} cannot be read as samples ({error}): delete it, and it is made anew.") from None
    return samples


def _unpacked(data: bytes) -> int:
    """How many bytes the file says of itself that its arrays have. Raises ValueError where it is far too large."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        sizes = {member.filename: member.file_size for member in packed.infolist()}
    size = sum(sizes.values())
    if size > LARGEST:
        raise ValueError(f"its arrays have {size:,} bytes, and at most {LARGEST:,} are read")
    if sizes.get("about.npy", 0) > LARGEST_ABOUT:
        raise ValueError("what it says of itself is far too long")
    return size


def _names(about: Parsed, key: str) -> tuple[str, ...]:
    """A list of names from a file. Raises ValueError where it is none."""
    names = about[key]
    most = max(ORIGINS, MOST_COLUMNS, MOST_CLASSES)
    if (
        not isinstance(names, list)
        or len(names) > most
        or not all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in names)
    ):
        raise ValueError(f"its {key} are no list of names")
    return tuple(names)


def _expect(samples: Samples, name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """Raise ValueError where an array has another type or shape."""
    array: NDArray[Any] = getattr(samples, name)
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"its {name} is {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")


def _all_equal(one: Samples, other: Samples, names: tuple[str, ...]) -> bool:
    """Whether arrays hold the same; a missing value equals a missing one."""
    return all(_equal(getattr(one, name), getattr(other, name)) for name in names)


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f" and other.dtype.kind == "f")


def fitted_name(name: str) -> str:
    """A name as samples keep it: cut where it is very long."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


SAMPLES, FIGURES, PREFIX = "samples", "figures", "frames_"
