"""What the source of nn/, datasets/ and training/ says, as one hash: a record made by other source may be stale.

Of the syntax trees without docstrings, so that comments, formatting and the Python version (up to what it parses to) do
not move it. Where a file lies and what it is called does not count either: an import of ours stands for what the
imported file says. What is no Python counts by its bytes and its name, wherever it lies. No torch.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rnnbench.store.store import write_atomic

ROOMS = ("nn", "datasets", "training")  # what changes a result; the rest of the house does not
FILES = ("seeds.py",)  # every random stream begins there
NOTES = (".md", ".rst")  # read by people only; any other file may be read by a computation
DIGITS = 12


class _Import(NamedTuple):
    """What a file has of ours: from which module, under which name there (of a whole module ""), and here."""

    module: str
    name: str
    called: str


class _Said(NamedTuple):
    """What a Python file says apart from its imports of ours; and these, by the block of statements they stand in."""

    text: str
    blocks: tuple[tuple[_Import, ...], ...]


NOTHING = _Said("Module()", ())  # an empty __init__.py


@functools.cache
def source_hash() -> str:
    """12 hex digits over the source that this process was started from."""
    return kept_hash(Path(__file__).resolve().parents[1])


def kept_hash(package: Path) -> str:
    """`hash_of`, kept in the user's cache: to parse every file takes .15 s of each command, to read them .01 s.

    What is kept is named by a digest of all that it follows from, so it never answers for other source.
    """
    import platformdirs

    folder = platformdirs.user_cache_path("rnnbench") / "source_hash"
    read = _digest_of_bytes(package)
    path = folder / read
    with contextlib.suppress(OSError, UnicodeDecodeError):
        kept = path.read_text(encoding="ascii")
        if re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", kept):
            return kept
    found = hash_of(package)
    if _digest_of_bytes(package) != read:  # edited meanwhile: what was hashed is not what was read first
        return found
    with contextlib.suppress(OSError):  # no home, no room: it is computed again
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, found)
    return found


def _digest_of_bytes(package: Path) -> str:
    """Of everything that `hash_of` reads, of this very file, and of the Python that parses."""
    parts: list[str | bytes] = [sys.version, Path(__file__).read_bytes()]
    for path in sorted(_files(package)):
        parts += [str(path.relative_to(package)), path.read_bytes()]
    return _digest(*parts)


def hash_of(package: Path) -> str:
    """The hash of the source in a package's folder."""
    said = {path: _read(path, package) for path in _files(package) if path.suffix == ".py"}
    digests = [digest for path, digest in _digests(said, package).items() if said[path] != NOTHING]
    digests += [_digest(path.name, path.read_bytes()) for path in _files(package) if path.suffix != ".py"]
    return _digest(*sorted(digests))[:DIGITS]


def _files(package: Path) -> Iterator[Path]:
    """Every file that may change a result."""
    yield from (package / name for name in FILES)
    for room in ROOMS:
        for path in (package / room).rglob("*"):
            inside = path.relative_to(package).parts
            derived = "__pycache__" in inside or any(part.startswith(".") for part in inside)
            if path.is_file() and not derived and path.suffix not in NOTES:
                yield path


def _read(path: Path, package: Path) -> _Said:
    place = path.relative_to(package.parent).parent.parts  # what a relative import begins at
    blocks: list[tuple[_Import, ...]] = []
    text = _shape(ast.parse(path.read_bytes()), place, blocks)
    return _Said(text, tuple(blocks))


def _digests(every: dict[Path, _Said], package: Path) -> dict[Path, str]:
    """The digest of each file with every import of ours as what the imported file says, and what that one imports.

    At first a file is what it says itself. Then each import stands for the imported file's digest of the round before,
    until a round tells no more files apart: what lies several imports away counts, and circles do no harm.
    """
    digests = {path: _with_imports(said, {}, package) for path, said in every.items()}
    while True:
        later = {path: _with_imports(said, digests, package) for path, said in every.items()}
        if len(set(later.values())) == len(set(digests.values())):
            return later
        digests = later


def _with_imports(said: _Said, digests: dict[Path, str], package: Path) -> str:
    """The digest of a file, its imports of ours told by these digests of files; of a first round there are none."""
    blocks = []
    for block in said.blocks:
        ordered = sorted(block, key=lambda each: each.called)  # of two that are called alike the later one counts
        blocks.append(_digest(*(_told(each, digests, package) for each in ordered)))
    return _digest(said.text, *blocks)


def _told(each: _Import, digests: dict[Path, str], package: Path) -> str:
    """An import as what it brings and what it is called here."""
    inside = _file_of(f"{each.module}.{each.name}", package)  # `from rnnbench.nn import sampling` is a file, too
    target = _file_of(each.module, package)
    if each.name and inside in digests:
        return f"{digests[inside]} {each.called}"
    if target in digests:
        return f"{digests[target]} {each.name} {each.called}"
    room = each.module.split(".")[1:2]
    ours = not digests and (room == [] or room[0] in ROOMS)  # in a first round nothing is known of these
    return each.called if ours else f"{each.module} {each.name} {each.called}"


def _file_of(module: str, package: Path) -> Path:
    """Where a module of ours lies, or would lie."""
    place = package.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _shape(node: Any, place: tuple[str, ...], blocks: list[tuple[_Import, ...]]) -> str:
    """A syntax tree as text. Empty fields are left out: later Pythons have more of them (type_params).

    Imports of ours go to `blocks` instead, those of one block of statements together: their order there is layout, and
    in which branch or function they stand is not.
    """
    if isinstance(node, list):
        return _shape_of_list(node, place, blocks)
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: getattr(node, name, None) for name in node._fields}
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
        fields["body"] = node.body[1:]
    kept = {name: value for name, value in fields.items() if value is not None and value != []}
    shapes = [f"{name}={_shape(value, place, blocks)}" for name, value in kept.items()]
    return f"{type(node).__name__}({','.join(shapes)})"


def _shape_of_list(nodes: list[Any], place: tuple[str, ...], blocks: list[tuple[_Import, ...]]) -> str:
    """A block of statements, or another list of nodes."""
    imports = [each for statement in nodes for each in _ours(statement, place)]
    if imports:  # before those of the blocks inside
        blocks.append(tuple(imports))
    shapes = [_shape(each, place, blocks) for each in nodes if not _ours(each, place)]
    return "[" + ",".join([*(["ours"] if imports else []), *shapes]) + "]"


def what_it_says(tree: ast.AST) -> str:
    """12 hex digits over what a file of anybody's says, read as ours are; imports from rnnbench count by name."""
    blocks: list[tuple[_Import, ...]] = []
    text = _shape(tree, (), blocks)
    return _digest(text, *(repr(sorted(block)) for block in blocks))[:DIGITS]


def _ours(node: Any, place: tuple[str, ...]) -> list[_Import]:
    """What a statement imports from modules of ours. place: the packages that the file is in."""
    if isinstance(node, ast.Import) and all(_is_ours(alias.name) for alias in node.names):
        return [_Import(alias.name, "", alias.asname or f"{alias.name} in full") for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = place[: len(place) - node.level + 1] if node.level else ()
    module = ".".join([*above, *([node.module] if node.module else [])])
    if not _is_ours(module):
        return []
    return [_Import(module, alias.name, alias.asname or alias.name) for alias in node.names]


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "rnnbench"


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
