"""Parity: every label counted again, lengths disjoint, floor and automaton."""

from __future__ import annotations

import pytest
import torch

from rnnbench.datasets import Parity

SMALL = {"longest_train": 10, "longest_val": 16, "longest_test": 40, "train": 600, "val": 200, "test": 400}


def test_every_label_is_the_count_of_ones() -> None:
    task = Parity(**SMALL)
    for split, (low, high) in zip(task.load(), [(1, 10), (11, 16), (17, 40)], strict=True):
        batch = task.batch(split, torch.arange(split.size))
        assert batch.lengths is not None
        assert set(batch.lengths.tolist()) == set(range(low, high + 1))
        for one_hot, label, length in zip(batch.x, batch.y.tolist(), batch.lengths.tolist(), strict=True):
            assert one_hot[:length].sum(1).eq(1).all()
            assert not one_hot[length:].any()
            bits = [int(step[1]) for step in one_hot[:length]]
            assert label == bits.count(1) % 2
        assert split.y.double().mean() == pytest.approx(0.5, abs=0.12)


def test_the_majority_scores_its_floor_and_the_automaton_the_target(evaluate) -> None:
    task = Parity(**SMALL)
    data = task.load()
    floors = task.floors(data)
    assert floors["chance"] == 0.5
    most = int(data.train.y.bincount().argmax())
    constant = evaluate(task, data.test, lambda batch: torch.eye(2)[most].expand(len(batch.y), 2))
    assert constant["accuracy"] == pytest.approx(floors["majority"])
    assert evaluate(task, data.test, task.oracle)["accuracy"] == task.spec.target == 1


def test_the_defaults_go_from_40_to_256() -> None:
    spec = Parity().spec
    assert spec.protocol == "lengths 1-40/41-64/65-256, 20000/1000/2000, seed 0"
    assert (spec.max_length, spec.causal) == (256, False)
