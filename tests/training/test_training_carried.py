"""A state carried from update to update: what a loop by hand computes, saved with the run, its graph forgotten."""

from __future__ import annotations

import weakref

import pytest
import torch
from torch import nn
from training_tools import ADDING, Hooks, network, options, same, weights

from rnnbench.datasets import OwnText
from rnnbench.nn import GRU, LSTM, SequenceModel, build_stack, make_encoder, start
from rnnbench.nn.rivals import TCN
from rnnbench.training import Interrupted
from rnnbench.training.evaluate import carried, carries
from rnnbench.training.fit import fit

T, B = 6, 4
UPDATES = 17  # of 8 an epoch: two whole ones and the first update of a third


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "novel.txt"
    path.write_text("".join("abcde "[n * n * n % 17 % 6] for n in range(240)))
    return OwnText(path=str(path), bptt=T, context=4)


@pytest.fixture(scope="module")
def data(task):
    found = task.load()
    assert found.train.size // B == 9
    return found._replace(train=found.train._replace(x=found.train.x[:34], y=found.train.y[:34]))


def language_model(task, cell=LSTM, backend="eager", layers=2, dropout=0.25):
    encoder, size = make_encoder("embedding", task.spec.input_size, 5)
    stack = (
        TCN(size, 5, kernel_size=3)
        if cell is TCN
        else build_stack(cell, size, 5, layers=layers, dropout=dropout, backend=backend)
    )
    model = SequenceModel(encoder, stack, head="every", output_size=task.spec.output_size)
    start(model, 0)
    return model


def train(task, data, model, hooks=None, resume=None, **more):
    given = options(updates=UPDATES, batch_size=B, val_every=5, **more)
    hooks = hooks if hooks is not None else Hooks()
    return fit(model, task, data, given, lambda p: torch.optim.SGD(p, lr=0.3), None, hooks, resume=resume)


def by_hand(task, data, model, epochs_firsts):
    """The same updates, the streams cut out of the split by their definition."""
    model.train()
    rows = []
    for first in epochs_firsts:
        state = None
        for n in range(8):
            if len(rows) == UPDATES:
                return rows
            batch = task.batch(data.train, torch.tensor([first + b * 8 + n for b in range(B)]))
            logits, state = model.step(batch.x, state)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), batch.y.flatten())
            loss.backward()
            with torch.no_grad():
                norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
                for p in model.parameters():
                    p -= 0.3 * p.grad * min(1.0, float(1.0 / (norm + 1e-6)))
                    p.grad = None
            state = tuple(type(each)(*(field.detach() for field in each)) for each in state)
            rows.append(loss.item())
    return rows


def test_training_is_what_a_loop_by_hand_computes(task, data):
    hooks = Hooks()
    module = train(task, data, language_model(task, dropout=0.0), hooks)
    batches = module.round.batches
    firsts = [int(batches.index(epoch * 8)[0]) for epoch in range(3)]
    assert set(firsts) <= {0, 1, 2}
    model = language_model(task, dropout=0.0)
    losses = by_hand(task, data, model, firsts)
    for row, end in zip(hooks.rows, (5, 10, 15, 17), strict=True):
        begin = end - (5 if end < 17 else 2)
        assert row["train/loss"] == pytest.approx(sum(losses[begin:end]) / (end - begin), rel=1e-5)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, module.model.state_dict()[name], rtol=1e-4, atol=1e-6)


def drop(state):
    return state | {"carried": None}


@pytest.mark.parametrize(("backend", "stop"), [("eager", 7), ("eager", 8), ("native", 10)])  # 8: an epoch's end
def test_interrupted_and_resumed_is_to_the_bit_the_unbroken_run(task, data, backend, stop):
    def go(hooks, resume=None):
        return train(task, data, language_model(task, GRU if backend == "native" else LSTM, backend), hooks, resume)

    whole, first, second = Hooks(), Hooks(stop_at=stop), Hooks()
    expected = go(whole)
    with pytest.raises(Interrupted):
        go(first)
    torch.manual_seed(99)
    resumed = go(second, first.last_state())
    assert same(weights(resumed.model), weights(expected.model))
    assert same(resumed.state.best_weights, expected.state.best_weights)
    assert first.rows + second.rows == whole.rows
    ends = stop % 8 == 0
    without = go(Hooks(), drop(first.last_state()))
    assert same(weights(without.model), weights(expected.model)) is ends, "the test could not fail"


@pytest.mark.slow  # a whole run is killed in the tests of runs
def test_killed_after_a_checkpoint_it_goes_on_from_there(task, data):
    whole, second = Hooks(), Hooks()
    expected = train(task, data, language_model(task), whole, checkpoint_seconds=0.0)
    whole.states = whole.states[:2]  # at update 10, the second of an epoch
    assert whole.last_state()["progress"]["update"] == 10
    resumed = train(task, data, language_model(task), second, whole.last_state())
    assert same(weights(resumed.model), weights(expected.model))
    assert whole.rows[:2] + second.rows == whole.rows


def test_what_is_carried_has_no_graph_and_memory_of_its_own(task, data):
    model, made, alive = language_model(task), [], []
    step = model.step

    def watched(*args, **more):
        logits, state = step(*args, **more)
        made.extend(map(weakref.ref, (logits, *(field for layer in state for field in layer))))
        return logits, state

    class Watching(Hooks):
        def progress(self, update, row):
            super().progress(update, row)
            alive.append(sum(each() is not None for each in made))

    model.step = watched
    module = train(task, data, model, Watching())
    assert len(alive) == UPDATES
    assert set(alive) == {0}, "what an update computed is still there after it"
    assert isinstance(module.carried, tuple)
    assert {type(layer) for layer in module.carried} == {tuple}
    for layer in module.carried:
        for field in layer:
            assert field.grad_fn is None
            assert not field.requires_grad
            assert field.untyped_storage().nbytes() == field.numel() * field.element_size()


def test_what_is_carried_is_the_first_rows_as_plain_tuples():
    state = (LSTM.State(torch.arange(6.0).view(3, 2), torch.ones(3, 2, dtype=torch.bfloat16)),)
    found = carried(state, 2, like=torch.zeros(1))
    assert [[field.tolist() for field in layer] for layer in found] == [[[[0, 1], [2, 3]], [[1, 1], [1, 1]]]]
    assert {field.dtype for layer in found for field in layer} == {torch.float32}
    assert carried(state, like=torch.zeros(1))[0][0].shape == (3, 2)


def test_a_network_without_a_state_is_given_its_context(task, data):
    model = language_model(task, TCN)
    assert not carries(model, task.spec)
    first, second, whole = Hooks(stop_at=7), Hooks(), Hooks()
    expected = train(task, data, language_model(task, TCN), whole)
    assert expected.carried is None
    assert expected.round.batches.batch(3).x.shape == (B, T + 4)
    with pytest.raises(Interrupted):
        train(task, data, model, first)
    assert "carried" not in first.last_state()
    resumed = train(task, data, language_model(task, TCN), second, first.last_state())
    assert same(weights(resumed.model), weights(expected.model))
    assert torch.isfinite(torch.tensor([row["val/bpc"] for row in whole.rows])).all()


def test_in_bfloat16_the_state_stays_in_the_weights_type(task, data):
    module = train(task, data, language_model(task), precision="bf16")
    assert {field.dtype for layer in module.carried for field in layer} == {torch.float32}


def test_a_task_whose_sequences_stand_alone_carries_nothing():
    assert not carries(network(), ADDING.spec)
