"""a^n b^n and Dyck: every word and every target read back literally, shapes drawn evenly, floors and oracles."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch

from rnnbench.datasets import AnBn, Dyck
from rnnbench.datasets.base.spec import Batch
from rnnbench.datasets.dyck import opening_chances

SMALL = {"longest_train": 12, "longest_val": 18, "longest_test": 40, "train": 300, "val": 100, "test": 200}
PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def spelled(task, split):
    """(word, the set of symbols that may come next at each step) of every sequence of a split."""
    batch = task.batch(split, torch.arange(split.size))
    for x, y, length in zip(batch.x, batch.y, batch.lengths.tolist(), strict=True):
        assert not x[length:].any()
        assert not y[length:].any()
        word = "".join(task.inputs[int(step.argmax())] for step in x[:length])
        yield word, [{s for s, on in zip(task.outputs, step.tolist(), strict=True) if on} for step in y[:length]]


def test_anbn_is_every_word_once_and_its_targets_follow_the_grammar() -> None:
    task = AnBn(longest_train=3, longest_val=5, longest_test=9)
    words = [dict(spelled(task, split)) for split in task.load()]
    assert [sorted(map(len, w)) for w in words] == [[2, 4, 6], [8, 10], [12, 14, 16, 18]]
    for word, sets in itertools.chain(*(w.items() for w in words)):
        n = len(word) // 2
        assert word == "a" * n + "b" * n
        assert sets == [set("ab")] * n + [{"b"}] * (n - 1) + [{"."}]


@pytest.mark.parametrize(("kinds", "depth"), [(1, None), (2, None), (4, 3), (2, 2)])
def test_dyck_words_are_nested_and_their_targets_are_the_stack(kinds, depth) -> None:
    task = Dyck(kinds=kinds, depth=depth, **SMALL)
    deepest, lengths = 0, []
    for split in task.load():
        lengths.append(set())
        for word, sets in spelled(task, split):
            lengths[-1].add(len(word))
            left = ""
            for symbol, allowed in zip(word, sets, strict=True):
                if symbol in PAIRS:
                    left += PAIRS[symbol]
                else:
                    assert left[-1] == symbol
                    left = left[:-1]
                deepest = max(deepest, len(left))
                assert allowed == set(left[-1:]) | (set() if len(left) == depth else set(task.inputs[:kinds]))
            assert left == ""
    assert lengths == [set(range(2, 13, 2)), set(range(14, 19, 2)), set(range(20, 41, 2))]
    assert deepest == (depth or deepest) > 1
    assert set("".join(w for w, _ in spelled(task, task.load().train))) == set(task.inputs)


def catalan(pairs: int) -> int:
    return math.comb(2 * pairs, pairs) // (pairs + 1)


def test_every_shape_of_a_length_is_as_likely() -> None:
    chances = opening_chances(8, None)
    for shape in itertools.product((1, -1), repeat=8):
        depths = list(itertools.accumulate(shape))
        probability = 1.0
        for t, step in enumerate(shape):
            before = depths[t] - step
            opens = chances[8 - t, before] if 0 <= before < chances.shape[1] else 0.0
            probability *= opens if step == 1 else 1 - opens
            if before == 0 and step == -1:
                probability = 0.0
        nested = min(depths) >= 0 and depths[-1] == 0
        assert probability == pytest.approx(1 / catalan(4) if nested else 0.0), shape
    task = Dyck(kinds=1, **SMALL | {"train": 3000})
    drawn = Counter(word for word, _ in spelled(task, task.load().train) if len(word) == 6)
    assert len(drawn) == catalan(3)
    assert all(count == pytest.approx(100, abs=40) for count in drawn.values())


def test_the_table_of_one_symbol_scores_its_floor_and_the_oracle_the_target(evaluate) -> None:
    for task in (AnBn(), Dyck(kinds=1, **SMALL), Dyck(kinds=2, depth=2, **SMALL)):
        data = task.load()
        assert task.floors(data) == {"memoryless": 0.0}
        best = evaluate(task, data.test, task.oracle)
        assert best["sequence_accuracy"] == best["step_accuracy"] == task.spec.target == 1
        assert best["loss"] == pytest.approx(0, abs=1e-9)


def test_a_floor_that_is_not_zero_is_counted() -> None:
    """Words that a table can do are in no test range of ours; on train a^1 b^1 is one."""
    task = AnBn()
    train = task.load().train
    assert task.memoryless(train, task.pack([np.array([0, 0, 1], np.uint8)])) == {"memoryless": 1.0}
    assert task.memoryless(train, task.pack([np.array([0, 1], np.uint8)])) == {"memoryless": 0.0}


def test_one_wrong_bit_costs_the_word_and_padding_costs_nothing(evaluate) -> None:
    task = AnBn(longest_train=2, longest_val=3, longest_test=5)
    test = task.load().test  # n = 4, 5: 8 and 10 steps

    def nearly(batch: Batch) -> torch.Tensor:
        wrong = task.oracle(batch)
        wrong[0, 3, 1] *= -1
        wrong[0, 8:] *= -1  # padding of the shorter word
        return wrong

    found = evaluate(task, test, nearly)
    assert (found["sequence_accuracy"], found["step_accuracy"]) == (0.5, pytest.approx(17 / 18))


def test_a_word_that_is_not_nested_has_no_target() -> None:
    with pytest.raises(ValueError, match="step 1 closes what is not open"):
        Dyck(**SMALL).legal(np.array([0, 3], np.uint8))
