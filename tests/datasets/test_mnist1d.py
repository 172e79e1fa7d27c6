"""MNIST-1D: the arrays are the published ones, the split is a split, and a linear classifier finds little in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression

from rnnbench.datasets import MNIST1D
from rnnbench.datasets.mnist1d import generate, smoothed, templates

# Of the arrays that mnist1d 0.0.2.post1 (PyPI) makes, training before test, in little-endian float32 and int64.
X_SHA256 = "0b2b548d14a498bf71ce4d5e7df61d47851b3e5dd7e7f581a1011383cb03467c"
Y_SHA256 = "6feec4a017698c7fe237c8854cbd2e338c6dd5c16240f6fa79daefaaa129e169"


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    return generate()


@pytest.fixture(scope="module")
def data():
    return MNIST1D().load()


def test_the_arrays_are_the_published_ones(arrays) -> None:
    x, y = arrays
    assert (x.shape, y.shape) == ((5000, 40), (5000,))
    assert hashlib.sha256(x.astype("<f4").tobytes()).hexdigest() == X_SHA256
    assert hashlib.sha256(y.astype("<i8").tobytes()).hexdigest() == Y_SHA256
    assert np.array_equal(x[0, :3], np.float32([-0.33200567, -0.47191037, -0.77869708]))
    assert np.bincount(y).tolist() == [500] * 10


def test_the_official_test_set_is_test_and_the_rest_is_split_once(arrays, data) -> None:
    x, y = (torch.from_numpy(array) for array in arrays)
    assert [split.size for split in data] == [3500, 500, 1000]
    assert torch.equal(data.test.x, x[4000:, :, None])
    assert torch.equal(data.test.y, y[4000:])
    both = torch.cat([data.train.x, data.val.x]).squeeze(-1)
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, x[:4000].tolist()))
    shares = y[:4000].bincount() * 500 / 4000
    assert (data.val.y.bincount() - shares).abs().max() <= 1
    other = MNIST1D(data_seed=1).load()
    assert not torch.equal(other.val.x, data.val.x)
    assert torch.equal(other.test.x, data.test.x)


@pytest.fixture(scope="module")
def floors(data) -> Mapping[str, float]:
    return MNIST1D().floors(data)


def test_floors(data, floors, evaluate) -> None:
    task = MNIST1D()
    assert floors["chance"] == 0.1
    most = int(data.train.y.bincount().argmax())
    constant = evaluate(task, data.test, lambda batch: torch.eye(10)[most].expand(len(batch.y), 10))
    assert constant["accuracy"] == pytest.approx(floors["majority"])
    assert floors["majority"] == pytest.approx(0.089), "as published: the most frequent digit of the 4,000"


def test_the_linear_reference_is_nearly_blind(data, floors) -> None:
    """32% in the paper, of all 4,000."""
    spec = MNIST1D().spec
    x, y = data.train.x.squeeze(-1).numpy(), data.train.y.numpy()
    model = LogisticRegression(max_iter=1000).fit(x, y)
    expected = model.score(data.test.x.squeeze(-1).numpy(), data.test.y.numpy())
    assert floors["linear"] == pytest.approx(expected, abs=0.005)
    assert expected == pytest.approx(0.32, abs=0.02)
    assert (spec.reference, spec.floor) == ("linear", "chance")


def test_curves_are_of_equal_spread_and_begin_at_nothing() -> None:
    curves = templates()
    assert curves.shape == (10, 12)
    assert np.array_equal(curves[:, 0], np.zeros(10))
    assert curves.std(1) == pytest.approx(np.full(10, 1 / 6))


def test_noise_is_smoothed_as_scipy_does_it() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 72))
    assert smoothed(rows) == pytest.approx(gaussian_filter(rows, (0, 2)), abs=1e-14)
