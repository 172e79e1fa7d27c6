"""Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate, Gers et al. 2000), with or without peepholes.

    i = s(W_i x + U_i h' + p_i * c' + b_i)          f = s(W_f x + U_f h' + p_f * c' + b_f)
    g = tanh(W_g x + U_g h' + b_g)                  c = f * c' + i * g
    o = s(W_o x + U_o h' + p_o * c + b_o)           h = o * tanh(c)

Without the p terms this is torch.nn.LSTM (gate order i f g o, two biases). The peepholes are Gers & Schmidhuber 2000's
on vectors and Shi et al. 2015's (eq. 3) on frames: with the conv2d operator the same lines are the ConvLSTM.

Layer norms (L; gains g, from one; W x and U h' have gains of their own), of which public code has three under one name:

norm=layer            a = L(W x) + L(U h') + b, each gate normalised by itself, and c as it is
norm=layer_4h         Ba et al. 2016: one mean and variance of all four gates, and h = o * tanh(L(c) + b_c); the c that
                      is carried, and that peepholes see, is not normalised
norm=layer_4h_carry   torch's example (custom_lstms.py): the same of the gates; c = L(f * c' + i * g) + b_c is carried

The paper's code has a bias of each norm beside b: three of the gates, of which one is enough. Here W has it (biases=1),
or W and U (biases=2), and the norm of c has its b_c unless biases=0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import Norm, preactivation
from rnnbench.nn.peephole import OFF, NoPeep, Peephole


class LSTMState(NamedTuple):
    h: Tensor  # (B, C, *space)
    c: Tensor  # (B, C, *space)


class LSTM(Cell):
    """The LSTM. forget_bias: added to b_f at the start. peephole: its options, default off; space: the frame's (H, W),
    which hadamard peepholes need to know.

    Parameters: 4 H (I + H) + biases 4 H, and H a gate that sees c; for kernels 4 H (k_x^2 I + k_h^2 H) + biases 4 H.
    With a norm another 8 H, with layer_4h and layer_4h_carry 10 H (9 H without biases).
    """

    State = LSTMState
    gates = ("i", "f", "o")
    keeps, admits = "f", "i"
    norms = ("layer", "layer_4h", "layer_4h_carry")
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
        self.norm_c = Norm(hidden_size, bias=self.biases >= 1) if self.norm not in (None, "layer") else None
        self.peephole = peephole.make(hidden_size, "i f o", self.operator, space)
        self.space = tuple(space) if space and self.peephole.fixes_space else None
        self.kernel = "lstm" if isinstance(self.peephole, NoPeep) else None

    def step(self, wx: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        h_, c_ = state
        a, p = self.U.split(preactivation(wx, self.U, h_)), self.peephole
        i = sigmoid(p("i", a.i, c_))
        f = sigmoid(p("f", a.f, c_))
        c = f * c_ + i * tanh(a.g)
        if self.norm_c is not None and self.norm == "layer_4h_carry":
            c = self.norm_c(c)
        o = sigmoid(p("o", a.o, p.output_source(c_, c)))
        if self.norm_c is not None and self.norm == "layer_4h":
            return (h := o * tanh(self.norm_c(c))), LSTMState(h, c)
        h = o * tanh(c)
        return h, LSTMState(h, c)
