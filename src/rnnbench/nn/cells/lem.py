"""Long Expressive Memory (Rusch, Mishra, Erichson & Mahoney 2022, "Long expressive memory for sequence modeling").

    d1 = dt * s(W_1 x + U_1 y' + b_1)      z = (1 - d1) * z' + d1 * tanh(W_z x + U_z y' + b_z)
    d2 = dt * s(W_2 x + U_2 y' + b_2)      y = (1 - d2) * y' + d2 * tanh(W_y x + U_y z  + b_y)

y reads the NEW z, as in the authors' code. torchrecurrent 0.2.5 and RecurrentLayers.jl give it z', the old one, another
function from the first step on. Here the paper's y, the output, is h. dt = 1 makes it a GRU of two states.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh

from rnnbench.nn.cells.base import Cell, check_positive


class LEMState(NamedTuple):
    h: Tensor  # (B, C, *space), the paper's y
    z: Tensor  # (B, C, *space)


class LEM(Cell):
    """LEM. dt: the longest step in time; the authors have 1 by default and less in every task, 0.21 for sMNIST.

    Parameters: 4 H (I + H) + biases 4 H; the authors' code has both biases.
    """

    State = LEMState
    gates = ("d1", "d2")

    def __init__(self, input_size: int, hidden_size: int, *, dt: float = 1.0, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        check_positive(dt=dt)
        self.dt = dt
        self.W = self.input_map("d1 d2 z h")
        self.U = self.hidden_map("d1 d2 z")
        self.U_h = self.hidden_map("h")  # of z

    def step(self, wx: Tensor, state: LEMState) -> tuple[Tensor, LEMState]:
        h_, z_ = state
        w, u = self.W.split(wx), self.U.split(self.U(h_))
        d1 = self.dt * sigmoid(w.d1 + u.d1)
        d2 = self.dt * sigmoid(w.d2 + u.d2)
        z = (1 - d1) * z_ + d1 * tanh(w.z + u.z)
        h = (1 - d2) * h_ + d2 * tanh(w.h + self.U_h(z))
        return h, LEMState(h, z)
