"""The linear recurrent unit (Orvieto et al. 2023, "Resurrecting recurrent neural networks for long sequences").

    h = L * h' + exp(gamma) * B u      y = Re(C h) + D * u      L = exp(-exp(nu) + i exp(theta))

h is complex, of H numbers; L is a diagonal, always within the unit circle. nu and theta start so that L is uniform on
the ring between the radii r_min and r_max, up to the angle max_phase; gamma so that a white input gives E|h|^2 = 1, and
is trained from there. B and C are complex with parts of variance 1 / 2H and 1 / H, D normal, as in the public code that
others build on (minimal-LRU, with the ring's defaults below); the paper's appendix speaks of a B twice as large.

u is x where I is H, as the paper's sizes are; else a map of x, as the paper's encoder in front of its layers.

The cell alone is linear from end to end. What the paper stacks has more around it, layer=True:

    y = u + GLU(gelu(LRU(norm(u))))      GLU(a) = (W_v a + b_v) * s(W_g a + b_g)

with a layer norm (the paper's long sequences have batch norm, which makes the rows of a batch depend on each other),
and gelu by tanh.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.special import expit  # the sigmoid, where it is no gate

from rnnbench.nn.cells.linear import LinearCell
from rnnbench.nn.init import zeros

LEAST = 1e-6  # how near a start comes to the ends of (0, 1), where nu and theta are infinite


class LRUState(NamedTuple):
    h: Tensor  # (B, 2 H): the real parts, then the imaginary ones
    y: Tensor  # the output, (B, H)


@dataclass(frozen=True)
class Normal:
    """A start N(0, std^2)."""

    std: float

    def __call__(self, block: Tensor, hidden_size: int) -> None:
        nn.init.normal_(block, std=self.std)


class LRU(LinearCell):
    """LRU. layer: with norm, gelu, GLU and skip around it. r_min, r_max, max_phase: where L starts.

    Parameters: 3 H + 4 H H + H; where I is not H another H I + biases H; with layer another 2 H H + biases 2 H + 2 H.
    init: of the map in front and of the GLU; all else has the start above, and there are no biases in it.
    Raises ValueError on radii that are not 0 <= r_min < r_max <= 1, on an operator of frames, and on norm.
    """

    State = LRUState
    is_complex = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        layer: bool = False,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        if not 0 <= r_min < r_max <= 1 or max_phase <= 0:
            raise ValueError(
                f"a ring needs 0 <= r_min < r_max <= 1 and max_phase > 0, not {r_min}, {r_max}, {max_phase}"
            )
        refuse_all_but_vectors(self)
        self.r_min, self.r_max, self.max_phase, self.layer = r_min, r_max, max_phase, layer
        self.front = front_of(self)
        self.W = self.operator.map(
            hidden_size, hidden_size, "r i", role="x", bias=False,
            weight_fill=Normal(1 / math.sqrt(2 * hidden_size)), bias_fill=zeros,
        )  # fmt: skip
        self.C = self.operator.map(
            2 * hidden_size, hidden_size, "y", role="h", bias=False,
            weight_fill=Normal(1 / math.sqrt(hidden_size)), bias_fill=zeros,
        )  # fmt: skip
        self.D = nn.Parameter(torch.empty(hidden_size))
        self.nu = nn.Parameter(torch.empty(hidden_size))
        self.theta = nn.Parameter(torch.empty(hidden_size))
        self.gamma = nn.Parameter(torch.empty(hidden_size))
        if layer:
            self.before = nn.LayerNorm(hidden_size)
            self.glu = self.operator.map(
                hidden_size, hidden_size, "v g", role="h", bias=self.biases >= 1,
                weight_fill=self.init.W, bias_fill=self.init.b,
            )  # fmt: skip
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        nn.init.uniform_(self.nu, LEAST, 1 - LEAST)
        squared = self.nu * (self.r_max**2 - self.r_min**2) + self.r_min**2
        self.nu.copy_(torch.log(-0.5 * torch.log(squared)))
        nn.init.uniform_(self.theta, LEAST, 1.0)
        self.theta.mul_(self.max_phase).log_()
        self.gamma.copy_(0.5 * torch.log(-torch.expm1(-2 * torch.exp(self.nu))))
        nn.init.normal_(self.D)

    def hoist(self, x: Tensor) -> Tensor:
        """B u in two parts, u, and with a layer around it what is skipped to: (T, B, 3 H or 4 H)."""
        skipped = x if self.front is None else self.front.sequence(x)
        u = self.before(skipped) if self.layer else skipped
        return torch.cat([self.W.sequence(u), u, *([skipped] if self.layer else [])], 2)

    @property
    def hoisted_size(self) -> int:
        return (4 if self.layer else 3) * self.hidden_size

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        real, imaginary = seen[:, : 2 * self.hidden_size].to(self.nu.dtype).chunk(2, 1)
        lam = torch.polar(torch.exp(-torch.exp(self.nu)), torch.exp(self.theta))
        scale = torch.exp(self.gamma)
        return lam, torch.complex(scale * real, scale * imaginary)

    def read(self, seen: Tensor, h: Tensor) -> Tensor:
        _, _, u, *skipped = seen.split(self.hidden_size, 1)
        y: Tensor = self.C(torch.cat([h.real, -h.imag], 1)) + self.D * u
        if self.layer:
            a = self.glu.split(self.glu(F.gelu(y, approximate="tanh")))
            y = skipped[0] + a.v * expit(a.g)
        return y

    def _like_h(self, batch: int, space: Any) -> list[tuple[int, ...]]:
        return [(batch, 2 * self.hidden_size, *space), (batch, self.hidden_size, *space)]


def front_of(cell: LinearCell) -> Any:
    """A map of x onto H features, of a cell whose paper has I = H; None where that is so."""
    if cell.input_size == cell.hidden_size:
        return None
    return cell.operator.map(
        cell.input_size, cell.hidden_size, "u", role="x", bias=cell.biases >= 1,
        weight_fill=cell.init.W, bias_fill=cell.init.b,
    )  # fmt: skip


def refuse_all_but_vectors(cell: LinearCell) -> None:
    """Raises ValueError on an operator of frames and on a norm, which would have no product of x alone to be of."""
    name = type(cell).__name__
    if cell.operator.space_dims:
        raise ValueError(f"{name} is for vectors: its operator is Dense")
    if cell.norm is not None:
        raise ValueError(f"{name} takes no norm={cell.norm}: its gates have no products of x alone; leave it null")
