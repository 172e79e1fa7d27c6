"""W x + U h' as one convolution of [x, h'], where x is known for one step only: the numbers of two convolutions."""

import copy
import types
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from registry import CASES, CELLS, build, far, on_frames, randomise, weigh
from rnnbench.nn import LSTM, Column, Conv2d, Layer, Rollout
from rnnbench.nn.maps import ConvMap, Pending, known_zeros, preactivation
from rnnbench.nn.peephole import VECTORS, evenly

BATCH, STEPS, SPACE = 3, 3, (8, 8)
EQUAL = Conv2d(3)
FRAME_CASES = [case for case in CASES if on_frames(case.cell)]
ADDING = sorted({case.cell for case in FRAME_CASES if build(case.cell).adds})


def column(case, operator=EQUAL, **options):
    """Two layers, float64, every weight random."""
    options = {"operator": operator, "space": SPACE} | options
    if not CELLS[case.cell]["meta"]["peephole_gates"]:
        del options["space"]
    cells = [case.build(4, 4, **options) for _ in range(2)]
    return randomise(Column([Layer(cell, backend="eager") for cell in cells]).double(), str(case))


def frame(dtype=torch.float64):
    return torch.randn(BATCH, 4, *SPACE, generator=torch.Generator().manual_seed(0), dtype=dtype)


def fed_back(net, x, steps=STEPS, *, zeros=True):
    """Values and gradients of a column whose next input is its output, a few steps long."""
    states = net.start(x)
    outputs = []
    with known_zeros(net, [field for state in states for field in state] if zeros else []):
        for _ in range(steps):
            outputs, states = net.advance(x, states)
            x = outputs[-1]
    loss = sum(weigh(outputs[-1], state) for state in states)
    gradients = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)
    return [outputs[-1], *(g for g in gradients if g is not None)]


def apart(monkeypatch):
    """From here on there are two convolutions."""
    monkeypatch.setattr("rnnbench.nn.cells.base.joins", lambda *_: False)


def pends(cell, dtype=torch.float64):
    return isinstance(cell.given(frame(dtype)[:, : cell.input_size]), Pending)


@pytest.mark.parametrize("zeros", [True, False], ids=["known zeros", "unknown"])
@pytest.mark.parametrize("case", FRAME_CASES, ids=str)
def test_every_cell_fed_its_own_output_is_that_of_two_convolutions(case, zeros, monkeypatch):
    net, x = column(case), frame()
    # In float32 two steps: each further one multiplies what the steps before have rounded.
    rounded = copy.deepcopy(net).float()
    unrounded = copy.deepcopy(rounded).double()
    joint = fed_back(net, x, zeros=zeros)
    joint_rounded = fed_back(rounded, x.float(), 2, zeros=zeros)
    apart(monkeypatch)
    plain = fed_back(net, x, zeros=zeros)
    plain_rounded = fed_back(rounded, x.float(), 2, zeros=zeros)
    exact = fed_back(unrounded, x.float().double(), 2, zeros=zeros)
    assert max(far(a, b) for a, b in zip(joint, plain, strict=True)) < 1e-12
    # How much two convolutions round is the processor's affair; one may round as much.
    for found, two, true in zip(joint_rounded, plain_rounded, exact, strict=True):
        assert far(found.double(), true) < max(1e-6, 4 * far(two.double(), true))


def test_which_cells_have_one_convolution():
    assert {"convlstm", "convrnn"} <= set(ADDING)
    for case in FRAME_CASES:
        cell = column(case).layers[0].cell
        assert pends(cell) == (case.cell in ADDING and case.norm is None), case


def test_what_one_convolution_cannot_be():
    def lstm(**options):
        return LSTM(4, 4, **{"operator": EQUAL} | options).double()

    assert pends(lstm())
    assert not pends(lstm(operator=Conv2d(5, 3)))
    assert not pends(lstm(norm="layer"))
    assert not pends(LSTM(0, 4, operator=EQUAL).double())
    assert not pends(LSTM(4, 4, operator=Conv2d(15)).double())  # more weights to copy than numbers in [x, h]
    assert not pends(lstm().bfloat16(), torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert not pends(lstm().float(), torch.float32)
    assert not isinstance(LSTM(4, 4).given(torch.zeros(2, 4)), Pending)


class Own(LSTM):
    """A step of one's own on an LSTM's maps, that knows of nothing pending."""

    def step(self, wx, state):
        a = self.U.split(wx + self.U(state.h))
        return a.g, state._replace(h=a.g)


class OwnHoist(LSTM):
    def hoist(self, x):
        return 2 * super().hoist(x)


def test_a_cell_of_ones_own_is_handed_tensors():
    for kind in (Own, OwnHoist):
        cell = kind(4, 4, operator=EQUAL).double()
        assert not pends(cell)
        (output,), _ = Column([Layer(cell, backend="eager")]).step(frame(), None)
        assert output.shape == (BATCH, 4, *SPACE)


class Beside:
    """A step that is no cell's."""

    step = Own.step


class WithBeside(Beside, LSTM):
    """An LSTM of which a class beside it replaces the step."""


class Around(ConvMap):
    """A convolution of frames that go on at the other side."""

    def product(self, x, bias):
        return F.conv2d(F.pad(x, [self.padding] * 4, mode="circular"), self.weight, bias)


def own_step(cell):
    cell.step = types.MethodType(Own.step, cell)


def own_hoist(cell):
    cell.hoist = types.MethodType(lambda self, x: 2 * self.W.sequence(x), cell)


def other_map(cell):
    cell.U.__class__ = Around


def pruned(cell):
    prune.l1_unstructured(cell.U, "weight", 0.5)


def parametrized(cell):
    nn.utils.parametrizations.weight_norm(cell.W, dim=0)


def watched(cell):
    cell.W.register_forward_hook(lambda *_: None)


@pytest.mark.parametrize("change", [own_step, own_hoist, other_map, pruned, parametrized, watched])
def test_a_cell_that_was_changed_is_handed_tensors(change):
    cell = LSTM(4, 4, operator=EQUAL).double()
    assert pends(cell)
    change(cell)
    assert not pends(cell)


def test_a_step_from_a_class_beside_the_cell_is_handed_tensors():
    assert not pends(WithBeside(4, 4, operator=EQUAL).double())


def test_a_hidden_map_that_two_layers_share_stands_beside_the_w_of_each(monkeypatch):
    net = column(FRAME_CASES[0])
    net.layers[1].cell.U = net.layers[0].cell.U
    joint = fed_back(net, frame())
    apart(monkeypatch)
    plain = fed_back(net, frame())
    assert max(far(a, b) for a, b in zip(joint, plain, strict=True)) < 1e-12


def test_a_step_with_other_weights_in_a_block_is_that_step():
    W, U = maps()
    part = torch.nn.ModuleList([W, U])
    other = {name: 2 * p.detach() for name, p in part.named_parameters()}
    with known_zeros(part, []):
        preactivation(Pending(W, frame()), U, frame())
        with torch.nn.utils.stateless._reparametrize_module(part, other):
            doubled = preactivation(Pending(W, frame()), U, frame())
            assert far(doubled, W(frame()) + U(frame())) < 1e-12
        U.weight.data = 3 * U.weight.data
        assert far(preactivation(Pending(W, frame()), U, frame()), W(frame()) + U(frame())) < 1e-12


def test_a_network_is_copied_within_a_block():
    W, U = maps()
    with known_zeros(torch.nn.ModuleList([W, U]), []):
        preactivation(Pending(W, frame()), U, frame())
        assert torch.equal(copy.deepcopy(U).weight, U.weight)


def test_frames_and_states_of_inference_mode_go_through_a_frozen_network():
    net = column(FRAME_CASES[0]).requires_grad_(False)
    with torch.inference_mode():
        x = frame()
        outputs, states = net.step(x, None)
    again, _ = net.step(x, None)
    assert torch.equal(again[-1], outputs[-1])
    assert net.step(frame(), states)[0][-1].isfinite().all()


def test_whoever_tells_autograd_how_to_keep_tensors_is_asked_of_all():
    cell, kept = LSTM(4, 4, operator=EQUAL).double(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda saved: kept.append(saved) or saved, lambda saved: saved):
        assert not pends(cell)


def maps(biases=1):
    cell = randomise(LSTM(4, 4, operator=EQUAL, biases=biases).double())
    return cell.W, cell.U


@pytest.mark.parametrize("biases", [0, 1, 2])
def test_it_is_differentiable_twice(biases):
    W, U = maps(biases)
    x, h = (frame()[:1, :, :3, :3].clone().requires_grad_() for _ in range(2))
    assert torch.autograd.gradgradcheck(lambda x, h: preactivation(Pending(W, x), U, h).sin(), (x, h))


def test_it_keeps_the_frame_and_the_state_and_not_both_side_by_side():
    W, U = maps()
    made = []
    x, h = frame().requires_grad_(), frame().requires_grad_()
    real = torch.cat

    def cat(tensors, dim):
        made.append(weakref.ref(joined := real(tensors, dim)))
        return joined

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "cat", cat)
        y = preactivation(Pending(W, x), U, h)
    assert [each() is None for each in made] == [False, True]  # the weights are kept, the frames are not
    y.sum().backward()
    assert h.grad is not None


def test_a_state_written_into_is_an_error_and_no_wrong_gradient():
    W, U = maps()
    h = frame()
    y = preactivation(Pending(W, frame()), U, h)
    h += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_weights_are_put_side_by_side_once_for_all_steps():
    W, U = maps()
    with known_zeros(torch.nn.ModuleList([W, U]), []):
        preactivation(Pending(W, frame()), U, frame())
        first = U.joint
        preactivation(Pending(W, frame()), U, frame())
        assert U.joint is first
        with torch.no_grad():
            preactivation(Pending(W, frame()), U, frame())
            assert not U.joint.weight.requires_grad
            W.weight.mul_(2)
        changed = preactivation(Pending(W, frame()), U, frame())
        assert far(changed, W(frame()) + U(frame())) < 1e-12
        assert U.joint.weight.requires_grad
    assert U.joint is None
    preactivation(Pending(W, frame()), U, frame())
    assert U.joint is None


def test_a_frozen_map_gets_no_gradient():
    W, U = maps()
    W.requires_grad_(False)
    preactivation(Pending(W, frame()), U, frame()).sum().backward()
    assert W.weight.grad is None
    assert U.weight.grad is not None


def test_under_torch_func_there_are_two_convolutions():
    net = randomise(Rollout(lambda i, h: LSTM(i, h, operator=EQUAL, biases=1), (1, 8, 8), [4], steps=2).double())
    x, weights = frame()[:, :2, None], dict(net.named_parameters())

    def loss(weights):
        return torch.func.functional_call(net, weights, (x,)).square().sum()

    found = torch.func.grad(loss)(weights)
    loss(weights).backward()
    assert max(far(found[name], p.grad) for name, p in net.named_parameters()) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 7, 16, 31, 32, 33, 48, 64, 96, 100])
def test_a_gate_that_is_not_copied_has_the_bits_of_one_that_is(dtype, size):
    a = torch.randn(3, 4 * size, 2, generator=torch.Generator().manual_seed(size), dtype=dtype)
    for gate in a.chunk(4, 1):
        left = evenly(gate)
        assert left.is_contiguous() == (2 * size % VECTORS > 0)
        assert torch.equal(torch.sigmoid(left), torch.sigmoid(gate.contiguous()))


def test_several_threads_copy_every_gate():
    a = torch.randn(3, 4 * VECTORS)[:, :VECTORS]
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert evenly(a) is a
        torch.set_num_threads(2)
        assert evenly(a).is_contiguous()
    finally:
        torch.set_num_threads(threads)
