"""The state before the first step, what is known of it, and states and networks that are copied, pickled and loaded."""

import copy
import io
import pickle
from contextlib import nullcontext
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from registry import CELLS, SPACE, build, far, on_frames, random_input, random_state, randomise, weigh
from rnnbench.nn import LSTM, Cell, Conv2d, EncoderForecaster, Layer, Rollout, build_stack, forecast, layers
from rnnbench.nn.maps import ConvMap, known_zeros

STEPS = 3
every_cell = pytest.mark.parametrize("name", CELLS)


def layer(name, **options):
    return randomise(Layer(build(name, **options), backend="eager").double(), name)


def knows(module):
    return any(m.zeros for m in module.modules() if isinstance(m, ConvMap))


# a state is tensors like any other


@every_cell
def test_every_field_of_the_first_state_is_a_plain_tensor_of_its_own(name):
    cell = build(name)
    state = cell.zero_state(2, SPACE[: cell.operator.space_dims], torch.zeros(1))
    before = [field.clone() for field in state]
    assert all(type(field) is Tensor for field in state)
    assert cell.starts_at_zero == (not any(field.any() for field in state))
    state[0][0] = 1.0
    assert all(torch.equal(a, b) for a, b in zip(state[1:], before[1:], strict=True))


def in_place(field):
    field[0] = 1.0


def by_data(field):
    field.data[0] = 1.0


def by_numpy(field):
    field.numpy()[0] = 1.0


@pytest.mark.parametrize("write", [in_place, by_data, by_numpy])
@pytest.mark.parametrize("name", ["lstm", "convlstm", "convgru", "stlstm"])
def test_a_first_state_that_is_written_into_is_what_it_holds(name, write):
    net = layer(name, biases=1)
    x, space = random_input(net.cell, steps=STEPS), SPACE[: net.cell.operator.space_dims]
    for n in range(len(net.cell.State._fields)):
        state = net.cell.zero_state(len(x), space, x)
        write(state[n])
        same = net.cell.State(*(field.clone() for field in state))
        assert torch.equal(net(x, state)[0], net(x, same)[0])
        assert not torch.equal(net(x, state)[0], net(x)[0])


# what is known of the state before the first step


def test_a_convolution_of_known_zeros_is_left_out():
    """Of T products of the state one is: counted by operations, forward and backward."""
    cell = LSTM(3, 4, operator=Conv2d(3), biases=1)
    net, x = Layer(cell), random_input(cell, steps=STEPS).float()
    found = []
    for state in (None, cell.zero_state(len(x), SPACE, x)):
        with FlopCounterMode(display=False) as counter:
            net(x, state)[0].sum().backward()
        found.append(counter.get_total_flops())
    one_product = 2 * len(x) * SPACE[0] * SPACE[1] * cell.U.weight.numel()
    assert found[1] - found[0] == 2 * one_product, "the product, and its gradient by U; h asks for none"


def test_tensors_are_known_by_identity_and_within_the_block_only():
    fused = ConvMap(3, 2, "i f", kernel_size=3, bias=False, weight_fill=_ones, bias_fill=_ones)
    zero = torch.zeros(2, 3, *SPACE)
    with known_zeros(fused, [zero]):
        assert not fused(zero).requires_grad
        for other in (zero + 0, zero.clone(), zero.view_as(zero), torch.zeros_like(zero)):
            assert fused(other).requires_grad
    assert fused(zero).requires_grad
    with pytest.raises(RuntimeError), known_zeros(fused, [zero]):
        raise RuntimeError
    assert not fused.zeros


def _ones(block, hidden_size):
    torch.nn.init.ones_(block)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("autocast", [False, True])
def test_a_convolution_of_known_zeros_is_the_convolution_of_zeros(dtype, autocast):
    for bias in (False, True):
        fused = ConvMap(3, 2, "i f", kernel_size=3, bias=bias, weight_fill=_ones, bias_fill=_ones).to(dtype)
        zero = torch.zeros(2, 3, *SPACE, dtype=dtype)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast), known_zeros(fused, [zero]):
            got, wanted = fused(zero), fused(zero.clone())
        assert got.dtype == wanted.dtype
        assert torch.equal(got, wanted)
        assert got.requires_grad == bias, "without a bias nothing is computed"


@pytest.mark.parametrize("norm", [None, "layer"])
@pytest.mark.parametrize("name", [name for name in CELLS if on_frames(name)])
def test_a_layer_starts_from_known_zeros_as_from_zeros(name, norm):
    """To the bit, forward and backward."""
    net = layer(name, biases=1, norm=norm).float()
    x = random_input(net.cell, steps=STEPS).float()
    found = []
    for state in (None, net.cell.zero_state(len(x), SPACE, x)):
        output, end = net(x, state)
        found.append([output, *end, *torch.autograd.grad(weigh(output, end), list(net.parameters()))])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert not knows(net)


def frames_network(name, kind):
    net = kind(lambda i, h: build(name, "off", i, h, biases=1), (1, 8, 10), (4, 4), steps=2, patch=2)
    return randomise(net, name)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, Rollout) for name in ("convlstm", "stlstm", "causal_lstm", "trajgru")] + [("convgru", EncoderForecaster)],
)
def test_a_network_of_frames_starts_from_known_zeros_as_from_zeros(name, kind, monkeypatch):
    """To the bit, forward and backward; at the first step, too, an upper layer's m comes from below and is not zero."""
    net, x, y = frames_network(name, kind), torch.rand(2, 3, 1, 8, 10), torch.rand(2, 2, 1, 8, 10)
    weights, found = [p for p in net.parameters() if p.numel()], []
    for known in (True, False):
        if not known:
            for module in (forecast, layers):
                monkeypatch.setattr(module, "known_zeros", lambda *_: nullcontext())
        predicted = net(x, future=y)
        found.append([predicted, *torch.autograd.grad(predicted.square().sum(), weights)])
        assert not knows(net)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


# copies, pickles, saved states


def saved_and_loaded(thing, **options):
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, **options)


@every_cell
def test_a_state_is_copied_pickled_and_loaded_as_weights_only(name):
    net = layer(name)
    state = net(random_input(net.cell, steps=2))[1]
    kept = type(state)(*(field.detach() for field in state))
    for found in (copy.deepcopy(kept), pickle.loads(pickle.dumps(kept)), saved_and_loaded(kept, weights_only=True)):
        assert type(found) is net.cell.State
        assert all(torch.equal(a, b) for a, b in zip(found, kept, strict=True))


class OwnState(NamedTuple):
    h: Tensor


class Own(Cell):
    State = OwnState


def test_the_states_of_a_stack_and_of_ones_own_cell_load_as_weights_only():
    net = build_stack(LSTM, 3, 4, layers=2, direction="bidirectional")
    states = (net(torch.rand(2, 5, 3))[1], OwnState(torch.rand(2)))
    found = saved_and_loaded(states, weights_only=True)
    assert type(found[0][1][0]) is LSTM.State
    assert type(found[1]) is OwnState


@every_cell
def test_a_layer_is_copied_and_pickled_after_a_forward(name):
    net = layer(name)
    x = random_input(net.cell, steps=2)
    wanted = net(x)[0]
    wanted.sum().backward()
    for found in (copy.deepcopy(net), pickle.loads(pickle.dumps(net)), saved_and_loaded(net, weights_only=False)):
        assert torch.equal(found(x)[0], wanted)
        begin = random_state(net.cell)
        assert far(found(x, begin)[0], net(x, begin)[0]) == 0
