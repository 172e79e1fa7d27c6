"""What is kept of a pass over test: counted and chosen as numpy counts and chooses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnbench.datasets import Adding, AnBn, CopyMemory, Digits
from rnnbench.datasets.base import shown
from rnnbench.datasets.base.shown import ClassesShown, LinesShown, StepsShown, ValuesShown, spread
from rnnbench.datasets.base.spec import Batch, Split


def passed(watch, x, y, predictions, lengths=None, size=7):
    """Tell a watch of everything, so many items at once."""
    for index in torch.arange(len(x)).split(size):
        batch = Batch(x[index], y[index], None if lengths is None else lengths[index])
        watch.see(index, batch, predictions[index])
    return watch.samples("abc", None)


def test_places_are_spread_evenly():
    assert spread(10, 4).tolist() == [0, 2, 5, 7]
    assert spread(3, 8).tolist() == [0, 1, 2]


@pytest.mark.parametrize("size", [1, 7, 60])
def test_classes_are_counted_and_the_worst_are_found_whatever_the_batches(size):
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(60, 4)).astype(np.float32)
    logits[20] = logits[10]  # two items that are equally wrong
    y = rng.integers(4, size=60)
    y[20] = y[10]
    y[5] = -100
    found = passed(ClassesShown("abcd"), torch.zeros(60, 1), torch.from_numpy(y), torch.from_numpy(logits), size=size)
    counts = np.zeros((4, 4), int)
    for true, row in zip(y, logits, strict=True):
        if true >= 0:
            counts[true, row.argmax()] += 1
    assert found.counts.tolist() == counts.tolist()
    shares = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum(1, keepdims=True)
    probability = np.array([shares[n, true] if true >= 0 else 2.0 for n, true in enumerate(y)])
    worst = np.argsort(probability, kind="stable")[:16]
    assert found.item.tolist() == worst.tolist()
    assert found.step.tolist() == [-1] * 16
    assert found.true.tolist() == y[worst].tolist()
    assert found.predicted.tolist() == logits[worst].argmax(1).tolist()
    assert found.probability == pytest.approx(probability[worst], rel=1e-5)
    found.check()


def test_classes_of_steps_count_valid_steps_only():
    y = torch.tensor([[0, 1, 1], [1, 0, 0]])
    logits = torch.nn.functional.one_hot(torch.tensor([[0, 0, 1], [1, 1, 1]]), 2).float() * 5
    found = passed(ClassesShown("ab"), torch.zeros(2, 3), y, logits, lengths=torch.tensor([3, 2]))
    assert found.counts.tolist() == [[1, 1], [1, 2]]
    assert sorted(zip(found.item[:2].tolist(), found.step[:2].tolist(), strict=True)) == [(0, 1), (1, 1)]
    assert ClassesShown("ab").samples("abc", None) is None


def test_values_are_those_of_spread_items(monkeypatch):
    monkeypatch.setattr(shown, "MOST_POINTS", 4)
    y = torch.arange(10.0)[:, None]
    watch = ValuesShown(("y",), Split(y, y), raw=lambda values: values * 2 + 1)
    found = passed(watch, y, y, -y, size=3)
    assert found.items.tolist() == [0, 2, 5, 7]
    assert found.truth.ravel().tolist() == [1, 5, 11, 15]
    assert found.prediction.ravel().tolist() == [1, -3, -9, -13]
    found.check()


def test_steps_and_lines_end_where_their_items_end():
    y = torch.tensor([[[1.0], [0.0]], [[1.0], [1.0]]])
    lengths = torch.tensor([2, 1])
    split = Split(torch.zeros(2, 2, 1), y, lengths)
    found = passed(StepsShown(("a",), split), split.x, y, torch.full((2, 2, 1), 0.0), lengths)
    assert (found.lengths.tolist(), found.truth.tolist()) == ([2, 1], [[[255], [0]], [[255], [0]]])
    assert found.prediction.tolist() == [[[128], [128]], [[128], [0]]]
    found.check()
    found = passed(LinesShown(("a",), split), split.x, y, y * 3, lengths)
    assert np.array_equal(found.prediction[..., 0], [[3, 0], [3, np.nan]], equal_nan=True)
    assert found.series == ("test item 0", "test item 1")
    found.check()


def test_a_spec_says_how_its_task_is_shown():
    tiny = {"train": 4, "val": 2, "test": 3}
    for task, kind in ((Digits(), ClassesShown), (Adding(T=4, **tiny), ValuesShown), (AnBn(2, 3, 4), StepsShown),
                       (CopyMemory(T=2, **tiny), ClassesShown)):  # fmt: skip
        assert type(task.shown(task.load().test)) is kind
    assert AnBn(2, 3, 4).shown(AnBn(2, 3, 4).load().test).names == ("a", "b", ".")
