"""The independently recurrent network: its start, its bound, and units that are alone."""

import math

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import IndRNN, Layer, start


def test_the_authors_start():
    """W uniform within sqrt(6 / 65 I), b zero, u uniform between its two options."""
    high, low = 2 ** (1 / 100), 0.5
    cell = IndRNN(50, 400, u_low=low, u_high=high, init="li2018")
    start(cell, 0)
    bound = math.sqrt(6 / 65 / 50)
    assert 0.99 * bound < cell.W.weight.abs().max() <= bound
    assert not cell.W.bias.any()
    assert cell.u.min() < low + 0.01
    assert high - 0.01 < cell.u.max() <= high
    assert cell.u.min() >= low
    assert abs(cell.u.mean() - (low + high) / 2) < 0.05


def test_a_unit_sees_its_own_past_alone():
    layer = randomise(Layer(IndRNN(3, 4), backend="eager").double())
    x, begin = random_input(layer.cell), random_state(layer.cell)
    other = type(begin)(begin.h.clone())
    other.h[:, 2] += 1
    moved = (layer(x, begin)[0] - layer(x, other)[0]).abs().amax((0, 1))
    assert (moved > 0).tolist() == [False, False, True, False]


def test_without_input_a_state_fades_by_u():
    layer = Layer(IndRNN(3, 4, biases=0), backend="eager").double()
    begin = random_state(layer.cell)
    with torch.no_grad():
        layer.cell.u.copy_(torch.tensor([0.5, 1.0, 1.1, 0.0]))
    output, _ = layer(torch.zeros(3, 5, 3, dtype=torch.float64), begin)
    wanted = begin.h * layer.cell.u**5
    assert far(output[:, -1], wanted) < 1e-15


def test_a_bound_is_what_u_counts_as_and_keeps_its_gradient():
    free, bound = (Layer(IndRNN(3, 4, u_bound=b), backend="eager").double() for b in (None, 0.9))
    randomise(free)
    bound.load_state_dict(free.state_dict())
    with torch.no_grad():
        bound.cell.u.copy_(torch.tensor([1.5, -2.0, 0.9, 0.3], dtype=torch.float64))
        free.cell.u.copy_(torch.tensor([0.9, -0.9, 0.9, 0.3], dtype=torch.float64))
        for layer in (free, bound):
            layer.cell.W.bias.fill_(1.0)
    x, begin = random_input(free.cell), random_state(free.cell)
    outputs = [layer(x, begin)[0] for layer in (free, bound)]
    assert far(*outputs) < 1e-15
    for output in outputs:
        output.square().sum().backward()
    assert far(bound.cell.u.grad, free.cell.u.grad) < 1e-14
    assert free.cell.u.grad.all()


def test_bad_bounds():
    with pytest.raises(ValueError, match=r"u starts between u_low and u_high: 1\.0 is above 0\.5"):
        IndRNN(3, 4, u_low=1.0, u_high=0.5)
    with pytest.raises(ValueError, match=r"u_bound must be above 0, or null for none, not 0"):
        IndRNN(3, 4, u_bound=0)


def test_torchrecurrent_with_relu_is_equal():
    public = pytest.importorskip("torchrecurrent").IndRNNCell
    public = randomise(public(3, 4, recurrent_bias=False, nonlinearity=torch.relu).double())
    layer = Layer(IndRNN(3, 4), backend="eager").double()
    with torch.no_grad():
        layer.cell.W.weight.copy_(public.weight_ih)
        layer.cell.W.bias.copy_(public.bias_ih)
        layer.cell.u.copy_(public.vector_u)
    x = random_input(layer.cell)
    h, outputs = torch.zeros(3, 4, dtype=torch.float64), []
    for t in range(x.shape[1]):
        h = public(x[:, t], h)
        outputs.append(h)
    assert far(layer(x)[0], torch.stack(outputs, 1)) < 1e-12
