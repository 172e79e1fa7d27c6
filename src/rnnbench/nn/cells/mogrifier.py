"""The Mogrifier LSTM (Melis et al. 2020, "Mogrifier LSTM"): x and h' gate each other before an LSTM sees them.

    x_0 = x, h_0 = h'        odd rounds k:   x_k = 2 s(Q_k h_(k-1)) * x_(k-2)      (the last x and h in place of k - 2)
                             even rounds k:  h_k = 2 s(R_k x_(k-1)) * h_(k-2)
    and the LSTM of x and h after r rounds; c' goes in as it is.

2 s(0) = 1: where all Q and R are zero it is the LSTM. Q and R have biases, as in the authors' code (lamb); that code's
LSTM also caps its input gate, i = min(i, 1 - f), by default, which this one does not. W x depends on h' here and cannot
be computed for all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor, nn, sigmoid, tanh
from torch.special import expit  # the sigmoid, where it is no gate of the LSTM

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.init import Fill


class MogrifierState(NamedTuple):
    h: Tensor  # (B, C, *space)
    c: Tensor  # (B, C, *space)


@dataclass(frozen=True)
class OfSize:
    """A start by the cell's hidden size, of a map whose output is not of that size."""

    fill: Fill
    hidden_size: int

    def __call__(self, block: Tensor, out_size: int) -> None:
        self.fill(block, self.hidden_size)


class Mogrifier(Cell):
    """The Mogrifier LSTM. rounds: r; 0 is the LSTM. rank: of Q and R as products of two matrices; null: full.
    forget_bias: added to b_f at the start. A norm is of the LSTM's maps; Q and R have none.

    Parameters: 4 H (I + H) + biases 4 H of the LSTM, and r I H, or r rank (I + H), with I for each odd round and H for
    each even one unless biases=0. A layer without input has no rounds. Raises ValueError on other rounds or ranks.
    """

    State = MogrifierState
    gates = ("i", "f", "o")
    keeps, admits = "f", "i"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        rounds: int = 5,
        rank: int | None = None,
        forget_bias: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 0:
            raise ValueError(f"rounds must be a whole number, 0 or more, not {rounds!r}")
        if rank is not None and (isinstance(rank, bool) or not isinstance(rank, int) or rank < 1):
            raise ValueError(f"rank must be a whole number of at least 1, or null for full matrices, not {rank!r}")
        self.rounds = rounds if input_size else 0
        self.W = self.input_map("i f g o", bias_offset={"f": forget_bias})
        self.U = self.hidden_map("i f g o")
        for k in range(1, self.rounds + 1):
            if k % 2:
                self.add_module(f"Q_{k}", self._between(hidden_size, input_size, "h", rank))
            else:
                self.add_module(f"R_{k}", self._between(input_size, hidden_size, "x", rank))

    def _between(self, in_size: int, out_size: int, role: str, rank: int | None) -> nn.Module:
        """A map from h to the size of x, or back, full or by way of `rank` numbers."""
        start: dict[str, Any] = {
            "role": role,
            "weight_fill": OfSize(self.init.W, self.hidden_size),
            "bias_fill": OfSize(self.other_bias, self.hidden_size),
        }
        if rank is None:
            return self.operator.map(in_size, out_size, "k", bias=self.biases >= 1, **start)
        down = self.operator.map(in_size, rank, "k", bias=False, **start)
        return nn.Sequential(down, self.operator.map(rank, out_size, "k", bias=self.biases >= 1, **start))

    def hoist(self, x: Tensor) -> Tensor:
        """x itself: (T, B, I, *space)."""
        return x

    @property
    def hoisted_size(self) -> int:
        return self.input_size

    def step(self, wx: Tensor, state: MogrifierState) -> tuple[Tensor, MogrifierState]:
        x, h, c_ = wx, state.h, state.c
        for k in range(1, self.rounds + 1):
            if k % 2:
                x = 2 * expit(self.get_submodule(f"Q_{k}")(h)) * x
            else:
                h = 2 * expit(self.get_submodule(f"R_{k}")(x)) * h
        a = self.U.split(self.W(x) + self.U(h))
        i = sigmoid(a.i)
        f = sigmoid(a.f)
        c = f * c_ + i * tanh(a.g)
        o = sigmoid(a.o)
        h = o * tanh(c)
        return h, MogrifierState(h, c)
