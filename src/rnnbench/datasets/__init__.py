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

from rnnbench.datasets.base.spec import Batch, Data, Metrics, Split, TaskSpec, data_hash
from rnnbench.datasets.base.task import Task

if TYPE_CHECKING:
    from rnnbench.datasets.adding import Adding
    from rnnbench.datasets.anbn import AnBn
    from rnnbench.datasets.chomsky import Chomsky
    from rnnbench.datasets.copy_memory import CopyMemory
    from rnnbench.datasets.digits import Digits
    from rnnbench.datasets.dyck import Dyck
    from rnnbench.datasets.fsdd import FSDD
    from rnnbench.datasets.japanese_vowels import JapaneseVowels
    from rnnbench.datasets.mnist import MNIST
    from rnnbench.datasets.mnist1d import MNIST1D
    from rnnbench.datasets.moving_digits import MovingDigits
    from rnnbench.datasets.moving_mnist import MovingMNIST
    from rnnbench.datasets.moving_mnist_pp import MovingMNISTPP
    from rnnbench.datasets.mqar import MQAR
    from rnnbench.datasets.music import Music
    from rnnbench.datasets.own_frames import OwnFrames
    from rnnbench.datasets.own_sequences import OwnSequences
    from rnnbench.datasets.own_series import OwnSeries
    from rnnbench.datasets.own_text import OwnText
    from rnnbench.datasets.parity import Parity
    from rnnbench.datasets.radar import Radar
    from rnnbench.datasets.selective_copy import SelectiveCopy
    from rnnbench.datasets.temporal_order import TemporalOrder
    from rnnbench.datasets.uea import UEA
    from rnnbench.datasets.word import Word

__all__ = [
    "FSDD",
    "MNIST",
    "MNIST1D",
    "MQAR",
    "UEA",
    "Adding",
    "AnBn",
    "Batch",
    "Chomsky",
    "CopyMemory",
    "Data",
    "Digits",
    "Dyck",
    "JapaneseVowels",
    "Metrics",
    "MovingDigits",
    "MovingMNIST",
    "MovingMNISTPP",
    "Music",
    "OwnFrames",
    "OwnSequences",
    "OwnSeries",
    "OwnText",
    "Parity",
    "Radar",
    "SelectiveCopy",
    "Split",
    "Task",
    "TaskSpec",
    "TemporalOrder",
    "Word",
    "data_hash",
]

_FILES = {
    "FSDD": "fsdd",
    "MNIST": "mnist",
    "MNIST1D": "mnist1d",
    "MQAR": "mqar",
    "Adding": "adding",
    "AnBn": "anbn",
    "Chomsky": "chomsky",
    "CopyMemory": "copy_memory",
    "Digits": "digits",
    "Dyck": "dyck",
    "JapaneseVowels": "japanese_vowels",
    "MovingDigits": "moving_digits",
    "MovingMNIST": "moving_mnist",
    "MovingMNISTPP": "moving_mnist_pp",
    "Music": "music",
    "OwnFrames": "own_frames",
    "OwnSeries": "own_series",
    "OwnSequences": "own_sequences",
    "OwnText": "own_text",
    "Parity": "parity",
    "Radar": "radar",
    "SelectiveCopy": "selective_copy",
    "TemporalOrder": "temporal_order",
    "UEA": "uea",
    "Word": "word",
}


def __getattr__(name: str) -> object:
    if name in _FILES:
        return getattr(importlib.import_module(f"rnnbench.datasets.{_FILES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
