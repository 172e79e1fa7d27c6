"""The simple recurrent unit: its highway where I is H, its start, and what its two versions share."""

import math

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import SRU, Layer, SRUv1, count_params, start


def literal(cell, x, c):
    """The paper's lines for I = H, one sequence of one unit-vector at a time."""
    (w_f, w_r), (b_f, b_r), v = cell.W.weight.chunk(2), cell.W.bias.chunk(2), cell.V.weight
    p_f, p_r = (cell.p_f, cell.p_r) if isinstance(cell, SRU) else (torch.zeros(4).double(),) * 2
    outputs = []
    for t in range(x.shape[1]):
        f = torch.sigmoid(x[:, t] @ w_f.T + p_f * c + b_f)
        r = torch.sigmoid(x[:, t] @ w_r.T + p_r * c + b_r)
        c = f * c + (1 - f) * (x[:, t] @ v.T)
        outputs.append(r * c + (1 - r) * x[:, t] * cell.alpha)
    return torch.stack(outputs, 1), c


@pytest.mark.parametrize("make", [SRU, SRUv1])
@pytest.mark.parametrize("options", [{}, {"rescale": False}, {"highway_bias": -2.0}], ids=str)
def test_where_inputs_are_as_many_as_units_x_itself_is_the_highway(make, options):
    layer = randomise(Layer(make(4, 4, **options), backend="eager").double())
    x, begin = random_input(layer.cell), random_state(layer.cell)
    output, state = layer(x, begin)
    wanted, c = literal(layer.cell, x, begin.c)
    assert far(output, wanted) < 1e-12
    assert far(state.c, c) < 1e-12
    assert torch.equal(layer.final(state), output[:, -1])


def test_parameters_with_the_paper_s_highway_and_with_a_map():
    assert count_params(SRU(20, 20)) == 3 * 20 * 20 + 4 * 20
    assert count_params(SRU(10, 20)) == 4 * 20 * 10 + 4 * 20
    assert count_params(SRUv1(20, 20)) == 3 * 20 * 20 + 2 * 20


def test_alpha():
    assert SRU(3, 4).alpha == math.sqrt(3)
    assert SRU(3, 4, highway_bias=-2.0).alpha == math.sqrt(1 + 2 * math.exp(-2))
    assert SRU(3, 4, rescale=False).alpha == 1


def test_the_authors_start():
    """W of variance 1 / I, the gates' by half in the second version; p of variance 1/2; b_r at highway_bias."""
    for make, share in ((SRU, 0.5), (SRUv1, 1.0)):
        cell = make(64, 500, init="lei2018", highway_bias=-1.0)
        start(cell, 0)
        assert abs(64 * cell.V.weight.var() - 1) < 0.02
        assert abs(64 * cell.W.weight.var() / share - 1) < 0.02
        b_f, b_r = cell.W.bias.chunk(2)
        assert not b_f.any()
        assert (b_r == -1).all()
    cell = SRU(3, 5000)
    start(cell, 0)
    assert abs(cell.p_f.var() / 0.5 - 1) < 0.05
    assert abs(cell.p_r.var() / 0.5 - 1) < 0.05


def test_h_keeps_the_variance_of_x_at_its_start():
    """What alpha is for; without it the variance falls."""
    x = torch.randn(64, 30, 100, generator=torch.Generator().manual_seed(0))
    found = []
    for rescale in (True, False):
        layer = Layer(SRUv1(100, 100, init="lei2018", rescale=rescale), backend="eager")
        start(layer, 0)
        found.append(layer(x)[0][:, 20:].var().item())
    assert 0.8 < found[0] < 1.3
    assert found[1] < 0.5


def test_the_second_version_without_vectors_is_the_first():
    first, second = (Layer(make(3, 4), backend="eager").double() for make in (SRUv1, SRU))
    randomise(second)
    first.load_state_dict(second.state_dict(), strict=False)
    x = random_input(first.cell)
    assert far(first(x)[0], second(x)[0]) > 1e-3
    with torch.no_grad():
        second.cell.p_f.zero_()
        second.cell.p_r.zero_()
    assert far(first(x)[0], second(x)[0]) < 1e-15
