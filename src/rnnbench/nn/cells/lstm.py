"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate, Gers et al. 2000), with or without peepholes.

    i = s(W_i x + U_i h' + p_i * c' + b_i)          f = s(W_f x + U_f h' + p_f * c' + b_f)
    g = tanh(W_g x + U_g h' + b_g)                  c = f * c' + i * g
    o = s(W_o x + U_o h' + p_o * c + b_o)           h = o * tanh(c)

Without the p terms this is torch.nn.LSTM (gate order i f g o, two biases). The peepholes are Gers & Schmidhuber 2000's
on vectors and Shi et al. 2015's (eq. 3) on frames: with the conv2d operator the same lines are the ConvLSTM.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import preactivation
from rnnbench.nn.peephole import OFF, NoPeep, Peephole


class LSTMState(NamedTuple):
    h: Tensor  # (B, C, *space)
    c: Tensor  # (B, C, *space)


class LSTM(Cell):
    """The LSTM. forget_bias: added to b_f at the start. peephole: its options, default off; space: the frame's (H, W),
    which hadamard peepholes need to know.

    Parameters: 4 H (I + H) + biases 4 H, and H a gate that sees c; for kernels 4 H (k_x^2 I + k_h^2 H) + biases 4 H.
    """

    State = LSTMState
    gates = ("i", "f", "o")
    keeps, admits = "f", "i"
    adds = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        forget_bias: float = 0.0,
        peephole: Peephole = OFF,
        space: tuple[int, ...] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.W = self.input_map("i f g o", bias_offset={"f": forget_bias})
        self.U = self.hidden_map("i f g o")
        self.peephole = peephole.make(hidden_size, "i f o", self.operator, space)
        self.space = tuple(space) if space and self.peephole.fixes_space else None
        self.kernel = "lstm" if isinstance(self.peephole, NoPeep) else None

    def step(self, wx: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        h_, c_ = state
        a, p = self.U.split(preactivation(wx, self.U, h_)), self.peephole
        i = sigmoid(p("i", a.i, c_))
        f = sigmoid(p("f", a.f, c_))
        c = f * c_ + i * tanh(a.g)
        o = sigmoid(p("o", a.o, p.output_source(c_, c)))
        h = o * tanh(c)
        return h, LSTMState(h, c)
