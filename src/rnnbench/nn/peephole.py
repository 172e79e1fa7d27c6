"""Peepholes: the gates of an LSTM see its cell state c. A third object beside W and U, absent at no cost when off.

Gers & Schmidhuber 2000 (dense), Shi et al. 2015 eq. 3 (convolutional, one number a channel). What the variants differ
in is what public implementations differ in: which gates see c, whether the output gate sees the new or the old one,
whether the gradient flows back through the peephole (Gers' original rule cuts it), and how the weights start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

STARTS = ("zero", "uniform", "uniform01", "normal")
SHAPES = ("none", "per_channel")


@dataclass(frozen=True)
class Peephole:
    """Options of the peepholes; conf/peephole/ holds one choice a file.

    shape: none | per_channel (one weight a unit or channel). gates: which gates see c. output_sees: current (the new
    c_t, the papers' rule) | previous (c_{t-1}, as some public code has it). gradient: full | detach (Gers' rule).
    start: zero (the ConvLSTM authors' code) | uniform U(+-1/sqrt(H)) | uniform01 U(0, 1) | normal N(0, 1).
    """

    shape: Literal["none", "per_channel"] = "per_channel"
    gates: Sequence[str] = ("i", "f", "o")
    output_sees: Literal["current", "previous"] = "current"
    gradient: Literal["full", "detach"] = "full"
    start: Literal["zero", "uniform", "uniform01", "normal"] = "zero"

    def __post_init__(self) -> None:
        for field, known in (
            ("shape", SHAPES),
            ("output_sees", ("current", "previous")),
            ("gradient", ("full", "detach")),
            ("start", STARTS),
        ):
            if getattr(self, field) not in known:
                raise ValueError(f"unknown peephole.{field} {getattr(self, field)!r}; known: {', '.join(known)}")
        if unknown := set(self.gates) - {"i", "f", "o"}:
            raise ValueError(f"peephole.gates has {', '.join(sorted(unknown))}; only i, f and o can see the cell state")

    def make(self, hidden_size: int, gates: str, space_dims: int) -> Peep:
        """The peepholes of one cell whose gates are `gates` ("i f o"); those the cell lacks are left out."""
        seen = [g for g in gates.split() if g in self.gates]
        if self.shape == "none" or not seen:
            return NoPeep()
        return Peep(self, hidden_size, seen, space_dims)


class Peep(nn.Module):
    """w * c added to a gate's preactivation; one parameter vector a gate, named by its letter.

    call: gate letter, preactivation a (B, C, *space), cell state c (B, C, *space) -> (B, C, *space).
    """

    def __init__(self, options: Peephole, hidden_size: int, gates: Sequence[str], space_dims: int) -> None:
        super().__init__()
        self.options, self.hidden_size, self.seen = options, hidden_size, frozenset(gates)
        self.w = nn.ParameterDict({g: nn.Parameter(torch.empty(hidden_size, *(1,) * space_dims)) for g in gates})
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.hidden_size)
        for w in self.w.values():
            match self.options.start:
                case "zero":
                    nn.init.zeros_(w)
                case "uniform":
                    nn.init.uniform_(w, -bound, bound)
                case "uniform01":
                    nn.init.uniform_(w, 0.0, 1.0)
                case "normal":
                    nn.init.normal_(w)

    def forward(self, gate: str, a: Tensor, c: Tensor) -> Tensor:
        if gate not in self.seen:
            return a
        return a + self.w[gate] * (c.detach() if self.options.gradient == "detach" else c)

    def output_source(self, previous: Tensor, current: Tensor) -> Tensor:
        """The cell state that the output gate sees."""
        return current if self.options.output_sees == "current" else previous

    def extra_repr(self) -> str:
        return f"gates={' '.join(sorted(self.seen))}, {self.options}"


class NoPeep(Peep):
    """No peepholes: every gate keeps its preactivation. No parameters, no arithmetic."""

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def reset_parameters(self) -> None:
        """Nothing to start."""

    def forward(self, gate: str, a: Tensor, c: Tensor) -> Tensor:
        return a

    def output_source(self, previous: Tensor, current: Tensor) -> Tensor:
        return current

    def extra_repr(self) -> str:
        return "off"


OFF = Peephole(shape="none")
