"""Evaluation: exact over the split, whatever the batch size; in eval mode and back."""

import pytest
import torch
from training_tools import DATA, TASKS, network

from rnnbench.training.evaluate import STEPS_AT_ONCE, evaluate


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("batch_size", [1, 3, 7, 16, 400])
def test_the_batch_size_changes_nothing(task, batch_size):
    model, data = network(TASKS[task]), DATA[task].val
    expected = evaluate(model, TASKS[task], data)
    found = evaluate(model, TASKS[task], data, batch_size=batch_size)
    assert found.keys() == expected.keys() == {"loss", *TASKS[task].spec.metrics}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-6), name


def test_it_is_the_loss_of_the_whole_split_at_once():
    task, data = TASKS["adding"], DATA["adding"].val
    model = network(task).eval()
    batch = task.batch(data, torch.arange(data.size))
    loss = task.loss(model(batch.x), batch).item()
    assert evaluate(model, task, data) == pytest.approx({"loss": loss, "mse": loss}, rel=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_comes_back(training):
    model = network(dropout=0.9).train(training)
    first, second = (evaluate(model, TASKS["adding"], DATA["adding"].val) for _ in range(2))
    assert first == second
    assert {m.training for m in model.modules()} == {training}


def test_it_draws_no_random_numbers_and_leaves_no_gradient():
    model = network()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    evaluate(model, TASKS["adding"], DATA["adding"].val)
    assert torch.equal(torch.rand(2), expected)
    assert all(p.grad is None for p in model.parameters())


def test_long_sequences_are_evaluated_few_at_a_time():
    seen = []

    class Long(torch.nn.Module):
        def forward(self, x, lengths=None):
            seen.append(x.shape[0])
            return x[:, 0, :1]

    task = TASKS["adding"]
    steps = STEPS_AT_ONCE // 3
    split = DATA["adding"].val._replace(x=torch.zeros(8, steps, 2), y=torch.zeros(8, 1))
    evaluate(Long(), task, split)
    assert seen == [3, 3, 2]


def test_bfloat16_runs_the_network_and_float32_the_loss(monkeypatch):
    task, seen = TASKS["adding"], []
    plain = type(task).loss

    def loss(self, prediction, batch):
        value = plain(self, prediction, batch)
        seen.append((prediction.dtype, value.dtype))
        return value

    monkeypatch.setattr(type(task), "loss", loss)
    found = evaluate(network(task), task, DATA["adding"].val, precision="bf16")
    assert set(seen) == {(torch.bfloat16, torch.float32)}
    full = evaluate(network(task), task, DATA["adding"].val)
    assert found["loss"] != full["loss"]  # else nothing ran in bfloat16
    assert found["loss"] == pytest.approx(full["loss"], rel=0.02)
