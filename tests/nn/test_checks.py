"""nn.checks: what they say, and where they look at no value (tests/properties/test_wrong_calls.py: everywhere)."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rnnbench.nn import GRU, LSTM, RNN, TCN, Conv2d, Layer, SequenceModel, build_stack
from rnnbench.nn.checks import blank, weight_of

X = torch.randn(32, 6, 8, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.arange(32) % 6 + 1


def layer(backend="eager", cell=LSTM):
    torch.manual_seed(0)
    return Layer(cell(8, 4), backend=backend)


@pytest.mark.parametrize("backend", ["eager", "native"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"x": X[..., :7]}, r"expected x of shape \(B, T, 8\), got \(32, 6, 7\)"),
        ({"x": X[:, 0]}, r"expected x of shape \(B, T, 8\), got \(32, 8\)"),
        ({"x": X[:, :0]}, r"expected x of shape \(B, T, 8\), got \(32, 0, 8\); every size is at least 1"),
        ({"x": X[:0]}, r"expected x of shape \(B, T, 8\), got \(0, 6, 8\); every size is at least 1"),
        ({"x": X.tolist()}, r"expected x as a tensor \(B, T, 8\), got list of 32"),
        ({"x": X.int()}, r"expected x of a floating point type, got torch.int32"),
        ({"x": X.double()}, r"expected x of the weights' type torch.float32, got torch.float64: convert one of them"),
        ({"x": X.to("meta")}, r"expected x on the weights' device cpu, got meta"),
        ({"state": torch.zeros(32, 4)}, r"expected the state of LSTM as a tuple \(h, c\), got a tensor \(32, 4\)"),
        ({"state": (torch.zeros(32, 4),)}, r"expected the state of LSTM as a tuple \(h, c\), got tuple of 1"),
        ({"state": GRU(8, 4).zero_state(32, (), X)}, r"as a tuple \(h, c\), got GRUState \(h\)"),
        ({"state": (torch.zeros(32, 4), 0)}, r"expected c of the state of LSTM as a tensor \(32, 4\), got int"),
        ({"state": (torch.zeros(17, 4),) * 2}, r"expected h of the state of LSTM of shape \(32, 4\), got \(17, 4\)"),
        (
            {"state": (torch.zeros(1, 32, 4),) * 2},
            r"of shape \(32, 4\), got \(1, 32, 4\): torch.nn's axis of layers in front is a tuple here",
        ),
        ({"state": (torch.zeros(32, 4).double(),) * 2}, r"of the input's type torch.float32, got torch.float64"),
        ({"state": (torch.zeros(32, 4, device="meta"),) * 2}, r"on the input's device cpu, got meta"),
        ({"lengths": LENGTHS[:9]}, r"expected lengths of shape \(32,\), one a sequence, got \(9,\)"),
        ({"lengths": LENGTHS - 1}, r"expected lengths from 1 to T = 6, got 0 of sequence 0"),
        ({"lengths": LENGTHS + 1}, r"expected lengths from 1 to T = 6, got 7 of sequence 5"),
        ({"lengths": LENGTHS.float()}, r"expected lengths of an integer type, got torch.float32"),
        ({"lengths": ["6"] * 32}, r"expected lengths as 32 integers, got list of 32"),
        ({"lengths": LENGTHS.to("meta")}, r"expected lengths on cpu or the CPU, got meta"),
        ({"mask": torch.ones(6, 32).bool()}, r"expected mask of shape \(32, 6\), got \(6, 32\)"),
        ({"mask": torch.ones(32, 6)}, r"expected mask of torch.bool, got torch.float32"),
    ],
)
def test_sentences(backend, arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        layer(backend)(**{"x": X} | arguments)


def test_the_states_of_more_than_one_layer():
    state = layer()(X)[1]
    for options, count, what in (
        ({"layers": 2}, 2, "a stack of 2"),
        ({"direction": "bidirectional"}, 2, "a bidirectional layer"),
    ):
        net = build_stack(LSTM, 8, 4, **options)
        wrong = (state,) * 3 if "layers" in options else ((state,) * 3,)
        with pytest.raises(
            ValueError, match=f"expected the state of {what} as a tuple of {count} states, got tuple of 3"
        ):
            net(X, wrong)
        part = (state, None) if "layers" in options else ((state, None),)
        zero = tuple(torch.zeros(32, 4) for _ in state)
        whole = (state, zero) if "layers" in options else ((state, zero),)
        assert torch.equal(net(X, part)[0], net(X, whole)[0]), "None is zero, of a part, too"


def test_autocast_takes_what_it_casts():
    net = build_stack(LSTM, 8, 4, layers=2, backend="eager")
    with torch.autocast("cpu", torch.bfloat16):
        for x in (X, X.bfloat16()):
            _, state = net(x)
            assert net(x, state)[0].dtype == net(x)[0].dtype
        for wrong in (X.double(), X.int()):
            with pytest.raises(ValueError, match="expected x of"):
                net(wrong)
    with pytest.raises(ValueError, match="the weights' type"):
        net(X.bfloat16())


def test_blank_keeps_what_is_real_to_the_bit_and_the_type():
    real = torch.arange(6) < LENGTHS[:, None]
    for x in (X, X.bfloat16(), (100 * X).int()):
        got = blank(x, real)
        assert got.dtype == x.dtype
        assert torch.equal(got[real], x[real])
        assert not got[~real].any()
    assert blank(X, None) is X


def test_the_first_weight_of_any_module():
    for module in (layer(), nn.Identity(), TCN(8, 4), nn.BatchNorm1d(3, affine=False), build_stack(LSTM, 8, 4)):
        assert weight_of(module) is next(module.parameters(), None)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_a_nested_tensor_is_told_of_padding(layout):
    nested = torch.nested.nested_tensor([X[0], X[1, :2]], layout=layout)
    for net in (layer(), layer("native"), TCN(8, 4)):
        with pytest.raises(ValueError, match="got a nested one: pad its sequences and give lengths"):
            net(nested)


# where values are not looked at


def test_on_the_meta_device():
    net = layer().to("meta")
    x = X.to("meta")
    for lengths in (None, LENGTHS, LENGTHS.to("meta"), LENGTHS.tolist()):
        assert net(x, lengths=lengths)[0].shape == (32, 6, 4)
    with pytest.raises(ValueError, match=r"got \(32, 6, 7\)"):
        net(x[..., :7])
    with pytest.raises(ValueError, match="got 0 of sequence 0"):
        net(x, lengths=LENGTHS - 1)


def test_frames_on_the_meta_device():
    """It has no autocast, and the product of known zeros asks for it."""
    net, x = Layer(LSTM(3, 4, operator=Conv2d(3), biases=1)).to("meta"), torch.zeros(2, 3, 3, 4, 5, device="meta")
    assert net(x)[0].shape == (2, 3, 4, 4, 5)


def test_under_vmap():
    net = layer()
    state = net(X)[1]
    several = torch.stack([LENGTHS, LENGTHS.flip(0)])
    by_lengths = torch.func.vmap(lambda lengths: net(X, state, lengths=lengths)[0])(several)
    by_x = torch.func.vmap(lambda x: net(x, state, lengths=LENGTHS)[0])(torch.stack([X, 2 * X]))
    assert torch.allclose(by_lengths[1], net(X, state, lengths=several[1])[0])
    assert torch.allclose(by_x[1], net(2 * X, state, lengths=LENGTHS)[0])
    with pytest.raises(ValueError, match="got 0 of sequence 0"):
        torch.func.vmap(lambda x: net(x, lengths=LENGTHS - 1)[0])(torch.stack([X, X]))


def test_operations_are_counted_as_before():
    net = SequenceModel(nn.Linear(8, 8), build_stack(LSTM, 8, 4, backend="eager"), head="mean", output_size=2)
    with FlopCounterMode(display=False) as counter:
        net(X, LENGTHS)
    products = 2 * 32 * (6 * (8 * 8 + 16 * 8 + 16 * 4) + 4 * 2)
    assert counter.get_total_flops() == products


@pytest.mark.integration
def test_in_a_graph_of_any_batch():
    """torch.export looks at no length: the graph takes any, for any batch."""
    net, x, state = layer(cell=GRU), X[:, :2], (torch.zeros(32, 4),)
    axes = {0: torch.export.Dim("batch")}
    shapes = {"x": axes, "state": (axes,), "lengths": axes}
    lengths = LENGTHS.clamp(max=2)
    program = torch.export.export(net, (x, state), {"lengths": lengths}, dynamic_shapes=shapes).module()
    for rows in (slice(None), slice(5), slice(None, None, 7)):
        x_, state_, lengths_ = x[rows], (state[0][rows],), lengths[rows].flip(0)
        assert torch.allclose(program(x_, state_, lengths=lengths_)[0], net(x_, state_, lengths=lengths_)[0], atol=1e-6)


@pytest.mark.integration
def test_a_compiled_layer_is_one_graph():
    net, x, state = layer(cell=RNN), X[:, :2], (torch.zeros(32, 4),)
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    for lengths in (LENGTHS.clamp(max=2), LENGTHS.flip(0).clamp(max=2)):
        assert torch.allclose(compiled(x, state, lengths=lengths)[0], net(x, state, lengths=lengths)[0])
