"""Peepholes: the gates of an LSTM see its cell state c. A third object beside W and U, absent at no cost when off.

Gers & Schmidhuber 2000 (dense), Shi et al. 2015 eq. 3 (convolutional, one number a channel). What the variants differ
in is what public implementations differ in: the shape of the weights, which gates see c, whether the output gate sees
the new or the old one, whether the gradient flows back through the peephole (Gers' original rule cuts it), and how the
weights start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.maps import Operator

STARTS = ("zero", "uniform", "uniform01", "normal")
VECTORS = 32  # the most numbers that torch computes at a time: two registers of AVX-512 in float32
SHAPES = ("none", "per_channel", "hadamard", "conv1x1", "conv")


@dataclass(frozen=True)
class Peephole:
    """Options of the peepholes; conf/peephole/ holds one choice a file.

    shape: none | per_channel (one weight a unit or channel: C) | on frames also hadamard (one a channel and pixel:
    C H W), conv1x1 (C C), conv (C C k k, k the state-to-state kernel). gates: which gates see c. output_sees: current
    (the new c_t, the papers' rule) | previous (c_{t-1}, as some public code has it). gradient: full | detach (Gers'
    rule). start: zero (the ConvLSTM authors' code) | uniform U(+-1/sqrt(C)) | uniform01 U(0, 1) | normal N(0, 1).
    """

    shape: Literal["none", "per_channel", "hadamard", "conv1x1", "conv"] = "per_channel"
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

    def make(self, hidden_size: int, gates: str, operator: Operator, space: tuple[int, ...] | None = None) -> Peep:
        """The peepholes of one cell whose gates are `gates` ("i f o"); those the cell lacks are left out.

        space: (H, W) of the frames. Raises ValueError where a shape needs frames, or their size, and has none.
        """
        seen = [g for g in gates.split() if g in self.gates]
        if self.shape == "none" or not seen:
            return NoPeep()
        if self.shape != "per_channel" and operator.space_dims == 0:
            raise ValueError(f"peephole.shape={self.shape} is for frames; on vectors use per_channel")
        if self.shape == "hadamard" and space is None:
            raise ValueError("peephole.shape=hadamard has one weight a pixel: the cell needs space=(H, W)")
        k = 1 if self.shape == "conv1x1" else operator.kernel_size
        shape: tuple[int, ...] = {
            "per_channel": (hidden_size, *(1,) * operator.space_dims),
            "hadamard": (hidden_size, *(space or ())),
        }.get(self.shape, (hidden_size, hidden_size, k, k))
        return Peep(self, hidden_size, seen, shape)


def evenly(a: Tensor) -> Tensor:
    """a (B, C, *space), a gate's share of a fused product, so that its sigmoid has the bits of that of a contiguous a.

    On a CPU numbers that lie side by side are computed by whole vectors and what is left by other code, which rounds
    differently. Where each sequence's numbers are whole vectors nothing is left, and no copy is needed; but several
    threads cut a tensor anywhere, and in a graph sizes may be unknown.
    """
    if type(a) is not Tensor or torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined,no-untyped-call]
        return a.contiguous()
    whole = a.shape[1:].numel() % VECTORS == 0 and a[:1].is_contiguous() and torch.get_num_threads() == 1
    return a if whole else a.contiguous()


class Peep(nn.Module):
    """What a gate sees of c, added to its preactivation; one parameter tensor a gate, named by its letter.

    call: gate letter, preactivation a (B, C, *space), cell state c (B, C, *space) -> (B, C, *space). Zero
    peepholes begin as no peepholes to the bit, see `evenly`.
    """

    def __init__(self, options: Peephole, hidden_size: int, gates: Sequence[str], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.options, self.hidden_size, self.seen = options, hidden_size, frozenset(gates)
        self.convolves = options.shape in ("conv1x1", "conv")
        self.fixes_space: bool = options.shape == "hadamard"  # weights have one number a pixel
        self.w = nn.ParameterDict({g: nn.Parameter(torch.empty(shape)) for g in gates})
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
            return evenly(a)
        if self.options.gradient == "detach":
            c = c.detach()
        w = self.w[gate]
        return a + (F.conv2d(c, w, padding=w.shape[-1] // 2) if self.convolves else w * c)

    def output_source(self, previous: Tensor, current: Tensor) -> Tensor:
        """The cell state that the output gate sees."""
        return current if self.options.output_sees == "current" else previous

    def extra_repr(self) -> str:
        return f"gates={' '.join(sorted(self.seen))}, {self.options}"


class NoPeep(Peep):
    """No peepholes: every gate keeps its preactivation. No parameters, no arithmetic."""

    fixes_space = False

    def __init__(self) -> None:
        nn.Module.__init__(self)

    def reset_parameters(self) -> None:
        """Nothing to start."""

    def forward(self, gate: str, a: Tensor, c: Tensor) -> Tensor:
        return evenly(a)

    def output_source(self, previous: Tensor, current: Tensor) -> Tensor:
        return current

    def extra_repr(self) -> str:
        return "off"


OFF = Peephole(shape="none")
