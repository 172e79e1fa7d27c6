"""The simple recurrent network (Elman 1990, "Finding structure in time").

    h = phi(W x + U h' + b),  phi = tanh | relu

Equal to torch.nn.RNN. With relu and init="identity" it is the IRNN of Le, Jaitly & Hinton 2015.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import preactivation


class RNNState(NamedTuple):
    h: Tensor  # (B, C, *space)


class RNN(Cell):
    """Elman's network. nonlinearity: tanh | relu. Parameters: H (I + H) + biases H."""

    State = RNNState
    adds = True

    def __init__(self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"unknown nonlinearity {nonlinearity!r}; known: tanh, relu")
        self.phi = getattr(torch, nonlinearity)
        self.kernel = f"rnn_{nonlinearity}"
        self.W = self.input_map("h")
        self.U = self.hidden_map("h")

    def step(self, wx: Tensor, state: RNNState) -> tuple[Tensor, RNNState]:
        h = self.phi(preactivation(wx, self.U, state.h))
        return h, RNNState(h)
