"""Modules that Lightning and torch import on their way and a run never asks: imported when something asks them.

Half of what a process computed before its first update was the import of three of them:

- `torch._dynamo`, the compiler, with sympy and most of torch.distributed. Lightning takes one class of it for an
  isinstance; every optimizer of torch calls its `graph_break`, which does nothing, around every step.
- `torchmetrics.utilities.plot`, with matplotlib's pyplot, for the annotations of methods that draw.
- `scipy.signal`, with scipy.stats, because torchmetrics gives it an old name back.

Their import gives a stand-in. What is asked of these modules at import it answers itself (`_ANSWERS`); anything else,
a submodule as well, imports the real one, which then takes its place for good. So an answer that is missing here, as
after an update of a library, costs time and nothing else. No module of a library is changed. What a stand-in cannot
hide: `vars` of it has a few names, and `importlib.reload` of it is refused.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import FunctionType, ModuleType
from typing import Any

DYNAMO, PLOT, SIGNAL = "torch._dynamo", "torchmetrics.utilities.plot", "scipy.signal"

_lock = threading.Lock()
_planned: set[str] = set()  # of which the next import gives a stand-in


class StandIn(ModuleType):
    """A module that knows a few names, and imports the real module of its name for every other."""

    def __init__(self, name: str, answers: Mapping[str, object]) -> None:
        super().__init__(name)
        # What an import sets is that of the real one: its file for who walks through sys.modules (inspect does), its
        # path for who looks for what it contains. Submodules are found by `_Imports`.
        spec = _place(name) or ModuleSpec(name, None)
        vars(self).update(answers, __spec__=spec, __loader__=spec.loader)
        if spec.origin is not None:
            vars(self)["__file__"] = spec.origin
        if spec.submodule_search_locations is not None:
            vars(self)["__path__"] = spec.submodule_search_locations

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__all__":  # asked of every module, by warnings for one
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(load(self.__name__), name)

    def __setattr__(self, name: str, value: object) -> None:
        if name in _OF_IMPORT:
            super().__setattr__(name, value)
            return
        setattr(load(self.__name__), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(load(self.__name__), name)

    def __dir__(self) -> list[str]:
        return dir(load(self.__name__))


_OF_IMPORT = ("__spec__", "__loader__", "__package__", "__path__", "__file__", "__cached__")  # set by every import


def _place(name: str) -> ModuleSpec | None:
    """Where the real module of that name lies, without importing it; its package is imported."""
    package = sys.modules.get(name.rpartition(".")[0])
    return PathFinder.find_spec(name, getattr(package, "__path__", None))


def waits(name: str) -> bool:
    """Has nobody asked for the real module yet?"""
    return name in _planned or isinstance(sys.modules.get(name), StandIn)


def load(name: str) -> ModuleType:
    """The real module, imported now where a stand-in has its place. Raises what its import raises."""
    with _lock:
        _planned.discard(name)
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


class _Imports(MetaPathFinder):
    """Finds a stand-in where one is planned, and a submodule of it: the real package is imported first, as ever."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if isinstance(target, StandIn):  # reloaded: refused once, as what is no longer there
            load(fullname)
        if fullname in _planned:
            return self._stand_in(fullname)
        parent = fullname.rpartition(".")[0]
        if parent not in _ANSWERS or not waits(parent):
            return None
        load(parent)
        if (loaded := sys.modules.get(fullname)) is not None:  # by its package: not a second time
            return ModuleSpec(fullname, _AsItIs(loaded))
        return importlib.util.find_spec(fullname)

    def _stand_in(self, name: str) -> ModuleSpec | None:
        """None, and with it the real one, where there is none to stand for."""
        if (real := _place(name)) is None:
            return None
        spec = ModuleSpec(name, _AsItIs(StandIn(name, _ANSWERS[name])), origin=real.origin)
        spec.submodule_search_locations = real.submodule_search_locations
        return spec


class _AsItIs(Loader):
    """Hands out a module that is loaded already, unchanged."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec
        module.__loader__ = None if self.spec is None else self.spec.loader
        if isinstance(module, StandIn):
            _planned.discard(module.__name__)


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
    """From here on the import of a module that nobody has imported gives a stand-in. Again is as good as once."""
    if any(isinstance(finder, _Imports) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Imports())
    _planned.update(name for name in _ANSWERS if name not in sys.modules)
