"""sLSTM against the paper's equations without a stabiliser, and against the authors' listing of it, to the bit."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from against_eager import needs_compiler
from registry import far, random_input, randomise, weigh
from rnnbench.nn import SLSTM, Layer, build_stack, count_params
from rnnbench.nn.maps import Conv2d

HEADS = [1, 2, 4]


def layer_of(heads: int = 2, **options) -> Layer:
    return randomise(Layer(SLSTM(3, 8, heads=heads, biases=1, **options), backend="eager").double())


def pointwise(raw: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One step as the authors' code has it (NX-AI/xlstm, vanilla sLSTM), with m = i~ where no input was seen yet."""
    _, c, n, m = state
    i_raw, f_raw, z_raw, o_raw = raw.chunk(4, 1)
    remembered = m + logsigmoid(f_raw)
    m = i_raw if (n == 0).all() else torch.max(i_raw, remembered)
    i, f = torch.exp(i_raw - m), torch.exp(remembered - m)
    c = f * c + i * torch.tanh(z_raw)
    n = f * n + i
    return torch.sigmoid(o_raw) * c / n, c, n, m


@pytest.mark.parametrize("heads", HEADS)
def test_it_is_the_authors_listing_to_the_bit(heads):
    """In float64, with what R h' gives: only the order of the sums before the gates is this cell's own."""
    cell = layer_of(heads).cell
    x = 3 * random_input(cell, batch=4, steps=30).transpose(0, 1)
    state = cell.zero_state(4, (), x)
    theirs = tuple(torch.zeros(4, 8, dtype=torch.float64) for _ in range(4))
    for wx in cell.hoist(x):
        raw = wx + cell.U(state.h)
        output, state = cell.step(wx, state)
        theirs = pointwise(raw, theirs)
        assert torch.equal(output, theirs[0])
        assert all(torch.equal(a, b) for a, b in zip(state, theirs, strict=True))


def test_it_is_the_form_without_a_stabiliser():
    """Eqs. 8 to 14: c and n themselves, of gates that do not overflow."""
    cell = layer_of().cell
    x = random_input(cell, batch=4, steps=30).transpose(0, 1)
    state = cell.zero_state(4, (), x)
    h = c = n = torch.zeros(4, 8, dtype=torch.float64)
    for wx in cell.hoist(x):
        i, f, z, o = (wx + cell.U(h)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.exp(i) * torch.tanh(z)
        n = torch.sigmoid(f) * n + torch.exp(i)
        h = torch.sigmoid(o) * (c / n)
        output, state = cell.step(wx, state)
        assert far(output, h) < 1e-13
        assert far(torch.exp(state.m) * state.n, n) < 1e-13


def test_the_first_stabiliser_is_of_no_matter():
    layer = layer_of()
    x = random_input(layer.cell, steps=20)
    wanted, _ = layer(x)
    zero = layer.cell.zero_state(3, (), x)
    for m in (-3.0, 0.0, 5.0):
        assert far(layer(x, zero._replace(m=torch.full_like(zero.m, m)))[0], wanted) < 1e-13


def test_a_state_and_its_stabiliser_are_one():
    """c and n divided by e^k with m + k for m are the same state."""
    layer = layer_of()
    x = random_input(layer.cell, steps=12)
    _, state = layer(x[:, :6])
    moved = state._replace(c=state.c / torch.e**2, n=state.n / torch.e**2, m=state.m + 2)
    assert far(layer(x[:, 6:], moved)[0], layer(x[:, 6:], state)[0]) < 1e-13


def test_the_state_is_a_weighted_mean_of_tanhs():
    layer = layer_of()
    _, state = layer(10 * random_input(layer.cell, steps=40))
    assert ((state.c / state.n).abs() <= 1 + 1e-15).all()
    assert (state.n >= 1).all()


@pytest.mark.parametrize("backend", ["eager", pytest.param("compiled", marks=needs_compiler)])
@pytest.mark.parametrize("i", [-120.0, 120.0])
@pytest.mark.parametrize("f", [-120.0, 120.0])
def test_extreme_gates_are_finite_in_float32(backend, i, f):
    """At every step, and where they come in turns; in value and in gradient, from no state and after padding."""
    layer = Layer(SLSTM(4 * 8, 8, heads=2, biases=1), backend=backend)
    randomise(layer)
    with torch.no_grad():
        layer.cell.W.weight.copy_(torch.eye(32))
    x = torch.randn(3, 10, 32, generator=torch.Generator().manual_seed(0))
    x[:, :, :8], x[:, :, 8:16] = i, f
    x[:, 5:, :16] *= torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])[:, None]
    x.requires_grad_()
    mask = torch.ones(3, 10, dtype=torch.bool)
    mask[1, :4], mask[2] = False, False
    output, state = layer(x, mask=mask)
    named = dict(layer.named_parameters())
    gradients = torch.autograd.grad(weigh(output, [state.h, state.c, state.n]), [x, *named.values()])
    assert all(value.isfinite().all() for value in (output, state.h, state.c, state.n, *gradients))
    assert not output[2].any()
    assert (output[0].abs() <= 1).all()


@needs_compiler
@pytest.mark.parametrize("heads", HEADS)
def test_heads_compile(heads):
    """Blocks are laid out as one matrix; their gradients come back as blocks."""
    found = []
    x = random_input(SLSTM(3, 8), steps=9).float()
    for backend in ("compiled", "eager"):
        layer = randomise(Layer(SLSTM(3, 8, heads=heads), backend=backend))
        output, state = layer(x)
        named = dict(layer.named_parameters())
        found.append([output, *state, *torch.autograd.grad(weigh(output, state), [*named.values()])])
    assert all(a.shape == b.shape and far(a, b) < 1e-5 for a, b in zip(*found, strict=True))


def test_heads_do_not_see_each_other():
    cell = layer_of(heads=4).cell
    h = torch.randn(5, 8, dtype=torch.float64)
    other = h.clone()
    other[:, 2:4] += 1
    moved = (cell.U(other) - cell.U(h)).unflatten(1, (4, 4, 2)).abs().amax((0, 1, 3))
    assert moved[1] > 0.1
    assert not moved[[0, 2, 3]].any()
    assert far(h @ cell.U.whole().T, cell.U(h)) < 1e-14


@pytest.mark.parametrize("heads", HEADS)
def test_parameters_are_fewer_with_heads(heads):
    assert count_params(SLSTM(3, 8, heads=heads, biases=2)) == 4 * 8 * (3 + 8 // heads) + 2 * 4 * 8


def test_each_head_starts_on_its_own():
    weight = SLSTM(3, 8, heads=2, init="glorot").U.weight.detach()
    for block in weight.split(4):
        assert far(block @ block.T, torch.eye(4)) < 1e-5, "orthogonal"
    assert torch.equal(SLSTM(3, 8, heads=2, init="identity").U.weight, torch.eye(4).repeat(8, 1))


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match=r"heads must divide hidden_size: 6 features cannot be cut into 4"):
        SLSTM(3, 6)
    with pytest.raises(ValueError, match="heads must be 1 with the operator conv2d"):
        SLSTM(3, 8, operator=Conv2d(3))


def test_on_frames():
    """With one head it is a convolutional cell like any other."""
    layer = Layer(SLSTM(2, 4, heads=1, biases=1, operator=Conv2d(3)), backend="eager")
    output, state = layer(torch.randn(2, 3, 2, 5, 4))
    assert output.shape == (2, 3, 4, 5, 4)
    assert output.isfinite().all()
    assert state.m.shape == state.h.shape


def test_bfloat16():
    """Under autocast and in bfloat16 itself, from the state that begins with -infinity."""
    net = build_stack(lambda i, h: SLSTM(i, h), 3, 8, layers=2)
    x = torch.randn(2, 6, 3)
    wanted, _ = net(x)
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = net(x)
    low, _ = net.bfloat16()(x.bfloat16())
    assert far(cast.float(), wanted) < 0.05
    assert far(low.float(), wanted) < 0.05


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu():
    layer = layer_of()
    x = random_input(layer.cell, steps=20)
    wanted, state = layer(x)
    output, found = layer.cuda()(x.cuda())
    assert far(output.cpu(), wanted) < 1e-12
    assert all(far(a.cpu(), b) < 1e-12 for a, b in zip(found, state, strict=True))
