"""The coupled oscillatory RNN (Rusch & Mishra 2021, "Coupled oscillatory recurrent neural network (coRNN)", eq. 3).

    z = z' + dt * (tanh(U_y y' + U_z z' + W x + b) - gamma * y' - epsilon * z')
    y = y' + dt * z

H damped, driven oscillators y'' = tanh(...) - gamma y - epsilon y', coupled by the weights, in steps of dt; y takes the
NEW z. The damping is by the old z, as in the authors' code; torchrecurrent 0.2.5 has the new one in its docstring and
computes the old one. Here the paper's y, the output, is h.

The authors start their one map of [x, z', y'] at U(-b, b), b = 1 / sqrt(I + 2 H); here each map starts by `init`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, tanh

from rnnbench.nn.cells.base import Cell, check_positive


class CoRNNState(NamedTuple):
    h: Tensor  # (B, C, *space), the paper's y
    z: Tensor  # (B, C, *space), its velocity


class CoRNN(Cell):
    """coRNN. dt: step in time; gamma: stiffness, epsilon: damping, of every oscillator. They are fixed numbers that the
    authors choose for each task: here theirs for sMNIST; for adding they have dt 0.06, gamma 66 and epsilon 15.

    Parameters: H (I + 2 H) + biases H.
    """

    State = CoRNNState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dt: float = 0.042,
        gamma: float = 2.7,
        epsilon: float = 4.7,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        check_positive(dt=dt, gamma=gamma, epsilon=epsilon)
        self.dt, self.gamma, self.epsilon = dt, gamma, epsilon
        self.W = self.input_map("z")
        self.U = self.hidden_map("z")  # of h
        self.U_z = self.hidden_map("z", bias=False)

    def step(self, wx: Tensor, state: CoRNNState) -> tuple[Tensor, CoRNNState]:
        h_, z_ = state
        force = tanh(wx + self.U(h_) + self.U_z(z_))
        z = z_ + self.dt * (force - self.gamma * h_ - self.epsilon * z_)
        h = h_ + self.dt * z
        return h, CoRNNState(h, z)
