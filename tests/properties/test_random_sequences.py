"""Random shapes, lengths, masks and splits, where the fixed ones of test_every_cell.py might be lucky."""

from __future__ import annotations

import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from registry import CASES, CELLS, build, far, random_input, random_state, randomise, weigh
from rnnbench.nn import Layer, build_stack, count_params, length_mask, solve_hidden_size
from rnnbench.nn.backends.native import flip

EXACT = 1e-12
cases = st.sampled_from([c for c in CASES if c.is_full])
sizes = st.integers(1, 5)
lengths_of = st.lists(st.integers(1, 6), min_size=1, max_size=5)
directions = st.sampled_from(["forward", "backward", "bidirectional"])
with_kernel = st.sampled_from([name for name, node in CELLS.items() if node["meta"]["kernel"]])


@given(case=cases, sizes=st.tuples(sizes, sizes), batch=sizes, steps=st.integers(1, 8), data=st.data())
def test_any_split_in_time_is_the_whole(case, sizes, batch, steps, data):
    layer = case.layer(input_size=sizes[0], hidden_size=sizes[1])
    x, state = random_input(layer.cell, batch, steps), random_state(layer.cell, batch)
    whole, end = layer(x, state)
    cuts = sorted(data.draw(st.sets(st.integers(1, steps - 1)) if steps > 1 else st.just(set())))
    parts = []
    for begin, stop in zip([0, *cuts], [*cuts, steps], strict=True):
        part, state = layer(x[:, begin:stop], state)
        parts.append(part)
    assert far(torch.cat(parts, 1), whole) < EXACT
    assert all(far(a, b) < EXACT for a, b in zip(state, end, strict=True))


@given(case=cases, lengths=lengths_of, more=st.integers(0, 3), reverse=st.booleans(), data=st.data())
def test_any_padding_and_any_order_of_the_batch(case, lengths, more, reverse, data):
    """How long the padding is and in which order the sequences lie changes nothing."""
    layer = case.layer(reverse=reverse)
    given_lengths, steps = torch.tensor(lengths), max(lengths)
    x = random_input(layer.cell, len(lengths), steps + more)
    begin = random_state(layer.cell, len(lengths))
    output, state = layer(x, begin, lengths=given_lengths)
    tight, tight_state = layer(x[:, :steps], begin, lengths=given_lengths)
    assert far(output[:, :steps], tight) < EXACT
    assert not output[:, steps:].any()
    assert all(far(a, b) < EXACT for a, b in zip(state, tight_state, strict=True))

    order = data.draw(st.permutations(range(len(lengths))))
    moved, moved_state = layer(x[order], type(begin)(*(s[order] for s in begin)), lengths=given_lengths[order])
    assert far(moved, output[order]) < EXACT
    assert all(far(a, b[order]) < EXACT for a, b in zip(moved_state, state, strict=True))


@given(case=cases, mask=st.lists(st.booleans(), min_size=1, max_size=7), reverse=st.booleans())
def test_any_skipped_step_is_a_step_that_never_was(case, mask, reverse):
    assume(any(mask))
    layer = case.layer(reverse=reverse)
    keep = torch.tensor(mask)
    x, begin = random_input(layer.cell, 2, len(mask)), random_state(layer.cell, 2)
    output, state = layer(x, begin, mask=keep.expand(2, -1))
    dense, end = layer(x[:, keep], begin)
    assert far(output[:, keep], dense) < EXACT
    assert not output[:, ~keep].any()
    assert all(far(a, b) < EXACT for a, b in zip(state, end, strict=True))


@given(
    name=with_kernel, sizes=st.tuples(sizes, sizes), direction=directions, layers=st.integers(1, 3),
    lengths=lengths_of, more=st.integers(0, 2), biases=st.integers(0, 2),
)  # fmt: skip
def test_native_equals_eager_anywhere(name, sizes, direction, layers, lengths, more, biases):
    outputs, grads = [], []
    for backend in ("native", "eager"):
        net = build_stack(
            lambda i, h: build(name, "off", i, h, biases=biases), *sizes,
            layers=layers, direction=direction, backend=backend, residual=True,
        )  # fmt: skip
        randomise(net.double(), name)
        cell = next(m.cell for m in net.modules() if isinstance(m, Layer))
        x = random_input(cell, len(lengths), max(lengths) + more).requires_grad_()
        output, state = net(x, lengths=torch.tensor(lengths))
        outputs.append(torch.cat([output.flatten(), net.final(state).flatten()]))
        by = torch.autograd.grad(weigh(output, [net.final(state)]), [x, *net.parameters()])
        grads.append(torch.cat([g.flatten() for g in by]))
    assert far(*outputs) < EXACT
    assert far(*grads) < EXACT


@given(lengths=lengths_of, more=st.integers(0, 3))
def test_flip_is_its_own_inverse_and_leaves_padding_alone(lengths, more):
    steps = max(lengths) + more
    x = torch.arange(steps * len(lengths) * 2).reshape(steps, len(lengths), 2)
    given_lengths = torch.tensor(lengths)
    flipped = flip(x, given_lengths)
    real = length_mask(given_lengths, steps).T
    assert torch.equal(flip(flipped, given_lengths), x)
    assert torch.equal(flipped[~real], x[~real])
    for b, length in enumerate(lengths):
        assert torch.equal(flipped[:length, b], x[:length, b].flip(0))


@given(case=cases, inputs=st.integers(1, 50), budget=st.integers(1, 200_000))
def test_a_budget_buys_the_largest_network_within_it(case, inputs, budget):
    def make(hidden):
        return case.build(inputs, hidden)

    assume(budget >= count_params(make(1)))
    size = solve_hidden_size(make, budget)
    with torch.device("meta"):
        assert count_params(make(size)) <= budget < count_params(make(size + 1))
