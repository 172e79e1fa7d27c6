"""Copy memory: both dialects against a literal construction, floor, oracle and chance."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from rnnbench.datasets import CopyMemory
from rnnbench.datasets.base.spec import Batch

SMALL = {"train": 300, "val": 20, "test": 200}


@pytest.fixture(params=["one_hot", "tcn"])
def task(request: pytest.FixtureRequest) -> CopyMemory:
    return CopyMemory(T=7, dialect=request.param, **SMALL)


def test_the_layout_step_by_step(task: CopyMemory) -> None:
    T = task.T
    split = task.load().train
    batch = task.batch(split, torch.arange(6))
    assert batch.x.shape == (6, T + 20, task.spec.input_size)
    assert batch.x.dtype == torch.float32
    assert batch.y.dtype == torch.int64
    read = batch.x.argmax(-1) if task.dialect == "one_hot" else batch.x.squeeze(-1).long()
    for row, target in zip(read.tolist(), batch.y.tolist(), strict=True):
        symbols = row[:10]
        assert set(symbols) <= set(range(1, 9))
        end = [9] + [0] * 10 if task.dialect == "one_hot" else [9] * 11
        assert row == symbols + [0] * (T - 1) + end
        assert target == [0] * (T + 10) + symbols


def test_symbols_are_evenly_drawn_and_no_sequence_is_in_two_splits(task: CopyMemory) -> None:
    data = task.load()
    shares = data.train.x[:, :10].flatten().bincount()[1:9] / 3000
    assert shares.min() > 0.09
    assert shares.max() < 0.16
    codes = [set(map(tuple, split.x[:, :10].tolist())) for split in data]
    assert codes[0].isdisjoint(codes[1] | codes[2])
    assert codes[1].isdisjoint(codes[2])


def test_a_clash_between_splits_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnbench.datasets.copy_memory.RECALL", 3)  # 512 sequences for 520 draws: clashes are certain
    task = CopyMemory(T=2, **SMALL)
    codes = [set(map(tuple, split.x[:, :3].tolist())) for split in task.load()]
    assert codes[0].isdisjoint(codes[1] | codes[2])
    assert codes[1].isdisjoint(codes[2])


def memoryless(task: CopyMemory, batch: Batch) -> torch.Tensor:
    logits = torch.full((*batch.y.shape, task.spec.output_size), -1e4)
    logits[:, :-10, 0] = 0
    logits[:, -10:, 1:9] = 0
    return logits


def test_the_memoryless_score_the_floor_and_the_oracle_the_target(task: CopyMemory, evaluate) -> None:
    data = task.load()
    floor = evaluate(task, data.test, lambda batch: memoryless(task, batch))
    assert floor["cross_entropy"] == pytest.approx(task.floors(data)["memoryless"], rel=1e-5)
    assert floor["cross_entropy"] == floor["loss"]
    assert floor["recall_accuracy"] == pytest.approx(1 / 8, abs=0.03)
    best = evaluate(task, data.test, task.oracle)
    assert best["cross_entropy"] == pytest.approx(task.spec.target, abs=1e-9)
    assert best["recall_accuracy"] == 1


@pytest.mark.parametrize(("T", "value"), [(100, 0.17329), (200, 0.09452), (500, 0.03999), (1000, 0.02039)])
def test_floors_known_from_the_papers(T: int, value: float) -> None:
    task = CopyMemory(T=T, train=1, val=1, test=1)
    assert task.floors(task.load())["memoryless"] == pytest.approx(value, abs=5e-6)


def test_recall_accuracy_counts_the_last_ten_steps_only(task: CopyMemory, evaluate) -> None:
    data = task.load()

    def half(batch: Batch) -> torch.Tensor:  # right on the last 5 steps only, wrong on all blanks
        answer = torch.where(torch.arange(task.T + 20) >= task.T + 15, batch.y, (batch.y + 1) % 9)
        return 50.0 * F.one_hot(answer, task.spec.output_size).float()

    values = evaluate(task, data.test, half)
    assert values["recall_accuracy"] == pytest.approx(0.5)
    assert values["cross_entropy"] == pytest.approx(50 * (task.T + 15) / (task.T + 20), rel=1e-5)
    assert math.isfinite(values["loss"])
