"""MovingMNIST++ (Shi et al. 2017): three digits that also turn, grow, shrink, fade and light up."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rnnbench.datasets.base.checks import one_of, sizes_and_seed
from rnnbench.datasets.base.fetch import RemoteFile, fetch
from rnnbench.datasets.base.pictures import Pictures
from rnnbench.datasets.base.spec import Batch, Data, Split
from rnnbench.datasets.film.task import FrameTask, frame_spec
from rnnbench.datasets.mnist import FILES as MNIST_FILES
from rnnbench.datasets.mnist import read_idx
from rnnbench.seeds import derive

SIZE, SIDE, DIGITS, STEPS = 64, 28, 3, 10
PERIOD = 5  # frames after which shrinking turns into growing, and fading into lighting up
MARGIN = 10.0  # pixels between a wall and the nearest that a digit's centre comes
RENDER_VERSION = 2
IMAGES = {"hko7": range(40_000), "disjoint": range(40_000, 55_000)}  # of MNIST-train, for training clips
VAL_IMAGES = range(55_000, 60_000)

_FILE = "movingmnist_10000_nodistr.npz"
_MIRRORS = (
    f"https://raw.githubusercontent.com/sxjscience/HKO-7/57b987bd893bd6910996494c247359ace371d333/mnist_data/{_FILE}",
    f"https://github.com/sxjscience/HKO-7/raw/57b987bd893bd6910996494c247359ace371d333/mnist_data/{_FILE}",
)
FILE = RemoteFile("movingmnist_pp", _FILE, "4db8878a8e493e29269808dc34eb55c5a7e8f47e1fdbaf465201677e28be0197", _MIRRORS)
# The columns of a clip's parameters: of each digit, then of the clip. Angles of turning in degrees a frame.
DIGIT = ("image", "turn", "speed", "scale", "x", "y", "direction")
COLUMNS = len(DIGIT) * DIGITS + 1  # the last: illumination


class MovingMNISTPP(FrameTask):
    """Ten frames of three MNIST digits, without their empty rows and columns, in 64x64 pixels; the next ten are to be
    predicted.

    x, y: B 10 1 64 64, float32, drawn on the device from a split's x, N 22, float32 (see DIGIT). Each frame a digit
    turns by a constant angle in [-30, 30] degrees and moves up to 3.6 px; its size is divided by a factor in
    [1/1.1, 1.1] for four frames, multiplied for five, and so on; all brightnesses of a clip are multiplied by a factor
    in [0.6, 1] for four frames, divided for five, and so on, so values reach 1/0.6 and are not clipped. A centre that
    would come closer than 10 px to a wall stops there and turns back, from the second frame on. Rules as in the
    authors' code (sxjscience/HKO-7, movingmnist_iterator.py), without the rounding to 1/32 px of the cv2 of that time.

    Test: the authors' 10,000 fixed trajectories, whose digits are MNIST-train's images 0..39,999 (in the official
    order; that of the authors' own copy of MNIST was not checked). images: which images training clips show:
    `disjoint`, 40,000..54,999, or `hko7`, 0..39,999, as the authors train, who so test on digits seen in training.
    Validation shows 55,000..59,999. train, val, test: clips; test takes the first of the file.

    Main metric `mse_pixel`, the authors' own. Floors `black`, `last`, `mean`, `mean_input`. Raises BadInput on wrong
    options, MissingData where a file is corrupt or cannot be fetched.
    """

    def __init__(
        self,
        images: str = "disjoint",
        data_seed: int = 0,
        train: int = 100_000,
        val: int = 1_000,
        test: int = 10_000,
    ) -> None:
        one_of("images", images, IMAGES)
        sizes_and_seed(train, val, test, data_seed)
        self.images, self.data_seed = images, data_seed
        self.sizes = {"train": train, "val": val, "test": test}
        self.pictures = Pictures(cropped_digits)
        self.spec = frame_spec(
            "moving_mnist_pp",
            f"HKO-7 rules and test trajectories, {STEPS}->{STEPS}, {images} training images, drawing "
            f"{RENDER_VERSION}, {train}/{val}/{test}, seed {data_seed}",
            (1, SIZE, SIZE),
            (STEPS, STEPS),
            loss="mse_frames",
            metrics=("mse_pixel", "mse_sum", "mae_sum"),
        )

    def read(self) -> Data:
        """Read MNIST and the test trajectories, downloading what is missing; draw the others' parameters."""
        test = trajectories(dict(np.load(fetch(FILE), allow_pickle=False)))[: self.sizes["test"]]
        numbers = {"train": IMAGES[self.images], "val": VAL_IMAGES}
        parts = [
            draw(derive(self.data_seed, "moving_mnist_pp", name), self.sizes[name], numbers[name])
            for name in ("train", "val")
        ]
        return Data(*(Split(x, self.pictures.stamp(RENDER_VERSION, len(x))) for x in (*parts, test)))

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x and y, float32, 0 .. 1/0.6."""
        return self.cut(render(self.pictures.on(split.x.device), split.x[index], self.steps))


def draw(seed: int, clips: int, numbers: range) -> Tensor:
    """Parameters of clips by the authors' distributions, N COLUMNS, float32; clip i depends on seed and i alone."""
    u = np.random.default_rng(seed).random((clips, COLUMNS))
    v = u[:, :-1].reshape(clips, DIGITS, len(DIGIT))
    low = np.array([numbers.start, -30, 0, 1 / 1.1, 0, 0, 0])
    high = np.array([numbers.stop, 30, 3.6, 1.1, 1, 1, 2 * np.pi])
    v = low + (high - low) * v
    v[..., 0] = np.minimum(np.floor(v[..., 0]), numbers.stop - 1)
    light = 0.6 + 0.4 * u[:, -1:]
    return torch.from_numpy(np.concatenate([v.reshape(clips, -1), light], 1).astype(np.float32))


def trajectories(file: dict[str, NDArray[np.float64]]) -> Tensor:
    """The authors' file of parameters, N COLUMNS, float32."""
    start = file["affine_transforms_multipliers"]
    columns = [file["digit_indices"], file["base_rotation_angle"], file["init_velocity_magnitude"]]
    columns += [file["scale_variation"], start[..., 0], start[..., 1], file["init_velocity_angle"]]
    digits = np.stack(columns, -1).reshape(len(start), -1)
    return torch.from_numpy(np.concatenate([digits, file["appearance_mult"][:, None]], 1).astype(np.float32))


def cropped_digits() -> Tensor:
    """MNIST-train, each image without its empty rows and columns, in the upper left; 60,000 29 28, uint8.

    As the authors' crop_mnist_digit, those within a digit are left out, too: 504 of the first 40,000 images have one.
    The last row holds height and width of what is left in its first two places.
    """
    images = read_idx(fetch(MNIST_FILES["train-images-idx3-ubyte.gz"]))
    rows, columns = (images > 0).any(2), (images > 0).any(1)
    rows_first, columns_first = np.argsort(~rows, 1, kind="stable"), np.argsort(~columns, 1, kind="stable")
    found = np.take_along_axis(images, rows_first[:, :, None], 1)
    found = np.take_along_axis(found, columns_first[:, None, :], 2)
    out = np.zeros((len(images), SIDE + 1, SIDE), np.uint8)
    out[:, :SIDE], out[:, SIDE, 0], out[:, SIDE, 1] = found, rows.sum(1), columns.sum(1)
    return torch.from_numpy(out)


def centres(digits: Tensor, half: Tensor, steps: int) -> Tensor:
    """Where the digits' centres are, B T D 2 (x, y), pixels. digits: B D len(DIGIT); half: B D 2, half their sizes."""
    room = SIZE - 2 * half
    at = digits[..., 4:6] * room + half
    direction = digits[..., 6]
    velocity = digits[..., 2, None] * torch.stack([direction.cos(), direction.sin()], -1)
    path = [at]
    for _ in range(steps - 1):
        at = at + velocity
        velocity = torch.where((at < MARGIN) | (at > SIZE - MARGIN), -velocity, velocity)
        at = at.clamp(MARGIN, SIZE - MARGIN)
        path.append(at)
    return torch.stack(path, 1)


def exponents(steps: int, device: torch.device) -> Tensor:
    """How often the factor of brightness has been multiplied by frame t (the factor of size: divided), T."""
    t = torch.arange(steps, device=device)
    change = torch.where((t // PERIOD) % 2 == 0, 1, -1)
    change[0] = 0
    return change.cumsum(0)


def render(pictures: Tensor, clips: Tensor, steps: int) -> Tensor:
    """Frames with the brightest digit on top, B T 1 64 64, float32. pictures: see cropped_digits; clips: B COLUMNS."""
    B, device = len(clips), clips.device
    digits = clips[:, :-1].view(B, DIGITS, len(DIGIT))
    found = pictures[digits[..., 0].long()]  # B D 29 28
    half = found[:, :, SIDE, :2].flip(-1).float() / 2
    times = exponents(steps, device)
    scale = digits[:, None, :, 3] ** -times[:, None]  # B T D
    angle = torch.deg2rad(digits[:, None, :, 1]) * torch.arange(steps, device=device)[:, None]
    centre = centres(digits, half, steps)
    drawn = turned(found[:, :, :SIDE].float().div(255), half, centre, angle, scale)
    light = clips[:, -1, None] ** times
    return (drawn.amax(1) * light[..., None, None]).unsqueeze(2)


def turned(images: Tensor, half: Tensor, centre: Tensor, angle: Tensor, scale: Tensor) -> Tensor:
    """Every digit alone in every frame, bilinear, black outside its image; B D T 64 64.

    images: B D 28 28; half: B D 2, half its size; centre: B T D 2; angle, scale: B T D, about the centre.
    """
    B, D, T = len(images), images.shape[1], centre.shape[1]
    unit = 2 / (SIDE - 1)  # grid_sample wants -1 and 1 at the centres of the outer pixels
    cos, sin = (angle.cos() / scale * unit).mT, (angle.sin() / scale * unit).mT  # B D T
    x, y = centre.permute(3, 0, 2, 1)
    left, top = half.permute(2, 0, 1)[..., None] * unit - 1
    # A pixel of a frame, turned back and shrunk back about the centre, is a place in the digit's image.
    pixel = torch.arange(SIZE, device=images.device, dtype=images.dtype)
    across, down = pixel - x[..., None], pixel - y[..., None]  # B D T 64
    columns = (cos[..., None] * across + left[..., None])[..., None, :] - (sin[..., None] * down)[..., None]
    rows = (sin[..., None] * across + top[..., None])[..., None, :] + (cos[..., None] * down)[..., None]
    grid = torch.stack([columns, rows], -1).view(B * D, T * SIZE, SIZE, 2)
    drawn = F.grid_sample(images.reshape(B * D, 1, SIDE, SIDE), grid, padding_mode="zeros", align_corners=True)
    return drawn.view(B, D, T, SIZE, SIZE)
