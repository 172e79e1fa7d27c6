"""Selective copying: every sequence read back, places drawn evenly, floors and oracle."""

from __future__ import annotations

import pytest
import torch

from rnnbench.datasets import SelectiveCopy
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.spec import Batch

SMALL = {"train": 300, "val": 60, "test": 100}


@pytest.mark.parametrize("options", [{}, {"L": 9, "M": 12, "A": 5}])
def test_every_answer_is_what_stands_between_the_fillers(options: dict[str, int]) -> None:
    task = SelectiveCopy(**options, **SMALL)
    L, M, A = task.L, task.M, task.A
    for split in task.load():
        batch = task.batch(split, torch.arange(split.size))
        assert batch.x.shape == batch.y.shape == (split.size, L + 2 * M)
        assert batch.x.dtype == batch.y.dtype == torch.int64
        for tokens, labels in zip(batch.x.tolist(), batch.y.tolist(), strict=True):
            symbols = [token for token in tokens[: L + M] if token != 0]
            assert len(symbols) == M
            assert set(symbols) <= set(range(1, A - 1))
            assert tokens[L + M :] == [A - 1] * M
            assert labels == [IGNORED] * (L + M) + symbols


def test_places_and_symbols_are_drawn_evenly_and_no_answer_is_in_two_splits() -> None:
    task = SelectiveCopy(L=6, M=4, A=9, train=5000, val=60, test=100)
    data = task.load()
    assert ((data.train.x[:, :10] > 0).sum(0) / 5000).tolist() == pytest.approx([0.4] * 10, abs=0.03)
    shares = data.train.y[:, -4:].long().flatten().bincount() / 20000
    assert shares.tolist() == pytest.approx([0.0, *[1 / 7] * 7], abs=0.015)
    answers = [set(map(tuple, split.y[:, -4:].tolist())) for split in data]
    assert answers[0].isdisjoint(answers[1] | answers[2])
    assert answers[1].isdisjoint(answers[2])
    assert len(answers[0]) > 7**4 * 0.8


def test_the_majority_scores_its_floor_and_the_oracle_the_target(evaluate) -> None:
    task = SelectiveCopy(**SMALL)
    data = task.load()
    floors = task.floors(data)
    assert floors["chance"] == 1 / 8
    most = [data.train.y[:, -6 + m].long().bincount().argmax() for m in range(6)]
    right = (data.test.y[:, -6:] == torch.stack(most)).double().mean()
    assert floors["majority"] == pytest.approx(float(right))
    assert floors["majority"] == pytest.approx(1 / 8, abs=0.04)
    best = evaluate(task, data.test, task.oracle)
    assert best["recall_accuracy"] == best["sequence_accuracy"] == task.spec.target == 1


def test_recall_is_of_all_markers_where_they_are_more_than_ten(evaluate) -> None:
    task = SelectiveCopy(L=3, M=12, A=4, train=20, val=5, test=8)

    def last(batch: Batch) -> torch.Tensor:
        answer = torch.where(torch.arange(27) >= 21, batch.y, 0)
        return torch.nn.functional.one_hot(answer.clamp_min(0), 4).float()

    found = evaluate(task, task.load().test, last)
    assert (found["recall_accuracy"], found["sequence_accuracy"]) == (0.5, 0.0)


def test_the_defaults_of_the_protocol() -> None:
    spec = SelectiveCopy().spec
    assert spec.protocol == "L=40, M=6, A=10, 50000/5000/10000, seed 0"
    assert (spec.max_length, spec.recall_steps, spec.floor, spec.solved) == (52, 6, "majority", 0.99)
