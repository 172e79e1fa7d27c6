"""coRNN: oscillators that nothing drives swing as the differential equation says. Its equations: tests/properties."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import CoRNN, Layer


def swung(dt: float, gamma: float, epsilon: float, until: float) -> float:
    """y of one oscillator that starts at rest at y = 1, with nothing that drives it."""
    cell = CoRNN(1, 1, dt=dt, gamma=gamma, epsilon=epsilon).double()
    for parameter in cell.parameters():
        torch.nn.init.zeros_(parameter)
    steps = round(until / dt)
    begin = cell.State(torch.ones(1, 1).double(), torch.zeros(1, 1).double())
    output, _ = Layer(cell, backend="eager")(torch.zeros(1, steps, 1).double(), begin)
    return output[0, -1, 0].item()


def test_it_converges_to_the_damped_oscillator_and_at_first_order():
    gamma, epsilon, until = 4.0, 1.0, 2.0
    w = math.sqrt(gamma - epsilon**2 / 4)
    exact = math.exp(-epsilon * until / 2) * (math.cos(w * until) + epsilon / (2 * w) * math.sin(w * until))
    errors = [abs(swung(dt, gamma, epsilon, until) - exact) for dt in (0.02, 0.01, 0.005)]
    assert errors[-1] < 0.01
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2, rel=0.1)


def test_the_position_takes_the_new_velocity():
    cell = randomise(CoRNN(3, 4).double())
    x, begin = random_input(cell, steps=1)[:, 0], random_state(cell)
    h, state = cell.step(cell.W(x), begin)
    assert far(h, begin.h + cell.dt * state.z) < 1e-15
    assert far(state.z, begin.z) > 1e-3


@pytest.mark.parametrize("option", ["dt", "gamma", "epsilon"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "much"])
def test_every_fixed_number_is_positive(option, value):
    with pytest.raises(ValueError, match=rf"^{option} must be a positive number, not "):
        CoRNN(3, 4, **{option: value})


def test_torchrecurrent_computes_the_same():
    """torchrecurrent 0.2.5, whose docstring damps by the new velocity, damps by the old one, too."""
    theirs = pytest.importorskip("torchrecurrent").coRNNCell(3, 4, dt=0.1, gamma=2.0, epsilon=3.0).double()
    cell = randomise(CoRNN(3, 4, dt=0.1, gamma=2.0, epsilon=3.0).double())
    with torch.no_grad():
        for name, of in (("ih", cell.W), ("hh", cell.U), ("ch", cell.U_z)):
            getattr(theirs, f"weight_{name}").copy_(of.weight)
            getattr(theirs, f"bias_{name}").copy_(torch.zeros(4) if of.bias is None else of.bias)
    x, state = random_input(cell, steps=20), random_state(cell)
    output, end = Layer(cell, backend="eager")(x, state)
    for t in range(20):
        state = theirs(x[:, t], tuple(state))
        assert far(output[:, t], state[0]) < 1e-12
    assert far(end.z, state[1]) < 1e-12
