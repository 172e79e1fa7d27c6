"""MUT1, MUT2 and MUT3 (Jozefowicz, Zaremba & Sutskever 2015, "An empirical exploration of recurrent network
architectures"), which a search by mutation found. All three end in h = z * n + (1 - z) * h'.

    MUT1   z = s(W_z x + b_z)                  r = s(W_r x + U_r h' + b_r)   n = tanh(U_n (r * h') + tanh(W_n x) + b_n)
    MUT2   z = s(W_z x + U_z h' + b_z)         r = s(W_r x + U_r h' + b_r)   n = tanh(U_n (r * h') + W_n x + b_n)
    MUT3   z = s(W_z x + U_z tanh(h') + b_z)   r = s(W_r x + U_r h' + b_r)   n = tanh(U_n (r * h') + W_n x + b_n)

This is the form of libraries (torchrecurrent, RecurrentLayers.jl): a map of x wherever x is seen. The paper prints x
alone in the place of W_n x in MUT1 and of W_r x in MUT2, which needs I = H. So MUT2 is here the GRU of Cho et al. 2014
with z and 1 - z the other way round.

In MUT1 the bias of W_n is within the inner tanh, and that of U_n, the printed b_n, outside it: it takes biases=2.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh

from rnnbench.nn.cells.base import Cell


class MUTState(NamedTuple):
    h: Tensor  # (B, C, *space)


class MUT1(Cell):
    """An update gate that sees x alone. Parameters: H (3 I + 2 H), and with biases 3 H in W and 2 H in U."""

    State = MUTState
    gates = ("z", "r")
    admits = "z"

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.W = self.input_map("z r n")
        self.U = self.hidden_map("r")
        self.U_n = self.hidden_map("n")

    def step(self, wx: Tensor, state: MUTState) -> tuple[Tensor, MUTState]:
        w, h_ = self.W.split(wx), state.h
        z = sigmoid(w.z)
        r = sigmoid(w.r + self.U(h_))
        n = tanh(self.U_n(r * h_) + tanh(w.n))
        h = z * n + (1 - z) * h_
        return h, MUTState(h)


class MUT2(Cell):
    """Cho's GRU, with a map of x in its reset gate. Parameters: 3 H (I + H) + biases 3 H."""

    State = MUTState
    gates = ("z", "r")
    admits = "z"

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.W = self.input_map("z r n")
        self.U = self.hidden_map("z r")
        self.U_n = self.hidden_map("n")

    def step(self, wx: Tensor, state: MUTState) -> tuple[Tensor, MUTState]:
        w, u, h_ = self.W.split(wx), self.U.split(self.U(state.h)), state.h
        z = sigmoid(w.z + u.z)
        r = sigmoid(w.r + u.r)
        n = tanh(self.U_n(r * h_) + w.n)
        h = z * n + (1 - z) * h_
        return h, MUTState(h)


class MUT3(Cell):
    """An update gate that sees tanh(h'). Parameters: 3 H (I + H) + biases 3 H."""

    State = MUTState
    gates = ("z", "r")
    admits = "z"

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.W = self.input_map("z r n")
        self.U_z = self.hidden_map("z")  # of tanh(h')
        self.U = self.hidden_map("r")
        self.U_n = self.hidden_map("n")

    def step(self, wx: Tensor, state: MUTState) -> tuple[Tensor, MUTState]:
        w, h_ = self.W.split(wx), state.h
        z = sigmoid(w.z + self.U_z(tanh(h_)))
        r = sigmoid(w.r + self.U(h_))
        n = tanh(self.U_n(r * h_) + w.n)
        h = z * n + (1 - z) * h_
        return h, MUTState(h)
