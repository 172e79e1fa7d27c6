"""Cells of a user's own that do more than `step`: a start, fields, an operator or a hoist that no cell here has."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn, tanh
from torch.nn import functional as F

from rnnbench.nn import LSTM, RNN, Cell, Column, Conv2d, Layer, Map, Rollout, build_stack

X = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
FRAMES = torch.randn(2, 3, 3, 4, 5, generator=torch.Generator().manual_seed(1))


class Learned(RNN):
    """Starts at one."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.start = nn.Parameter(torch.ones(self.hidden_size))

    def zero_state(self, batch, space, like):
        return self.State(self.start.reshape(-1, *(1,) * len(space)).expand(batch, -1, *space))


class TwoSizes(NamedTuple):
    h: Tensor  # (B, H)
    c: Tensor  # (B, 4 H)


class Projected(Cell):
    """A cell state that is wider than h."""

    State = TwoSizes

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.W = self.input_map("a b c d")
        self.down = nn.Linear(4 * self.hidden_size, self.hidden_size)

    def zero_state(self, batch, space, like):
        return TwoSizes(like.new_zeros(batch, self.hidden_size), like.new_zeros(batch, 4 * self.hidden_size))

    def step(self, wx, state):
        c = 0.5 * state.c + tanh(wx)
        h = tanh(self.down(c)) + state.h
        return h, TwoSizes(h, c)


class InPlace(Cell):
    """Writes into the state that it is given, which it should not."""

    State = LSTM.State

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.W, self.U = self.input_map("g"), self.hidden_map("g")

    def step(self, wx, state):
        c = state.c.add_(tanh(wx))
        h = tanh(self.U(c))
        return h, self.State(h, c)


class VolumeMap(Map):
    def __init__(self, in_size, out_size, gates, **options):
        super().__init__(in_size, out_size, gates, weight_shape=(in_size, 3, 3, 3), **options)

    def product(self, x, bias):
        return F.conv3d(x, self.weight, bias, padding=1)


class Conv3d:
    name, space_dims, kernel_size = "conv3d", 3, 3

    def map(self, in_size, out_size, gates, *, role, **options):
        return VolumeMap(in_size, out_size, gates, **options)


class Beside(RNN):
    """Hoists x itself beside its product."""

    def hoist(self, x):
        return torch.cat([super().hoist(x), x], 2)

    def step(self, wx, state):
        return super().step(wx[:, : self.hidden_size], state)


def in_pieces(layer, x):
    first, state = layer(x[:, :2])
    return torch.cat([first, layer(x[:, 2:], state)[0]], 1)


@pytest.mark.parametrize("operator", [None, Conv2d(3)])
@pytest.mark.parametrize("biases", [1, 2])
def test_a_start_that_is_learned_is_not_taken_for_zero(operator, biases):
    layer = Layer(Learned(3, 4, operator=operator, biases=biases))
    x = FRAMES if operator else X
    state = layer.cell.zero_state(len(x), x.shape[3:], x)
    output, _ = layer(x)
    assert torch.equal(output, layer(x, layer.cell.State(state.h.clone()))[0])
    output.sum().backward()
    assert layer.cell.start.grad.any()
    assert torch.allclose(in_pieces(layer, x), output, atol=1e-6)


def test_a_rollout_starts_where_its_cells_do():
    net = Rollout(lambda i, h: Learned(i, h, operator=Conv2d(3), biases=1), (3, 4, 5), [4, 4], steps=2)
    net(FRAMES).sum().backward()
    assert all(layer.cell.start.grad.any() for layer in net.column.layers)


def test_fields_of_other_sizes_are_those_of_the_start():
    layer = Layer(Projected(3, 4))
    assert torch.allclose(in_pieces(layer, X), layer(X)[0], atol=1e-6)
    with pytest.raises(ValueError, match=r"expected c of the state of Projected of shape \(2, 16\), got \(2, 4\)"):
        layer(X, (torch.zeros(2, 4),) * 2)


def test_zeros_that_a_cell_writes_into_are_known_no_more():
    layer = Layer(InPlace(3, 4, operator=Conv2d(3), biases=1))
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            state = layer.cell.zero_state(2, (4, 5), FRAMES)
            assert torch.equal(layer(FRAMES)[0], layer(FRAMES, state)[0])


def test_an_operator_of_three_dimensions():
    x = torch.randn(2, 3, 3, 4, 4, 2)
    stack = build_stack(lambda i, h: LSTM(i, h, operator=Conv3d()), 3, 4, layers=2)
    assert stack(x)[0].shape == (2, 3, 4, 4, 4, 2)
    with pytest.raises(ValueError, match=r"expected x of shape \(B, T, 3, D, H, W\), got \(2, 3, 3, 4, 4\)"):
        stack(x[..., 0])


def test_a_hoist_of_its_own_is_stepped():
    layer = Layer(Beside(3, 4))
    wanted = layer(X)[0][:, 0]
    (output,), _ = Column([layer]).step(layer.cell.hoist(X[None, :, 0])[0], None, hoisted=True)
    assert torch.allclose(output, wanted, atol=1e-6)
