"""sLSTM of xLSTM (Beck et al. 2024, arXiv 2405.04517, eqs. 8 to 17): exponential gates, a normaliser, a stabiliser.

    i~, f~, z~, o~ = W x + R h' + b          R is block-diagonal: K heads that do not see each other
    m = max(log s(f~) + m', i~)              the stabiliser, by which no exponential is above 1 (eq. 15)
    i = exp(i~ - m)                          f = exp(log s(f~) + m' - m)
    c = f * c' + i * tanh(z~)                n = f * n' + i                          h = s(o~) * c / n

c / n is a mean of all tanh(z~) so far, weighted by the gates. m cancels in it: any m before the first step gives the
same h, in exact numbers. Here it is -infinity, so that m = i~ at the first step and n >= 1 ever after.

The authors' code (NX-AI/xlstm) starts m at 0 and takes m = i~ where all n of the whole batch are zero; without this
exception m' = 0 and i~ = -120 would be 0 / 0 in float32. From -infinity the equations above are that code's to the bit
in float64. Of the paper's two forget gates, s and exp, it has the sigmoid, as this cell. What its block adds is not the
cell: a convolution in front of i and f, block-diagonal W, a norm of each head; nor is its start (R = 0, b_f spread).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, exp, maximum, sigmoid, tanh
from torch.nn.functional import logsigmoid

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import Heads, check_heads


class SLSTMState(NamedTuple):
    h: Tensor  # (B, C, *space)
    c: Tensor
    n: Tensor  # the normaliser
    m: Tensor  # the stabiliser, a logarithm


class SLSTM(Cell):
    """sLSTM. heads: K, which must divide H; 1: R is a full matrix. forget_bias: added to b_f at the start.

    Parameters: 4 H (I + H / K) + biases 4 H. Raises ValueError on heads that do not divide H, or of a convolution.
    """

    State = SLSTMState
    gates = ("o",)  # i and f are exponentials
    keeps = "f"

    def __init__(
        self, input_size: int, hidden_size: int, *, heads: int = 4, forget_bias: float = 0.0, **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        check_heads(heads, hidden_size)
        if heads > 1 and self.operator.space_dims:
            raise ValueError(f"heads must be 1 with the operator {self.operator.name}, not {heads!r}")
        self.heads = heads
        self.W = self.input_map("i f z o", bias_offset={"f": forget_bias})
        self.U = self.hidden_map("i f z o", operator=Heads(heads) if heads > 1 else None)  # the paper's R

    def zero_state(self, batch: int, space: tuple[int, ...], like: Tensor) -> SLSTMState:
        """Zeros, and m = -infinity."""
        h, c, n, m = super().zero_state(batch, space, like)
        return SLSTMState(h, c, n, m.fill_(-torch.inf))

    def step(self, wx: Tensor, state: SLSTMState) -> tuple[Tensor, SLSTMState]:
        h_, c_, n_, m_ = state
        a = self.U.split(wx + self.U(h_))
        kept = logsigmoid(a.f) + m_
        m = maximum(kept, a.i)
        i = exp(a.i - m)
        f = exp(kept - m)
        c = f * c_ + i * tanh(a.z)
        n = f * n_ + i
        h = sigmoid(a.o) * c / n
        return h, SLSTMState(h, c, n, m)
