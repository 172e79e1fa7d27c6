"""The three layer norms of an LSTM: which is which, where c is normalised, and who may have them."""

import pytest
import torch
from torch import sigmoid, tanh
from torch.nn.functional import layer_norm

from registry import CELLS, CONF, build, far, randomise
from rnnbench.nn import GRU, LSTM, RNN, Conv2d, OdysseyLSTM, count_params
from rnnbench.nn.cells.lstm import LSTMState

H = 4
X = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
STATE = LSTMState(*torch.rand(2, 3, H, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


def made(norm, **options):
    return randomise(LSTM(5, H, norm=norm, **{"biases": 1} | options).double(), "norms")


def stepped(cell):
    return cell.step(cell.given(X), STATE)


def test_layer_4h_is_the_papers_lines():
    """By torch's layer_norm over all 4 H, which the cell does not use, and the paper's gains and biases."""
    cell = made("layer_4h", biases=2)
    of_x = layer_norm(X @ cell.W.weight.T, (4 * H,), cell.W.gain, cell.W.bias)
    of_h = layer_norm(STATE.h @ cell.U.weight.T, (4 * H,), cell.U.gain, cell.U.bias)
    i, f, g, o = (of_x + of_h).chunk(4, 1)
    c = sigmoid(f) * STATE.c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(layer_norm(c, (H,), cell.norm_c.gain, cell.norm_c.bias))
    output, after = stepped(cell)
    assert far(output, h) < 1e-14
    assert far(after.c, c) < 1e-14, "the carried c is not normalised"


def test_carry_is_torchs_example_and_carries_the_normalised_c():
    cell, paper = made("layer_4h_carry"), made("layer_4h")
    paper.load_state_dict(cell.state_dict())
    output, after = stepped(cell)
    plain = stepped(paper)[1].c
    assert far(after.c, layer_norm(plain, (H,), cell.norm_c.gain, cell.norm_c.bias)) < 1e-14
    assert far(output, stepped(paper)[0]) < 1e-14, "the first step's h is the same, the next one's is not"
    x = cell.given(X)
    assert far(cell.step(x, after)[0], paper.step(x, stepped(paper)[1])[0]) > 1e-3


def test_the_norm_by_gate_is_another_one():
    layer, both = made("layer"), made("layer_4h")
    both.load_state_dict(layer.state_dict(), strict=False)
    assert far(layer.given(X), both.given(X)) > 1e-3


@pytest.mark.parametrize(("biases", "more"), [(0, 9), (1, 10), (2, 10)])
def test_parameters(biases, more):
    plain = count_params(LSTM(5, H, biases=biases))
    assert count_params(LSTM(5, H, biases=biases, norm="layer")) == plain + 8 * H
    for norm in ("layer_4h", "layer_4h_carry"):
        assert count_params(LSTM(5, H, biases=biases, norm=norm)) == plain + more * H


def test_of_equal_gates_nothing_is_not_a_number():
    cell = made("layer_4h")
    torch.nn.init.zeros_(cell.W.weight)
    output, state = cell.step(cell.given(X), cell.zero_state(3, (), X))
    assert all(torch.isfinite(each).all() for each in (output, *state))


@pytest.mark.parametrize("make", [GRU, RNN, OdysseyLSTM])
def test_other_cells_refuse_them(make):
    with pytest.raises(ValueError, match=rf"unknown norm 'layer_4h'; known: layer, or null.*{make.__name__}"):
        make(5, H, norm="layer_4h")


def test_the_yamls_that_name_them_take_them():
    for name in CELLS:
        named = "layer_4h_carry" in (CONF / "cell" / f"{name}.yaml").read_text()
        assert named == ("layer_4h_carry" in build(name).norms), name


def test_frames_are_normalised_over_channels_and_pixels():
    cell = made("layer_4h", operator=Conv2d(3))
    torch.nn.init.zeros_(cell.W.bias)
    torch.nn.init.ones_(cell.W.gain)
    a = cell.W(torch.randn(2, 5, 3, 4, dtype=torch.float64))
    assert a.flatten(1).mean(1).abs().max() < 1e-12
    assert (a.flatten(1).var(1, unbiased=False) - 1).abs().max() < 1e-3
