"""Config -> objects: wrong options in one sentence, streams that do not move each other, sizes from a budget."""

import pytest
import torch
from runs_tools import quick

from rnnbench.errors import BadInput
from rnnbench.nn import count_params
from rnnbench.runs import build
from rnnbench.runs.plan import prepare
from rnnbench.seeds import derive
from rnnbench.training.batches import Batches

BASE = ["device=cpu", "hidden_size=6"]
ROLLOUT = ["dataset=moving_digits", "cell=convlstm", "forecast=rollout"]


def config(*overrides):
    if any(o.startswith(("+", "schedule")) for o in overrides):  # the yaml has interpolations
        return prepare([*BASE, *overrides]).config
    return quick(*BASE, *overrides).config


def model(*overrides):
    made = config(*overrides)
    return build.make_model(made, build.make_task(made))


def everything(made):
    """Whatever a run instantiates."""
    task = build.make_task(made)
    network = build.make_model(made, task)
    optimizer = build.make_optimizer(made)(list(network.parameters()))
    schedule = build.make_schedule(made)
    return network, optimizer, schedule(optimizer) if schedule else None


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["cell.biases=7"], "cell=lstm: biases must be 0 (none), 1 (in W) or 2 (in W and U), not 7"),
        (["cell.chrono=2"], "cell=lstm: chrono must be a number of steps above 2, or null, not 2"),
        (["cell=rnn", "+cell.chrono=50"], "cell=rnn: chrono is for a gate that keeps or admits, and RNN has none here"),
        (["cell=nfg", "+cell.chrono=50"], "cell=nfg: chrono is for a gate that keeps or admits, and OdysseyLSTM has n"),
        (["cell.init=foo"], "cell=lstm: unknown init 'foo'; known: torch, glorot, identity, normal"),
        (["cell=rnn", "cell.nonlinearity=x"], "cell=rnn: unknown nonlinearity 'x'; known: tanh, relu"),
        (["+cell.foo=1"], "cell=lstm: "),
        (["cell._target_=rnnbench.nn.Nope"], "cell=lstm: "),
        (["dataset.view=foo"], "dataset.view must be one of rows, pixels; got 'foo'."),
        (["dataset=adding", "dataset.T=1"], "dataset.T must be a whole number of at least 2"),
        (["+dataset.foo=1"], "dataset=digits: "),
        (["peephole=on", "peephole.start=foo"], "unknown peephole.start 'foo'; known: zero, uniform, "),
        (["peephole=on", "peephole.gates=[i,x]"], "peephole.gates has x; only i, f and o can see the cell state"),
        (["depth.norm=foo"], "unknown norm 'foo'; known: none, layer"),
        (["hidden_size=null", "params=1"], "params=1 is too few: one hidden unit already takes "),
        (["optimizer.lr=-1"], "optimizer.lr must be a number above 0, not -1."),
        (["optimizer.betas=[2,0.9]"], "optimizer.betas must be two numbers of at least 0 and below 1"),
        (["optimizer.betas=[0.9]"], "optimizer.betas must be two numbers"),
        (["+optimizer.foo=1"], "optimizer=adam: "),
        (["optimizer=sgd", "optimizer.nesterov=true", "optimizer.momentum=0"], "optimizer.nesterov=true needs"),
        (["optimizer=rmsprop", "optimizer.alpha=-1"], "optimizer.alpha must be a number of at least 0 and below 1"),
        (["schedule=onecycle", "schedule.pct_start=2"], "schedule.pct_start must be a number above 0 and below 1"),
        (["+schedule.foo=1", "schedule=cosine"], "schedule=cosine: "),
        ([*ROLLOUT, "forecast.sampling.stop=-1"], "sampling needs stop >= 0 updates and alpha > 0, not stop=-1 and "),
    ],
)  # fmt: skip
def test_a_wrong_option_is_one_sentence(overrides, sentence):
    with pytest.raises(BadInput) as caught:
        everything(config(*overrides))
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


@pytest.mark.integration
@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle", "step"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_takes_every_schedule(optimizer, schedule):
    made = config(f"optimizer={optimizer}", f"schedule={schedule}", "budget=smoke")
    network, found, scheduled = everything(made)
    assert type(found).__name__.lower() == optimizer
    assert (scheduled is None) == (schedule == "constant")
    for _ in range(made["budget"]["updates"]):
        found.step()
        if scheduled:
            scheduled.step()
    assert all(p.isfinite().all() for p in network.parameters())


def test_options_reach_what_they_are_of():
    network, optimizer, _ = everything(
        config("optimizer=sgd", "optimizer.lr=0.5", "optimizer.momentum=0.25", "depth=2", "depth.dropout=0.125",
               "depth.norm=layer", "depth.residual=true", "cell.biases=1", "head=mean", "encoder=linear",
               "encoder_size=7")
    )  # fmt: skip
    assert (optimizer.defaults["lr"], optimizer.defaults["momentum"]) == (0.5, 0.25)
    assert (network.stack.dropout.p, network.stack.residual, network.head) == (0.125, True, "mean")
    assert isinstance(network.stack.norms[0], torch.nn.LayerNorm)
    assert network.stack.layers[0].cell.biases == 1
    assert network.stack.layers[0].cell.input_size == 7
    assert network.encoder.out_features == 7


@pytest.mark.parametrize(("stop", "updates"), [("null", 70), ("0", 0), ("9", 9)])
def test_the_truth_is_fed_as_long_as_the_budget_unless_told_otherwise(stop, updates):
    assert model(*ROLLOUT, "budget.updates=70", f"forecast.sampling.stop={stop}").sampling.stop == updates


@pytest.mark.parametrize("peephole", ["on", "detach", "previous", "uniform", "normal"])
def test_shared_weights_start_the_same_with_and_without_peepholes(peephole):
    off, on = model("backend=eager", "depth=2"), model(f"peephole={peephole}", "depth=2")
    shared, more = off.state_dict(), on.state_dict()
    assert set(shared) < set(more)
    assert all(".peephole." in name for name in set(more) - set(shared))
    assert all(torch.equal(shared[name], more[name]) for name in shared)


def test_a_run_with_a_peephole_that_starts_at_zero_starts_as_the_same_function():
    x = torch.rand(3, 8, 8)
    assert torch.equal(model("backend=eager")(x), model("peephole=on")(x))


def test_the_start_depends_on_the_seed_and_nothing_else():
    a = model("seed=1").state_dict()
    torch.manual_seed(0)
    b = model("seed=1", "optimizer=sgd", "budget=smoke", "harness.threads=2").state_dict()
    c = model("seed=2").state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not any(torch.equal(a[k], c[k]) for k in a)


def test_the_backends_start_the_same():
    a, b = model("cell=gru", "backend=eager").state_dict(), model("cell=gru", "backend=native").state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_the_order_of_the_data_is_the_same_for_every_entry_of_a_seed():
    orders = []
    for overrides in (["cell=gru"], ["peephole=on", "depth=3"], ["cell=rnn", "optimizer=sgd", "hidden_size=9"]):
        made = config(*overrides, "seed=3")
        task = build.make_task(made)
        batches = Batches(task, task.load().train, 32, build.fit_options(made).order_seed)
        orders.append(torch.stack([batches.index(n) for n in range(40)]))
    assert torch.equal(orders[0], orders[1])
    assert torch.equal(orders[0], orders[2])


def test_start_order_and_noise_are_streams_of_their_own():
    options = build.fit_options(config("seed=5"))
    seeds = [derive(5, "start"), options.order_seed, options.noise_seed, options.input_noise_seed]
    assert seeds[1:] == [derive(5, "order"), derive(5, "noise"), derive(5, "input_noise")]
    assert len(set(seeds)) == 4


@pytest.mark.parametrize(("cell", "size"), [("lstm", 130), ("gru", 150), ("rnn", 262)])
def test_seventy_thousand_parameters_buy_the_largest_network_not_above_them(cell, size):
    """The budget of Bai, Kolter & Koltun 2018 on the adding problem, for torch's own cells with a linear head."""
    made = quick("device=cpu", "dataset=adding", "dataset.T=600", "params=70k", f"cell={cell}").config
    task = build.make_task(made)
    network = build.make_model(made, task)
    larger = build.make_model({**made, "params": None, "hidden_size": size + 1}, task)
    assert network.stack.layers[0].cell.hidden_size == size
    assert count_params(network) <= 70_000 < count_params(larger)


@pytest.mark.parametrize(("cell", "option"), [("mlstm", "heads"), ("slstm", "heads"), ("rglru", "blocks")])
def test_a_budget_of_parameters_buys_a_size_that_heads_and_blocks_divide(cell, option):
    made = quick("device=cpu", "dataset=adding", "params=6000", f"cell={cell}", f"cell.{option}=4").config
    network = build.make_model(made, build.make_task(made))
    size = network.stack.layers[0].cell.hidden_size
    assert size > 4
    assert size % 4 == 0
    assert count_params(network) <= 6000


def test_fit_options_are_those_of_the_config():
    made = config("budget=smoke", "budget.patience=4", "clip=null", "precision=bf16", "harness.timeout=9",
                  "harness.checkpoint_seconds=3")  # fmt: skip
    options = build.fit_options(made, spent=4.0)
    found = (options.updates, options.batch_size, options.val_every, options.patience, options.clip)
    assert found == (60, 32, 20, 4, None)
    assert (options.precision, options.timeout, options.checkpoint_seconds) == ("bf16", 5.0, 3)
    assert build.fit_options(made, spent=99.0).timeout == 0.0
    assert build.fit_options(config()).timeout is None


def test_the_device_of_a_config():
    assert build.make_device(config()) == torch.device("cpu")
