"""Associative recall: pairs and queries read back with a dictionary, where queries stand, floors and oracle."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from rnnbench.datasets import MQAR
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.spec import Batch

SMALL = {"train": 200, "val": 50, "test": 100}


@pytest.mark.parametrize("options", [{}, {"slots": "power"}, {"V": 20, "T": 13, "K": 3}, {"V": 600, "T": 40, "K": 10}])
def test_every_query_is_answered_by_a_dictionary(options: dict[str, int]) -> None:
    task = MQAR(**options, **SMALL)
    V, T, K = task.V, task.T, task.K
    for split in task.load():
        assert split.x.dtype == (torch.int16 if V > 256 else torch.uint8)
        batch = task.batch(split, torch.arange(split.size))
        assert batch.x.shape == batch.y.shape == (split.size, T)
        assert batch.x.dtype == batch.y.dtype == torch.int64
        for tokens, labels in zip(batch.x.tolist(), batch.y.tolist(), strict=True):
            pairs = dict(zip(tokens[0 : 2 * K : 2], tokens[1 : 2 * K : 2], strict=True))
            assert len(pairs) == len(set(pairs.values())) == K
            assert all(1 <= key < V // 2 <= value < V for key, value in pairs.items())
            assert labels[: 2 * K] == [IGNORED] * (2 * K)
            asked = {}
            for t in range(2 * K, T):
                if tokens[t]:
                    assert t % 2 == 0
                    asked[tokens[t]] = labels[t]
                else:
                    assert labels[t] == IGNORED
            assert asked == pairs


def test_no_sequence_is_in_two_splits_even_where_there_are_few() -> None:
    task = MQAR(V=8, T=10, K=1, train=300, val=10, test=10)  # 3 keys, 4 values, 4 slots: 48 sequences
    rows = [set(map(tuple, split.x.tolist())) for split in task.load()]
    assert rows[0].isdisjoint(rows[1] | rows[2])
    assert rows[1].isdisjoint(rows[2])
    assert len(rows[0]) > 20


def where(task: MQAR) -> np.ndarray:
    """How often each slot has a query."""
    return (task.load().train.x[:, 2 * task.K :] > 0).sum(0)[: 2 * task.room : 2].numpy()


def test_uniform_slots_are_even_and_keys_and_values_are() -> None:
    task = MQAR(train=6000, val=10, test=10)
    assert where(task) / 6000 == pytest.approx(np.full(18, 6 / 18), abs=0.03)
    pairs = task.load().train.x[:, :12]
    assert pairs[:, 0].bincount()[1:].double().numpy() / 6000 == pytest.approx(np.full(31, 1 / 31), abs=0.012)
    assert pairs[:, 1].bincount()[32:].double().numpy() / 6000 == pytest.approx(np.full(32, 1 / 32), abs=0.012)


def test_power_slots_are_drawn_one_by_one_with_falling_weights() -> None:
    """The k-th with k^-0.99: the slot of the first key, against its weights; all slots, against numpy's own choice."""
    task = MQAR(T=32, K=4, slots="power", train=6000, val=10, test=10)
    x = task.load().train.x.long()
    share = np.arange(1, 13) ** -0.99
    share /= share.sum()
    first = np.array([(row[8::2] == row[0]).nonzero().item() for row in x])
    assert np.bincount(first, minlength=12) / 6000 == pytest.approx(share, abs=0.025)
    rng = np.random.default_rng(0)
    theirs = Counter(int(s) for _ in range(3000) for s in rng.choice(12, size=4, replace=False, p=share))
    assert where(task) / 6000 == pytest.approx(np.array([theirs[s] for s in range(12)]) / 3000, abs=0.04)


def test_a_value_of_the_sequence_scores_the_floor_and_the_dictionary_the_target(evaluate) -> None:
    task = MQAR(**SMALL | {"test": 1000})
    data = task.load()
    floors = task.floors(data)
    assert floors == {"context": 1 / 6, "chance": 1 / 32}
    generator = torch.Generator().manual_seed(0)

    def some_value(batch: Batch) -> torch.Tensor:
        chosen = 1 + 2 * torch.randint(6, batch.x.shape, generator=generator)
        return torch.nn.functional.one_hot(batch.x.gather(1, chosen), 64).float()

    found = evaluate(task, data.test, some_value)
    assert found["query_accuracy"] == pytest.approx(floors["context"], abs=0.02)
    blind = evaluate(task, data.test, lambda batch: torch.rand(*batch.x.shape, 64, generator=generator))
    assert blind["query_accuracy"] < floors["context"] / 2
    best = evaluate(task, data.test, task.oracle)
    assert best["query_accuracy"] == best["sequence_accuracy"] == task.spec.target == 1


def test_the_defaults_of_the_protocol() -> None:
    spec = MQAR().spec
    assert spec.protocol == "V=64, T=48, K=6, uniform slots, 50000/2000/5000, seed 0"
    assert (spec.floor, spec.max_length, spec.solved) == ("context", 48, 0.99)
