"""What stands in the place of a stack without being recurrent: the same call, no state to go on from.

Axes: B batch, T time, F features, H hidden.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.nn.checks import Checked, Lengths, blank, check_input, enter, weight_of


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

    @property
    def packs(self) -> bool:
        """False: all steps are seen at once, padding's too (see nn.Layer)."""
        return False

    def check_input(self, x: Tensor, name: str = "x") -> None:
        """Raises ValueError on another x than (B, T, F) of the weights' type and device."""
        check_input(x, ("B", "T", self.input_size), weight_of(self), name)

    def check_state(self, state: Any, x: Tensor) -> None:
        """Raises ValueError on a state to go on from."""
        if state is not None:
            raise ValueError(f"{type(self).__name__} carries no state: give it the whole sequence")

    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        checked: Checked | None = None,
    ) -> tuple[Tensor, tuple[Tensor]]:
        """x: (B, T, F), lengths: B integers -> output (B, T, H), zero at padding, and the last real step's in a tuple.

        What x holds at padding is never read. checked: of a module around this one, which has checked all the rest.
        Raises ValueError on a state to go on from, on a mask (steps cannot be skipped where all are seen at once), and
        on anything of another shape, type or device, as nn.Layer.
        """
        if mask is not None:
            raise ValueError(f"{type(self).__name__} takes lengths, not a mask")
        if checked is None:
            self.check_input(x)
            self.check_state(state, x)
            x, checked = enter(x, lengths)
        return self.read(x, checked)

    def read(self, x: Tensor, checked: Checked) -> tuple[Tensor, tuple[Tensor]]:
        """Forward, once x is checked and zero at padding."""
        output, lengths = self.outputs(x, checked.lengths), checked.lengths
        if lengths is None:
            return output, (output[:, -1],)
        output = blank(output, checked.real)
        return output, (output[torch.arange(x.shape[0], device=x.device), lengths - 1],)

    def final(self, state: tuple[Tensor]) -> Tensor:
        """The output of each sequence's last real step, (B, H)."""
        return state[0]
