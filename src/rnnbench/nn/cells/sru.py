"""The simple recurrent unit (Lei et al. 2018, "Simple recurrent units for highly parallelizable recurrence").

    v = W x     f = s(W_f x + p_f * c' + b_f)     c = f * c' + (1 - f) * v
                r = s(W_r x + p_r * c' + b_r)     h = r * c + (1 - r) * alpha * x

p_f and p_r are vectors; both gates see the old c. The paper's first version (2017, "Training RNNs as fast as CNNs")
has none of them, so that it is linear in c: `SRUv1`. The highway's x is H features wide in the paper; where I is not H
a fourth map W_x x, without a bias, stands in its place, as in the authors' code. alpha = sqrt(1 + 2 e^b) with b where
b_r starts (`highway_bias`) lets h have the variance of x; the authors' SRUCell has it by default and their SRU does
not. Their start is init=lei2018: W uniform of variance 1 / I, the gates' in the second version by sqrt(1/2), p of
variance 1/2, b_f zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn, sigmoid

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.cells.linear import LinearCell
from rnnbench.nn.init import Fill


class SRUState(NamedTuple):
    c: Tensor  # (B, C, *space)
    y: Tensor  # the output h, which is not what is carried


@dataclass(frozen=True)
class Halved:
    """A start of half the variance of another."""

    fill: Fill

    def __call__(self, block: Tensor, hidden_size: int) -> None:
        self.fill(block, hidden_size)
        block.mul_(math.sqrt(0.5))


class _Unit(Cell):
    """What both versions have: W of the gates, with biases; V of v and, where I is not H, of the highway's x."""

    State = SRUState
    gates = ("f", "r")
    most_biases = 1
    narrow = False  # whether the gates' weights start with half the variance

    def __init__(
        self, input_size: int, hidden_size: int, *, rescale: bool = True, highway_bias: float = 0.0, **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.alpha = math.sqrt(1 + 2 * math.exp(highway_bias)) if rescale else 1.0
        maps: dict[str, Any] = {"role": "x", "bias_fill": self.init.b, "norm": self.norm is not None}
        thin = Halved(self.init.W) if self.narrow and self.init_name == "lei2018" else self.init.W
        self.W = self.operator.map(
            input_size, hidden_size, "f r", bias=self.biases >= 1, bias_offset={"r": highway_bias},
            weight_fill=thin, **maps,
        )  # fmt: skip
        letters = "v" if input_size == hidden_size else "v x"
        self.V = self.operator.map(input_size, hidden_size, letters, bias=False, weight_fill=self.init.W, **maps)

    def hoist(self, x: Tensor) -> Tensor:
        """f, r, v, x of the step: (T, B, 4 C, *space)."""
        parts = [self.W.sequence(x), self.V.sequence(x)]
        if self.input_size == self.hidden_size:
            parts.append(x)
        return torch.cat(parts, 2)

    @property
    def hoisted_size(self) -> int:
        return 4 * self.hidden_size

    def highway_of(self, r: Tensor, c: Tensor, x: Tensor) -> Tensor:
        """The output h."""
        return r * c + (1 - r) * (self.alpha * x)


class SRUv1(_Unit, LinearCell):
    """SRU of 2017, linear in c. Parameters: 3 H I + biases 2 H where I = H, else 4 H I + biases 2 H.

    rescale: whether alpha is in the highway. highway_bias: where b_r starts.
    """

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        f_, _, v, _ = seen.chunk(4, 1)
        f = sigmoid(f_)
        return f, (1 - f) * v

    def read(self, seen: Tensor, h: Tensor) -> Tensor:
        _, r_, _, x = seen.chunk(4, 1)
        return self.highway_of(sigmoid(r_), h, x)


class SRU(_Unit):
    """SRU of 2018: its gates see c'. Parameters: 3 H I + 2 H + biases 2 H where I = H, else 4 H I + 2 H + biases 2 H.

    rescale: whether alpha is in the highway. highway_bias: where b_r starts.
    """

    narrow = True

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        shape = (hidden_size, *(1,) * self.operator.space_dims)
        self.p_f = nn.Parameter(torch.empty(shape))
        self.p_r = nn.Parameter(torch.empty(shape))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        for p in (self.p_f, self.p_r):
            nn.init.uniform_(p, -math.sqrt(1.5), math.sqrt(1.5))

    def step(self, wx: Tensor, state: SRUState) -> tuple[Tensor, SRUState]:
        f_, r_, v, x = wx.chunk(4, 1)
        f = sigmoid(f_ + self.p_f * state.c)
        r = sigmoid(r_ + self.p_r * state.c)
        c = f * state.c + (1 - f) * v
        h = self.highway_of(r, c, x)
        return h, SRUState(c, h)
