"""The embedded digits: split, views, floors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from rnnbench.datasets import Digits, digits


@pytest.mark.parametrize("file", [digits.FILE, Path("datasets", "data", "moved.csv.gz")], ids=["read", "asked for"])
def test_what_is_read_is_what_scikit_learn_gives(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digits, "FILE", file)
    for found, expected in zip(digits.read_digits.__wrapped__(), load_digits(return_X_y=True), strict=True):
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected)


def test_the_splits_cover_all_digits_once() -> None:
    data = Digits().load()
    assert [split.size for split in data] == [1077, 360, 360]
    images = torch.cat([split.x for split in data]).reshape(-1, 64).mul(16).numpy()
    expected, _ = load_digits(return_X_y=True)
    assert np.array_equal(np.unique(images, axis=0), np.unique(expected, axis=0))
    assert sorted(map(tuple, images.tolist())) == sorted(map(tuple, expected.tolist()))
    for split in data:
        assert split.y.bincount().min() >= split.size // 10 - 3


def test_pixels_are_the_rows_one_by_one() -> None:
    rows, pixels = Digits().load().val, Digits(view="pixels").load().val
    assert rows.x.shape == (360, 8, 8)
    assert pixels.x.shape == (360, 64, 1)
    assert rows.x.dtype == torch.float32
    assert float(rows.x.max()) == 1.0
    assert torch.equal(rows.x.reshape(360, 64, 1), pixels.x)
    assert torch.equal(rows.y, pixels.y)


def test_trivial_predictors_score_the_floors(evaluate) -> None:
    task = Digits()
    data = task.load()
    floors = task.floors(data)
    assert floors["chance"] == 0.1
    most = int(data.train.y.bincount().argmax())
    constant = evaluate(task, data.test, lambda batch: torch.eye(10)[most].expand(len(batch.y), 10))
    assert constant["accuracy"] == pytest.approx(floors["majority"])
    perfect = evaluate(task, data.test, lambda batch: torch.eye(10)[batch.y])
    assert perfect["accuracy"] == task.spec.target
