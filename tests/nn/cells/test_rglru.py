"""The real-gated linear recurrent unit: where a starts, its blocks, and the root near a = 1."""

import pytest
import torch
from torch.nn import functional as F

from registry import far, random_input, random_state, randomise
from rnnbench.nn import RGLRU, Layer, count_params, start
from rnnbench.nn.cells.rglru import rest


def test_where_a_starts():
    """The paper's a at r = 1 is uniform in [.9, .999]; the code's is the eighth power of one on the ring."""
    for ring, low, high, mean in (("paper", 0.9, 0.999, 0.9495), ("code", 0.9**8, 0.999**8, 0.69)):
        cell = RGLRU(4, 1500, ring=ring)
        start(cell, 0)
        a = torch.exp(-8 * F.softplus(cell.P.detach().double()))
        assert low - 1e-5 < a.min() < low + 0.01
        assert high - 0.01 < a.max() < high + 1e-5
        assert abs(a.mean() - mean) < 0.01


def test_the_gates_start_by_the_size_of_a_block():
    cell = RGLRU(64, 64, blocks=4)
    start(cell, 0)
    assert abs(16 * cell.W.weight.var() - 1) < 0.1
    assert not cell.W.bias.any()


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_blocks_are_a_matrix_that_is_zero_elsewhere(blocks):
    """Against the paper's lines with whole matrices; and the count."""
    layer = randomise(Layer(RGLRU(8, 8, blocks=blocks), backend="eager").double())
    cell = layer.cell
    x, begin = random_input(cell), random_state(cell)
    W_a, W_x = (torch.block_diag(*w.split(8 // blocks)) for w in cell.W.weight.split(8))
    b_a, b_x = cell.W.bias.split(8)
    h, outputs = begin.h, []
    for t in range(x.shape[1]):
        r, i = torch.sigmoid(x[:, t] @ W_a.T + b_a), torch.sigmoid(x[:, t] @ W_x.T + b_x)
        a = torch.exp(-8 * r * F.softplus(cell.P))
        h = a * h + torch.sqrt(1 - a**2) * (i * x[:, t])
        outputs.append(h)
    assert far(layer(x, begin)[0], torch.stack(outputs, 1)) < 1e-12
    assert count_params(layer) == 8 + 2 * (8 * 8 // blocks + 8)
    assert count_params(RGLRU(3, 8, blocks=blocks)) == count_params(layer) + 8 * (3 + 1)


def test_the_root_keeps_its_digits_near_one():
    """In float32, where 1 - a^2 by a itself is wrong in the third digit; at log a = 0 it is 0."""
    log_a = -torch.logspace(-9, 1, 200)
    exact = torch.sqrt(-torch.expm1(2 * log_a.double()))
    assert ((rest(log_a) - exact) / exact).abs().max() < 1e-6
    by_a = torch.sqrt(1 - torch.exp(log_a) ** 2)
    assert ((by_a - exact) / exact).abs().max() > 1e-3
    assert rest(torch.zeros(1)) == 0


def test_the_root_s_gradient_is_exact_where_it_is_below_a_thousand_and_never_more():
    log_a = -torch.logspace(-12, 1, 300, dtype=torch.float64)
    log_a[0] = 0.0
    log_a.requires_grad_()
    (found,) = torch.autograd.grad(rest(log_a).sum(), log_a)
    square = torch.expm1(2 * log_a.detach()).abs()
    by_square = found / (-2 * torch.exp(2 * log_a.detach()))  # d (1 - a^2) / d log a
    exact = 0.5 / torch.sqrt(square)
    free = exact < 1000
    assert far(by_square[free] / exact[free], torch.ones(int(free.sum())).double()) < 1e-6
    assert far(by_square[~free], torch.full((int((~free).sum()),), 1000.0).double()) < 1e-6
    assert free.any()
    assert not free.all()


def test_a_shut_recurrence_gate_has_finite_gradients():
    """r of 0: a = 1, and a plain root would have an infinite slope."""
    layer = Layer(RGLRU(4, 4), backend="eager")
    with torch.no_grad():
        layer.cell.W.bias[:4] = -200.0
    x = torch.randn(2, 5, 4, requires_grad=True)
    layer(x)[0].sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in (x, *layer.parameters()))


def test_bad_options():
    with pytest.raises(ValueError, match="blocks must divide the hidden size: 4 is no multiple of 3"):
        RGLRU(3, 4, blocks=3)
    with pytest.raises(ValueError, match=r"blocks must divide the hidden size: 4 is no multiple of 2\.0"):
        RGLRU(3, 4, blocks=2.0)
    with pytest.raises(ValueError, match="unknown ring 'griffin'; known: paper, code"):
        RGLRU(3, 4, ring="griffin")
