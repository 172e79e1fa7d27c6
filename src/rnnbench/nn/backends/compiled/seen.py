"""What of a cell its code was made from, so that a cell that has changed since is never computed by the old code.

A step is traced once. All it may have read beside its weights is looked at again before every call: the attributes of
the cell and of the modules in it, by identity, and the insides of those that can change without being replaced.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import Any

from torch import Tensor, nn

from rnnbench.nn.backends.compiled.form import Refused
from rnnbench.nn.cells.base import Cell

ABSENT = object()
OF_MODULES = {*vars(nn.Module())} - {"training"}  # what every module has; those that matter are looked at by name
PLAIN = (bool, int, float, complex, str, bytes, type(None))
DEPTH = 3  # containers in containers, objects in objects


class _Same:
    """A thing that is equal to itself alone. It is kept, so that no other gets its address."""

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


class _Module:
    """One module as it was."""

    def __init__(self, module: nn.Module, called: bool) -> None:
        self.module, self.kind, self.called = module, type(module), called
        own = vars(module)
        self.size = len(own)
        self.attributes = [(name, value) for name, value in own.items() if name not in OF_MODULES]
        self.copies: list[tuple[Any, Any]] = []  # of plain containers and objects: compared at once
        self.inside: list[tuple[str, Hashable]] = []  # of all others that can change
        for name, value in self.attributes:
            if (inner := _plain_inside(value)) is not None:
                self.copies.append((inner, copy.copy(inner)))
            elif _can_change(value):
                self.inside.append((name, _inside(value, DEPTH)))
        self.weights = [(name, weight is None) for name, weight in module._parameters.items()]
        self.buffers = [(name, buffer is None) for name, buffer in module._buffers.items()]
        self.children = [*module._modules.items()]

    def is_as_it_was(self) -> bool:
        own = vars(self.module)
        if type(self.module) is not self.kind or len(own) != self.size:
            return False
        if self.called and has_hooks(self.module):
            return False
        for name, value in self.attributes:
            if own.get(name, ABSENT) is not value:
                return False
        for now, before in self.copies:
            if now != before:
                return False
        for name, looked in self.inside:
            if _inside(own[name], DEPTH) != looked:
                return False
        children = own["_modules"]
        if len(children) != len(self.children):
            return False
        for name, child in self.children:
            if children.get(name) is not child:
                return False
        return _same_absences(own["_parameters"], self.weights) and _same_absences(own["_buffers"], self.buffers)


class Seen:
    """A cell as it was when its step was traced. Raises Refused where something of it cannot be watched."""

    def __init__(self, cell: Cell) -> None:
        # Of the cell itself its `step` is called, of W its `sequence`: their hooks are those of nobody's call.
        self.modules = [_Module(module, module not in (cell, cell.W)) for module in cell.modules()]
        if any(each.called and has_hooks(each.module) for each in self.modules):
            raise Refused("a hook, which sees tensors of every step")
        self.step, self.hoist = type(cell).step, type(cell).hoist

    def is_as_it_was(self) -> bool:
        """Whether the cell would be traced to the same code."""
        kind: Any = self.modules[0].kind
        if kind.step is not self.step or kind.hoist is not self.hoist:
            return False
        return all(module.is_as_it_was() for module in self.modules)


def has_hooks(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _same_absences(weights: dict[str, Any], before: list[tuple[str, bool]]) -> bool:
    """Whether the same names are there, and the same of them are None."""
    now = [(name, weight is None) for name, weight in weights.items()]
    return now == before


def _plain_inside(value: object) -> Any:
    """A list, set or dictionary of plain values, or an object's attributes that are all plain; None of all else."""
    inner = value
    if hasattr(value, "__dict__") and not (isinstance(value, (type, nn.Module, Tensor)) or callable(value)):
        inner = vars(value)
    if isinstance(inner, dict):
        return inner if all(isinstance(each, PLAIN) for each in inner.values()) else None
    if isinstance(inner, (list, set)):
        return inner if all(isinstance(each, PLAIN) for each in inner) else None
    return None


def _can_change(value: object) -> bool:
    """Whether a value can become another without being replaced."""
    if isinstance(value, tuple):
        return any(_can_change(each) for each in value)
    return not (isinstance(value, (*PLAIN, type, nn.Module)) or callable(value))


def _inside(value: object, depth: int) -> Hashable:
    """What a value is now, to be compared with what it is later."""
    if isinstance(value, PLAIN):
        return type(value), repr(value)  # 1, 1.0 and True are not the same option; NaN is the same as itself
    if isinstance(value, Tensor):
        return _Same(value), value._version if not value.is_inference() else None
    if depth and isinstance(value, (list, tuple)):
        return type(value), *(_inside(each, depth - 1) for each in value)
    if depth and isinstance(value, (set, frozenset)):
        return type(value), frozenset(_inside(each, depth - 1) for each in value)
    if depth and isinstance(value, dict):
        return type(value), *((_inside(k, depth - 1), _inside(v, depth - 1)) for k, v in value.items())
    if depth and hasattr(value, "__dict__") and _can_change(value):
        return _Same(value), _inside(vars(value), depth - 1)
    return _Same(value)
