"""A cell that is linear in its state, over a whole sequence: its terms for all steps at once, then the recurrence.

Axes: T time, B batch, R = T B rows, C channels (features), N numbers of h, space none or H W.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from rnnbench.nn.backends.scan.recurrence import recurrence
from rnnbench.nn.cells.base import Cell
from rnnbench.nn.cells.linear import LinearCell


def refuses(cell: Cell) -> str | None:
    """Why this cell is not computed by a scan, in words; None if it is."""
    name = type(cell).__name__
    if "step" in vars(cell):
        return f"the step of this {name} is not that of its class"
    if cell.scan is not None:
        return None
    if not isinstance(cell, LinearCell):
        return f"{name} is not linear in its state"
    if type(cell).step is not LinearCell.step:
        return f"{name} has a step of its own, which may not be linear in its state"
    return None


def unroll(
    cell: Cell, x: Tensor, state: Any, *, mask: Tensor | None = None, reverse: bool = False
) -> tuple[Tensor, Any]:
    """Run a cell over time by a scan. x: (T, B, C, *space) -> output (T, B, C, *space) and the final state.

    Arguments and result as `nn.layers.unroll`. Raises ValueError where the cell has no scan.
    """
    if reason := refuses(cell):
        raise ValueError(f"backend=scan: {reason}; use backend=eager (or auto)")
    if reverse:
        x, mask = x.flip(0), None if mask is None else mask.flip(0)
    order: Tensor | None = None
    if mask is not None and (cell.scan is not None or cast(LinearCell, cell).window > 1):
        # Steps that see others see the real ones before them: these are put side by side, in front.
        order = mask.logical_not().to(torch.uint8).argsort(dim=0, stable=True)
        x, mask = _in_order(x, order), mask.gather(0, order)
    output, state = cell.scan(x, state, mask) if cell.scan is not None else scan_linear(cell, x, state, mask)
    if mask is not None:
        output = torch.where(_over(mask, output), output, torch.zeros_like(output))
    if order is not None:
        output = _in_order(output, order.argsort(dim=0))
    return (output.flip(0) if reverse else output), state


def scan_linear(cell: Cell, x: Tensor, state: Any, real: Tensor | None) -> tuple[Tensor, Any]:
    """A linear cell from the first step to the last. real: (T, B) bool or None; where False the state stays.

    With a window, the real steps of each sequence come first. The output at other steps is any number.
    """
    assert isinstance(cell, LinearCell)
    steps, batch = x.shape[:2]
    seen = _windows(cell, cell.hoist(x), state)
    rows = seen.flatten(0, 1)
    a, b = cell.terms(rows)
    b = b.unflatten(0, (steps, batch))
    a = a.expand(rows.shape[0], *b.shape[2:]).unflatten(0, (steps, batch))
    if real is not None:
        a = torch.where(_over(real, a), a, torch.ones_like(a))
        b = torch.where(_over(real, b), b, torch.zeros_like(b))
    h = recurrence(a, b, cell.unfold(state[0]))
    output = cell.read(rows, h.flatten(0, 1)).unflatten(0, (steps, batch))
    if real is None:
        return output, cell.fold(h[-1], seen[-1], output[-1])
    last = (real * torch.arange(1, steps + 1, device=x.device)[:, None]).amax(0) - 1  # -1: no step at all
    final = cell.fold(*(_at(each, last.clamp(min=0)) for each in (h, seen, output)))
    return output, cell.State(
        *(torch.where(_over(last >= 0, n), n, old) for n, old in zip(final, state, strict=True))
    )  # fmt: skip


def _windows(cell: LinearCell, wx: Tensor, state: Any) -> Tensor:
    """What `terms` sees of each step: (T, B, ...), with a window as many steps of x side by side."""
    if cell.window == 1:
        return wx
    before = state.x.unflatten(1, (cell.window - 1, cell.input_size)).transpose(0, 1)
    longer = torch.cat([before, wx])
    return torch.cat([longer[n : n + wx.shape[0]] for n in range(cell.window)], 2)


def _over(mask: Tensor, field: Tensor) -> Tensor:
    """A mask, (T, B) or (B,), in the axes of a tensor that begins with the same."""
    return mask.reshape(*mask.shape, *(1,) * (field.dim() - mask.dim()))


def _in_order(x: Tensor, order: Tensor) -> Tensor:
    """x (T, B, ...) with the steps of each sequence in another order, (T, B)."""
    return x.gather(0, _over(order, x).expand(-1, -1, *x.shape[2:]))


def _at(x: Tensor, step: Tensor) -> Tensor:
    """One step (B,) of each sequence of x (T, B, ...): (B, ...)."""
    return _in_order(x, step[None])[0]
