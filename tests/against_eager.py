"""The compiled loop, or the scan, beside the eager loop: one cell, one call, everything that comes out of it.

Axes: B batch, T time, I input features, H hidden features.
"""

from __future__ import annotations

import copy
import dataclasses
import random
from collections import namedtuple
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from registry import CELLS, build, generator, kind, weigh
from rnnbench import toolchain
from rnnbench.nn import Cell, Layer, Peephole
from rnnbench.nn.peephole import STARTS

DENSE = [name for name in CELLS if CELLS[name]["meta"]["compiles"]]  # whose step compiles
TOLERANCE = {torch.float32: 5e-6, torch.float64: 1e-12}
OF_VECTORS = 1e-5  # of a bias' or a peephole's gradient in float32: one running sum over all steps of 32 sequences


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled with -O1, in a third of the time: for tests of what is computed, which do not ask how fast."""
    tools = toolchain.find()
    if tools is not None:
        plain = dataclasses.replace(tools, flags=("-O1", *(flag for flag in tools.flags if flag != "-O3")))
        monkeypatch.setattr(toolchain, "find", lambda: plain)


needs_compiler = pytest.mark.skipif(toolchain.find() is None, reason=toolchain.why_none())


# the cells


@dataclass(frozen=True)
class Variant:
    """A cell of the registry with options that it takes; peephole None: off."""

    cell: str
    peephole: Peephole | None = None
    options: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        words = [self.cell]
        if self.peephole is not None:
            sees = self.peephole
            words += ["".join(sees.gates), sees.output_sees, sees.gradient, sees.start]
        return "-".join([*words, *(f"{key}={value}" for key, value in self.options)])

    def build(self, input_size: int, hidden_size: int) -> Cell:
        return build(self.cell, self.peephole or "off", input_size, hidden_size, **dict(self.options))


def drawn_variant(cell: str, random: random.Random) -> Variant:
    """One of all that a cell can be: each peephole, number of biases, start and option of its own."""
    gates = CELLS[cell]["meta"]["peephole_gates"]
    peephole = None
    if gates and random.random() < 0.75:
        seen = [gate for gate in gates if random.random() < 0.6] or [random.choice(gates)]
        peephole = Peephole(
            gates=seen,
            output_sees=random.choice(["current", "previous"]),
            gradient=random.choice(["full", "detach"]),
            start=random.choice(STARTS),
        )
    options: dict[str, Any] = {"biases": random.choice([0, 1, 2][: kind(cell).most_biases + 1])}
    options["init"] = random.choice(["torch", "glorot", "keras", "identity", "normal"])
    if "forget_bias" in CELLS[cell] and options["biases"]:
        options["forget_bias"] = random.choice([0.0, 1.0])
    if cell == "gru":
        options["activation"] = random.choice(["tanh", "leaky_relu"])
    return Variant(cell, peephole, tuple(options.items()))


# a cell of one's own

Step = Callable[[Any, Tensor, Any], tuple[Tensor, ...]]


def own(step: Step, fields: str = "h", *, maps: str = "h", input_size: int = 3, hidden_size: int = 5) -> Cell:
    """A cell with a step of one's own: (cell, wx, old state) -> the new state's fields; the first is the output.

    It has W and U, a vector `v`, a number `n`, and a vector `b` that is a buffer.
    """

    class Own(Cell):
        State = namedtuple("OwnState", fields.split())

        def __init__(self) -> None:
            super().__init__(input_size, hidden_size)
            self.W, self.U = self.input_map(maps), self.hidden_map("h")
            self.v, self.n = nn.Parameter(torch.full((hidden_size,), 0.5)), nn.Parameter(torch.tensor(0.3))
            self.register_buffer("b", torch.linspace(-1, 1, hidden_size))

        def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
            new = self.State(*step(self, wx, state))
            return new[0], new

    return Own()


# the calls


@dataclass(frozen=True)
class Call:
    """How a layer is called. lengths, mask: how they are drawn, "holes" leaves steps out in the middle.

    begin: whether an initial state is given. laid: how x lies in memory.
    """

    batch: int = 4
    steps: int = 7
    inputs: int = 3
    size: int = 5
    reverse: bool = False
    lengths: bool = False
    holes: bool = False
    begin: bool = False
    x_gradient: bool = True
    laid: str = "plain"
    only: tuple[str, ...] = field(default=("output", "state"))  # what the loss sees


CALLS = {
    "whole": Call(),
    "reverse": Call(reverse=True),
    "lengths": Call(lengths=True),
    "lengths reverse begin": Call(lengths=True, reverse=True, begin=True),
    "holes": Call(holes=True),
    "holes begin": Call(holes=True, begin=True),
    "holes reverse begin": Call(holes=True, reverse=True, begin=True),
    "holes lengths": Call(holes=True, lengths=True),
    "begin": Call(begin=True),
    "begin reverse": Call(begin=True, reverse=True),
    "x without gradient": Call(x_gradient=False),
    "x without gradient begin": Call(x_gradient=False, begin=True),
    "transposed x": Call(laid="transposed"),
    "every other feature of x": Call(laid="strided"),
    "expanded x": Call(laid="expanded"),
    "T=300": Call(steps=300, batch=3, begin=True),
    "B=1": Call(batch=1),
    "B=1 T=1": Call(batch=1, steps=1),
    "T=1 begin": Call(steps=1, begin=True),
    "T=1 holes reverse begin": Call(steps=1, holes=True, reverse=True, begin=True),
    "H=1": Call(size=1),
    "H=1 begin reverse": Call(size=1, begin=True, reverse=True),
    "H=3": Call(size=3, batch=9),
    "H=17": Call(size=17, batch=13, begin=True),
    "H=33": Call(size=33, batch=7, holes=True, begin=True),
    "I=0": Call(inputs=0),
    "I=1": Call(inputs=1),
    "loss of the output": Call(only=("output",), begin=True),
    "loss of the state": Call(only=("state",), begin=True),
    "loss of the state's last field": Call(only=("last",), holes=True, begin=True),
}


def scaled(module: nn.Module, key: str) -> nn.Module:
    """Every parameter uniform and small enough that no cell is chaotic: what differs is not made larger by time."""
    random = generator(f"weights {key}")
    with torch.no_grad():
        for parameter in module.parameters():
            bound = 0.8 / max(parameter.shape[-1], 1) ** 0.5 if parameter.dim() == 2 else 0.5
            parameter.copy_(bound * (2 * torch.rand(parameter.shape, generator=random, dtype=torch.float64) - 1))
    return module


def drawn_x(call: Call, dtype: torch.dtype, key: str = "") -> Tensor:
    """x (B, T, I) as the call has it lie."""
    draw = generator(f"x {key}")
    sizes = (call.batch, call.steps, call.inputs)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype)

    match call.laid:
        case "transposed":
            return normal(call.inputs, call.steps, call.batch).permute(2, 1, 0)
        case "strided":
            return normal(*sizes[:2], 2 * call.inputs)[..., ::2]
        case "expanded":
            return normal(1, *sizes[1:]).expand(sizes)
    return normal(*sizes)


def drawn_real(call: Call, key: str = "") -> dict[str, Tensor]:
    """The lengths and the mask of a call. One sequence is whole, and where there are holes one has no step at all."""
    random = generator(f"real {key}")
    real: dict[str, Tensor] = {}
    if call.lengths:
        lengths = torch.randint(1, call.steps + 1, (call.batch,), generator=random)
        lengths[0] = call.steps
        real["lengths"] = lengths
    if call.holes:
        mask = torch.rand(call.batch, call.steps, generator=random) > 0.4
        mask[0] = True
        mask[-1] = call.batch == 1
        real["mask"] = mask
    return real


def drawn_begin(cell: Cell, batch: int, dtype: torch.dtype, key: str = "") -> list[Tensor]:
    random = generator(f"begin {key}")
    sizes = cell.state_sizes(batch, (), torch.zeros(()))
    return [(0.1 + 0.8 * torch.rand(shape, generator=random, dtype=torch.float64)).to(dtype) for shape in sizes]


def outcome(layer: nn.Module, call: Call, dtype: torch.dtype, key: str = "") -> dict[str, Tensor]:
    """Output, final state and every gradient of one call, by name."""
    x = drawn_x(call, dtype, key)
    x.requires_grad_(call.x_gradient)
    begin = None
    leaves: list[Tensor] = []
    if call.begin:
        leaves = [field.requires_grad_() for field in drawn_begin(layer.cell, call.batch, dtype, key)]
        begin = layer.cell.State(*leaves)
    output, state = layer(x, begin, **drawn_real(call, key))
    found = {"output": output, **{f"state {n}": field for n, field in enumerate(state)}}

    seen = {"output": [output], "state": [*state], "last": [state[-1]]}
    loss = weigh(torch.zeros((), dtype=dtype), [tensor for name in call.only for tensor in seen[name]], key)
    weights = {name: p for name, p in layer.named_parameters() if p.requires_grad}
    asked = {"d x": x} if call.x_gradient else {}
    asked |= {f"d begin {n}": leaf for n, leaf in enumerate(leaves)} | {f"d {n}": p for n, p in weights.items()}
    gradients = torch.autograd.grad(loss, [*asked.values()], allow_unused=True)
    for (name, leaf), gradient in zip(asked.items(), gradients, strict=True):
        found[name] = torch.zeros_like(leaf) if gradient is None else gradient
    return {name: value.detach() for name, value in found.items()}


def layers(cell: Cell, *, reverse: bool = False, backend: str = "compiled") -> tuple[Layer, Layer]:
    """The compiled (or another backend's) and the eager layer of one cell."""
    return (
        Layer(copy.deepcopy(cell), reverse=reverse, backend=backend),
        Layer(copy.deepcopy(cell), reverse=reverse, backend="eager"),
    )


def apart(found: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float, least: float = 0.0) -> dict[str, str]:
    """What differs by more than the tolerance relative to its own largest number, in words. NaN differs from all,
    and an infinity from all but itself.

    least: what the largest number counts as at least. Of terms of size 1 that cancel, rounding alone is left.
    """
    assert found.keys() == wanted.keys()
    differing = {}
    for name, want in wanted.items():
        assert found[name].shape == want.shape, name
        assert found[name].dtype == want.dtype, name
        if not want.numel():
            continue
        scale = max(want.where(want.abs() != torch.inf, 0).abs().max().item(), least)
        off = (found[name] - want).where(found[name] != want, 0).abs().max().item()
        if not off <= tolerance * scale:
            differing[name] = f"{off:.2g} of {scale:.2g}"
    return differing


def differences(
    make: Callable[[int, int], Cell], call: Call, dtype: torch.dtype, key: str, *, frozen: Sequence[str] = (),
    least: float = 0.0, backend: str = "compiled",
) -> dict[str, str]:  # fmt: skip
    """Where the compiled layer differs from the eager one; frozen: parameters without a gradient. least: see apart."""
    cell = make(call.inputs, call.size)
    scaled(cell, key).to(dtype)
    for name in frozen:
        cell.get_parameter(name).requires_grad_(False)
    compiled, eager = layers(cell, reverse=call.reverse, backend=backend)
    found, wanted = outcome(compiled, call, dtype, key), outcome(eager, call, dtype, key)
    differing = apart(found, wanted, TOLERANCE[dtype], least)
    if differing and dtype == torch.float32:
        vectors = {f"d {name}" for name, weight in eager.named_parameters() if weight.dim() < 2}
        beyond = apart(found, wanted, OF_VECTORS, least)
        differing = {name: words for name, words in differing.items() if name in beyond or name not in vectors}
        # A sum whose terms cancel has few true digits in either: no more is asked than that it be as near to float64's.
        exact = outcome(eager.double(), call, torch.float64, key)
        differing = {name: words for name, words in differing.items() if not as_near(name, found, wanted, exact)}
    return differing


def as_near(name: str, found: dict[str, Tensor], wanted: dict[str, Tensor], exact: dict[str, Tensor]) -> bool:
    """Whether a number is no further from the exact one than the eager loop's, by the 4 of one running sum."""
    ours, theirs = ((each[name].double() - exact[name]).abs().max().item() for each in (found, wanted))
    return ours <= 4 * theirs
