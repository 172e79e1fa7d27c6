"""Cells that are linear in their state: h = a * h' + b, where a and b depend on the input alone.

A cell says so once, in `terms`; the step of the eager loop is built on it here, and the scan over all steps at once
(nn.backends.scan) there. Nothing is assumed of a and b: any sign, exact zeros, complex numbers.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from rnnbench.nn.cells.base import Cell


class Windowed(Cell):
    """A cell that sees several steps of x: nothing is hoisted, its products are of the steps side by side."""

    def hoist(self, x: Tensor) -> Tensor:
        return x

    @property
    def hoisted_size(self) -> int:
        return self.input_size

    def begins_from(self, state: Any) -> Any:
        """Without the inputs that the encoder saw where this cell has none."""
        return state._replace(x=state.x[:, :0]) if "x" in state._fields and not self.input_size else state


class LinearCell(Cell):
    """A cell with h = a * h' + b. A subclass makes W in __init__, and writes `terms` and, where the output is not h,
    `read`.

    Fields of its `State`, in this order: h, by any letter; x (B, (window - 1) I), where it sees earlier inputs; y,
    where the output is not h. is_complex: h is complex, kept as its real parts and then its imaginary ones, (B, 2 N).
    window: how many steps of x it sees, the present one included. A cell that may see more than one is Windowed, too.
    """

    most_biases = 1
    window: int = 1
    is_complex: bool = False

    @abstractmethod
    def terms(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """a and b of h = a * h' + b for R rows, steps of a sequence or of a batch alike: each (R, N, *space), or a of a
        shape that broadcasts to it.

        seen: (R, ...) of what `hoist` gives; with a window, of so many steps of x side by side, the oldest first.
        """

    def read(self, seen: Tensor, h: Tensor) -> Tensor:
        """The output of R rows: (R, C, *space). seen: as of `terms`; h: (R, N, *space). Here h itself."""
        return h

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        seen = wx if self.window == 1 else torch.cat([state.x, wx], 1)
        a, b = self.terms(seen)
        h = a * self.unfold(state[0]) + b
        output = self.read(seen, h)
        return output, self.fold(h, seen, output)

    def unfold(self, field: Tensor) -> Tensor:
        """h of the state's first field."""
        return torch.complex(*field.chunk(2, 1)) if self.is_complex else field

    def fold(self, h: Tensor, seen: Tensor, output: Tensor) -> Any:
        """The state after a step: h, what it saw, and what it gave out, of one step each."""
        fields = [torch.cat([h.real, h.imag], 1) if self.is_complex else h]
        if self.window > 1:
            fields.append(seen[:, self.input_size :])
        if "y" in self.State._fields:
            fields.append(output)
        return self.State(*fields)
