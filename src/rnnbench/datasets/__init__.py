"""One dataset or task per file: its data, splits, loss and metric, as a TaskSpec that is known before data is read.

    from rnnbench.datasets import Adding
    task = Adding(T=100)
    task.spec.protocol          # 'halves, T=100, 50000/5000/10000, seed 0'
    data = task.load()

Tasks are imported when they are first asked for, so that planning a sweep loads none of their libraries.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from rnnbench.datasets.base import Batch, Data, Metrics, Split, Task, TaskSpec, data_hash

if TYPE_CHECKING:
    from rnnbench.datasets.adding import Adding
    from rnnbench.datasets.copy_memory import CopyMemory
    from rnnbench.datasets.digits import Digits
    from rnnbench.datasets.japanese_vowels import JapaneseVowels
    from rnnbench.datasets.mnist import MNIST
    from rnnbench.datasets.music import Music
    from rnnbench.datasets.temporal_order import TemporalOrder

__all__ = [
    "MNIST",
    "Adding",
    "Batch",
    "CopyMemory",
    "Data",
    "Digits",
    "JapaneseVowels",
    "Metrics",
    "Music",
    "Split",
    "Task",
    "TaskSpec",
    "TemporalOrder",
    "data_hash",
]

_FILES = {
    "MNIST": "mnist",
    "Adding": "adding",
    "CopyMemory": "copy_memory",
    "Digits": "digits",
    "JapaneseVowels": "japanese_vowels",
    "Music": "music",
    "TemporalOrder": "temporal_order",
}


def __getattr__(name: str) -> object:
    if name in _FILES:
        return getattr(importlib.import_module(f"rnnbench.datasets.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
