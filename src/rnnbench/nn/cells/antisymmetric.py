"""The antisymmetric RNN (Chang, Chen, Haber & Chi 2019, "AntisymmetricRNN: A dynamical system view on recurrent neural
networks"): a forward Euler step with diffusion, and the same with a gate.

    M = A - A^T - gamma 1
    plain   h = h' + epsilon * tanh(M h' + W x + b)
    gated   z = s(M h' + W_z x + b_z)       h = h' + epsilon * z * tanh(M h' + W_h x + b_h)       the same M in both

The eigenvalues of A - A^T are imaginary, so those of M have the real part -gamma, whatever is learned. Only the part of
A below its diagonal matters, and it alone is stored, H (H - 1) / 2 numbers, where public code trains H x H for the same
functions. torchrecurrent 0.2.5 has a second bias in the gated candidate and not in its gate; here there is one bias,
W's. norm=layer is of W x alone: a normalised M h' would have other eigenvalues.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn.functional import linear

from rnnbench.nn.cells.base import Cell, check_not_negative, check_positive
from rnnbench.nn.init import Fill


class AntisymmetricState(NamedTuple):
    h: Tensor  # (B, H)


class AntisymmetricMap(nn.Module):
    """h -> M h, M = A - A^T - gamma 1: (B, H) -> (B, H). triangle: A below its diagonal, row by row.

    fill: how a matrix (H, H) starts, whose part below the diagonal is taken.
    """

    below: Tensor  # where each number of the triangle lies in a matrix that is read row by row

    def __init__(self, size: int, gamma: float, fill: Fill) -> None:
        super().__init__()
        self.size, self.gamma, self.fill = size, gamma, fill
        rows, columns = torch.tril_indices(size, size, offset=-1)
        self.register_buffer("below", size * rows + columns, persistent=False)
        self.triangle = nn.Parameter(torch.empty(size * (size - 1) // 2))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        A = self.triangle.new_empty(self.size, self.size)
        self.fill(A, self.size)
        self.triangle.copy_(A.flatten()[self.below])

    def matrix(self) -> Tensor:
        """M: (H, H)."""
        A = self.triangle.new_zeros(self.size**2).scatter(0, self.below, self.triangle).view(self.size, self.size)
        one = torch.eye(self.size, dtype=A.dtype, device=A.device)
        return A - A.T - self.gamma * one

    def forward(self, h: Tensor) -> Tensor:
        return linear(h, self.matrix())

    def extra_repr(self) -> str:
        return f"{self.size}, gamma={self.gamma}"


class AntisymmetricCell(Cell):
    """What the two share: M. letters: the gates of W. epsilon: the step; gamma: the diffusion, 0 for none."""

    State = AntisymmetricState
    most_biases = 1
    letters: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        epsilon: float = 0.01,
        gamma: float = 0.01,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        check_positive(epsilon=epsilon)
        check_not_negative(gamma=gamma)
        if self.operator.name != "dense":
            raise ValueError(f"an antisymmetric RNN takes vectors (operator dense), not {self.operator!r}")
        self.epsilon = epsilon
        self.W = self.input_map(self.letters)
        self.M = AntisymmetricMap(hidden_size, gamma, self.init.U)


class Antisymmetric(AntisymmetricCell):
    """The plain one. Parameters: H I + H (H - 1) / 2 + biases H, at most one."""

    letters = "h"

    def step(self, wx: Tensor, state: AntisymmetricState) -> tuple[Tensor, AntisymmetricState]:
        h = state.h + self.epsilon * tanh(self.M(state.h) + wx)
        return h, AntisymmetricState(h)


class AntisymmetricGated(AntisymmetricCell):
    """The gated one. Parameters: 2 H I + H (H - 1) / 2 + biases 2 H, at most one."""

    letters = "z h"
    gates = ("z",)

    def step(self, wx: Tensor, state: AntisymmetricState) -> tuple[Tensor, AntisymmetricState]:
        w, m = self.W.split(wx), self.M(state.h)
        z = sigmoid(m + w.z)
        h = state.h + self.epsilon * z * tanh(m + w.h)
        return h, AntisymmetricState(h)
