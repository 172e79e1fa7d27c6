"""The intermediate form: what one step of a cell computes, as values that are each a block of H features of one row.

A value is a leaf, an operation on values and numbers (`operations`), or a block of a product with a weight. One row is
one sequence of the batch, so nothing here knows B, T or H, and one form serves a cell of every size.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias


class Refused(ValueError):
    """A step has something that no rule is there for. The message says what, for a sentence."""


class Value:
    """One block. Values are made by a Form and compared by identity; number is their order, and the same every time.

    op: a leaf ("x": a block of W x, "old": a state before the step, "weight": a block of a vector that is a weight,
    "gradient": of the output or of a new state), "product" (a block of one), or a name of `operations.TABLE`.
    backward: whether it depends on a gradient, and so belongs to the backward loop.
    """

    __slots__ = ("args", "backward", "number", "op")

    def __init__(self, op: str, args: tuple[Any, ...], number: int, backward: bool) -> None:
        self.op, self.args, self.number, self.backward = op, args, number, backward

    @property
    def operands(self) -> list[Value]:
        """The values that its operation is computed from; none for a leaf and for a block of a product."""
        return [] if self.op in LEAVES or self.op == "product" else [a for a in self.args if isinstance(a, Value)]

    def __repr__(self) -> str:
        return f"v{self.number}"


Operand: TypeAlias = Value | float
LEAVES = ("x", "old", "weight", "gradient")


@dataclass(eq=False)
class Product:
    """rows @ M: `rows` blocks side by side, M a weight (transposed: its transpose, as in F.linear).

    weight: its number in Step.weights. blocks: how many the result has. A row that is the number 0 takes no part: a
    block whose gradient nothing asks for.
    """

    rows: list[Operand]
    weight: int
    transposed: bool
    blocks: int
    number: int
    results: dict[int, Value] = field(default_factory=dict)

    @property
    def backward(self) -> bool:
        return any(row.backward for row in self.values)

    @property
    def values(self) -> list[Value]:
        return [row for row in self.rows if isinstance(row, Value)]


class Form:
    """Makes values. Two that are computed alike are one."""

    def __init__(self) -> None:
        self.count = 0
        self.products: list[Product] = []
        self._known: dict[tuple[Any, ...], Value] = {}

    def leaf(self, op: str, *args: int) -> Value:
        return self._value(op, args, op == "gradient")

    def make(self, op: str, *args: Operand) -> Operand:
        """The value of an operation; an operand itself where the operation changes nothing."""
        if op in ("add", "sub") and is_number(args[1], 0.0):
            return args[0]
        if op == "add" and is_number(args[0], 0.0):
            return args[1]
        if op in ("mul", "div") and is_number(args[1], 1.0):
            return args[0]
        if op == "mul" and is_number(args[0], 1.0):
            return args[1]
        return self._value(op, args, any(isinstance(a, Value) and a.backward for a in args))

    def product(self, rows: list[Operand], weight: int, transposed: bool, blocks: int) -> list[Value]:
        """The blocks of a product."""
        key = ("rows", weight, transposed, *rows)
        if key in self._known:
            return [*self.product_of(self._known[key]).results.values()]
        made = Product(rows, weight, transposed, blocks, len(self.products))
        self.products.append(made)
        made.results = {k: self._value("product", (made.number, k), made.backward) for k in range(blocks)}
        self._known[key] = made.results[0]
        return [*made.results.values()]

    def product_of(self, value: Value) -> Product:
        """The product that a value is a block of."""
        number: int = value.args[0]
        return self.products[number]

    def needs(self, value: Value) -> list[Value]:
        """All values that this one is computed from: its operands, or the rows of its product."""
        return self.product_of(value).values if value.op == "product" else value.operands

    def _value(self, op: str, args: tuple[Any, ...], backward: bool) -> Value:
        key = (op, *args)
        if key not in self._known:
            self._known[key] = Value(op, args, self.count, backward)
            self.count += 1
        return self._known[key]


def is_number(operand: Operand, number: float) -> bool:
    return not isinstance(operand, Value) and operand == number


@dataclass(frozen=True)
class Weight:
    """A parameter or buffer of the cell that the step reads. path: as in named_parameters. dim: 2, 1 or 0 axes.

    blocks, columns: how many times H its axes are (0 where it has none). trained: whether it is a parameter. gates: the
    letters of its map, where it is in one.
    """

    path: str
    dim: int
    blocks: int
    columns: int
    trained: bool
    gates: tuple[str, ...] = ()


@dataclass
class Step:
    """One traced step. inputs: blocks of W x. fields: the state's names. weights: in the order of their numbers.

    gates: the letters of W x's blocks; empty where what is hoisted is no W x with named gates.
    """

    form: Form
    inputs: int
    fields: tuple[str, ...]
    weights: list[Weight]
    output: Operand
    new: list[Operand]
    gates: tuple[str, ...] = ()


def reached(form: Form, roots: list[Value]) -> list[Value]:
    """All values that the roots are computed from, and they themselves, each after what it needs."""
    found: set[Value] = set()
    waiting = [*roots]
    while waiting:
        value = waiting.pop()
        if value not in found:
            found.add(value)
            waiting += form.needs(value)
    return sorted(found, key=lambda value: value.number)
