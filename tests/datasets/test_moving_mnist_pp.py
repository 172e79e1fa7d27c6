"""MovingMNIST++: the authors' rules walked literally, cropping, the fixed test trajectories."""

from __future__ import annotations

import gzip
import io
import math
import struct

import numpy as np
import pytest
import torch

from rnnbench.datasets import MovingMNISTPP, data_hash, mnist, moving_mnist_pp
from rnnbench.datasets.moving_mnist_pp import COLUMNS, cropped_digits, draw, exponents
from rnnbench.errors import BadInput, MissingData

SMALL = {"train": 12, "val": 8, "test": 6}


def trajectories(n: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "digit_indices": rng.integers(0, 20, (n, 3)),
        "base_rotation_angle": rng.uniform(-30, 30, (n, 3)),
        "init_velocity_magnitude": rng.uniform(0, 3.6, (n, 3)),
        "scale_variation": rng.uniform(1 / 1.1, 1.1, (n, 3)),
        "affine_transforms_multipliers": rng.random((n, 3, 2)),
        "init_velocity_angle": rng.random((n, 3)) * 2 * np.pi,
        "appearance_mult": rng.uniform(0.6, 1, n),
        "distractor_seeds": np.zeros((n, 20, 0, 5)),
    }


@pytest.fixture
def digits(store, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """60 images of blobs of different sizes, some with empty rows and columns within, and 6 trajectories, in the files'
    own formats."""
    rng = np.random.default_rng(0)
    images = np.zeros((60, 28, 28), np.uint8)
    for image in images:
        top, left, height, width = *rng.integers(0, 8, 2), *rng.integers(9, 21, 2)
        image[top : top + height, left : left + width] = rng.integers(1, 256, (height, width))
    for image in images[::2]:
        image[rng.integers(0, 28, 3)] = 0
        image[:, rng.integers(0, 28, 3)] = 0
    content = gzip.compress(struct.pack(">HBB3I", 0, 8, 3, *images.shape) + images.tobytes(), 1)
    name = "train-images-idx3-ubyte.gz"
    monkeypatch.setattr(moving_mnist_pp, "MNIST_FILES", {name: store("mnist", name, content)})
    buffer = io.BytesIO()
    np.savez(buffer, **trajectories(6))
    monkeypatch.setattr(moving_mnist_pp, "FILE", store("movingmnist_pp", "t.npz", buffer.getvalue()))
    monkeypatch.setattr(moving_mnist_pp, "IMAGES", {"hko7": range(20), "disjoint": range(20, 40)})
    monkeypatch.setattr(moving_mnist_pp, "VAL_IMAGES", range(40, 60))
    return images


def cropped(image: np.ndarray) -> np.ndarray:
    """The authors' crop_mnist_digit: a row or column stays where a pixel is above 5/255, of values 0 to 255."""
    mask = image > 5 / 255
    return image[np.ix_(mask.any(1), mask.any(0))]


def with_gaps(images: np.ndarray) -> np.ndarray:
    """Which images have an empty row or column within the digit."""
    found = np.zeros(len(images), bool)
    for seen in ((images > 0).any(2), (images > 0).any(1)):
        begins, ends = seen.argmax(1), seen.shape[1] - seen[:, ::-1].argmax(1)
        found |= seen.sum(1) < ends - begins
    return found


def literal(images: np.ndarray, file: dict[str, np.ndarray], n: int) -> np.ndarray:
    """Clip n of a file, frame by frame, pixel by pixel: 20 64 64."""
    frames = np.zeros((20, 64, 64))
    for d in range(3):
        digit = cropped(images[file["digit_indices"][n, d]]) / 255
        size = np.array(digit.shape[::-1])  # x, y
        centre = file["affine_transforms_multipliers"][n, d] * (64 - size) + size / 2
        direction = file["init_velocity_angle"][n, d]
        velocity = file["init_velocity_magnitude"][n, d] * np.array([math.cos(direction), math.sin(direction)])
        light, scale, angle = 1.0, 1.0, 0.0
        for t in range(20):
            if t > 0:
                up = (t // 5) % 2 == 1
                light *= file["appearance_mult"][n] ** (-1 if up else 1)
                scale *= file["scale_variation"][n, d] ** (1 if up else -1)
                angle += math.radians(file["base_rotation_angle"][n, d])
                centre = centre + velocity
                for axis in range(2):
                    if centre[axis] < 10 or centre[axis] > 54:
                        velocity[axis] *= -1
                        centre[axis] = min(max(centre[axis], 10), 54)
            cos, sin = math.cos(angle), math.sin(angle)
            for y in range(64):
                for x in range(64):
                    dx, dy = x - centre[0], y - centre[1]
                    u = (cos * dx - sin * dy) / scale + size[0] / 2
                    v = (sin * dx + cos * dy) / scale + size[1] / 2
                    left, top = math.floor(u), math.floor(v)
                    value = 0.0
                    for i, wi in ((top, 1 - (v - top)), (top + 1, v - top)):
                        for j, wj in ((left, 1 - (u - left)), (left + 1, u - left)):
                            if 0 <= i < size[1] and 0 <= j < size[0]:
                                value += wi * wj * digit[i, j]
                    frames[t, y, x] = max(frames[t, y, x], value * light)
    return frames


@pytest.mark.integration
def test_the_test_clips_literally(digits: np.ndarray) -> None:
    task = MovingMNISTPP(**SMALL)
    batch = task.batch(task.load().test, torch.arange(6))
    assert batch.x.shape == batch.y.shape == (6, 10, 1, 64, 64)
    assert batch.x.dtype == torch.float32
    file = trajectories(6)
    for n in (0, 4):
        clip = torch.cat([batch.x[n], batch.y[n]])[:, 0].numpy()
        assert abs(clip - literal(digits, file, n)).max() < 2e-4
    assert 1 < float(torch.cat([batch.x, batch.y]).max()) < 1 / 0.6 + 1e-4


def test_crops_literally(digits: np.ndarray) -> None:
    pictures = cropped_digits().numpy()
    assert pictures.shape == (60, 29, 28)
    for picture, image in zip(pictures, digits, strict=True):
        cut = cropped(image)
        height, width = cut.shape
        assert picture[28, :2].tolist() == [height, width]
        assert np.array_equal(picture[:height, :width], cut)
        assert picture[:28].sum() == cut.sum()


def test_empty_rows_and_columns_within_a_digit_are_cropped(digits: np.ndarray) -> None:
    pictures = cropped_digits().numpy()
    gaps = with_gaps(digits)
    assert 10 < gaps.sum() < 40, "the fixture has both kinds"
    for picture in pictures:
        height, width = picture[28, :2]
        assert (picture[:height] > 0).any(1).all()
        assert (picture[:28, :width] > 0).any(0).all()


def test_brightness_falls_four_frames_and_rises_five() -> None:
    assert exponents(20, torch.device("cpu")).tolist() == [
        0, 1, 2, 3, 4, 3, 2, 1, 0, -1, 0, 1, 2, 3, 4, 3, 2, 1, 0, -1,
    ]  # fmt: skip


def test_training_clips_follow_the_distributions() -> None:
    clips = draw(0, 4000, range(40_000, 55_000)).double()
    assert clips.shape == (4000, COLUMNS)
    image, turn, speed, scale, x, y, direction = clips[:, :-1].reshape(-1, 7).T
    for values, low, high in (
        (image, 40_000, 54_999),
        (turn, -30, 30),
        (speed, 0, 3.6),
        (scale, 1 / 1.1, 1.1),
        (x, 0, 1),
        (y, 0, 1),
        (direction, 0, 2 * math.pi),
        (clips[:, -1], 0.6, 1),
    ):
        assert float(values.min()) >= low - 1e-6
        assert float(values.max()) <= high + 1e-6
        assert float(values.mean()) == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    assert torch.equal(draw(0, 5, range(40_000, 55_000)).double(), clips[:5])


def test_each_split_shows_its_own_images(digits: np.ndarray) -> None:
    shown = [set(split.x[:, :-1].reshape(-1, 7)[:, 0].tolist()) for split in MovingMNISTPP(**SMALL).load()]
    assert shown[0] <= set(range(20, 40))
    assert shown[1] <= set(range(40, 60))
    assert shown[2] <= set(range(20))
    theirs = MovingMNISTPP(images="hko7", **SMALL).load()
    assert set(theirs.train.x[:, :-1].reshape(-1, 7)[:, 0].tolist()) <= set(range(20))


def test_batches_do_not_depend_on_their_company(digits: np.ndarray) -> None:
    task = MovingMNISTPP(**SMALL)
    split = task.load().train
    whole = task.batch(split, torch.arange(12))
    for index in torch.tensor([5, 0, 11, 3, 8, 1, 9, 2, 10, 4, 7, 6]).split(5):
        batch = task.batch(split, index)
        assert torch.equal(batch.x, whole.x[index])
        assert torch.equal(batch.y, whole.y[index])


def test_floors_and_hashes(digits: np.ndarray) -> None:
    task = MovingMNISTPP(**SMALL)
    data = task.load()
    floors = task.floors(data)
    assert list(floors) == ["black", "last", "mean", "mean_input"]
    y = task.batch(data.test, torch.arange(6)).y.double()
    assert floors["black"] == pytest.approx(float(y.square().mean()))
    assert data_hash(data) == data_hash(MovingMNISTPP(**SMALL).load())
    assert data_hash(data) != data_hash(MovingMNISTPP(data_seed=1, **SMALL).load())


def test_wrong_options_and_missing_files(cache, offline: None) -> None:
    with pytest.raises(BadInput, match=r"dataset.images must be one of hko7, disjoint; got 'all'"):
        MovingMNISTPP(images="all")
    with pytest.raises(BadInput, match=r"dataset.val must be a whole number"):
        MovingMNISTPP(val=0)
    with pytest.raises(MissingData, match=r"nodistr.npz is missing and could not be downloaded"):
        MovingMNISTPP().load()


@pytest.mark.integration
@pytest.mark.data
def test_the_real_files(need) -> None:
    need(moving_mnist_pp.FILE, mnist.FILES["train-images-idx3-ubyte.gz"])
    task = MovingMNISTPP()
    data = task.load()
    assert [split.size for split in data] == [100_000, 1_000, 10_000]
    assert data_hash(data) == "4c9e68338b1ce9eb"
    images = mnist.read_idx(mnist.FILES["train-images-idx3-ubyte.gz"].path)
    file = dict(np.load(moving_mnist_pp.FILE.path))
    shown = np.flatnonzero(with_gaps(images)[file["digit_indices"]].any(1))
    assert len(shown) == 366
    for n in (9_999, shown[0]):
        batch = task.batch(data.test, torch.tensor([n]))
        clip = torch.cat([batch.x[0], batch.y[0]])[:, 0].numpy()
        assert abs(clip - literal(images, file, n)).max() < 2e-4
