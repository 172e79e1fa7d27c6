"""The first use of a program in a process: a small batch, values and gradients, against the cell's own step.

What this is for is not the rules, which tests prove, but what they cannot know: this compiler on this processor.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rnnbench.nn.backends.compiled.library import Program
from rnnbench.nn.cells.base import Cell

STEPS, ROWS, SEED = 4, 3, 0  # rows: another number than a symbol claims to have (tracing.ROWS)
AGREE = {torch.float32: 1e-4, torch.float64: 1e-9}  # relative to the largest number; what a wrong rule gives is far off
LEAST = 1e-2  # what the largest number counts as at least: of terms of size 1 that cancel, their rounding is left
PROVEN: set[tuple[str, int]] = set()  # programs and sizes, of this process


class Wrong(RuntimeError):
    """A compiled program does not compute its cell."""


def prove(
    program: Program, cell: Cell, dtype: torch.dtype, run: Callable[..., tuple[Tensor, Sequence[Tensor]]]
) -> None:
    """Compare once in a process and size. Raises Wrong on a difference."""
    key = (program.source, cell.hidden_size)
    if key in PROVEN:
        return
    with torch.inference_mode(False), torch.enable_grad():
        found, expected = _both(program, cell, dtype, run)
    for name, value in expected.items():
        # A step may be no number for the numbers that were drawn (a logarithm): then neither is the program's, there.
        finite = value.isfinite()
        scale = _largest(value[finite])
        off = _largest((found[name] - value)[finite]) if torch.equal(found[name].isfinite(), finite) else float("inf")
        if not off <= AGREE[dtype] * max(scale, LEAST):
            raise Wrong(
                f"backend=compiled: the {name} of {type(cell).__name__} differs from its own step's by {off:.2g} of "
                f"{scale:.2g} on a small batch; use backend=eager, and please report the compiler and the processor"
            )
    PROVEN.add(key)


def _largest(values: Tensor) -> float:
    return float(values.abs().max()) if values.numel() else 0.0


def _both(
    program: Program, cell: Cell, dtype: torch.dtype, run: Callable[..., tuple[Tensor, Sequence[Tensor]]]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Outputs, states and gradients by name: of the program, and of the cell step by step."""
    draw = torch.Generator().manual_seed(SEED)
    model = copy.deepcopy(cell)
    bound = cell.hidden_size**-0.5
    for parameter in model.parameters():
        parameter.requires_grad_(True)
        with torch.no_grad():
            parameter.uniform_(-bound, bound, generator=draw)

    def drawn(*sizes: int) -> Tensor:
        return torch.randn(sizes, generator=draw, dtype=dtype)

    x = drawn(STEPS, ROWS, cell.input_size)
    start = [drawn(ROWS, cell.hidden_size) for _ in cell.State._fields]
    if not cell.starts_at_zero:  # what is no state at first may be divided by: a normaliser is never near zero
        start = [each.abs() + 0.5 for each in start]
    weighing = [drawn(STEPS, ROWS, cell.hidden_size), *(drawn(ROWS, cell.hidden_size) for _ in start)]
    results = []
    for compiled in (True, False):
        leaves = [each.clone().requires_grad_() for each in (x, *start)]
        inputs = leaves[0], leaves[1:]
        output, new = run(program, model, *inputs) if compiled else _step_by_step(model, *inputs)
        results.append(_named(model, leaves, (output, *new), weighing))
    return results[0], results[1]


def _step_by_step(cell: Cell, x: Tensor, start: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
    state: Any = cell.State(*start)
    outputs = []
    for wx in cell.hoist(x).unbind(0):
        output, state = cell.step(wx, state)
        outputs.append(output)
    return torch.stack(outputs), state


def _named(
    cell: Cell, leaves: Sequence[Tensor], results: Sequence[Tensor], weighing: Sequence[Tensor]
) -> dict[str, Tensor]:
    """The results and the gradients of a loss that weighs them, by name."""
    loss = sum((result * weight).sum() for result, weight in zip(results, weighing, strict=True))
    fields = cell.State._fields
    named = dict(cell.named_parameters())
    asked = {"gradient of x": leaves[0], **{f"gradient of {f}": s for f, s in zip(fields, leaves[1:], strict=True)}}
    asked |= {f"gradient of {name}": parameter for name, parameter in named.items()}
    gradients = torch.autograd.grad(loss, [*asked.values()], allow_unused=True)  # type: ignore[arg-type]
    found = {"output": results[0], **dict(zip(fields, results[1:], strict=True))}
    for (name, leaf), gradient in zip(asked.items(), gradients, strict=True):
        found[name] = torch.zeros_like(leaf) if gradient is None else gradient
    return {name: value.detach() for name, value in found.items()}
