"""A multilayer perceptron over the last W steps: time as more inputs (a time-delay net, Waibel et al. 1989).

h_1 = relu(W_1 [x_{t-W+1} ... x_t] + b_1)     h_n = relu(W_n h_{n-1} + b_n)     x = 0 before the first step
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.checks import Checked
from rnnbench.nn.rivals.base import Rival


class MLP(Rival):
    """Dense layers over a window that ends at each step. window: W; null is the longest sequence, flattened.

    The window is aligned to its end, so the last step of a sequence of up to W steps sees all of it. A layer is a dense
    layer with ReLU; dropout after each but the last. Parameters: H W F + H + (layers - 1)(H^2 + H).
    Raises ValueError where the window is null and no longest sequence is known, or it is to see the future.
    """

    def __init__(self, input_size: int, hidden_size: int, *, window: int | None = None, **options: Any) -> None:
        super().__init__(input_size, hidden_size, **options)
        if not self.causal:
            raise ValueError("the window of an MLP ends at the step it is for")
        if window is None and self.steps is None:
            raise ValueError("how long sequences are is not known before the data is read; give the window: window=N")
        self.window = window or self.steps or 1
        if self.window < 1 or window == 0:
            raise ValueError(f"window must be at least 1 (null: the longest sequence), not {window!r}")
        self.first = nn.Linear(self.window * input_size, hidden_size)
        self.more = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in range(self.layer_count - 1))
        self.dropout = nn.Dropout(self.dropout_rate)

    def outputs(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Every step, by one convolution: a window a step would be W times the memory. (B, T, F) -> (B, T, H)."""
        kernel = self.first.weight.unflatten(1, (self.window, self.input_size)).transpose(1, 2)
        padded = F.pad(x.transpose(1, 2), (self.window - 1, 0))
        return self._above(F.conv1d(padded, kernel, self.first.bias).transpose(1, 2))

    def read(self, x: Tensor, checked: Checked) -> tuple[Tensor, tuple[Tensor]]:
        """As Rival; with last_only the output is that of the last real step alone, (B, 1, H): T times less work."""
        if not self.last_only:
            return super().read(x, checked)
        ends = checked.lengths
        if ends is None:
            ends = torch.full((x.shape[0],), x.shape[1], device=x.device)
        step = ends[:, None] - self.window + torch.arange(self.window, device=x.device)  # (B, W)
        rows = torch.arange(x.shape[0], device=x.device)[:, None]
        seen = x[rows, step.clamp(min=0)] * (step >= 0).unsqueeze(-1)
        last = self._above(self.first(seen.flatten(1)))
        return last.unsqueeze(1), (last,)

    def _above(self, x: Tensor) -> Tensor:
        for layer in self.more:
            x = layer(self.dropout(F.relu(x)))
        return F.relu(x)
