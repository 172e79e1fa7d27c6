"""A cell's own `step`, run once on symbols: every operation on them is written down in the intermediate form.

A symbol is no tensor. torch hands every function that is called with one to `Symbol.__torch_function__`, so a step is
read as it stands, whatever modules it goes through, and nothing of torch's own tracing is needed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.nn.backends.compiled.form import Form, Operand, Refused, Step, Value, Weight
from rnnbench.nn.cells.base import Cell
from rnnbench.nn.maps import laid_out

ROWS = 2  # the batch that a symbol claims to have


class Symbol:
    """What a step computes with while it is traced. form: where it is written down.

    A matrix that is a weight: blocks is None. Else blocks of H features, each for every row of the batch (dim 2) or one
    for all (a weight that is a vector, dim 1, or a number, dim 0).
    """

    def __init__(
        self, tracer: Tracer, blocks: Sequence[Operand] | None, dim: int, *, weight: int | None = None,
        shape: tuple[int, ...] = (), transposed: bool = False,
    ) -> None:  # fmt: skip
        self._tracer, self._blocks, self._dim = tracer, blocks, dim
        self._weight, self._shape, self._transposed = weight, shape, transposed

    @property
    def shape(self) -> torch.Size:
        if self._blocks is None or self._dim < 2:
            return torch.Size(reversed(self._shape) if self._transposed else self._shape)
        return torch.Size((ROWS, len(self._blocks) * self._tracer.size))

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _apply(function.__name__, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("T", "mT"):
            return _apply("t", (self,), {})
        if not callable(getattr(Tensor, name, None)):  # `requires_grad`, `device`: an answer would be one for all calls
            raise Refused(f"a tensor's `{name}`, which has no rule")
        return functools.partial(_method, self, name)

    def __bool__(self) -> bool:
        raise Refused("a decision by the value of a tensor")

    def _compare(self, _: Any) -> Any:
        # Without these Python would answer `a == b` by itself: False, for two symbols are two objects.
        raise Refused("a comparison")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _compare
    __hash__ = object.__hash__

    def __getitem__(self, index: Any) -> Symbol:
        return _features(self, index)

    def __iter__(self) -> Any:
        raise Refused("going through a tensor's elements")

    def __add__(self, other: Any) -> Symbol:
        return _binary("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return _binary("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return _binary("sub", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return _binary("sub", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return _binary("mul", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return _binary("mul", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return _binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return _binary("div", other, self)

    def __neg__(self) -> Symbol:
        return _unary("neg", self)

    def __pow__(self, power: Any) -> Symbol:
        return _power(self, power)

    def __matmul__(self, other: Any) -> Symbol:
        return _matmul(self, other)

    def _in_place(self, *_: Any) -> Any:
        # Without these Python would compute `a += b` as `a = a + b`, and another name of a would keep the old value.
        raise Refused("an operation in place")

    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ipow__ = __imatmul__ = __setitem__ = _in_place


class Tracer:
    """One tracing: the form, the size H that blocks have in it, and the weights met so far."""

    def __init__(self, size: int) -> None:
        self.form, self.size = Form(), size
        self.weights: list[Weight] = []
        self._symbols: dict[str, Symbol] = {}

    def weight(self, path: str, tensor: Tensor, trained: bool, gates: tuple[str, ...]) -> Symbol:
        """The symbol of a parameter or buffer. gates: the letters of its map."""
        if path not in self._symbols:
            self._symbols[path] = _LateWeight(self, path, tensor, trained, gates)
        return self._symbols[path]

    def rows(self, blocks: Sequence[Operand]) -> Symbol:
        return Symbol(self, blocks, 2)


class _LateWeight(Symbol):
    """A weight's symbol. It takes its number, and is refused where its shape fits nothing, when it is first used."""

    def __init__(self, tracer: Tracer, path: str, tensor: Tensor, trained: bool, gates: tuple[str, ...]) -> None:
        super().__init__(tracer, None, tensor.dim(), shape=tuple(tensor.shape))
        self._path, self._trained, self._gates = path, trained, gates

    def use(self) -> None:
        if self._weight is not None:
            return
        tracer, dim, size = self._tracer, self._dim, self._shape[0] if self._shape else 0
        if dim > 2 or (dim and (size % tracer.size or not size)) or (dim == 2 and self._shape[1] % tracer.size):
            raise Refused(f"{self._path} of shape {self._shape}, whose sizes are no multiples of {tracer.size}")
        self._weight = len(tracer.weights)
        count = size // tracer.size
        columns = self._shape[1] // tracer.size if dim == 2 else 0
        tracer.weights.append(Weight(self._path, dim, count, columns, self._trained, self._gates))
        if dim < 2:
            self._blocks = [tracer.form.leaf("weight", self._weight, k) for k in range(max(count, 1))]


def trace(cell: Cell) -> Step:
    """The form of the cell's step. Raises Refused with what it has that no rule is there for, in words."""
    tracer = Tracer(cell.hidden_size)
    stand_in = _stand_in(cell, tracer, "")
    fields = tuple(cell.State._fields)
    wide = _hoisted_width(cell)
    if wide % cell.hidden_size:
        raise Refused(f"{wide} features of W x, which are no multiple of {cell.hidden_size}")
    inputs = wide // cell.hidden_size
    wx = tracer.rows([tracer.form.leaf("x", k) for k in range(inputs)])
    old = [tracer.rows([tracer.form.leaf("old", n)]) for n in range(len(fields))]
    try:
        output, new = stand_in.step(wx, cell.State(*old))
    except Refused:
        raise
    except Exception as error:  # of the step's own code, on symbols
        raise Refused(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    blocks = [_one_block(each, name) for each, name in zip((output, *new), ("the output", *fields), strict=True)]
    gates = _letters(cell.W) if type(cell).hoist is Cell.hoist else ()
    gates = gates if len(gates) == inputs else ()
    return Step(tracer.form, inputs, fields, tracer.weights, blocks[0], blocks[1:], gates)


def _hoisted_width(cell: Cell) -> int:
    """How many features `hoist` gives."""
    if isinstance(cell.hoisted_size, int):
        return cell.hoisted_size
    with torch.no_grad():
        x = next(cell.parameters()).new_zeros(1, 1, cell.input_size)
        return int(cell.hoist(x).shape[-1])


def _one_block(symbol: Any, name: str) -> Operand:
    if not isinstance(symbol, Symbol) or symbol._blocks is None or symbol._dim != 2 or len(symbol._blocks) != 1:
        raise Refused(f"{name}, which is no tensor of H features that the step computes")
    return symbol._blocks[0]


def _letters(module: nn.Module) -> tuple[str, ...]:
    """The letters of a map's gates; none of any other module."""
    return tuple(getattr(getattr(module, "gates", None), "_fields", ()))


def _stand_in(module: nn.Module, tracer: Tracer, prefix: str) -> Any:
    """A copy of a module, and of those in it, whose parameters and buffers are symbols; no number is copied."""
    copy = object.__new__(type(module))
    parts = dict(module.__dict__)
    for kind, trained in (("_parameters", True), ("_buffers", False)):
        own = {k: v for k, v in parts[kind].items() if v is not None}
        laid = {k: laid_out(module, k, v).detach() for k, v in own.items()}
        found = {k: tracer.weight(prefix + k, v, trained, _letters(module)) for k, v in laid.items()}
        parts[kind] = parts[kind] | found
    inner = parts["_modules"].items()
    parts["_modules"] = {k: None if v is None else _stand_in(v, tracer, f"{prefix}{k}.") for k, v in inner}
    copy.__dict__.update(parts)
    return copy


def _method(symbol: Symbol, name: str, *args: Any, **kwargs: Any) -> Any:
    return _apply(name, (symbol, *args), kwargs)


def _apply(name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """What a torch function of this name gives for symbols. Raises Refused where there is no rule for it."""
    if name.startswith("__") and name.endswith("__"):
        name = name.strip("_")
    if name.endswith("_") or "out" in kwargs:
        raise Refused("an operation in place")
    if name not in RULES:
        raise Refused(f"torch's `{name}`, which has no rule")
    for arg in (*args, *kwargs.values()):
        if isinstance(arg, Tensor):
            raise Refused(f"`{name}` of a tensor that is neither computed by the step nor a weight")
        if isinstance(arg, _LateWeight):
            arg.use()
    try:
        return RULES[name](*args, **kwargs)
    except TypeError as error:
        raise Refused(f"torch's `{name}` with arguments that have no rule ({error})") from None


def _blocks_of(symbol: Symbol, name: str) -> Sequence[Operand]:
    if symbol._blocks is None:
        raise Refused(f"`{name}` of a weight that is a matrix; only products with one have a rule")
    return symbol._blocks


def _unary(op: str, symbol: Symbol, *numbers: float) -> Symbol:
    if isinstance(symbol, _LateWeight):
        symbol.use()
    tracer = symbol._tracer
    blocks = [tracer.form.make(op, block, *numbers) for block in _blocks_of(symbol, op)]
    return Symbol(tracer, blocks, symbol._dim, shape=symbol._shape)


def _binary(op: str, a: Any, b: Any) -> Symbol:
    for each in (a, b):
        if isinstance(each, Tensor):
            raise Refused(f"`{op}` of a tensor that is neither computed by the step nor a weight")
        if not isinstance(each, (Symbol, int, float)):
            raise Refused(f"`{op}` of {type(each).__name__}")
        if isinstance(each, _LateWeight):
            each.use()
    symbols = [each for each in (a, b) if isinstance(each, Symbol)]
    wide = max(symbols, key=lambda each: (each._dim, len(_blocks_of(each, op))))
    count = len(_blocks_of(wide, op))
    sides = [_spread(each, count, op) for each in (a, b)]
    make = wide._tracer.form.make
    blocks = [make(op, x, y) for x, y in zip(*sides, strict=True)]
    return Symbol(wide._tracer, blocks, wide._dim, shape=wide._shape)


def _spread(side: Any, count: int, op: str) -> Sequence[Operand]:
    """A side of an operation as count blocks: a number is the same in each."""
    if not isinstance(side, Symbol):
        return [float(side)] * count
    blocks = _blocks_of(side, op)
    if side._dim == 0:
        return [*blocks] * count
    if len(blocks) != count:
        raise Refused(f"`{op}` of {len(blocks)} and {count} blocks of features")
    return blocks


def _scaled(op: str) -> Callable[..., Symbol]:
    """torch.add and torch.sub, whose second operand may be scaled."""

    def rule(a: Any, b: Any, *, alpha: float = 1) -> Symbol:
        return _binary(op, a, b if alpha == 1 else _binary("mul", b, alpha))

    return rule


def _power(symbol: Symbol, power: Any) -> Symbol:
    if power == 2:
        return _binary("mul", symbol, symbol)
    if power == 0.5:
        return _unary("sqrt", symbol)
    raise Refused(f"a power of {power!r}; 2 and 0.5 have a rule")


def _same(symbol: Symbol, *_: Any, **__: Any) -> Symbol:
    return symbol


def _relu(symbol: Symbol, inplace: bool = False) -> Symbol:
    if inplace:
        raise Refused("an operation in place")
    return _unary("relu", symbol)


def _leaky_relu(symbol: Symbol, negative_slope: float = 0.01, inplace: bool = False) -> Symbol:
    if inplace:
        raise Refused("an operation in place")
    return _unary("leaky", symbol, float(negative_slope))


def _softplus(symbol: Symbol, beta: float = 1, threshold: float = 20) -> Symbol:
    if (beta, threshold) != (1, 20):
        raise Refused("`softplus` with a beta or threshold of its own")
    return _unary("softplus", symbol)


def _filled(number: float) -> Callable[..., Symbol]:
    def rule(like: Symbol, **_: Any) -> Symbol:
        return Symbol(like._tracer, [number] * len(_blocks_of(like, "ones_like")), like._dim, shape=like._shape)

    return rule


def _split(symbol: Symbol, size: int | Sequence[int], dim: int = 0) -> tuple[Symbol, ...]:
    """torch.split along the features."""
    blocks, unit = _blocks_of(symbol, "split"), symbol._tracer.size
    if dim not in (symbol._dim - 1, -1):
        raise Refused("`split` along the batch")
    if isinstance(size, int):
        sizes = [size] * (len(blocks) * unit // size)
    else:
        sizes = list(size)
    if any(each % unit for each in sizes) or sum(sizes) != len(blocks) * unit:
        raise Refused(f"`split` into parts that are no multiples of {unit} features")
    parts, start = [], 0
    for each in sizes:
        end = start + each // unit
        parts.append(Symbol(symbol._tracer, blocks[start:end], symbol._dim, shape=(each,)))
        start = end
    return tuple(parts)


def _features(symbol: Symbol, index: Any) -> Symbol:
    """symbol[:, a:b] of rows."""
    blocks, unit = _blocks_of(symbol, "indexing"), symbol._tracer.size
    whole = isinstance(index, tuple) and len(index) == 2 and index[0] == slice(None)
    if symbol._dim != 2 or not whole or not isinstance(index[1], slice) or index[1].step not in (None, 1):
        raise Refused("indexing by anything but [:, a:b]")
    start, end, _ = index[1].indices(len(blocks) * unit)
    if start % unit or end % unit or start >= end:
        raise Refused(f"indexing of features that are no multiples of {unit}")
    return symbol._tracer.rows(blocks[start // unit : end // unit])


def _chunk(symbol: Symbol, chunks: int, dim: int = 0) -> tuple[Symbol, ...]:
    count = len(_blocks_of(symbol, "chunk"))
    if count % chunks:
        raise Refused(f"`chunk` of {count} blocks of features into {chunks}")
    return _split(symbol, count // chunks * symbol._tracer.size, dim)


def _cat(symbols: Sequence[Symbol], dim: int = 0) -> Symbol:
    first = symbols[0]
    if dim not in (1, -1) or any(each._dim != 2 for each in symbols):
        raise Refused("`cat` along the batch")
    return first._tracer.rows([block for each in symbols for block in _blocks_of(each, "cat")])


def _transpose(symbol: Symbol, *_: Any) -> Symbol:
    if symbol._blocks is not None:
        raise Refused("the transpose of rows")
    return Symbol(
        symbol._tracer, None, 2, weight=symbol._weight, shape=symbol._shape, transposed=not symbol._transposed
    )


def _matmul(a: Symbol, b: Symbol) -> Symbol:
    """rows @ matrix."""
    for each in (a, b):
        if isinstance(each, _LateWeight):
            each.use()
    if not isinstance(b, Symbol) or b._blocks is not None or b._weight is None or not isinstance(a, Symbol):
        raise Refused("a product of two tensors that the step computes")
    blocks = _blocks_of(a, "matmul")
    inputs, outputs = b.shape
    size = a._tracer.size
    if a._dim != 2 or inputs != len(blocks) * size or outputs % size:
        raise Refused(f"a product of {len(blocks) * size} features with a weight of shape {tuple(b.shape)}")
    if not all(isinstance(block, Value) for block in blocks):
        raise Refused("a product with a constant")
    made = a._tracer.form.product([*blocks], b._weight, b._transposed, outputs // size)
    return a._tracer.rows(made)


def _linear(rows: Symbol, weight: Symbol, bias: Symbol | None = None) -> Symbol:
    product = _matmul(rows, _transpose(weight))
    return product if bias is None else _binary("add", product, bias)


def _addmm(bias: Symbol, a: Symbol, b: Symbol) -> Symbol:
    return _binary("add", _matmul(a, b), bias)


def _no_reduction(*_: Any, **__: Any) -> Symbol:
    raise Refused("a normalisation, a reduction over a row's features")


RULES: dict[str, Callable[..., Any]] = {
    "add": _scaled("add"),
    "sub": _scaled("sub"),
    "rsub": lambda a, b: _binary("sub", b, a),
    "mul": lambda a, b: _binary("mul", a, b),
    "div": lambda a, b: _binary("div", a, b),
    "maximum": lambda a, b: _binary("maximum", a, b),
    "minimum": lambda a, b: _binary("minimum", a, b),
    "pow": _power,
    "square": lambda a: _power(a, 2),
    "leaky_relu": _leaky_relu,
    "relu": _relu,
    "softplus": _softplus,
    "special_expit": lambda a: _unary("sigmoid", a),
    "logsigmoid": lambda a: _unary("log_sigmoid", a),
    "log_sigmoid": lambda a: _unary("log_sigmoid", a),  # F.logsigmoid calls itself so
    "detach": lambda a: _unary("stop", a),
    "contiguous": _same,
    "clone": _same,
    "ones_like": _filled(1.0),
    "zeros_like": _filled(0.0),
    "split": _split,
    "chunk": _chunk,
    "cat": _cat,
    "concat": _cat,
    "t": _transpose,
    "matmul": _matmul,
    "mm": _matmul,
    "linear": _linear,
    "addmm": _addmm,
    "group_norm": _no_reduction,
    "layer_norm": _no_reduction,
}
RULES |= {name: functools.partial(_unary, name) for name in ("neg", "sigmoid", "tanh", "exp", "log", "sqrt", "abs")}
RULES |= {"multiply": RULES["mul"], "divide": RULES["div"], "true_divide": RULES["div"], "subtract": RULES["sub"]}
