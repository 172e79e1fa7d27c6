"""nn.peephole: what each option changes, in value and in gradient, and what it must not."""

import pytest
import torch

from registry import far, random_input, random_state, randomise, weigh
from rnnbench.nn import LSTM, Layer, OdysseyLSTM, Peephole
from rnnbench.nn.peephole import OFF, NoPeep


def lstm(key="", **options):
    """An LSTM with random weights; the same ones for every option of the same gates."""
    return randomise(LSTM(3, 4, peephole=Peephole(**options)).double(), key)


def one_step(cell, *, c=None):
    """(h, c) after a step from a random state, with the initial c as a leaf."""
    begin = random_state(cell)
    c = (begin.c if c is None else c).clone().requires_grad_()
    _, state = cell.step(cell.hoist(random_input(cell)[:, 0]), begin._replace(c=c))
    return state, c


# options


@pytest.mark.parametrize(
    ("field", "known"),
    [
        ("shape", "none, per_channel"),
        ("output_sees", "current, previous"),
        ("gradient", "full, detach"),
        ("start", "zero, uniform, uniform01, normal"),
    ],
)
def test_unknown_options_are_named(field, known):
    with pytest.raises(ValueError, match=rf"unknown peephole\.{field} 'x'; known: {known}"):
        Peephole(**{field: "x"})


def test_only_ifo_see_the_cell():
    with pytest.raises(ValueError, match=r"peephole\.gates has g, z; only i, f and o"):
        Peephole(gates=["z", "i", "g"])


@pytest.mark.parametrize("gates", [["i"], ["f", "o"], ["o", "f", "i"]])
def test_one_vector_a_gate(gates):
    peep = Peephole(gates=gates).make(4, "i f o", 0)
    assert {name: tuple(p.shape) for name, p in peep.named_parameters()} == {f"w.{g}": (4,) for g in gates}


def test_one_number_a_channel_on_frames():
    peep = randomise(Peephole().make(4, "i f o", 2))
    assert all(p.shape == (4, 1, 1) for p in peep.parameters())
    c = torch.randn(2, 4, 5, 6)
    a = torch.randn(2, 4, 5, 6)
    assert torch.equal(peep("f", a, c)[1, 2], a[1, 2] + peep.w["f"][2, 0, 0] * c[1, 2])


def test_gates_that_the_cell_lacks_are_left_out():
    cell = OdysseyLSTM(3, 4, edit="nfg", peephole=Peephole())
    assert cell.peephole.seen == {"i", "o"}
    assert isinstance(OdysseyLSTM(3, 4, edit="nog", peephole=Peephole(gates=["o"])).peephole, NoPeep)


@pytest.mark.parametrize("off", [OFF, Peephole(shape="none", start="normal"), Peephole(gates=[])])
def test_off_costs_nothing(off):
    cell = LSTM(3, 4, peephole=off)
    assert isinstance(cell.peephole, NoPeep)
    assert not list(cell.peephole.parameters())
    assert set(cell.state_dict()) == {"W.weight", "W.bias", "U.weight", "U.bias"}
    a, c = torch.ones(2, 4), torch.ones(2, 4)
    assert all(cell.peephole(gate, a, c) is a for gate in "ifo")
    assert cell.peephole.output_source(a, c) is c
    cell.peephole.reset_parameters()
    assert repr(cell.peephole) == "NoPeep(off)"


def test_a_gate_that_does_not_see_c_keeps_its_preactivation():
    peep = randomise(Peephole(gates=["o"]).make(4, "i f o", 0))
    a, c = torch.randn(2, 4), torch.randn(2, 4)
    assert peep("i", a, c) is a
    assert torch.equal(peep("o", a, c), a + peep.w["o"] * c)


def test_repr_names_the_gates():
    assert "gates=f i" in repr(Peephole(gates=["i", "f"]).make(4, "i f o", 0))


# starts


@pytest.mark.parametrize(
    ("start", "low", "high", "mean", "std"),
    [
        ("uniform", -0.01, 0.01, 0, 0.01 / 3**0.5),
        ("uniform01", 0, 1, 0.5, 1 / 12**0.5),
        ("normal", -6, 6, 0, 1),
    ],
)
def test_starts(start, low, high, mean, std):
    torch.manual_seed(0)
    peep = Peephole(start=start).make(10_000, "i f o", 0)
    for w in peep.parameters():
        w = w.detach()
        assert low <= w.min()
        assert w.max() <= high
        assert w.mean().item() == pytest.approx(mean, abs=0.05 * std)
        assert w.std().item() == pytest.approx(std, rel=0.05)
    assert not torch.equal(peep.w["i"], peep.w["f"])


def test_zero_start():
    peep = Peephole().make(10, "i f o", 0)
    randomise(peep)
    peep.reset_parameters()
    assert not any(w.any() for w in peep.parameters())


# output_sees


def test_the_output_gate_sees_the_new_or_the_old_cell():
    """From a zero cell state the old one hides p_o, the new one does not."""
    for source, seen in (("current", True), ("previous", False)):
        cell = lstm(output_sees=source)
        zero = torch.zeros(3, 4, dtype=torch.float64)
        (h, _), _ = one_step(cell, c=zero)
        with torch.no_grad():
            cell.peephole.w["o"] += 1
        (other, _), _ = one_step(cell, c=zero)
        assert (far(h, other) > 1e-3) is seen


@pytest.mark.parametrize(("source", "learns_at_once"), [("current", "o"), ("previous", "")])
def test_what_learns_from_the_first_step(source, learns_at_once):
    """C_0 = 0, so p_i and p_f get no gradient before the second step, and p_o only where it sees the new cell."""
    layer = Layer(lstm(output_sees=source), backend="eager")
    x = random_input(layer.cell)
    for steps, learning in ((1, set(learns_at_once)), (2, set("ifo"))):
        layer.zero_grad()
        weigh(layer(x[:, :steps])[0]).backward()
        assert {gate for gate, w in layer.cell.peephole.w.items() if w.grad.any()} == learning


# gradient


def test_detach_changes_no_value():
    x = random_input(lstm())
    full, cut = (Layer(lstm(gradient=g), backend="eager")(x)[0] for g in ("full", "detach"))
    assert torch.equal(full, cut)


def test_detach_cuts_the_gradient_through_the_peephole():
    """dc_1/dc_0 is f alone with the rule, and f + c_0 f(1-f) p_f + g i(1-i) p_i without it."""
    for rule in ("full", "detach"):
        cell = lstm(gradient=rule)
        state, c = one_step(cell)
        (got,) = torch.autograd.grad(state.c.sum(), c)
        begin = random_state(cell)
        a = cell.U.split(cell.hoist(random_input(cell)[:, 0]) + cell.U(begin.h))
        p = cell.peephole.w
        i, f = torch.sigmoid(a.i + p["i"] * begin.c), torch.sigmoid(a.f + p["f"] * begin.c)
        through = begin.c * f * (1 - f) * p["f"] + torch.tanh(a.g) * i * (1 - i) * p["i"]
        assert far(got, f if rule == "detach" else f + through) < 1e-12
        assert through.abs().min() > 1e-4


def test_detach_cuts_the_output_gate_too():
    """dh_1/dc_1 = o (1 - tanh(c_1)^2): the way through p_o is closed."""
    cell = lstm(gradient="detach", gates=["o"])
    state, c = one_step(cell)
    (by_h,) = torch.autograd.grad(state.h.sum(), c, retain_graph=True)
    (by_c,) = torch.autograd.grad(state.c.sum(), c)
    o = state.h / torch.tanh(state.c)
    assert far(by_h, by_c * o * (1 - torch.tanh(state.c) ** 2)) < 1e-12
    full, c_full = one_step(lstm(gradient="full", gates=["o"]))
    (by_h_full,) = torch.autograd.grad(full.h.sum(), c_full)
    assert far(by_h_full, by_h) > 1e-3


def test_detached_peepholes_still_learn():
    """In one step nothing but the peephole stands between w and the loss: w has the gradient of the full rule."""
    grads = {}
    for rule in ("full", "detach"):
        cell = lstm(gradient=rule, gates=["i", "f"])
        state, _ = one_step(cell)
        weigh(state.h).backward()
        grads[rule] = {g: w.grad for g, w in cell.peephole.w.items()}
    for gate in "if":
        assert (grads["detach"][gate] != 0).all()
        assert far(grads["detach"][gate], grads["full"][gate]) < 1e-12
