"""The plan of memory: no number is read before it is written, or after it was overwritten, in either loop.

Every plan is carried out in numpy (`played_plan`) and compared with autograd through the cell's own step: of all cells
that compile, of steps that are drawn at random (`drawn_steps`), and of those that a plan was once wrong for. Some of
the drawn ones are compiled, too.

Axes: T time, B batch, I input features, H hidden features.
"""

from __future__ import annotations

import dataclasses
import operator
from functools import reduce

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from against_eager import DENSE, Call, apart, differences, needs_compiler, own, scaled
from drawn_steps import DrawnCell, draw
from played_plan import Play
from registry import CELLS, PEEPHOLES, build, generator, seen_gates
from rnnbench import toolchain
from rnnbench.nn import Cell
from rnnbench.nn.backends.compiled.gradient import differentiate
from rnnbench.nn.backends.compiled.joining import join
from rnnbench.nn.backends.compiled.layout import lay_out
from rnnbench.nn.backends.compiled.plan import Layout
from rnnbench.nn.backends.compiled.tracing import trace

STEPS, BATCH, INPUTS, SIZE = 4, 3, 2, 2
TOLERANCE = 1e-10
LEAST = 1e-3  # a drawn step has terms of size 1 that cancel, and a gradient that is rounding alone
EVERY = [(cell, "off") for cell in DENSE]
EVERY += [(cell, name) for cell in DENSE for name in PEEPHOLES if seen_gates(cell, name)]


@dataclasses.dataclass(frozen=True)
class Way:
    """How the loops are called."""

    masked: bool = False
    reverse: bool = False
    zero_start: bool = False


WAYS = [Way(masked, reverse, zero) for masked in (False, True) for reverse in (False, True) for zero in (False, True)]


def planned(cell: Cell) -> Layout:
    step = join(trace(cell))
    return lay_out(step, differentiate(step))


@dataclasses.dataclass
class Given:
    """What a call is given, drawn: W x (T, B, n H), starts and final states' gradients (B, H), the output's gradient
    (T, B, H), the mask (T, B) with one whole row and one without a step."""

    wx: Tensor
    start: list[Tensor]
    output_gradient: Tensor
    state_gradients: list[Tensor]
    mask: Tensor | None


def drawn_call(cell: Cell, way: Way, key: str) -> Given:
    random = generator(key)

    def normal(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=random, dtype=torch.float64)

    wx = cell.hoist(normal(STEPS, BATCH, cell.input_size)).detach()
    fields = range(len(cell.State._fields))
    start = [0.5 + 0.2 * normal(BATCH, cell.hidden_size) for _ in fields]
    if way.zero_start:
        start = [torch.zeros_like(each) for each in start]
    mask = None
    if way.masked:
        mask = torch.rand(STEPS, BATCH, generator=random) > 0.4
        mask[:, 0], mask[:, -1] = True, False
    gradients = [normal(BATCH, cell.hidden_size) for _ in fields]
    return Given(wx, start, normal(STEPS, BATCH, cell.hidden_size), gradients, mask)


def step_by_step(cell: Cell, given: Given, way: Way) -> dict[str, Tensor]:
    """Output, final state and gradients by autograd."""
    leaves = {"W x": given.wx, **{f"begin {n}": each for n, each in enumerate(given.start)}}
    leaves = {name: each.clone().requires_grad_() for name, each in leaves.items()}
    wx, *start = leaves.values()
    state = cell.State(*start)
    outputs: list[Tensor] = []
    for t in reversed(range(STEPS)) if way.reverse else range(STEPS):
        output, new = cell.step(wx[t], state)
        if given.mask is not None:
            real = given.mask[t, :, None]
            new = cell.State(*(torch.where(real, after, before) for after, before in zip(new, state, strict=True)))
            output = torch.where(real, output, 0.0)
        state = new
        outputs.append(output)
    found = {"output": torch.stack(outputs[::-1] if way.reverse else outputs)}
    found |= {f"state {n}": each for n, each in enumerate(state)}
    gradients = [given.output_gradient, *given.state_gradients]
    loss = reduce(operator.add, [(a * b).sum() for a, b in zip(found.values(), gradients, strict=True)])
    leaves |= {name: each for name, each in cell.named_parameters() if not name.startswith("W.")}
    asked = torch.autograd.grad(loss, [*leaves.values()], allow_unused=True)
    for (name, leaf), gradient in zip(leaves.items(), asked, strict=True):
        found[f"d {name}"] = torch.zeros_like(leaf) if gradient is None else gradient
    found["d bias of W"] = found["d W x"].sum((0, 1))
    return {name: each.detach() for name, each in found.items()}


def played(cell: Cell, layout: Layout, given: Given, way: Way) -> dict[str, Tensor]:
    """The same by the plan. Without a backward loop to follow it has less memory, and gives the same numbers."""
    tensors = {**dict(cell.named_parameters()), **dict(cell.named_buffers())}
    weights = [tensors[weight.path].detach().numpy() for weight in layout.step.weights]
    mask = None if given.mask is None else given.mask.numpy()
    plays = [
        Play(layout, given.wx.numpy(), [each.numpy() for each in given.start], weights, mask,
             way.reverse, way.zero_start, keep)
        for keep in (False, True)
    ]  # fmt: skip
    alone, play = plays
    output, state = play.forward()
    for one, other in zip((output, *state), _flat(alone.forward()), strict=True):
        np.testing.assert_array_equal(one, other)
    found = {"output": output.copy(), **{f"state {n}": each for n, each in enumerate(state)}}
    play.backward(given.output_gradient.numpy(), [each.numpy() for each in given.state_gradients])
    found["d W x"], found["d bias of W"] = play.input_gradient(), play.bias_gradient()
    found |= {f"d begin {n}": each for n, each in enumerate(play.state_gradient)}
    for name, parameter in cell.named_parameters():
        if not name.startswith("W."):
            found[f"d {name}"] = np.zeros(parameter.shape)  # of one that the step does not read
    for number, weight in enumerate(layout.step.weights):
        if weight.trained:
            found[f"d {weight.path}"] = np.asarray(play.weight_gradient(number))
    return {name: torch.from_numpy(np.array(each)) for name, each in found.items()}


def _flat(result):
    output, state = result
    return output, *state


def astray(cell: Cell, key: str, ways: list[Way]) -> dict[str, dict[str, str]]:
    """Where the plan's numbers are others than autograd's."""
    scaled(cell, key).double()
    layout = planned(cell)
    found = {}
    for way in ways:
        given = drawn_call(cell, way, f"{key} {way}")
        with np.errstate(all="ignore"):  # numbers that nothing reads may be NaN
            differing = apart(played(cell, layout, given, way), step_by_step(cell, given, way), TOLERANCE, LEAST)
        if differing:
            found[str(way)] = differing
    return found


@pytest.mark.parametrize(("cell", "peephole"), EVERY)
def test_the_plan_of_a_cell_gives_the_numbers_of_its_step(cell, peephole):
    whole = {"heads": 1} if "heads" in CELLS[cell] else {}  # a weight in blocks is laid out before it gets here
    assert not astray(build(cell, peephole, INPUTS, SIZE, **whole), f"{cell} {peephole}", WAYS)


def drawn_astray(seed: int) -> dict[str, dict[str, str]]:
    ways = [WAYS[seed % len(WAYS)], WAYS[(5 * seed + 3) % len(WAYS)]]
    return astray(DrawnCell(draw(seed), INPUTS, SIZE), str(seed), ways)


def test_the_plans_of_drawn_steps_give_their_numbers():
    assert not {seed: found for seed in range(150) if (found := drawn_astray(seed))}


@pytest.mark.slow
def test_the_plans_of_many_drawn_steps_give_their_numbers():
    assert not {seed: found for seed in range(150, 5000) if (found := drawn_astray(seed))}


# steps that a plan was once wrong for


def two_gates(cell, wx):
    return wx[:, : cell.hidden_size], wx[:, cell.hidden_size :]


def into_the_product(cell, wx, state):
    """The gradient of W x and of h is one product's block, which comes after the last of the passes."""
    return (torch.tanh(cell.U(wx + state.h)),)


def summed_and_carried(cell, wx, state):
    """The same of a vector and h."""
    return (torch.tanh(wx) * cell.U(cell.v + state.h),)


def joined_state(cell, wx, state):
    """A state that is W x and a product and no more is read from W x, where a kept gate would find room."""
    one, other = two_gates(cell, wx)
    h = one + state.h @ cell.K
    a = torch.tanh(h * state.c)
    b = torch.tanh(a * h)
    c = torch.sigmoid(b * h)
    return h, other * c * torch.sigmoid(c + b) * a * h


def x_in_a_product_without_gradient(cell, wx, state):
    """A block of W x that only a product with a buffer reads, after gates that are kept would find room there."""
    one, other = two_gates(cell, wx)
    a = torch.sigmoid(other * state.h)
    b = torch.tanh(a * state.h)
    c = torch.tanh(b * a)
    d = torch.tanh(c * b)
    return (torch.tanh(one @ cell.K + d) * c * a * b,)


def states_of_one_product(cell, wx, state):
    """Two new states are neighbouring blocks of one product, but each is a tensor of its own."""
    h, c = ((state.h + wx) @ cell.wide).chunk(2, 1)
    return h, c


def sums_in_another_order(cell, wx, state):
    """Two products that are one when the sums in them are taken in the same order: it can be joined once only."""
    d = torch.tanh(state.h)
    return (torch.tanh(wx + cell.U((state.h + d) + cell.v) + cell.U(state.h + (d + cell.v))),)


ONCE_WRONG = [
    (into_the_product, "h", "a"),
    (summed_and_carried, "h", "a"),
    (joined_state, "h c", "a b"),
    (x_in_a_product_without_gradient, "h", "a b"),
    (states_of_one_product, "h c", "a"),
    (sums_in_another_order, "h", "a"),
]


@pytest.mark.parametrize(("step", "fields", "maps"), ONCE_WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_a_plan_that_was_once_wrong_is_right(step, fields, maps):
    cell = own(step, fields, maps=maps, input_size=INPUTS, hidden_size=SIZE)
    cell.register_buffer("K", torch.tensor([[0.6, -0.9], [0.7, 0.4]]))
    cell.wide = nn.Parameter(torch.zeros(SIZE, 2 * SIZE))
    assert not astray(cell, step.__name__, WAYS)


# what is compared


def test_a_play_reads_not_a_number_where_nothing_was_written():
    cell = scaled(build("lstm", "off", INPUTS, SIZE), "").double()
    layout = planned(cell)
    given = drawn_call(cell, Way(), "")
    for stage in layout.forward:
        stage.passes.stores = [store for store in stage.passes.stores if store[0].buffer != "new"]
    assert played_output(cell, layout, given).isnan().any()


def played_output(cell: Cell, layout: Layout, given: Given) -> Tensor:
    tensors = dict(cell.named_parameters())
    weights = [tensors[weight.path].detach().numpy() for weight in layout.step.weights]
    play = Play(layout, given.wx.numpy(), [each.numpy() for each in given.start], weights)
    return torch.from_numpy(play.forward()[0])


def test_drawn_steps_are_the_same_every_time_and_of_every_kind():
    drawn = [draw(seed) for seed in range(40)]
    assert drawn == [draw(seed) for seed in range(40)]
    assert {step.states for step in drawn} == {1, 2, 3}
    names = {name for step in drawn for name, _ in step.instructions}
    assert names >= {"U both", "U twice", "K", "M transposed", "pair", "detach", "v", "b", "n", "wide"}


# compiled

CALLED = [
    Call(batch=3, steps=4, inputs=2, size=3),
    Call(batch=3, steps=4, inputs=2, size=3, holes=True, begin=True, reverse=True),
    Call(batch=5, steps=4, inputs=2, size=3, begin=True),
    Call(batch=3, steps=3, inputs=2, size=5, lengths=True, reverse=True),
]


def compiled_astray(seed: int) -> dict[str, str]:
    drawn = draw(seed)
    found: dict[str, str] = {}
    for call in (CALLED[seed % 4], CALLED[(seed + 1) % 4]):

        def make(input_size: int, hidden_size: int) -> Cell:
            return DrawnCell(drawn, input_size, hidden_size)

        found |= differences(make, call, torch.float64, str(seed), least=LEAST)
    return found


@needs_compiler
def test_drawn_steps_compiled_are_eager(monkeypatch):
    """Without optimisation, which takes a compiler ten times as long: it is the text that is proven here."""
    tools = toolchain.find()
    quick = dataclasses.replace(tools, flags=("-O0", *(flag for flag in tools.flags if flag != "-O3")))
    monkeypatch.setattr(toolchain, "find", lambda: quick)
    assert not {seed: found for seed in range(40) if (found := compiled_astray(seed))}


@pytest.mark.slow
@needs_compiler
def test_many_drawn_steps_compiled_are_eager():
    assert not {seed: found for seed in range(40, 100) if (found := compiled_astray(seed))}
