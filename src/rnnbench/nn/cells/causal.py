"""Causal LSTM, the cell of PredRNN++ (Wang et al. 2018, eqs. 1-2): the second memory is computed from the first.

    g, i, f  on (X, H', C')  give  C = f * C' + i * g
    g' on (X, C), i', f' on (X, C, M')  give  M = f' * tanh(W_m M') + i' * g'     M' of the layer below (stacks.Column)
    o = tanh(W_xo X + U_ho H' + W_co C + W_mo M)       H = o * tanh(W_1x1 [C, M])

As OpenSTL's code, which differs from the paper's equations: g' does not see M', and o sees H'. The highway between the
first and the second layer, Z = S * P + (1 - S) * Z', is rnnbench.nn.GRUUpdate; OpenSTL's starts in U(-.001, .001), this
one as the cells do. OpenSTL's cell has a further map of [C, M] that its forward never uses; it is left out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, sigmoid, tanh

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.cells.gru import GRUUpdate
from rnnbench.nn.cells.stlstm import STLSTMState
from rnnbench.nn.maps import Conv2d, Dense


class CausalLSTM(Cell):
    """One layer of PredRNN++. forget_bias: a constant added to f and f' at every step (OpenSTL's 1), no parameter.
    highway: whether a network of such layers has the gradient highway unit.

    Parameters without biases: k^2 C (7 I + 4 C + 3 C + 3 C + 4 C + C) + 2 C C.
    """

    State = STLSTMState
    zigzag = True
    gates = ("i", "f", "im", "fm")

    def __init__(
        self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0, highway: bool = True, **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.forget_bias, self.has_highway = forget_bias, highway
        self.W = self.input_map("g i f gm im fm o")
        self.U = self.hidden_map("g i f o")
        self.U_c = self.hidden_map("g i f")
        self.U_m = self.hidden_map("i f m")
        self.W_c = self.hidden_map("g i f o")
        self.W_m = self.hidden_map("o")
        self.W_1 = self.hidden_map("h", inputs=2, operator=Conv2d(1) if self.operator.space_dims else Dense())

    def highway(self) -> Cell | None:
        if not self.has_highway:
            return None
        size = self.hidden_size
        return GRUUpdate(size, size, operator=self.operator, biases=self.biases, init=self.init_name, norm=self.norm)

    def step(self, wx: Tensor, state: STLSTMState) -> tuple[Tensor, STLSTMState]:
        x, u = self.W.split(wx), self.U.split(self.U(state.h))
        p, v = self.U_c.split(self.U_c(state.c)), self.U_m.split(self.U_m(state.m))
        i = sigmoid(x.i + u.i + p.i)
        f = sigmoid(x.f + u.f + p.f + self.forget_bias)
        c = f * state.c + i * tanh(x.g + u.g + p.g)
        w = self.W_c.split(self.W_c(c))
        i = sigmoid(x.im + v.i + w.i)
        f = sigmoid(x.fm + v.f + w.f + self.forget_bias)
        m = f * tanh(v.m) + i * tanh(x.gm + w.g)
        o = tanh(x.o + u.o + w.o + self.W_m(m))
        h = o * tanh(self.W_1(torch.cat([c, m], 1)))
        return h, STLSTMState(h, c, m)
