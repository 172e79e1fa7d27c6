"""MUT1, MUT2, MUT3: the counts of a library, and which cells they equal. Their equations: tests/properties."""

from __future__ import annotations

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import MUT1, MUT2, MUT3, GRUCho, Layer, count_params


def test_counts():
    """torchrecurrent 0.2.5's, with both biases; MUT2 and MUT3 have as many as a GRU."""
    assert count_params(MUT1(32, 16)) == 2128
    assert count_params(MUT2(32, 16)) == count_params(MUT3(32, 16)) == count_params(GRUCho(32, 16)) == 2400


def test_mut2_is_chos_gru_with_z_the_other_way_round():
    cell, other = randomise(MUT2(3, 4).double()), GRUCho(3, 4).double()
    with torch.no_grad():
        for mine, theirs in ((cell.W, other.W), (cell.U, other.U)):  # rows: z r n, and r z n of the other
            for part in ("weight", "bias"):
                z, r, *n = getattr(mine, part).chunk(3 if mine is cell.W else 2)
                getattr(theirs, part).copy_(torch.cat([r, -z, *n]))
    other.U_n.load_state_dict(cell.U_n.state_dict())
    x, (h,) = random_input(cell), random_state(cell)
    output, _ = Layer(cell, backend="eager")(x, cell.State(h))
    assert far(output, Layer(other, backend="eager")(x, other.State(h))[0]) < 1e-12


def test_the_update_gate_of_mut1_sees_the_input_alone():
    """Where it is closed the state stays, whatever it was."""
    cell = randomise(MUT1(3, 4).double())
    with torch.no_grad():
        cell.W.bias[:4] = -1e3
        cell.W.weight[:4] = 0
    begin = random_state(cell)
    output, state = Layer(cell, backend="eager")(random_input(cell), begin)
    assert torch.equal(output[:, -1], begin.h)
    assert torch.equal(state.h, begin.h)


def test_the_biases_of_mut1s_candidate_are_within_the_inner_tanh_and_outside_it():
    cell = randomise(MUT1(3, 4).double())
    with torch.no_grad():
        cell.W.bias[:4] = 1e3  # z = 1: h = n
        cell.U_n.weight.zero_()
    x, begin = random_input(cell, steps=1)[:, 0], random_state(cell)
    inner = torch.tanh(x @ cell.W.weight[8:].T + cell.W.bias[8:])
    assert far(cell.step(cell.W(x), begin)[0], torch.tanh(inner + cell.U_n.bias)) < 1e-12


@pytest.mark.parametrize(("kind", "maps"), [(MUT1, ["U", "U_n"]), (MUT2, ["U", "U_n"]), (MUT3, ["U_z", "U", "U_n"])])
def test_torchrecurrent_computes_the_same(kind, maps):
    theirs = getattr(pytest.importorskip("torchrecurrent"), f"{kind.__name__}Cell")(3, 4).double()
    cell = randomise(kind(3, 4).double())
    with torch.no_grad():
        for part in ("weight", "bias"):
            getattr(theirs, f"{part}_ih").copy_(getattr(cell.W, part))
            getattr(theirs, f"{part}_hh").copy_(torch.cat([getattr(getattr(cell, name), part) for name in maps]))
    x, begin = random_input(cell, steps=20), random_state(cell)
    output, _ = Layer(cell, backend="eager")(x, begin)
    h = begin.h
    for t in range(20):
        h = theirs(x[:, t], h)
        assert far(output[:, t], h) < 1e-12
