"""The minimal GRU (Feng et al. 2024, "Were RNNs all we needed?"): gates that do not see the state.

    z = s(W_z x + b_z)     v = W_v x + b_v     h = (1 - z) * h' + z * v

The paper's log form, in which it is trained, puts g(v) in the place of v: g(v) = v + 1/2 for v >= 0, s(v) below. That
is no numerical trick but another family of functions: h stays positive. Its point is that logarithms of it exist; here
it is computed without them, as any other cell that is linear in its state, and so to full precision.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, sigmoid
from torch.special import expit  # the sigmoid, where it is no gate

from rnnbench.nn.cells.linear import LinearCell


class MinGRUState(NamedTuple):
    h: Tensor  # (B, C, *space)


def positive(v: Tensor) -> Tensor:
    """g of the log form: v + 1/2 from zero on, s(v) below; the slope jumps from 1/4 to 1."""
    below = torch.relu(-v)
    return torch.relu(v) + cast(Tensor, expit(-below))


class MinGRU(LinearCell):
    """minGRU. log: g(v) in the place of v. Parameters: 2 H I + biases 2 H."""

    State = MinGRUState
    gates = ("z",)
    admits = "z"

    def __init__(self, input_size: int, hidden_size: int, *, log: bool = False, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.log = log
        self.W = self.input_map("z v")

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        w = self.W.split(seen)
        z = sigmoid(w.z)
        return 1 - z, z * (positive(w.v) if self.log else w.v)
