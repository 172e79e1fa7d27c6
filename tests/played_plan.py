"""A plan of `layout` carried out in numpy, block by block: what the C code must compute, without a compiler.

Memory that nothing has written yet is NaN, and what lives within one step only is NaN again at the next. So a number
that is right here was read from where the plan had put it before, and a wrong one is the plan's fault, not the C
text's.

Axes: T time, B batch, H hidden features, n blocks of H.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rnnbench.nn.backends.compiled.calls import ALONE
from rnnbench.nn.backends.compiled.form import Operand, Value
from rnnbench.nn.backends.compiled.plan import Call, Layout, Pass, Place, Stage

Array = np.ndarray
NAN = float("nan")


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def share(a: Array, b: Array, gradient: Array) -> Array:
    """Of a maximum's gradient what the first operand gets."""
    return np.where(a > b, gradient, np.where(a == b, gradient / 2, 0))


OPERATIONS: dict[str, Callable[..., Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky": lambda x, slope: np.where(x < 0, slope * x, x),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "softplus": lambda x: np.where(x > 20, x, np.log1p(np.exp(x))),
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "maximum": np.maximum,
    "minimum": np.minimum,
    "stop": lambda x: x,
    "relu_gradient": lambda x, gradient: np.where(x > 0, gradient, 0),
    "leaky_gradient": lambda x, gradient, slope: np.where(x > 0, gradient, slope * gradient),
    "abs_gradient": lambda x, gradient: np.sign(x) * gradient,
    "softplus_gradient": lambda x, gradient: gradient * sigmoid(x),
    "share": share,
}


@dataclass
class Play:
    """One call of a layer's loops. wx: (T, B, n H), start: (B, H) of each field, mask: (T, B) or None.

    weights: of the step, in the order of their numbers. keep: whether a backward loop follows.
    """

    layout: Layout
    wx: Array
    start: Sequence[Array]
    weights: Sequence[Array]
    mask: Array | None = None
    reverse: bool = False
    zero_start: bool = False
    keep: bool = True
    buffers: dict[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.steps, self.batch = self.wx.shape[:2]
        self.size = self.start[0].shape[1]
        layout = self.layout
        self.buffers = {
            "x": self.wx.reshape(self.steps, self.batch, layout.step.inputs, self.size).copy(),
            "kept": self._empty(self.steps if self.keep else 1, self.batch, layout.kept),
            "work": self._empty(self.batch, layout.work),
            "grads": self._empty(self.steps, self.batch, layout.grads),
            "back_work": self._empty(self.batch, layout.back_work),
            "output": self._empty(self.steps, self.batch),
        }
        self.whole = [self.keep or (n == 0 and self.output_is_state) for n in range(len(self.start))]
        self.states = [self._empty(self.steps if each else 2, self.batch) for each in self.whole]
        if self.output_is_state:
            self.states[0] = self.buffers["output"]
        self.sums = np.zeros((layout.sums, self.size))
        self.output_gradient = self._empty(self.steps, self.batch)
        self.state_gradient: list[Array] = []

    @property
    def output_is_state(self) -> bool:
        """Whether the output and the first field of the state are one memory."""
        return self.layout.output_is_state and self.mask is None

    def _empty(self, *sizes: int) -> Array:
        return np.full((*sizes, self.size), NAN)

    def forward(self) -> tuple[Array, list[Array]]:
        """The output (T, B, H) and the final state, (B, H) each."""
        for t in range(self.steps):
            self.buffers["work"][:] = NAN
            self._step(t, self.layout.forward)
        return self.buffers["output"], [self._state(n, self.steps - 1).copy() for n in range(len(self.states))]

    def backward(self, output_gradient: Array, state_gradients: Sequence[Array]) -> None:
        """After it state_gradient, sums and the buffers hold what gradients are made of."""
        self.output_gradient = output_gradient
        self.state_gradient = [gradient.copy() for gradient in state_gradients]
        for t in reversed(range(self.steps)):
            self.buffers["back_work"][:] = NAN
            self._step(t, self.layout.backward)

    # what the layer makes of it

    def input_gradient(self) -> Array:
        """Of W x, (T, B, n H)."""
        blocks = self.buffers[self.layout.input_grads][:, :, : self.layout.step.inputs]
        return blocks.reshape(self.wx.shape)

    def bias_gradient(self) -> Array:
        """Of what is added to W x at every step, (n H)."""
        return self._joined(self.layout.input_sums)

    def weight_gradient(self, number: int) -> Array:
        """Of one of the step's weights, in its shape."""
        weight = self.layout.step.weights[number]
        if weight.dim < 2:
            count = max(weight.blocks, 1)
            joined = self._joined([self.layout.vector_sums.get((number, k)) for k in range(count)])
            return joined if weight.dim else joined.sum()
        total = np.zeros((weight.blocks * self.size, weight.columns * self.size))
        for product, grads, rows in self.layout.weight_grads:
            if product.weight == number:
                found = np.concatenate([self._outer(grad, rows) for grad in grads])
                total += found if product.transposed else found.T
        return total

    def _joined(self, numbers: Sequence[int | None]) -> Array:
        zero = np.zeros(self.size)
        return np.concatenate([zero if n is None else self.sums[n] for n in numbers])

    def _outer(self, grad: Place | None, rows: Sequence[Place]) -> Array:
        """gradient^T rows of one block of the result, over all steps: (H, rows H)."""
        if grad is None:
            return np.zeros((self.size, len(rows) * self.size))
        over_time = range(self.steps)
        grads = np.stack([self._block(grad, t) for t in over_time])
        blocks = [np.stack([self._block(row, t) for t in over_time]) for row in rows]
        return np.einsum("tbi,tbj->ij", grads, np.concatenate(blocks, axis=2))

    # one step

    def _now(self, t: int) -> int:
        return self.steps - 1 - t if self.reverse else t

    def _state(self, n: int, t: int) -> Array:
        return self.states[n][self._now(t) if self.whole[n] else t & 1]

    def _block(self, place: Place, t: int) -> Array:
        """The block at a place in step t, (B, H), to read and to write."""
        buffer, block = place
        if buffer == "gradient":
            return self.state_gradient[block - 1] if block else self.output_gradient[self._now(t)]
        if buffer == "old":
            return self._state(block, t - 1) if t else self.start[block]
        if buffer == "new":
            return self._state(block, t)
        memory = self.buffers[buffer]
        if buffer == "output":
            return memory[self._now(t)]
        if buffer in ("work", "back_work"):
            return memory[:, block]
        return memory[0 if buffer == "kept" and not self.keep else self._now(t), :, block]

    def _step(self, t: int, stages: Sequence[Stage]) -> None:
        for stage in stages:
            for call in stage.calls:
                if not (call.skip == "zero start" and t == 0 and self.zero_start):
                    self._product(call, t)
            self._pass(stage.passes, t)

    def _product(self, call: Call, t: int) -> None:
        assert call.width == 1 or call.target.buffer not in ALONE, "one call writes into two tensors"
        assert call.depth == 1 or call.rows.buffer not in ALONE, "one call reads from two tensors"
        weight = self.weights[call.product.weight]
        matrix = weight.T if call.product.transposed else weight
        inputs, outputs, size = call.first_input * self.size, call.first_output * self.size, self.size
        part = matrix[inputs : inputs + call.depth * size, outputs : outputs + call.width * size]
        rows = [self._block(Place(call.rows.buffer, call.rows.block + k), t) for k in range(call.depth)]
        found = np.concatenate(rows, axis=1) @ part
        accumulates = self.mask is not None if call.accumulate == "masked" else call.accumulate
        for k in range(call.width):
            target = self._block(Place(call.target.buffer, call.target.block + k), t)
            block = found[:, k * size : (k + 1) * size]
            target[:] = target + block if accumulates else block

    def _pass(self, made: Pass, t: int) -> None:
        """All is read before anything is written, as in C, where every element is on its own."""
        real = np.ones(self.batch, dtype=bool) if self.mask is None else self.mask[self._now(t)]
        known: dict[Value, Array | float] = {}
        for value, place in made.loads.items():
            known[value] = self._vector(value) if place.buffer == "weight" else self._block(place, t).copy()

        def read(operand: Operand) -> Array | float:
            return known[operand] if isinstance(operand, Value) else operand

        for value in made.computed:
            known[value] = OPERATIONS[value.op](*(read(each) for each in value.args))
        for place, operand, only_masked in made.stores:
            if only_masked and self.mask is None:
                continue
            found = np.broadcast_to(read(operand), (self.batch, self.size))
            self._block(place, t)[real] = found[real]
        for number, operand in made.sums:
            self.sums[number] += np.broadcast_to(read(operand), (self.batch, self.size))[real].sum(0)
        for place, _, _ in made.stores:
            if place.buffer == "new":
                self._block(place, t)[~real] = self._block(Place("old", place.block), t)[~real]
            elif place.buffer != "gradient":
                self._block(place, t)[~real] = 0

    def _vector(self, value: Value) -> Array:
        number, block = value.args
        weight = self.weights[number]
        return weight if weight.ndim == 0 else weight[block * self.size : (block + 1) * self.size]
