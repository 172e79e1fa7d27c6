"""Depth: layer on layer, with dropout between them, and optional residual connections and layer norm.

Axes: B batch, T time, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

from torch import Tensor, nn

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.checks import Checked, Lengths, check_parts, check_space, enter
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
    Raises ValueError on layers that do not fit together, and on cells whose memory moves between them (see Column).
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
        for n, (below, layer) in enumerate(pairwise(layers), 1):
            if layer.input_size != below.output_size:
                raise ValueError(
                    f"layer {n} takes {layer.input_size} features, the one below gives {below.output_size}"
                )
        if len(layers) > 1:
            for cell in (cell for layer in layers for cell in layer.cells):
                refuse_zigzag(cell)
        self.layers = nn.ModuleList(layers)
        self.dropout = nn.Dropout(dropout)
        self.residual = residual
        sizes = [layer.output_size for layer in layers[:-1]]
        self.norms = nn.ModuleList(ChannelNorm(size) if norm == "layer" else nn.Identity() for size in sizes)

    @property
    def input_size(self) -> int:
        return cast(Layer, self.layers[0]).input_size

    @property
    def output_size(self) -> int:
        return cast(Layer, self.layers[-1]).output_size

    @property
    def packs(self) -> bool:
        """As Layer's, of all of them."""
        return all(cast(Layer, layer).packs for layer in self.layers)

    def check_input(self, x: Tensor, name: str = "x") -> None:
        """As Layer's."""
        cast(Layer, next(iter(self.layers))).check_input(x, name)
        if x.dim() > 3:
            for layer in self.layers:
                for cell in cast(Layer, layer).cells:
                    check_space(cell, x.shape[3:])

    def check_state(self, state: Any, x: Tensor) -> tuple[Any, ...] | None:
        """As Layer's: a tuple with one state a layer."""
        if state is None:
            return None
        states = check_parts(state, len(self.layers), f"a stack of {len(self.layers)}")
        return tuple(cast(Layer, layer).check_state(s, x) for layer, s in zip(self.layers, states, strict=True))

    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        checked: Checked | None = None,
    ) -> tuple[Tensor, Any]:
        """x: (B, T, F) -> output (B, T, output_size), states; the rest as Layer's."""
        if checked is None:
            self.check_input(x)
            state = self.check_state(state, x)
            x, checked = enter(x, lengths, mask, packs=lengths is not None and self.packs)
        states = []
        for n, layer in enumerate(self.layers):
            inner = self.dropout(self.norms[n - 1](x)) if n else x
            out, new = layer(inner, None if state is None else state[n], checked=checked)
            x = out + x if n and self.residual else out
            states.append(new)
        return x, tuple(states)

    def final(self, state: Any) -> Tensor:
        """What the whole sequence left behind, (B, output_size): the top layer's last h (with residuals, their sum)."""
        tops = [cast(Layer, layer).final(s) for layer, s in zip(self.layers, state, strict=True)]
        return sum(tops[1:], tops[0]) if self.residual else tops[-1]


class Column(nn.Module):
    """The same depth, stepped through at every time step: for rollouts, and for memories that move between layers.

    A cell whose m moves (`Cell.zigzag`: ST-LSTM) is wired as PredRNN's zigzag (Wang et al. 2017, fig. 2): a layer takes
    m from the layer below at the same step, the first from the top layer at the step before. Layers without one
    (PredRNN++'s highway) are passed by.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        cells = [layer.cell for layer in layers]
        self.zigzag = [n for n, cell in enumerate(cells) if cell.zigzag]
        if len({cells[n].hidden_size for n in self.zigzag}) > 1:
            raise ValueError("a memory that moves between layers needs layers of one size")

    @property
    def _layers(self) -> Sequence[Layer]:
        return cast(Sequence[Layer], self.layers)

    def start(self, x: Tensor) -> tuple[Any, ...]:
        """The states before the first step; x: (B, C, *space), for its batch, space and type."""
        self._layers[0].check_step(x)
        return tuple(layer.step_state(None, x) for layer in self._layers)

    def step(self, x: Tensor, states: Sequence[Any], *, hoisted: bool = False) -> tuple[list[Tensor], tuple[Any, ...]]:
        """x: (B, C, *space), states: one a layer -> the output of every layer, (B, H, *space) each, and the new states.

        hoisted: x is the first layer's `cell.hoist` of this step. Raises ValueError on another x or other states.
        """
        self._layers[0].check_step(x, hoisted)
        for layer in self._layers:
            check_space(layer.cell, x.shape[2:])
        parts = check_parts(states, len(self.layers), f"a column of {len(self.layers)}")
        states = [layer.step_state(state, x) for layer, state in zip(self._layers, parts, strict=True)]
        return self.advance(x, states, hoisted=hoisted)

    def advance(
        self, x: Tensor, states: Sequence[Any], *, hoisted: bool = False
    ) -> tuple[list[Tensor], tuple[Any, ...]]:
        """As step, of a network around it which has checked x and states."""
        outputs, new = [], []
        m = states[self.zigzag[-1]].m if self.zigzag else None
        for n, (layer, state) in enumerate(zip(self._layers, states, strict=True)):
            if n in self.zigzag:
                state = state._replace(m=m)
            wx = x if hoisted and n == 0 else layer.cell.given(x)
            x, state = layer.advance(wx, state, hoisted=True)
            if n in self.zigzag:
                m = state.m
            outputs.append(x)
            new.append(state)
        return outputs, tuple(new)


def refuse_zigzag(cell: Cell) -> None:
    """Raises ValueError where a cell's memory moves between layers at every step, which layer after layer cannot do."""
    if cell.zigzag:
        raise ValueError(f"{type(cell).__name__}'s memory moves between layers at every step: use the rollout network")


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
