"""Cells that nobody would write: a random step from a seed, so that what a compiler assumes and no cell shows is tried.

A step is drawn as a list of instructions on tensors of H features a row and read anew at every call. It mixes what
cells have (gates, products, sums with W x) with what they lack: a state that is passed on or swapped, one that is a
constant, a gate that nothing uses, a product of a product, a weight used twice or transposed, an output that is no
state.
"""

from __future__ import annotations

import random
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn import Cell

UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "neg": lambda a: -a,
    "abs": torch.abs,
    "leaky": lambda a: F.leaky_relu(a, 0.2),
    "softplus": F.softplus,
    "logsigmoid": F.logsigmoid,
    "exp": lambda a: torch.exp(-torch.abs(a)),
    "log": lambda a: torch.log(1.5 + a * a),
    "sqrt": lambda a: torch.sqrt(0.5 + a.square()),
    "detach": lambda a: a.detach(),
    "one less": lambda a: 1 - a,
    "half": lambda a: 0.5 * a,
}
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / (1.5 + b * b),
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}
PRODUCTS: dict[str, Callable[..., Any]] = {
    "U": lambda cell, a: cell.U(a)[:, : cell.hidden_size],
    "U both": lambda cell, a: cell.U(a).chunk(2, 1),
    "U twice": lambda cell, a, b: cell.U(a)[:, cell.hidden_size :] + cell.U(b)[:, cell.hidden_size :],
    "M": lambda cell, a: a @ cell.M,
    "M transposed": lambda cell, a: F.linear(a, cell.M),
    "K": lambda cell, a: a @ cell.K,
    "N both": lambda cell, a: (a @ cell.N).chunk(2, 1),
    "pair": lambda cell, a, b: cell.V(torch.cat([a, b], 1)),
}
VECTORS: dict[str, Callable[..., Any]] = {
    "v": lambda cell, a: a * cell.v,
    "b": lambda cell, a: cell.b * a,
    "n": lambda cell, a: cell.n + a,
    "wide": lambda cell, a, b: (torch.cat([a, b], 1) + cell.wide).chunk(2, 1),
    "split": lambda cell, a, b: torch.split(torch.cat([b, a], 1) * cell.wide, cell.hidden_size, 1),
}
ALONE = {name: lambda cell, *blocks, of=of: of(*blocks) for name, of in {**UNARY, **BINARY}.items()}
ALL: dict[str, Callable[..., Any]] = {**ALONE, **PRODUCTS, **VECTORS}
OF_TWO = (*BINARY, "U twice", "pair", "split", "wide")  # what takes two blocks; all else takes one
TO_TWO = ("U both", "N both", "split", "wide")  # what makes two
KINDS = {
    "unary": (6, UNARY),
    "binary": (6, BINARY),
    "sum": (4, ["add"]),
    "product": (5, PRODUCTS),
    "vector": (2, VECTORS),
}
STATES = {n: namedtuple(f"Drawn{n}", [f"s{k}" for k in range(n)]) for n in (1, 2, 3)}


@dataclass(frozen=True)
class Drawn:
    """A step: the states, the blocks of W x, what is computed one after the other, what is the output and what is new.

    Each instruction is a name and the numbers of the blocks that it takes, which are counted from the states on. new,
    output: such a number, or "zeros", "ones", "v" (a weight). output None: the first field of the new state.
    """

    states: int
    inputs: int
    instructions: tuple[tuple[str, tuple[int, ...]], ...]
    new: tuple[int | str, ...]
    output: int | str | None


def draw(seed: int) -> Drawn:
    """The step of a seed."""
    draws = random.Random(seed)
    states, inputs = draws.randint(1, 3), draws.randint(1, 4)
    count = states + inputs
    sees_x = [False] * states + [True] * inputs  # of each block: whether a gradient of it reaches W x
    instructions: list[tuple[str, tuple[int, ...]]] = []

    def recent() -> int:
        """A block that is there; the last ones more often, so that steps are deep."""
        return count - 1 - min(int(draws.expovariate(0.3)), count - 1) if draws.random() < 0.6 else any_block()

    def any_block() -> int:
        return draws.randrange(count)

    for _ in range(draws.randint(3, 22)):
        kind = draws.choices([*KINDS], [often for often, _ in KINDS.values()])[0]
        name = draws.choice([*KINDS[kind][1]])
        if kind == "sum":  # of W x and whatever was made last: what is joined
            taken: tuple[int, ...] = (draws.randrange(states, states + inputs), recent())
            taken = taken if draws.random() < 0.5 else taken[::-1]
        else:
            taken = tuple(recent() for _ in range(2 if name in OF_TWO else 1))
        instructions.append((name, taken))
        made = 2 if name in TO_TWO else 1
        sees_x += [name != "detach" and any(sees_x[each] for each in taken)] * made
        count += made

    def new_state(n: int) -> int | str:
        chance = draws.random()
        if chance < 0.08:
            return draws.choice(["zeros", "ones", "v"])
        if chance < 0.2:
            return draws.randrange(states)  # passed on, or swapped
        return recent()

    new = tuple(new_state(n) for n in range(states))
    output = draws.choice([None, None, None, recent(), recent(), draws.randrange(states), "ones"])
    if not any(isinstance(each, int) and sees_x[each] for each in (output, *new)):
        output = states  # a block of W x: a loss has a gradient
    return Drawn(states, inputs, tuple(instructions), new, output)


class DrawnCell(Cell):
    """A cell with a drawn step and every kind of weight: maps U (of two gates) and V (of two states), matrices M and N
    (of two blocks) and one that is a buffer (K), vectors of one and two blocks (v, wide), a number n, a buffer b."""

    def __init__(self, drawn: Drawn, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.drawn, self.State = drawn, STATES[drawn.states]
        self.W, self.U = self.input_map(" ".join("abcd"[: drawn.inputs])), self.hidden_map("a b")
        self.V = self.hidden_map("c", inputs=2)
        self.M = nn.Parameter(torch.zeros(hidden_size, hidden_size))
        self.N = nn.Parameter(torch.zeros(hidden_size, 2 * hidden_size))
        self.v, self.wide = nn.Parameter(torch.zeros(hidden_size)), nn.Parameter(torch.zeros(2 * hidden_size))
        self.n = nn.Parameter(torch.tensor(0.3))
        self.register_buffer("b", torch.linspace(-1, 1, hidden_size))
        wave = torch.arange(hidden_size * hidden_size).reshape(hidden_size, hidden_size)
        self.register_buffer("K", 0.4 * torch.cos(wave.to(self.v)))

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        drawn = self.drawn
        blocks = [*state, *wx.chunk(drawn.inputs, 1)]
        for name, taken in drawn.instructions:
            made = ALL[name](self, *(blocks[each] for each in taken))
            blocks += made if name in TO_TWO else [made]
        new = self.State(*(self._one(each, blocks) for each in drawn.new))
        return new[0] if drawn.output is None else self._one(drawn.output, blocks), new

    def _one(self, which: int | str, blocks: list[Tensor]) -> Tensor:
        if which == "v":
            return torch.zeros_like(blocks[0]) + self.v
        if isinstance(which, str):
            return {"zeros": torch.zeros_like, "ones": torch.ones_like}[which](blocks[0])
        return blocks[which]
