"""LiGRU: where its norm acts, and how it starts. Its equations: tests/properties."""

from __future__ import annotations

import math

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import Layer, LiGRU


def test_the_norm_is_of_the_inputs_half_alone():
    cell = LiGRU(3, 4, norm="layer")
    assert cell.W.gain is not None
    assert cell.U.gain is None
    randomise(cell.double())
    x, begin = random_input(cell, steps=1)[:, 0], random_state(cell)
    assert far(cell.step(cell.W(x), begin)[0], cell.step(cell.W(100 * x), begin)[0]) < 1e-3, "x has no size of its own"
    twice = cell.State(2 * begin.h)
    assert far(cell.U(twice.h), 2 * cell.U(begin.h) - cell.U.bias) < 1e-12, "U h' has"


def test_the_authors_start():
    torch.manual_seed(0)
    cell = LiGRU(40, 60, init="ravanelli2018")
    U = cell.U.weight.detach()
    assert U.shape == (120, 60)
    assert far(U.T @ U, torch.eye(60)) < 1e-5, "both gates together are orthogonal"
    for block in cell.W.weight.chunk(2):
        assert block.std().item() == pytest.approx(math.sqrt(2 / (40 + 60)), rel=0.05)
        assert block.abs().max() > 3 * block.std(), "a normal distribution has no bound"
    assert not cell.W.bias.any()
    assert not cell.U.bias.any()


def test_it_has_no_upper_bound():
    cell = LiGRU(1, 1, biases=1).double()
    with torch.no_grad():
        cell.W.weight.zero_()
        cell.W.bias.copy_(torch.tensor([-1e3, 0.0]))  # z = 0: all is new
        cell.U.weight.copy_(torch.tensor([[0.0], [2.0]]))
    output, _ = Layer(cell, backend="eager")(torch.zeros(1, 20, 1).double(), cell.State(torch.ones(1, 1).double()))
    assert output[0, -1, 0].item() == pytest.approx(2.0**20)


def test_torchrecurrent_computes_the_same():
    theirs = pytest.importorskip("torchrecurrent").LiGRUCell(3, 4).double()
    cell = randomise(LiGRU(3, 4).double())
    with torch.no_grad():
        for name, of in (("ih", cell.W), ("hh", cell.U)):
            getattr(theirs, f"weight_{name}").copy_(of.weight)
            getattr(theirs, f"bias_{name}").copy_(of.bias)
    x, begin = random_input(cell, steps=20), random_state(cell)
    output, _ = Layer(cell, backend="eager")(x, begin)
    h = begin.h
    for t in range(20):
        h = theirs(x[:, t], h)
        assert far(output[:, t], h) < 1e-12
