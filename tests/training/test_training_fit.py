"""One fit: clipping, schedules, the best by validation, early stopping, failures that say where, silence."""

import logging
import math
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR
from training_tools import ADDING, DATA, TASKS, Hooks, network, same, train, weights

from rnnbench.nn import LSTM, RNN, Peephole
from rnnbench.training import Diverged, Interrupted, TimedOut, halving_steps
from rnnbench.training import fit as training_fit
from rnnbench.training.evaluate import evaluate
from rnnbench.training.fit import make_ready, trainer_for


def sgd(lr, momentum=0.0):
    return lambda params: torch.optim.SGD(params, lr=lr, momentum=momentum)


def steep():
    """A network whose gradient is far above 1."""
    model = network(dropout=0.0)
    with torch.no_grad():
        model.output.weight.mul_(100)
    return model


def step_length(clip, lr=0.125):
    """How far one update of plain SGD moved the weights, and the norm of the gradient before clipping."""
    model, hooks = steep(), Hooks()
    before = weights(model)
    train(model=model, optimizer=sgd(lr), hooks=hooks, updates=1, val_every=1, clip=clip)
    moved = math.sqrt(sum((v - before[k]).double().square().sum().item() for k, v in weights(model).items()))
    return moved / lr, hooks.rows[0]["train/grad_norm_max"]


@pytest.mark.parametrize("clip", [0.01, 1.0, 3])
def test_clipping_cuts_the_step_to_lr_times_clip(clip):
    length, norm = step_length(clip)
    assert norm > 10
    assert length == pytest.approx(clip, rel=1e-4)


def test_without_clipping_the_step_is_the_gradient():
    length, norm = step_length(None)
    assert norm > 10
    assert length == pytest.approx(norm, rel=1e-4)


def test_a_gradient_below_the_limit_is_not_touched():
    hooks, free = Hooks(), Hooks()
    clipped, plain = train(hooks=hooks, clip=1e6), train(hooks=free, clip=None)
    assert same(weights(clipped.model), weights(plain.model))
    assert hooks.rows == free.rows


SCHEDULES = {
    "onecycle": lambda o: OneCycleLR(o, max_lr=0.01, total_steps=11, pct_start=0.3),
    "cosine": lambda o: CosineAnnealingLR(o, T_max=11),
    "step": lambda o: halving_steps(o, updates=11),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_steps_once_an_update_as_in_torchs_own_loop(name):
    hooks = Hooks()
    train(schedule=SCHEDULES[name], hooks=hooks, val_every=1)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    schedule, expected = SCHEDULES[name](optimizer), []
    for _ in range(11):
        optimizer.step()
        schedule.step()
        expected.append(optimizer.param_groups[0]["lr"])
    assert [row["lr"] for row in hooks.rows] == expected
    assert len(set(expected)) > 2


def test_halving_steps_is_a_tenth_at_one_half_and_three_quarters():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, seen = halving_steps(optimizer, 8), []
    for _ in range(8):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert seen == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_history_has_a_row_a_round_and_the_last_round_may_be_short():
    hooks = Hooks()
    module = train(hooks=hooks)
    assert [row["step"] for row in hooks.rows] == [4, 8, 11]
    assert hooks.updates == list(range(1, 12))
    assert set(hooks.rows[0]) == {"step", "train/loss", "train/grad_norm_max", "lr", "val/loss", "val/mse"}
    assert module.state.update == 11
    assert module.state.train_seconds > 0


def test_the_training_loss_of_a_row_is_the_mean_over_its_round():
    every, rounds = Hooks(), Hooks()
    train(hooks=every, val_every=1)
    train(hooks=rounds, val_every=4)
    losses = [row["train/loss"] for row in every.rows]
    norms = [row["train/grad_norm_max"] for row in every.rows]
    assert [row["train/loss"] for row in rounds.rows] == [
        sum(losses[a:b]) / (b - a) for a, b in ((0, 4), (4, 8), (8, 11))
    ]
    assert [row["train/grad_norm_max"] for row in rounds.rows] == [
        max(norms[a:b]) for a, b in ((0, 4), (4, 8), (8, 11))
    ]


def test_validating_more_often_does_not_change_the_training():
    assert same(weights(train(val_every=1).model), weights(train(val_every=11).model))


def scripted(monkeypatch, values, metric):
    """Every validation gives the next of these values."""
    left = iter(values)
    monkeypatch.setattr("rnnbench.training.module.evaluate", lambda *a, **k: {"loss": 1.0, metric: next(left)})


@pytest.mark.parametrize(("task", "values"), [("adding", [5, 3, 4, 3, 6]), ("order", [0.1, 0.4, 0.2, 0.4, 0.3])])
def test_the_best_weights_are_those_of_the_first_best_validation(monkeypatch, task, values):
    scripted(monkeypatch, values, TASKS[task].spec.metric)
    model, seen = network(TASKS[task]), []
    module = train(
        task=task, model=model, hooks=Hooks(each_row=lambda row: seen.append(weights(model))), updates=10, val_every=2
    )
    state = module.state
    assert (state.best_step, state.best_value) == (4, values[1])
    assert state.best_metrics == {"loss": 1.0, TASKS[task].spec.metric: values[1]}
    assert same(state.best_weights, seen[1])
    assert not same(state.best_weights, weights(model))
    assert state.bad_rounds == 3


@pytest.mark.parametrize("task", TASKS)
def test_the_best_metrics_are_what_the_best_weights_give(task):
    module = train(task=task, updates=12, val_every=2, optimizer=lambda p: torch.optim.Adam(p, lr=0.3))
    module.model.load_state_dict(module.state.best_weights)
    assert evaluate(module.model, TASKS[task], DATA[task].val) == module.state.best_metrics


@pytest.mark.parametrize(("patience", "stops"), [(1, 6), (2, 12), (None, 14)])
def test_patience_counts_validations_without_a_better_one(monkeypatch, patience, stops):
    scripted(monkeypatch, [5, 4, 4.5, 3, 3, 3, 2], "mse")
    hooks = Hooks()
    module = train(hooks=hooks, updates=14, val_every=2, patience=patience)
    assert module.state.update == stops
    assert [row["step"] for row in hooks.rows] == list(range(2, stops + 1, 2))


def test_live_parameters_are_those_that_ever_got_a_gradient():
    model = network(dropout=0.0)
    model.unused = torch.nn.Parameter(torch.ones(3))
    model.frozen = torch.nn.Parameter(torch.ones(2), requires_grad=False)
    data = DATA["adding"]
    blind = data._replace(train=data.train._replace(x=data.train.x * torch.tensor([1.0, 0.0])))
    module = train(model=model, data=blind)
    dead = {name: int((~mask).sum()) for (name, _), mask in zip(trained(model), module.live, strict=True)}
    assert {name: n for name, n in dead.items() if n} == {"unused": 3, "stack.layers.0.cell.W.weight": 4 * 5}


def trained(model):
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


def test_a_gradient_that_starts_at_zero_counts_once_it_is_not():
    """IRNN-like: with the output weights at zero no layer below gets a gradient in the first update."""
    model = network(dropout=0.0)
    with torch.no_grad():
        model.output.weight.zero_()
    assert all(bool(mask.all()) for mask in train(model=model).live)


def poison(model, name, at):
    """From update `at` on, the gradient of this parameter is NaN."""
    calls = []

    def hook(grad):
        calls.append(1)
        return torch.full_like(grad, float("nan")) if len(calls) >= at else grad

    dict(model.named_parameters())[name].register_hook(hook)


@pytest.mark.parametrize("clip", [1.0, None])
@pytest.mark.parametrize("name", ["stack.layers.1.cell.U.weight", "stack.layers.0.cell.W.bias", "output.weight"])
def test_a_nan_gradient_is_named_with_its_update(name, clip):
    model = network()
    poison(model, name, at=6)
    before = Hooks()
    with pytest.raises(Diverged) as caught:
        train(model=model, hooks=before, clip=clip)
    assert str(caught.value) == f"the gradient of {name} is not finite at update 6"
    assert (caught.value.update, caught.value.what) == (6, f"the gradient of {name}")
    assert before.updates == [1, 2, 3, 4, 5]
    assert all(v.isfinite().all() for v in weights(model).values())  # the bad step was not taken


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_is_named(value):
    model = network()
    model.register_forward_hook(lambda module, args, output: output * value if module.training else output)
    with pytest.raises(Diverged, match=r"^the loss is not finite at update 1$"):
        train(model=model)


def test_a_huge_learning_rate_diverges():
    model = network(cell=partial(RNN, nonlinearity="relu"), dropout=0.0)
    with pytest.raises(Diverged, match=r"^the loss is not finite at update [23]$"):
        train(model=model, optimizer=sgd(1e30), clip=None)


def test_a_gradient_norm_that_overflows_is_named():
    model = network(dropout=0.0)
    for p in model.parameters():
        p.register_hook(lambda grad: torch.full_like(grad, 3e38))
    with pytest.raises(Diverged, match=r"^the gradient's norm is not finite at update 1$"):
        train(model=model, clip=None)


def test_a_validation_loss_that_is_not_finite_diverges():
    model = network()
    model.register_forward_hook(lambda module, args, output: output if module.training else output * float("nan"))
    with pytest.raises(Diverged, match=r"^the validation loss is not finite at update 4$"):
        train(model=model)


def test_the_time_limit_saves_and_says_where():
    hooks = Hooks()
    with pytest.raises(TimedOut, match=r"^the time limit is over at update 1$"):
        train(hooks=hooks, timeout=0.0)
    assert hooks.last_state()["progress"]["update"] == 1


def test_a_run_that_is_done_when_its_limit_is_over_is_done():
    assert train(updates=1, timeout=0.0).state.update == 1


@pytest.mark.parametrize("val_every", [1, 3, 5])
def test_asked_to_stop_it_saves_and_says_where(val_every):
    hooks = Hooks(stop_at=3)
    with pytest.raises(Interrupted, match=r"^asked at update 3$"):
        train(hooks=hooks, val_every=val_every)
    assert hooks.last_state()["progress"]["update"] == 3
    assert [row["step"] for row in hooks.rows] == [s for s in (1, 2, 3) if s % val_every == 0]


def test_checkpoints_are_written_at_validations_when_it_is_time():
    often, never = Hooks(), Hooks()
    train(hooks=often, checkpoint_seconds=0.0)
    train(hooks=never, checkpoint_seconds=1e6)
    assert (len(often.states), len(never.states)) == (3, 0)
    assert often.last_state()["progress"]["rows"] == 3


def test_dropout_draws_from_the_stream_of_noise_alone():
    torch.manual_seed(1)
    first = train()
    torch.manual_seed(2)
    torch.rand(9)
    assert same(weights(train().model), weights(first.model))
    assert not same(weights(train(noise_seed=5).model), weights(first.model))
    assert not same(weights(train(order_seed=5).model), weights(first.model))


def test_without_dropout_the_noise_stream_changes_nothing():
    a, b = (train(model=network(dropout=0.0), noise_seed=seed) for seed in (1, 2))
    assert same(weights(a.model), weights(b.model))


def test_peepholes_that_start_at_zero_see_the_same_batches():
    seen = {}
    for name, peephole in (("off", Peephole(shape="none")), ("on", Peephole())):
        module = train(model=network(cell=partial(LSTM, peephole=peephole), dropout=0.0), hooks=(hooks := Hooks()))
        seen[name] = (module.round.batches.index(10), hooks.rows[0])
    assert torch.equal(seen["on"][0], seen["off"][0])
    assert seen["on"][1] != seen["off"][1]  # they learn, so the two part from the second update on


def test_bfloat16_trains_with_its_loss_in_float32(monkeypatch):
    seen, plain = set(), type(ADDING).loss

    def loss(self, prediction, batch):
        value = plain(self, prediction, batch)
        seen.add((prediction.dtype, value.dtype))
        return value

    monkeypatch.setattr(type(ADDING), "loss", loss)
    hooks, full = Hooks(), Hooks()
    module = train(hooks=hooks, precision="bf16")
    assert seen == {(torch.bfloat16, torch.float32)}
    assert {p.dtype for p in module.model.parameters()} == {torch.float32}
    train(hooks=full)
    assert hooks.rows != full.rows
    assert hooks.rows[0]["train/loss"] == pytest.approx(full.rows[0]["train/loss"], rel=0.05)


def test_only_parameters_that_want_a_gradient_are_optimized():
    model = network()
    model.output.weight.requires_grad_(False)
    before = weights(model)
    train(model=model)
    assert torch.equal(model.output.weight, before["output.weight"])
    assert not torch.equal(model.output.bias, before["output.bias"])


def test_signals_and_loggers_are_as_before():
    log = logging.getLogger("pytorch_lightning")
    seen = []

    def mine(number, frame):
        seen.append(number)

    class Signalled(Hooks):
        """A SIGTERM while it validates, as from a scheduler: no third party may end the process for it."""

        def validated(self, row):
            super().validated(row)
            signal.raise_signal(signal.SIGTERM)

    level, before = log.level, signal.signal(signal.SIGTERM, mine)
    try:
        train(hooks=Signalled())
        assert seen == [signal.SIGTERM] * 3
        assert signal.getsignal(signal.SIGTERM) is mine
        assert log.level == level
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ctrl_c_within_an_update_is_a_keyboard_interrupt():
    class Pressed(Hooks):
        def progress(self, update, row):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(hooks=Pressed())
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


SILENT = """
import sys
sys.path.insert(0, sys.argv[1])
import pytorch_lightning  # what it warns of when it is imported is not a fit's
import warnings
warnings.simplefilter("error")
from training_tools import train
train()
print("done")
"""


@pytest.mark.integration
def test_a_fit_leaves_no_output_and_no_warning_of_others():
    folder = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", SILENT, folder], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_noise_on_the_inputs_has_a_stream_of_its_own_and_is_off_by_default():
    plain, none = train(), train(input_noise=None, input_noise_seed=8)
    assert same(weights(plain.model), weights(none.model)), "off, its seed says nothing"
    one, again, other = (train(input_noise=0.5, input_noise_seed=seed) for seed in (8, 8, 9))
    assert same(weights(one.model), weights(again.model))
    assert not same(weights(one.model), weights(other.model))
    assert not same(weights(one.model), weights(plain.model))


def test_noise_on_the_inputs_is_of_the_asked_size_and_new_at_every_update():
    module = train(input_noise=0.5, input_noise_seed=8, updates=1, val_every=1)
    zeros = torch.zeros(64, 50, 4)
    first = module._noisy(zeros)
    module.state.update += 1
    assert first.std().item() == pytest.approx(0.5, rel=0.02)
    assert abs(first.mean().item()) < 0.02
    assert not torch.equal(first, module._noisy(zeros))


def test_a_trainer_made_ahead_is_used_once():
    cpu = torch.device("cpu")
    make_ready()
    (ready,) = training_fit._ready
    assert trainer_for(cpu) is ready
    assert trainer_for(cpu) is not ready
