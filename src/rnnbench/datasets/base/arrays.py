"""Arrays of numbers from npy and npz files. A header is a claim: nothing is made before the file's size bears it out.

Nothing is ever unpickled. A member of a npz that cannot have been packed so small is refused before it is opened.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput

MOST_HEADER = 10_000  # bytes, numpy's own bound
BEST_PACKING = 1032  # bytes that deflate makes of one, at most (RFC 1951: 258 bytes in 2 bits)
PACKED_HEAD = 1_000  # bytes that a small member may be larger than that


class Header(NamedTuple):
    """What a file says of its array."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def names(path: Path) -> list[str]:
    """What the arrays in a npz file are called, in the file's order. Raises BadInput where the file is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except Exception as error:
        raise _unreadable(path, error) from error


def header(path: Path, wanted: str, *, texts: bool = False) -> Header:
    """Shape and type of the array in a file, borne out by the file's size; no value is read.

    wanted: the member of a npz that counts where there are several. texts: an array of texts is taken, too. Raises
    BadInput where the file is damaged, cut short, or holds no plain numbers.
    """
    with _opened(path, wanted) as (stream, size):
        return _header(path, stream, size, texts)


def read(path: Path, wanted: str, *, texts: bool = False) -> NDArray[Any]:
    """The array in a file. Raises BadInput as `header` does."""
    with _opened(path, wanted) as (stream, size):
        _header(path, stream, size, texts)
        stream.seek(0)
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # a zip's checksum is compared where a member ends
    return array


@contextmanager
def _opened(path: Path, wanted: str) -> Iterator[tuple[IO[bytes], int]]:
    """The npy stream in a file, with its length in bytes. What numpy and zipfile raise becomes BadInput."""
    try:
        if path.suffix == ".npy":
            with path.open("rb") as stream:
                yield stream, path.stat().st_size
        else:
            with zipfile.ZipFile(path) as archive:
                member = archive.getinfo(f"{_chosen(path, archive.namelist(), wanted)}.npy")
                _check_packing(path, member)
                with archive.open(member) as stream:
                    yield stream, member.file_size
    except BadInput:
        raise
    except Exception as error:  # a damaged file makes numpy and zipfile raise whatever its bytes lead to
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadInput:
    text = " ".join(str(error).split())[:200]
    return BadInput(f"{path} cannot be read as {path.suffix[1:]} ({text or type(error).__name__}).")


def _chosen(path: Path, files: list[str], wanted: str) -> str:
    """The member of a npz that holds the array."""
    names = [name.removesuffix(".npy") for name in files]
    if wanted in names:
        return wanted
    if len(names) != 1:
        held = ", ".join(names[:10]) + ", ..." * (len(names) > 10)
        raise BadInput(f"{path} holds {held or 'nothing'}: call the one with the film `{wanted}`.")
    return names[0]


def _check_packing(path: Path, member: zipfile.ZipInfo) -> None:
    """Refuse a member whose sizes, which are claims as well, cannot be true."""
    packed = member.compress_size
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise BadInput(f"{path} is packed in a way that numpy does not write; save it with numpy.savez_compressed.")
    most = packed if member.compress_type == zipfile.ZIP_STORED else BEST_PACKING * packed + PACKED_HEAD
    if packed > path.stat().st_size or member.file_size > most:
        raise BadInput(
            f"{path} is cut short or damaged: it announces {member.file_size:,} bytes, packed into {packed:,}, which "
            "cannot be; save it again."
        )


def _header(path: Path, stream: IO[bytes], size: int, texts: bool = False) -> Header:
    """Parse the header of a npy stream of `size` bytes, and compare what it announces with what there is."""
    version = np.lib.format.read_magic(stream)
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > min(MOST_HEADER, size):
        raise ValueError(f"its header announces {length:,} bytes of its own")
    stream.seek(-width, 1)
    parse = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = parse(stream)
    if dtype.kind not in ("bfiuSU" if texts else "bfiu"):
        raise BadInput(f"{path} holds {dtype}, not plain numbers.")
    if not all(0 <= side < 1 << 63 for side in shape):
        raise ValueError(f"its header announces the shape {shape}")
    announced, there = math.prod(shape) * dtype.itemsize, size - stream.tell()
    if announced != there:
        how = "is cut short or damaged" if announced > there else "holds more than one array, or is damaged"
        raise BadInput(
            f"{path} {how}: its header announces {announced:,} bytes ({'x'.join(map(str, shape))} {dtype}), and "
            f"{there:,} are there; save it again."
        )
    return Header(tuple(map(int, shape)), dtype)
