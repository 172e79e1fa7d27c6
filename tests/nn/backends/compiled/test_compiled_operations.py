"""Each operation's value and derivative in C, against torch's, at every kind of number that there is."""

import math

import pytest
import torch
from torch.nn import functional as F

from against_eager import needs_compiler, own
from rnnbench.nn import Layer

UNARY = {
    "neg": torch.neg,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "leaky": lambda a: F.leaky_relu(a, 0.2),
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "abs": torch.abs,
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "square": torch.square,
    "root": lambda a: a**0.5,
    "half": lambda a: a / 2,
    "inverse": lambda a: 1 / a,
    "less": lambda a: 1 - a,
}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}
KINKED = ["relu", "leaky", "abs", "maximum", "minimum", "sigmoid", "tanh", "softplus", "logsigmoid", "add", "sub"]


def cell_of(names):
    """One cell for operations, a state for each: of W x, which is x, and of the state y for those of two operands."""

    def step(cell, wx, s):
        return (wx, s.y, *(UNARY[name](wx) if name in UNARY else BINARY[name](wx, s.y) for name in names))

    cell = own(step, " ".join(["x", "y", *names]), input_size=1, hidden_size=1)
    with torch.no_grad():
        cell.W.weight.fill_(1)
        cell.W.bias.zero_()
    return cell


INF, NAN = math.inf, math.nan
precisions = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
SPECIAL = [0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0]
NUMBERS = [*SPECIAL, 1e-3, -1e-3, 0.6249, 0.6251, -0.625, 5.0, -5.0, 8.7, 16.0, -16.0, 19.9, 20.1, -20.1, 30.0, -30.0]
NUMBERS += [60.0, -60.0, 86.9, -86.9, 87.5, -87.5, 88.6, -88.6, 89.0, -89.0, 103.0, -103.0, 110.0, -110.0, 1e4, -1e4]
NUMBERS += [1e-10, -1e-10, 1e-30, -1e-30, 1e20, -1e20]


def pairs():
    """Every number with each special one, so that there are ties of each kind."""
    return torch.tensor([[a, b] for a in NUMBERS for b in SPECIAL], dtype=torch.float64)


def results(names, dtype, backend):
    """By operation: its value, and the gradient by both operands, at every pair."""
    a, b = pairs().to(dtype).unbind(1)
    layer = Layer(cell_of(names).to(dtype), backend=backend)
    found = {}
    for name in names:
        x, y = a[:, None, None].clone().requires_grad_(), b[:, None].clone().requires_grad_()
        begin = [y if field == "y" else torch.zeros_like(y) for field in layer.cell.State._fields]
        _, state = layer(x, begin)
        value = getattr(state, name)
        dx, dy = torch.autograd.grad(value.sum(), (x, y), allow_unused=True)
        found[name] = (value.flatten().detach(), dx.flatten(), torch.zeros_like(a) if dy is None else dy.flatten())
    return found


def differing(found, wanted, where, dtype):
    """At which pairs a number is another than torch's: (a, b, compiled, eager).

    Up to the last places of one, which 1 - y y leaves of a derivative.
    """
    a, b = pairs().to(dtype).unbind(1)
    last = 4 * torch.finfo(dtype).eps
    same = torch.isclose(found, wanted, rtol=2 * last, atol=last, equal_nan=True) | ~where
    return [(a[n].item(), b[n].item(), found[n].item(), wanted[n].item()) for n in (~same).nonzero().flatten()]


@needs_compiler
@precisions
def test_every_operations_value_is_torchs_at_every_number(dtype):
    names = [*UNARY, *BINARY]
    found, wanted = results(names, dtype, "compiled"), results(names, dtype, "eager")
    everywhere = torch.ones(len(pairs()), dtype=torch.bool)
    assert {n: off for n in names if (off := differing(found[n][0], wanted[n][0], everywhere, dtype))} == {}


@needs_compiler
@precisions
@pytest.mark.parametrize("names", [[*UNARY, *BINARY], KINKED], ids=["all", "kinked"])
def test_every_operations_derivative_is_torchs(names, dtype):
    """Where all are finite: in one cell, those that nothing asks for are multiplied by zero."""
    found, wanted = results(names, dtype, "compiled"), results(names, dtype, "eager")
    finite = torch.stack([side.isfinite() for sides in wanted.values() for side in sides]).all(0)
    assert finite.sum() > 100
    for name in names:
        for side in (1, 2):
            assert differing(found[name][side], wanted[name][side], finite, dtype) == [], (name, side)


@needs_compiler
@pytest.mark.slow
@precisions
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_an_operation_alone_is_torchs_at_every_number(name, dtype):
    found, wanted = results([name], dtype, "compiled")[name], results([name], dtype, "eager")[name]
    everywhere = torch.ones(len(pairs()), dtype=torch.bool)
    for side in range(3):
        assert differing(found[side], wanted[side], everywhere, dtype) == [], side


@needs_compiler
@pytest.mark.parametrize(("dtype", "units"), [(torch.float32, 4), (torch.float64, 4)], ids=str)
def test_the_functions_over_their_whole_range(dtype, units):
    """Units in the last place, of many numbers between those above."""
    draw = torch.Generator().manual_seed(0)
    wide = torch.cat([torch.randn(4000, generator=draw) * scale for scale in (1e-3, 0.3, 3, 30)]).double()
    x = wide.to(dtype)[None, :, None].transpose(0, 1)
    cell = cell_of([*UNARY, *BINARY]).to(dtype)
    with torch.no_grad():
        _, state = Layer(cell, backend="compiled")(x)
    exact = wide.to(dtype).double()
    for name in ("sigmoid", "tanh", "exp", "softplus"):
        want = UNARY[name](exact)
        normal = want.abs() > torch.finfo(dtype).tiny
        normal &= want.abs() < torch.finfo(dtype).max
        off = (getattr(state, name).double().flatten() - want).abs() / (want.abs() * torch.finfo(dtype).eps)
        assert off[normal].max() <= units, name


@needs_compiler
def test_saturated_gates_are_exactly_zero_and_one():
    cell = cell_of([*UNARY, *BINARY])
    with torch.no_grad():
        x = torch.tensor([200.0, INF, -200.0, -INF])[:, None, None]
        _, state = Layer(cell, backend="compiled")(x)
    assert state.tanh.flatten().tolist() == [1, 1, -1, -1]
    assert state.sigmoid.flatten()[:2].tolist() == [1, 1]
    assert state.sigmoid.flatten()[2:].max() < 2e-38
