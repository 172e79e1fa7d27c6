"""Which dataset a file of the user's is for, by its suffix and a look at its beginning: a first guess, said as such."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import NamedTuple

from rnnbench.errors import BadInput

SERIES, SEQUENCES, TEXT, FRAMES = "own_series", "own_sequences", "own_text", "own_frames"
TABLES = (".csv", ".tsv", ".tab", ".dat")
PARQUET = (".parquet", ".pq")
LABELS = ("label", "labels", "class")  # a column of this name says what a whole sequence is; `target` may be numbers
SEPARATORS = ",;\t|"
HEAD = 1 << 16  # bytes that are looked at
LINES = 20


class Kind(NamedTuple):
    """A dataset's name, and why it was chosen."""

    dataset: str
    because: str


def kind_of(path: Path) -> Kind:
    """What a file or folder that is there looks like. Raises BadInput where it cannot be opened."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return _folder(path)
    if suffix == ".npy":
        return Kind(FRAMES, "a .npy file is a film")
    if suffix in (".npz", ".ts"):
        return Kind(SEQUENCES, f"a {suffix} file holds sequences")
    try:
        if suffix in PARQUET:
            return _columns(_parquet_names(path))
        return _of_text(path, _head(path))
    except (OSError, EOFError, zlib.error) as error:
        said = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise BadInput(f"{path} cannot be read ({said}).") from None


def _folder(path: Path) -> Kind:
    if (path / "labels.csv").is_file() or any(path.glob("*.wav")):
        return Kind(SEQUENCES, "the folder holds recordings or their labels")
    return Kind(SERIES, "a folder of tables is one long table")


def _parquet_names(path: Path) -> list[str]:
    """The names of a Parquet file's columns, those of lists as `label`: a row is a sequence then."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except pa.ArrowException as error:
        raise BadInput(f"{path.name} is no Parquet file that can be read ({str(error).splitlines()[0]}).") from None
    lists = any(pa.types.is_list(kind) or pa.types.is_large_list(kind) for kind in schema.types)
    return [*schema.names, *(["label"] if lists else [])]


def _head(path: Path) -> str:
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        return file.read(HEAD).decode("utf-8-sig", "replace")


def _of_text(path: Path, head: str) -> Kind:
    bare = Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    lines = [line for line in head.splitlines()[:LINES] if line.strip()]
    separator = _separator(lines)
    if bare not in TABLES and (separator is None or len(lines) < 2):
        return Kind(TEXT, "it is running text")
    return _columns([cell.strip().strip('"') for cell in lines[0].split(separator)] if lines else [])


def _separator(lines: list[str]) -> str | None:
    """What stands equally often in every line, most often first; None where nothing does."""
    counts = {sign: {line.count(sign) for line in lines} for sign in SEPARATORS}
    even = {sign: counted.pop() for sign, counted in counts.items() if len(counted) == 1}
    found = max(even, key=lambda sign: even[sign], default=None)
    return found if found is not None and even[found] else None


def _columns(names: list[str]) -> Kind:
    if any(name.lower() in LABELS for name in names):
        return Kind(SEQUENCES, "it has a column of labels")
    return Kind(SERIES, "it is a table")
