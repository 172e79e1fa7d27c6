"""The linear recurrent unit: its start, its paper's counts, what is linear in it and what the layer around it adds."""

import math

import pytest
import torch

from registry import far, random_input, random_state, randomise
from rnnbench.nn import LRU, Layer, count_params, start


def lam(cell):
    return torch.polar(torch.exp(-torch.exp(cell.nu)), torch.exp(cell.theta))


@pytest.mark.parametrize(("r_min", "r_max", "phase"), [(0.0, 1.0, 6.28), (0.9, 0.999, math.pi / 10)])
def test_the_start_is_uniform_on_the_ring(r_min, r_max, phase):
    cell = LRU(4, 1500, r_min=r_min, r_max=r_max, max_phase=phase) if r_min else LRU(4, 1500)
    start(cell, 0)
    size, angle = lam(cell).abs(), torch.exp(cell.theta)
    assert (size >= r_min - 1e-6).all()
    assert (size <= r_max).all()
    assert (angle <= phase).all()
    share = (size**2 - r_min**2) / (r_max**2 - r_min**2)  # of the ring's area within |L|: uniform in (0, 1)
    for uniform in (share, angle / phase):
        assert abs(uniform.mean() - 0.5) < 0.02
        assert abs(uniform.var() - 1 / 12) < 0.01


def test_a_white_input_gives_a_state_of_size_one_at_the_start():
    """E |h|^2 = 1 of each number of h, once the slowest has settled."""
    layer = Layer(LRU(64, 64, r_max=0.95), backend="auto")
    start(layer, 0)
    x = torch.randn(200, 150, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, state = layer(x)
    assert abs(64 * state.h.square().mean() / 32 - 1) < 0.1


def test_it_is_linear_from_end_to_end_and_the_layer_is_not():
    for option, linear in ((False, True), (True, False)):
        layer = randomise(Layer(LRU(4, 4, layer=option), backend="eager").double())
        x, y = random_input(layer.cell), random_input(layer.cell, key="other")
        apart = far(layer(2 * x - 3 * y)[0], 2 * layer(x)[0] - 3 * layer(y)[0])
        assert (apart < 1e-12) == linear


def test_where_inputs_are_as_many_as_units_x_itself_is_read():
    """Against the paper's lines in complex numbers."""
    cell = randomise(LRU(4, 4).double())
    x, begin = random_input(cell), random_state(cell)
    B, C = (torch.complex(*w.chunk(2, n)) for n, w in ((0, cell.W.weight), (1, cell.C.weight)))
    h, outputs = torch.complex(*begin.h.chunk(2, 1)), []
    for t in range(x.shape[1]):
        u = x[:, t]
        h = lam(cell) * h + torch.exp(cell.gamma) * (u.to(B.dtype) @ B.T)
        outputs.append((h @ C.T).real + cell.D * u)
    output, state = Layer(cell, backend="eager")(x, begin)
    assert far(output, torch.stack(outputs, 1)) < 1e-12
    assert far(state.h, torch.cat([h.real, h.imag], 1)) < 1e-12


def test_parameters():
    """The paper's 3 N + 2 N I + 2 N O + O with all sizes H, and a map in front where I is another."""
    assert count_params(LRU(20, 20)) == 3 * 20 + 2 * 20 * 20 + 2 * 20 * 20 + 20
    assert count_params(LRU(10, 20)) == count_params(LRU(20, 20)) + 20 * (10 + 1)
    assert count_params(LRU(20, 20, layer=True)) == count_params(LRU(20, 20)) + 2 * 20 + 2 * 20 * (20 + 1)


def test_it_never_grows_whatever_nu_is():
    cell = LRU(4, 4)
    with torch.no_grad():
        cell.nu.copy_(torch.tensor([-20.0, -3.0, 0.0, 5.0]))
    assert (lam(cell).abs() <= 1).all()


def test_bad_rings():
    for r_min, r_max, phase in ((0.9, 0.9, 1.0), (0.0, 1.1, 1.0), (-0.1, 1.0, 1.0), (0.0, 1.0, 0.0)):
        with pytest.raises(ValueError, match="a ring needs 0 <= r_min < r_max <= 1 and max_phase > 0, not"):
            LRU(3, 4, r_min=r_min, r_max=r_max, max_phase=phase)
