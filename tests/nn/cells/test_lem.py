"""LEM: which z the output reads, how far a step goes, and what a library has. Its equations: tests/properties."""

from __future__ import annotations

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import LEM, Layer


def eager(**options):
    return randomise(Layer(LEM(3, 4, **options), backend="eager").double())


def test_the_output_reads_the_new_z():
    """From zero, both gates open: z = tanh(W_z x) at once, and h = tanh(U_h z) in the same step."""
    cell = eager(biases=1).cell
    with torch.no_grad():
        cell.W.weight[12:] = 0  # rows: d1, d2, z, h
        cell.W.bias.copy_(torch.tensor([1e3] * 8 + [0.0] * 8))
    x = random_input(cell, steps=1)[:, 0]
    h, state = cell.step(cell.W(x), cell.zero_state(3, (), x))
    assert far(state.z, torch.tanh(x @ cell.W.weight[8:12].T)) < 1e-12
    assert far(h, torch.tanh(state.z @ cell.U_h.weight.T)) < 1e-12
    assert h.abs().min() > 1e-4


@pytest.mark.parametrize("dt", [0.01, 0.5, 1.0])
def test_dt_bounds_how_far_a_step_goes_and_both_states_stay_below_one(dt):
    layer = eager(dt=dt)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter *= 20
    state = layer.cell.zero_state(3, (), random_input(layer.cell)[:, 0])
    for x in random_input(layer.cell, steps=30).unbind(1):
        _, new = layer.step(x, state)
        for a, b in zip(new, state, strict=True):
            assert (a - b).abs().max() <= 2 * dt
            assert a.abs().max() <= 1
        state = new


@pytest.mark.parametrize("dt", [0, -0.1, float("nan"), float("inf"), "slow", None, True])
def test_dt_is_a_positive_number(dt):
    with pytest.raises(ValueError, match=r"^dt must be a positive number, not "):
        LEM(3, 4, dt=dt)


def test_torchrecurrent_gives_the_output_the_old_z():
    """torchrecurrent 0.2.5: all but that is equal, and it is no small thing."""
    theirs = pytest.importorskip("torchrecurrent").LEMCell(3, 4, dt=0.5).double()
    cell = eager(dt=0.5).cell
    blocks, biases = (getattr(cell.W, part).detach().chunk(4) for part in ("weight", "bias"))
    seen, added = (getattr(cell.U, part).detach().chunk(3) for part in ("weight", "bias"))
    with torch.no_grad():  # their rows: d2, d1, z, h
        theirs.weight_ih.copy_(torch.cat([blocks[1], blocks[0], *blocks[2:]]))
        theirs.bias_ih.copy_(torch.cat([biases[1], biases[0], *biases[2:]]))
        theirs.weight_hh.copy_(torch.cat([seen[1], seen[0], seen[2]]))
        theirs.bias_hh.copy_(torch.cat([added[1], added[0], added[2]]))
        theirs.weight_ch.copy_(cell.U_h.weight)
        theirs.bias_ch.copy_(cell.U_h.bias)
    x, begin = random_input(cell, steps=1)[:, 0], random_state(cell)
    got, state = cell.step(cell.W(x), begin)
    h, z = theirs(x, tuple(begin))
    assert far(state.z, z) < 1e-12
    assert far(got, h) > 0.01
    d2 = 0.5 * torch.sigmoid(cell.W.split(cell.W(x)).d2 + cell.U.split(cell.U(begin.h)).d2)
    assert far((1 - d2) * begin.h + d2 * torch.tanh(cell.W.split(cell.W(x)).h + cell.U_h(begin.z)), h) < 1e-12
