"""The shared library of a cell's loops, and how it is called."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from rnnbench import toolchain
from rnnbench.nn.backends.compiled.emit import CHUNK, emit
from rnnbench.nn.backends.compiled.gradient import differentiate
from rnnbench.nn.backends.compiled.joining import join
from rnnbench.nn.backends.compiled.layout import Layout, lay_out
from rnnbench.nn.backends.compiled.threads import parts, side_by_side
from rnnbench.nn.backends.compiled.tracing import trace
from rnnbench.nn.cells.base import Cell

DEPTH_BLOCK = 256  # as matrices.c has it
WIDEST_PANEL = 32  # columns of a packed panel, on the processor with the widest vectors
LONG: Any = ctypes.c_long
POINTER: Any = ctypes.c_void_p


@dataclass(frozen=True)
class Program:
    """A cell's loops in one precision: the plan, the C text and what calls it."""

    layout: Layout
    source: str
    arguments: type[ctypes.Structure]

    @functools.cached_property
    def library(self) -> ctypes.CDLL:
        """The loaded library, compiled where the cache has none. Raises toolchain.CompilerFailed."""
        tools = toolchain.find()
        if tools is None:
            raise toolchain.CompilerFailed(toolchain.why_none())
        loaded = ctypes.CDLL(str(toolchain.build(self.source, tools)))
        for function in (loaded.forward, loaded.backward):
            function.argtypes = [ctypes.POINTER(self.arguments)]
            function.restype = None
        sizes, matrix = [LONG] * 3, [POINTER, LONG]
        loaded.matrix_product.argtypes = [*sizes, *matrix, *matrix, LONG, POINTER, *matrix, POINTER]
        loaded.weight_gradient.argtypes = [*sizes, *matrix, *matrix, *matrix, POINTER]
        loaded.matrix_product.restype = loaded.weight_gradient.restype = None
        return loaded

    def panels(self, size: int, *, backward: bool) -> int:
        """How many numbers the packed weights take, at most, for H = size."""
        stages = self.layout.backward if backward else self.layout.forward
        calls = [call for stage in stages for call in stage.calls]
        return sum(panels_of(call.depth * size, call.width * size) for call in calls)

    def call(self, backward: bool, arguments: Any, like: Tensor) -> None:
        """Run one of the loops over all rows. arguments: all but the rows and the room for packed weights."""
        size, batch = arguments.H, arguments.B
        loop = self.library.backward if backward else self.library.forward
        room = self.panels(size, backward=backward)
        operations = 2.0 * arguments.T * batch * room
        calls = []
        for first, last in parts(batch, CHUNK, operations):
            mine = self.arguments.from_buffer_copy(arguments)
            panels = like.new_empty(room)
            mine.first, mine.last, mine.panels = first, last, panels.data_ptr()
            calls.append(_Call(loop, (ctypes.byref(mine),), (mine, panels)))
        side_by_side([*calls])

    def product(self, A: Tensor, M: Tensor, start: Tensor | None = None) -> Tensor:
        """start + A @ M: A (R, K) with rows of any stride, M (K, N), start (N) or none -> (R, N)."""
        (rows, depth), width = A.shape, M.shape[1]
        found = A.new_empty(rows, width)
        begin = None if start is None else start.data_ptr()
        calls = []
        for first, last in parts(rows, CHUNK, 2.0 * rows * depth * width):
            panels = A.new_empty(panels_of(depth, width))
            here, there = A[first:last], found[first:last]
            arguments = (
                last - first, depth, width, here.data_ptr(), A.stride(0), M.data_ptr(), *M.stride(), begin,
                there.data_ptr(), width, panels.data_ptr(),
            )  # fmt: skip
            calls.append(_Call(self.library.matrix_product, arguments, (panels,)))
        side_by_side([*calls])
        return found

    def weight_gradient(self, rows: Tensor, grads: Tensor, target: Tensor) -> None:
        """target = grads^T rows: rows (R, K), grads (R, N), each with rows of any stride -> target (N, K)."""
        (count, inputs), outputs = rows.shape, grads.shape[1]
        calls = []
        for first, last in parts(outputs, WIDEST_PANEL, 2.0 * count * inputs * outputs):
            panels = rows.new_empty(panels_of(DEPTH_BLOCK, max(inputs, 1)) + panels_of(last - first, inputs))
            here, there = grads[:, first:last], target[first:last]
            arguments = (
                count, inputs, last - first, rows.data_ptr(), rows.stride(0), here.data_ptr(), grads.stride(0),
                there.data_ptr(), target.stride(0), panels.data_ptr(),
            )  # fmt: skip
            calls.append(_Call(self.library.weight_gradient, arguments, (panels,)))
        side_by_side([*calls])


@dataclass(frozen=True)
class _Call:
    """A call of the library and what must live as long."""

    function: Any
    arguments: tuple[Any, ...]
    alive: tuple[Any, ...]

    def __call__(self) -> None:
        self.function(*self.arguments)


def panels_of(depth: int, width: int) -> int:
    """How many numbers the panels of a packed matrix take, at most."""
    return -(-width // WIDEST_PANEL) * WIDEST_PANEL * depth


def program_of(cell: Cell, dtype: str) -> Program:
    """The program of a cell. dtype: float32 | float64. Raises form.Refused where a step cannot be compiled."""
    step = join(trace(cell))
    layout = lay_out(step, differentiate(step))
    source = emit(layout, type(cell).__name__, dtype)
    return Program(layout, source, _arguments(len(step.fields), max(len(step.weights), 1)))


@functools.cache
def _arguments(states: int, weights: int) -> type[ctypes.Structure]:
    """The struct `arguments` of `emit`, field by field."""

    class Arguments(ctypes.Structure):
        _fields_ = [
            *((name, LONG) for name in ("T", "B", "H", "first", "last")),
            *((name, LONG) for name in ("reverse", "keep", "zero_start", "start_gradient")),
            ("mask", POINTER),
            *((name, POINTER) for name in ("x", "kept", "work", "grads", "back_work", "sums", "panels", "output")),
            ("output_gradient", POINTER),
            *((name, LONG) for name in ("gradient_row", "gradient_step")),
            *((name, POINTER * states) for name in ("start", "state", "state_gradient")),
            ("whole", LONG * states),
            ("weight", POINTER * weights),
        ]

    return Arguments
