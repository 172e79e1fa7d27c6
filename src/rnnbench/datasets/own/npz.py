"""Sequences from a npz file of numpy's: x, y, and if need be lengths and groups; or x_train, y_train, x_test, y_test.

Nothing is ever unpickled, and a header is a claim (`datasets.base.arrays`).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base import arrays
from rnnbench.datasets.own.delimited import machine_limit
from rnnbench.datasets.own.gathered import Sequences, joined, label_text
from rnnbench.errors import BadInput, shown

OF_A_PART = ("x", "y", "lengths", "groups")


def read(path: Path) -> Sequences:
    """The sequences in a npz file.

    x: N T C, or N T of one channel, numbers; y: N numbers or texts; lengths: N whole numbers from 1 to T, what stands
    beyond them is never read; groups: N numbers or texts. With the endings _train and _test, the second is the test
    set. Raises BadInput.
    """
    held = arrays.names(path)
    if "x" in held:
        if both := [name for name in held if name in ("x_train", "x_test")]:
            raise BadInput(f"{path.name} holds x and {both[0]}: name them x_train and x_test, or leave one out.")
        return _part(path, held, "")
    if "x_train" in held and "x_test" in held:
        return joined(_part(path, held, "_train"), _part(path, held, "_test"), Path("x_train"), Path("x_test"))
    names = ", ".join(held[:10]) + ", ..." * (len(held) > 10)
    raise BadInput(f"{path.name} holds {names or 'nothing'}: call the sequences x (N T C) and the labels y (N).")


def _part(path: Path, held: list[str], ending: str) -> Sequences:
    """The arrays with one ending."""
    x_name, y_name, lengths_name, groups_name = (name + ending for name in OF_A_PART)
    if y_name not in held:
        raise BadInput(f"{path.name} holds {x_name} and no {y_name}: the labels, one for each sequence.")
    x = _numbers(path, x_name)
    y = _texts(path, y_name)
    if len(x) != len(y):
        raise BadInput(f"{path.name}: {len(x):,} sequences and {len(y):,} labels ({x_name} and {y_name}).")
    lengths = np.full(len(x), x.shape[1])
    if lengths_name in held:
        lengths = _lengths(path, lengths_name, x)
    groups = None
    if groups_name in held:
        groups = _texts(path, groups_name)
        if len(groups) != len(x):
            raise BadInput(f"{path.name}: {len(x):,} sequences and {len(groups):,} {groups_name}.")
    cut = [sequence[:length] for sequence, length in zip(x, lengths.tolist(), strict=True)]
    names = [f"sequence {index}" for index in range(len(x))]
    known = [name + end for name in OF_A_PART for end in ("", "_train", "_test")]
    left = [shown(name) for name in held if name not in known]
    said = [f"not used: {', '.join(left)}"] if left else []
    return Sequences(cut, y, names, [str(channel) for channel in range(x.shape[2])], groups, said=said)


def _read(path: Path, name: str, instead: str, *, texts: bool = False) -> NDArray[Any]:
    """One array of the file, never a pickle."""
    try:
        head = arrays.header(path, name, texts=texts)
        size, most = math.prod(head.shape) * head.dtype.itemsize, machine_limit()
        if size > most:
            raise BadInput(
                f"{path.name}: {name} takes {size / 2**30:.1f} GiB, more than half of this machine's memory: "
                "take fewer sequences or steps."
            )
        return arrays.read(path, name, texts=texts)
    except BadInput as error:
        if "holds object" in str(error):
            raise BadInput(
                f"{path.name}: {name} holds objects (a pickle), which are never opened: {instead}."
            ) from None
        raise


def _numbers(path: Path, name: str) -> NDArray[Any]:
    """The sequences, N T C."""
    x = _read(path, name, "pad it and give lengths")
    if x.dtype.itemsize > 8:  # numpy's long double; what does not fit becomes infinity, which is refused
        with np.errstate(over="ignore"):
            x = x.astype(np.float64)
    if x.ndim == 2:
        x = x[:, :, None]
    if x.ndim != 3 or 0 in x.shape:
        raise BadInput(
            f"{path.name}: {name} has the shape {x.shape}; it must be N T C, or N T of one channel, none of them empty."
        )
    return x


def _texts(path: Path, name: str) -> list[str]:
    """Labels or groups, one a sequence, as texts."""
    values = _read(path, name, "save numbers or texts", texts=True)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise BadInput(f"{path.name}: {name} has the shape {values.shape}; it must be N, one for each sequence.")
    return [label_text(value) for value in values.tolist()]


def _lengths(path: Path, name: str, x: NDArray[Any]) -> NDArray[Any]:
    """The steps of each sequence."""
    lengths = _read(path, name, "save whole numbers")
    if lengths.shape != (len(x),) or lengths.dtype.kind not in "iu":
        raise BadInput(
            f"{path.name}: {name} must be {len(x):,} whole numbers, and is {lengths.dtype} of shape {lengths.shape}."
        )
    wrong = (lengths < 1) | (lengths > x.shape[1])
    if wrong.any():
        first = int(wrong.argmax())
        raise BadInput(
            f"{path.name}: sequence {first} has the length {int(lengths[first])}; x has 1 to {x.shape[1]} steps."
        )
    return lengths
