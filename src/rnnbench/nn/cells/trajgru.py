"""TrajGRU (Shi et al. 2017, "Deep learning for precipitation nowcasting", eqs. 2-3): recurrence along learned flows.

    U_1 .. U_L, V_1 .. V_L = gamma(x, h')                  L flow fields, a small convolutional network
    u = sum_l  V_l  warp(h', flow_l)                       1x1 convolution over L warped copies of h'
    r, z = s(W x + u)   n = phi(W_n x + r * u_n)   h = z * h' + (1 - z) * n

As the authors' HKO-7 code: gamma is a 5x5 convolution to 32 channels on each of x and h', leaky ReLU, and a 5x5
convolution to 2 L that starts at zero; the warp reads at minus the flow, bilinear, zero outside; phi is a leaky ReLU of
slope 0.2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn, sigmoid
from torch.nn import functional as F

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.cells.gru import GRUState
from rnnbench.nn.maps import Conv2d

FLOW_CHANNELS, FLOW_KERNEL, SLOPE = 32, 5, 0.2


def warp(h: Tensor, flow: Tensor) -> Tensor:
    """h (B, C, H, W) read at each pixel's place minus flow (B, 2, H, W; x then y, in pixels); zero outside."""
    height, width = h.shape[-2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=h.device, dtype=h.dtype), torch.arange(width, device=h.device, dtype=h.dtype),
        indexing="ij",
    )  # fmt: skip
    place = torch.stack([x - flow[:, 0], y - flow[:, 1]], -1)
    size = torch.tensor([width, height], device=h.device, dtype=h.dtype)
    return F.grid_sample(h, (2 * place + 1) / size - 1, mode="bilinear", padding_mode="zeros", align_corners=False)


class TrajGRU(Cell):
    """The trajectory GRU, for frames. links: L, the flow fields.

    Parameters: 3 C (k_x^2 I + L C) + biases 3 C, and the flow network's 32 (25 I + 25 C) + 2 L 25 32 with its biases.
    """

    State = GRUState
    gates = ("r", "z")
    keeps = "z"

    def __init__(self, input_size: int, hidden_size: int, *, links: int = 5, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        if self.operator.space_dims != 2:
            raise ValueError("TrajGRU warps frames: its operator is Conv2d")
        self.links = links
        self.W = self.input_map("r z n")
        self.U = self.hidden_map("r z n", inputs=links, operator=Conv2d(1))
        flow = Conv2d(FLOW_KERNEL)
        start: dict[str, Any] = {"weight_fill": self.init.W, "bias_fill": self.other_bias}
        self.F_x = flow.map(input_size, FLOW_CHANNELS, "f", role="x", bias=self.biases >= 1, **start)
        self.F_h = flow.map(hidden_size, FLOW_CHANNELS, "f", role="h", bias=self.biases == 2, **start)
        self.flow = ZeroConv2d(FLOW_CHANNELS, 2 * links, FLOW_KERNEL, padding=FLOW_KERNEL // 2, bias=self.biases >= 1)

    @property
    def hoisted_size(self) -> int:
        return self.W.weight.shape[0] + FLOW_CHANNELS

    def hoist(self, x: Tensor) -> Tensor:
        return torch.cat([self.W.sequence(x), self.F_x.sequence(x)], 2)

    def step(self, wx: Tensor, state: GRUState) -> tuple[Tensor, GRUState]:
        h_ = state.h
        gates, seen = wx.split([3 * self.hidden_size, FLOW_CHANNELS], 1)
        flows = self.flow(F.leaky_relu(seen + self.F_h(h_), SLOPE)).chunk(self.links, 1)
        w, u = self.W.split(gates), self.U.split(self.U(torch.cat([warp(h_, flow) for flow in flows], 1)))
        r = sigmoid(w.r + u.r)
        z = sigmoid(w.z + u.z)
        n = F.leaky_relu(w.n + r * u.n, SLOPE)
        h = z * h_ + (1 - z) * n
        return h, GRUState(h)


class ZeroConv2d(nn.Conv2d):
    """A convolution that starts at zero: no flow."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)
