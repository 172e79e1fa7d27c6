"""Modules that Lightning and torch import on their way and a run never asks: imported when something asks them.

Half of what a process computed before its first update was the import of three of them:

- `torch._dynamo`, the compiler, with sympy and most of torch.distributed. Lightning takes one class of it for an
  isinstance; every optimizer of torch calls its `graph_break`, which does nothing, around every step.
- `torchmetrics.utilities.plot`, with matplotlib's pyplot, for the annotations of methods that draw.
- `scipy.signal`, with scipy.stats, because torchmetrics gives it an old name back.

A stand-in lies in their place. What is asked of these modules at import it answers itself (`_ANSWERS`); anything else,
a submodule as well, imports the real one, which then takes its place for good. So an answer that is missing here, as
after an update of a library, costs time and nothing else. No module of a library is changed.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import Any

DYNAMO, PLOT, SIGNAL = "torch._dynamo", "torchmetrics.utilities.plot", "scipy.signal"

_lock = threading.Lock()


class StandIn(ModuleType):
    """A module that knows a few names, and imports the real module of its name for every other."""

    def __init__(self, name: str, answers: Mapping[str, object]) -> None:
        super().__init__(name)
        # Without a loader and a file: who walks through sys.modules (inspect does) passes by. A path: it may be a
        # package, whose submodules `_Submodules` finds.
        vars(self).update(answers, __spec__=ModuleSpec(name, None), __path__=[])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # asked of every module, by warnings for one
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(load(self.__name__), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(load(self.__name__), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(load(self.__name__), name)

    def __dir__(self) -> list[str]:
        return dir(load(self.__name__))


def waits(name: str) -> bool:
    """Has nobody asked for the real module yet?"""
    return isinstance(sys.modules.get(name), StandIn)


def load(name: str) -> ModuleType:
    """The real module, imported now where a stand-in has its place. Raises what its import raises."""
    with _lock:
        found = sys.modules.get(name)
        answers = _ANSWERS[name] if isinstance(found, StandIn) else {}
        if answers:
            del sys.modules[name]
    real = importlib.import_module(name)
    for attribute, answer in answers.items():
        vars(found).pop(attribute, None)  # whoever still holds the stand-in asks the real one from here on
        if not hasattr(real, attribute):  # scipy.signal.hamming, which torchmetrics would have added
            setattr(real, attribute, answer)
    return real


class _Submodules(MetaPathFinder):
    """Finds a submodule of what a stand-in stands for: the real package is imported first, as ever."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parent = fullname.rpartition(".")[0]
        if parent not in _ANSWERS or not waits(parent):
            return None
        load(parent)
        if (loaded := sys.modules.get(fullname)) is not None:  # by its package: not a second time
            return ModuleSpec(fullname, _AsItIs(loaded))
        return importlib.util.find_spec(fullname)


class _AsItIs(Loader):
    """Hands out a module that is loaded already, unchanged."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec


def _late(name: str, attribute: str) -> Callable[..., Any]:
    """A function of a module that is imported when it is called."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(load(name), attribute)(*args, **kwargs)

    return call


class _OfDynamo(type):
    """The type of a class that has no instance before torch._dynamo is imported, and then those of the real one."""

    def __instancecheck__(cls, instance: object) -> bool:
        return not waits(DYNAMO) and isinstance(instance, getattr(load(DYNAMO), cls.__name__))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return not waits(DYNAMO) and issubclass(subclass, getattr(load(DYNAMO), cls.__name__))


class OptimizedModule(metaclass=_OfDynamo):
    """What `torch.compile` makes of a network."""


def _graph_break(msg: str = "") -> None:
    """Nothing, like the real one: the compiler knows that by its name."""


def _disable(fn: Any = None, recursive: bool = True, **options: Any) -> Any:
    """A function that the compiler must leave alone: itself, until there is a compiler. Options as torch's."""
    if not isinstance(fn, FunctionType):  # a network, a class, a decorator with brackets
        return load(DYNAMO).disable(fn, recursive, **options)
    disabled: Callable[..., Any] | None = None

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal disabled
        if disabled is None:
            if waits(DYNAMO):
                return fn(*args, **kwargs)
            disabled = load(DYNAMO).disable(fn, recursive, **options)
        return disabled(*args, **kwargs)

    return call


# What the importing libraries ask of a module at import, and of the first at every update: all without importing it.
_ANSWERS: dict[str, dict[str, object]] = {
    DYNAMO: {"OptimizedModule": OptimizedModule, "graph_break": _graph_break, "disable": _disable},
    # The types as torchmetrics has them where there is no matplotlib.
    PLOT: {
        "_AX_TYPE": object,
        "_CMAP_TYPE": object,
        "_PLOT_OUT_TYPE": tuple[object, object],
        **{name: _late(PLOT, name) for name in ("plot_confusion_matrix", "plot_curve", "plot_single_or_multi_val")},
    },
    SIGNAL: {"hamming": _late("scipy.signal.windows", "hamming")},
}


def put() -> None:
    """Put a stand-in where a module has not been imported yet; before Lightning is. Again is as good as once."""
    if not any(isinstance(finder, _Submodules) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Submodules())
    for name, answers in _ANSWERS.items():
        package, _, last = name.rpartition(".")
        if name not in sys.modules and importlib.util.find_spec(name.partition(".")[0]) is not None:
            sys.modules[name] = StandIn(name, answers)
            if (parent := sys.modules.get(package)) is not None:
                setattr(parent, last, sys.modules[name])  # as an import does: `torch._dynamo` is asked at every update
