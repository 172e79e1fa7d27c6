"""The gated recurrent unit, in the three definitions that people confuse.

GRU        reset AFTER the product ("v3"; torch, cuDNN):  n = tanh(W_n x + b_n + r * (U_n h' + b'_n))
GRUCho     reset BEFORE it (Cho et al. 2014, eq. 8):      n = tanh(W_n x + U_n (r * h') + b_n)
           both with  r, z = s(W x + U h' + b)  and  h = z * h' + (1 - z) * n;
           Chung et al. 2014 swap the roles of z and 1 - z, which renames z and changes nothing else.
GRUUpdate  no reset gate (UGRNN, Collins et al. 2016):    g = tanh(W_g x + U_g h' + b_g),  h = u * g + (1 - u) * h'
           u is the share of the new; the gate of the paper and of TensorFlow's UGRNNCell is that of the old, 1 - u: the
           same function with the gate's weights and bias negated (TensorFlow's forget bias of 1 would be -1 here).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh
from torch.nn.functional import leaky_relu

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import preactivation


def activation_of(name: str) -> Callable[[Tensor], Tensor]:
    """The candidate's activation by name. Raises ValueError with the known ones."""
    known: dict[str, Callable[[Tensor], Tensor]] = {"tanh": tanh, "leaky_relu": partial(leaky_relu, negative_slope=0.2)}
    if name not in known:
        raise ValueError(f"unknown activation {name!r}; known: {', '.join(known)}")
    return known[name]


class GRUState(NamedTuple):
    h: Tensor  # (B, C, *space)


class GRU(Cell):
    """torch.nn.GRU: the reset gate acts after the product. Parameters: 3 H (I + H) + biases 3 H.

    activation: tanh | leaky_relu (slope 0.2, the ConvGRU of HKO-7, Shi et al. 2017).
    """

    State = GRUState
    gates = ("r", "z")
    keeps = "z"

    def __init__(self, input_size: int, hidden_size: int, *, activation: str = "tanh", **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.phi = activation_of(activation)
        self.kernel = "gru" if activation == "tanh" else None
        self.W = self.input_map("r z n")
        self.U = self.hidden_map("r z n")

    def step(self, wx: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        w, u = self.W.split(wx), self.U.split(self.U(state.h))
        r = sigmoid(w.r + u.r)
        z = sigmoid(w.z + u.z)
        n = self.phi(w.n + r * u.n)
        h = z * state.h + (1 - z) * n
        return h, GRUState(h)


class GRUCho(Cell):
    """Cho et al. 2014: the reset gate acts on h' before the product. Parameters: 3 H (I + H) + biases 3 H."""

    State = GRUState
    gates = ("r", "z")
    keeps = "z"

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.W = self.input_map("r z n")
        self.U = self.hidden_map("r z")
        self.U_n = self.hidden_map("n")

    def step(self, wx: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        w, u = self.W.split(wx), self.U.split(self.U(state.h))
        r = sigmoid(w.r + u.r)
        z = sigmoid(w.z + u.z)
        n = tanh(w.n + self.U_n(r * state.h))
        h = z * state.h + (1 - z) * n
        return h, GRUState(h)


class GRUUpdate(Cell):
    """The update gate alone (UGRNN). Parameters: 2 H (I + H) + biases 2 H."""

    State = GRUState
    gates = ("u",)
    admits = "u"
    adds = True

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.W = self.input_map("u g")
        self.U = self.hidden_map("u g")

    def step(self, wx: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        a = self.U.split(preactivation(wx, self.U, state.h))
        u = sigmoid(a.u)
        h = u * tanh(a.g) + (1 - u) * state.h
        return h, GRUState(h)
