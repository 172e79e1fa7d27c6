"""The antisymmetric RNN: what its matrix is, whatever is learned. Its equations: tests/properties."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from registry import far, random_input, random_state, randomise, weigh
from rnnbench.nn import Antisymmetric, AntisymmetricGated, Conv2d, Layer, count_params, start

BOTH = pytest.mark.parametrize("kind", [Antisymmetric, AntisymmetricGated])


@BOTH
@pytest.mark.parametrize("gamma", [0.0, 0.3])
def test_the_eigenvalues_have_one_real_part_before_and_after_training(kind, gamma):
    layer = Layer(kind(3, 6, gamma=gamma, epsilon=0.5), backend="eager").double()
    start(layer, 0)
    before = layer.cell.M.matrix().detach()
    for _ in range(5):
        loss = weigh(layer(random_input(layer.cell))[0])
        for parameter, gradient in zip(
            layer.parameters(), torch.autograd.grad(loss, [*layer.parameters()]), strict=True
        ):
            parameter.data -= 0.1 * gradient
    after = layer.cell.M.matrix().detach()
    assert far(before, after) > 0.1
    for M in (before, after):
        assert far(M + M.T, -2 * gamma * torch.eye(6).double()) < 1e-15
        assert (torch.linalg.eigvals(M).real + gamma).abs().max() < 1e-12


def test_only_what_counts_is_stored():
    assert count_params(Antisymmetric(5, 7)) == 7 * 5 + 7 * 6 // 2 + 7
    assert count_params(AntisymmetricGated(5, 7)) == 2 * 7 * 5 + 7 * 6 // 2 + 2 * 7
    assert set(Antisymmetric(5, 7).state_dict()) == {"W.weight", "W.bias", "M.triangle"}


def test_it_starts_as_the_part_below_the_diagonal_of_a_matrix_that_starts_so():
    torch.manual_seed(0)
    M = Antisymmetric(3, 50, gamma=0.0, init="glorot").M
    torch.manual_seed(0)
    A = torch.nn.init.orthogonal_(torch.empty(50, 50))
    M.reset_parameters()
    torch.manual_seed(0)
    M.reset_parameters()
    assert torch.equal(M.matrix().tril(-1), A.tril(-1))
    assert not Antisymmetric(3, 4, init="identity").M.triangle.any()


def test_one_unit_has_nothing_to_be_coupled_with():
    layer = randomise(Layer(Antisymmetric(3, 1, gamma=0.5), backend="eager").double())
    assert layer.cell.M.triangle.numel() == 0
    assert layer.cell.M.matrix().tolist() == [[-0.5]]
    weigh(layer(random_input(layer.cell))[0]).backward()


@BOTH
def test_a_small_step_is_the_differential_equation(kind):
    """Half the step and twice the number of steps: the difference is halved, as of Euler's method."""
    ends = []
    for halvings in range(4):
        cell = randomise(kind(3, 4, epsilon=0.1 / 2**halvings).double())
        x = random_input(cell, steps=1).expand(3, 10 * 2**halvings, 3)
        ends.append(Layer(cell, backend="eager")(x, random_state(cell))[0][:, -1])
    moved = [(a - b).abs().max().item() for a, b in pairwise(ends)]
    for coarse, fine in pairwise(moved):
        assert coarse / fine == pytest.approx(2, rel=0.15)


@BOTH
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"epsilon": 0}, r"^epsilon must be a positive number, not 0$"),
        ({"epsilon": float("nan")}, r"^epsilon must be a positive number, not nan$"),
        ({"gamma": -0.1}, r"^gamma must be 0 or a positive number, not -0\.1$"),
        ({"biases": 2}, r"^biases must be 0 \(none\) or 1 \(in W\), not 2: Antisymmetric(Gated)? has no place for a"),
        ({"operator": Conv2d(3)}, r"takes vectors \(operator dense\), not Conv2d\(3, 3\)$"),
    ],
)
def test_wrong_options(kind, options, why):
    with pytest.raises(ValueError, match=why):
        kind(3, 4, **options)


@BOTH
def test_torchrecurrent_computes_the_same_with_more_numbers(kind):
    """torchrecurrent 0.2.5 stores all of A. Its second bias, zero here, its gated cell adds to the candidate alone."""
    library = pytest.importorskip("torchrecurrent")
    made = {Antisymmetric: library.AntisymmetricRNNCell, AntisymmetricGated: library.GatedAntisymmetricRNNCell}[kind]
    theirs, cell = made(3, 4, epsilon=0.3, gamma=0.2).double(), randomise(kind(3, 4, epsilon=0.3, gamma=0.2).double())
    with torch.no_grad():
        theirs.weight_ih.copy_(cell.W.weight)
        theirs.bias_ih.copy_(cell.W.bias)
        theirs.bias_hh.zero_()
        theirs.weight_hh.copy_(cell.M.matrix().tril(-1))
    x, begin = random_input(cell, steps=20), random_state(cell)
    output, _ = Layer(cell, backend="eager")(x, begin)
    h = begin.h
    for t in range(20):
        h = theirs(x[:, t], h)
        assert far(output[:, t], h) < 1e-12
