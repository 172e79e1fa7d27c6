"""What the user's own modules say that a run reaches, file by file: a record made when they said otherwise is stale.

Reached are the modules of the classes that a config names (`_target_`), and what these import, in functions as well: of
the user's config folders, and of the installed package that a class is named from. rnnbench's and torch's are not among
them. Only what stands in an import is followed. A file is hashed as `source_hash` hashes ours: without docstrings,
comments and layout. No torch; nothing is imported to be read.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.runs import grants, registry
from rnnbench.runs.source_hash import DIGITS, what_it_says

NOT_THE_USERS = frozenset({"rnnbench", "torch", *sys.stdlib_module_names})

# Of modules that this process has imported: which import of it that was, and what its file said then.
_imported: dict[str, tuple[object, str]] = {}


@dataclass(frozen=True)
class Reached:
    """A module that a run reaches. name: of its file, seen from the folder that Python finds it in."""

    module: str
    name: str
    says: str


def of(config: Mapping[str, Any]) -> dict[str, str] | None:
    """What the user's files say that a config reaches, by name, 12 hex digits each; None where it reaches none."""
    return {each.name: each.says for each in sorted(reached(config), key=lambda each: each.name)} or None


def changed(recorded: Mapping[str, Any]) -> list[str]:
    """The files among those of a record that say otherwise today. One whose folder nobody has named is not judged."""
    registry.import_extra_dirs()
    return [name for name, says in recorded.items() if _says_today(name) not in (None, says)]


def have_changed(names: list[str]) -> str:
    """`leaky.py has changed`."""
    return f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} changed"


@contextlib.contextmanager
def importing(node: Mapping[str, Any], *, refuse: bool = True) -> Iterator[None]:
    """Around what imports the classes of a node.

    Raises BadInput where this process imported a module before its file was edited, and would go on with the old one.
    refuse: False where the process only plans, and nothing is computed with it.
    """
    before = reached(node)
    for each in before:
        spec, says = _imported.get(each.module, (None, each.says))
        if refuse and spec is not None and spec is _spec_of_loaded(each.module) and says != each.says:
            raise BadInput(
                f"{each.name} has changed since this process imported it: start a new one (in a notebook, restart the "
                "kernel), or use a sweep, whose runs have processes of their own."
            )
    yield
    for each in before:
        spec = _spec_of_loaded(each.module)
        if spec is not None and _imported.get(each.module, (None, ""))[0] is not spec:
            _imported[each.module] = (spec, each.says)


def _spec_of_loaded(module: str) -> object:
    """What tells one import of a module from the next (a reload); None where it is not imported."""
    return getattr(sys.modules.get(module), "__spec__", None)


def reached(config: Mapping[str, Any]) -> list[Reached]:
    """The user's modules that a config, or a node of one, reaches."""
    targets = [name for name in targets_of(config) if name.partition(".")[0] not in NOT_THE_USERS]
    if not targets:
        return []
    registry.import_extra_dirs()
    packages = frozenset(name.partition(".")[0] for name in targets)
    found: dict[str, Reached] = {}
    todo = list(targets)
    while todo:
        for module in _with_parents(todo.pop()):
            if module in found or not _is_users(module.partition(".")[0], packages):
                continue
            if (file := _file_of(module)) is not None:
                says, imports = _read(file[1].read_bytes())
                found[module] = Reached(module, file[0], says)
                todo += _absolute(imports, module, is_package=file[1].name == "__init__.py")
    return list(found.values())


def targets_of(node: Any) -> Iterator[str]:
    """Every class that a config names."""
    return (target for _, target in grants.targets(node))


def _with_parents(module: str) -> Iterator[str]:
    """`a`, `a.b`, `a.b.c`: all that is imported with the last."""
    parts = module.split(".")
    yield from (".".join(parts[: n + 1]) for n in range(len(parts)))


def _is_users(top: str, packages: frozenset[str]) -> bool:
    """Whether a module of this first name is the user's: named by a target, or in a config folder."""
    if top in NOT_THE_USERS:
        return False
    folders = registry.extra_dirs()
    there = any((folder / f"{top}.py").is_file() or (folder / top).is_dir() for folder in folders)
    return top in packages or (there and any(place in folders for place in _places(top)))


def _places(top: str) -> list[Path]:
    """The folders in which Python finds a module or package of this first name; none where there is none."""
    try:
        spec = importlib.util.find_spec(top)  # of a first name nothing is imported
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations:
        return [Path(place).resolve().parent for place in spec.submodule_search_locations]
    return [Path(spec.origin).resolve().parent] if spec.origin and spec.origin.endswith(".py") else []


def _file_of(module: str) -> tuple[str, Path] | None:
    """The file of a module, with its name; None of a class, of a folder without an `__init__.py`, of compiled code."""
    parts = module.split(".")
    for place in _places(parts[0]):
        base = place.joinpath(*parts)
        for path in (base / "__init__.py", base.with_name(f"{parts[-1]}.py")):
            if path.is_file():
                return path.relative_to(place).as_posix(), path
    return None


def _says_today(name: str) -> str | None:
    """What a file of this name says today; "" where it is gone, None where nothing is known of its folder."""
    parts = name.removesuffix(".py").split("/")
    if not name.endswith(".py") or not all(part.isidentifier() for part in parts):  # no version of ours has written it
        return None
    if not (places := _places(parts[0])):
        return None
    for place in places:
        with contextlib.suppress(OSError):
            return _read((place / name).read_bytes())[0]
    return ""


@functools.lru_cache(maxsize=4096)
def _read(source: bytes) -> tuple[str, tuple[tuple[int, str], ...]]:
    """What a file says, and what it imports as (level, module). One that does not parse says what its bytes are."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return hashlib.sha256(source).hexdigest()[:DIGITS], ()
    imports: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports += [(node.level, ".".join(filter(None, [node.module, alias.name]))) for alias in node.names]
    return what_it_says(tree), tuple(imports)


def _absolute(imports: tuple[tuple[int, str], ...], module: str, *, is_package: bool) -> list[str]:
    """What a module imports, by full names; of a name that is no module the module it is in counts."""
    inside = module.split(".") if is_package else module.split(".")[:-1]
    found = []
    for level, name in imports:
        above = inside[: len(inside) - level + 1] if level else []
        if not level or above:
            found.append(".".join([*above, name]))
    return found
