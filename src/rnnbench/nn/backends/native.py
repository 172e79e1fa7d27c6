"""torch's own RNN kernels on our parameters: the same equations, weights mapped one to one, nothing copied.

The reverse direction is the forward kernel on the flipped input, so one kernel call serves both. Sequences of unequal
length go in packed, which is the only form in which torch gives the state after each one's last step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnbench.nn.cells.base import Cell


def refuses(cell: Cell) -> str | None:
    """Why this cell has no native kernel, in words; None if it has."""
    if cell.kernel is None:
        return f"torch has no kernel for {type(cell).__name__} with these options"
    if cell.norm is not None:
        return f"torch's {type(cell).__name__} has no normalisation"
    if cell.operator.name != "dense":
        return f"torch has no {cell.operator.name} recurrent kernel"
    return None


def unroll_native(
    cell: Cell, x: Tensor, state: Any, *, lengths: Tensor | None = None, reverse: bool = False
) -> tuple[Tensor, Any]:
    """Run a cell over time with torch's kernel. x: (T, B, C) -> output (T, B, H) and the final state.

    Arguments and result as `nn.layers.unroll`. Raises ValueError where the cell has no kernel, and on sizes that do not
    fit: the kernel would read whatever memory lies there.
    """
    if reason := refuses(cell):
        raise ValueError(f"backend=native: {reason}; use backend=eager (or auto)")
    size = (x.shape[1], cell.hidden_size)
    if x.dim() != 3 or x.shape[2] != cell.input_size or [each.shape for each in state] != [size] * len(state):
        got = [tuple(each.shape) for each in (x, *state)]
        raise ValueError(f"expected x (T, B, {cell.input_size}) and states (B, {cell.hidden_size}), got {got}")
    if reverse:
        x = flip(x, lengths)
    if lengths is None:
        output, state = _call(cell, x, None, state)
    else:
        packed = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
        order, back = packed.sorted_indices, packed.unsorted_indices
        state = cell.State(*(s.index_select(0, order) for s in state))
        data, state = _call(cell, packed.data, packed.batch_sizes, state)
        state = cell.State(*(s.index_select(0, back) for s in state))
        output, _ = pad_packed_sequence(packed._replace(data=data), total_length=x.shape[0])
    return (flip(output, lengths) if reverse else output), state


def flip(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse (T, B, ...) in time; with lengths, each sequence within its own, so that padding stays at the end."""
    if lengths is None:
        return x.flip(0)
    t = torch.arange(x.shape[0], device=x.device)[:, None]
    last = lengths.to(x.device)[None, :] - 1
    index = torch.where(t <= last, last - t, t)
    return x.gather(0, index[..., None].expand_as(x))


def _call(cell: Cell, x: Tensor, batch_sizes: Tensor | None, state: Any) -> tuple[Tensor, Any]:
    """One call of the kernel: x (T, B, C), or packed data with its batch sizes."""
    weights: list[Tensor] = [cell.W.weight, cell.U.weight]
    if cell.biases:
        assert cell.W.bias is not None
        # The kernels know two biases or none; one bias is two with the second at zero.
        weights += [cell.W.bias, cell.U.bias if cell.U.bias is not None else torch.zeros_like(cell.W.bias)]
    start = tuple(s[None].contiguous() for s in state)
    hx = start if cell.kernel == "lstm" else start[0]
    kernel = getattr(torch, cell.kernel or "")
    # cuDNN keeps what backward needs only if told that it trains. torch.jit.trace compares graphs with and without
    # gradients, so a trace, as torch.nn's, is told by the module's mode alone.
    train = cell.training or (torch.is_grad_enabled() and not torch.jit.is_tracing())  # type: ignore[attr-defined,no-untyped-call]
    options = (bool(cell.biases), 1, 0.0, train, False)  # biases, layers, dropout, train, bidirectional
    if batch_sizes is None:
        output, *final = kernel(x, hx, weights, *options, False)
    else:
        output, *final = kernel(x, batch_sizes, hx, weights, *options)
    return output, cell.State(*(s[0] for s in final))
