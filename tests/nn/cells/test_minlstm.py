"""The minimal LSTM: its share of h' by logarithms, and a carried state."""

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import Layer, MinLSTM, count_params


def test_the_share_by_logarithms_is_the_quotient():
    """f / (f + i), also where a quotient of float64 sigmoids still has its digits: within 30 of zero."""
    cell = MinLSTM(1, 1)
    a = torch.linspace(-30, 30, 61, dtype=torch.float64)
    f, i = (each.reshape(-1, 1) for each in torch.meshgrid(a, a, indexing="ij"))
    share, rest = cell.terms(torch.cat([f, i, torch.ones_like(f)], 1))
    wanted = torch.sigmoid(f) / (torch.sigmoid(f) + torch.sigmoid(i))
    assert (share - wanted).abs().max() < 1e-15
    assert (rest - (1 - wanted)).abs().max() < 1e-15


def test_gates_that_are_both_shut_share_still():
    """In float32 s(-120) is 0, and the quotient 0 / 0."""
    share, _ = MinLSTM(1, 1).terms(torch.tensor([[-120.0, -120.0, 1.0], [-119.0, -120.0, 1.0]]))
    assert torch.equal(share[:1], torch.tensor([[0.5]]))
    assert far(share[1:], torch.tensor([[1.0]]).sigmoid()) < 1e-6


def test_h_is_a_mean_of_what_it_has_seen():
    """Every h lies between the least and the largest of h_0 and the candidates so far."""
    layer = randomise(Layer(MinLSTM(3, 4), backend="eager").double())
    x, begin = random_input(layer.cell, steps=20), random_state(layer.cell)
    output, _ = layer(x, begin)
    v = layer.cell.W.split(layer.cell.W(x.flatten(0, 1))).v.unflatten(0, x.shape[:2])
    seen = torch.cat([begin.h[:, None], v], 1)
    assert (output <= seen.cummax(1).values[:, 1:]).all()
    assert (output >= seen.cummin(1).values[:, 1:]).all()


def test_the_log_form_is_positive_and_another_function():
    plain, log = (randomise(Layer(MinLSTM(3, 4, log=log), backend="eager").double()) for log in (False, True))
    x = random_input(plain.cell)
    assert (log(x)[0] > 0).all()
    assert (plain(x)[0] < 0).any()


def test_three_quarters_of_an_lstms_input_weights():
    assert count_params(MinLSTM(10, 20)) == 3 * 20 * (10 + 1)


def test_public_code_is_equal_but_for_a_carried_state():
    """minGRU-pytorch, whole: equal. Its second chunk sends the carried h through g once more, ours does not."""
    public = pytest.importorskip("minGRU_pytorch.minLSTM").minLSTM(4).double()
    layer = Layer(MinLSTM(4, 4, biases=0, log=True), backend="eager").double()
    v, f, i = public.to_hidden_and_f_i_gate.weight.detach().chunk(3)
    with torch.no_grad():
        layer.cell.W.weight.copy_(torch.cat([f, i, v]))
    x = random_input(layer.cell)
    whole, begin = public(x), layer(x[:, :3])[1]
    assert far(layer(x)[0], whole) < 1e-12
    assert far(layer(x[:, 3:], begin)[0], whole[:, 3:]) < 1e-12
    carried, _ = public(x[:, 3:], whole[:, 2:3], return_next_prev_hidden=True)
    assert far(carried, whole[:, 3:]) > 0.01
