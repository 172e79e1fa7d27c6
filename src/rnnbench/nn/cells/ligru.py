"""The light GRU (Ravanelli, Brakel, Omologo & Bengio 2018, "Light gated recurrent units for speech recognition"): no
reset gate, and relu in the place of tanh.

    z = s(N(W_z x) + U_z h' + b_z)     g = relu(N(W_g x) + U_g h' + b_g)     h = z * h' + (1 - z) * g

N, on the input's half alone, is batch normalisation over sequences and steps in the paper. Here it is none or layer
normalisation (norm=layer), for a row of a batch must not depend on its neighbours. The paper's dropout of g, one mask
for all steps, is left out. g has no upper bound, so without a norm the state can blow up. RecurrentLayers.jl has tanh
in the place of relu.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, relu, sigmoid

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import preactivation


class LiGRUState(NamedTuple):
    h: Tensor  # (B, C, *space)


class LiGRU(Cell):
    """LiGRU. Parameters: 2 H (I + H) + biases 2 H, and 2 H gains with norm=layer, which is of W x alone.

    init=ravanelli2018 is the authors' start.
    """

    State = LiGRUState
    gates = ("z",)
    keeps = "z"
    adds = True

    def __init__(self, input_size: int, hidden_size: int, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        self.W = self.input_map("z g")
        self.U = self.hidden_map("z g", norm=False)

    def step(self, wx: Tensor, state: LiGRUState) -> tuple[Tensor, LiGRUState]:
        a = self.U.split(preactivation(wx, self.U, state.h))
        z = sigmoid(a.z)
        h = z * state.h + (1 - z) * relu(a.g)
        return h, LiGRUState(h)
