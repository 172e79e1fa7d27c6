"""The import law of the house: rooms reach down, never up, and each heavy library has one room.

Read from the syntax trees, so an import inside a function or under TYPE_CHECKING counts like any other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "rnnbench"

PLAIN = {"errors", "store", "_version"}  # these and reports know no torch
LOW = PLAIN | {"seeds"}
NETS = {"nn", "datasets"}
MAY_IMPORT = {
    "errors": PLAIN,
    "store": PLAIN,
    "reports": PLAIN,
    "_version": set(),
    "seeds": LOW,
    "nn": set(),
    "datasets": LOW,
    "tracking": LOW | NETS,
    "training": LOW | NETS,
    "runs": LOW | NETS | {"tracking", "training"},
    "sweeps": LOW | NETS | {"tracking", "training", "runs"},
    "bench": LOW | NETS | {"tracking", "training", "runs", "sweeps", "reports"},
    "cli": LOW | NETS | {"tracking", "training", "runs", "sweeps", "reports"},
}
ONLY_IN = {"wandb": "tracking", "pytorch_lightning": "training", "lightning": "training", "hydra": "runs"}
FRONT = {"cli", "__init__", "__main__"}  # may import anything, but nothing that loads torch until a command needs it

FILES = sorted(ROOT.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


ROOMS = {room(path) for path in FILES} - {"__init__", "__main__"}


def nodes(tree: ast.AST, at_import: bool) -> Iterator[ast.AST]:
    """Every node; with at_import only those that run when the file is imported."""
    for child in ast.iter_child_nodes(tree):
        later = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not (at_import and (later or typing)):
            yield child
            yield from nodes(child, at_import)


def imported(source: str, package: list[str], at_import: bool = False) -> set[str]:
    """Dotted names of what a file of `package` imports; for `from a.b import c` both a.b and a.b.c."""
    found = set()
    for node in nodes(ast.parse(source), at_import):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return found


def imports(path: Path, at_import: bool = False) -> set[str]:
    return imported(path.read_text(), ["rnnbench", *path.relative_to(ROOT).parts[:-1]], at_import)


def libraries(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def rooms(names: set[str]) -> set[str]:
    """The rooms among dotted names; rnnbench itself is none."""
    return {name.split(".")[1] for name in names if name.startswith("rnnbench.")} & ROOMS


def each(files: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files, ids=lambda path: str(path.relative_to(ROOT)))


def test_every_room_has_its_law():
    assert {"nn", "errors"} <= ROOMS <= set(MAY_IMPORT), "a new room needs its line in MAY_IMPORT"


@each([path for path in FILES if room(path) in ROOMS])
def test_a_room_reaches_down_only(path):
    assert rooms(imports(path)) - {room(path)} - MAY_IMPORT[room(path)] == set()


@each(FILES)
def test_a_heavy_library_has_one_room(path):
    assert {
        lib for lib in libraries(imports(path)) if room(path) not in {ONLY_IN.get(lib, room(path)), "bench"}
    } == set()


@each([path for path in FILES if room(path) in PLAIN | {"reports"}])
def test_records_and_reports_know_no_torch(path):
    assert "torch" not in libraries(imports(path))


@pytest.mark.integration
@each([path for path in FILES if room(path) in FRONT])
def test_the_front_door_opens_without_torch(path):
    names = imports(path, at_import=True)
    heavy = {room(p) for p in FILES if "torch" in libraries(imports(p, at_import=True))}
    assert "torch" not in libraries(names)
    assert rooms(names) & heavy == set()


def test_nn_needs_torch_only():
    found = {lib for path in FILES if room(path) == "nn" for lib in libraries(imports(path))}
    assert found - sys.stdlib_module_names == {"torch", "rnnbench"}


def test_the_reader_sees_every_form_of_import():
    source = """
import a.b
from c import d
from . import maps
from ..runs import run
if TYPE_CHECKING:
    import pandas
def f():
    import wandb
"""
    now = {"a.b", "c", "c.d", "rnnbench.nn", "rnnbench.nn.maps", "rnnbench.runs", "rnnbench.runs.run"}
    assert imported(source, ["rnnbench", "nn"]) == now | {"pandas", "wandb"}
    assert imported(source, ["rnnbench", "nn"], at_import=True) == now
    assert rooms(now) == {"nn", "runs"} & ROOMS
