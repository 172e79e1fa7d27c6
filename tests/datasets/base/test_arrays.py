"""Headers are claims: a file that announces other than it holds is refused, and takes no memory before that."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnbench.datasets.base import arrays
from rnnbench.errors import BadInput

FEW_BYTES = 1 << 20
SMALL = np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def claiming(shape: object, descr: str = "|u1", *, values: int = 0, version: bytes = b"\x01\x00") -> bytes:
    """A npy file whose header announces a shape, with so many bytes after it."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text + bytes(values)


def refusal(path: Path) -> str:
    """What both ways of reading a file refuse it with, having taken hardly any memory."""
    said = []
    for read in (arrays.header, arrays.read):
        tracemalloc.start()
        with pytest.raises(BadInput) as caught:
            read(path, "frames")
        assert tracemalloc.get_traced_memory()[1] < FEW_BYTES
        tracemalloc.stop()
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "\n" not in said[0]
    return said[0]


def packed(path: Path, content: bytes, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("frames.npy", content)
    return path


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (claiming("(1000000000000, 64, 64)"), "is cut short or damaged: its header announces 4,096,000,000,000,000 b"),
        (claiming("(1000000000000, 64, 64)", version=b"\x02\x00"), "is cut short or damaged"),
        (claiming(f"({2**62}, 4)"), "is cut short or damaged"),  # 2^64 bytes: 0 in numpy's own count
        (claiming("(30, 8, 8)", values=30 * 64 - 1), "announces 1,920 bytes (30x8x8 uint8), and 1,919 are there"),
        (claiming("(30, 8, 8)", values=30 * 64 + 1), "holds more than one array, or is damaged"),
        (claiming("(30, -8, 8)", values=64), "its header announces the shape (30, -8, 8)"),
        (claiming(f"({10**4000}, 8, 8)", values=64), "its header announces the shape (1000"),
        (claiming("(30, 8, 8)", "|O", values=8), "holds object, not plain numbers"),
        (npy(np.array([{}], object)), "holds object, not plain numbers"),
        (claiming("(3,)", "<U9", values=108), "holds <U9, not plain numbers"),
        (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{", "announces 4,294,967,295 bytes of its own"),
        (b"\x93NUMPY\x09\x00" + bytes(40), "cannot be read as np"),
        (b"nonsense", "cannot be read as np"),
        (b"", "cannot be read as np"),
    ],
)
def test_a_header_that_the_file_does_not_bear_out(tmp_path: Path, suffix: str, content: bytes, sentence: str) -> None:
    path = tmp_path / f"film.{suffix}"
    if suffix == "npy":
        path.write_bytes(content)
    else:
        packed(path, content)
    assert sentence in refusal(path)


@pytest.mark.parametrize("packed_too", [False, True])
def test_a_members_own_sizes_are_claims_as_well(tmp_path: Path, packed_too: bool) -> None:
    path = packed(tmp_path / "film.npz", claiming("(1000000, 1000)", values=100))
    content = bytearray(path.read_bytes())
    lie = struct.pack("<I", 10**9 + len(claiming("(1000000, 1000)")))  # what the array's own header would need
    entry = content.rindex(b"PK\x01\x02")  # in the zip's directory: packed size at 20, size at 24
    content[entry + 24 : entry + 28] = lie
    if packed_too:
        content[entry + 20 : entry + 24] = lie
    path.write_bytes(content)
    assert re.search(r"announces 1,000,000,0\d\d bytes, packed into [0-9,]+, which cannot be", refusal(path))


def test_a_packing_that_numpy_does_not_write(tmp_path: Path) -> None:
    path = packed(tmp_path / "film.npz", npy(np.zeros((30, 8, 8), np.uint8)), zipfile.ZIP_LZMA)
    assert "packed in a way that numpy does not write" in refusal(path)


def test_a_damaged_member_is_told_by_its_checksum(tmp_path: Path) -> None:
    path = packed(tmp_path / "film.npz", npy(np.zeros((30, 8, 8), np.uint8)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"cannot be read as npz .*CRC"):
        arrays.read(path, "frames")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=5).map(tuple),
    dtype=st.sampled_from(["u1", "<u2", ">u2", "<i8", "<f4", ">f8", "<f2", "?"]),
    fortran=st.booleans(),
    kind=st.sampled_from(["npy", "stored", "packed"]),
)
def test_what_numpy_writes_is_read_as_numpy_reads_it(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, fortran: bool, kind: str
) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    array = np.asfortranarray(array) if fortran else array
    path = tmp_path / f"film.{'npy' if kind == 'npy' else 'npz'}"
    if kind == "npy":
        np.save(path, array)
    else:
        (np.savez if kind == "stored" else np.savez_compressed)(path, frames=array)
    assert arrays.header(path, "frames") == (shape, array.dtype)
    found = arrays.read(path, "frames")
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(suffix=st.sampled_from(["npy", "npz"]), data=st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    """Any bytes of a good file changed, cut off or added."""
    path = tmp_path / f"film.{suffix}"
    (np.save(path, SMALL) if suffix == "npy" else np.savez_compressed(path, frames=SMALL))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        change = data.draw(st.sampled_from(["flip", "cut", "add"]))
        if change == "flip":
            content[at] = data.draw(st.integers(0, 255))
        elif change == "cut":
            del content[at : at + data.draw(st.integers(1, 40))]
        else:
            content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        if not content:
            break
    path.write_bytes(content)
    with contextlib.suppress(BadInput):  # one sentence; whatever else numpy or zipfile raise would fail here
        assert arrays.read(path, "frames").nbytes <= len(content)
