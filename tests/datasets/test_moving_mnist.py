"""Moving MNIST: both protocols, the official test file, floors on the real digits."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnbench.datasets import MovingMNIST, data_hash, mnist, moving_mnist
from rnnbench.datasets.film import moving_mnist_file
from rnnbench.errors import BadInput, MissingData

SMALL = {"train": 40, "val": 20, "test": 30}


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(">HBB3I", 0, 8, 3, *array.shape) + array.astype(np.uint8).tobytes(), 1)


@pytest.fixture
def digits(store, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """MNIST's image files with 60 + 10 blocks of one grey, 100 + the number of the image; ranges cut to fit."""
    images = np.broadcast_to((100 + np.arange(70, dtype=np.uint8))[:, None, None], (70, 28, 28))
    files = {
        f"{part}-images-idx3-ubyte.gz": store("mnist", f"{part}-images-idx3-ubyte.gz", idx(some))
        for part, some in (("train", images[:60]), ("t10k", images[60:]))
    }
    monkeypatch.setattr(moving_mnist, "FILES", mnist.FILES | files)
    monkeypatch.setattr(moving_mnist, "TRAIN_IMAGES", range(50))
    monkeypatch.setattr(moving_mnist, "VAL_IMAGES", range(50, 60))
    monkeypatch.setattr(moving_mnist, "TEST_IMAGES", range(60, 70))
    monkeypatch.setattr(moving_mnist, "SUBSET", 12)
    return images


@pytest.fixture
def official(cache: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """An official test file of noise, 20 frames of 8 clips."""
    frames = np.random.default_rng(0).integers(0, 256, (20, 8, 64, 64)).astype(np.uint8)
    path = moving_mnist_file.official_path()
    path.parent.mkdir()
    np.save(path, frames)
    monkeypatch.setattr(moving_mnist_file, "MD5", hashlib.md5(path.read_bytes()).hexdigest())
    monkeypatch.setattr(moving_mnist_file, "SHAPE", frames.shape)
    return frames


def shown(task: MovingMNIST) -> list[set[int]]:
    """The greys that each split shows."""
    greys = []
    for split in task.load():
        batch = task.batch(split, torch.arange(split.size))
        frames = torch.cat([batch.x, batch.y], 1).mul(255).round().long()
        greys.append(set(frames.unique().tolist()) - {0})
    return greys


def test_openstl_shows_different_digits_in_each_split(digits: np.ndarray) -> None:
    train, val, test = shown(MovingMNIST(**SMALL))
    assert train <= set(range(100, 150))
    assert val <= set(range(150, 160))
    assert test <= set(range(160, 170))


def test_shi_shares_a_subset(digits: np.ndarray) -> None:
    task = MovingMNIST("shi2015", **SMALL)
    train, val, test = shown(task)
    assert len(train | val | test) <= 12
    assert max(train | val | test) < 160, "the subset is of MNIST-train"
    assert val <= train
    assert task.spec.name == "moving_mnist_shi"
    assert task.spec.loss == task.spec.metric == "bce_sequence"
    assert task.spec.protocol.startswith("shi2015, 10->10, U[3,5) px/frame, 12 shared digits")
    other = MovingMNIST("shi2015", data_seed=1, **SMALL)
    assert set.union(*shown(other)) != train | val | test


def test_openstl_moves_by_its_rules(digits: np.ndarray) -> None:
    """One clip walked as OpenSTL's code walks: step, then stop and turn at the wall, then cut to a pixel."""
    task = MovingMNIST(**SMALL)
    split = task.load().train
    frames = task.clips(split.x)
    assert frames.shape == (40, 20, 1, 64, 64)
    for clip, parameters in zip(frames[:, :, 0].numpy(), split.x.tolist(), strict=True):
        canvas = np.zeros((20, 64, 64), np.uint8)
        for number, *rest in parameters:
            y, x, vy, vx = (v / 65536 / 36 for v in rest)
            assert np.hypot(vy, vx) == pytest.approx(0.1, abs=1e-6)
            for t in range(20):
                y, x = y + vy, x + vx
                vy, y = (-vy, min(max(y, 0.0), 1.0)) if y <= 0 or y >= 1 else (vy, y)
                vx, x = (-vx, min(max(x, 0.0), 1.0)) if x <= 0 or x >= 1 else (vx, x)
                top, left = int(36 * y + 1e-9), int(36 * x + 1e-9)
                part = canvas[t, top : top + 28, left : left + 28]
                np.maximum(part, digits[number], out=part)
        assert np.array_equal(clip, canvas)


def test_the_official_file_is_test_where_it_is(digits: np.ndarray, official: np.ndarray) -> None:
    task = MovingMNIST(**SMALL | {"test": 8})
    assert "official test file" in task.spec.protocol
    data = task.load()
    batch = task.batch(data.test, torch.tensor([5, 2]))
    expected = torch.from_numpy(official[:, [5, 2]]).transpose(0, 1)[:, :, None].float() / 255
    assert torch.equal(torch.cat([batch.x, batch.y], 1), expected)
    assert data.test.size == 8
    assert task.spec.target is None, "fewer clips than the protocol's test"
    short = MovingMNIST(input_steps=3, output_steps=2, **SMALL | {"test": 8})
    batch = short.batch(short.load().test, torch.arange(2))
    assert (batch.x.shape[1], batch.y.shape[1]) == (3, 2)
    generated = MovingMNIST(test_set="generated", **SMALL | {"test": 8})
    assert "test generated from MNIST-test" in generated.spec.protocol
    assert data_hash(generated.load()) != data_hash(data)
    assert task.floors(data)["black"] == pytest.approx(
        float((official[10:].astype(float) / 255).__pow__(2).sum((2, 3)).mean())
    )
    # what the file cannot give is generated under auto, refused under official
    assert "generated" in MovingMNIST(output_steps=11, **SMALL | {"test": 8}).spec.protocol
    assert "generated" in MovingMNIST(**SMALL | {"test": 9}).spec.protocol


def test_a_missing_or_corrupt_official_file_is_one_sentence(digits: np.ndarray, cache: Path) -> None:
    task = MovingMNIST(test_set="official", **SMALL)
    assert "official" in task.spec.protocol
    with pytest.raises(MissingData, match=r"mnist_test_seq.npy is missing .*`curl --create-dirs -fLo .*test_set=gen"):
        task.load()
    path = moving_mnist_file.official_path()
    path.parent.mkdir()
    path.write_bytes(b"nonsense")
    with pytest.raises(MissingData, match="is corrupt"):
        MovingMNIST(**SMALL).load()


def test_targets_are_published_ones_under_the_same_protocol(digits: np.ndarray, official: np.ndarray) -> None:
    assert MovingMNIST("shi2015").spec.target == 3670.85
    assert MovingMNIST("shi2015", test=100).spec.target is None
    assert MovingMNIST(test_set="generated").spec.target is None
    assert MovingMNIST(test_set="official", test=8).spec.target is None


def test_the_whole_official_set_has_openstls_target(cache: Path) -> None:
    task = MovingMNIST(test_set="official")
    assert task.spec.target == 22.06
    assert task.spec.target_source == "published: PredRNN++, OpenSTL"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"protocol": "srivastava"}, "dataset.protocol must be one of openstl, shi2015"),
        ({"test_set": "best"}, "dataset.test_set must be one of auto, official, generated"),
        ({"protocol": "shi2015", "test_set": "official"}, "needs dataset.protocol=openstl"),
        ({"test_set": "official", "output_steps": 30}, "has 10000 clips of 20 frames"),
        ({"test": 0}, "dataset.test must be a whole number of at least 1"),
        ({"input_steps": 0}, "dataset.input_steps"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        MovingMNIST(**options)
    assert sentence in str(caught.value)


@pytest.mark.integration
@pytest.mark.data
def test_floors_on_the_real_digits(need) -> None:
    """Near the floors known for OpenSTL's rules (600 clips): 165.8/193.3/.788, 274.0/325.5/.675, 146.4/333.0/.345."""
    need(*(file for name, file in mnist.FILES.items() if "images" in name))
    task = MovingMNIST(test_set="generated", test=400)
    data = task.load()
    table = task.floor_table(data.test, ("mse_sum", "mae_sum", "ssim_openstl", "psnr_frame"))
    expected = {"black": (165.8, 193.3, 0.788), "last": (274.0, 325.5, 0.675), "mean": (146.4, 333.0, 0.345)}
    for name, (mse, mae, ssim) in expected.items():
        assert table[name]["mse_sum"] == pytest.approx(mse, rel=0.07)
        assert table[name]["mae_sum"] == pytest.approx(mae, rel=0.07)
        assert table[name]["ssim_openstl"] == pytest.approx(ssim, abs=0.03)
    assert table["black"]["psnr_frame"] == pytest.approx(14.15, abs=0.5)


@pytest.mark.data
def test_the_real_data_is_pinned(need) -> None:
    need(*(file for name, file in mnist.FILES.items() if "images" in name))
    assert data_hash(MovingMNIST(test_set="generated", **SMALL).load()) == "52445b696e3e073e"
    assert data_hash(MovingMNIST("shi2015", **SMALL).load()) == "7af3b31bc5ace248"
