"""A run's last checkpoint and its best weights, written whole or not at all, read without unpickling code."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from rnnbench.store.store import write_atomic

State = dict[str, Any]  # tensors and plain values, by name

LAST = "last.ckpt"  # everything a resume needs; removed when the record is written
BEST = "best.pt"  # the network's state_dict at the best validation


def save(path: Path, state: State, *, sync_folder: bool = True) -> None:
    """Write a state of tensors and plain values (sync_folder: see `write_atomic`)."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomic(path, buffer.getvalue(), sync_folder=sync_folder)


def load(path: Path, *, tell: Callable[[str], None] | None = None) -> State | None:
    """Read a state onto the CPU; None where there is none, where it cannot be read, and where it is no state.

    tell: is told in a sentence why a file that is there cannot be read.
    """
    if not path.is_file():  # a pipe would be waited for
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that it then refuses
            state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
            raise TypeError("it holds no values by name")
    except Exception as error:  # of a damaged file the unpickler may raise anything
        if tell is not None:
            tell(f"{path} cannot be read, and is left out ({type(error).__name__}: {_why(error)})")
        return None
    return state


def _why(error: Exception) -> str:
    """What was wrong with a file. torch's own words advise to read it with whatever code it brings."""
    if isinstance(error, pickle.UnpicklingError):
        return "it is damaged, or holds more than tensors and plain values"
    return " ".join(str(error).split())[:200]
