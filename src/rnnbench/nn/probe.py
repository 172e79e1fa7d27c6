"""What happens inside a gated layer: each gate's activation and the size of the cell state, step by step.

For diagnostics only: within `probing` a cell steps under a torch function mode that keeps the sigmoids it computes,
so the equations carry no bookkeeping and training costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rnnbench.nn.layers import Layer

LOW, HIGH = 0.01, 0.99  # a gate outside is saturated


class _Sigmoids(TorchFunctionMode):
    """Keeps what torch.sigmoid returns, in the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Tensor] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func is torch.sigmoid:
            self.kept.append(out.detach())
        return out


@dataclass
class Inside:
    """One layer's measurements. letters: its gates in the order it computes them (Cell.gates)."""

    letters: Sequence[str]
    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    cell_state_max: list[float] = field(default_factory=list)  # max |c_t| at each step; empty without a cell state

    def note(self, gates: Sequence[Tensor], state: Any) -> None:
        """One step's gates and the state after it."""
        self.steps += 1
        for letter, gate in zip(self.letters, gates, strict=True):
            self.low[letter] = self.low.get(letter, 0.0) + (gate < LOW).double().mean().item()
            self.high[letter] = self.high.get(letter, 0.0) + (gate > HIGH).double().mean().item()
        if hasattr(state, "c"):
            self.cell_state_max.append(state.c.detach().abs().max().item())

    @property
    def saturation(self) -> dict[str, dict[str, float]]:
        """Per gate the share of its values below .01 and above .99, over all steps, units and sequences."""
        return {g: {"low": self.low[g] / self.steps, "high": self.high[g] / self.steps} for g in self.low}


@contextmanager
def probing(model: nn.Module) -> Iterator[dict[str, Inside]]:
    """Within the block every eager layer measures its gates and cell state; the result is by the layer's name.

    Use it inside `tracing`, which makes every layer eager.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Layer)}
    found = {name: Inside(layer.cell.gates) for name, layer in layers.items()}

    def wrap(layer: Layer, inside: Inside) -> Any:
        step = type(layer.cell).step

        def probed(wx: Tensor, state: Any) -> tuple[Tensor, Any]:
            with _Sigmoids() as seen:
                output, new = step(layer.cell, wx, state)
            inside.note(seen.kept, new)
            return output, new

        return probed

    for name, layer in layers.items():
        layer.cell.__dict__["step"] = wrap(layer, found[name])
    try:
        yield found
    finally:
        for layer in layers.values():
            del layer.cell.__dict__["step"]
