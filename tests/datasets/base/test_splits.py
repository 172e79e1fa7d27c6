"""Stratified, disjoint, exact and fixed; and the two trivial classifiers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.splits import class_floors, stratified


def test_parts_are_disjoint_exact_and_in_proportion() -> None:
    labels = np.random.default_rng(0).choice(4, p=[0.1, 0.2, 0.3, 0.4], size=1000)
    sizes = (700, 100, 150)
    parts = stratified(labels, sizes, seed=1)
    assert tuple(map(len, parts)) == sizes
    assert len(np.unique(np.concatenate(parts))) == sum(sizes)
    for part in parts:
        expected = np.bincount(labels) / len(labels) * len(part)
        assert np.abs(np.bincount(labels[part], minlength=4) - expected).max() <= 2


def test_the_seed_fixes_the_split() -> None:
    labels = np.arange(100) % 5
    first, again, other = (stratified(labels, (60, 40), seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_too_large_parts_are_an_error() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        stratified(np.zeros(3, np.int64), (2, 2), seed=0)


def test_majority_is_learnt_on_train() -> None:
    floors = class_floors(4, torch.tensor([3, 3, 1]), torch.tensor([1, 1, 3, 0]))
    assert floors == {"chance": 0.25, "majority": 0.25}


def test_unknown_classes_are_no_part_of_the_floors() -> None:
    train, test = torch.tensor([3, 3, 1]), torch.tensor([1, 1, 3, 0])
    unknown = torch.full((5,), IGNORED)
    assert class_floors(4, torch.cat([unknown, train]), torch.cat([test, unknown])) == class_floors(4, train, test)
