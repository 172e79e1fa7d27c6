"""What a user's own yaml and module must be: checked before a run is composed, said with the file and the key.

Ours are held to the same rules by the tests. A yaml that builds on another (`defaults:`) is checked as composed. It
imports no torch by itself; the user's module, which it imports to see whether that can be done, does.
"""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnbench.datasets.own.readers import READERS
from rnnbench.errors import BadInput, nearest
from rnnbench.runs import own_source, registry
from rnnbench.runs.allowed import Allowed, flag, is_finite, one_of, several, text, whole
from rnnbench.store.config import FAMILIES, Composed

MAPPING = Allowed("a mapping of options", lambda v: isinstance(v, Mapping))
NUMBER = Allowed("a number", is_finite)
OPTIONAL_MAPPING = MAPPING._replace(optional=True)
DIRECTIONS = ("forward", "backward", "bidirectional")
SHAPES = ("per_channel", "hadamard", "conv1x1", "conv")
CLASS_NAME = Allowed("a class by its module, my_module.MyClass", lambda v: isinstance(v, str) and "." in v.strip("."))
CLASS = {"_target_": CLASS_NAME}
META: dict[str, dict[str, Allowed]] = {
    "cell": {
        "name": text(), "label": text(), "version": whole(0), "operator": one_of("dense", "conv2d"),
        "family": one_of(*FAMILIES, optional=True), "paper": text(optional=True), "params": whole(1, optional=True),
        "kernel": one_of(None, "lstm", "gru", "rnn_tanh", "rnn_relu"), "compiles": flag(optional=True),
        "scans": flag(optional=True),
        "peephole_gates": several(("i", "f", "o"), null=True), "peephole_shapes": several(SHAPES, optional=True),
        "no_peephole": text(optional=True), "needs": one_of("rollout", optional=True),
        "recurrent": flag(optional=True),
        "dropout": one_of("between", "within", optional=True), "directions": several(DIRECTIONS, optional=True),
        "no_direction": text(optional=True),
    },
    "dataset": {
        "name": text(), "version": whole(0), "inputs": one_of("features", "tokens", "frames"),
        "outputs": one_of("sequence", "step", "frames"), "download": text(optional=True),
        "causal": flag(optional=True), "paper": OPTIONAL_MAPPING, "reader": one_of(*READERS, optional=True),
    },
}  # fmt: skip
NODE: dict[str, dict[str, Allowed]] = {
    "cell": {"meta": MAPPING, **CLASS},
    "dataset": {"meta": MAPPING, **CLASS},
    "optimizer": {"name": text(), **CLASS},
    "schedule": {"name": text(), "_target_": CLASS_NAME._replace(optional=True)},
    "tracker": {"name": text()},
    "budget": {
        "name": text(), "updates": whole(1), "batch_size": whole(1), "val_every": whole(1),
        "patience": whole(1, null=True),
    },
    "depth": {
        "layers": whole(1, null=True), "dropout": NUMBER, "residual": flag(), "norm": one_of("none", "layer"),
    },
    "direction": {"way": one_of(*DIRECTIONS), "merge": one_of(None, "concat", "sum")},
    "peephole": {
        "shape": one_of("none", *SHAPES), "gates": several(("i", "f", "o")),
        "output_sees": one_of("current", "previous"), "gradient": one_of("full", "detach"),
        "start": one_of("zero", "uniform", "uniform01", "normal"),
    },
    "forecast": {
        "kind": one_of("auto", "encoder_forecaster", "rollout"), "patch": whole(1),
        "sizes": Allowed("a list of whole numbers, or null", lambda v: v is None or isinstance(v, list)),
        "reads": one_of("all", "top"), "bias": flag(), "sampling": MAPPING, "decouple": NUMBER,
    },
}  # fmt: skip
SAMPLING = {"mode": one_of("own", "teacher", "scheduled", "reverse"), "stop": whole(0, null=True), "alpha": NUMBER}
PAPER = {"updates": whole(1), "batch_size": whole(1)}
CLASSES = ("cell", "dataset")  # whose `_target_` is a class; an optimizer or a schedule may come from a function


def is_own(path: Path) -> bool:
    """Whether a choice's file is the user's own."""
    return any(path.is_relative_to(folder) for folder in registry.extra_dirs())


def check(group: str, name: str) -> None:
    """Refuse a user's own choice that no run can be made of. Raises BadInput: its file and key, or file and line."""
    path = registry.choice_path(group, name)
    if not is_own(path):
        return
    node = registry.read(group, name)
    if "defaults" not in node and group in NODE:
        check_node(group, path, node)


def check_composed(group: str, name: str, node: Composed) -> None:
    """The same of a choice that builds on another one, composed."""
    path = registry.choice_path(group, name)
    if is_own(path) and "defaults" in registry.read(group, name):
        check_node(group, path, node)


def check_node(group: str, path: Path, node: Composed) -> None:
    """Refuse a choice whose keys are not what they must be, or whose class cannot be had. Raises BadInput."""
    if not node:
        raise BadInput(f"{path} is empty; a {group} has {', '.join(NODE[group])}.")
    _check_keys(path, "", node, NODE[group])
    if group in META:
        _check_meta(group, path, node["meta"])
    if group == "forecast":
        _check_keys(path, "sampling.", node["sampling"], SAMPLING)
    if "_target_" in node:
        _check_target(path, node["_target_"], needs_class=group in CLASSES)


def _check_keys(path: Path, prefix: str, node: Mapping[Any, Any], keys: Mapping[str, Allowed]) -> None:
    for name, key in keys.items():
        if name not in node:
            if key.optional:
                continue
            near = [str(k) for k in node if k not in keys]
            hint = f" (is it {near[0]!r}?)" if len(near) == 1 else ""
            raise BadInput(f"{path}: {prefix}{name} is missing{hint}; it is {key.words}.")
        value = node[name]
        if not key.holds(value) and not (isinstance(value, str) and "${" in value):  # taken from another option
            raise BadInput(f"{path}: {prefix}{name} must be {key.words}, not {value!r}.")


def _check_meta(group: str, path: Path, meta: Mapping[Any, Any]) -> None:
    """What a cell or a dataset says of itself."""
    _check_keys(path, "meta.", meta, META[group])
    if meta["name"] != path.stem:
        raise BadInput(f"{path}: meta.name must be the file's name, {path.stem}, not {meta['name']!r}.")
    if group == "cell" and meta.get("recurrent") is False:
        keys = {name: META["cell"][name]._replace(optional=False) for name in ("directions", "no_direction")}
        _check_keys(path, "meta.", meta, keys)
    if group == "dataset":
        if (meta["inputs"] == "frames") != (meta["outputs"] == "frames"):
            raise BadInput(f"{path}: meta.inputs and meta.outputs are both frames, or neither.")
        if "paper" in meta:
            _check_keys(path, "meta.paper.", meta["paper"], PAPER)


def _check_target(path: Path, target: str, *, needs_class: bool) -> None:
    """Refuse a `_target_` that cannot be imported, or that is nothing to call."""
    registry.import_extra_dirs()
    found = find_target(target, str(path))
    if needs_class and not isinstance(found, type):
        raise BadInput(f"{path}: _target_: {target} is a {type(found).__name__}, not a class.")
    if not callable(found):
        raise BadInput(f"{path}: _target_: {target} is a {type(found).__name__}, nothing to call.")


def find_target(target: str, named_by: str) -> Any:
    """What a `_target_` names. Raises BadInput: where it is named, and what is wrong with it or with its module."""
    module, _, name = target.rpartition(".")
    found = import_module(module, named_by)
    if not hasattr(found, name):
        place = getattr(found, "__file__", None) or module
        known = [word for word in vars(found) if not word.startswith("_")]
        raise BadInput(f"{named_by}: _target_: {place} has no {name}; {nearest(name, known, 8)}")
    return getattr(found, name)


def import_module(module: str, named_by: str) -> Any:
    """A module by name. Raises BadInput: there is none, or the file, line and error that its import ended with."""
    try:
        with own_source.importing({"_target_": module}, refuse=False):
            return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            folders = ", ".join(map(str, registry.extra_dirs())) or "no folder of yours"
            raise BadInput(f"{named_by}: _target_: there is no module {error.name} (looked in {folders}).") from None
        raise BadInput(f"{named_by}: {where(error)}") from None
    except (Exception, SystemExit) as error:  # whatever somebody's module does when it is imported
        raise BadInput(f"{named_by}: {where(error)}") from None


def where(error: BaseException) -> str:
    """File, line and error of what ended the import of a user's module, as one sentence."""
    said = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no reason given'}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: {type(error).__name__}: {error.msg}."
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    own = [frame for frame in frames if is_own(Path(frame.filename))] or frames
    return f"{own[-1].filename}, line {own[-1].lineno}: {said.rstrip('.')}." if own else f"{said.rstrip('.')}."
