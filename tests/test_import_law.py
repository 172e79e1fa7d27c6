"""The import law of the house: rooms reach down, never up, and each heavy library has one room.

Read from the syntax trees, so an import inside a function or under TYPE_CHECKING counts like any other.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Container, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "rnnbench"

PLAIN = {"errors", "store", "_version"}  # these and reports know no torch
LOW = PLAIN | {"seeds"}
NETS = {"nn", "datasets"}
MAY_IMPORT = {
    "errors": set(),
    "toolchain": {"errors"},
    "store": {"errors", "_version"},
    "reports": PLAIN | {"toolchain"},
    "_version": set(),
    "seeds": set(),
    "nn": {"errors", "toolchain"},
    "datasets": LOW,
    "tracking": LOW | NETS,
    "training": LOW | NETS,
    "runs": LOW | NETS | {"toolchain", "tracking", "training"},
    "sweeps": LOW | NETS | {"toolchain", "tracking", "training", "runs"},
    "bench": LOW | NETS | {"toolchain", "tracking", "training", "runs", "sweeps", "reports"},
    "face": LOW | NETS | {"toolchain", "tracking", "training", "runs", "sweeps", "reports"},
    "cli": LOW | NETS | {"toolchain", "tracking", "training", "runs", "sweeps", "reports", "face"},
}

# Two rooms have rooms of their own, a folder or a file each. Beside what their house may import they may import:
SHARED = {"tables", "statistics", "selection", "figures"}
QUESTIONS = {"boards", "compare", "ablation", "search", "claims", "predictions", "show"}
ANY_OTHER = "*"
MAY_IMPORT_INSIDE: dict[str, dict[str, set[str]]] = {
    "reports": {
        "tables": set(),
        "statistics": set(),
        "selection": {"tables", "statistics"},
        "figures": {"tables", "statistics"},
        **dict.fromkeys(QUESTIONS, SHARED),
        "publish": SHARED | QUESTIONS,
        "page": SHARED | QUESTIONS,
    },
    "datasets": {
        "base": set(),
        "film": {"base"},
        "own": {"base"},
        ANY_OTHER: {"base", "film", "own"},  # a dataset's file
        "fsdd": {"base", "own", "own_sequences"},  # these two are read as users' sequences are
        "uea": {"base", "own", "own_sequences"},
        "moving_digits": {"base", "film", "digits"},  # these three draw their films from another's images
        "moving_mnist": {"base", "film", "mnist"},
        "moving_mnist_pp": {"base", "film", "mnist"},
    },
}
LONGEST_CHAIN = 5  # of sub-rooms of reports, each importing the next

ONLY_IN = {"wandb": "tracking", "pytorch_lightning": "training", "lightning": "training", "hydra": "runs"}
FRONT = {"cli", "__init__", "__main__"}  # may import anything, but nothing that loads torch until a command needs it

FILES = sorted(ROOT.rglob("*.py"))
Graph = dict[str, set[str]]


def module(path: Path) -> str:
    """ "rnnbench.store.rows"; of a package's `__init__` the package."""
    return ".".join(["rnnbench", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


MODULES = {module(path): path for path in FILES}


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


ROOMS = {room(path) for path in FILES} - {"__init__", "__main__"}


def place(name: str) -> str:
    """The room of a module, or its sub-room where its room has some: "store", "reports.tables", "datasets.digits"."""
    house, *inner = [*name.split(".")[1:3], ""]
    return f"{house}.{inner[0]}" if house in MAY_IMPORT_INSIDE and inner[0] else house or name


INNER = sorted(name for name in MODULES if "." in place(name))


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


@functools.cache
def imports(path: Path, at_import: bool = False) -> set[str]:
    return imported(path.read_text(), ["rnnbench", *path.relative_to(ROOT).parts[:-1]], at_import)


def libraries(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def rooms(names: set[str]) -> set[str]:
    """The rooms among dotted names; rnnbench itself is none."""
    return {name.split(".")[1] for name in names if name.startswith("rnnbench.")} & ROOMS


def files_of(names: set[str], known: Container[str]) -> set[str]:
    """The modules among dotted names; a package only where its `__init__` gives a name that is no module itself."""
    found = set()
    for name in names:
        taken = {other for other in names if other.rpartition(".")[0] == name}
        if name in known and (not taken or any(other not in known for other in taken)):
            found.add(name)
    return found


def modules(path: Path) -> set[str]:
    """The other files that a file imports from."""
    return files_of(imports(path), MODULES) - {module(path)}


def graph() -> Graph:
    """Which file imports from which, by module; imports in functions and under TYPE_CHECKING are in it."""
    return {name: modules(path) for name, path in MODULES.items()}


def between_rooms(files: Graph) -> Graph:
    """The same between rooms and sub-rooms."""
    found: Graph = {}
    for name, others in files.items():
        found.setdefault(place(name), set()).update({place(other) for other in others} - {place(name)})
    return found


def circle(edges: Graph) -> list[str]:
    """The places of one circle in their order; empty where there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def longest_chain(edges: Graph) -> list[str]:
    """The most places of a graph without circles of which each imports the next."""
    chains: dict[str, list[str]] = {}
    for name in TopologicalSorter(edges).static_order():  # what is imported comes first
        below = [chains[other] for other in edges.get(name, ())]
        chains[name] = [name, *max(below, key=len, default=[])]
    return max(chains.values(), key=len)


def each(files: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", files, ids=lambda path: str(path.relative_to(ROOT)))


def test_every_room_has_its_law():
    assert {"nn", "errors"} <= ROOMS <= set(MAY_IMPORT), "a new room needs its line in MAY_IMPORT"


@each([path for path in FILES if room(path) in ROOMS])
def test_a_room_reaches_down_only(path):
    assert rooms(imports(path)) - {room(path)} - MAY_IMPORT[room(path)] == set()


def test_every_sub_room_has_its_law():
    for house, law in MAY_IMPORT_INSIDE.items():
        inside = {place(name).split(".")[1] for name in INNER if place(name).startswith(f"{house}.")}
        assert set(law) - {ANY_OTHER} <= inside
        assert ANY_OTHER in law or inside <= set(law), "a new sub-room needs its line in MAY_IMPORT_INSIDE"


@pytest.mark.parametrize("name", INNER)
def test_a_sub_room_reaches_down_only(name):
    house, inner = place(name).split(".")
    others = {place(other) for other in modules(MODULES[name])} - {place(name)}
    found = {other for other in others if other.split(".")[0] == house}
    law = MAY_IMPORT_INSIDE[house]
    assert found - {f"{house}.{allowed}" for allowed in law.get(inner, law.get(ANY_OTHER, ()))} == set()


def told(heading: str) -> dict[str, set[str]]:
    """What each room of a table in docs/architecture.md may import, by room."""
    section = (ROOT.parents[1] / "docs" / "architecture.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.match(r"`([^`]+)`", cells[0])
        if name:
            words = re.findall(r"`([^`]*)`", cells[-1])
            found[name[1].rstrip("/").removesuffix(".py")] = {word for text in words for word in text.split()}
    return found


def test_the_document_tells_the_law_as_it_is():
    assert told("Rooms") == {name: others - {name} for name, others in MAY_IMPORT.items()}
    for house, law in MAY_IMPORT_INSIDE.items():
        assert told(f"Inside `{house}/`") == law


def test_statistics_are_numbers_from_numbers():
    """No frame, no record, no words: numpy, scipy, the standard library and each other."""
    for name in INNER:
        if place(name) == "reports.statistics":
            path = MODULES[name]
            assert libraries(imports(path)) - sys.stdlib_module_names <= {"numpy", "scipy", "rnnbench"}
            assert {place(other) for other in modules(path)} <= {"reports.statistics"}


def test_no_file_is_in_a_circle_of_imports():
    assert circle(graph()) == []


def test_no_room_is_in_a_circle_of_imports():
    assert circle(between_rooms(graph())) == []


def test_a_reader_of_reports_goes_through_few_rooms():
    edges = between_rooms(graph())
    reports = {name: edges[name] & set(edges) for name in edges if name.startswith("reports.")}
    chain = longest_chain({name: {other for other in others if other in reports} for name, others in reports.items()})
    assert len(chain) <= LONGEST_CHAIN, " -> ".join(chain)


def test_the_law_sees_a_circle_and_a_chain():
    chain: Graph = {"a": {"b", "c"}, "b": {"c"}, "c": {"d"}, "d": set()}
    assert circle(chain) == []
    assert longest_chain(chain) == ["a", "b", "c", "d"]
    assert set(circle(chain | {"d": {"b"}})) == {"b", "c", "d"}


def test_a_package_counts_only_where_it_gives_the_name():
    known = {"rnnbench.nn", "rnnbench.nn.maps"}
    for source, found in (
        ("from rnnbench.nn import maps", {"rnnbench.nn.maps"}),
        ("from rnnbench.nn.maps import dense", {"rnnbench.nn.maps"}),
        ("from rnnbench.nn import LSTM, maps", known),
        ("import rnnbench.nn", {"rnnbench.nn"}),
    ):
        assert files_of(imported(source, ["rnnbench", "runs"]), known) == found
    assert [place(f"rnnbench.{name}") for name in ("store.rows", "reports.show", "datasets.film.task", "datasets")] == [
        "store", "reports.show", "datasets.film", "datasets",
    ]  # fmt: skip


@each(FILES)
def test_a_heavy_library_has_one_room(path):
    assert {
        lib for lib in libraries(imports(path)) if room(path) not in {ONLY_IN.get(lib, room(path)), "bench"}
    } == set()


@each([path for path in FILES if room(path) in PLAIN | {"reports", "toolchain"}])
def test_records_and_reports_know_no_torch(path):
    assert "torch" not in libraries(imports(path))


@each([path for path in FILES if path.parent.name == "own" and room(path) == "datasets"])
def test_readers_of_users_files_know_no_torch(path):
    assert "torch" not in libraries(imports(path))


def test_the_toolchain_needs_the_standard_library_only():
    assert libraries(imports(ROOT / "toolchain.py")) - sys.stdlib_module_names == {"rnnbench"}


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
