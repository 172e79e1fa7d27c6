"""MNIST: permutations, IDX files, views; the real files where RNNBENCH_DATA has them."""

from __future__ import annotations

import gzip
import re
import struct
import tracemalloc

import numpy as np
import pytest
import torch

from rnnbench.datasets import MNIST, data_hash, mnist
from rnnbench.errors import BadInput, MissingData


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0)  # else its id differs between workers


@pytest.fixture
def tiny(store, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Files in MNIST's format: 60 training and 20 test images of noise."""
    rng = np.random.default_rng(0)
    arrays = {
        "train-images-idx3-ubyte.gz": rng.integers(256, size=(60, 28, 28)),
        "train-labels-idx1-ubyte.gz": np.arange(60) % 10,
        "t10k-images-idx3-ubyte.gz": rng.integers(256, size=(20, 28, 28)),
        "t10k-labels-idx1-ubyte.gz": np.arange(20) % 10,
    }
    files = {name: store("mnist", name, idx(array)) for name, array in arrays.items()}
    monkeypatch.setattr(mnist, "FILES", files)
    monkeypatch.setattr(mnist, "TRAIN", 50)
    monkeypatch.setattr(mnist, "VAL", 10)
    return arrays


@pytest.mark.parametrize("name", mnist.PERMUTATIONS)
def test_permutations_are_the_pinned_ones(name: str) -> None:
    order = mnist.permutation(name)
    assert sorted(order.tolist()) == list(range(784))
    assert mnist.permutation_hash(order) == mnist.PERMUTATIONS[name][1]


@pytest.mark.parametrize(("name", "seed"), [("lem_5544", 5544), ("cornn_12008", 12008)])
def test_the_papers_recipe_and_the_published_algorithm_agree(name: str, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        assert mnist.permutation(name).tolist() == torch.randperm(784).tolist()
    # Fisher-Yates on the Mersenne Twister, as torch has had it since before these papers
    twister, order = np.random.RandomState(seed), list(range(784))
    for i in range(783):
        j = i + int(twister.randint(0, 2**32, dtype=np.uint32)) % (784 - i)
        order[i], order[j] = order[j], order[i]
    assert mnist.permutation(name).tolist() == order


def test_bit_reversal_literally() -> None:
    reverse = [int(f"{number:010b}"[::-1], 2) for number in range(1024)]
    assert mnist.permutation("bit_reversal").tolist() == [number for number in reverse if number < 784]


def test_making_a_permutation_leaves_the_global_random_numbers_alone() -> None:
    before = torch.get_rng_state()
    mnist.permutation("lem_5544")
    assert torch.equal(before, torch.get_rng_state())


def test_a_changed_permutation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(mnist.PERMUTATIONS, "lem_5544", (lambda: np.arange(784), "0" * 64))
    with pytest.raises(BadInput, match="lem_5544 differs from the one that defines this dataset"):
        mnist.permutation("lem_5544")


IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (idx(IMAGES)[:-9], "damaged"),
        (gzip.compress(gzip.decompress(idx(IMAGES))[:-1], mtime=0), r"announces 60 bytes, and 59 are there, or more"),
        (gzip.compress(gzip.decompress(idx(IMAGES)) + b"1", mtime=0), r"announces 60 bytes, and 61 are there, or more"),
        (
            gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 10**9, 10**9, 10), mtime=0),
            r"announces 10,000,000,000,000,000,000 byt",
        ),
        (gzip.compress(struct.pack(">HBB", 0, 8, 200), mtime=0), "damaged"),
        (gzip.compress(b"", mtime=0), "damaged"),
        (b"nonsense", "damaged"),
    ],
)
def test_an_idx_file_that_does_not_hold_what_it_announces(tmp_path, content: bytes, sentence: str) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(MissingData, match=r"images.gz is damaged .* delete the file and run again") as caught:
        mnist.read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    assert re.search(sentence, str(caught.value))
    path.write_bytes(idx(IMAGES))
    assert np.array_equal(mnist.read_idx(path), IMAGES)


def test_views_show_the_same_pixels(tiny: dict[str, np.ndarray]) -> None:
    index = torch.arange(20)
    rows, pixels = MNIST(), MNIST(view="pixels")
    permuted = MNIST(view="permuted", permutation="randomstate_92916")
    data = rows.load()
    assert [split.size for split in data] == [50, 10, 20]
    assert data.train.x.dtype == torch.uint8
    x = rows.batch(data.test, index).x
    assert x.shape == (20, 28, 28)
    assert torch.equal(x, torch.from_numpy(tiny["t10k-images-idx3-ubyte.gz"]).float() / 255)
    flat = pixels.batch(pixels.load().test, index)
    assert torch.equal(flat.x, x.reshape(20, 784, 1))
    shuffled = permuted.batch(permuted.load().test, index)
    assert torch.equal(shuffled.x, flat.x[:, mnist.permutation("randomstate_92916")])
    assert shuffled.y.tolist() == [n % 10 for n in range(20)]
    assert data_hash(rows.load()) == data_hash(data)


def test_train_and_val_partition_the_official_training_set(tiny: dict[str, np.ndarray]) -> None:
    data = MNIST().load()
    both = torch.cat([data.train.x, data.val.x]).reshape(60, -1).numpy()
    expected = tiny["train-images-idx3-ubyte.gz"].reshape(60, -1)
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, expected.tolist()))
    assert data.val.y.sort().values.tolist() == list(range(10))


def test_a_corrupt_file_is_named(tiny: dict[str, np.ndarray]) -> None:
    path = mnist.FILES["t10k-labels-idx1-ubyte.gz"].path
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(MissingData, match=r"t10k-labels-idx1-ubyte.gz is corrupt .* delete the file"):
        MNIST().load()


@pytest.mark.data
def test_the_real_files(need, evaluate) -> None:
    need(*mnist.FILES.values())
    task = MNIST(view="permuted", permutation="bit_reversal")
    data = task.load()
    assert [split.size for split in data] == [55_000, 5_000, 10_000]
    assert data.test.y.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert task.floors(data) == {"chance": 0.1, "majority": pytest.approx(0.1135)}
    assert (data.val.y.bincount() / 5000 - data.train.y.bincount() / 55_000).abs().max() < 5e-4
    ones = evaluate(task, data.test, lambda batch: torch.eye(10)[1].expand(len(batch.y), 10), 1000)
    assert ones["accuracy"] == pytest.approx(0.1135)
    assert data_hash(data) == "b4d17dc839e2bf15"
