"""The independently recurrent network (Li et al. 2018, "Independently recurrent neural network (IndRNN)", eq. 2).

    h = relu(W x + u * h' + b)

Each unit sees its own past alone, by one number. Over T steps a unit passes its past on by u^T, so the paper keeps
|u| <= M^(1/T) and starts it at or below that. A cell does not know T: the bounds are options, for example
2^(1/T) as u_high. The authors' code (pixel MNIST) starts u at U(0, 5^(1/T)), or for the last layer at
U(5^(-1/T), 5^(1/T)), W as init=li2018 and b at zero; its batch norm and its clipped gradients are parts of that network
and not of the cell. Other libraries start u at N(0, 1), of which a third is beyond 1, and put tanh for relu.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnbench.nn.cells.base import Cell


class IndRNNState(NamedTuple):
    h: Tensor  # (B, C, *space)


class IndRNN(Cell):
    """IndRNN. Parameters: H I + H + biases H.

    u_low, u_high: u starts uniform between them. u_bound: u counts as at most so large, of either sign, in every step;
    its gradient is that of the number it counts as, so that it comes back. None: no bound.
    Raises ValueError where u_low is above u_high, or u_bound is not above zero.
    """

    State = IndRNNState
    most_biases = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        u_low: float = 0.0,
        u_high: float = 1.0,
        u_bound: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        if u_low > u_high:
            raise ValueError(f"u starts between u_low and u_high: {u_low!r} is above {u_high!r}")
        if u_bound is not None and u_bound <= 0:
            raise ValueError(f"u_bound must be above 0, or null for none, not {u_bound!r}")
        self.u_low, self.u_high, self.u_bound = u_low, u_high, u_bound
        self.W = self.input_map("h")
        self.u = nn.Parameter(torch.empty(hidden_size, *(1,) * self.operator.space_dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.u, self.u_low, self.u_high)

    def step(self, wx: Tensor, state: IndRNNState) -> tuple[Tensor, IndRNNState]:
        u: Tensor = self.u
        if self.u_bound is not None:
            beyond = torch.relu(u - self.u_bound) - torch.relu(-u - self.u_bound)
            u = u - beyond.detach()
        h = torch.relu(wx + u * state.h)
        return h, IndRNNState(h)
