"""Depth: layer on layer, with dropout between them, and optional residual connections and layer norm.

Axes: B batch, T time, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import Tensor, nn

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.layers import Bidirectional, Layer

CellFactory = Callable[[int, int], Cell]  # (input_size, hidden_size) -> cell
DIRECTIONS = ("forward", "backward", "bidirectional")
NORMS = ("none", "layer")


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every step (and pixel): (B, T, C, *space)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(2, -1)).movedim(-1, 2)


class Stack(nn.Module):
    """Layers on top of each other; the same call as one layer, the state is a tuple with one entry a layer.

    dropout: between layers, none after the last (outside any fused kernel, so it is reproducible). residual: adds a
    layer's input to its output from the second layer on. norm="layer": LayerNorm of the input from the second layer on.
    """

    def __init__(
        self,
        layers: Sequence[Layer | Bidirectional],
        *,
        dropout: float = 0.0,
        residual: bool = False,
        norm: str = "none",
    ) -> None:
        super().__init__()
        if not layers:
            raise ValueError("a stack needs at least one layer")
        if norm not in NORMS:
            raise ValueError(f"unknown norm {norm!r}; known: {', '.join(NORMS)}")
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)
        self.residual = residual
        sizes = [layer.output_size for layer in layers[:-1]]
        self.norms = nn.ModuleList(ChannelNorm(size) if norm == "layer" else nn.Identity() for size in sizes)

    @property
    def output_size(self) -> int:
        return cast(Layer, self.layers[-1]).output_size

    def forward(
        self, x: Tensor, state: Any = None, *, lengths: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """x: (B, T, F) -> output (B, T, output_size), states."""
        states = []
        for n, layer in enumerate(self.layers):
            inner = self.dropout(self.norms[n - 1](x)) if n else x
            out, new = layer(inner, None if state is None else state[n], lengths=lengths, mask=mask)
            x = out + x if n and self.residual else out
            states.append(new)
        return x, tuple(states)

    def final(self, state: Any) -> Tensor:
        """What the whole sequence left behind, (B, output_size): the top layer's last h (with residuals, their sum)."""
        tops = [cast(Layer, layer).final(s) for layer, s in zip(self.layers, state, strict=True)]
        return sum(tops[1:], tops[0]) if self.residual else tops[-1]


class Column(nn.Module):
    """The same depth, stepped through at every time step: for rollouts, and for memories that move between layers.

    A cell whose state has an m (ST-LSTM) is wired as PredRNN's zigzag (Wang et al. 2017, fig. 2): a layer takes m from
    the layer below at the same step, the first from the top layer at the step before. Layers without one (PredRNN++'s
    highway) are passed by.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        cells = [layer.cell for layer in layers]
        self.zigzag = [n for n, cell in enumerate(cells) if "m" in cell.State._fields]
        if len({cells[n].hidden_size for n in self.zigzag}) > 1:
            raise ValueError("a memory that moves between layers needs layers of one size")

    def start(self, x: Tensor) -> tuple[Any, ...]:
        """The states before the first step; x: (B, C, *space), for its batch, space and type."""
        return tuple(cast(Layer, layer).cell.zero_state(x.shape[0], tuple(x.shape[2:]), x) for layer in self.layers)

    def step(self, x: Tensor, states: Sequence[Any], *, hoisted: bool = False) -> tuple[list[Tensor], tuple[Any, ...]]:
        """x: (B, C, *space) -> the output of every layer, (B, H, *space) each, and the new states.

        hoisted: x is the first layer's `cell.hoist` of this step.
        """
        outputs, new = [], []
        m = states[self.zigzag[-1]].m if self.zigzag else None
        for n, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            if n in self.zigzag:
                state = state._replace(m=m)
            x, state = cast(Layer, layer).step(x, state, hoisted=hoisted and n == 0)
            if n in self.zigzag:
                m = state.m
            outputs.append(x)
            new.append(state)
        return outputs, tuple(new)


def build_stack(
    make_cell: CellFactory,
    input_size: int,
    hidden_size: int,
    *,
    layers: int = 1,
    direction: str = "forward",
    merge: str = "concat",
    dropout: float = 0.0,
    residual: bool = False,
    norm: str = "none",
    backend: str = "auto",
) -> Stack:
    """A stack of `layers` equal layers of hidden_size (in each direction). Raises ValueError on an unknown option."""
    if direction not in DIRECTIONS:
        raise ValueError(f"unknown direction {direction!r}; known: {', '.join(DIRECTIONS)}")
    built: list[Layer | Bidirectional] = []
    size = input_size
    for _ in range(layers):
        sides = [
            Layer(make_cell(size, hidden_size), reverse=reverse, backend=backend)
            for reverse in {"forward": [False], "backward": [True], "bidirectional": [False, True]}[direction]
        ]
        built.append(Bidirectional(*sides, merge=merge) if len(sides) == 2 else sides[0])
        size = built[-1].output_size
    return Stack(built, dropout=dropout, residual=residual, norm=norm)
