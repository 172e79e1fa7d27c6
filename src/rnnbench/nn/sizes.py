"""How large a network is: parameters, state, multiply-adds, and the hidden size that a parameter budget buys."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rnnbench.nn.cells.base import Cell
from rnnbench.nn.layers import Layer
from rnnbench.nn.rivals import Rival


def count_params(model: nn.Module) -> int:
    """Trained numbers, each shared tensor once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_state(model: nn.Module) -> int:
    """Numbers carried from one time step to the next, per sequence; of a forecaster, which starts from the encoder's
    state, once. 0 of a network without recurrence, which sees its inputs again at every step."""
    patches = getattr(model, "patches", None)
    pixels = 1 if patches is None or patches.flat else patches.shape[1] * patches.shape[2]
    layers = [m for n, m in model.named_modules() if isinstance(m, Layer) and not n.startswith("forecaster.")]
    return pixels * sum(_carried(layer.cell) for layer in layers)


def _carried(cell: Cell) -> int:
    """Numbers of a cell's state, of one sequence and pixel, without an output that no step reads (`last_output`)."""
    like = next(cell.parameters())
    sizes = cell.state_sizes(1, cell.space or (1,) * cell.operator.space_dims, like)
    pixels = math.prod(cell.space or ())
    fields = zip(cell.State._fields, sizes, strict=True)
    return sum(math.prod(size) for name, size in fields if name != "y") // pixels


def flops_per_step(model: nn.Module, example: torch.Tensor) -> int:
    """Floating-point operations of the matrix products of one more time step of one sequence, forward.

    example: (1, T, F) or (1, T) tokens, T at least 2. Counted on the eager loop as the difference of two steps and
    one, so that what happens once a sequence is left out. Of a network without recurrence, where the length decides
    what a step costs, the whole example's operations by its steps. Elementwise arithmetic is not counted.
    """
    if any(isinstance(m, Rival) for m in model.modules()):
        return _flops(model, example) // example.shape[1]
    layers = [m for m in model.modules() if isinstance(m, Layer)]
    backends = [layer.backend for layer in layers]
    try:
        for layer in layers:
            layer.backend = "eager"
        return _flops(model, example[:, :2]) - _flops(model, example[:, :1])
    finally:
        for layer, backend in zip(layers, backends, strict=True):
            layer.backend = backend


def _flops(model: nn.Module, x: torch.Tensor) -> int:
    """Operations of one forward call; attention counts in full where it is causal, too."""
    # torch knows the formula for its GPU kernels of attention, but not that of its CPU kernel
    attention = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=attention) as counter:
        model(x)
    return int(counter.get_total_flops())


def _attention_flops(q: Any, k: Any, v: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Both products of attention, by the shapes (B, heads, T, channels) of query, key and value."""
    batch, heads, steps, channels = q
    return int(2 * batch * heads * steps * k[2] * (channels + v[3]))


def solve_hidden_size(make: Callable[[int], nn.Module], budget: int, multiple: int = 1) -> int:
    """The largest hidden size whose network has at most `budget` parameters (as Bai et al. 2018 count them).

    make: hidden size -> network; called on the meta device, so nothing is allocated. multiple: what the size must be a
    multiple of (heads). Raises ValueError when even the smallest has too many.
    """

    def params(size: int) -> int:
        with torch.device("meta"):
            return count_params(make(multiple * size))

    if (least := params(1)) > budget:
        smallest = "one hidden unit already takes" if multiple == 1 else f"{multiple} hidden units already take"
        raise ValueError(f"params={budget} is too few: {smallest} {least}")
    low, high = 1, 2
    while params(high) <= budget:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if params(middle) <= budget else (low, middle)
    return multiple * low
