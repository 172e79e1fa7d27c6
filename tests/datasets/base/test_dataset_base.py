"""Batches, the hash of the data, and its independence of the process."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from rnnbench.datasets import (
    MQAR,
    Adding,
    AnBn,
    Chomsky,
    CopyMemory,
    Digits,
    Dyck,
    Parity,
    SelectiveCopy,
    TemporalOrder,
    Word,
)
from rnnbench.datasets.base.spec import Data, Split, data_hash

SMALL = {"train": 40, "val": 20, "test": 30}
# The data that published numbers stand on: a change here is a new `version` in conf/dataset/.
HASHES = {
    "Adding(T=30, **SMALL)": "9adbc166ef457c39",
    "Adding(T=30, dialect='any', **SMALL)": "990a0df38e0a4c64",
    "CopyMemory(T=12, **SMALL)": "2bc5476e5bcb8bad",
    "CopyMemory(T=12, dialect='tcn', **SMALL)": "706244b7de68caf9",
    "TemporalOrder(T=30, **SMALL)": "6735d72de5fdefc6",
    "Digits()": "3a69fee271b0ad9e",
    "Parity(**SMALL)": "3c3245625327a753",
    "AnBn()": "aee4517edf094102",
    "Dyck(**SMALL)": "5082d3190a94c2ab",
    "Dyck(kinds=1, depth=3, **SMALL)": "072cb9d0c35aa4f6",
    "Word(T=12, **SMALL)": "88e84a6ad2734906",
    "Word('a5', 'generators', **SMALL)": "a592c3c301a1bd61",
    "MQAR(**SMALL)": "7a79dbfab7702c0c",
    "MQAR(V=300, slots='power', **SMALL)": "63c311e8f5955428",
    "SelectiveCopy(**SMALL)": "305ede4b39ba4da9",
    "Chomsky('parity', **SMALL)": "3eafdaf6287f97b8",
    "Chomsky('even_pairs', **SMALL)": "eb640c52a3e49414",
    "Chomsky('cycle_navigation', **SMALL)": "42283116a9184e01",
    "Chomsky('modular_arithmetic', **SMALL)": "0011c7aa7baffd38",
    "Chomsky('bucket_sort', **SMALL)": "ce0a803e2a40c732",
    "Chomsky('reverse_string', **SMALL)": "b75f16f4bda08172",
    "Chomsky('parity', 40, 40, 60, **SMALL)": "bade397b31cecdde",
}
CLASSES = (Adding, AnBn, Chomsky, CopyMemory, Digits, Dyck, MQAR, Parity, SelectiveCopy, TemporalOrder, Word)
TASKS = {task.__name__: task for task in CLASSES} | {"SMALL": SMALL}


def test_the_same_options_give_the_same_data_twice() -> None:
    for text, expected in HASHES.items():
        task = eval(text, dict(TASKS))
        assert data_hash(task.load()) == data_hash(task.load()) == expected, text


@pytest.mark.integration
def test_a_fresh_process_gives_the_same_data() -> None:
    code = f"from rnnbench.datasets import *\nSMALL = {SMALL}\n"
    code += "".join(f"print(data_hash({text}.load()))\n" for text in HASHES)
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == list(HASHES.values())


def test_another_seed_gives_other_data() -> None:
    assert data_hash(Adding(T=30, data_seed=1, **SMALL).load()) != HASHES["Adding(T=30, **SMALL)"]


def test_a_split_does_not_move_with_the_size_of_train() -> None:
    for task in (Adding, Chomsky, CopyMemory, Dyck, MQAR, Parity, SelectiveCopy, TemporalOrder, Word):
        options = {} if task in (Chomsky, Dyck, Parity, SelectiveCopy) else {"T": 30}
        small, large = task(**options, **SMALL).load(), task(**options, **SMALL | {"train": 70}).load()
        assert torch.equal(small.test.x, large.test.x)
        assert torch.equal(small.val.x, large.val.x)
        assert torch.equal(small.test.y, large.test.y)


def test_the_hash_sees_values_types_shapes_and_lengths() -> None:
    x = torch.arange(12.0).reshape(3, 4, 1)
    split = Split(x, torch.zeros(3))
    other = [
        split._replace(x=x + 1),
        split._replace(x=x.double()),
        split._replace(x=x.reshape(3, 2, 2)),
        split._replace(lengths=torch.tensor([4, 4, 4])),
    ]
    hashes = {data_hash(Data(split, split, changed)) for changed in [split, *other]}
    assert len(hashes) == 5


def test_the_hash_of_a_view_is_that_of_its_copy() -> None:
    frames = torch.arange(2000 * 5).reshape(2000, 5)  # more rows than are hashed at once
    view, copy = Split(frames[:, :-1], frames[:, 1:]), Split(frames[:, :-1].clone(), frames[:, 1:].clone())
    assert data_hash(Data(view, view, view)) == data_hash(Data(copy, copy, copy))


def test_a_batch_is_trimmed_to_its_longest_sequence() -> None:
    task = TemporalOrder(T=30, **SMALL)
    split = task.load().train
    assert split.lengths is not None
    index = split.lengths.argsort()[:5]
    batch = task.batch(split, index)
    assert batch.lengths is not None
    assert batch.x.shape[1] == int(batch.lengths.max()) < split.x.shape[1]
    assert torch.equal(batch.y, split.y[index])
