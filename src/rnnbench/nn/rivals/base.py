"""What stands in the place of a stack without being recurrent: the same call, no state to go on from.

Axes: B batch, T time, F features, H hidden.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.nn.layers import length_mask


class Rival(nn.Module):
    """A network over whole sequences: ``output, state = net(x, lengths=lengths)``, as a Stack's call.

    input_size: features of x. hidden_size: of every layer and of the output. layers: how many, whatever a layer is in
    it. dropout: where its paper has it. causal: no output sees a later input. last_only: the caller reads `final` only,
    so a net that can may leave the other steps out. steps: the longest sequence, where that is known.
    Raises ValueError on an option that it cannot take.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        layers: int = 1,
        dropout: float = 0.0,
        causal: bool = True,
        last_only: bool = False,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        if min(input_size, hidden_size, layers) < 1:
            raise ValueError(f"sizes and layers must be at least 1, not {input_size}, {hidden_size} and {layers}")
        self.input_size, self.hidden_size, self.layer_count = input_size, hidden_size, layers
        self.dropout_rate, self.causal, self.last_only, self.steps = dropout, causal, last_only, steps

    @property
    def output_size(self) -> int:
        return self.hidden_size

    @abstractmethod
    def outputs(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The output of every step, (B, T, F) -> (B, T, H); what stands at padding does not matter."""

    def forward(
        self, x: Tensor, state: Any = None, *, lengths: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor]]:
        """x: (B, T, F), lengths: (B,) -> output (B, T, H), zero at padding, and the last real step's in a tuple.

        Raises ValueError on a state to go on from, and on a mask: steps cannot be skipped where all are seen at once.
        """
        if state is not None:
            raise ValueError(f"{type(self).__name__} carries no state: give it the whole sequence")
        if mask is not None:
            raise ValueError(f"{type(self).__name__} takes lengths, not a mask")
        output = self.outputs(x, lengths)
        if lengths is None:
            return output, (output[:, -1],)
        lengths = lengths.to(x.device)
        output = output * length_mask(lengths, x.shape[1]).unsqueeze(-1)
        return output, (output[torch.arange(len(x), device=x.device), lengths - 1],)

    def final(self, state: tuple[Tensor]) -> Tensor:
        """The output of each sequence's last real step, (B, H)."""
        return state[0]
