"""Moving MNIST, 10 frames in and 10 out (Srivastava et al. 2015), by the rules of OpenSTL or of Shi et al. 2015."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.checks import counts, one_of, sizes_and_seed
from rnnbench.datasets.base.fetch import fetch
from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.film import moving_mnist_file as file
from rnnbench.datasets.film.metrics import picture_metrics
from rnnbench.datasets.film.sprites import RENDER_VERSION, SpriteTask, draw_clips, reflected, stopped
from rnnbench.datasets.film.task import frame_spec
from rnnbench.datasets.mnist import FILES, read_idx
from rnnbench.errors import BadInput, MissingData
from rnnbench.seeds import derive

SIZE, SIDE, DIGITS = 64, 28, 2
PROTOCOLS = ("openstl", "shi2015")
NAMES = {"openstl": "moving_mnist", "shi2015": "moving_mnist_shi"}
SPEEDS = {"openstl": (3.6, 3.6), "shi2015": (3.0, 5.0)}  # pixels a frame
CLIPS = {"openstl": (100_000, 1_000, 10_000), "shi2015": (10_000, 2_000, 3_000)}
TEST_SETS = ("auto", "official", "generated")
TRAIN_IMAGES, VAL_IMAGES, TEST_IMAGES = range(55_000), range(55_000, 60_000), range(60_000, 70_000)
SUBSET = 500  # the digits of shi2015, shared by its three splits


class MovingMNIST(SpriteTask):
    """Two MNIST digits move in straight lines through 64x64 pixels; the brighter pixel wins.

    x: B input_steps 1 64 64, y: B output_steps 1 64 64, float32 in [0, 1], drawn on the device.

    protocol `openstl`: 3.6 px/frame, a digit stops at a wall and turns; loss `mse_frames`, main metric `mse_sum`.
    Train shows the first 55,000 images of MNIST-train, val the last 5,000 (OpenSTL trains on all 60,000, draws fresh
    clips for ever and chooses its checkpoint on test; here train is a fixed number of clips). Test (test_set):
    `official`, the 10,000 clips of mnist_test_seq.npy in the cache folder, or `generated` by the same rules from
    MNIST-test; `auto` takes the official file if it is there. The protocol says which, and the two do not compare.

    protocol `shi2015`: speed U[3, 5) px/frame, elastic bounces, 10,000/2,000/3,000 fixed clips of one subset of 500
    digits, which all three splits share, as in the paper; loss and main metric `bce_sequence` (logits). The authors'
    own subset and clips were never published: these are drawn from MNIST-train by data_seed.

    train, val, test: clips; null for the protocol's own (test: the official file has 10,000, of which the first are
    taken). Floors `black`, `last`, `mean`, `mean_input`. Raises BadInput on wrong options, MissingData on missing or
    corrupt files.
    """

    def __init__(
        self,
        protocol: str = "openstl",
        input_steps: int = 10,
        output_steps: int = 10,
        test_set: str = "auto",
        data_seed: int = 0,
        train: int | None = None,
        val: int | None = None,
        test: int | None = None,
    ) -> None:
        one_of("protocol", protocol, PROTOCOLS)
        one_of("test_set", test_set, TEST_SETS)
        counts(input_steps=input_steps, output_steps=output_steps)
        own = CLIPS[protocol]
        train, val, test = (n if asked is None else asked for n, asked in zip(own, (train, val, test), strict=True))
        sizes_and_seed(train, val, test, data_seed)
        self.sizes = {"train": train, "val": val, "test": test}
        self.protocol, self.data_seed, self.test_set = protocol, data_seed, test_set
        self.input_steps, self.output_steps = input_steps, output_steps
        if test_set == "official":
            self._check_official()
        self.bounce = stopped if protocol == "openstl" else reflected
        self.pictures = Pictures(read_pictures)

    @cached_property
    def official(self) -> bool:
        """Whether test is the official file (asked of the disk once, when first needed)."""
        frames, clips = self.input_steps + self.output_steps, self.sizes["test"]
        return file.settled(self.test_set, self.protocol, frames, clips) == "official"

    @cached_property
    def spec(self) -> TaskSpec:  # type: ignore[override]
        """Asks once whether the official test file is there; reads nothing."""
        openstl = self.protocol == "openstl"
        low, high = SPEEDS[self.protocol]
        speed = f"{low:g} px/frame" if low == high else f"U[{low:g},{high:g}) px/frame"
        digits = "MNIST-train 55000/5000" if openstl else f"{SUBSET} shared digits"
        test = ""
        if openstl:
            test = ", official test file" if self.official else ", test generated from MNIST-test"
        loss = "mse_frames" if openstl else "bce_sequence"
        return frame_spec(
            NAMES[self.protocol],
            f"{self.protocol}, {self.input_steps}->{self.output_steps}, {speed}, {digits}{test}, drawing "
            f"{RENDER_VERSION}, {'/'.join(map(str, self.sizes.values()))}, seed {self.data_seed}",
            (1, SIZE, SIZE),
            (self.input_steps, self.output_steps),
            loss=loss,
            metrics=picture_metrics(SIZE, SIZE, loss),
            target=self._target(),
        )

    def _target(self) -> tuple[float, str] | None:
        """The best published value and its source, under exactly the protocol it was published for."""
        if (self.input_steps, self.output_steps, self.sizes["test"]) != (10, 10, CLIPS[self.protocol][2]):
            return None
        if self.protocol == "shi2015":
            return 3670.85, "published: ConvLSTM 3 layers, Shi 2015"
        return (22.06, "published: PredRNN++, OpenSTL") if self.official else None

    def read(self) -> Data:
        """Draw the parameters of every clip; read MNIST, and the official test file where it is used."""
        return Data(**{name: self._split(name, clips) for name, clips in self.sizes.items()})

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x and y in float32, drawn, or taken from the official file's frames."""
        if split.x.dim() == 3:
            return super().batch(split, index)
        return self.cut(split.x[index][:, : self.steps, None].float().div_(255))

    def _split(self, name: str, clips: int) -> Split:
        stamp = self.pictures.stamp(RENDER_VERSION, clips)
        if name == "test" and self.official:
            return Split(read_official()[:clips], stamp)
        seed = derive(self.data_seed, NAMES[self.protocol], name)
        return Split(
            draw_clips(seed, clips, DIGITS, self._images(name), SPEEDS[self.protocol], SIZE - SIDE),
            stamp,
        )

    def _images(self, name: str) -> range | NDArray[np.int64]:
        if self.protocol == "openstl":
            return {"train": TRAIN_IMAGES, "val": VAL_IMAGES, "test": TEST_IMAGES}[name]
        rng = np.random.default_rng(derive(self.data_seed, NAMES[self.protocol], "subset"))
        return np.sort(rng.permutation(TEST_IMAGES.start)[:SUBSET])

    def _check_official(self) -> None:
        if self.protocol != "openstl":
            raise BadInput("dataset.test_set=official needs dataset.protocol=openstl; shi2015 has its own test clips.")
        T, N = file.SHAPE[:2]
        if self.input_steps + self.output_steps > T or self.sizes["test"] > N:
            raise BadInput(f"dataset.test_set=official has {N} clips of {T} frames; ask for no more, or for generated.")


def read_pictures() -> Tensor:
    """MNIST-train (0..59,999), then MNIST-test, 70,000 28 28, uint8; downloaded if missing."""
    parts = [read_idx(fetch(FILES[f"{part}-images-idx3-ubyte.gz"])) for part in ("train", "t10k")]
    return torch.from_numpy(np.concatenate(parts))


def read_official() -> Tensor:
    """The official test clips, N T H W, uint8, mapped from the file. Raises MissingData where it is missing."""
    path = file.official_path()
    if not path.exists():
        raise MissingData(
            f"{path} is missing (800 MB, never downloaded by itself): run "
            f"`curl --create-dirs -fLo {path} {file.URL}`, or use dataset.test_set=generated."
        )
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "md5").hexdigest()
    if found != file.MD5:
        raise MissingData(f"{path} is corrupt (md5 {found[:12]}... instead of {file.MD5[:12]}...): fetch it anew.")
    frames = np.load(path, mmap_mode="c")
    if frames.shape != file.SHAPE:
        raise MissingData(f"{path} has the shape {frames.shape} instead of {file.SHAPE}: fetch it anew.")
    return torch.from_numpy(frames).transpose(0, 1)
