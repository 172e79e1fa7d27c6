"""nn.stacks: depth, and what stands between layers."""

import pytest
import torch
from torch.nn import functional as F

from registry import far, random_input, random_state, randomise
from rnnbench.nn import GRU, LSTM, RNN, Layer, Stack, build_stack


def stack(make=LSTM, **options):
    return randomise(build_stack(make, 3, 4, **options).double())


def x_(batch=3):
    return random_input(RNN(3, 4), batch)


def test_a_stack_is_layer_on_layer():
    net = stack(layers=3)
    x = x_()
    begin = tuple(random_state(LSTM(3, 4), key=str(n)) for n in range(3))
    output, state = net(x, begin)
    for layer, start, end in zip(net.layers, begin, state, strict=True):
        x, wanted = layer(x, start)
        assert all(torch.equal(a, b) for a, b in zip(end, wanted, strict=True))
    assert torch.equal(output, x)
    assert net.output_size == 4


@pytest.mark.parametrize(
    ("direction", "merge", "size"),
    [("forward", "concat", 4), ("backward", "concat", 4), ("bidirectional", "concat", 8), ("bidirectional", "sum", 4)],
)
@pytest.mark.parametrize("lengths", [None, [2, 6, 1]])
def test_sizes_and_final(direction, merge, size, lengths):
    """final() is the top layer's h after its last step in its own direction."""
    net = stack(layers=2, direction=direction, merge=merge)
    given = None if lengths is None else torch.tensor(lengths)
    output, state = net(x_(), lengths=given)
    assert output.shape == (3, 6, size)
    assert net.output_size == size
    first = output[:, 0]
    last = output[torch.arange(3), (given if given is not None else torch.tensor([6] * 3)) - 1]
    final = net.final(state)
    assert final.shape == (3, size)
    match direction, merge:
        case "forward", _:
            assert torch.equal(final, last)
        case "backward", _:
            assert torch.equal(final, first)
        case _, "concat":
            assert torch.equal(final, torch.cat([last[:, :4], first[:, 4:]], 1))
        case _:
            ahead, back = state[-1]
            assert torch.equal(final, ahead.h + back.h)


# dropout


def test_dropout_stands_between_layers_only():
    """At p = 1 the second layer sees zeros, and nothing is dropped before the first layer or after the last."""
    net = stack(layers=2, dropout=1.0)
    output, state = net(x_())
    assert torch.equal(output, net.layers[1](torch.zeros(3, 6, 4, dtype=torch.float64))[0])
    assert torch.equal(state[0].h, net.layers[0](x_())[1].h)
    alone = stack(layers=1, dropout=1.0)
    assert torch.equal(alone(x_())[0], alone.layers[0](x_())[0])


def test_dropout_is_off_in_eval_and_reproducible_in_training():
    net, plain = stack(layers=2, dropout=0.5), stack(layers=2)
    plain.load_state_dict(net.state_dict())
    torch.manual_seed(0)
    a = net(x_())[0]
    torch.manual_seed(0)
    b = net(x_())[0]
    c = net(x_())[0]
    assert torch.equal(a, b)
    assert not torch.equal(b, c)
    assert torch.equal(net.eval()(x_())[0], plain(x_())[0])


# residual and norm


def test_residual_adds_the_input_from_the_second_layer_on():
    net = stack(layers=3, residual=True)
    first = net.layers[0](x_())[0]
    second = net.layers[1](first)[0] + first
    third = net.layers[2](second)[0] + second
    output, state = net(x_())
    assert far(output, third) < 1e-12
    assert far(net.final(state), output[:, -1]) < 1e-12


@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
def test_residual_with_lengths(direction):
    """The final state is what each sequence alone leaves behind, and padding stays zero, norm or not."""
    net = stack(GRU, layers=2, residual=True, norm="layer", direction=direction)
    lengths = torch.tensor([2, 6, 1])
    output, state = net(x_(), lengths=lengths)
    assert not output[torch.arange(6) >= lengths[:, None]].any()
    for b, length in enumerate(lengths):
        alone, end = net(x_()[b : b + 1, :length])
        assert far(output[b : b + 1, :length], alone) < 1e-12
        assert far(net.final(state)[b : b + 1], net.final(end)) < 1e-12


def test_norm_is_of_the_input_of_every_layer_but_the_first():
    net = stack(layers=2, norm="layer")
    inner = net.layers[0](x_())[0]
    norm = net.norms[0]
    wanted = net.layers[1](F.layer_norm(inner, (4,), norm.weight, norm.bias, norm.eps))[0]
    assert torch.equal(net(x_())[0], wanted)
    assert len(net.norms) == 1
    assert not list(stack(layers=2).norms.parameters())


def test_dropout_follows_the_norm_and_spares_the_residual():
    net = stack(layers=2, dropout=1.0, residual=True, norm="layer")
    first = net.layers[0](x_())[0]
    wanted = net.layers[1](torch.zeros_like(first))[0] + first
    assert far(net(x_())[0], wanted) < 1e-12


# building


def test_build_stack_passes_the_backend_on():
    def backends(net):
        return [m.backend for m in net.modules() if isinstance(m, Layer)]

    assert backends(stack(layers=2)) == ["native", "native"]
    assert backends(stack(layers=2, direction="bidirectional", backend="eager")) == ["eager"] * 4


def test_bad_input():
    with pytest.raises(ValueError, match="a stack needs at least one layer"):
        build_stack(LSTM, 3, 4, layers=0)
    with pytest.raises(ValueError, match="unknown norm 'batch'; known: none, layer"):
        build_stack(LSTM, 3, 4, norm="batch")
    with pytest.raises(ValueError, match="unknown direction 'up'; known: forward, backward, bidirectional"):
        build_stack(LSTM, 3, 4, direction="up")
    with pytest.raises(ValueError, match="at least one layer"):
        Stack([])
