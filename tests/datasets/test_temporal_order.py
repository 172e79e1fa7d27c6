"""Temporal order: every sequence read back literally, floor and oracle."""

from __future__ import annotations

import pytest
import torch

from rnnbench.datasets import TemporalOrder
from rnnbench.datasets.temporal_order import SYMBOLS

SMALL = {"train": 600, "val": 50, "test": 400}


def spell(one_hot: torch.Tensor) -> str:
    """A sequence as letters; a step without any input is a dot."""
    return "".join(SYMBOLS[int(step.argmax())] if step.sum() == 1 else "." for step in one_hot)


@pytest.mark.parametrize("T", [20, 50, 100])
def test_sequences_follow_the_rules(T: int) -> None:
    task = TemporalOrder(T=T, **SMALL)
    split = task.load().train
    batch = task.batch(split, torch.arange(split.size))
    assert batch.lengths is not None
    assert batch.x.shape[2] == 8
    assert batch.x.dtype == torch.float32
    steps: dict[str, set[int]] = {"first": set(), "second": set(), "length": set()}
    for one_hot, label, length in zip(batch.x, batch.y.tolist(), batch.lengths.tolist(), strict=True):
        text = spell(one_hot)
        word, rest = text[:length], text[length:]
        assert set(rest) <= {"."}
        assert word[0] == "E"
        assert word[-1] == "B"
        relevant = [step for step, symbol in enumerate(word) if symbol in "XY"]
        assert len(relevant) == 2
        assert ["XX", "XY", "YX", "YY"][label] == word[relevant[0]] + word[relevant[1]]
        others = set(word) - set("XY")
        assert others <= set("abcdEB")
        assert word.count("E") == word.count("B") == 1
        steps["first"].add(relevant[0])
        steps["second"].add(relevant[1])
        steps["length"].add(length)
    assert steps["first"] == set(range(T // 10, T // 5 + 1))
    assert steps["second"] == set(range(T // 2, 3 * T // 5 + 1))
    assert steps["length"] == set(range(T, T + T // 10 + 1))
    assert max(steps["length"]) == task.spec.max_length


def test_classes_are_even_and_splits_share_no_sequence() -> None:
    data = TemporalOrder(T=20, **SMALL).load()
    assert (data.train.y.bincount() / 600 - 0.25).abs().max() < 0.07
    rows = torch.cat([split.x for split in data])
    assert len(rows.unique(dim=0)) == len(rows)


def test_a_constant_scores_the_floor_and_the_oracle_the_target(evaluate) -> None:
    task = TemporalOrder(T=50, **SMALL)
    data = task.load()
    constant = evaluate(task, data.test, lambda batch: torch.tensor([[1.0, 0, 0, 0]]).expand(len(batch.y), 4))
    assert constant["accuracy"] == pytest.approx(task.floors(data)["chance"], abs=0.07)
    best = evaluate(task, data.test, task.oracle)
    assert best["accuracy"] == task.spec.target == 1
    assert best["loss"] == pytest.approx(0, abs=1e-9)
