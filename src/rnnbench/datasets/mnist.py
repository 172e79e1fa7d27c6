"""MNIST as a sequence: by rows, by pixels, or by pixels in a named fixed order (LeCun et al. 1998; Le et al. 2015)."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.arrays import BEST_PACKING
from rnnbench.datasets.base.checks import one_of, whole
from rnnbench.datasets.base.fetch import RemoteFile, fetch
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.splits import class_floors, stratified
from rnnbench.datasets.base.task import Task
from rnnbench.errors import BadInput, MissingData
from rnnbench.seeds import derive

PIXELS = 784
VIEWS = {"rows": (28, 28), "pixels": (PIXELS, 1), "permuted": (PIXELS, 1)}  # T, F
NAMES = {"rows": "mnist", "pixels": "smnist", "permuted": "psmnist"}
TRAIN, VAL, TEST = 55_000, 5_000, 10_000

_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
FILES = {
    name: RemoteFile("mnist", name, sha256, tuple(mirror + name for mirror in _MIRRORS))
    for name, sha256 in _SHA256.items()
}


def _numpy_92916() -> NDArray[np.int64]:
    # numpy's frozen legacy generator, as in scoRNN, expRNN and most orthogonal-RNN code
    return np.random.RandomState(92916).permutation(PIXELS)


def _torch_randperm(seed: int) -> Callable[[], NDArray[np.int64]]:
    # LEM (psMNIST_task.py) and coRNN (psMNIST_task.py) draw torch.randperm(784) right after torch.manual_seed(seed)
    return lambda: torch.randperm(PIXELS, generator=torch.Generator().manual_seed(seed)).numpy()


def _bit_reversal() -> NDArray[np.int64]:
    # S4: the bit-reversed order of 0..1023, of which the numbers below 784 are kept
    bits = 10
    numbers = np.arange(1 << bits)
    order = sum(((numbers >> bit) & 1) << (bits - 1 - bit) for bit in range(bits))
    return np.asarray(order)[np.asarray(order) < PIXELS]


# name -> how it is made, sha256 of its indices written as "12,7,..." (see permutation_hash)
PERMUTATIONS: dict[str, tuple[Callable[[], NDArray[np.int64]], str]] = {
    "randomstate_92916": (_numpy_92916, "b5c4665c0096a8f46ca2065aaeb8c1d9479ab73a0cf1f1b2bf6522ceb9d52323"),
    "lem_5544": (_torch_randperm(5544), "7b6004e6368828a89a666ddc4a2ee1c07513244bff7c798704aaf9b03156ef70"),
    "cornn_12008": (_torch_randperm(12008), "60f334ea81656c7d064409b73a690778b8e05b776c2909bb378536d215fd46cc"),
    "bit_reversal": (_bit_reversal, "e35d73b4d5633d6f3c97bd60cf535f9570818a5723458a081d1d919adfbda8b6"),
}
# Accuracies of the authors' logs; each under its own permutation and split, which is why the source is spelt out.
_TARGETS: dict[str, tuple[float, str]] = {
    "rows": (1.0, "perfect accuracy"),
    "pixels": (0.9945, "published: LEM's log, Rusch 2022"),
    "lem_5544": (0.9662, "published: LEM's log, Rusch 2022"),
    "cornn_12008": (0.9734, "published: coRNN's log, Rusch 2021"),
    "randomstate_92916": (0.9734, "published: coRNN's log, Rusch 2021 (its permutation: cornn_12008)"),
    "bit_reversal": (0.9734, "published: coRNN's log, Rusch 2021 (its permutation: cornn_12008)"),
}


def permutation_hash(order: NDArray[np.int64]) -> str:
    """sha256 of the indices in decimal, joined by commas: any language can recompute it."""
    return hashlib.sha256(",".join(map(str, order.tolist())).encode()).hexdigest()


def permutation(name: str) -> NDArray[np.int64]:
    """The named order of the 784 pixels: step t shows pixel order[t]. Raises BadInput if a library changed it."""
    make, expected = PERMUTATIONS[name]
    order = make()
    if permutation_hash(order) != expected:
        raise BadInput(
            f"The permutation {name} differs from the one that defines this dataset: numpy {np.__version__} or torch "
            f"{torch.__version__} changed its random numbers; use another permutation or another version."
        )
    return order


class MNIST(Task):
    """70,000 digits of 28x28 pixels as sequences: 28 rows, 784 pixels, or 784 pixels in a fixed permuted order.

    x: B 28 28 (`rows`) or B 784 1 (`pixels`, `permuted`), float32, pixel values divided by 255 (not standardised, as
    in LEM and coRNN); y: N, the digit. The official 60,000 are split into 55,000/5,000, every class in proportion,
    fixed by data_seed; test is the official 10,000. Metric `accuracy`; floors `chance` and `majority`.

    There is no single permuted MNIST, so `permuted` needs one of PERMUTATIONS by name, and no other view takes one.
    Raises BadInput on wrong options, MissingData where a file is corrupt or cannot be fetched.
    """

    def __init__(self, view: str = "rows", permutation: str | None = None, data_seed: int = 0) -> None:
        one_of("view", view, VIEWS)
        whole("data_seed", data_seed, 0)
        if view == "permuted":
            one_of("permutation", permutation, PERMUTATIONS)
        elif permutation is not None:
            raise BadInput(
                f"dataset.permutation={permutation} needs dataset.view=permuted; with view={view} it is null."
            )
        self.view, self.permutation, self.data_seed = view, permutation, data_seed
        T, features = VIEWS[view]
        sizes = f"{TRAIN}/{VAL}/{TEST}"
        order = f", permutation {permutation} ({PERMUTATIONS[permutation][1][:8]})" if permutation else ""
        target, source = _TARGETS[permutation or view]
        self.spec = TaskSpec(
            name=NAMES[view],
            protocol=f"{view} {T}x{features}, values/255, stratified {sizes}, split seed {data_seed}{order}",
            inputs="features",
            input_size=features,
            outputs="sequence",
            output_size=10,
            loss="cross_entropy",
            metric="accuracy",
            metrics=("accuracy",),
            goal="max",
            floor="chance",
            target=target,
            target_source=source,
            max_length=T,
        )

    def load(self) -> Data:
        """Read the four files, downloading what is missing. x is stored in uint8."""
        images, labels = self._read("train")
        test = self._split(*self._read("t10k"))
        seed = derive(self.data_seed, "mnist", "split")
        train, val = (self._split(images[part], labels[part]) for part in stratified(labels, (TRAIN, VAL), seed))
        return Data(train, val, test)

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x in float32, 0..1."""
        stored = super().batch(split, index)
        return stored._replace(x=stored.x.float().div_(255))

    def floors(self, data: Data) -> Mapping[str, float]:
        """`chance`: a uniform guess; `majority`: always train's most frequent digit."""
        return class_floors(10, data.train.y, data.test.y)

    def _read(self, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images = read_idx(fetch(FILES[f"{part}-images-idx3-ubyte.gz"]))
        labels = read_idx(fetch(FILES[f"{part}-labels-idx1-ubyte.gz"]))
        return images, labels.astype(np.int64)

    def _split(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Split:
        pixels = images.reshape(len(images), PIXELS)
        if self.permutation is not None:
            pixels = pixels[:, permutation(self.permutation)]
        return Split(torch.from_numpy(pixels.reshape(-1, *VIEWS[self.view]).copy()), torch.from_numpy(labels.copy()))


def read_idx(path: Path) -> NDArray[np.uint8]:
    """A gzipped IDX file of bytes: two zeros, type 8, number of axes, the axes' sizes (big-endian), the data.

    Raises MissingData where the file does not hold what its header announces; nothing is unpacked beyond that.
    """
    try:
        with gzip.open(path) as stream:
            axes = stream.read(4)[3]
            shape = np.frombuffer(stream.read(4 * axes), ">u4", count=axes).astype(int)
            announced = math.prod(shape.tolist())
            if announced > BEST_PACKING * path.stat().st_size:
                raise ValueError(f"its header announces {announced:,} bytes, more than can be packed in it")
            raw = stream.read(announced + 1)
        if len(raw) != announced:
            raise ValueError(f"its header announces {announced:,} bytes, and {len(raw):,} are there, or more")
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise MissingData(f"{path} is damaged ({error}): delete the file and run again to fetch it anew.") from error
    return np.frombuffer(raw, np.uint8).reshape(shape)
