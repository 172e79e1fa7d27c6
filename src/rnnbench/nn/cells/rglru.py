"""The real-gated linear recurrent unit (De et al. 2024, "Griffin: mixing gated linear recurrences with local attention
for efficient language models", section 2.4).

    r = s(W_a u + b_a)     i = s(W_x u + b_x)     log a = -c r softplus(P),  c = 8
    h = a * h' + sqrt(1 - a^2) * (i * u)

u is x where I is H, as in the paper; else a map of x. W_a and W_x are block-diagonal, `blocks` of them, and normal with
variance blocks / H; biases start at zero. P starts so that at r = 1 a is uniform in [.9, .999], ring="paper"; the
authors' code (recurrentgemma) draws a of c = 1 on the ring of these radii instead, so that a of c = 8 starts in
[.43, .992], ring="code".

1 - a^2 is computed from log a, of which no digit is lost where a is near 1, and the gradient of its root is held at
1000, as in the authors' code. That code also leaves the root out of a sequence's first step; a step here does not know
that it is the first.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn, sigmoid, tanh
from torch.nn import functional as F

from rnnbench.nn.cells.linear import LinearCell
from rnnbench.nn.cells.lru import front_of, refuse_all_but_vectors
from rnnbench.nn.linear import linear
from rnnbench.nn.maps import gate_names

RINGS = ("paper", "code")
R_MIN, R_MAX = 0.9, 0.999
C = 8.0
STEEPEST = 1000.0  # the largest derivative of the root


class RGLRUState(NamedTuple):
    h: Tensor  # (B, H)


class RGLRU(LinearCell):
    """RG-LRU. blocks: K, of W_a and W_x; H must be a multiple. ring: paper | code, where a starts.

    Parameters: H + 2 (H H / K + biases H); where I is not H another H I + biases H. init: of the map in front alone.
    Raises ValueError on blocks that do not divide H, an unknown ring, an operator of frames, and on norm.
    """

    State = RGLRUState
    gates = ("r", "i")

    def __init__(
        self, input_size: int, hidden_size: int, *, blocks: int = 1, ring: str = "paper", **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        if not isinstance(blocks, int) or blocks < 1 or hidden_size % blocks:
            raise ValueError(f"blocks must divide the hidden size: {hidden_size} is no multiple of {blocks}")
        if ring not in RINGS:
            raise ValueError(f"unknown ring {ring!r}; known: {', '.join(RINGS)}")
        refuse_all_but_vectors(self)
        self.ring = ring
        self.front = front_of(self)
        self.W: Any = BlockDiagonal(hidden_size, "r i", blocks, bias=self.biases >= 1)
        self.P = nn.Parameter(torch.empty(hidden_size))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """softplus(P) is -log a of c = 1."""
        if self.ring == "paper":
            nn.init.uniform_(self.P, R_MIN, R_MAX)
            rate = -torch.log(self.P) / C
        else:
            nn.init.uniform_(self.P, R_MIN**2, R_MAX**2)
            rate = -torch.log(self.P) / 2
        self.P.copy_(torch.log(torch.expm1(rate)))

    def hoist(self, x: Tensor) -> Tensor:
        """The gates' sums and u: (T, B, 3 H)."""
        u = x if self.front is None else self.front.sequence(x)
        return torch.cat([self.W.sequence(u), u], 2)

    @property
    def hoisted_size(self) -> int:
        return 3 * self.hidden_size

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        a_r, a_i, u = seen.chunk(3, 1)
        r = sigmoid(a_r)
        i = sigmoid(a_i)
        log_a = -C * r * F.softplus(self.P)
        return torch.exp(log_a), rest(log_a) * (i * u)


def rest(log_a: Tensor) -> Tensor:
    """sqrt(1 - a^2) by log a <= 0, its derivative by 1 - a^2 at most STEEPEST.

    1 - a^2 = 1 - e^(2 log a) = -2 t / (1 - t) with t = tanh(log a).
    """
    t = tanh(log_a)
    square = -2 * t / (1 - t)
    known = square.detach()
    least = STEEPEST**-2
    slope = 1 / torch.sqrt(torch.relu(4 * known - least) + least)
    return torch.sqrt(known) + slope * (square - known)


class BlockDiagonal(nn.Module):
    """H -> each gate's H, block by block. weight: (n H, H / K), of each gate its K blocks one below the other."""

    def __init__(self, size: int, gates: str, blocks: int, *, bias: bool) -> None:
        super().__init__()
        self.size, self.blocks, self.letters = size, blocks, gates.split()
        rows = len(self.letters) * size
        self.weight = nn.Parameter(torch.empty(rows, size // blocks))
        self.bias = nn.Parameter(torch.empty(rows)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=math.sqrt(self.blocks / self.size))
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    @property
    def gates(self) -> Any:
        """The named tuple of the gates."""
        return gate_names(" ".join(self.letters))

    def sequence(self, x: Tensor) -> Tensor:
        """(T, B, H) -> (T, B, n H)."""
        if self.blocks == 1:
            return linear(x, self.weight, self.bias)
        parts = x.unflatten(-1, (self.blocks, -1))
        weight = self.weight.unflatten(0, (len(self.letters), self.blocks, -1))
        out = torch.einsum("tbki,nkoi->tbnko", parts, weight).flatten(2)
        return out if self.bias is None else out + self.bias
