"""JANET (van der Westhuizen & Lasenby 2018, "The unreasonable effectiveness of the forget gate"): an LSTM that has
nothing but its forget gate.

    s = W_f x + U_f c' + b_f        g = tanh(W_g x + U_g c' + b_g)
    c = sigmoid(s) * c' + (1 - sigmoid(s - beta)) * g        h = c

beta > 0 lets more in than goes out: the two factors sum to more than one, and the bound of |c| is e^beta, not 1. beta =
0 couples them, which is what many public copies have; some of these have h = tanh(c) besides. torchrecurrent 0.2.5
trains beta, one number more. Here the paper's c, the output, is h.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh
from torch.special import expit  # the sigmoid, where it is no gate of its own

from rnnbench.nn.cells.base import Cell, check_not_negative
from rnnbench.nn.maps import preactivation


class JANETState(NamedTuple):
    h: Tensor  # (B, C, *space), which is c


class JANET(Cell):
    """JANET. beta: how much more of the new comes in, 0 for none. forget_bias: added to b_f at the start.
    The paper starts it by chrono.

    Parameters: 2 H (I + H) + biases 2 H.
    """

    State = JANETState
    gates = ("f",)
    keeps = "f"
    adds = True

    def __init__(
        self, input_size: int, hidden_size: int, *, beta: float = 1.0, forget_bias: float = 0.0, **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        check_not_negative(beta=beta)
        self.beta = beta
        self.W = self.input_map("f g", bias_offset={"f": forget_bias})
        self.U = self.hidden_map("f g")

    def step(self, wx: Tensor, state: JANETState) -> tuple[Tensor, JANETState]:
        c_ = state.h
        a = self.U.split(preactivation(wx, self.U, c_))
        f = sigmoid(a.f)
        c = f * c_ + (1 - expit(a.f - self.beta)) * tanh(a.g)
        return c, JANETState(c)
