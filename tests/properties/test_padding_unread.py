"""Padding is never read: NaN and infinity there move no bit of any output, state or gradient, on any network.

Where finite padding moves nothing, test_every_cell.py and test_every_rival.py compare with each sequence alone.

Axes: B batch, T time, C channels, space none or H W.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from registry import CASES, RIVALS, build, build_rival, generator, random_input, random_state, randomise, some_of, weigh
from rnnbench.datasets import Batch
from rnnbench.datasets.base.losses import LOSSES
from rnnbench.nn import (
    GRU,
    LSTM,
    MGU,
    Bidirectional,
    Layer,
    Peephole,
    SequenceModel,
    build_stack,
    make_encoder,
    tracing,
)

B, T = 3, 6
LENGTHS = torch.tensor([2, T, 1])
PADDED = torch.arange(T) >= LENGTHS[:, None]
HOLES = torch.tensor([[1, 0, 1, 1, 0, 1], [0, 0, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]]).bool()
BAD = (float("nan"), float("inf"), -float("inf"), 3e38)


def spoiled(x: Tensor, padded: Tensor = PADDED) -> Tensor:
    """x with NaN, both infinities and the largest numbers in turn at padding."""
    turns = torch.tensor(BAD, dtype=x.dtype).repeat(x.numel() // len(BAD) + 1)[: x.numel()].view_as(x)
    return torch.where(padded.reshape(*padded.shape, *(1,) * (x.dim() - 2)), turns, x)


def everything(net: nn.Module, x: Tensor, state=None, **options) -> list[Tensor]:
    """Output, final h and the gradient by x, state and every parameter, of a loss on all outputs and the final h."""
    x = x.clone().requires_grad_()
    torch.manual_seed(0)  # of dropout
    output, final = net(x, state, **options)
    last = net.final(final)
    named = [x, *net.parameters()]
    grads = torch.autograd.grad(weigh(output, [last]), named, allow_unused=True, materialize_grads=True)
    assert all(torch.isfinite(t).all() for t in (output, last, *grads))
    return [output, last, *grads]


def assert_unread(net: nn.Module, x: Tensor, padded: Tensor, state=None, **options) -> None:
    clean, dirty = (everything(net, each, state, **options) for each in (x, spoiled(x, padded)))
    assert all(torch.equal(a, b) for a, b in zip(clean, dirty, strict=True))
    output, grad = dirty[0], dirty[2]
    assert not output[padded].any(), "outputs at padding are zero"
    assert not grad[padded].any(), "nothing flows into padding"
    assert grad[~padded].any()


@pytest.mark.parametrize(
    "case",
    some_of(((c,) for c in CASES if c.biases != 0), lambda c: c.cell, lambda c: c.peephole, lambda c: c.norm),
)
def test_of_every_cell_by_lengths_and_by_masks_with_holes(case):
    for reverse in (False, True):
        layer = case.layer(reverse=reverse)
        x, state = random_input(layer.cell), random_state(layer.cell)
        assert_unread(layer, x, PADDED, state, lengths=LENGTHS)
        assert_unread(layer, x, ~HOLES, lengths=None, mask=HOLES)
    assert_unread(layer, x, PADDED | ~HOLES, lengths=LENGTHS, mask=HOLES)


@pytest.mark.parametrize("backend", ["eager", "native"])
@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
@pytest.mark.parametrize("make", [LSTM, GRU])
def test_in_depth(make, direction, backend):
    """With residual connections, norm and dropout between layers."""
    options = {"layers": 3, "residual": True, "norm": "layer", "dropout": 0.3, "backend": backend}
    net = randomise(build_stack(make, 3, 4, direction=direction, **options).double())
    assert_unread(net, random_input(make(3, 4)), PADDED, lengths=LENGTHS)
    if backend == "eager":
        assert_unread(net, random_input(make(3, 4)), ~HOLES, mask=HOLES)


def test_in_backends_that_are_mixed():
    layers = [Layer(LSTM(3, 4), backend="native"), Layer(LSTM(3, 4), reverse=True, backend="eager")]
    net = randomise(Bidirectional(*layers).double())
    assert_unread(net, random_input(LSTM(3, 4)), PADDED, lengths=LENGTHS)


def test_on_frames():
    net = build_stack(lambda i, h: build("convlstm", "on", i, h), 3, 4, layers=2, direction="bidirectional")
    assert_unread(randomise(net.double()), random_input(build("convlstm")), PADDED, lengths=LENGTHS)


@pytest.mark.parametrize("name", RIVALS)
def test_of_every_network_without_recurrence(name):
    x = random_input(LSTM(3, 4))
    for way, last_only in itertools.product(RIVALS[name]["meta"]["directions"], (False, True)):
        net = build_rival(name, hidden_size=12, layers=3, causal=way == "forward", last_only=last_only)
        randomise(net.double(), name).eval()
        if last_only and name == "mlp":  # its output is the last real step's alone
            clean, dirty = (everything(net, each, lengths=LENGTHS) for each in (x, spoiled(x)))
            assert all(torch.equal(a, b) for a, b in zip(clean, dirty, strict=True))
        else:
            assert_unread(net, x, PADDED, lengths=LENGTHS)


def models(head: str, encoder: str):
    """Native, eager and peephole stacks, and every rival, behind an encoder."""
    for make in (LSTM, MGU, lambda i, h: LSTM(i, h, peephole=Peephole(start="normal"))):
        for direction in ("forward", "bidirectional"):
            module, size = make_encoder(encoder, 9 if encoder == "embedding" else 3, 3)
            yield SequenceModel(module, build_stack(make, size, 4, direction=direction), head=head, output_size=2)
    for name in RIVALS:
        module, size = make_encoder(encoder, 9 if encoder == "embedding" else 3, 3)
        net = build_rival(name, size, layers=2, last_only=head == "last")
        yield SequenceModel(module, net, head=head, output_size=2)


@pytest.mark.parametrize("encoder", ["none", "linear", "cnn", "embedding"])
@pytest.mark.parametrize("head", ["last", "mean", "every"])
def test_behind_every_encoder_and_below_every_head(head, encoder):
    """Tokens at padding may be none of the vocabulary."""
    x = random_input(LSTM(3, 4)).float()
    if encoder == "embedding":
        clean = torch.randint(9, (B, T), generator=generator("tokens"))
        dirty = torch.where(PADDED, torch.tensor([-1, 9, 2**40, -100, 255, -7]), clean)
    else:
        clean, dirty = x, spoiled(x)
    for model in models(head, encoder):
        randomise(model)
        found = []
        for each in (clean, dirty):
            prediction = model(each, LENGTHS)
            grads = torch.autograd.grad(weigh(prediction), list(model.parameters()))
            found.append([prediction, *grads])
        assert all(torch.isfinite(t).all() for t in found[1])
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "nll_frame"])
def test_in_training(loss):
    """A task's loss and the gradient diagnostics' trace: what the peephole's gradient looks like is not padding's."""
    x = random_input(LSTM(3, 4)).float()
    y = torch.randint(2, (B, T) if loss == "cross_entropy" else (B, T, 2), generator=generator("y"))
    for model in models("every", "linear"):
        randomise(model)
        found = []
        for each in (x, spoiled(x)):
            with tracing(model) as traces:
                value = LOSSES[loss](model(each, LENGTHS), Batch(each, y, LENGTHS))
                grads = torch.autograd.grad(value, list(model.parameters()), retain_graph=True)
                value.backward()
            model.zero_grad()
            found.append([value, *grads, *(h.grad for hidden in traces.values() for h in hidden if h.grad is not None)])
        assert all(torch.isfinite(t).all() for t in found[1])
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
