"""nn.stacks: depth, and what stands between layers."""

import pytest
import torch
from torch.nn import functional as F

import reference
from registry import SPACE, build, far, random_input, random_state, randomise, weigh
from rnnbench.nn import GRU, LSTM, RNN, STLSTM, Column, Conv2d, Layer, Stack, build_stack
from rnnbench.nn.stacks import ChannelNorm


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


# frames


def test_layer_norm_of_frames_is_over_the_channels_of_each_pixel():
    norm = randomise(ChannelNorm(4).double())
    x = random_input(LSTM(4, 4, operator=Conv2d(3)))
    wanted = torch.empty_like(x)
    for y in range(SPACE[0]):
        for z in range(SPACE[1]):
            pixel = x[..., y, z]
            centred = pixel - pixel.mean(2, keepdim=True)
            scaled = centred / (centred.square().mean(2, keepdim=True) + norm.eps).sqrt()
            wanted[..., y, z] = scaled * norm.weight + norm.bias
    assert far(norm(x), wanted) < 1e-12


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("merge", ["concat", "sum"])
def test_a_stack_of_frames(direction, merge):
    """The same call on frames: depth, both directions, residual, norm and lengths."""

    def make(i, h):
        return LSTM(i, h, operator=Conv2d(5, 3))

    options = {"layers": 2, "direction": direction, "merge": merge, "residual": True, "norm": "layer"}
    net = randomise(build_stack(make, 3, 4, **options).double())
    x, lengths = random_input(make(3, 4)), torch.tensor([2, 6, 1])
    output, state = net(x, lengths=lengths)
    size = 8 if (direction, merge) == ("bidirectional", "concat") else 4
    assert net.output_size == size
    assert output.shape == (3, 6, size, *SPACE)
    assert not output[torch.arange(6) >= lengths[:, None]].any()
    for b, length in enumerate(lengths):
        alone, end = net(x[b : b + 1, :length])
        assert far(output[b : b + 1, :length], alone) < 1e-12
        assert far(net.final(state)[b : b + 1], net.final(end)) < 1e-12


# columns


def column(make, layers, key=""):
    sizes = [3] + [4] * (layers - 1)
    return randomise(Column([Layer(make(i, 4), backend="eager") for i in sizes]).double(), key)


def run_column(net, x, *, hoisted=False):
    """Output of every layer at every step, (B, T, layers, H, *space), and the last states."""
    states, steps = net.start(x[:, 0]), []
    first = net.layers[0].cell.hoist(x.transpose(0, 1))
    for t in range(x.shape[1]):
        outputs, states = net.step(first[t] if hoisted else x[:, t], states, hoisted=hoisted)
        steps.append(torch.stack(outputs, 1))
    return torch.stack(steps, 1), states


@pytest.mark.parametrize("cell", ["lstm", "convlstm", "convgru_cho", "trajgru"])
@pytest.mark.parametrize("hoisted", [False, True])
def test_a_column_is_a_stack_step_by_step(cell, hoisted):
    net = column(lambda i, h: build(cell, "on", i, h), 3)
    x = random_input(net.layers[0].cell)
    outputs, states = run_column(net, x, hoisted=hoisted)
    for n, layer in enumerate(net.layers):
        x, state = layer(x)
        assert far(outputs[:, :, n], x) < 1e-12
        assert all(far(a, b) < 1e-12 for a, b in zip(states[n], state, strict=True))


def predrnn(cells, x):
    """PredRNN by the letter: the memory m rises through the layers within a step, and from the top to the first one
    at the next step. x: (B, T, C, H, W) -> the output of every layer at every step, (B, T, layers, C, H, W)."""
    space = tuple(x.shape[3:])
    weights = [reference.Weights(cell, reference.CELLS["stlstm"], {}, space) for cell in cells]
    zero = torch.zeros(4 * space[0] * space[1], dtype=torch.float64)
    batch = []
    for b in range(x.shape[0]):
        h, c, m = [zero] * len(cells), [zero] * len(cells), zero
        steps = []
        for t in range(x.shape[1]):
            inner = x[b, t].flatten()
            for n, w in enumerate(weights):
                inner, (h[n], c[n], m) = reference.stlstm(w, inner, h[n], c[n], m)
            steps.append(torch.stack(h).reshape(len(cells), 4, *space))
        batch.append(torch.stack(steps))
    return torch.stack(batch)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_zigzag_of_predrnn(layers):
    """In value, and in gradient by the input and every parameter."""
    net = column(lambda i, h: build("stlstm", "off", i, h), layers)
    x = random_input(net.layers[0].cell, batch=2, steps=3).requires_grad_()
    got, states = run_column(net, x)
    wanted = predrnn([layer.cell for layer in net.layers], x)
    assert far(got, wanted) < 1e-12
    assert torch.equal(states[-1].h, got[:, -1, -1])
    names = ["x", *(name for name, _ in net.named_parameters())]
    by_column, by_letter = (torch.autograd.grad(weigh(y), [x, *net.parameters()]) for y in (got, wanted))
    assert {n: far(a, b) for n, a, b in zip(names, by_column, by_letter, strict=True) if far(a, b) >= 1e-12} == {}


def test_the_memory_leaves_the_top_for_the_bottom():
    """A layer's own m is not used: only that of the top layer lives on to the next step."""
    net = column(lambda i, h: build("stlstm", "off", i, h), 2)
    x = random_input(net.layers[0].cell, batch=2, steps=2)
    _, states = net.step(x[:, 0], net.start(x[:, 0]))
    outputs, _ = net.step(x[:, 1], states)
    below, top = states
    noise = torch.ones_like(below.m)
    unmoved, _ = net.step(x[:, 1], (below._replace(m=below.m + noise), top))
    moved, _ = net.step(x[:, 1], (below, top._replace(m=top.m + noise)))
    assert torch.equal(unmoved[0], outputs[0])
    assert torch.equal(unmoved[1], outputs[1])
    assert far(moved[0], outputs[0]) > 1e-3


def test_a_memory_that_moves_needs_layers_of_one_size():
    layers = [Layer(STLSTM(3, 4, operator=Conv2d(3))), Layer(STLSTM(4, 5, operator=Conv2d(3)))]
    with pytest.raises(ValueError, match="a memory that moves between layers needs layers of one size"):
        Column(layers)
    assert not Column([Layer(LSTM(3, 4)), Layer(LSTM(4, 5))]).zigzag


@pytest.mark.parametrize("name", ["stlstm", "causal_lstm"])
@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
def test_a_memory_that_moves_between_layers_is_refused_layer_after_layer(name, direction):
    """The encoder-forecaster's sentence; of one layer the memory's way is the layer's own."""

    def make(inputs, hidden):
        return build(name, "off", inputs, hidden)

    with pytest.raises(ValueError, match="memory moves between layers at every step: use the rollout network"):
        build_stack(make, 3, 4, layers=2, direction=direction)
    with pytest.raises(ValueError, match="memory moves between layers at every step"):
        Stack([Layer(build("convlstm", "off", 3, 4)), Layer(make(4, 4))])
    x = random_input(make(3, 4))
    net = randomise(build_stack(make, 3, 4).double())
    assert torch.equal(net(x)[0], net.layers[0](x)[0])


# building


def test_build_stack_passes_the_backend_on():
    def backends(net):
        return [m.backend for m in net.modules() if isinstance(m, Layer)]

    assert backends(stack(layers=2, backend="native")) == ["native", "native"]
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
    with pytest.raises(ValueError, match="layer 1 takes 5 features, the one below gives 4"):
        Stack([Layer(LSTM(3, 4)), Layer(LSTM(5, 4))])
