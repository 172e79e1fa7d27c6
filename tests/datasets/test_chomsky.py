"""Formal tasks: every answer worked out from the written string, lengths, label shares known by counting, floors."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch

from rnnbench.datasets import Chomsky
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.spec import Batch
from rnnbench.datasets.chomsky import DIALECTS

SMALL = {"longest_train": 9, "longest_val": 14, "longest_test": 30, "train": 300, "val": 60, "test": 200}


def summed(text: str) -> int:
    """The value of an expression modulo 5, from the right: a sum splits at its last + or -, a product at its last *."""
    for operators in ("+-", "*"):
        for at in range(len(text) - 1, -1, -1):
            if text[at] in operators:
                left, right = summed(text[:at]), summed(text[at + 1 :])
                return {"+": left + right, "-": left - right, "*": left * right}[text[at]] % 5
    return int(text)


def ring(text: str) -> int:
    place = 0
    for move in text:
        place = {"-": place - 1, "0": place, "+": place + 1}[move]
        place = {-1: 4, 5: 0}.get(place, place)
    return place


ANSWERS = {
    "parity": lambda text: str(text.count("b") % 2),
    "even_pairs": lambda text: str((text.count("ab") + text.count("ba")) % 2),
    "cycle_navigation": lambda text: str(ring(text)),
    "modular_arithmetic": lambda text: str(summed(text)),
    "bucket_sort": lambda text: "".join(digit * text.count(digit) for digit in "01234"),
    "reverse_string": lambda text: "".join(reversed(text)),
}


def spelled(task: Chomsky, split) -> list[tuple[str, str]]:
    """String and answer of every sequence, as text; the empty tokens, padding and IGNORED are looked at here."""
    symbols, classes, found = task.dialect.symbols, task.spec.labels, []
    batch = task.batch(split, torch.arange(split.size))
    assert batch.x.dtype == batch.y.dtype == torch.int64
    for x, y, steps in zip(batch.x.tolist(), batch.y.tolist(), batch.lengths.tolist(), strict=True):
        length = x.index(len(symbols))
        assert set(x[length:]) == {len(symbols)}
        assert y[:length] == [IGNORED] * length
        assert y[steps:] == [IGNORED] * (len(y) - steps)
        found.append(("".join(symbols[n] for n in x[:length]), "".join(classes[n] for n in y[length:steps])))
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_answer_follows_from_the_written_string(dialect: str) -> None:
    task = Chomsky(dialect, **SMALL)
    ranges = ((1, 9), (10, 14), (15, 30))
    for split, (low, high) in zip(task.load(), ranges, strict=True):
        read = spelled(task, split)
        lengths = Counter(len(text) for text, _ in read)
        assert set(lengths) == {n for n in range(low, high + 1) if n % 2 or dialect != "modular_arithmetic"}
        assert max(lengths.values()) - min(lengths.values()) <= 1
        for text, answer in read:
            assert answer == ANSWERS[dialect](text), text


def test_expressions_are_worked_out_products_first() -> None:
    assert [summed(text) for text in ("2+3*4", "2*3+4", "1-2*3-4", "0-1")] == [4, 0, 1, 4]


def shares(dialect: str, length: int) -> list[Fraction]:
    """The exact distribution of the first answer, by writing every string there is."""
    places = [DIALECTS[dialect].symbols] * length
    if dialect == "modular_arithmetic":
        places = ["+-*" if at % 2 else "01234" for at in range(length)]
    found = Counter(ANSWERS[dialect]("".join(text))[0] for text in itertools.product(*places))
    return [Fraction(found[name], found.total()) for name in DIALECTS[dialect].classes]


@pytest.mark.parametrize(
    ("dialect", "length", "rounded"),
    [
        ("parity", 5, [0.5, 0.5]),
        ("even_pairs", 1, [1.0, 0.0]),
        ("even_pairs", 5, [0.5, 0.5]),
        ("cycle_navigation", 3, [0.26, 0.22, 0.15, 0.15, 0.22]),
        ("modular_arithmetic", 5, [0.23, 0.19, 0.19, 0.19, 0.19]),
    ],
)
def test_labels_come_as_often_as_counting_says(dialect: str, length: int, rounded: list[float]) -> None:
    """Three moves and sums of three digits are not even, as is known of the paper's own generators."""
    exact = [float(share) for share in shares(dialect, length)]
    assert exact == pytest.approx(rounded, abs=0.006)
    size = 20_000
    strings = DIALECTS[dialect].strings(np.random.default_rng(0), length, size)
    drawn = np.bincount(DIALECTS[dialect].answers(strings)[:, 0], minlength=len(exact)) / size
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(0.25 / size))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_majority_by_length_and_step_scores_its_floor_and_the_rule_the_target(dialect: str, evaluate) -> None:
    task = Chomsky(dialect, **SMALL)
    data = task.load()
    floors = task.floors(data)
    assert floors["chance"] == 1 / len(DIALECTS[dialect].classes)
    if dialect != "bucket_sort":
        assert floors["majority"] == pytest.approx(floors["chance"], abs=0.12)
    best = evaluate(task, data.test, task.oracle)
    assert best["length_accuracy"] == best["sequence_accuracy"] == task.spec.target == 1


def test_a_sorted_string_is_known_to_a_large_part_without_reading_it() -> None:
    """Against the exact law of the n-th of L sorted digits: at most k where at least n + 1 digits are at most k."""
    task = Chomsky("bucket_sort", **SMALL | {"test": 1600})

    def at_most(k: int, n: int, L: int) -> float:
        p = (k + 1) / 5
        return sum(math.comb(L, m) * p**m * (1 - p) ** (L - m) for m in range(n + 1, L + 1))

    by_length = []
    for L in range(15, 31):
        best = [max(at_most(k, n, L) - (at_most(k - 1, n, L) if k else 0) for k in range(5)) for n in range(L)]
        by_length.append(sum(best) / L)
    floor = task.floors(task.load())["majority"]
    assert floor == pytest.approx(sum(by_length) / len(by_length), abs=0.01)
    assert floor > 0.7


def test_the_score_weighs_every_length_alike(evaluate) -> None:
    task = Chomsky("reverse_string", **SMALL | {"test": 7})  # fewer strings than lengths: one of some
    data = task.load()

    def half(batch: Batch) -> torch.Tensor:  # right on strings below 20 symbols
        answer = torch.where(batch.lengths[:, None] < 40, batch.y, 1 - batch.y).clamp(0, 1)
        return torch.nn.functional.one_hot(answer, 2).float()

    lengths = (data.test.lengths // 2).tolist()
    assert len(set(lengths)) == 7
    found = evaluate(task, data.test, half)
    assert found["length_accuracy"] == pytest.approx(sum(n < 20 for n in lengths) / 7)
    assert found["sequence_accuracy"] == pytest.approx(found["length_accuracy"])
    assert found["length_accuracy"] > sum(n for n in lengths if n < 20) / sum(lengths)


def test_where_the_papers_test_begins_validation_has_lengths_of_train_and_other_strings() -> None:
    task = Chomsky("parity", 32, 32, 50, train=2000, val=400, test=100)
    train, val, test = (dict(spelled(task, split)) for split in task.load())
    assert {len(text) for text in val} == set(range(17, 33))
    assert {len(text) for text in train} == set(range(1, 33))
    assert {len(text) for text in test} == set(range(33, 51))
    assert not set(train) & set(val)
    assert task.spec.protocol == "parity, lengths 1-32/17-32/33-50, 2000/400/100, seed 0"


def test_a_string_that_validation_has_is_drawn_again_for_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnbench.datasets.chomsky.SHORTEST_SHARED", 8)
    train, val, _ = (dict(spelled(task, split)) for task in [Chomsky("parity", 8, 8, 9, train=4000, val=200, test=9)]
                     for split in task.load())  # fmt: skip
    assert len(val) > 80  # of 480
    assert not set(train) & set(val)


def test_the_defaults_of_the_protocol() -> None:
    spec = Chomsky().spec
    assert spec.protocol == "parity, lengths 1-20/21-40/41-100, 20000/1000/2000, seed 0"
    assert Chomsky("modular_arithmetic").spec.protocol.startswith("modular_arithmetic, odd lengths 1-20/")
    assert (spec.max_length, spec.input_size, spec.floor, spec.solved) == (101, 3, "majority", 0.99)
    assert Chomsky("bucket_sort").spec.max_length == 200
