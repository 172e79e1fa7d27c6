"""Word problems: permutations applied to a row of things by hand, floors counted, the table's oracle."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from rnnbench.datasets import Word
from rnnbench.datasets.base.spec import Batch

SMALL = {"train": 300, "val": 60, "test": 100}


def moved(things: list[str], cycles: str) -> list[str]:
    """Things after a permutation in cycles: in (1 2 3) what is at place 1 comes to place 2, that at 2 to 3."""
    if cycles == "1":
        return things
    after = list(things)
    for cycle in cycles.strip("()").split(")("):
        places = [int(place) - 1 for place in cycle.split()]
        for start, end in zip(places, places[1:] + places[:1], strict=True):
            after[end] = things[start]
    return after


@pytest.mark.parametrize(
    ("group", "tokens"),
    [("s3", "elements"), ("a5", "generators"), ("z60", "generators"), ("a4xz5", "elements"), ("s5", "elements")],
)
def test_every_label_is_where_the_things_have_come_to(group: str, tokens: str) -> None:
    task = Word(group, tokens, T=6, train=30, val=10, test=10)
    names = task.spec.labels
    things = list("abcdefghijkl"[: task.group.points])
    arrangement = {tuple(moved(things, name)): number for number, name in enumerate(names)}
    assert len(arrangement) == task.spec.output_size
    for split, steps in zip(task.load(), (6, 12, 24), strict=True):
        batch = task.batch(split, torch.arange(split.size))
        assert batch.x.shape == batch.y.shape == (split.size, steps)
        assert batch.x.dtype == batch.y.dtype == torch.int64
        for tokens_, labels in zip(batch.x.tolist(), batch.y.tolist(), strict=True):
            row = things
            for token, label in zip(tokens_, labels, strict=True):
                row = moved(row, names[int(task.elements[token])])
                assert label == arrangement[tuple(row)]


def test_tokens_are_drawn_evenly_and_are_the_generators_or_all() -> None:
    task = Word("a5", "generators", **SMALL)
    assert [task.spec.labels[int(element)] for element in task.elements] == ["1", "(1 2 3 4 5)", "(1 2 3)"]
    shares = task.load().train.x.flatten().bincount() / (300 * 32)
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=0.02)
    assert Word("s3").elements.tolist() == list(range(6))
    assert (Word("s5").spec.input_size, Word("z60", "generators").spec.input_size) == (120, 4)


@pytest.mark.parametrize(("group", "tokens"), [("s3", "elements"), ("a5", "generators")])
def test_the_majority_by_step_scores_its_floor_and_the_table_the_target(group: str, tokens: str, evaluate) -> None:
    task = Word(group, tokens, T=8, **SMALL | {"test": 1000})
    data = task.load()
    floors = task.floors(data)
    assert floors["chance"] == 1 / task.spec.output_size
    assert floors["majority"] == pytest.approx(floors["chance"], abs=0.01)  # the last 8 of 32 steps
    best = evaluate(task, data.test, task.oracle)
    assert best["last_quarter_accuracy"] == best["sequence_accuracy"] == best["step_accuracy"] == task.spec.target == 1


def test_the_majority_knows_the_few_products_of_a_few_generators() -> None:
    """Of two tokens of a5, seven products or fewer: what is known without reading is far above one in 60."""
    task = Word("a5", "generators", T=4, **SMALL | {"test": 2000})
    data = task.load()
    others = Counter(map(tuple, data.test.y[:, :1].tolist()))
    assert max(others.values()) / 2000 == pytest.approx(1 / 3, abs=0.04)
    exact = torch.zeros(60, dtype=torch.float64)
    exact[0] = 1.0
    best = []
    for _ in range(16):
        exact = sum(exact[torch.argsort(torch.from_numpy(task.group.table[:, e]))] for e in task.elements.tolist()) / 3
        best.append(float(exact.max()))
    assert best[0] == pytest.approx(1 / 3)
    assert task.floors(data)["majority"] == pytest.approx(sum(best[12:]) / 4, abs=0.01)
    assert sum(best[12:]) / 4 > 1.2 / 60


def test_the_last_quarter_is_what_the_score_is_about(evaluate) -> None:
    task = Word(T=5, **SMALL)  # 20 steps in test

    def late(batch: Batch) -> torch.Tensor:
        answer = torch.where(torch.arange(20) >= 15, batch.y, (batch.y + 1) % 6)
        return torch.nn.functional.one_hot(answer, 6).float()

    found = evaluate(task, task.load().test, late)
    assert (found["last_quarter_accuracy"], found["sequence_accuracy"], found["step_accuracy"]) == (1.0, 0.0, 0.25)


def test_the_defaults_of_the_protocol() -> None:
    spec = Word().spec
    assert spec.protocol == "s3 by elements, T=32/64/128, 20000/1000/2000, seed 0"
    assert (spec.max_length, spec.causal, spec.floor, spec.solved) == (128, False, "majority", 0.99)
