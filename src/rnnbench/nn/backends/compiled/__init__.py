"""The cell compiler: a cell's own `step`, traced once, becomes one loop over time in C, forwards and backwards.

The files are its stages, in this order:

    form        the intermediate form: blocks of H features, a dozen operations, products
    tracing     the step on symbols, written down in it
    operations  each operation's C expression and derivative
    joining     products added to W x where it lies
    gradient    the derivative of the step
    layout      the plan: what is kept and what computed again, in which pass, and where it lies, with its parts
                plan (what a plan is), stages (when), keeping (what is kept), calls (products cut into calls)
    naming      what values are called in C
    emit        the C text, with product.c (the matrix product) and functions.c (sigmoid, tanh, ...)
    library     the compiled library and its call
    seen        what of the cell the code was made from: one that has changed is traced anew
    proof       its first use against the cell's own step
    loop        the layer: autograd, weights' gradients

What a step may use stands in docs/speed.md.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from rnnbench import toolchain
from rnnbench.nn.backends.compiled.form import Refused
from rnnbench.nn.backends.compiled.library import Program, program_of
from rnnbench.nn.backends.compiled.loop import DTYPES, Loop, unroll
from rnnbench.nn.backends.compiled.seen import Seen
from rnnbench.nn.cells.base import Cell
from rnnbench.nn.checks import is_autocast

__all__ = ["Loop", "Program", "Refused", "cannot_now", "program_of", "refuses", "sees_all", "unroll"]


def refuses(cell: Cell) -> str | None:
    """Why this cell has no compiled loop on this machine, in words; None if it has one."""
    if toolchain.find() is None:
        return toolchain.why_none()
    return does_not_compile(cell)


def does_not_compile(cell: Cell) -> str | None:
    """Why this cell's step has no compiled loop on any machine, in words; None if it has."""
    name = type(cell).__name__
    if cell.operator.name != "dense":
        return f"{name} with the operator {cell.operator.name} has none: products of vectors are compiled"
    like = next(cell.parameters(), None)
    if like is None:
        return f"{name} has no weights"
    if any(len(sizes) != 2 or sizes[1] != cell.hidden_size for sizes in cell.state_sizes(1, (), like)):
        return f"{name} has a state that is not H features a row"
    try:
        Seen(cell)
        program_of(cell, "float32")
    except Refused as error:
        return f"the step of {name} uses {error}"
    return None


def cannot_now(weight: Tensor | None) -> str | None:
    """Why a compiled loop cannot run with weights like this one now, in words; None if it can."""
    assert weight is not None  # a cell without weights does not compile
    if weight.device.type != "cpu":
        return f"it computes on the CPU, not on {weight.device.type}"
    if weight.dtype not in DTYPES:
        return f"it computes in float32 and float64, not in {str(weight.dtype).removeprefix('torch.')}"
    if is_autocast(weight):
        return f"it computes in float32 and float64, not under autocast to {torch.get_autocast_dtype('cpu')}"
    return None


def sees_all(x: Tensor) -> bool:
    """Whether something is at work that must see every operation: a dispatch mode (FLOP counter), torch.func, a trace,
    derivatives taken forwards, a subclass of Tensor."""
    return (
        type(x) is not Tensor
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or forward_ad._current_level >= 0
        or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]
    )
