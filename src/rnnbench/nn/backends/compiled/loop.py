"""A compiled cell over time, as `nn.layers.unroll` computes it, with a backward pass of its own.

Axes: T time, B batch, I input features, H hidden features, N features of W x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rnnbench.nn.backends.compiled.emit import CHUNK
from rnnbench.nn.backends.compiled.form import Weight
from rnnbench.nn.backends.compiled.layout import Place
from rnnbench.nn.backends.compiled.library import Program, program_of
from rnnbench.nn.backends.compiled.proof import prove
from rnnbench.nn.backends.compiled.seen import Seen
from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import DenseMap, laid_out

DTYPES = {torch.float32: "float32", torch.float64: "float64"}
KEPT = 4  # programs of a layer: while it is trained and not, in two precisions


class Loop:
    """The programs of one layer's cell, made when they are first needed: one a precision and state of its options.

    Copied or pickled with its layer it begins empty: what is compiled belongs to the process.
    """

    def __init__(self) -> None:
        self._programs: list[tuple[torch.dtype, Seen, Program]] = []

    def __reduce__(self) -> Any:
        return Loop, ()

    def __deepcopy__(self, memo: Any) -> Loop:
        return Loop()

    def program(self, cell: Cell, dtype: torch.dtype) -> Program:
        """The cell's program. Raises form.Refused where its step cannot be compiled."""
        for kind, seen, program in self._programs:
            if kind == dtype and seen.is_as_it_was():
                return program
        seen, program = Seen(cell), program_of(cell, DTYPES[dtype])
        self._programs = [(dtype, seen, program), *self._programs[: KEPT - 1]]
        return program


def unroll(
    program: Program,
    cell: Cell,
    x: Tensor,
    state: Any,
    *,
    mask: Tensor | None = None,
    reverse: bool = False,
    zero_start: bool = False,
) -> tuple[Tensor, Any]:
    """As `nn.layers.unroll`, by the cell's program. zero_start: the state is known to be zero.

    The first use of a program in a process proves it on a small batch against the cell's own step. Raises ValueError on
    sizes and types that do not fit, for C would read whatever memory lies there; toolchain.CompilerFailed; proof.Wrong.
    """
    size = (x.shape[1], cell.hidden_size)
    fits = x.dim() == 3 and x.shape[2] == cell.input_size and [each.shape for each in state] == [size] * len(state)
    if not fits or any(each.dtype != x.dtype or each.device != x.device for each in state):
        got = [tuple(each.shape) for each in (x, *state)]
        raise ValueError(f"expected x (T, B, {cell.input_size}) and states (B, {cell.hidden_size}), got {got}")
    if mask is not None and mask.shape != x.shape[:2]:
        raise ValueError(f"expected a mask {tuple(x.shape[:2])}, got {tuple(mask.shape)}")
    prove(program, cell, x.dtype, _run)
    output, new = _run(program, cell, x, state, mask=mask, reverse=reverse, zero_start=zero_start)
    return output, cell.State(*new)


@dataclass
class _Setting:
    """What a call is about beside its tensors. inner: whether W x is computed inside, from W and its bias."""

    program: Program
    size: int
    mask: Tensor | None
    reverse: bool
    zero_start: bool
    inner: bool
    keep: bool = True


def _run(
    program: Program, cell: Cell, x: Tensor, state: Sequence[Tensor], *, mask: Tensor | None = None,
    reverse: bool = False, zero_start: bool = False,
) -> tuple[Tensor, Sequence[Tensor]]:  # fmt: skip
    """x: (T, B, I) -> output (T, B, H) and the final state's fields, (B, H) each."""
    if mask is not None:
        mask = mask.to(torch.uint8).contiguous()
    W = cell.W
    inner = type(cell).hoist is Cell.hoist and type(W) is DenseMap and W.gain is None and "weight" in W._parameters
    setting = _Setting(program, cell.hidden_size, mask, reverse, zero_start, inner)
    source = (x, W.weight, W.bias) if inner else (cell.hoist(x), None, None)
    width = W.weight.shape[0] if inner else source[0].shape[2]
    if width != program.layout.step.inputs * cell.hidden_size:
        raise ValueError(f"expected W x of {program.layout.step.inputs * cell.hidden_size} features, got {width}")
    tensors = (*source, *state, *(_weight(cell, weight) for weight in program.layout.step.weights))
    if torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in tensors):
        output, *new = cast(tuple[Tensor, ...], _Recurrence.apply(setting, *tensors))  # type: ignore[no-untyped-call]
        return output, new
    setting.keep = False
    memory = _forward(setting, *tensors)
    return memory.output, memory.final(reverse)


def _weight(cell: Cell, weight: Weight) -> Tensor:
    """The parameter or buffer at a path, as it is now. Raises ValueError on another size: C would read past its end."""
    *modules, name = weight.path.split(".")
    module: nn.Module = cell
    for each in modules:
        module = cast(nn.Module, module._modules[each])
    own = cast(Tensor, (module._parameters if weight.trained else module._buffers)[name])
    found = laid_out(module, name, own)
    sizes = (weight.blocks * cell.hidden_size, weight.columns * cell.hidden_size)[: weight.dim]
    if found.shape != sizes:
        raise ValueError(f"expected {weight.path} {sizes}, got {tuple(found.shape)}")
    return found


@dataclass
class _Memory:
    """What the forward loop leaves behind: layout's buffers, with time in front. states: (T or 2, B, H) each."""

    wx: Tensor
    kept: Tensor
    states: list[Tensor]
    output: Tensor
    whole: list[bool]

    def final(self, reverse: bool) -> list[Tensor]:
        """The state after the last step, in tensors of its own."""
        steps = self.output.shape[0]
        last = [(0 if reverse else steps - 1) if whole else (steps - 1) & 1 for whole in self.whole]
        return [state[n].clone() for state, n in zip(self.states, last, strict=True)]

    def held(self) -> _Memory:
        """The same memory without the output itself, which holds the graph that holds this: none would be freed."""
        states = [state.detach() for state in self.states]
        return _Memory(self.wx, self.kept, states, self.output.detach(), self.whole)


def _forward(setting: _Setting, x: Tensor, W: Tensor | None, bias: Tensor | None, *others: Tensor) -> _Memory:
    """Run the forward loop. others: the state before the first step, (B, H) each, then the weights."""
    program, size, layout = setting.program, setting.size, setting.program.layout
    fields = len(layout.step.fields)
    starts, weights = others[:fields], [weight.contiguous() for weight in others[fields:]]
    steps, batch = x.shape[:2]
    if W is None:
        wx = x.clone(memory_format=torch.contiguous_format)
    else:
        wx = program.product(_rows(x), W.t(), None if bias is None else bias.contiguous())
    # Without a backward loop the output alone has all steps, and states have two in turn.
    output_is_state = layout.output_is_state and setting.mask is None
    whole = [setting.keep or (n == 0 and output_is_state) for n in range(fields)]
    output = x.new_empty(steps, batch, size)
    states = [x.new_empty(steps if each else 2, batch, size) for each in whole]
    if output_is_state:
        states[0] = output
    kept = x.new_empty((steps if setting.keep else 1) * batch * layout.kept * size)
    work = x.new_empty(batch * layout.work * size)
    begin = [start.contiguous() for start in starts]
    arguments = program.arguments(
        T=steps, B=batch, H=size, reverse=setting.reverse, keep=setting.keep, zero_start=setting.zero_start,
        mask=_address(setting.mask), x=wx.data_ptr(), kept=kept.data_ptr(), work=work.data_ptr(),
        output=output.data_ptr(),
    )  # fmt: skip
    _point(arguments.start, begin)
    _point(arguments.state, states)
    _point(arguments.weight, weights)
    arguments.whole[:] = whole
    program.call(False, arguments, x)
    return _Memory(wx, kept, states, output, whole)


def _rows(x: Tensor) -> Tensor:
    """x (T, B, I) as a matrix of (T B) rows, the features of each side by side."""
    rows = x.flatten(0, 1)
    return rows if rows.stride(1) == 1 else rows.contiguous()


def _added(chunks: Tensor) -> Tensor:
    """The sum over the first axis, one after the other: in the same order however many threads there are."""
    total = chunks[0]
    for each in chunks[1:]:
        total = total + each
    return total


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _point(array: Any, tensors: Sequence[Tensor]) -> None:
    for n, tensor in enumerate(tensors):
        array[n] = tensor.data_ptr()


class _Recurrence(torch.autograd.Function):
    """The loop with its gradients. Its backward pass overwrites what was kept, so there is one."""

    @staticmethod
    def forward(ctx: Any, setting: _Setting, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        memory = _forward(setting, *cast(tuple[Tensor, ...], tensors))
        x, *rest = tensors
        # What autograd is told of it guards: changed in place before the backward pass, torch refuses that.
        ctx.save_for_backward(memory.output, x, *rest)
        ctx.setting, ctx.memory = setting, memory.held()
        ctx.set_materialize_grads(False)
        return memory.output, *memory.final(setting.reverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor | None, *state_gradients: Tensor | None) -> tuple[Any, ...]:
        if ctx.memory is None:
            raise RuntimeError(
                "backend=compiled: a second backward pass through one forward pass; what it kept is overwritten. "
                "Use backend=eager, or run the layer again."
            )
        _, *tensors = ctx.saved_tensors
        memory, ctx.memory = ctx.memory, None
        needs = ctx.needs_input_grad[1:]
        return None, *_backward(ctx.setting, memory, tensors, needs, output_gradient, state_gradients)


def _backward(
    setting: _Setting, memory: _Memory, tensors: Sequence[Tensor | None], needs: Sequence[bool],
    output_gradient: Tensor | None, state_gradients: Sequence[Tensor | None],
) -> list[Tensor | None]:  # fmt: skip
    """The gradients of x, W, its bias, the starts and the weights; None where needs says no."""
    program, size, layout = setting.program, setting.size, setting.program.layout
    fields = len(layout.step.fields)
    x, W = cast(Tensor, tensors[0]), tensors[1]
    starts = [cast(Tensor, start).contiguous() for start in tensors[3 : 3 + fields]]
    weights = [cast(Tensor, weight).contiguous() for weight in tensors[3 + fields :]]
    steps, batch = memory.output.shape[:2]
    start_gradient = any(needs[3 : 3 + fields])

    if output_gradient is None:
        output_gradient = x.new_zeros(size).expand(steps, batch, size)
    elif output_gradient.stride(2) != 1 and size > 1:
        output_gradient = output_gradient.contiguous()
    carried = [x.new_zeros(batch, size) if g is None else g.clone(memory_format=torch.contiguous_format)
               for g in state_gradients]  # fmt: skip
    grads = x.new_empty(steps * batch * layout.grads * size)
    chunks = x.new_zeros(-(-batch // CHUNK), layout.sums, size)
    work = x.new_empty(batch * layout.back_work * size)
    arguments = program.arguments(
        T=steps, B=batch, H=size, reverse=setting.reverse, keep=1, start_gradient=start_gradient,
        mask=_address(setting.mask), x=memory.wx.data_ptr(), kept=memory.kept.data_ptr(), grads=grads.data_ptr(),
        back_work=work.data_ptr(), sums=chunks.data_ptr(), output_gradient=output_gradient.data_ptr(),
        gradient_row=output_gradient.stride(1), gradient_step=output_gradient.stride(0),
    )  # fmt: skip
    _point(arguments.start, starts)
    _point(arguments.state, memory.states)
    _point(arguments.state_gradient, carried)
    _point(arguments.weight, weights)
    program.call(True, arguments, x)
    sums = _added(chunks)

    blocks = _Blocks(setting, memory, grads, starts, steps, batch)
    wx_gradient = blocks.columns(layout.input_grads, 0, layout.step.inputs)
    found: list[Tensor | None] = [None] * len(tensors)
    if W is None:
        found[0] = wx_gradient.reshape(x.shape) if needs[0] else None
    else:
        if needs[0]:
            found[0] = program.product(wx_gradient, W).view(x.shape)
        if needs[1]:
            found[1] = W_gradient = torch.empty_like(W, memory_format=torch.contiguous_format)
            program.weight_gradient(_rows(x), wx_gradient, W_gradient)
        if needs[2]:
            found[2] = _joined_sums(layout.input_sums, sums)
    for n, carry in enumerate(carried):
        found[3 + n] = carry if needs[3 + n] else None
    for n, weight in enumerate(layout.step.weights):
        if needs[3 + fields + n]:
            found[3 + fields + n] = blocks.matrix(n) if weight.dim == 2 else _vector(setting, n, sums)
    return found


def _vector(setting: _Setting, number: int, sums: Tensor) -> Tensor:
    """The gradient of a weight that is a vector, or a number."""
    layout = setting.program.layout
    weight = layout.step.weights[number]
    found = [layout.vector_sums.get((number, k)) for k in range(max(weight.blocks, 1))]
    joined = _joined_sums(found, sums)
    return joined if weight.dim else joined.sum()


def _joined_sums(numbers: Sequence[int | None], sums: Tensor) -> Tensor:
    """Sums one behind the other, (n H); zeros for None. A copy: two weights may have one gradient, and each its own."""
    first, count = numbers[0], len(numbers)
    if first is not None and list(numbers) == [*range(first, first + count)]:
        return sums[first : first + count].flatten().clone()
    zero = sums.new_zeros(sums.shape[-1])
    return torch.cat([zero if n is None else sums[n] for n in numbers])


@dataclass
class _Blocks:
    """What the backward loop leaves behind, as matrices of (T B) rows, for the gradients of weights."""

    setting: _Setting
    memory: _Memory
    grads: Tensor
    starts: Sequence[Tensor]
    steps: int
    batch: int

    def columns(self, buffer: str, first: int, count: int) -> Tensor:
        """(T B, count H) of a buffer that has all steps."""
        layout, size = self.setting.program.layout, self.setting.size
        whole, width = {
            "x": (self.memory.wx, layout.step.inputs),
            "grads": (self.grads, layout.grads),
            "kept": (self.memory.kept, layout.kept),
        }[buffer]
        return whole.view(self.steps * self.batch, width * size)[:, first * size : (first + count) * size]

    def matrix(self, number: int) -> Tensor:
        """The gradient of a weight that is a matrix, over all products that it is in."""
        layout, size = self.setting.program.layout, self.setting.size
        weight = layout.step.weights[number]
        total: Tensor | None = None
        for product, grads, rows in layout.weight_grads:
            if product.weight == number:
                found = self._product(grads, rows)
                found = found if product.transposed else found.t()
                total = found if total is None else total + found
        return self.grads.new_zeros(weight.blocks * size, weight.columns * size) if total is None else total

    def _product(self, grads: Sequence[Place | None], rows: Sequence[Place]) -> Tensor:
        """Gradients times rows, (grads H, rows H)."""
        size = self.setting.size
        total = self.grads.new_zeros(len(grads) * size, len(rows) * size)
        for first, count, place in _runs(grads):
            columns = self.columns(place.buffer, place.block, count)
            for n, row in enumerate(rows):
                target = total[first * size : (first + count) * size, n * size : (n + 1) * size]
                self._piece(columns, row, target)
        return total

    def _piece(self, grads: Tensor, row: Place, target: Tensor) -> None:
        """target (n H, H) = grads^T rows; grads: (T B, n H), row: the place of one block."""
        program, size, batch = self.setting.program, self.setting.size, self.batch
        if row.buffer in ("kept", "x"):
            program.weight_gradient(self.columns(row.buffer, row.block, 1), grads, target)
            return
        states = self.memory.states[row.block].view(-1, size)
        if row.buffer == "new":
            program.weight_gradient(states, grads, target)
            return
        assert row.buffer == "old"
        # The state before each step: those after the other steps, and the start.
        if self.setting.reverse:
            before, inner, outer = states[batch:], grads[:-batch], grads[-batch:]
        else:
            before, inner, outer = states[:-batch], grads[batch:], grads[:batch]
        if self.steps > 1:
            program.weight_gradient(before, inner, target)
        if not self.setting.zero_start:
            first = torch.empty_like(target)
            program.weight_gradient(self.starts[row.block], outer, first)
            target += first


def _runs(places: Sequence[Place | None]) -> list[tuple[int, int, Place]]:
    """Neighbours together: (first, count, place of the first)."""
    runs: list[tuple[int, int, Place]] = []
    for k, place in enumerate(places):
        if place is None:
            continue
        if runs:
            first, count, start = runs[-1]
            if first + count == k and place == Place(start.buffer, start.block + count):
                runs[-1] = (first, count + 1, start)
                continue
        runs.append((k, 1, place))
    return runs
