"""A class of IGNORED, padding and context are not there: for every loss, item loss, metric, outcome, sample and floor.

Each is computed of a batch whose prediction holds NaN and infinity wherever nothing counts, and compared with literal
loops over what does. A new loss or metric is a new row here.

Axes: N sequences, T steps, K classes.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score, recall_score
from torch import Tensor

from rnnbench.datasets import Digits, TaskSpec
from rnnbench.datasets.base.losses import IGNORED, ITEM_LOSSES, LOSSES
from rnnbench.datasets.base.metrics import METRICS, OF_LOSS, TaskMetrics
from rnnbench.datasets.base.shown import ClassesShown
from rnnbench.datasets.base.spec import Batch
from rnnbench.datasets.base.splits import class_floors, majority_by_step
from rnnbench.datasets.base.task import Task
from rnnbench.runs.observed import ItemOutcomes

N, T, K = 10, 13, 3
RECALLED = 4
OF_CLASSES = {"cross_entropy"}  # losses whose targets are classes; those of numbers know no IGNORED
OF_NUMBERS = {"mse", "mae", "nll_frame", "mse_frames", "bce_sequence"}
BAD = (math.nan, math.inf, -math.inf, 3e38)


class Seen(NamedTuple):
    """A step, or a sequence, that counts."""

    item: int
    step: int  # from where the context ends; 0 of a sequence
    steps: int  # of its sequence
    true: int
    said: int
    nats: float


class Drawn(NamedTuple):
    """A split at random, what a network predicts, and what of it counts."""

    batch: Batch
    clean: Tensor
    spoiled: Tensor  # as clean where it counts
    counts: Tensor
    seen: list[Seen]


def draw(seed: int, outputs: str, share: float, ragged: bool, skip: int = 0) -> Drawn:
    generator = torch.Generator().manual_seed(seed)
    shape = (N, T) if outputs == "step" else (N,)
    y = torch.randint(K, shape, generator=generator)
    y[torch.rand(shape, generator=generator) < share] = IGNORED
    y[3] = IGNORED  # an item of nothing else
    y[0] = torch.arange(y[0].numel()).view_as(y[0]) % K
    lengths = torch.randint(skip + 1, T + 1, (N,), generator=generator) if ragged else None
    logits = torch.randn(*shape, K, generator=generator)
    for n in range(1, 3):  # some that are right throughout
        logits[n] = 5.0 * torch.nn.functional.one_hot(y[n].clamp_min(0), K)
    counts, seen = torch.zeros(shape, dtype=torch.bool), []
    for n in range(N):
        length = T if lengths is None else int(lengths[n])
        for t in range(skip, length) if outputs == "step" else [0]:
            at = (n, t) if outputs == "step" else (n,)
            if (true := int(y[at])) != IGNORED:
                counts[at] = True
                values = logits[at].double()
                nats = float(torch.logsumexp(values, 0) - values[true])
                seen.append(Seen(n, t - skip, length - skip, true, int(values.argmax()), nats))
    bad = torch.tensor(BAD).repeat(logits.numel())[: logits.numel()].view_as(logits)
    spoiled = torch.where(counts[..., None], logits, bad)
    return Drawn(Batch(torch.zeros(N, T, 1), y, lengths, skip), logits, spoiled, counts, seen)


class Fake(Task):
    """A task of classes; its data is drawn here."""

    def __init__(self, outputs: str, metrics: tuple[str, ...]) -> None:
        changes = {"outputs": outputs, "output_size": K, "metrics": metrics, "recall_steps": RECALLED}
        self.spec: TaskSpec = dataclasses.replace(Digits().spec, **changes)

    def load(self):
        raise NotImplementedError

    def floors(self, data):
        raise NotImplementedError


def mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def accuracy(seen: list[Seen]) -> float:
    return mean(each.true == each.said for each in seen)


def by(key, seen: list[Seen]) -> list[list[Seen]]:
    return [[each for each in seen if key(each) == value] for value in sorted({key(each) for each in seen})]


def classes_of(seen: list[Seen]) -> tuple[list[int], list[int]]:
    return [each.true for each in seen], [each.said for each in seen]


def recalls(seen: list[Seen]) -> list[float]:
    true, said = classes_of(seen)
    return list(recall_score(true, said, labels=sorted(set(true)), average=None, zero_division=0))


WHOLE = {"recall_accuracy"}  # of sequences of one length only
OF_STEPS = {
    "query_accuracy": accuracy,
    "step_accuracy": accuracy,
    "recall_accuracy": lambda seen: accuracy([each for each in seen if each.step >= each.steps - RECALLED]),
    "last_quarter_accuracy": lambda seen: accuracy(
        [each for each in seen if each.step >= each.steps - math.ceil(each.steps / 4)]
    ),
    "length_accuracy": lambda seen: mean(map(accuracy, by(lambda each: each.steps, seen))),
    "sequence_accuracy": lambda seen: mean(accuracy(part) == 1 for part in by(lambda each: each.item, seen)),
}
OF_BOTH = {
    "accuracy": accuracy,
    "cross_entropy": lambda seen: mean(each.nats for each in seen),
    "bpc": lambda seen: mean(each.nats for each in seen) / math.log(2),
    "perplexity": lambda seen: math.exp(mean(each.nats for each in seen)),
    "balanced_accuracy": lambda seen: mean(recalls(seen)),
    "min_recall": lambda seen: min(recalls(seen)),
    "macro_f1": lambda seen: f1_score(*classes_of(seen), average="macro", zero_division=0),
    "CohenKappa": lambda seen: cohen_kappa_score(*classes_of(seen)),  # as all that torchmetrics has
}


def test_every_loss_and_metric_is_here():
    assert set(LOSSES) == set(ITEM_LOSSES) == OF_CLASSES | OF_NUMBERS
    assert {*METRICS, *OF_LOSS} == {*OF_STEPS, *OF_BOTH, "r2"} - OF_CLASSES - {"CohenKappa"}, "r2 is of numbers"


@given(
    outputs=st.sampled_from(["sequence", "step"]),
    share=st.floats(0, 0.9),
    ragged=st.booleans(),
    skip=st.sampled_from([0, 2]),
    size=st.sampled_from([1, 3, N]),
    seed=st.integers(0, 999),
)
def test_no_metric_sees_them(outputs, share, ragged, skip, size, seed):
    skip *= outputs == "step"
    drawn = draw(seed, outputs, share, ragged, skip)
    wanted = OF_BOTH | (OF_STEPS if outputs == "step" else {})
    wanted = {name: found for name, found in wanted.items() if not (ragged and name in WHOLE)}
    task = Fake(outputs, tuple(wanted))
    metrics = TaskMetrics(task.spec, task.loss)
    for index in torch.arange(N).split(size):
        x, y, lengths, _ = drawn.batch
        lengths = None if lengths is None else lengths[index]
        metrics.update(drawn.spoiled[index], Batch(x[index], y[index], lengths, skip))
    found = metrics.compute()
    assert found["loss"] == found["cross_entropy"]
    for name, literal in wanted.items():
        expected = literal(drawn.seen)
        assert found[name] == pytest.approx(expected, rel=1e-5, abs=1e-9, nan_ok=True), name


@given(
    outputs=st.sampled_from(["sequence", "step"]), share=st.floats(0, 0.9), ragged=st.booleans(),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_no_loss_sees_them_forward_or_backward(outputs, share, ragged, seed):
    drawn = draw(seed, outputs, share, ragged)
    for name in OF_CLASSES:
        found = []
        for prediction in (drawn.clean.clone(), drawn.spoiled.clone()):
            prediction.requires_grad_()
            loss = LOSSES[name](prediction, drawn.batch)
            loss.backward()
            found.append((loss.detach(), prediction.grad))
        assert torch.equal(found[0][0], found[1][0])
        assert torch.equal(found[0][1], found[1][1])
        assert not found[1][1][~drawn.counts].any()
        assert float(found[1][0]) == pytest.approx(mean(each.nats for each in drawn.seen), rel=1e-5)


@given(
    outputs=st.sampled_from(["sequence", "step"]), share=st.floats(0, 0.9), ragged=st.booleans(),
    skip=st.sampled_from([0, 2]), seed=st.integers(0, 999),
)  # fmt: skip
def test_no_outcome_of_an_item_sees_them(outputs, share, ragged, skip, seed):
    skip *= outputs == "step"
    drawn = draw(seed, outputs, share, ragged, skip)
    task = Fake(outputs, ("accuracy", *(["sequence_accuracy"] if outputs == "step" else [])))
    watch = ItemOutcomes(task, N)
    watch(torch.arange(N), drawn.batch, drawn.spoiled)
    made = watch.made("0" * 12, "data", "accuracy")
    for n in range(N):
        mine = [each for each in drawn.seen if each.item == n]
        assert made.count[n] == len(mine)
        assert made.total[n] == pytest.approx(sum(each.nats for each in mine), rel=1e-5, abs=1e-7)
        assert not mine or made.right[n] == all(each.true == each.said for each in mine)
    metrics = task.metrics()
    metrics.update(drawn.spoiled, drawn.batch)
    said = metrics.compute()
    assert made.means()["loss"] == pytest.approx(said["loss"], rel=1e-5)
    assert made.means()["right"] == pytest.approx(said[task.spec.metrics[-1]])


@given(
    outputs=st.sampled_from(["sequence", "step"]), share=st.floats(0, 0.9), ragged=st.booleans(),
    skip=st.sampled_from([0, 2]), seed=st.integers(0, 999),
)  # fmt: skip
def test_no_sample_shows_them(outputs, share, ragged, skip, seed):
    skip *= outputs == "step"
    drawn = draw(seed, outputs, share, ragged, skip)
    watch = ClassesShown("abc")
    watch.see(torch.arange(N), drawn.batch, drawn.spoiled)
    kept = watch.samples("run", None)
    counts = np.zeros((K, K), int)
    for each in drawn.seen:
        counts[each.true, each.said] += 1
    assert kept.counts.tolist() == counts.tolist()
    places = {(each.item, each.step + skip if outputs == "step" else -1) for each in drawn.seen}
    assert set(zip(kept.item.tolist(), kept.step.tolist(), strict=True)) <= places
    worst = sorted((each.nats for each in drawn.seen), reverse=True)[: len(kept.item)]
    assert kept.probability == pytest.approx(np.exp(-np.array(worst)), rel=1e-5)


@given(share=st.floats(0, 0.9), seed=st.integers(0, 999))
def test_no_floor_of_classes_sees_them(share, seed):
    train, test = (draw(seed + n, "step", share, ragged=False).batch.y for n in range(2))
    found = class_floors(K, train, test)
    known = [int(y) for y in test.flatten() if y != IGNORED]
    frequent = [[int(y) for y in train.flatten()].count(k) for k in range(K)]
    assert found["majority"] == pytest.approx(known.count(frequent.index(max(frequent))) / len(known))
    for t, guess in enumerate(majority_by_step(train, K).tolist()):
        column = train[:, t].tolist()
        assert column.count(guess) == max(column.count(k) for k in range(K))
