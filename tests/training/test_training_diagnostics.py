"""The vanishing-gradient curve against plain autograd through a loop written out by hand."""

from functools import partial

import pytest
import torch
from training_tools import ADDING, DATA, ORDER, network

from rnnbench.datasets import Batch, MovingDigits
from rnnbench.nn import GRU, LSTM, RNN, Conv2d, Rollout, Sampling, start
from rnnbench.training.diagnostics import gradient_diagnostics


def by_hand(model, batch, task):
    """|dLoss/dh_t| of a one-layer tanh RNN: every h_t a leaf of its own loop, read back after one backward."""
    cell = model.stack.layers[0].cell
    (W, bw), (U, bu) = ((m.weight, m.bias) for m in (cell.W, cell.U))
    h = torch.zeros(batch.x.shape[0], cell.hidden_size)
    lengths = batch.lengths if batch.lengths is not None else torch.full((batch.x.shape[0],), batch.x.shape[1])
    hidden = []
    for t in range(batch.x.shape[1]):
        new = torch.tanh(batch.x[:, t] @ W.T + bw + h @ U.T + bu)
        new.retain_grad()
        hidden.append(new)
        h = torch.where((lengths > t)[:, None], new, h)
    loss = task.loss(model.output(h), batch)
    loss.backward()
    curve = []
    for t, new in enumerate(hidden):
        norms = [float(g.norm()) for g, n in zip(new.grad, lengths, strict=True) if n > t]
        if norms:
            curve.append(sum(norms) / len(norms) * len(batch.x))
    grads = {name: float(p.grad.norm()) for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    return loss.item(), curve, grads


def rnn(task):
    return network(task, cell=RNN, hidden=4, layers=1, dropout=0.0)


@pytest.mark.parametrize("task", [ADDING, ORDER], ids=["one length", "many lengths"])
def test_the_curve_is_plain_autograd(task):
    model, split = rnn(task), DATA[task.spec.name if task is ADDING else "order"].val
    batch = task.batch(split, torch.arange(7))
    loss, curve, grads = by_hand(model, batch, task)
    found = gradient_diagnostics(model, task, batch)
    assert found["loss"] == pytest.approx(loss, rel=1e-6)
    assert list(found["h_grad_norm"]) == ["stack.layers.0"]
    assert found["h_grad_norm"]["stack.layers.0"] == pytest.approx(curve, rel=1e-5)
    assert found["grad_norm"] == pytest.approx(grads, rel=1e-5)


def test_steps_that_no_sequence_reaches_are_left_out():
    model = rnn(ORDER)
    x = torch.rand(3, 9, 8)
    batch = Batch(x, torch.tensor([0, 1, 2]), torch.tensor([2, 5, 4]))
    found = gradient_diagnostics(model, ORDER, batch)["h_grad_norm"]["stack.layers.0"]
    _, curve, _ = by_hand(model, batch, ORDER)
    assert len(found) == 5
    assert found == pytest.approx(curve, rel=1e-5)


def test_a_rollout_is_measured_on_its_own_predictions():
    """Whatever it is fed in training: the loss is that of evaluation, and no training batch is counted."""
    task = MovingDigits(train=4, val=4, test=4)
    batch = task.batch(task.load().val, torch.arange(2))
    cell = partial(LSTM, operator=Conv2d(3), biases=1)
    model = Rollout(
        cell, task.spec.frame_shape, (2,), steps=task.spec.output_steps, patch=4, sampling=Sampling("teacher")
    )
    start(model, 0)
    found = gradient_diagnostics(model, task, batch)
    own = model.eval()(batch.x)
    assert found["loss"] == pytest.approx(task.loss(own, batch).item(), rel=1e-6)
    assert len(found["h_grad_norm"]["column.layers.0"]) == batch.x.shape[1] + batch.y.shape[1] - 1
    assert not model.sampling.seen


def test_every_layer_and_direction_has_a_curve():
    model = network(direction="bidirectional", cell=GRU)
    found = gradient_diagnostics(model, ADDING, ADDING.batch(DATA["adding"].val, torch.arange(4)))
    sides = {f"stack.layers.{n}.{side}" for n in (0, 1) for side in ("ahead", "back")}
    assert set(found["h_grad_norm"]) == sides
    assert {len(curve) for curve in found["h_grad_norm"].values()} == {6}
    assert all(norm > 0 for curve in found["h_grad_norm"].values() for norm in curve)


def test_a_native_network_gives_the_same_curve():
    batch = ADDING.batch(DATA["adding"].val, torch.arange(4))
    eager, native = (
        gradient_diagnostics(network(cell=GRU, backend=backend), ADDING, batch) for backend in ("eager", "native")
    )
    assert native == eager


@pytest.mark.parametrize("training", [True, False])
def test_weights_gradients_and_mode_are_left_as_they_were(training):
    model = network(dropout=0.9).train(training)
    batch = ADDING.batch(DATA["adding"].val, torch.arange(4))
    for n, p in enumerate(model.parameters()):
        p.grad = torch.full_like(p, n) if n % 2 else None
    before = [(p.detach().clone(), p.grad) for p in model.parameters()]
    first, second = (gradient_diagnostics(model, ADDING, batch) for _ in range(2))
    assert first == second  # dropout is off
    for p, (value, grad) in zip(model.parameters(), before, strict=True):
        assert torch.equal(p, value)
        assert p.grad is grad
    assert {m.training for m in model.modules()} == {training}
