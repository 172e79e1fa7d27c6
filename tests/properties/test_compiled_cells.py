"""backend=compiled computes the layer: every cell of the registry that compiles, as anything that it can be, called in
every way, set against the eager loop in value and in gradient.

What a cell can be (peepholes, biases, starts, options) and the ways of calling it are too many to have each with each:
they are drawn by a fixed seed, a few of them always and many in the slow tests.
"""

from __future__ import annotations

import copy
import random
import re
from functools import partial

import pytest
import torch

from against_eager import (
    CALLS,
    DENSE,
    TOLERANCE,
    Call,
    Variant,
    apart,
    differences,
    drawn_begin,
    drawn_real,
    drawn_variant,
    drawn_x,
    layers,
    needs_compiler,
    quickly,
    scaled,
)
from registry import CELLS, PEEPHOLES, build, on_frames, seen_gates, weigh
from rnnbench.nn import Layer, OdysseyLSTM, Peephole, build_stack
from rnnbench.nn.backends import scan
from rnnbench.nn.backends.compiled import does_not_compile
from rnnbench.nn.stacks import DIRECTIONS

pytestmark = needs_compiler
__all__ = ["quickly"]  # a fixture

DTYPES = {"float32": torch.float32, "float64": torch.float64}
precisions = pytest.mark.parametrize("precision", DTYPES)


def of_peephole(cell: str, name: str) -> Variant:
    """A cell with one choice of conf/peephole."""
    return Variant(cell, Peephole(**PEEPHOLES[name]))


def drawn(count: int, seed: int) -> list[Variant]:
    """Every dense cell in turn, as something that it can be."""
    draw = random.Random(seed)
    return [drawn_variant(DENSE[n % len(DENSE)], draw) for n in range(count)]


FEW = drawn(len(DENSE), seed=15)
AS_IN_RUNS = FEW[::8]  # compiled as runs have it
# These share what is compiled for them.
SEEING = [of_peephole("lstm", "previous"), Variant("gru_cho"), of_peephole("fgr", "on")]
MANY = [of_peephole(cell, name) for cell in DENSE for name in PEEPHOLES if seen_gates(cell, name)]
MANY += drawn(len(DENSE), seed=16)


def disagreements(variant: Variant, dtype: torch.dtype) -> dict[str, dict[str, str]]:
    """By the name of the call: what differs from the eager loop."""
    found = {name: differences(variant.build, call, dtype, f"{variant} {name}") for name, call in CALLS.items()}
    return {name: each for name, each in found.items() if each}


# which cells


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_compiles_that_says_so_and_no_other(name):
    for peephole in ("off", "on") if seen_gates(name, "on") else ("off",):
        reason = does_not_compile(build(name, peephole))
        if name in DENSE:
            assert reason is None
        elif on_frames(name):
            assert "with the operator conv2d has none" in reason
        else:
            assert re.match(r"the step of \w+ uses |\w+ has a state that is not H features a row", reason)
    other = "eager" if scan.refuses(build(name)) else "scan"
    assert Layer(build(name)).backend == ("compiled" if name in DENSE else other)


def norms_its_state(name: str) -> bool:
    """Whether norm=layer is of U h', too, within the loop, and not of what is seen of x alone."""
    return getattr(getattr(build(name, norm="layer"), "U", None), "gain", None) is not None


@pytest.mark.parametrize("name", [name for name in DENSE if "norm" in CELLS[name] and norms_its_state(name)])
def test_layer_norm_is_refused_by_name(name):
    cell = build(name, norm="layer")
    assert "a normalisation, a reduction over a row's features" in does_not_compile(cell)
    with pytest.raises(ValueError, match=r"backend=compiled: .*a normalisation.*; use backend=eager"):
        Layer(cell, backend="compiled")
    assert Layer(cell).backend == "eager"


# equal to eager


@pytest.mark.parametrize("variant", AS_IN_RUNS, ids=str)
def test_a_cell_is_the_eager_one_however_it_is_called(variant):
    assert disagreements(variant, torch.float32) == {}


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("variant", [variant for variant in FEW if variant not in AS_IN_RUNS], ids=str)
def test_every_other_cell_is_the_eager_one(variant):
    """As the last, of code that is compiled in less time; all cells as runs have them are in the slow tests."""
    assert disagreements(variant, torch.float32) == {}


@pytest.mark.parametrize("variant", SEEING[:2], ids=str)
def test_a_cell_is_the_eager_one_in_float64(variant):
    assert disagreements(variant, torch.float64) == {}


@pytest.mark.slow
@pytest.mark.parametrize("variant", MANY, ids=str)
def test_every_cell_is_the_eager_one_as_whatever_it_can_be(variant):
    dtype = random.Random(str(variant)).choice([*DTYPES.values()])
    assert disagreements(variant, dtype) == {}


@pytest.mark.usefixtures("quickly")
@pytest.mark.parametrize("edit", ["none", "fgr"])
def test_an_edit_of_the_odyssey(edit):
    make = partial(OdysseyLSTM, edit=edit, peephole=Peephole(gates=["f"], output_sees="previous"), forget_bias=1.0)
    for name in ("holes reverse begin", "H=17"):
        assert differences(make, CALLS[name], torch.float64, f"{edit} {name}") == {}


@pytest.mark.parametrize("variant", [*SEEING[:2], pytest.param(SEEING[2], marks=pytest.mark.slow)], ids=str)
def test_each_weight_frozen_alone_and_all_but_it(variant):
    names = [key for key, _ in variant.build(3, 5).named_parameters()]
    for key in names:
        for frozen in ([key], [other for other in names if other != key]):
            for call in (Call(begin=True), Call(x_gradient=False, holes=True)):
                assert differences(variant.build, call, torch.float64, key, frozen=frozen) == {}, (frozen, call)


def test_all_weights_frozen():
    """Only x and the state have gradients; then x alone."""
    make = SEEING[0].build
    names = [key for key, _ in make(3, 5).named_parameters()]
    for call in (Call(begin=True), Call(), Call(holes=True, reverse=True)):
        assert differences(make, call, torch.float64, "frozen", frozen=names) == {}


@pytest.mark.parametrize("variant", SEEING[:2], ids=str)
def test_a_state_whose_fields_need_gradients_one_by_one(variant):
    cell = scaled(variant.build(3, 4), str(variant)).double()
    found = []
    for layer in layers(cell):
        found.append({})
        for needing in range(len(cell.State._fields)):
            begin = drawn_begin(cell, 4, torch.float64)
            begin[needing].requires_grad_()
            output, state = layer(drawn_x(Call(), torch.float64), begin)
            found[-1][str(needing)] = torch.autograd.grad(weigh(output, state), begin[needing])[0]
    assert apart(*found, TOLERANCE[torch.float64]) == {}


# stacks


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("options", [{}, {"residual": True, "norm": "layer"}, {"norm": "layer"}], ids=str)
@precisions
def test_stacks(direction, options, precision):
    """Three layers, of lengths or of a mask with holes, with the state of the first half given to the second."""
    dtype = DTYPES[precision]
    found = []
    for backend in ("compiled", "eager"):
        net = build_stack(SEEING[0].build, 4, 4, layers=3, direction=direction, backend=backend, **options)
        net = scaled(net, "stack").to(dtype)
        x = drawn_x(Call(inputs=4), dtype).requires_grad_()
        _, state = net(x, **drawn_real(Call(lengths=True)))
        output, state = net(x, state, **drawn_real(Call(holes=True)))
        fields = flat(state)
        loss = weigh(output, fields)
        named = dict(net.named_parameters())
        gradients = torch.autograd.grad(loss, [x, *named.values()])
        found.append({"output": output, **{f"state {n}": field for n, field in enumerate(fields)}})
        found[-1] |= dict(zip(["x", *named], gradients, strict=True))
    assert apart(*found, 4 * TOLERANCE[dtype]) == {}  # of six layers, one on the other


def flat(state):
    return [state] if isinstance(state, torch.Tensor) else [field for part in state for field in flat(part)]


# evaluation


@pytest.mark.parametrize(
    "variant", [*AS_IN_RUNS, *(pytest.param(v, marks=pytest.mark.slow) for v in FEW[4::8])], ids=str
)
def test_evaluation_is_training_to_the_bit(variant):
    cell = scaled(variant.build(3, 17), str(variant))
    for call in (
        Call(),
        Call(begin=True, reverse=True),
        Call(holes=True, begin=True),
        Call(lengths=True, reverse=True),
    ):
        layer = Layer(copy.deepcopy(cell), reverse=call.reverse, backend="compiled")
        begin = drawn_begin(cell, 4, torch.float32) if call.begin else None

        def numbers(layer=layer, begin=begin, call=call):
            output, state = layer(drawn_x(call, torch.float32), begin, **drawn_real(call))
            return [output, *state]

        training = numbers()
        with torch.no_grad():
            evaluation = numbers()
        with torch.inference_mode():
            inference = numbers()
        frozen = layer.requires_grad_(False)
        for other in (evaluation, inference, numbers(frozen), numbers(layer.eval())):
            assert all(torch.equal(a, b) for a, b in zip(other, training, strict=True))
            assert not any(each.requires_grad for each in other)


# the numerical gradient


def numerical(variant: Variant) -> dict[str, str]:
    """Where the gradient of a loss differs from its central differences.

    torch's gradcheck goes backwards twice through one forward pass, which is refused.
    """
    cell = scaled(variant.build(2, 3), str(variant)).double()
    layer = Layer(cell, backend="compiled")
    x = drawn_x(Call(batch=2, steps=4, inputs=2), torch.float64)
    begin = drawn_begin(cell, 2, torch.float64)
    mask = torch.tensor([[True, True, False, True], [True, False, True, True]])
    leaves = {"x": x, **dict(zip(cell.State._fields, begin, strict=True)), **dict(layer.named_parameters())}
    for leaf in leaves.values():
        leaf.requires_grad_()

    def loss() -> torch.Tensor:
        output, state = layer(x, begin, mask=mask)
        return weigh(output.sin(), state)

    found = dict(zip(leaves, torch.autograd.grad(loss(), [*leaves.values()]), strict=True))
    step, wanted = 1e-6, {}
    with torch.no_grad():
        for name, leaf in leaves.items():
            wanted[name] = torch.zeros_like(leaf)
            numbers, slopes = leaf.view(-1), wanted[name].view(-1)
            for n, number in enumerate(numbers.tolist()):
                ends = []
                for moved in (number + step, number - step):
                    numbers[n] = moved
                    ends.append(loss().item())
                numbers[n] = number
                slopes[n] = (ends[0] - ends[1]) / (2 * step)
    return apart(found, wanted, 1e-6)


def seeing(name: str) -> Variant:
    """The cell with peepholes where it takes them, the output gate's of the step before."""
    return of_peephole(name, "previous") if seen_gates(name, "previous") else Variant(name)


@pytest.mark.parametrize("variant", SEEING[:2], ids=str)
def test_the_gradient_is_the_numerical_one(variant):
    assert numerical(variant) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", DENSE)
def test_every_cells_gradient_is_the_numerical_one(name):
    assert numerical(Variant(name)) == {}
    assert numerical(seeing(name)) == {}
