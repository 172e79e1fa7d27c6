"""Time: a layer unrolls a cell over a sequence, forwards or backwards, or both.

The call is torch.nn's, batch first: ``output, state = layer(x, state, lengths=lengths)``.

Axes: B batch, T time, C channels (features), space none or H W.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnbench.nn.backends import BACKENDS, compiled, refuses, scan, unroll_native
from rnnbench.nn.cells.base import Cell
from rnnbench.nn.checks import (
    Checked,
    Lengths,
    check_input,
    check_parts,
    check_state,
    enter,
    is_plain,
    length_mask,
    weight_of,
)
from rnnbench.nn.maps import known_zeros

__all__ = ["Bidirectional", "Layer", "length_mask", "tracing", "unroll"]


def unroll(
    cell: Cell,
    x: Tensor,
    state: Any,
    *,
    mask: Tensor | None = None,
    reverse: bool = False,
    trace: list[Tensor] | None = None,
) -> tuple[Tensor, Any]:
    """Run a cell over time, one step after the other. x: (T, B, C, *space) -> output (T, B, H, *space), final state.

    mask: (T, B) bool; where it is False the step is skipped: its output is zero and the state stays, so padding at the
    end changes nothing in either direction. What x holds there must be finite, and nothing else is checked: a Layer
    sees to both. trace: receives h_t of every step in order of time, its gradient kept;
    at a skipped step it is an h that nothing uses, with gradient zero.
    """
    steps = cell.hoist(x).unbind(0)
    outputs: list[Tensor] = []
    hidden: list[Tensor] = []
    for t in reversed(range(len(steps))) if reverse else range(len(steps)):
        output, new = cell.step(steps[t], state)
        if trace is not None:
            new[0].retain_grad()  # before the mask: this h is on every way to the loss, by output and by state
            hidden.append(new[0])
        if mask is not None:
            new = cell.State(*(torch.where(over(mask[t], n), n, s) for n, s in zip(new, state, strict=True)))
            output = torch.where(over(mask[t], output), output, torch.zeros_like(output))
        state = new
        outputs.append(output)
    if reverse:
        outputs.reverse()
        hidden.reverse()
    if trace is not None:
        trace.extend(hidden)
    return torch.stack(outputs), state


def over(keep: Tensor, field: Tensor) -> Tensor:
    """One step of a mask (B,) in the axes of a field of the state (B, ...): (B, 1, ...)."""
    return keep.reshape(-1, *(1,) * (field.dim() - 1))


class Layer(nn.Module):
    """One cell over time, in one direction.

    cell: the equations. reverse: from the last step to the first. backend: eager | native | compiled | scan |
    auto (nn.backends); auto goes on to the next of its rule where the compiled loop cannot run (a GPU, autocast).
    x: (B, T, C, *space), state: a tuple of the cell's fields, each (B, H, *space), or None for zeros, lengths: B
    integers from 1 to T as list, array or tensor, or None, mask: (B, T) bool or None -> output (B, T, H, *space), zero
    at padding, and the state after each sequence's last step in this direction (the cell's named tuple). What x holds
    at padding is never read. checked: of a module around this one, which has checked all the rest (nn.checks).
    Raises ValueError on a backend that cannot compute this cell, on a mask with the native one, and on anything of
    another shape, type or device, on every backend alike.
    """

    def __init__(self, cell: Cell, *, reverse: bool = False, backend: str = "auto") -> None:
        super().__init__()
        self.cell, self.reverse = cell, reverse
        self.auto = backend == "auto"
        if self.auto:
            backend = "compiled" if compiled.refuses(cell) is None else self._uncompiled()
        if backend not in BACKENDS:
            raise ValueError(f"unknown backend {backend!r}; known: auto, {', '.join(BACKENDS)}")
        if backend == "native" and (reason := refuses(cell)):
            raise ValueError(f"backend=native: {reason}; use backend=eager (or auto)")
        if backend == "compiled" and not self.auto and (reason := compiled.refuses(cell)):
            raise ValueError(f"backend=compiled: {reason}; use backend=eager (or auto)")
        if backend == "scan" and (reason := scan.refuses(cell)):
            raise ValueError(f"backend=scan: {reason}; use backend=eager (or auto)")
        self.backend = backend
        self.loop = compiled.Loop()
        self.trace: list[Tensor] | None = None

    @property
    def cells(self) -> tuple[Cell, ...]:
        return (self.cell,)

    def _uncompiled(self) -> str:
        if refuses(self.cell) is None:
            return "native"
        return "eager" if scan.refuses(self.cell) else "scan"

    @property
    def runs(self) -> str:
        """The backend that computes now. Raises ValueError where `compiled` was asked for and cannot."""
        return self._now()[0]

    def _now(self) -> tuple[str, compiled.Program | None]:
        """The backend that computes now, and the program of a compiled one."""
        # A compiler is given the loop: it finds no gradient of torch's LSTM kernel, and cannot pack by unknown lengths.
        if self.trace is not None or torch.compiler.is_compiling():
            return "eager", None
        if self.backend == "scan" and self.auto:
            return self._uncompiled(), None  # the step may be another one since the layer was made
        if self.backend != "compiled":
            return self.backend, None
        weight = weight_of(self.cell)
        reason = compiled.cannot_now(weight)
        if reason is None:
            try:
                return "compiled", self.loop.program(self.cell, cast(Tensor, weight).dtype)
            except compiled.Refused as error:  # the cell is not what it was when the layer was made
                reason = f"the step of {type(self.cell).__name__} uses {error}"
        if not self.auto:
            raise ValueError(f"backend=compiled: {reason}; use backend=eager (or auto)")
        return self._uncompiled(), None

    @property
    def packs(self) -> bool:
        """Whether torch's kernel runs: it takes sequences packed and never reads padding."""
        return self.runs == "native"

    @property
    def input_size(self) -> int:
        return self.cell.input_size

    @property
    def output_size(self) -> int:
        return self.cell.hidden_size

    def check_input(self, x: Tensor, name: str = "x") -> None:
        """Raises ValueError on another x than (B, T, C, *space) of the weights' type and device."""
        cell = self.cell
        weight = weight_of(cell)
        if cell.operator.space_dims or not is_plain(x, cell.input_size, weight):
            check_input(x, ("B", "T", *cell.step_sizes()), weight, name)

    def check_state(self, state: Any, x: Tensor) -> Any:
        """The state for an x that is checked, as the cell's named tuple or None. Raises ValueError on another."""
        return None if state is None else check_state(self.cell, state, x.shape[0], x.shape[3:], x)

    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        checked: Checked | None = None,
    ) -> tuple[Tensor, Any]:
        if checked is None:
            self.check_input(x)
            state = self.check_state(state, x)
            x, checked = enter(x, lengths, mask, packs=lengths is not None and self.packs)
        zeros: tuple[Tensor, ...] = ()
        if state is None:
            state = self.cell.zero_state(x.shape[0], tuple(x.shape[3:]), x)
            zeros = state if self.cell.starts_at_zero else ()
        steps = x.transpose(0, 1)
        time_first = None if checked.real is None else checked.real.transpose(0, 1)
        runs, program = self._now()
        if program is not None and not compiled.sees_all(x):
            output, state = compiled.unroll(
                program, self.cell, steps, state, mask=time_first, reverse=self.reverse, zero_start=bool(zeros)
            )
        elif runs == "scan" and not compiled.sees_all(x):
            output, state = scan.unroll(self.cell, steps, state, mask=time_first, reverse=self.reverse)
        elif runs == "native":
            if checked.masked:
                raise ValueError("backend=native takes lengths, not a mask; use backend=eager")
            output, state = unroll_native(self.cell, steps, state, lengths=checked.counted, reverse=self.reverse)
        else:
            with known_zeros(self.cell, zeros):
                output, state = unroll(self.cell, steps, state, mask=time_first, reverse=self.reverse, trace=self.trace)
        return output.transpose(0, 1), state

    def step(self, x: Tensor, state: Any, *, hoisted: bool = False) -> tuple[Tensor, Any]:
        """One time step, for what cannot be unrolled because the next input depends on it. x: (B, C, *space).

        state: as in forward. hoisted: x is a step of `cell.hoist` already, (B, n*C, *space).
        """
        self.check_step(x, hoisted)
        return self.advance(x, self.step_state(state, x), hoisted=hoisted)

    def check_step(self, x: Tensor, hoisted: bool = False) -> None:
        """Raises ValueError on another x than step takes."""
        check_input(x, ("B", *self.cell.step_sizes(hoisted)), weight_of(self.cell))

    def step_state(self, state: Any, x: Tensor) -> Any:
        """The state of a step for an x (B, C, *space) that is checked; zeros for None. Raises ValueError on another."""
        batch, space = x.shape[0], tuple(x.shape[2:])
        state = check_state(self.cell, state, batch, space, x)
        return self.cell.zero_state(batch, space, x) if state is None else state

    def advance(self, x: Tensor, state: Any, *, hoisted: bool = False) -> tuple[Tensor, Any]:
        """As step, of a module around this one which has checked x and state."""
        output, state = self.cell.step(x if hoisted else self.cell.hoist(x[None]).squeeze(0), state)
        if self.trace is not None:
            state[0].retain_grad()
            self.trace.append(state[0])
        return output, state

    def final(self, state: Any) -> Tensor:
        """The output of each sequence's last step in this direction, (B, H, *space)."""
        return self.cell.last_output(state)

    def extra_repr(self) -> str:
        return f"reverse={self.reverse}, backend={self.backend}"


class Bidirectional(nn.Module):
    """Two layers over the same input, one in each direction (Schuster & Paliwal 1997). merge: concat | sum.

    State: a pair of the layers' states. Output size: 2 H for concat, H for sum.
    """

    def __init__(self, ahead: Layer, back: Layer, *, merge: str = "concat") -> None:
        super().__init__()
        if merge not in ("concat", "sum"):
            raise ValueError(f"unknown merge {merge!r}; known: concat, sum")
        if ahead.reverse or not back.reverse:
            raise ValueError("a bidirectional layer takes a forward and a reversed layer, in this order")
        if ahead.input_size != back.input_size:
            raise ValueError(
                f"both directions see the same input, not {ahead.input_size} and {back.input_size} features"
            )
        if merge == "sum" and ahead.output_size != back.output_size:
            raise ValueError(f"merge=sum needs layers of one size, not {ahead.output_size} and {back.output_size}")
        self.ahead, self.back, self.merge = ahead, back, merge

    @property
    def cells(self) -> tuple[Cell, ...]:
        return self.ahead.cell, self.back.cell

    @property
    def packs(self) -> bool:
        return self.ahead.packs and self.back.packs

    @property
    def input_size(self) -> int:
        return self.ahead.input_size

    @property
    def output_size(self) -> int:
        both = self.ahead.output_size + self.back.output_size
        return both if self.merge == "concat" else self.ahead.output_size

    def join(self, a: Tensor, b: Tensor, axis: int) -> Tensor:
        return torch.cat([a, b], axis) if self.merge == "concat" else a + b

    def check_input(self, x: Tensor, name: str = "x") -> None:
        """As Layer's."""
        self.ahead.check_input(x, name)

    def check_state(self, state: Any, x: Tensor) -> tuple[Any, Any] | None:
        """As Layer's: a pair of states."""
        if state is None:
            return None
        ahead, back = check_parts(state, 2, "a bidirectional layer")
        return self.ahead.check_state(ahead, x), self.back.check_state(back, x)

    def forward(
        self,
        x: Tensor,
        state: Any = None,
        *,
        lengths: Lengths | None = None,
        mask: Tensor | None = None,
        checked: Checked | None = None,
    ) -> tuple[Tensor, Any]:
        """As Layer's."""
        if checked is None:
            self.check_input(x)
            state = self.check_state(state, x)
            x, checked = enter(x, lengths, mask, packs=lengths is not None and self.packs)
        ahead, back = (None, None) if state is None else state
        a, state_a = self.ahead(x, ahead, checked=checked)
        b, state_b = self.back(x, back, checked=checked)
        return self.join(a, b, 2), (state_a, state_b)

    def final(self, state: Any) -> Tensor:
        """Both directions' outputs of their last step: (B, output_size, *space)."""
        return self.join(self.ahead.final(state[0]), self.back.final(state[1]), 1)


@contextmanager
def tracing(model: nn.Module) -> Iterator[dict[str, list[Tensor]]]:
    """Within the block every layer runs eagerly and keeps h_t of each step, with its gradient, by the layer's name.

    For the vanishing-gradient curve: after loss.backward(), ``h.grad`` of each is the loss' total derivative.
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, Layer)}
    traces: dict[str, list[Tensor]] = {name: [] for name in layers}
    for name, layer in layers.items():
        layer.trace = traces[name]
    try:
        yield traces
    finally:
        for layer in layers.values():
            layer.trace = None
