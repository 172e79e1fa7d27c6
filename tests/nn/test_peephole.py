"""nn.peephole: what each option changes, in value and in gradient, and what it must not."""

import pytest
import torch

from registry import SPACE, far, random_input, random_state, randomise, weigh
from rnnbench.nn import LSTM, Conv2d, Dense, Layer, OdysseyLSTM, Peephole, start
from rnnbench.nn.peephole import OFF, NoPeep


def lstm(key="", **options):
    """An LSTM with random weights; the same ones for every option of the same gates."""
    return randomise(LSTM(3, 4, peephole=Peephole(**options)).double(), key)


def convlstm(key="", **options):
    return randomise(LSTM(3, 4, peephole=Peephole(**options), operator=Conv2d(5, 3), space=SPACE).double(), key)


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
        ("shape", "none, per_channel, hadamard, conv1x1, conv"),
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
    peep = Peephole(gates=gates).make(4, "i f o", Dense())
    assert {name: tuple(p.shape) for name, p in peep.named_parameters()} == {f"w.{g}": (4,) for g in gates}


def test_one_number_a_channel_on_frames():
    peep = randomise(Peephole().make(4, "i f o", Conv2d(3)))
    assert all(p.shape == (4, 1, 1) for p in peep.parameters())
    c = torch.randn(2, 4, 5, 6)
    a = torch.randn(2, 4, 5, 6)
    assert torch.equal(peep("f", a, c)[1, 2], a[1, 2] + peep.w["f"][2, 0, 0] * c[1, 2])


ON_FRAMES = {"per_channel": (4, 1, 1), "hadamard": (4, *SPACE), "conv1x1": (4, 4, 1, 1), "conv": (4, 4, 5, 5)}


@pytest.mark.parametrize("shape", ON_FRAMES)
@pytest.mark.parametrize("gates", [["i"], ["f", "o"], ["o", "f", "i"]])
def test_shapes_on_frames(shape, gates):
    """conv has the state-to-state kernel, which is not the one of x."""
    cell = convlstm(shape=shape, gates=gates)
    assert {name: tuple(p.shape) for name, p in cell.peephole.named_parameters()} == {
        f"w.{g}": ON_FRAMES[shape] for g in gates
    }


@pytest.mark.parametrize("shape", ON_FRAMES)
def test_moves_with_the_module_as_a_registered_parameter(shape):
    """Not so in several public ConvLSTMs, whose peepholes are left behind by .to() and never trained."""
    cell = LSTM(3, 4, peephole=Peephole(shape=shape), operator=Conv2d(5, 3), space=SPACE)
    peepholes = {f"peephole.w.{gate}" for gate in "ifo"}
    for moved in (cell, cell.to(torch.float64), cell.to("meta")):
        named = dict(moved.named_parameters())
        assert peepholes <= named.keys() & moved.state_dict().keys()
        assert all(named[name].requires_grad and named[name].is_leaf for name in peepholes)
        assert len({(p.dtype, p.device) for p in named.values()}) == 1
    assert {p.device.type for p in cell.parameters()} == {"meta"}
    assert {p.dtype for p in cell.parameters()} == {torch.float64}


@pytest.mark.parametrize("shape", ON_FRAMES)
def test_an_optimiser_moves_every_peephole(shape):
    layer = Layer(LSTM(3, 4, peephole=Peephole(shape=shape), operator=Conv2d(5, 3), space=SPACE), backend="eager")
    layer = layer.double()
    step = torch.optim.SGD(layer.parameters(), lr=0.1)
    weigh(layer(random_input(layer.cell))[0]).backward()
    step.step()
    assert all((w != 0).all() for w in layer.cell.peephole.w.values())


def test_hadamard_is_one_number_a_pixel():
    """Each number meets its own pixel of its own channel, and no other."""
    peep = convlstm(shape="hadamard").peephole
    a, c = torch.randn(2, 4, *SPACE).double(), torch.randn(2, 4, *SPACE).double()
    seen = peep("f", a, c)
    for channel, y, x in ((0, 0, 0), (3, 1, 4), (2, 3, 0)):
        assert (
            far(seen[:, channel, y, x], a[:, channel, y, x] + peep.w["f"][channel, y, x] * c[:, channel, y, x]) < 1e-12
        )


def test_conv1x1_mixes_channels_and_conv_neighbours_too():
    for shape, reach in (("conv1x1", 0), ("conv", 2)):
        peep = convlstm(shape=shape).peephole
        c = torch.zeros(1, 4, *SPACE).double()
        c[0, 1, 1, 2] = 1.0
        touched = peep("i", torch.zeros_like(c), c)[0] != 0
        for y in range(SPACE[0]):
            for x in range(SPACE[1]):
                assert bool(touched[:, y, x].all()) == bool(touched[:, y, x].any())
                assert bool(touched[:, y, x].all()) == (abs(y - 1) <= reach and abs(x - 2) <= reach)


def test_shapes_that_need_frames():
    for shape in ("hadamard", "conv1x1", "conv"):
        with pytest.raises(ValueError, match=rf"peephole\.shape={shape} is for frames; on vectors use per_channel"):
            LSTM(3, 4, peephole=Peephole(shape=shape), space=SPACE)
    with pytest.raises(ValueError, match=r"peephole\.shape=hadamard has one weight a pixel: the cell needs space="):
        LSTM(3, 4, peephole=Peephole(shape="hadamard"), operator=Conv2d(3))


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
    peep = randomise(Peephole(gates=["o"]).make(4, "i f o", Dense()))
    a, c = torch.randn(2, 4), torch.randn(2, 4)
    assert peep("i", a, c) is a
    assert torch.equal(peep("o", a, c), a + peep.w["o"] * c)


def test_repr_names_the_gates():
    assert "gates=f i" in repr(Peephole(gates=["i", "f"]).make(4, "i f o", Dense()))


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
    peep = Peephole(start=start).make(10_000, "i f o", Dense())
    for w in peep.parameters():
        w = w.detach()
        assert low <= w.min()
        assert w.max() <= high
        assert w.mean().item() == pytest.approx(mean, abs=0.05 * std)
        assert w.std().item() == pytest.approx(std, rel=0.05)
    assert not torch.equal(peep.w["i"], peep.w["f"])


@pytest.mark.parametrize("shape", ON_FRAMES)
@pytest.mark.parametrize(("start", "spread"), [("uniform", 0.5 / 3**0.5), ("uniform01", 1 / 12**0.5), ("normal", 1)])
def test_starts_on_frames(shape, start, spread):
    """The bound of uniform is 1/sqrt(C) whatever the shape: here 1/2."""
    torch.manual_seed(0)
    options = Peephole(shape=shape, start=start)
    numbers = torch.cat(
        [p.detach().flatten() for _ in range(200) for p in options.make(4, "i f o", Conv2d(5), SPACE).w.values()]
    )
    assert numbers.mean().item() == pytest.approx(0.5 if start == "uniform01" else 0, abs=0.05)
    assert numbers.std().item() == pytest.approx(spread, rel=0.05)


@pytest.mark.parametrize("hidden", [16, 33, 50])
@pytest.mark.parametrize("shape", ["dense", *ON_FRAMES])
@pytest.mark.parametrize("gates", ["ifo", "o"])
def test_zero_peepholes_begin_as_none_at_any_size(hidden, shape, gates):
    """To the bit, in float32 and at sizes that fill no vector unit: the layout of a gate must not differ."""
    x = torch.randn(2, 3, 3, *(() if shape == "dense" else SPACE), generator=torch.Generator().manual_seed(0))
    both = []
    for kind in ("none", "per_channel" if shape == "dense" else shape):
        options = {} if shape == "dense" else {"operator": Conv2d(3), "space": SPACE}
        layer = Layer(LSTM(3, hidden, peephole=Peephole(shape=kind, gates=gates), **options), backend="eager")
        start(layer, 0)
        output, _ = layer(x)
        weigh(output).backward()
        both.append([output, *(p.grad for name, p in layer.named_parameters() if "peephole" not in name)])
    assert len(both[0]) == 5
    assert all(torch.equal(a, b) for a, b in zip(*both, strict=True))


def test_zero_start():
    peep = Peephole().make(10, "i f o", Dense())
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
@pytest.mark.parametrize("begin", ["random", "zero"])
@pytest.mark.parametrize("shape", ["dense", *ON_FRAMES])
def test_what_learns_from_the_first_step(source, learns_at_once, begin, shape):
    """C_0 = 0, so p_i and p_f get no gradient before the second step, and p_o only where it sees the new cell.

    From a zero start as from a random one.
    """
    cell = lstm(output_sees=source) if shape == "dense" else convlstm(output_sees=source, shape=shape)
    if begin == "zero":
        cell.peephole.reset_parameters()
    layer = Layer(cell, backend="eager")
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
