"""JANET: what beta does, and which cells it equals. Its equations: tests/properties."""

from __future__ import annotations

import math

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import JANET, GRUUpdate, Layer


def test_without_beta_it_is_the_update_gate_alone():
    """UGRNN, u = 1 - f: the gate's weights and biases negated."""
    cell, other = randomise(JANET(3, 4, beta=0).double()), GRUUpdate(3, 4).double()
    other.load_state_dict(cell.state_dict())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter[:4] *= -1
    x, (c,) = random_input(cell), random_state(cell)
    output, _ = Layer(cell, backend="eager")(x, cell.State(c))
    assert far(output, Layer(other, backend="eager")(x, other.State(c))[0]) < 1e-12


def driven(beta: float, forget_bias: float) -> float:
    """What c becomes where g = 1 at every step, after many."""
    cell = JANET(1, 1, beta=beta).double()
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    with torch.no_grad():
        cell.W.bias.copy_(torch.tensor([forget_bias, 1e3]))
    output, _ = Layer(cell, backend="eager")(torch.zeros(1, 600, 1).double())
    return output[0, -1, 0].item()


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_c_is_bounded_by_e_to_the_beta_and_comes_close(beta):
    """c = f c' + (1 - f) k g with k = (1 - s(s - beta)) / (1 - s(s)) = (1 + e^s) / (1 + e^(s - beta)) < e^beta."""
    assert driven(beta, 0.0) == pytest.approx(2 / (1 + math.exp(-beta)))
    assert 0.95 * math.exp(beta) < driven(beta, 4.0) <= math.exp(beta)
    layer = randomise(Layer(JANET(3, 4, beta=beta), backend="eager").double())
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= 10
    assert layer(random_input(layer.cell, steps=60))[0].abs().max() <= math.exp(beta)


@pytest.mark.parametrize("beta", [-0.5, float("inf"), float("nan"), "one", True])
def test_beta_is_a_number_from_zero_on(beta):
    with pytest.raises(ValueError, match=r"^beta must be 0 or a positive number, not "):
        JANET(3, 4, beta=beta)


def test_the_forget_bias_is_added_to_the_gate_alone():
    plain, shifted = JANET(3, 4, init="glorot"), JANET(3, 4, init="glorot", forget_bias=2.0)
    assert not plain.W.bias.any()
    assert shifted.W.bias.tolist() == [2.0] * 4 + [0.0] * 4


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_torchrecurrent_computes_the_same_and_trains_beta(beta):
    theirs = pytest.importorskip("torchrecurrent").JANETCell(3, 4, beta=beta).double()
    cell = randomise(JANET(3, 4, beta=beta).double())
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in cell.parameters()) + 1
    with torch.no_grad():
        for name, of in (("ih", cell.W), ("hh", cell.U)):
            getattr(theirs, f"weight_{name}").copy_(of.weight)
            getattr(theirs, f"bias_{name}").copy_(of.bias)
    x, (c,) = random_input(cell, steps=20), random_state(cell)
    output, _ = Layer(cell, backend="eager")(x, cell.State(c))
    state = (c, c)
    for t in range(20):
        state = theirs(x[:, t], state)
        assert far(output[:, t], state[0]) < 1e-12
