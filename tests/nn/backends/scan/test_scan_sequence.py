"""A linear cell over a sequence by a scan: toy cells of every kind, called in every way, against the eager loop."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from against_eager import CALLS, TOLERANCE, Call, apart, differences, drawn_begin, drawn_real, drawn_x, scaled
from rnnbench.nn import LSTM, Conv2d, Layer, LinearCell, MinGRU, build_stack, tracing
from rnnbench.nn.backends import scan
from rnnbench.nn.cells.linear import Windowed

precisions = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float32", "float64"])
WAYS = [name for name, call in CALLS.items() if call.inputs]


class Plain(LinearCell):
    """Any sign of a, exact zeros among them."""

    class State(NamedTuple):
        h: Tensor

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, biases=1, **options)
        self.W = self.input_map("a b")

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        w = self.W.split(seen)
        return torch.where(w.a.abs() < 0.1, 0 * w.a, torch.tanh(w.a)), w.b


class PlainState3(NamedTuple):
    h: Tensor
    x: Tensor
    y: Tensor


class Window(Windowed, LinearCell):
    """Three steps of x, and an output that is not h."""

    State = PlainState3
    window = 3

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, biases=1)
        self.a, self.b, self.o = (nn.Linear(3 * input_size, hidden_size) for _ in range(3))

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(self.a(seen)), self.b(seen)

    def read(self, seen: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.o(seen)) * h

    def zero_state(self, batch: int, space: tuple[int, ...], like: Tensor) -> PlainState3:
        h = like.new_zeros(batch, self.hidden_size)
        return PlainState3(h, like.new_zeros(batch, 2 * self.input_size), h)


class PlainState2(NamedTuple):
    h: Tensor
    y: Tensor


class Complex(LinearCell):
    """A constant complex a, of N features or (1, N), and a real output."""

    State = PlainState2
    is_complex = True

    def __init__(self, input_size: int, hidden_size: int, *, row: bool = False) -> None:
        super().__init__(input_size, hidden_size, biases=1)
        self.W = self.input_map("r i")
        self.row = row
        self.size, self.angle = nn.Parameter(torch.zeros(hidden_size)), nn.Parameter(torch.zeros(hidden_size))
        self.D = nn.Parameter(torch.zeros(hidden_size))

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        w = self.W.split(seen)
        a = torch.polar(torch.sigmoid(self.size), 6 * self.angle)
        return a[None] if self.row else a, torch.complex(w.r, w.i)

    def read(self, seen: Tensor, h: Tensor) -> Tensor:
        return h.real - h.imag + self.D * self.W.split(seen).r

    def zero_state(self, batch: int, space: tuple[int, ...], like: Tensor) -> PlainState2:
        h = like.new_zeros(batch, self.hidden_size)
        return PlainState2(torch.cat([h, h], 1), h)


class Own(LSTM):
    """Not linear, with a scan of its own: the loop over the real steps in front."""

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        return super().step(wx, state)

    def scan(self, x: Tensor, state: Any, real: Tensor | None) -> tuple[Tensor, Any]:
        outputs = []
        for t, wx in enumerate(self.hoist(x)):
            output, new = super().step(wx, state)
            if real is not None:
                assert (real[1:] <= real[:-1]).all(), "the real steps are in front"
                new = self.State(*(torch.where(real[t, :, None], n, s) for n, s in zip(new, state, strict=True)))
            state = new
            outputs.append(output)
        return torch.stack(outputs), state


def normed(input_size: int, hidden_size: int) -> MinGRU:
    return MinGRU(input_size, hidden_size, biases=1, norm="layer")


def row(input_size: int, hidden_size: int) -> Complex:
    return Complex(input_size, hidden_size, row=True)


TOYS = {"plain": Plain, "window": Window, "complex": Complex, "row": row, "own": Own, "normed": normed}
toys = pytest.mark.parametrize("make", TOYS.values(), ids=TOYS)


# equal to eager


@toys
@precisions
def test_it_is_the_eager_loop_however_it_is_called(make, dtype):
    wrong = {}
    for name in WAYS:
        call = CALLS[name]
        least = float(call.size == 1)  # of one feature that is normed, nothing but rounding is left
        wrong[name] = differences(make, call, dtype, name, least=least, backend="scan")
    assert {name: each for name, each in wrong.items() if each} == {}


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@toys
def test_every_mask_of_four_steps(make, reverse):
    """All sixteen at once, one a sequence, with a carried state."""
    cell = scaled(make(3, 5), "masks").double()
    call = Call(batch=16, steps=4, begin=True)
    mask = torch.tensor([[n >> t & 1 for t in range(4)] for n in range(16)]).bool()
    found = []
    for backend in ("scan", "eager"):
        layer = Layer(copy.deepcopy(cell), reverse=reverse, backend=backend)
        x = drawn_x(call, torch.float64).requires_grad_()
        begin = [field.requires_grad_() for field in drawn_begin(cell, 16, torch.float64)]
        output, state = layer(x, begin, mask=mask)
        assert not output[~mask].any()
        loss = output.sin().sum() + sum(field.cos().sum() for field in state)
        gradients = torch.autograd.grad(loss, [x, *begin, *layer.parameters()], allow_unused=True)
        named = {f"d {n}": torch.zeros(()) if each is None else each for n, each in enumerate(gradients)}
        found.append({"output": output, **{f"state {n}": each for n, each in enumerate(state)}, **named})
    for begun, ended in zip(begin, state, strict=True):
        assert torch.equal(begun[0], ended[0]), "no step at all"
    assert apart(*found, 1e-12) == {}


@toys
def test_a_sequence_in_two_parts_is_the_whole(make):
    layer = Layer(scaled(make(3, 5), "parts").double(), backend="scan")
    x = drawn_x(Call(steps=150), torch.float64)
    whole, end = layer(x)
    first, middle = layer(x[:, :130])
    second, last = layer(x[:, 130:], middle)
    named = {"output": torch.cat([first, second], 1), **dict(zip(layer.cell.State._fields, last, strict=True))}
    assert apart(named, {"output": whole, **end._asdict()}, 1e-13) == {}


@toys
def test_a_step_goes_on_from_the_state_of_a_scan(make):
    layer = Layer(scaled(make(3, 5), "step").double(), backend="scan")
    x = drawn_x(Call(steps=9), torch.float64)
    whole, end = layer(x)
    _, state = layer(x[:, :8])
    output, last = layer.step(x[:, 8], state)
    assert apart({"y": output, **last._asdict()}, {"y": whole[:, 8], **end._asdict()}, 1e-13) == {}
    assert torch.equal(layer.final(end), whole[:, -1])


@toys
def test_padding_is_never_read(make):
    layer = Layer(scaled(make(3, 5), "padding").double(), backend="scan")
    call = Call(holes=True, lengths=True)
    x, real = drawn_x(call, torch.float64), drawn_real(call)
    keep = real["mask"] & (torch.arange(call.steps) < real["lengths"][:, None])
    noisy = torch.where(keep[..., None], x, torch.nan)
    (a, end_a), (b, end_b) = layer(x, **real), layer(noisy, **real)
    assert torch.equal(a, b)
    assert all(torch.equal(p, q) for p, q in zip(end_a, end_b, strict=True))


def test_a_convolution():
    torch.manual_seed(0)
    cell = Plain(2, 3, operator=Conv2d(3)).double()
    x, mask = torch.randn(2, 6, 2, 4, 5).double(), torch.rand(2, 6) > 0.3
    (found, end), (wanted, last) = (Layer(cell, backend=backend)(x, mask=mask) for backend in ("scan", "eager"))
    assert apart({"y": found, "h": end.h}, {"y": wanted, "h": last.h}, 1e-13) == {}


@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
def test_stacks(direction):
    torch.manual_seed(0)
    net = build_stack(Plain, 3, 4, layers=3, direction=direction, backend="scan").double()
    eager = build_stack(Plain, 3, 4, layers=3, direction=direction, backend="eager").double()
    eager.load_state_dict(net.state_dict())
    x, lengths = drawn_x(Call(), torch.float64), [7, 1, 4, 6]
    found, wanted = ({"y": each(x, lengths=lengths)[0]} for each in (net, eager))
    assert apart(found, wanted, 1e-13) == {}


def test_16384_steps_train():
    torch.manual_seed(0)
    layer = Layer(MinGRU(2, 4, biases=1), backend="scan")
    x, wanted, losses = torch.randn(1, 16_384, 2), torch.randn(1, 16_384, 4), []
    for _ in range(3):
        loss = (layer(x)[0] - wanted).square().mean()
        gradients = torch.autograd.grad(loss, [*layer.parameters()])
        with torch.no_grad():
            for weight, gradient in zip(layer.parameters(), gradients, strict=True):
                weight -= 0.1 * gradient
        losses.append(loss.item())
    assert losses[2] < losses[1] < losses[0]


def test_second_derivatives_are_the_loops():
    cell = scaled(MinGRU(3, 5, biases=1), "second").double()
    found = []
    for backend in ("scan", "eager"):
        x = drawn_x(Call(), torch.float64).requires_grad_()
        layer = Layer(cell, backend=backend)
        (gradient,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
        found.append({"d": torch.autograd.grad(gradient.square().sum(), cell.W.weight)[0]})
    assert apart(*found, 1e-12) == {}


# who sees every operation


def layer(**options: Any) -> Layer:
    return Layer(scaled(MinGRU(3, 5, biases=1), "modes"), **({"backend": "scan"} | options))


X = drawn_x(Call(), torch.float32)


def test_a_compiler_is_given_the_loop():
    net = layer()
    found = torch.compile(net, backend="eager", fullgraph=True)(X)[0]
    assert torch.equal(found, layer(backend="eager")(X)[0])
    exported = torch.export.export(net, (X,)).module()(X)[0]
    assert torch.equal(exported, found)
    assert apart({"y": net(X)[0]}, {"y": found}, 1e-6) == {}


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")  # of torch, by its forward_ad
def test_whatever_sees_each_operation_is_given_the_loop(monkeypatch):
    net, eager = layer(), layer(backend="eager")
    monkeypatch.setattr(scan, "unroll", lambda *args, **options: pytest.fail("the scan was called"))
    counts = []
    for each in (net, eager):
        with FlopCounterMode(display=False) as counter:
            each(X)
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0
    assert torch.equal(torch.func.vmap(lambda x: net(x[None])[0][0])(X), eager(X)[0])
    torch.func.jvp(lambda x: net(x)[0], (X,), (X,))
    with tracing(net) as traces:
        net(X)
    assert len(traces[""]) == X.shape[1]


def test_a_meta_tensor_has_the_sizes():
    with torch.device("meta"):
        net = Layer(Plain(3, 5), backend="scan")
        output, state = net(torch.empty(4, 200, 3))
    assert output.shape == (4, 200, 5)
    assert state.h.shape == (4, 5)


def test_autocast():
    net, eager = layer(), layer(backend="eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (found, _), (wanted, _) = net(X), eager(X)
    assert found.dtype == wanted.dtype
    assert (found - wanted).abs().max() < 1e-2 * wanted.abs().max()


# refusals


class Stepped(MinGRU):
    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        output, new = super().step(wx, state)
        return output.tanh(), new


def test_what_is_not_linear_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="backend=scan: LSTM is not linear in its state; use backend=eager"):
        Layer(LSTM(3, 4), backend="scan")
    with pytest.raises(ValueError, match=r"backend=scan: Stepped has a step of its own, .*; use backend=eager"):
        Layer(Stepped(3, 4, biases=1), backend="scan")
    with pytest.raises(ValueError, match="backend=scan: LSTM is not linear"):
        scan.unroll(LSTM(3, 4), X.transpose(0, 1), None)


def test_a_scan_of_ones_own_belongs_to_its_step():
    class Other(Own):
        def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
            output, new = super().step(wx, state)
            return output + 1, new

    assert scan.refuses(Own(3, 4)) is None
    assert scan.refuses(Other(3, 4)) == "Other is not linear in its state"


def test_a_step_that_was_assigned_is_taken(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    net = layer(backend="auto")
    assert (net.backend, net.runs) == ("scan", "scan")
    net.cell.step = lambda wx, state: (torch.zeros(4, 5), state)
    assert net.runs == "eager"
    assert not net(X)[0].any()
    forced = layer()
    forced.cell.step = net.cell.step
    with pytest.raises(ValueError, match=r"backend=scan: the step of this MinGRU is not that of its class"):
        forced(X)


@pytest.mark.gpu
@toys
def test_on_a_gpu_it_is_the_eager_loop(make):
    cell = scaled(make(3, 5), "gpu").double().cuda()
    for call in (Call(steps=300, begin=True), Call(holes=True, reverse=True)):
        found = []
        for backend in ("scan", "eager"):
            net = Layer(copy.deepcopy(cell), reverse=call.reverse, backend=backend)
            x = drawn_x(call, torch.float64).cuda().requires_grad_()
            begin = [field.cuda() for field in drawn_begin(cell, 4, torch.float64)] if call.begin else None
            output, state = net(x, begin, **{name: real.cuda() for name, real in drawn_real(call).items()})
            found.append({"y": output, **state._asdict(), "d": torch.autograd.grad(output.sin().sum(), x)[0]})
        assert apart(*found, 1e-11) == {}
