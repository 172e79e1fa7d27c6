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
    """One name that a file has from a module of ours: its dotted module, its name there, what it is called here."""

    module: str
    name: str
    called: str


class _Said(NamedTuple):
    """What a Python file says apart from its imports of ours, and these."""

    text: str
    imports: tuple[_Import, ...]

    @property
    def digest(self) -> str:
        """Of everything but where the imports come from."""
        return _digest(self.text, *sorted(f"{each.name} {each.called}" for each in self.imports))


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
    path = folder / _digest_of_bytes(package)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        kept = path.read_text(encoding="ascii")
        if re.fullmatch(f"[0-9a-f]{{{DIGITS}}}", kept):
            return kept
    found = hash_of(package)
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
    said = {path: _read(path) for path in _files(package) if path.suffix == ".py"}
    digests = [_with_imports(each, said, package) for each in said.values() if each != NOTHING]
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


def _read(path: Path) -> _Said:
    imports: list[_Import] = []
    text = _shape(ast.parse(path.read_bytes()), imports)
    return _Said(text, tuple(imports))


def _with_imports(said: _Said, every: dict[Path, _Said], package: Path) -> str:
    """The digest of a file with each import of ours as what the imported file says.

    The files that those import in turn are told apart by their own digests.
    """
    found = []
    for module, name, called in said.imports:
        inside = _file_of(f"{module}.{name}", package)  # `from rnnbench.nn import sampling` is a file, too
        target = inside if inside in every else _file_of(module, package)
        if target not in every:  # errors.py: not ours to hash
            found.append(f"{module} {name} {called}")
        elif target == inside:
            found.append(f"{every[target].digest} {called}")
        else:
            found.append(f"{every[target].digest} {name} {called}")
    return _digest(said.text, *sorted(found))


def _file_of(module: str, package: Path) -> Path:
    """Where a module of ours lies, or would lie."""
    place = package.joinpath(*module.split(".")[1:])
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def _shape(node: Any, imports: list[_Import]) -> str:
    """A syntax tree as text. Empty fields are left out: later Pythons have more of them (type_params).

    Imports of ours go to `imports` instead. A relative import is none: it stays in the text as it is.
    """
    if isinstance(node, list):
        shapes = (_shape(each, imports) for each in node)
        return "[" + ",".join(shape for shape in shapes if shape) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if ours := _ours(node):
        imports += ours
        return ""
    fields = {name: getattr(node, name, None) for name in node._fields}
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
        fields["body"] = node.body[1:]
    kept = {name: value for name, value in fields.items() if value is not None and value != []}
    return f"{type(node).__name__}({','.join(f'{name}={_shape(value, imports)}' for name, value in kept.items())})"


def _ours(node: ast.AST) -> list[_Import]:
    """The names that a statement imports from modules of ours."""
    if not isinstance(node, ast.ImportFrom) or node.level or node.module is None:
        return []
    if node.module.partition(".")[0] != "rnnbench":
        return []
    return [_Import(node.module, alias.name, alias.asname or alias.name) for alias in node.names]


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
