"""The loss of each test item: equal to literal loops, adding up to the recorded loss, and never the end of a run."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from rnnbench.datasets import Digits, MovingDigits
from rnnbench.datasets.base.losses import IGNORED
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task
from rnnbench.runs.observed import ItemOutcomes, Observed, keep
from rnnbench.runs.run import run
from rnnbench.store import outcomes
from rnnbench.store.store import Store


class Fake(Task):
    """A task of the given spec; its data is made by the tests."""

    def __init__(self, **changes: object) -> None:
        self.spec: TaskSpec = dataclasses.replace(Digits().spec, **changes)

    def load(self) -> Data:
        raise NotImplementedError

    def floors(self, data: Data) -> dict[str, float]:
        raise NotImplementedError


def gone_through(
    task: Task, split: Split, prediction: torch.Tensor, size: int, skip: int = 0
) -> tuple[ItemOutcomes, dict]:
    items, metrics = ItemOutcomes(task, split.size), task.metrics()
    for index in torch.arange(split.size).split(size):
        batch = task.batch(split, index)._replace(skip=skip)
        found = prediction[index][:, : batch.y.shape[1]] if batch.y.dim() > 1 else prediction[index]
        items(index, batch, found)
        metrics.update(found, batch)
    return items, metrics.compute()


def nats(logits: torch.Tensor, k: int) -> float:
    values = logits.tolist()
    return math.log(sum(math.exp(v) for v in values)) - values[k]


@pytest.mark.parametrize("size", [1, 4, 12])
def test_classes_of_sequences_with_unknown_ones(size):
    generator = torch.Generator().manual_seed(0)
    y, logits = torch.randint(3, (12,), generator=generator), torch.randn(12, 3, generator=generator)
    y[4] = IGNORED
    items, values = gone_through(Fake(output_size=3), Split(torch.zeros(12, 2, 1), y), logits, size)
    found = items.made("r", "h", "accuracy")
    wanted = [0.0 if n == 4 else nats(logits[n], int(y[n])) for n in range(12)]
    assert found.total.tolist() == pytest.approx(wanted, rel=1e-5)
    assert found.count.tolist() == [int(n != 4) for n in range(12)]
    assert [found.right[n] for n in range(12) if n != 4] == [
        int(logits[n].argmax()) == int(y[n]) for n in range(12) if n != 4
    ]
    assert found.means() == pytest.approx({"loss": values["loss"], "right": values["accuracy"]}, rel=1e-6)


@pytest.mark.parametrize("size", [1, 4, 12])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "mae", "nll_frame"])
def test_steps_with_padding_and_unknown_classes(loss, size):
    generator = torch.Generator().manual_seed(1)
    lengths = torch.randint(1, 6, (12,), generator=generator)
    prediction = torch.randn(12, 5, 3, generator=generator)
    y = torch.rand(12, 5, 3, generator=generator)
    if loss == "cross_entropy":
        y = torch.randint(3, (12, 5), generator=generator)
        y[2, 0] = IGNORED
    prediction[torch.arange(5) >= lengths[:, None]] = math.nan
    task = Fake(outputs="step", output_size=3, loss=loss, metrics=(loss,))
    items, values = gone_through(task, Split(torch.zeros(12, 5, 1), y, lengths), prediction, size)
    found = items.made("r", "h", loss)
    for n in range(12):
        total, count = 0.0, 0
        for t in range(int(lengths[n])):
            p = prediction[n, t].double()
            if loss == "cross_entropy":
                known = int(y[n, t]) != IGNORED
                total, count = total + (nats(p, int(y[n, t])) if known else 0.0), count + known
                continue
            e = (p - y[n, t]).tolist()
            sigmoid = [1 / (1 + math.exp(-v)) for v in p.tolist()]
            bits = [
                -(b * math.log(s) + (1 - b) * math.log(1 - s)) for s, b in zip(sigmoid, y[n, t].tolist(), strict=True)
            ]
            step = {"mse": sum(v * v for v in e) / 3, "mae": sum(map(abs, e)) / 3, "nll_frame": sum(bits)}
            total, count = total + step[loss], count + 1
        assert (float(found.total[n]), int(found.count[n])) == (pytest.approx(total, rel=1e-5), count)
    assert found.means()["loss"] == pytest.approx(values["loss"], rel=1e-6)
    assert found.right is None, "steps are right or wrong, an item is not"


def test_steps_of_context_do_not_count():
    y, logits = torch.tensor([[0, 1, 1]]), torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(2))
    task = Fake(outputs="step", output_size=2)
    items = ItemOutcomes(task, 1)
    items(torch.tensor([0]), Batch(torch.zeros(1, 3, 1), y, None, skip=2), logits)
    found = items.made("r", "h", "accuracy")
    assert (found.count.tolist(), found.total.tolist()) == ([1], [pytest.approx(nats(logits[0, 2], 1), rel=1e-5)])


def test_an_item_in_several_rows_is_their_sum_and_right_where_all_are():
    items = ItemOutcomes(Fake(output_size=2), 2)
    logits, y = torch.tensor([[2.0, 0], [0, 1.0], [0, 3.0], [4.0, 0]]), torch.tensor([0, 1, 1, 1])
    items(torch.tensor([1, 0, 1, 0]), Batch(torch.zeros(4, 1, 1), y), logits)
    found = items.made("r", "h", "accuracy")
    wanted = [nats(logits[1], 1) + nats(logits[3], 1), nats(logits[0], 0) + nats(logits[2], 1)]
    assert found.total.tolist() == pytest.approx(wanted, rel=1e-5)
    assert (found.count.tolist(), found.right.tolist()) == ([2, 2], [False, True])


def test_items_that_never_came_and_losses_that_do_not_add_up_are_refused(tmp_path):
    y, logits = torch.tensor([0, 1]), torch.randn(2, 2)
    items = ItemOutcomes(Fake(output_size=2), 3)
    items(torch.tensor([0, 2]), Batch(torch.zeros(2, 1, 1), y), logits)
    with pytest.raises(ValueError, match="1 of 3 items were not seen"):
        items.made("r", "h", "accuracy")
    with pytest.raises(ValueError, match="3 items and losses of the shape"):
        items(torch.arange(3), Batch(torch.zeros(2, 1, 1), y), logits)
    whole = ItemOutcomes(Fake(output_size=2), 2)
    whole(torch.arange(2), Batch(torch.zeros(2, 1, 1), y), logits)
    with pytest.raises(ValueError, match="its items have the loss"):
        keep(whole.made("r", "h", "accuracy"), tmp_path, data_hash="h", metrics={"test/loss": 99.0})
    assert list(tmp_path.iterdir()) == []


def test_a_loss_of_a_tasks_own_says_nothing_of_items_unless_the_task_does(tmp_path):
    class Own(Fake):
        def loss(self, prediction, batch):
            return prediction.sum()

    items = ItemOutcomes(Own(output_size=2), 2)
    items(torch.arange(2), Batch(torch.zeros(2, 1, 1), torch.tensor([0, 1])), torch.randn(2, 2))
    assert items.made("r", "h", "accuracy") is None
    keep(None, tmp_path, data_hash="h", metrics={})
    assert list(tmp_path.iterdir()) == []


def test_an_observer_that_fails_is_named_once_and_the_others_go_on():
    said, seen = [], []

    def fails(*_: object) -> None:
        raise RuntimeError("no\nroom")

    observed = Observed({"a.npz": fails, "b.npz": lambda index, *_: seen.append(int(index[0]))}, said.append)
    for n in range(3):
        observed(torch.tensor([n]), Batch(torch.zeros(1, 1, 1), torch.zeros(1)), torch.zeros(1))
    assert (seen, said) == ([0, 1, 2], ["no a.npz is kept (RuntimeError: no room)."])
    observed.guarded("a.npz", lambda: seen.append(9))
    observed.guarded("b.npz", lambda: seen.append(8))
    assert seen == [0, 1, 2, 8]


def test_clips_of_frames():
    task = MovingDigits(train=4, val=4, test=6)
    test = task.load().test
    batch = task.batch(test, torch.arange(6))
    prediction = torch.rand(batch.y.shape, generator=torch.Generator().manual_seed(0))
    items = ItemOutcomes(task, 6)
    for index in torch.arange(6).split(4):
        items(index, task.batch(test, index), prediction[index])
    wanted = np.square(prediction.double().numpy() - batch.y.double().numpy()).reshape(6, -1).mean(1)
    assert items.made("r", "h", "mse_sum").total == pytest.approx(wanted, rel=1e-5)


@pytest.mark.integration
@pytest.mark.parametrize("dataset", ["digits", "anbn", "moving_digits dataset.test=20 dataset.train=20 dataset.val=20"])
def test_a_run_keeps_them_and_they_are_those_of_its_record(dataset, tmp_path):
    words = [*f"dataset={dataset}".split(), "cell=rnn", "hidden_size=4", "budget=smoke", "budget.updates=2"]
    words += ["budget.batch_size=10"] * dataset.startswith("moving")
    record = run(words, results=tmp_path)
    store = Store.open(tmp_path)
    found, problems = outcomes.gather(store, [record])
    assert problems == {}
    mine = found[record["id"]]
    assert mine.means()["loss"] == pytest.approx(record["metrics"]["test/loss"], rel=1e-6)
    assert mine.data_hash == record["dataset"]["data_hash"]
    if dataset == "digits":
        assert (mine.items, mine.count.tolist()) == (360, [1] * 360)
        assert mine.right.mean() == pytest.approx(record["metrics"]["test/accuracy"])
    if dataset == "anbn":
        assert mine.right.mean() == pytest.approx(record["metrics"]["test/sequence_accuracy"])
        assert len(set(mine.count.tolist())) > 20, "words of many lengths"


@pytest.mark.integration
def test_a_run_whose_outcomes_cannot_be_kept_is_recorded(tmp_path, monkeypatch, capsys):
    def broken(self, prediction, batch):
        raise RuntimeError("made up")

    monkeypatch.setattr(Digits, "item_losses", broken)
    record = run(["dataset=digits", "cell=rnn", "hidden_size=4", "budget=smoke", "budget.updates=2"], results=tmp_path)
    assert record["status"] == "ok"
    assert not (tmp_path / "runs" / record["id"] / outcomes.FILE).exists()
    assert f"run {record['id']}: no outcomes.npz is kept (RuntimeError: made up)." in capsys.readouterr().err
