"""What every cell must do, over the whole registry: each cell, each peephole choice it takes, each number of biases.

Float64 and the eager loop throughout; tests/nn/test_backends.py shows that other backends equal it.

What costs most is run on a few drawn rows: every cell, every peephole choice, every normalisation. The slow tests have
all rows.
"""

from __future__ import annotations

import copy
import io
import itertools
import pickle
import re

import pytest
import torch
from torch.func import functional_call

import reference
from registry import (
    CASES,
    CELLS,
    ENTRIES,
    KERNELS,
    LINKS,
    PEEPHOLES,
    SPACE,
    Case,
    build,
    far,
    instantiate,
    on_frames,
    random_input,
    random_state,
    randomise,
    seen_gates,
    some_of,
    weigh,
)
from rnnbench.nn import Bidirectional, Layer, Peephole, TrajGRU, count_params, start
from rnnbench.nn.backends import refuses
from rnnbench.nn.peephole import SHAPES
from rnnbench.store.config import FAMILIES

EXACT = 1e-12
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_layer = pytest.mark.parametrize("case", [c for c in CASES if c.is_full], ids=str)
# How peepholes start changes no equation: the numerical gradient once for each equation. A detached one differs from
# its numerical gradient on purpose (see the reference test for its gradient).
EQUATIONS = [
    c
    for c in CASES
    if c.is_full and PEEPHOLES[c.peephole]["gradient"] == "full" and PEEPHOLES[c.peephole]["start"] == "zero"
]
DIRECTIONS = {"forward": False, "backward": True}
few_layers = pytest.mark.parametrize(
    "case", some_of(((c,) for c in CASES if c.is_full), lambda c: c.cell, lambda c: c.peephole)
)


def bidirectional(case: Case) -> Bidirectional:
    return randomise(Bidirectional(case.layer(), case.layer(reverse=True)), f"both {case}")


def gradients(layer, x, state, **options):
    """Gradients by x, the initial state and every parameter, by name."""
    x = x.clone().requires_grad_()
    state = type(state)(*(s.clone().requires_grad_() for s in state))
    output, final = layer(x, state, **options)
    names, parameters = zip(*layer.named_parameters(), strict=True)
    # The output that a state keeps (y) is read by no step, and so has no gradient.
    read = {name: field for name, field in state._asdict().items() if name != "y"}
    grads = torch.autograd.grad(weigh(output, final), [x, *read.values(), *parameters])
    return dict(zip(["x", *(f"state {name}" for name in read), *names], grads, strict=True))


# the registry itself


def test_every_cell_has_a_reference():
    assert set(CELLS) <= set(reference.CELLS), "a cell without a literal reference in tests/reference.py"


@pytest.mark.parametrize("name", CELLS)
def test_yaml_tells_the_truth(name):
    meta = CELLS[name]["meta"]
    cell = build(name, "on")
    assert meta["name"] == name
    assert meta["operator"] == cell.operator.name == instantiate(CELLS[name], input_size=3, hidden_size=4).operator.name
    assert meta["kernel"] == (None if refuses(build(name)) else build(name).kernel)
    assert sorted(meta["peephole_gates"]) == sorted((getattr(cell, "peephole", None) and cell.peephole.seen) or [])
    assert bool(meta["peephole_gates"]) != bool(meta.get("no_peephole")), "either gates or the reason why none"
    assert bool(meta["peephole_gates"]) == bool(meta.get("peephole_shapes"))
    assert meta.get("needs") == ("rollout" if cell.zigzag else None)


@pytest.mark.parametrize("name", ENTRIES)
def test_yaml_says_family_paper_and_parameters(name):
    meta = ENTRIES[name]["meta"]
    assert meta["family"] in FAMILIES
    assert (meta["family"] == "no_recurrence") == (name not in CELLS)
    assert (meta["family"] == "frames") == (meta["operator"] == "conv2d")
    assert re.fullmatch(r"[^,]+ (19|20)\d\d, \S.*[^.]", meta["paper"]), "authors, year, title"
    if ENTRIES[name].get("window", 1) is None:  # of a network over all steps, the longest sequence decides
        assert "params" not in meta
        return
    net = instantiate(ENTRIES[name], input_size=64, hidden_size=64)
    assert meta["params"] == sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("name", [name for name in CELLS if CELLS[name]["meta"]["peephole_gates"]])
def test_yaml_names_the_shapes_that_the_cell_takes(name):
    for shape in SHAPES[1:]:
        if shape in CELLS[name]["meta"]["peephole_shapes"]:
            assert build(name, Peephole(shape=shape)).peephole.options.shape == shape
        else:
            with pytest.raises(ValueError, match=rf"peephole\.shape={shape} is for frames; on vectors use per_channel"):
                build(name, Peephole(shape=shape))


# shapes and time


@every_case
def test_shapes(case):
    layer = case.layer()
    x = random_input(layer.cell, batch=2, steps=5)
    output, state = layer(x)
    assert output.shape == (2, 5, 4, *x.shape[3:])
    assert output.dtype == torch.float64
    assert type(state) is layer.cell.State
    assert [s.shape for s in state] == layer.cell.state_sizes(2, x.shape[3:], x)
    assert torch.equal(output[:, -1], layer.final(state))


@every_layer
def test_whole_is_chunked_is_step_by_step(case):
    layer = case.layer()
    cell = layer.cell
    x, begin = random_input(cell, steps=7), random_state(cell)
    whole, end = layer(x, begin)
    assert torch.isfinite(whole).all()

    parts, state = [], begin
    for chunk in x.split([3, 1, 3], 1):
        part, state = layer(chunk, state)
        parts.append(part)
    assert far(torch.cat(parts, 1), whole) < EXACT
    assert all(far(a, b) < EXACT for a, b in zip(state, end, strict=True))

    state = begin
    for t in range(7):
        output, state = cell.step(cell.hoist(x[:, t : t + 1].transpose(0, 1))[0], state)
        assert far(output, whole[:, t]) < EXACT
    assert all(far(a, b) < EXACT for a, b in zip(state, end, strict=True))

    hoisted, plain, given = cell.hoist(x.transpose(0, 1)), begin, begin
    for t in range(7):
        a, plain = layer.step(x[:, t], plain)
        b, given = layer.step(hoisted[t], given, hoisted=True)
        assert far(a, whole[:, t]) < EXACT
        assert far(b, whole[:, t]) < EXACT
    assert all(far(a, b) < EXACT for a, b in zip((*plain, *given), (*end, *end), strict=True))


@every_layer
def test_no_state_is_zero_state(case):
    layer = case.layer()
    x = random_input(layer.cell)
    zero = layer.cell.zero_state(len(x), x.shape[3:], x)
    assert all(not field.any() for field in zero) == layer.cell.starts_at_zero
    assert torch.equal(layer(x)[0], layer(x, zero)[0])
    assert far(layer(x, random_state(layer.cell))[0], layer(x)[0]) > 1e-3, "the initial state must matter"


@every_layer
def test_reverse_is_flip(case):
    ahead, back = case.layer(), case.layer(reverse=True)
    x, begin = random_input(ahead.cell), random_state(ahead.cell)
    output, state = back(x, begin)
    flipped, flipped_state = ahead(x.flip(1), begin)
    assert far(output, flipped.flip(1)) < EXACT
    assert all(far(a, b) < EXACT for a, b in zip(state, flipped_state, strict=True))
    assert far(output, ahead(x, begin)[0]) > 1e-3


# batch and padding


@every_layer
def test_rows_of_a_batch_are_independent(case):
    layer = case.layer()
    x, begin = random_input(layer.cell), random_state(layer.cell)
    other, other_begin = x.clone(), layer.cell.State(*(s.clone() for s in begin))
    other[1] = random_input(layer.cell, key="other")[1]
    for field in other_begin:
        field[1] += 0.1
    (a, state_a), (b, state_b) = layer(x, begin), layer(other, other_begin)
    same = [0, 2]
    assert far(a[same], b[same]) < EXACT
    assert all(far(p[same], q[same]) < EXACT for p, q in zip(state_a, state_b, strict=True))
    assert far(a[1], b[1]) > 1e-3


@pytest.mark.parametrize(
    ("case", "direction", "given"),
    some_of(
        itertools.product(CASES, DIRECTIONS, ["lengths", "mask"]),
        lambda case, direction, given: (case.cell, given),
        lambda case, direction, given: (case.cell, direction),
        lambda case, direction, given: (case.peephole, given),
        lambda case, direction, given: (case.norm, direction, given),
    ),
)
def test_padding_changes_nothing(case, direction, given):
    layer = case.layer(reverse=DIRECTIONS[direction])
    lengths = torch.tensor([2, 6, 1])
    real = torch.arange(6) < lengths[:, None]
    options = {"lengths": lengths} if given == "lengths" else {"mask": real}
    x, begin = random_input(layer.cell), random_state(layer.cell)
    noisy = x.clone()
    noisy[~real] = 100 * random_input(layer.cell, key="noise")[~real]

    output, state = layer(x, begin, **options)
    other, other_state = layer(noisy, begin, **options)
    assert torch.equal(output, other)
    assert all(torch.equal(a, b) for a, b in zip(state, other_state, strict=True))
    assert not output[~real].any(), "outputs at padding are zero"
    for b, length in enumerate(lengths):
        alone, alone_state = layer(x[b : b + 1, :length], type(begin)(*(s[b : b + 1] for s in begin)))
        assert far(output[b : b + 1, :length], alone) < EXACT
        assert all(far(s[b : b + 1], e) < EXACT for s, e in zip(state, alone_state, strict=True))

    by, by_noisy = (gradients(layer, each, begin, **options) for each in (x, noisy))
    assert not by["x"][~real].any(), "nothing flows into padding"
    assert by["x"][real].any()
    assert all(far(by_noisy[name], by[name]) < EXACT for name in by)


@few_layers
def test_padding_changes_nothing_in_both_directions(case):
    layer = bidirectional(case)
    cell = layer.ahead.cell
    lengths = torch.tensor([2, 6, 1])
    real = torch.arange(6) < lengths[:, None]
    x = random_input(cell)
    noisy = x.clone()
    noisy[~real] = 100 * random_input(cell, key="noise")[~real]
    output, state = layer(x, lengths=lengths)
    assert torch.equal(output, layer(noisy, lengths=lengths)[0])
    assert torch.equal(output, layer(noisy, mask=real)[0])
    assert not output[~real].any()
    for b, length in enumerate(lengths):
        alone, alone_state = layer(x[b : b + 1, :length])
        assert far(output[b : b + 1, :length], alone) < EXACT
        assert far(layer.final(state)[b : b + 1], layer.final(alone_state)) < EXACT
    assert far(output[:, :, :4], layer.ahead(x, lengths=lengths)[0]) == 0
    assert far(output[:, :, 4:], layer.back(x, lengths=lengths)[0]) == 0


# parameters


@every_case
def test_closed_form_parameter_count(case):
    sizes = reference.Sizes(
        5, 7, case.biases, len(seen_gates(case.cell, case.peephole)), PEEPHOLES[case.peephole]["shape"]
    )
    sizes = sizes._replace(norm=case.norm is not None, norm_c=case.norm not in (None, "layer"))
    if on_frames(case.cell):
        sizes = sizes._replace(
            k_x=KERNELS["input_kernel_size"], k_h=KERNELS["kernel_size"], pixels=SPACE[0] * SPACE[1], links=LINKS
        )
    assert count_params(case.build(5, 7)) == reference.CELLS[case.cell].count(sizes)


@every_case
def test_every_number_learns(case):
    """Each single number of each parameter gets a gradient: no weight is dead."""
    layer = case.layer()
    x = 3 * random_input(layer.cell, batch=64)  # so much that every two relu units are on together at some time
    if case.norm:  # which undoes the 3: no relu unit is off for good where its bias is not below zero
        for name, parameter in layer.named_parameters():
            if name.endswith("bias"):
                parameter.data.abs_()
    weigh(layer(x)[0]).backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).all(), name


@every_layer
def test_every_parameter_learns_from_its_own_start(case):
    """Also from the start the registry gives it: a zero-started peephole has a gradient from the first update on."""
    layer = Layer(case.build(), backend="eager").double()
    start(layer, 0)
    if isinstance(layer.cell, TrajGRU):
        randomise(layer.cell.flow)  # starts at zero, and until it has moved hides what the flows are made from
    weigh(layer(random_input(layer.cell, batch=8))[0]).backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@few_layers
def test_survives_moves_and_copies(case):
    layer = Layer(case.build(), backend="eager")
    randomise(layer)
    x = random_input(layer.cell)
    names = [name for name, _ in layer.named_parameters()]
    assert {p.dtype for p in layer.parameters()} == {torch.float32}
    single, _ = layer(x.float())
    assert single.dtype == torch.float32

    layer = layer.to(torch.float64)
    assert [name for name, _ in layer.named_parameters()] == names
    assert {p.dtype for p in layer.parameters()} == {torch.float64}
    double, _ = layer(x)
    assert far(single.double(), double) < 1e-5

    meta = copy.deepcopy(layer).to("meta")
    assert [name for name, _ in meta.named_parameters()] == names
    assert all(p.is_meta and p.requires_grad for p in meta.parameters())
    assert meta(x.to("meta"))[0].shape == double.shape

    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(x)[0], double)
        with torch.no_grad():
            for p in twin.parameters():
                p.zero_()
        assert torch.equal(layer(x)[0], double), "a copy shares no weight"


@few_layers
def test_saves_and_loads(case):
    layer = case.layer()
    x = random_input(layer.cell)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    fresh = Layer(case.build(), backend="eager").double()
    assert not torch.equal(fresh(x)[0], layer(x)[0])
    fresh.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(fresh(x)[0], layer(x)[0])


# equations


@pytest.mark.parametrize(
    ("case", "direction"),
    some_of(
        itertools.product(CASES, DIRECTIONS),
        lambda case, direction: (case.cell, direction),
        lambda case, direction: (case.cell, case.biases),
        lambda case, direction: (case.cell, case.norm),
        lambda case, direction: (bool(seen_gates(case.cell, case.peephole)), case.cell),
        lambda case, direction: (case.peephole, direction),
    ),
)
def test_equals_the_reference(case, direction):
    """Value, and gradient by x, the initial state and every parameter."""
    reverse = DIRECTIONS[direction]
    layer = case.layer(reverse=reverse)
    choice = PEEPHOLES[case.peephole] if seen_gates(case.cell, case.peephole) else {}

    def literal(x, state):
        x = x.flip(1) if reverse else x
        output, final = reference.run(case.cell, layer.cell, x, state, choice)
        return (output.flip(1) if reverse else output), final

    literal.named_parameters = layer.named_parameters
    x, begin = random_input(layer.cell), random_state(layer.cell)
    output, state = layer(x, begin)
    wanted, wanted_state = literal(x, begin)
    assert far(output, wanted) < EXACT
    assert all(far(a, b) < EXACT for a, b in zip(state, wanted_state, strict=True))
    got, want = gradients(layer, x, begin), gradients(literal, x, begin)
    assert got.keys() == want.keys()
    assert {name: far(got[name], want[name]) for name in got if far(got[name], want[name]) >= EXACT} == {}


@pytest.mark.parametrize("case", some_of(((c,) for c in EQUATIONS), lambda c: c.cell, lambda c: c.peephole))
def test_gradcheck(case):
    layer = case.layer(input_size=2, hidden_size=2)
    x, begin = random_input(layer.cell, batch=2, steps=3), random_state(layer.cell, batch=2)
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def function(x, *rest):
        state, weights = rest[: len(begin)], rest[len(begin) :]
        given = layer.cell.State(*state)
        output, final = functional_call(layer, dict(zip(names, weights, strict=True)), (x, given))
        return output, *final

    inputs = [t.detach().clone().requires_grad_() for t in (x, *begin, *parameters)]
    # A kernel has thousands of numbers: one random direction through all of them instead of each alone.
    assert torch.autograd.gradcheck(function, inputs, fast_mode=on_frames(case.cell))


# starts


@pytest.mark.parametrize("case", [c for c in CASES if c.peephole != "off"], ids=str)
def test_peepholes_leave_the_start_of_the_rest_alone(case):
    with_, without = case.build(), case._replace(peephole="off").build()
    start(with_, 3)
    start(without, 3)
    left = dict(without.named_parameters())
    shared = {name: p for name, p in with_.named_parameters() if name in left}
    assert shared.keys() == left.keys()
    assert all(torch.equal(p, left[name]) for name, p in shared.items())


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.peephole != "off" and PEEPHOLES[c.peephole]["start"] == "zero"], ids=str
)
def test_zero_peepholes_begin_as_none(case):
    """To the bit, in output and in the gradient of every weight that both have."""
    with_, without = (Layer(c.build(), backend="eager") for c in (case, case._replace(peephole="off")))
    for layer in (with_, without):
        start(layer, 3)
    x = random_input(with_.cell).float()
    (a, state_a), (b, state_b) = with_(x), without(x)
    assert torch.equal(a, b)
    assert all(torch.equal(p, q) for p, q in zip(state_a, state_b, strict=True))
    weigh(a).backward()
    weigh(b).backward()
    mine = dict(with_.named_parameters())
    for name, parameter in without.named_parameters():
        assert torch.equal(mine[name].grad, parameter.grad), name
