"""Networks that predict frames: Shi's encoder-forecaster, and the step-by-step rollout of PredRNN and OpenSTL.

Axes: B batch, T time, C channels, H W space; P the side of a patch. x: (B, T_in, C, H, W) -> (B, T_out, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.checks import (
    ALL,
    Lengths,
    Sizes,
    check_input,
    check_lengths,
    check_space,
    known_values,
    weight_of,
    written,
)
from rnnbench.nn.layers import Layer
from rnnbench.nn.maps import known_zeros
from rnnbench.nn.sampling import Sampling
from rnnbench.nn.stacks import CellFactory, Column, refuse_zigzag

FrameShape = tuple[int, int, int]


class Patches(nn.Module):
    """Space to depth and back (Shi et al. 2015, section 4: patches of 4x4 become channels), and flat for dense cells.

    frame: (C, H, W). patch: P, which divides H and W. flat: one vector a frame, (B, T, C H W). The new channels are
    ordered C, row, column (torch's pixel_unshuffle); OpenSTL's are row, column, C: the same where C is 1, else its
    weights fit after a permutation.
    """

    def __init__(self, frame: FrameShape, patch: int, *, flat: bool) -> None:
        super().__init__()
        channels, height, width = frame
        if patch < 1 or height % patch or width % patch:
            raise ValueError(f"patch={patch} does not divide a frame of {height}x{width}")
        self.patch, self.flat = patch, flat
        self.shape = (channels * patch * patch, height // patch, width // patch)

    @property
    def channels(self) -> int:
        """What a layer sees as channels: C P P, or all values of a frame where flat."""
        c, h, w = self.shape
        return c * h * w if self.flat else c

    def check(self, x: Tensor, cell: Cell, steps: int | str = "T", name: str = "x") -> None:
        """Raises ValueError on other frames than (B, steps, C, H, W) of the weights' type and device. Another H and W
        than the frame's are taken where the patch divides them, unless the layers' weights fix their number."""
        channels, height, width = self.shape
        fixed = self.flat or cell.space is not None
        space: Sizes = (height * self.patch, width * self.patch) if fixed else ("H", "W")
        check_input(x, ("B", steps, channels // self.patch**2, *space), weight_of(cell), name)
        if x.shape[3] % self.patch or x.shape[4] % self.patch:
            raise ValueError(f"expected {name} of frames that patch={self.patch} divides, got {written(x.shape[3:])}")

    def check_spaces(self, layers: Iterable[nn.Module]) -> None:
        """Raises ValueError on layers whose weights are for frames of another size than the patched one."""
        for layer in layers:
            check_space(cast(Layer, layer).cell, self.shape[1:])

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_unshuffle(x, self.patch)
        return x.flatten(2) if self.flat else x

    def back(self, x: Tensor) -> Tensor:
        """(B, T, C P P, H/P, W/P), or flat -> (B, T, C, H, W)."""
        return F.pixel_shuffle(x.unflatten(2, self.shape) if self.flat else x, self.patch)


class Output(nn.Module):
    """The last map: 1x1 convolution, or linear where frames are flat. (B, T, in, *space) -> (B, T, out, *space)."""

    def __init__(self, in_size: int, out_size: int, *, flat: bool, bias: bool) -> None:
        super().__init__()
        self.map: nn.Module = nn.Linear(in_size, out_size, bias) if flat else nn.Conv2d(in_size, out_size, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        mapped: Tensor = self.map(x.flatten(0, 1))
        return cast(Tensor, mapped.unflatten(0, x.shape[:2]))


class EncoderForecaster(nn.Module):
    """Shi et al. 2015, fig. 3: the encoder's states start the forecaster, whose first layer has no input.

    make_cell: (input_size, hidden_size) -> cell. hidden_sizes: of each layer, bottom first. steps: T_out. reads: the
    output map sees the states of `all` layers (the paper), or of the `top` one (its FC-LSTM). bias: of the output map.
    Every input is known when a layer runs, so each layer's input product is hoisted over all steps.
    """

    def __init__(
        self, make_cell: CellFactory, frame: FrameShape, hidden_sizes: Sequence[int], *, steps: int, patch: int = 1,
        flat: bool = False, reads: str = "all", bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        if reads not in ("all", "top"):
            raise ValueError(f"unknown reads {reads!r}; known: all, top")
        self.steps, self.reads = steps, reads
        self.patches = Patches(frame, patch, flat=flat)
        self.encoder = nn.ModuleList(make_layers(make_cell, self.patches.channels, hidden_sizes))
        self.forecaster = nn.ModuleList(make_layers(make_cell, 0, hidden_sizes))
        refuse_zigzag(cast(Layer, self.encoder[0]).cell)
        self.patches.check_spaces([*self.encoder, *self.forecaster])
        seen = sum(hidden_sizes) if reads == "all" else hidden_sizes[-1]
        self.output = Output(seen, self.patches.channels, flat=flat, bias=bias)

    def forward(self, x: Tensor, lengths: Lengths | None = None, *, future: Tensor | None = None) -> Tensor:
        """x: (B, T_in, C, H, W) -> (B, T_out, C, H, W). future is not used: the forecaster sees no frame. Raises
        ValueError on frames of another shape, type or device, and on lengths below T_in: a clip has all its frames."""
        check_clips(self.patches, cast(Layer, self.encoder[0]).cell, x, lengths, future, self.steps)
        x, checked = self.patches(x), ALL
        states = []
        for layer in self.encoder:
            x, state = layer(x, checked=checked)
            states.append(state)
        out = x.new_zeros(x.shape[0], self.steps, 0, *x.shape[3:])
        outputs = []
        for layer, state in zip(self.forecaster, states, strict=True):
            out, _ = layer(out, cast(Layer, layer).cell.begins_from(state), checked=checked)
            outputs.append(out)
        seen = torch.cat(outputs, 2) if self.reads == "all" else outputs[-1]
        return self.patches.back(self.output(seen))


class Rollout(nn.Module):
    """PredRNN's and OpenSTL's network: one frame ahead at every step, its own prediction as the next input.

    In training it gives all T_in + T_out - 1 one-step predictions (frames 2, 3, ...) and is fed the truth where
    `sampling` says so; in evaluation it gives the T_out forecasts and is fed the truth for the first T_in frames only.
    decouple: the weight of PredRNN-V2's loss (0: none); its term of the last training forward is in `auxiliary`.
    """

    def __init__(
        self, make_cell: CellFactory, frame: FrameShape, hidden_sizes: Sequence[int], *, steps: int, patch: int = 1,
        flat: bool = False, bias: bool = True, sampling: Sampling | None = None, decouple: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.steps, self.decouple = steps, decouple
        self.patches = Patches(frame, patch, flat=flat)
        layers = make_layers(make_cell, self.patches.channels, hidden_sizes)
        if len(layers) > 1 and (highway := layers[0].cell.highway()):
            layers.insert(1, Layer(highway, backend="eager"))
        self.patches.check_spaces(layers)
        self.column = Column(layers)
        self.output = Output(hidden_sizes[-1], self.patches.channels, flat=flat, bias=bias)
        self.sampling = sampling or Sampling()
        self.auxiliary: Tensor | None = None
        if decouple:
            if not hasattr(cast(Layer, self.column.layers[0]).cell, "increments"):
                raise ValueError("the decoupling loss is between ST-LSTM's two memories; this is another cell")
            self.adapter = nn.Conv2d(hidden_sizes[-1], hidden_sizes[-1], 1, bias=False)

    def forward(self, x: Tensor, lengths: Lengths | None = None, *, future: Tensor | None = None) -> Tensor:
        """x: (B, T_in, C, H, W), future: (B, T_out, C, H, W) in training -> predictions, see the class. Raises
        ValueError on frames of another shape, type or device, and on lengths below T_in: a clip has all its frames."""
        check_clips(self.patches, cast(Layer, self.column.layers[0]).cell, x, lengths, future, self.steps)
        given = x.shape[1]
        teach = self.training and future is not None
        truth = self.patches(torch.cat([x, future], 1) if teach and future is not None else x)
        total = given + self.steps
        use = self.sampling(x.shape[0], given, total, x.device) if teach else None
        known = 1 if use is not None and self.sampling.early else given
        states = self.column.start(truth[:, 0])
        starts = zip(self.column.layers, states, strict=True)
        zeros = chain.from_iterable(state for layer, state in starts if cast(Layer, layer).cell.starts_at_zero)
        watched = self.column if self.decouple and self.training else None
        with known_zeros(self.column, zeros), increments(watched) as pairs:
            frames = self._frames(truth, states, known, total, use)
        self.auxiliary = self.decouple * self._coupling(pairs) if pairs else None
        return self.patches.back(torch.stack(frames if teach else frames[given - 1 :], 1))

    def _frames(
        self, truth: Tensor, states: tuple[Any, ...], known: int, total: int, use: Tensor | None
    ) -> list[Tensor]:
        """The frames 2 to total, one step ahead each, as patches: total - 1 of (B, P, h, w).

        states: before the first step. truth: (B, T, P, h, w), which the first `known` inputs are; the later ones are
        the network's own predictions, or the truth where use (T, B) says so.
        """
        column = self.column
        # Inputs that are the truth whatever is predicted: the first layer's product with all of them at once. Unbound,
        # for the gradient of an index is as large as what it is an index of, at every step.
        first = cast(Layer, column.layers[0]).cell
        hoisted = first.hoist(truth[:, :known].transpose(0, 1)).unbind(0)
        frames: list[Tensor] = []
        for t in range(total - 1):
            if t < known:
                outputs, states = column.advance(hoisted[t], states, hoisted=True)
            else:
                frame = frames[-1] if use is None else _where(use[t], truth[:, t], frames[-1])
                outputs, states = column.advance(frame, states)
            frames.append(self.output(outputs[-1][:, None]).squeeze(1))
        return frames

    def _coupling(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """Mean |cos| per channel between the two memories' increments, over layers and steps (PredRNN-V2, eq. 6)."""
        found = []
        for pair in pairs:
            c, m = (self.adapter(d).flatten(2) for d in pair)
            found.append(F.cosine_similarity(c, m, dim=2).abs().mean())
        return torch.stack(found).mean()

    def __getstate__(self) -> dict[str, Any]:
        """A copy or a pickle has the network and not the last forward's term."""
        return self.__dict__ | {"auxiliary": None}


def check_clips(
    patches: Patches, cell: Cell, x: Tensor, lengths: Lengths | None, future: Tensor | None, steps: int
) -> None:
    """Raises ValueError on anything that a network on clips, whose first cell is `cell`, does not take."""
    patches.check(x, cell)
    if lengths is not None:
        _, counted = check_lengths(lengths, x)
        if shorter := [n for n in known_values(counted) if n < x.shape[1]]:
            raise ValueError(f"clips are all of one length: expected lengths of T = {x.shape[1]}, got {shorter[0]}")
    if future is not None:
        patches.check(future, cell, steps, "future")
        if future.shape[0] != x.shape[0] or future.shape[2:] != x.shape[2:]:
            raise ValueError(f"expected future as x {written(x.shape)} but for time, got {written(future.shape)}")


def _where(use: Tensor, truth: Tensor, own: Tensor) -> Tensor:
    """The true frame of the sequences that are fed it, else the network's own. use: (B) bool; frames: (B, ...)."""
    return torch.where(use.view(-1, *(1,) * (own.dim() - 1)), truth, own)


@contextmanager
def increments(column: Column | None) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Within the block, what the cells of a column add to their two memories, layer by layer and step by step."""
    pairs: list[tuple[Tensor, Tensor]] = []
    cells = [cast(Any, cast(Layer, layer).cell) for layer in column.layers] if column is not None else []
    try:
        for cell in cells:
            cell.increments = pairs
        yield pairs
    finally:
        for cell in cells:
            cell.increments = None


def make_layers(make_cell: CellFactory, input_size: int, hidden_sizes: Sequence[int]) -> list[Layer]:
    """Forward layers of the given sizes, the first on input_size channels; frames run on the eager backend."""
    sizes = [input_size, *hidden_sizes[:-1]]
    return [Layer(make_cell(i, h), backend="eager") for i, h in zip(sizes, hidden_sizes, strict=True)]
