"""The minimal gated unit (Zhou et al. 2016): one gate, used where a GRU has two.

f = s(W_f x + U_f h' + b_f)     n = tanh(W_n x + U_n (f * h') + b_n)     h = (1 - f) * h' + f * n

The reset is before the product, as in the paper. flax.linen.MGUCell resets after it, n = tanh(W_n x + b_n + f * (U_n h'
+ b'_n)), and has f and 1 - f the other way round in h: another function.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh

from rnnbench.nn.cells.base import Cell


class MGUState(NamedTuple):
    h: Tensor  # (B, C, *space)


class MGU(Cell):
    """The minimal gated unit. Parameters: 2 H (I + H) + biases 2 H."""

    State = MGUState
    gates = ("f",)
    admits = "f"

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.W = self.input_map("f n")
        self.U = self.hidden_map("f")
        self.U_n = self.hidden_map("n")

    def step(self, wx: Tensor, state: MGUState) -> tuple[Tensor, MGUState]:
        w, h_ = self.W.split(wx), state.h
        f = sigmoid(w.f + self.U(h_))
        n = tanh(w.n + self.U_n(f * h_))
        h = (1 - f) * h_ + f * n
        return h, MGUState(h)
