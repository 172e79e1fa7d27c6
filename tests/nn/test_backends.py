"""Every backend computes the same layer: native equals eager, and both equal torch.nn's own modules.

In value and in gradient (input, initial state, every parameter), in float64 and in float32, where torch's CPU LSTM
takes another kernel. Tolerances are relative to the scale of each tensor.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from against_eager import quickly
from registry import CELLS, build, far, kind, random_input, random_state, randomise, some_of, weigh
from rnnbench import toolchain
from rnnbench.nn import BACKENDS, GRU, LSTM, RNN, GRUCho, Layer, LinearCell, OdysseyLSTM, Peephole, build_stack
from rnnbench.nn.backends import refuses, unroll_native
from rnnbench.nn.backends.native import flip

__all__ = ["quickly"]  # a fixture
WITH_KERNEL = [name for name, node in CELLS.items() if node["meta"]["kernel"]]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
# batch 4, 7 steps; equal lengths, unsorted ones, ones that leave padding everywhere
LENGTHS = {"whole": None, "unsorted": [3, 7, 1, 5], "short": [1, 1, 4, 2]}

precisions = pytest.mark.parametrize("dtype", TOLERANCE, ids=["float64", "float32"])
kernels = pytest.mark.parametrize("name", WITH_KERNEL)
directions = pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
all_lengths = pytest.mark.parametrize("lengths", LENGTHS)


def tensor_lengths(name):
    return None if LENGTHS[name] is None else torch.tensor(LENGTHS[name])


def stack(name, backend, dtype, *, biases=2, direction="forward", layers=1):
    def make(i, h):
        return build(name, "off", i, h, biases=biases)

    net = build_stack(make, 3, 4, layers=layers, direction=direction, backend=backend).double()
    return randomise(net, f"{name} {biases} {direction} {layers}").to(dtype)


def cells(net):
    return [m.cell for m in net.modules() if isinstance(m, Layer)]


def states(net, dtype):
    """A random initial state in the form of the stack's own, and its tensors as a flat list of leaves."""
    flat = []
    for n, cell in enumerate(cells(net)):
        fields = random_state(cell, 4, str(n))
        flat.append(cell.State(*(field.to(dtype).requires_grad_() for field in fields)))
    leaves = [field for state in flat for field in state]
    if len(flat) == len(net.layers):
        return tuple(flat), leaves
    return tuple(zip(flat[::2], flat[1::2], strict=True)), leaves  # a pair for each bidirectional layer


def flatten(state):
    if isinstance(state, torch.Tensor):
        return [state]
    return [tensor for part in state for tensor in flatten(part)]


def everything(net, dtype, lengths=None, mask=None):
    """Output, final state and all gradients of one pass, by name."""
    x = random_input(build("rnn"), batch=4, steps=7).to(dtype).requires_grad_()
    begin, leaves = states(net, dtype)
    output, state = net(x, begin, lengths=lengths, mask=mask)
    end = flatten(state)
    names, parameters = zip(*net.named_parameters(), strict=True)
    grads = torch.autograd.grad(weigh(output, end), [x, *leaves, *parameters])
    keys = ["d x", *[f"d state {n}" for n in range(len(leaves))], *[f"d {n}" for n in names]]
    return {"output": output, **{f"state {n}": s for n, s in enumerate(end)}, **dict(zip(keys, grads, strict=True))}


def assert_equal(got, want, tolerance):
    assert got.keys() == want.keys()
    assert {k: far(got[k], want[k]) for k in want if far(got[k], want[k]) > tolerance} == {}


# native equals eager


@kernels
@pytest.mark.parametrize("biases", [0, 1, 2])
@directions
@all_lengths
@precisions
def test_native_equals_eager(name, biases, direction, lengths, dtype):
    given = tensor_lengths(lengths)
    native, eager = (
        everything(stack(name, b, dtype, biases=biases, direction=direction), dtype, given) for b in ("native", "eager")
    )
    assert_equal(native, eager, TOLERANCE[dtype])


@kernels
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("lengths", ["whole", "unsorted"])
@precisions
def test_native_equals_eager_in_depth(name, direction, lengths, dtype):
    given = tensor_lengths(lengths)
    native, eager = (
        everything(stack(name, b, dtype, direction=direction, layers=3), dtype, given) for b in ("native", "eager")
    )
    assert_equal(native, eager, TOLERANCE[dtype])


@kernels
@directions
@precisions
def test_native_padding_changes_nothing(name, direction, dtype):
    """To the bit, as for the loop."""
    net = stack(name, "native", dtype, direction=direction)
    lengths = tensor_lengths("unsorted")
    real = torch.arange(7) < lengths[:, None]
    x = random_input(build("rnn"), batch=4, steps=7).to(dtype)
    noisy = torch.where(real[..., None], x, torch.full_like(x, 100.0))
    (a, state_a), (b, state_b) = net(x, lengths=lengths), net(noisy, lengths=lengths)
    assert torch.equal(a, b)
    assert all(torch.equal(p, q) for p, q in zip(flatten(state_a), flatten(state_b), strict=True))
    assert not a[~real].any()


@kernels
@precisions
def test_eval_mode_is_training_mode(name, dtype):
    """The kernels are told whether they train; nothing but that may follow from it, gradients included."""
    net = stack(name, "native", dtype)
    training = everything(net, dtype)
    evaluation = everything(net.eval(), dtype)
    assert_equal(evaluation, training, TOLERANCE[dtype])
    with torch.no_grad():
        output, _ = net(random_input(build("rnn"), batch=4, steps=7).to(dtype), states(net, dtype)[0])
    assert far(output, training["output"]) <= TOLERANCE[dtype]


# both equal torch.nn


MODULES = {"rnn": torch.nn.RNN, "rnn_relu": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}


def copies(net, biases, direction):
    """Our parameters under the names that torch.nn gives them."""
    sides = ["", "_reverse"] if direction == "bidirectional" else [""]
    places = [f"l{n}{side}" for n in range(len(net.layers)) for side in sides]
    ours = {}
    for cell, place in zip(cells(net), places, strict=True):
        ours |= {f"weight_ih_{place}": cell.W.weight, f"weight_hh_{place}": cell.U.weight}
        if biases:
            ours |= {f"bias_ih_{place}": cell.W.bias, f"bias_hh_{place}": cell.U.bias}
    return ours


EVERY_WAY = itertools.product(
    MODULES,
    [name for name in BACKENDS if name != "scan"],
    [0, 2],
    ["forward", "bidirectional"],
    [1, 2],
    ["whole", "unsorted"],
    TOLERANCE,
)


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize(
    ("name", "backend", "biases", "direction", "layers", "lengths", "dtype"),
    some_of(  # each module on each backend with every two choices of what follows each other here
        EVERY_WAY,
        lambda *way: (way[:2], way[2:4]),
        lambda *way: (way[:2], way[4:6]),
        lambda *way: (way[:2], way[3], way[6]),
    ),
)
def test_equals_torch_nn(name, backend, biases, direction, layers, lengths, dtype):
    """torch's own module with our weights: output, h_n and c_n, final(), and the gradient of every one of them."""
    net = stack(name, backend, dtype, biases=biases, direction=direction, layers=layers)
    ours, both = copies(net, biases, direction), direction == "bidirectional"
    options = {"nonlinearity": "relu"} if name == "rnn_relu" else {}
    twin = MODULES[name](3, 4, layers, bias=biases > 0, batch_first=True, bidirectional=both, **options).to(dtype)
    twin.load_state_dict(ours)

    x = random_input(build("rnn"), batch=4, steps=7).to(dtype).requires_grad_()
    given = tensor_lengths(lengths)
    begin, leaves = states(net, dtype)
    fields = len(cells(net)[0].State._fields)
    hx = [torch.stack(leaves[n::fields]) for n in range(fields)]  # (layers * directions, B, H) each

    output, state = net(x, begin, lengths=given)
    finals = [torch.stack(flatten(state)[n::fields]) for n in range(fields)]
    packed = x if given is None else pack_padded_sequence(x, given, batch_first=True, enforce_sorted=False)
    wanted, end = twin(packed, tuple(hx) if fields == 2 else hx[0])
    if given is not None:
        wanted, _ = pad_packed_sequence(wanted, batch_first=True, total_length=7)
    end = list(end) if fields == 2 else [end]
    top = torch.cat(list(end[0][-2:]), 1) if both else end[0][-1]

    got = {"output": output, "final": net.final(state)} | {f"end {n}": s for n, s in enumerate(finals)}
    want = {"output": wanted, "final": top} | {f"end {n}": s for n, s in enumerate(end)}
    by_ours = torch.autograd.grad(weigh(output, finals), [x, *leaves, *ours.values()])
    theirs = [dict(twin.named_parameters())[key] for key in ours]
    by_theirs = torch.autograd.grad(weigh(wanted, end), [x, *leaves, *theirs])
    keys = ["d x", *[f"d state {n}" for n in range(len(leaves))], *[f"d {key}" for key in ours]]
    got |= dict(zip(keys, by_ours, strict=True))
    want |= dict(zip(keys, by_theirs, strict=True))
    assert_equal(got, want, TOLERANCE[dtype])


# the rule and the refusals


def without_compiler(name):
    """torch's kernel where the cell names one, the scan where it is linear or has a scan of its own, else the loop."""
    linear = issubclass(kind(name), LinearCell) or kind(name).scan is not None
    return "native" if CELLS[name]["meta"]["kernel"] else "scan" if linear else "eager"


@pytest.mark.parametrize("name", CELLS)
def test_auto_is_compiled_where_there_is_a_compiler(name):
    if toolchain.find() is None:
        pytest.skip(toolchain.why_none())
    meta = CELLS[name]["meta"]
    wanted = "compiled" if meta["compiles"] else without_compiler(name)
    assert Layer(build(name)).backend == wanted
    assert Layer(build(name), backend="eager").backend == "eager"


@pytest.mark.parametrize("name", CELLS)
def test_auto_is_native_where_the_cell_names_a_kernel_and_there_is_no_compiler(name, monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    assert Layer(build(name)).backend == without_compiler(name)
    with pytest.raises(ValueError, match=r"backend=compiled: RNNBENCH_CC is empty, .*use backend=eager"):
        Layer(build(name), backend="compiled")


def test_auto_is_eager_with_peepholes_where_there_is_no_compiler(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    assert Layer(LSTM(3, 4, peephole=Peephole())).backend == "eager"
    assert Layer(LSTM(3, 4, peephole=Peephole(shape="none"))).backend == "native"


@pytest.mark.parametrize(
    "cell", [LSTM(3, 4, peephole=Peephole(gates=["o"])), GRUCho(3, 4), OdysseyLSTM(3, 4, edit="cifg")], ids=repr
)
def test_native_refuses_a_cell_without_a_kernel(cell):
    with pytest.raises(ValueError, match=rf"backend=native: torch has no kernel for {type(cell).__name__} .*eager"):
        Layer(cell, backend="native")
    with pytest.raises(ValueError, match="backend=native"):
        unroll_native(cell, torch.zeros(2, 1, 3), cell.zero_state(1, (), torch.zeros(1)))


def test_native_refuses_another_operator():
    cell = LSTM(3, 4)
    cell.operator = type("Conv", (), {"name": "conv2d"})()
    assert refuses(cell) == "torch has no conv2d recurrent kernel"


def test_native_refuses_a_mask():
    layer = Layer(GRU(3, 4), backend="native")
    with pytest.raises(ValueError, match="takes lengths, not a mask; use backend=eager"):
        layer(torch.zeros(2, 5, 3), mask=torch.ones(2, 5, dtype=torch.bool))


def test_the_kernel_is_never_called_with_sizes_that_do_not_fit():
    """Also not by a layer that was put into a stack after the stack was built, or by a caller of the kernel itself."""
    cell = LSTM(3, 4)
    x, state = torch.zeros(5, 2, 3), cell.zero_state(2, (), torch.zeros(1))
    narrow = cell.zero_state(1, (), torch.zeros(1))
    for wrong, begin in ((torch.zeros(5, 2, 4), state), (x[0], state), (x, narrow), (x, type(state)(*state[:1], x))):
        with pytest.raises(ValueError, match=r"expected x \(T, B, 3\) and states \(2?B?, 4\)"):
            unroll_native(cell, wrong, begin)
    for backend in ("native", "auto"):
        net = build_stack(LSTM, 3, 4, layers=2)
        net.layers[1] = Layer(LSTM(5, 4), backend=backend)
        with pytest.raises(ValueError, match=r"expected x \(T, B, 5\)"):
            net(torch.zeros(2, 6, 3))


def test_unknown_backend():
    with pytest.raises(ValueError, match="unknown backend 'fast'; known: auto, eager, native, compiled, scan"):
        Layer(RNN(3, 4), backend="fast")


def test_flip_turns_each_sequence_within_its_own_length():
    x = torch.arange(1, 9).reshape(4, 2, 1)  # two sequences of four steps: 1 3 5 7 and 2 4 6 8
    assert flip(x, torch.tensor([3, 1])).squeeze(-1).T.tolist() == [[5, 3, 1, 7], [2, 4, 6, 8]]
    assert flip(x, None).squeeze(-1).T.tolist() == [[7, 5, 3, 1], [8, 6, 4, 2]]
