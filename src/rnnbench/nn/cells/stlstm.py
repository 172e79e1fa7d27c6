"""ST-LSTM, the cell of PredRNN (Wang et al. 2017, eq. 4): a second memory M that moves through the layers.

    g, i, f  on (X, H') give  C = f * C' + i * g             as in the ConvLSTM
    g', i', f'  on (X, M')  give  M = f' * M' + i' * g'       M' comes from the layer below (see stacks.Column)
    o = s(W_xo X + U_ho H' + W_o [C, M])                      H = o * tanh(W_1x1 [C, M])

PredRNN-V2 (Wang et al. 2022, eq. 6) adds a loss that keeps the two increments i * g and i' * g' apart; the cell appends
them to `increments` while that is a list.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, sigmoid, tanh

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import Conv2d, Dense


class STLSTMState(NamedTuple):
    h: Tensor  # (B, C, *space)
    c: Tensor
    m: Tensor  # the spatiotemporal memory


class STLSTM(Cell):
    """One layer of PredRNN. forget_bias: a constant added to f and f' at every step (the authors' 1), no parameter.

    Parameters without biases: k^2 C (7 I + 4 C + 3 C + 2 C) + 2 C C.
    """

    State = STLSTMState
    zigzag = True
    gates = ("i", "f", "im", "fm", "o")

    def __init__(self, input_size: int, hidden_size: int, *, forget_bias: float = 1.0, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.forget_bias = forget_bias
        self.W = self.input_map("g i f gm im fm o")
        self.U = self.hidden_map("g i f o")
        self.U_m = self.hidden_map("g i f")
        self.W_o = self.hidden_map("o", inputs=2)
        self.W_1 = self.hidden_map("h", inputs=2, operator=Conv2d(1) if self.operator.space_dims else Dense())
        self.increments: list[tuple[Tensor, Tensor]] | None = None  # i * g and i' * g' of every step, where asked for

    def step(self, wx: Tensor, state: STLSTMState) -> tuple[Tensor, STLSTMState]:
        x, u, v = self.W.split(wx), self.U.split(self.U(state.h)), self.U_m.split(self.U_m(state.m))
        more_c = sigmoid(x.i + u.i) * tanh(x.g + u.g)
        c = sigmoid(x.f + u.f + self.forget_bias) * state.c + more_c
        more_m = sigmoid(x.im + v.i) * tanh(x.gm + v.g)
        m = sigmoid(x.fm + v.f + self.forget_bias) * state.m + more_m
        both = torch.cat([c, m], 1)
        o = sigmoid(x.o + u.o + self.W_o(both))
        h = o * tanh(self.W_1(both))
        if self.increments is not None:
            self.increments.append((more_c, more_m))
        return h, STLSTMState(h, c, m)
