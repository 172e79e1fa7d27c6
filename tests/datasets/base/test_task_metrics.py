"""Losses and metrics against literal loops, masks, batch sizes, precision and diverged networks."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.datasets import CopyMemory, Digits, Music
from rnnbench.datasets.base.losses import IGNORED, LOSSES
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task

SPEC = Digits().spec


class Fake(Task):
    """A task of the given spec; its data is made by the tests."""

    def __init__(self, **changes: object) -> None:
        self.spec: TaskSpec = dataclasses.replace(SPEC, **changes)

    def load(self) -> Data:
        raise NotImplementedError

    def floors(self, data: Data) -> dict[str, float]:
        raise NotImplementedError


def steps(N: int = 13, T: int = 6, K: int = 4) -> tuple[Split, torch.Tensor]:
    """Classes a step, unequal lengths, logits; the padding of all three is poisoned."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(1, T + 1, (N,), generator=generator)
    y = torch.randint(K, (N, T), generator=generator)
    logits = torch.randn(N, T, K, generator=generator)
    logits[torch.arange(T) >= lengths[:, None]] = math.inf
    return Split(torch.zeros(N, T, 1), y, lengths), logits


def log_softmax(logits: list[float]) -> list[float]:
    total = math.log(sum(math.exp(v) for v in logits))
    return [v - total for v in logits]


def test_step_metrics_equal_a_literal_loop_for_every_batch_size() -> None:
    split, logits = steps()
    task = Fake(outputs="step", output_size=4, metrics=("accuracy", "cross_entropy"))
    nats, right = [], []
    for sequence, target, length in zip(logits, split.y, split.lengths.tolist(), strict=True):
        for t in range(length):
            values = sequence[t].tolist()
            nats.append(-log_softmax(values)[int(target[t])])
            right.append(values.index(max(values)) == int(target[t]))
    expected = {"loss": sum(nats) / len(nats), "accuracy": sum(right) / len(right)}
    expected["cross_entropy"] = expected["loss"]
    metrics = task.metrics()
    for size in (1, 2, 5, 13):
        metrics.reset()
        for index in torch.arange(13).split(size):
            batch = task.batch(split, index)
            metrics.update(logits[index][:, : batch.x.shape[1]], batch)
        assert metrics.compute() == pytest.approx(expected, rel=1e-6)
        assert list(metrics.compute()) == ["loss", "accuracy", "cross_entropy"]


def test_sequence_metrics_ignore_the_lengths_of_the_input() -> None:
    task = Fake(output_size=3)
    y, logits = torch.tensor([0, 1, 2, 2, 1]), torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    split = Split(torch.zeros(5, 4, 1), y, torch.tensor([1, 2, 3, 4, 1]))
    nats = [-log_softmax(row)[label] for row, label in zip(logits.tolist(), y.tolist(), strict=True)]
    for size in (1, 2, 5):
        metrics = task.metrics()
        for index in torch.arange(5).split(size):
            metrics.update(logits[index], task.batch(split, index))
        values = metrics.compute()
        assert values["loss"] == pytest.approx(sum(nats) / 5, rel=1e-6)
        assert values["accuracy"] == pytest.approx(float((logits.argmax(1) == y).double().mean()))


def test_nll_frame_is_the_frame_average() -> None:
    generator = torch.Generator().manual_seed(1)
    y = (torch.rand(3, 5, 88, generator=generator) < 0.1).to(torch.uint8)
    logits = torch.randn(3, 5, 88, generator=generator)
    lengths = torch.tensor([5, 1, 3])
    split = Split(torch.zeros(3, 5, 88), y, lengths)
    nats = []
    for i, length in enumerate(lengths.tolist()):
        for t in range(length):
            p = torch.sigmoid(logits[i, t].double())
            nats.append(float(-torch.where(y[i, t].bool(), p, 1 - p).log().sum()))
    task = Music()
    for size in (1, 2, 3):
        metrics = task.metrics()
        for index in torch.arange(3).split(size):
            batch = task.batch(split, index)
            metrics.update(logits[index][:, : batch.x.shape[1]], batch)
        assert metrics.compute()["nll_frame"] == pytest.approx(sum(nats) / len(nats), rel=1e-6)


def test_mse_over_masked_steps() -> None:
    prediction = torch.tensor([[[1.0], [2.0], [9.0]], [[0.0], [9.0], [9.0]]])
    batch = Batch(prediction, torch.zeros(2, 3, 1), torch.tensor([2, 1]))
    assert float(LOSSES["mse"](prediction, batch)) == pytest.approx((1 + 4 + 0) / 3)
    assert float(LOSSES["mse"](prediction, batch._replace(lengths=None))) == pytest.approx((1 + 4 + 243) / 6)


@pytest.mark.parametrize(
    ("name", "y"),
    [
        ("mse", torch.rand(4, 6, 3)),
        ("cross_entropy", torch.randint(3, (4, 6))),
        ("nll_frame", torch.randint(2, (4, 6, 3)).float()),
    ],
)
def test_losses_ignore_padding_and_send_no_gradient_there(name: str, y: torch.Tensor) -> None:
    lengths = torch.tensor([6, 2, 4, 1])
    prediction = torch.randn(4, 6, 3, requires_grad=True)
    mask = torch.arange(6) < lengths[:, None]
    loss = LOSSES[name](prediction, Batch(prediction, y, lengths))
    changed = prediction.detach().clone()
    changed[~mask] += 100
    assert torch.equal(LOSSES[name](changed, Batch(changed, y, lengths)), loss)
    loss.backward()
    assert (prediction.grad[~mask] == 0).all()
    assert (prediction.grad[mask] != 0).any()


@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("name", "y"),
    [
        ("mse", torch.rand(4, 6, 3)),
        ("cross_entropy", torch.randint(3, (4, 6))),
        ("nll_frame", torch.randint(2, (4, 6, 3)).float()),
    ],
)
def test_padding_is_never_read(name: str, y: torch.Tensor, poison: float) -> None:
    """Whatever stands there, in the targets as in the prediction: the loss and its gradient are the same."""
    lengths = torch.tensor([6, 2, 4, 1])
    padded = torch.arange(6) >= lengths[:, None]
    clean = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0))
    found = []
    for value, target in ((0.0, 0), (poison, 77 if name == "cross_entropy" else poison)):
        prediction, targets = clean.clone(), y.clone()
        prediction[padded], targets[padded] = value, target
        prediction.requires_grad_()
        loss = LOSSES[name](prediction, Batch(prediction, targets, lengths))
        loss.backward()
        found.append((loss, prediction.grad))
    (loss, grad), (poisoned, its_grad) = found
    assert torch.equal(poisoned, loss)
    assert torch.equal(its_grad, grad)
    assert not its_grad[padded].any()


@given(
    outputs=st.sampled_from(["sequence", "step"]),
    ragged=st.booleans(),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 999),
    size=st.sampled_from([1, 2, 5, 12]),
)
def test_a_class_of_minus_100_is_ignored_by_every_loss_metric_and_count(outputs, ragged, share, seed, size) -> None:
    """As if the sequence, or the step, were not there: against a literal loop, for every batch size."""
    generator = torch.Generator().manual_seed(seed)
    N, T, K = 12, 11, 3
    shape = (N,) if outputs == "sequence" else (N, T)
    y = torch.randint(K, shape, generator=generator)
    y[torch.rand(shape, generator=generator) < share] = IGNORED
    y[0] = 1
    logits = torch.randn(*shape, K, generator=generator)
    lengths = torch.randint(1, T + 1, (N,), generator=generator) if ragged else None
    nats, right, recalled = [], [], []
    for n in range(N):
        steps = (int(lengths[n]) if ragged else T) if outputs == "step" else 1
        for t in range(steps):
            at = (n, t) if outputs == "step" else (n,)
            if int(y[at]) != IGNORED:
                nats.append(-log_softmax(logits[at].tolist())[int(y[at])])
                right.append(int(logits[at].argmax()) == int(y[at]))
                recalled += [right[-1]] * (t >= T - 10)
    metrics = ("accuracy", "cross_entropy", *(("recall_accuracy",) if outputs == "step" and not ragged else ()))
    task = Fake(outputs=outputs, output_size=K, metrics=metrics)
    split, found = Split(torch.zeros(N, T, 1), y, lengths), task.metrics()
    for index in torch.arange(N).split(size):
        batch = task.batch(split, index)
        found.update(logits[index][:, : batch.x.shape[1]] if outputs == "step" else logits[index], batch)
    values = found.compute()
    assert values["loss"] == values["cross_entropy"] == pytest.approx(sum(nats) / len(nats), rel=1e-5)
    assert values["accuracy"] == pytest.approx(sum(right) / len(right))
    if "recall_accuracy" in metrics:
        assert values["recall_accuracy"] == pytest.approx(sum(recalled) / len(recalled))


def test_a_batch_without_a_known_class_trains_nothing() -> None:
    logits = torch.randn(3, 4, requires_grad=True)
    loss = LOSSES["cross_entropy"](logits, Batch(torch.zeros(3, 2, 1), torch.full((3,), IGNORED)))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_computed_in_float32(name: str) -> None:
    y = torch.randint(3, (4, 6)) if name == "cross_entropy" else torch.randint(2, (4, 6, 3)).float()
    prediction = torch.randn(4, 6, 3).bfloat16()
    batch = Batch(prediction, y)
    loss = LOSSES[name](prediction, batch)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, LOSSES[name](prediction.float(), batch))


@pytest.mark.parametrize(
    ("name", "y"), [("mse", torch.zeros(4)), ("cross_entropy", torch.zeros(4, 1)), ("nll_frame", torch.zeros(4, 1, 1))]
)
def test_shapes_that_would_broadcast_are_refused(name: str, y: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"\(4, 2\)"):
        LOSSES[name](torch.zeros(4, 2), Batch(torch.zeros(4, 5, 1), y))


def test_a_diverged_network_shows_as_nan() -> None:
    task = CopyMemory(T=3, train=4, val=1, test=1)
    batch = task.batch(task.load().train, torch.arange(4))
    metrics = task.metrics()
    metrics.update(task.oracle(batch), batch)
    metrics.update(torch.full_like(task.oracle(batch), math.nan), batch)
    values = metrics.compute()
    assert math.isnan(values["loss"])
    assert math.isnan(values["cross_entropy"])


def test_no_batch_means_no_value() -> None:
    metrics = Digits().metrics()
    with pytest.raises(RuntimeError, match="no batch was seen"):
        metrics.compute()


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(ValueError, match="accuracies"):
        Fake(metrics=("accuracies",)).metrics()


def test_the_loss_keeps_its_gradient_and_metrics_keep_none() -> None:
    prediction = torch.zeros(2, 10, requires_grad=True)
    batch = Batch(torch.zeros(2, 8, 8), torch.tensor([1, 2]))
    task = Digits()
    task.loss(prediction, batch).backward()
    assert prediction.grad is not None
    metrics = task.metrics()
    metrics.update(prediction, batch)
    assert metrics.compute()["loss"] == pytest.approx(math.log(10))
