"""Metrics by class and of numbers against literal loops and scikit-learn, over batches, IGNORED and padding."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, mean_absolute_error, r2_score

from rnnbench.datasets import Digits
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.metrics import TaskMetrics
from rnnbench.datasets.base.spec import Batch, TaskSpec

CLASSES = ("accuracy", "macro_f1", "balanced_accuracy", "min_recall")


def spec(**changes: object) -> TaskSpec:
    return dataclasses.replace(Digits().spec, **changes)


def over(
    made: TaskMetrics, prediction: torch.Tensor, y: torch.Tensor, size: int, **rest: torch.Tensor
) -> dict[str, float]:
    made.reset()
    for index in torch.arange(len(y)).split(size):
        some = {name: values[index] for name, values in rest.items()}
        made.update(prediction[index], Batch(torch.zeros(len(index), 1, 1), y[index], **some))
    return made.compute()


@pytest.mark.parametrize("size", [1, 7, 60])
def test_metrics_by_class_equal_scikit_learns(size):
    """Of five classes one does not occur, and one of those that do is never predicted."""
    generator = torch.Generator().manual_seed(size)
    y = torch.randint(4, (60,), generator=generator)
    logits = torch.randn(60, 5, generator=generator) + 1.5 * torch.nn.functional.one_hot(y, 5)
    logits[:, 3] = -9.0
    logits[:9, 4] = 20.0
    y[::10] = IGNORED
    known = (y != IGNORED).numpy()
    found = over(TaskMetrics(spec(output_size=5, metrics=CLASSES), cross), logits, y, size)
    truth, said = y.numpy()[known], logits.argmax(1).numpy()[known]
    recalls = [float((said[truth == k] == k).mean()) for k in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a class that was predicted and does not occur
        wanted = balanced_accuracy_score(truth, said)
    assert found["accuracy"] == pytest.approx((truth == said).mean())
    assert found["macro_f1"] == pytest.approx(f1_score(truth, said, average="macro", zero_division=0), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(wanted, abs=1e-12)
    assert found["min_recall"] == min(recalls) == 0.0


def cross(prediction: torch.Tensor, batch: Batch) -> torch.Tensor:
    return torch.zeros(())


def test_metrics_by_class_of_steps_see_neither_padding_nor_unknown_classes():
    y = torch.tensor([[0, 1, 1], [1, IGNORED, 0]])
    logits = torch.eye(2)[torch.tensor([[0, 1, 0], [1, 0, 1]])]
    lengths = torch.tensor([3, 1])
    found = over(
        TaskMetrics(spec(output_size=2, outputs="step", metrics=CLASSES), cross), logits, y, 1, lengths=lengths
    )
    # 0 -> 0, 1 -> 1, 1 -> 0, 1 -> 1: recalls 1 and 2/3, f1 2/3 and 4/5
    assert found["balanced_accuracy"] == pytest.approx(5 / 6)
    assert found["min_recall"] == pytest.approx(2 / 3)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)


@pytest.mark.parametrize("size", [1, 7, 40])
def test_metrics_of_numbers_equal_scikit_learns_far_from_zero_too(size):
    generator = torch.Generator().manual_seed(0)
    y = 1e4 + torch.randn(40, 3, generator=generator)
    prediction = y + 0.3 * torch.randn(40, 3, generator=generator)
    task = spec(output_size=3, loss="mse", metrics=("mse", "mae", "r2"), metric="mse")
    found = over(TaskMetrics(task, lambda p, b: (p - b.y).square().mean()), prediction, y, size)
    truth, said = y.double().numpy(), prediction.double().numpy()
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, said), rel=1e-6)
    assert found["mse"] == pytest.approx(float(np.square(truth - said).mean()), rel=1e-6)
    assert found["r2"] == pytest.approx(r2_score(truth, said), rel=1e-9)


def test_r2_leaves_constant_outputs_out_and_is_no_number_where_all_are():
    task = spec(output_size=2, loss="mse", metrics=("r2",), metric="r2")
    y = torch.tensor([[0.1, 1.0], [0.1, 2.0], [0.1, 4.0]])
    made = TaskMetrics(task, cross)
    prediction = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    truth, said = y[:, 1].numpy(), prediction[:, 1].numpy()
    assert over(made, prediction, y, 2)["r2"] == pytest.approx(r2_score(truth, said))
    assert np.isnan(over(made, prediction, y[:1].expand(3, 2), 2)["r2"])


def test_steps_of_numbers_count_where_they_are_real():
    y = torch.tensor([[[1.0], [2.0], [99.0]], [[4.0], [99.0], [99.0]]])
    prediction = torch.tensor([[[1.5], [2.0], [0.0]], [[3.0], [0.0], [0.0]]])
    task = spec(output_size=1, outputs="step", loss="mse", metrics=("mae", "r2"), metric="mae")
    found = over(TaskMetrics(task, cross), prediction, y, 1, lengths=torch.tensor([2, 1]))
    assert found["mae"] == pytest.approx(0.5)
    assert found["r2"] == pytest.approx(r2_score([1.0, 2.0, 4.0], [1.5, 2.0, 3.0]))
