"""The temporal convolutional network (Bai, Kolter & Koltun 2018, section 3): causal, dilated, residual convolutions.

block n:  y = drop(relu(conv(drop(relu(conv(x))))))     out = relu(x + y), x by a 1x1 convolution where sizes differ
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.rivals.base import Rival


class CausalConv(nn.Module):
    """A dilated convolution over time, padded on the left only, with weight norm (Salimans & Kingma 2016).

    Its kernel is g v / |v|, the norm of each output's block. (B, F, T) -> (B, H, T). Parameters: H F k + 2 H. Starts as
    torch's convolution, U(+-1/sqrt(F k)), with g = |v|.
    """

    def __init__(self, input_size: int, output_size: int, kernel_size: int, dilation: int) -> None:
        super().__init__()
        self.dilation, self.pad = dilation, (kernel_size - 1) * dilation
        self.v = nn.Parameter(torch.empty(output_size, input_size, kernel_size))
        self.g = nn.Parameter(torch.empty(output_size))
        self.bias = nn.Parameter(torch.empty(output_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = 1 / math.sqrt(self.v[0].numel())
        nn.init.uniform_(self.v, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        with torch.no_grad():
            self.g.copy_(self.v.flatten(1).norm(dim=1))

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.v * (self.g / self.v.flatten(1).norm(dim=1))[:, None, None]
        return F.conv1d(F.pad(x, (self.pad, 0)), kernel, self.bias, dilation=self.dilation)


class Block(nn.Module):
    """Two causal convolutions of one dilation and a residual connection; (B, F, T) -> (B, H, T)."""

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.first = CausalConv(input_size, hidden_size, kernel_size, dilation)
        self.second = CausalConv(hidden_size, hidden_size, kernel_size, dilation)
        self.same = nn.Identity() if input_size == hidden_size else nn.Conv1d(input_size, hidden_size, 1)
        self.dropout = nn.Dropout1d(dropout)  # whole channels, as the paper; its code drops single numbers

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(F.relu(self.first(x)))
        y = self.dropout(F.relu(self.second(y)))
        return F.relu(self.same(x) + y)


class TCN(Rival):
    """Blocks of dilation 1, 2, 4 ...; a layer is a block. kernel_size: k.

    An output sees the last 1 + 2 (k - 1)(2^layers - 1) steps: a sequence that is longer needs more layers. Parameters:
    H F k + H^2 k + 4 H for the first block, 2 H^2 k + 4 H for each other, and F H + H for the 1x1 where F is not H.
    Raises ValueError on a kernel_size below 2, or where it is to see the future.
    """

    def __init__(self, input_size: int, hidden_size: int, *, kernel_size: int = 7, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        if not self.causal:
            raise ValueError("the convolutions of a TCN are causal")
        if kernel_size < 2:
            raise ValueError(f"kernel_size must be at least 2, or no step would see another, not {kernel_size!r}")
        sizes = [input_size] + [hidden_size] * (self.layer_count - 1)
        self.blocks = nn.Sequential(
            *(Block(size, hidden_size, kernel_size, 2**n, self.dropout_rate) for n, size in enumerate(sizes))
        )
        self.receptive_field = 1 + 2 * (kernel_size - 1) * (2**self.layer_count - 1)

    def outputs(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """(B, T, F) -> (B, T, H). Padding stands after the end, where no real step looks."""
        output: Tensor = self.blocks(x.transpose(1, 2))
        return output.transpose(1, 2)
