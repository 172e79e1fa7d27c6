"""nn.layers: unrolling, masks, both directions, and the trace for gradient curves."""

import pytest
import torch

from registry import far, random_input, random_state, randomise, weigh
from rnnbench.nn import GRU, LSTM, RNN, Bidirectional, Layer, build_stack, length_mask, tracing, unroll


def layer(cell=None, **options):
    return randomise(Layer(cell or LSTM(3, 4), **({"backend": "eager"} | options)).double())


def both(merge="concat"):
    return Bidirectional(layer(), layer(reverse=True), merge=merge)


def test_length_mask():
    assert length_mask(torch.tensor([2, 0, 3]), 3).tolist() == [[True, True, False], [False] * 3, [True] * 3]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_masked_step_is_a_step_that_never_was(reverse):
    """Holes anywhere: the rest runs as if the sequence were shorter."""
    net = layer(reverse=reverse)
    x, begin = random_input(net.cell), random_state(net.cell)
    mask = torch.tensor([1, 0, 1, 1, 0, 1]).bool()
    output, state = net(x, begin, mask=mask.expand(3, 6))
    dense, dense_state = net(x[:, mask], begin)
    assert far(output[:, mask], dense) < 1e-12
    assert not output[:, ~mask].any()
    assert all(far(a, b) < 1e-12 for a, b in zip(state, dense_state, strict=True))


def test_lengths_and_mask_together():
    net = layer()
    x = random_input(net.cell)
    lengths = torch.tensor([4, 6, 1])
    mask = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)) < 0.6
    output, _ = net(x, lengths=lengths, mask=mask)
    wanted, _ = net(x, mask=mask & length_mask(lengths, 6))
    assert torch.equal(output, wanted)
    assert not torch.equal(output, net(x, mask=mask)[0])


def test_nothing_real_leaves_the_state():
    net = layer()
    begin = random_state(net.cell)
    output, state = net(random_input(net.cell), begin, mask=torch.zeros(3, 6, dtype=torch.bool))
    assert not output.any()
    assert all(torch.equal(a, b) for a, b in zip(state, begin, strict=True))


def test_a_state_may_be_a_plain_tuple():
    for backend in ("eager", "native"):
        net = layer(backend=backend)
        x, begin = random_input(net.cell), random_state(net.cell)
        assert torch.equal(net(x, tuple(begin))[0], net(x, begin)[0])
        lengths = torch.tensor([1, 6, 2])
        assert torch.equal(net(x, tuple(begin), lengths=lengths)[0], net(x, begin, lengths=lengths)[0])


def test_unroll_is_time_first():
    net = layer()
    x = random_input(net.cell)
    output, state = unroll(net.cell, x.transpose(0, 1), net.cell.zero_state(3, (), x))
    wanted, wanted_state = net(x)
    assert torch.equal(output.transpose(0, 1), wanted)
    assert torch.equal(state.c, wanted_state.c)


# both directions


def test_bidirectional_is_two_layers():
    net = both()
    x, begin = random_input(net.ahead.cell), (random_state(net.ahead.cell), random_state(net.back.cell, key="b"))
    output, state = net(x, begin)
    ahead, back = net.ahead(x, begin[0]), net.back(x, begin[1])
    assert torch.equal(output, torch.cat([ahead[0], back[0]], 2))
    assert torch.equal(net.final(state), torch.cat([ahead[1].h, back[1].h], 1))
    assert torch.equal(net.final(state), torch.cat([output[:, -1, :4], output[:, 0, 4:]], 1))
    assert net.output_size == output.shape[-1] == 8


def test_bidirectional_sum():
    net = both("sum")
    x = random_input(net.ahead.cell)
    output, state = net(x)
    assert torch.equal(output, net.ahead(x)[0] + net.back(x)[0])
    assert torch.equal(net.final(state), state[0].h + state[1].h)
    assert net.output_size == output.shape[-1] == 4


def test_bidirectional_bad_input():
    with pytest.raises(ValueError, match="unknown merge 'mean'; known: concat, sum"):
        both("mean")
    for pair in ((layer(), layer()), (layer(reverse=True), layer(reverse=True)), (layer(reverse=True), layer())):
        with pytest.raises(ValueError, match="a forward and a reversed layer, in this order"):
            Bidirectional(*pair)
    with pytest.raises(ValueError, match="both directions see the same input, not 3 and 5 features"):
        Bidirectional(layer(), layer(LSTM(5, 4), reverse=True))
    other = layer(LSTM(3, 5), reverse=True)
    with pytest.raises(ValueError, match="merge=sum needs layers of one size, not 4 and 5"):
        Bidirectional(layer(), other, merge="sum")
    assert Bidirectional(layer(), other).output_size == 9


def test_repr_tells_direction_and_backend():
    assert "reverse=True, backend=native" in repr(layer(GRU(3, 4), reverse=True, backend="native"))


# traces


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("lengths", [None, [4, 6, 2]], ids=["whole", "padded"])
def test_trace_keeps_every_hidden_state_with_its_total_derivative(reverse, lengths):
    """h_t.grad is dL/dh_t by output and by state: what a nudge of h_t does to the loss, and zero at padding."""
    net = layer(RNN(3, 4), reverse=reverse)
    x = random_input(net.cell)
    given = None if lengths is None else torch.tensor(lengths)
    with tracing(net) as traces:
        output, state = net(x, lengths=given)
        weigh(output, state).backward()
    (hidden,) = traces.values()
    real = torch.ones(3, 6, dtype=torch.bool) if given is None else length_mask(given, 6)
    assert len(hidden) == 6
    assert torch.equal(torch.stack(hidden, 1)[real], output[real]), "in order of time, whichever way it ran"

    def nudged(t, nudge):
        """The loss with `nudge` added to h_t: the loop by hand."""
        h, outputs = torch.zeros(3, 4, dtype=torch.float64), [None] * 6
        for step in reversed(range(6)) if reverse else range(6):
            new, _ = net.cell.step(net.cell.hoist(x[:, step]), net.cell.State(h))
            new = new + nudge if step == t else new
            keep = real[:, step, None]
            h, outputs[step] = torch.where(keep, new, h), new * keep
        return weigh(torch.stack(outputs, 1), (h,))

    for t in range(6):
        nudge = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
        (wanted,) = torch.autograd.grad(nudged(t, nudge), nudge)
        assert far(hidden[t].grad, wanted) < 1e-12
        assert not hidden[t].grad[~real[:, t]].any()
        assert (hidden[t].grad[real[:, t]] != 0).all()


def test_tracing_runs_eagerly_and_ends():
    net = build_stack(lambda i, h: LSTM(i, h), 3, 4, layers=2, direction="bidirectional", backend="native").double()
    x, lengths = random_input(LSTM(3, 4)), torch.tensor([6, 2, 4])
    plain, _ = net(x, lengths=lengths)
    with tracing(net) as traces:
        traced, _ = net(x, lengths=lengths)
        traced.sum().backward()
    assert far(traced, plain) < 1e-12
    assert list(traces) == [f"layers.{n}.{side}" for n in range(2) for side in ("ahead", "back")]
    assert all(len(t) == 6 and all(h.grad is not None for h in t) for t in traces.values())
    layers = [m for m in net.modules() if isinstance(m, Layer)]
    assert all(m.trace is None and m.backend == "native" for m in layers)


def test_tracing_ends_after_an_error():
    net = layer()
    with pytest.raises(ValueError, match="got"), tracing(net):
        net(torch.zeros(1, 2, 99, dtype=torch.float64))
    assert net.trace is None
