"""The quasi-recurrent network (Bradbury et al. 2017): gates by a convolution over time, and a pooling that is linear.

    z = tanh(W_z * x)     f = s(W_f * x)     o = s(W_o * x)     i = s(W_i * x)

where W * x is a product with the last k inputs side by side, zeros before the first. The poolings:

    f:    h = f * h' + (1 - f) * z
    fo:   c = f * c' + (1 - f) * z     h = o * c
    ifo:  c = f * c' + i * z           h = o * c

The authors' code (pytorch-qrnn) has windows of 1 and 2 only, swaps the roles of f and 1 - f, and cuts the gradient of
the input that it carries from one call to the next; here a sequence in chunks is the whole, gradients included. Their
zoneout, which keeps h at random in training, is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, sigmoid, tanh
from torch.serialization import add_safe_globals

from rnnbench.nn.cells.linear import LinearCell, Windowed

POOLINGS = ("f", "fo", "ifo")


class QRNNState(NamedTuple):
    c: Tensor  # (B, C, *space)
    x: Tensor  # the inputs before, the oldest first: (B, (k - 1) I, *space)
    y: Tensor  # the output h


class QRNNNarrowState(NamedTuple):
    c: Tensor  # (B, C, *space)
    y: Tensor  # the output h


class QRNNForgetState(NamedTuple):
    h: Tensor  # (B, C, *space)
    x: Tensor  # the inputs before, the oldest first: (B, (k - 1) I, *space)


class QRNNForgetNarrowState(NamedTuple):
    h: Tensor  # (B, C, *space)


STATES: dict[tuple[bool, bool], Any] = {  # by whether there is an output gate, and a window of more than one step
    (True, True): QRNNState,
    (True, False): QRNNNarrowState,
    (False, True): QRNNForgetState,
    (False, False): QRNNForgetNarrowState,
}
add_safe_globals([*STATES.values()])  # the cell's State is its options', not its class'


class QRNN(Windowed, LinearCell):
    """QRNN. window: k. pooling: f | fo | ifo. Parameters: n (k H I + biases H), with n = 2, 3 or 4 by pooling."""

    def __init__(
        self, input_size: int, hidden_size: int, *, window: int = 2, pooling: str = "fo", **options: Any
    ) -> None:
        super().__init__(input_size, hidden_size, **options)
        if not isinstance(window, int) or window < 1:
            raise ValueError(f"window must be at least 1 step, the present one, not {window!r}")
        if pooling not in POOLINGS:
            raise ValueError(f"unknown pooling {pooling!r}; known: {', '.join(POOLINGS)}")
        self.window, self.pooling = window, pooling
        self.State = STATES["o" in pooling, window > 1]
        self.gates = {"f": ("f",), "fo": ("f", "o"), "ifo": ("f", "i", "o")}[pooling]
        self.W = self._window_map("z f i" if "i" in pooling else "z f")
        self.W_o = self._window_map("o") if "o" in pooling else None

    def _window_map(self, gates: str) -> Any:
        return self.operator.map(
            self.window * self.input_size, self.hidden_size, gates, role="x", bias=self.biases >= 1,
            weight_fill=self.init.W, bias_fill=self.init.b, norm=self.norm is not None,
        )  # fmt: skip

    def _like_h(self, batch: int, space: Sequence[int]) -> list[tuple[int, ...]]:
        sizes = {"x": (self.window - 1) * self.input_size}
        return [(batch, sizes.get(field, self.hidden_size), *space) for field in self.State._fields]

    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        w = self.W.split(self.W(seen))
        z = tanh(w.z)
        f = sigmoid(w.f)
        i = sigmoid(w.i) if "i" in self.pooling else 1 - f
        return f, i * z

    def read(self, seen: Tensor, h: Tensor) -> Tensor:
        return h if self.W_o is None else sigmoid(self.W_o(seen)) * h
