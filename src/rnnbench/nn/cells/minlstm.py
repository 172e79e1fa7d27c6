"""The minimal LSTM (Feng et al. 2024, "Were RNNs all we needed?", section 3.2): gates that do not see the state.

    f = s(W_f x + b_f)     i = s(W_i x + b_i)     v = W_v x + b_v
    h = f / (f + i) * h' + i / (f + i) * v

The share f / (f + i) is computed as s(log f - log i), which has no quotient of two small numbers. The paper's log form
has g(v) in the place of v, as that of minGRU, and is computed here without logarithms of the state.

Public code (minGRU-pytorch 0.2.1, after the paper's listing) sends a carried state through g a second time, so that a
sequence in chunks is not the whole; here it is.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, sigmoid
from torch.nn.functional import logsigmoid

from rnnbench.nn.cells.linear import LinearCell
from rnnbench.nn.cells.mingru import positive


class MinLSTMState(NamedTuple):
    h: Tensor  # (B, C, *space)


class MinLSTM(LinearCell):
    """minLSTM. log: g(v) in the place of v. Parameters: 3 H I + biases 3 H. Its one gate, f, is the share of h'."""

    State = MinLSTMState
    gates = ("f",)
    keeps, admits = "f", "i"

    def __init__(self, input_size: int, hidden_size: int, *, log: bool = False, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.log = log
        self.W = self.input_map("f i v")

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        w = self.W.split(seen)
        f = sigmoid(logsigmoid(w.f) - logsigmoid(w.i))
        return f, (1 - f) * (positive(w.v) if self.log else w.v)
