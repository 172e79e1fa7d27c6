"""What the probe measures is what the literal equations give, and it leaves nothing behind."""

from __future__ import annotations

import pytest
import torch

from registry import CELLS, build
from rnnbench.nn import LSTM, Layer, Peephole, tracing
from rnnbench.nn.probe import HIGH, LOW, probing


def literal_gates(cell, x):
    """Every step's i, f, o and |c| maximum of an LSTM, from its weights, gate by gate."""
    W, U, b = (m.split(cell.hidden_size) for m in (cell.W.weight, cell.U.weight, cell.W.bias + cell.U.bias))
    h = c = torch.zeros(x.shape[0], cell.hidden_size, dtype=x.dtype)
    gates, largest = {"i": [], "f": [], "o": []}, []
    for t in range(x.shape[1]):
        a = [x[:, t] @ W[k].T + h @ U[k].T + b[k] for k in range(4)]
        w = cell.peephole.w
        i, f = (1 / (1 + torch.exp(-(a[k] + w[g] * c))) for k, g in ((0, "i"), (1, "f")))
        c = f * c + i * torch.tanh(a[2])
        o = 1 / (1 + torch.exp(-(a[3] + w["o"] * c)))
        h = o * torch.tanh(c)
        for name, gate in zip("ifo", (i, f, o), strict=True):
            gates[name].append(gate)
        largest.append(c.abs().max().item())
    return {name: torch.stack(values) for name, values in gates.items()}, largest


@pytest.mark.parametrize("reverse", [False, True])
def test_saturation_and_the_cell_states_size_are_the_literal_ones(reverse):
    torch.manual_seed(0)
    layer = Layer(LSTM(3, 5, peephole=Peephole(start="normal")), reverse=reverse).double()
    with torch.no_grad():
        for p in layer.parameters():
            p *= 6  # many gates are saturated
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    with torch.no_grad():
        gates, largest = literal_gates(layer.cell, x.flip(1) if reverse else x)
    with tracing(layer), probing(layer) as inside:
        layer(x)
    found = inside[""]
    assert set(found.saturation) == {"i", "f", "o"}
    for name, gate in gates.items():
        low, high = (gate < LOW).double().mean().item(), (gate > HIGH).double().mean().item()
        assert found.saturation[name] == {"low": pytest.approx(low), "high": pytest.approx(high)}
        assert low > 0.02
        assert high > 0.02
    assert found.cell_state_max == pytest.approx(largest, rel=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_names_its_sigmoids_and_is_left_as_it_was(name):
    layer = Layer(build(name, "off", 3, 4), backend="eager")
    x = torch.randn(2, 3, 3, *(4, 5)[: 2 * (layer.cell.operator.space_dims > 0)])
    before, _ = layer(x)
    with tracing(layer), probing(layer) as inside:
        during, _ = layer(x)
    after, _ = layer(x)
    assert during.equal(before)
    assert after.equal(before)
    assert "step" not in vars(layer.cell)
    assert set(inside[""].saturation) == set(layer.cell.gates)
    has_c = "c" in layer.cell.State._fields
    assert len(inside[""].cell_state_max) == (3 if has_c else 0)


def test_an_error_inside_restores_the_cell():
    layer = Layer(LSTM(3, 4))
    with pytest.raises(ZeroDivisionError), probing(layer):
        raise ZeroDivisionError
    assert "step" not in vars(layer.cell)
