"""A run that was interrupted anywhere and resumed is, to the bit, the run that never was."""

import functools
from dataclasses import asdict
from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR
from training_tools import TASKS, Hooks, network, same, train, weights

from rnnbench.nn import GRU
from rnnbench.training import Interrupted, halving_steps

UPDATES = 11  # rounds end at 4, 8 and 11
RECIPES = {
    "adam-onecycle": (
        partial(torch.optim.Adam, lr=0.02),
        lambda o: OneCycleLR(o, max_lr=0.02, total_steps=UPDATES, pct_start=0.3),
    ),
    "rmsprop-cosine": (
        partial(torch.optim.RMSprop, lr=0.01, momentum=0.5),
        lambda o: CosineAnnealingLR(o, T_max=UPDATES),
    ),
    "sgd-step": (partial(torch.optim.SGD, lr=0.1, momentum=0.9), lambda o: halving_steps(o, UPDATES)),
    "adamw-constant": (partial(torch.optim.AdamW, lr=0.02), None),
}
RUN_ONLY = ("train_seconds",)  # of a state: what no two runs share


def outcome(module, rows):
    """All that must be equal: final and best weights, optimizer, schedule, progress, live masks, history."""
    state = module.state_of_run()
    progress = {k: v for k, v in asdict(module.state).items() if k not in (*RUN_ONLY, "best_weights")}
    return {
        "weights": weights(module.model),
        "best": module.state.best_weights,
        "live": dict(enumerate(module.live)),
        "optimizer": {
            f"{n}/{k}": torch.as_tensor(v) for n, slots in state["optimizer"]["state"].items() for k, v in slots.items()
        },
        "noise": {"rng": state["rng"]},
        "plain": (progress, rows, state["optimizer"]["param_groups"], state["schedule"]),
    }


def assert_same(found, expected):
    for part in ("weights", "best", "live", "optimizer", "noise"):
        assert same(found[part], expected[part]), part
    assert found["plain"] == expected["plain"]


class Run:
    """One recipe on one task, in one go or in pieces."""

    def __init__(self, recipe, task="adding", **options):
        self.optimizer, self.schedule = RECIPES[recipe]
        self.task, self.options = task, {"updates": UPDATES, **options}

    def once(self, hooks, resume=None):
        model = network(TASKS[self.task])
        return train(
            task=self.task, model=model, optimizer=self.optimizer, schedule=self.schedule, hooks=hooks, resume=resume,
            **self.options,
        )  # fmt: skip

    def unbroken(self):
        hooks = Hooks()
        return outcome(self.once(hooks), hooks.rows)

    @staticmethod
    @functools.cache
    def whole(recipe):
        """The unbroken run of a recipe as it stands, done once for all tests."""
        return Run(recipe).unbroken()

    def in_pieces(self, stops):
        """Interrupted after each of these updates."""
        rows, state = [], None
        for stop in stops:
            hooks = Hooks(stop_at=stop)
            with pytest.raises(Interrupted):
                self.once(hooks, state)
            state = hooks.last_state()
            rows = rows[: state["progress"]["rows"]] + hooks.rows
            assert len(rows) == state["progress"]["rows"]
            torch.manual_seed(99)  # whatever else the process did meanwhile
        hooks = Hooks()
        return outcome(self.once(hooks, state), rows + hooks.rows)


@pytest.mark.parametrize("stop", [1, 3, 4, 8, 10])  # within a round, at its end, in the last one
@pytest.mark.parametrize("recipe", RECIPES)
def test_interrupted_anywhere(recipe, stop):
    assert_same(Run(recipe).in_pieces([stop]), Run.whole(recipe))


@pytest.mark.integration
@pytest.mark.parametrize("recipe", RECIPES)
def test_interrupted_after_every_update(recipe):
    run = Run(recipe, task="order")
    assert_same(run.in_pieces(range(1, UPDATES)), run.unbroken())


def test_interrupted_after_the_last_update_it_is_done():
    hooks = Hooks(stop_at=UPDATES)
    run = Run("adam-onecycle")
    assert_same(outcome(run.once(hooks), hooks.rows), run.unbroken())


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 6])
def test_with_patience_it_stops_where_it_would_have(stop):
    run = Run("sgd-step", updates=40, val_every=2, patience=2)
    run.optimizer = partial(torch.optim.SGD, lr=0.5)  # too fast to get better for long
    expected = run.unbroken()
    assert 6 < expected["plain"][0]["update"] < 40
    assert_same(run.in_pieces([stop]), expected)


@pytest.mark.integration
def test_interrupted_in_the_round_that_ends_patience_it_is_done():
    run = Run("sgd-step", updates=40, val_every=2, patience=2)
    run.optimizer = partial(torch.optim.SGD, lr=0.5)
    expected = run.unbroken()
    hooks = Hooks(stop_at=expected["plain"][0]["update"])
    assert_same(outcome(run.once(hooks), hooks.rows), expected)


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("patience", [None, 1])
def test_killed_after_a_checkpoint_it_goes_on_from_there(at, patience):
    """No word from the run: what counts is the last checkpoint that it wrote at a validation."""
    run = Run("adam-onecycle", checkpoint_seconds=0.0, patience=patience)
    first = Hooks()
    expected = outcome(run.once(first), first.rows)
    assert len(first.states) == len(first.rows)
    at = min(at, len(first.rows) - 1)
    first.states = first.states[: at + 1]
    hooks = Hooks()
    rows = first.rows[: first.last_state()["progress"]["rows"]]
    module = run.once(hooks, first.last_state())
    assert_same(outcome(module, rows + hooks.rows), expected)


def test_killed_between_its_last_update_and_its_record_nothing_is_trained_again():
    run = Run("adamw-constant", checkpoint_seconds=0.0)
    first, again = Hooks(), Hooks()
    expected = outcome(run.once(first), first.rows)
    module = run.once(again, first.last_state())
    assert (again.updates, again.rows) == ([], [])
    assert_same(outcome(module, first.rows), expected)


def test_a_state_is_plain_enough_to_be_read_without_running_code():
    hooks = Hooks(stop_at=5)
    with pytest.raises(Interrupted):
        Run("sgd-step").once(hooks)
    state = hooks.last_state()  # weights_only=True
    assert state["progress"]["update"] == 5
    assert set(state) == {"model", "optimizer", "schedule", "progress", "live", "rng"}


def test_training_seconds_add_up():
    hooks = Hooks(stop_at=6)
    with pytest.raises(Interrupted):
        Run("adam-onecycle").once(hooks)
    before = hooks.last_state()["progress"]["train_seconds"]
    module = Run("adam-onecycle").once(Hooks(), hooks.last_state())
    assert 0 < before < module.state.train_seconds


@pytest.mark.parametrize("backend", ["eager", "native"])
def test_torchs_own_kernels_resume_to_the_bit_too(backend):
    def go(hooks, resume=None):
        model = network(cell=GRU, backend=backend)
        return train(model=model, hooks=hooks, resume=resume)

    whole, first, second = Hooks(), Hooks(stop_at=6), Hooks()
    expected = go(whole)
    with pytest.raises(Interrupted):
        go(first)
    assert same(weights(go(second, first.last_state()).model), weights(expected.model))
    assert first.rows + second.rows == whole.rows


def test_noise_on_the_inputs_is_the_same_after_a_resume():
    run = Run("adamw-constant", input_noise=0.3, input_noise_seed=9)
    assert_same(run.in_pieces([3, 8]), run.unbroken())
