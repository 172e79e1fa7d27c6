"""Options that cannot act are refused, each for its reason; all others change a result."""

import functools
import hashlib
import json

import pytest

from rnnbench.datasets.base.spec import data_hash
from rnnbench.errors import AxisRefused, BadInput
from rnnbench.runs import axes, build, inert, registry
from rnnbench.runs.compose import compose
from rnnbench.runs.plan import prepare
from rnnbench.sweeps.plan import plan
from rnnbench.training.fit import fit

TINY = ["device=cpu", "tracker=none", "budget.updates=6", "budget.val_every=2", "budget.batch_size=2", "hidden_size=3"]
ALONE = ["device=cpu", "tracker=none"]
FRAMES = ["dataset=moving_digits", "dataset.size=16", "dataset.input_steps=2", "dataset.output_steps=2",
          "dataset.val=2", "dataset.test=2", "dataset.train=8", "cell.operator.kernel_size=3",
          "cell.operator.input_kernel_size=3"]  # fmt: skip
CONV, ROLLOUT = [*FRAMES, "cell=convlstm"], [*FRAMES, "cell=convlstm", "forecast=rollout"]
# What cannot act where, and a part of the reason. The data of the last line is not at hand.
CLAIMS = [
    ([], "depth.dropout=0.5", "there is one layer"),
    ([], "depth.residual=true", "there is one layer"),
    ([], "depth.norm=layer", "there is one layer"),
    (["direction=bidirectional"], "depth.norm=layer", "there is one layer"),
    (["cell=mlp"], "depth.dropout=0.5", "there is one layer"),
    ([], "peephole.gates=[i]", "there are no peepholes"),
    ([], "peephole.output_sees=previous", "there are no peepholes"),
    ([], "peephole.gradient=detach", "there are no peepholes"),
    ([], "peephole.start=normal", "there are no peepholes"),
    (["peephole=input_forget"], "peephole.output_sees=previous", "no output gate sees the cell state"),
    (["cell=nog", "peephole=on"], "peephole.output_sees=previous", "no output gate sees the cell state"),
    ([], "encoder_size=8", "there is no encoder"),
    ([], "forecast.patch=4", "has features, no frames to forecast"),
    ([], "forecast=openstl", "of forecast=openstl cannot act"),
    ([], "forecast.sampling.mode=own", "has features, no frames to forecast"),
    ([], "forecast.reads=top", "has features, no frames to forecast"),
    ([], "forecast.sizes=[3]", "has features, no frames to forecast"),
    (["cell=cifg"], "+cell.forget_bias=1", "cell=cifg computes no forget gate; leave it out"),
    (["cell=nfg"], "+cell.forget_bias=1", "cell=nfg computes no forget gate; leave it out"),
    (["optimizer=sgd", "optimizer.momentum=0"], "+optimizer.dampening=0.5", "no momentum to dampen; leave it out"),
    (["schedule=onecycle"], "+schedule.max_momentum=0.8", "leaves the momentum as it is"),
    (["schedule=onecycle", "schedule.cycle_momentum=true"], "optimizer.betas=[0.8,0.999]", "sets the momentum itself"),
    (["schedule=onecycle", "schedule.cycle_momentum=true", "optimizer=sgd"], "optimizer.momentum=0.5",
     "sets the momentum"),
    (["dataset=dyck", "dataset.longest_train=4", "dataset.longest_val=6", "dataset.longest_test=8", "dataset.train=9",
      "dataset.val=3", "dataset.test=3"], "dataset.depth=4", "words of 8 brackets nest 4 deep at most"),
    (CONV, "encoder=linear", "has frames, whose networks have neither"),
    (CONV, "head=mean", "has frames, whose networks have neither"),
    (CONV, "encoder_size=8", "there is no encoder"),
    (CONV, "forecast.reads=top", "there is one layer"),
    (CONV, "forecast.sampling.mode=own", "is fed no frame to sample"),
    (CONV, "forecast.sampling.alpha=3", "is fed no frame to sample"),
    (CONV, "forecast.decouple=0.1", "is fed no frame to sample"),
    ([*CONV, "hidden_size=64"], "forecast.sizes=[64]", "layers of one size are depth.layers=1 hidden_size=64"),
    ([*CONV, "forecast.sizes=[3,4]", "hidden_size=64"], "depth=2", "is the size of each layer"),
    ([*CONV, "forecast.sizes=[3,4]"], "hidden_size=5", "is the size of each layer"),
    (ROLLOUT, "forecast.reads=top", "sees its top layer"),
    ([*ROLLOUT, "forecast.sampling.mode=own"], "forecast.sampling.stop=3", "is the same at every update"),
    ([*ROLLOUT, "forecast.sampling.mode=teacher"], "forecast.sampling.alpha=3", "is the same at every update"),
    (ROLLOUT, "forecast.sampling.alpha=3", "has no alpha"),
    ([*FRAMES, "cell=causal_lstm"], "cell.highway=false", "there is one layer"),
]  # fmt: skip
ALIASES = [
    (ROLLOUT, "forecast.sampling.stop=0", "forecast.sampling.mode=own", "is forecast.sampling.mode=own"),
    (["schedule=step"], "schedule.gamma=1", "schedule=constant", "as with schedule=constant"),
]
UNSEEN = [
    (["dataset=moving_mnist_shi", "cell=convlstm"], "dataset.test_set=generated", "has one test set"),
    (["cell.chrono=50"], "cell.forget_bias=1", "cell.chrono=50 draws that bias; use cell.forget_bias=0.0"),
    (["cell.biases=0"], "cell.chrono=50", "there is no bias to draw; use cell.chrono=null"),
]


class NoHooks:
    """A run without folder, tracker or progress line."""

    def validated(self, row): ...
    def progress(self, update, row): ...
    def save(self, state): ...
    def stop_asked(self):
        return None


def resolved(overrides):
    """The config as a run has it, whether or not every option of it can act."""
    return axes.resolve(compose(overrides)[0])


@functools.cache
def loaded(node):
    return build.make_task({"dataset": json.loads(node)}).load()


def bits(config):
    """A digest of the data, and of the weights and best validation after training on it."""
    task, data = build.make_task(config), loaded(json.dumps(config["dataset"]))
    parts = build.make_optimizer(config), build.make_schedule(config)
    module = fit(build.make_model(config, task), task, data, build.fit_options(config), *parts, NoHooks())
    digest = hashlib.sha256(data_hash(data).encode())
    for weight in [*module.model.state_dict().values(), *module.state.best_weights.values()]:
        digest.update(weight.contiguous().view(-1).numpy().tobytes())
    return digest.hexdigest()


@functools.cache
def bits_of(*overrides):
    return bits(resolved([*TINY, *overrides]))


def refusal(*overrides):
    with pytest.raises(AxisRefused) as caught:
        prepare(overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.integration
@pytest.mark.parametrize(("context", "option", "reason"), CLAIMS)
def test_an_option_that_cannot_act_is_refused_and_would_not_have_acted(context, option, reason):
    assert reason in refusal(*TINY, *context, option)
    kept = [o for o in context if o.partition("=")[0] != option.partition("=")[0]]
    assert bits_of(*context) == bits_of(*kept, option)


@pytest.mark.integration
@pytest.mark.parametrize(("context", "option", "other", "reason"), ALIASES)
def test_a_value_that_is_another_option_is_refused_for_it(context, option, other, reason):
    assert reason in refusal(*TINY, *context, option)
    assert bits_of(*context, option) == bits_of(*context, other)


@pytest.mark.parametrize(("context", "option", "reason"), UNSEEN)
def test_what_cannot_act_and_cannot_be_run_here(context, option, reason):
    assert reason in refusal(*ALONE, *context, option)


def test_every_rule_has_a_claim():
    """A rule speaks where one of the claims is met, so the tests above are about all of them."""
    rows = [*CLAIMS, *UNSEEN, *((context, option, reason) for context, option, _, reason in ALIASES)]
    configs = [resolved([*TINY, *context, option]) for context, option, _ in rows]
    assert [rule.keys for rule in inert.RULES if not any(map(rule.why, configs))] == []


def test_a_size_beside_a_budget_of_parameters_is_refused_whatever_it_is():
    assert "params=20000 solves it; give one of the two" in refusal(*ALONE, "params=20k", "hidden_size=64")
    assert prepare([*ALONE, "params=20k", "hidden_size=null"]).id == prepare([*ALONE, "params=20k"]).id


@pytest.mark.parametrize("size", ["64", "32"])
def test_a_sweep_skips_a_size_beside_a_budget_of_parameters(size):
    made = plan([*ALONE, f"hidden_size={size}", "params=null,20k"])
    assert (len(made.jobs), len(made.skipped)) == (1, 1)
    assert f"hidden_size={size} cannot act: params=20" in made.skipped[0].reason


@pytest.mark.parametrize("option", ["+schedule.gamma=0.5", "++schedule.foo=1"])
def test_a_constant_rate_has_no_options(option):
    assert "cannot act: schedule=constant leaves the rate as it is" in refusal(*ALONE, option)


def test_the_value_at_rest_is_never_refused():
    """So a sweep over depth and dropout has its plain row."""
    rest = ["depth.dropout=0", "depth.norm=none", "depth.residual=false", "peephole.gates=[i,f,o]", "encoder_size=64",
            "forecast=auto", "forecast.patch=2"]  # fmt: skip
    assert prepare([*ALONE, *rest]).id == prepare(ALONE).id


def test_a_sweep_skips_what_cannot_act_with_the_reason():
    made = plan([*ALONE, "cell=rnn", "depth=1,2", "depth.dropout=0,0.5", "seed=0,1"])
    assert len(made.jobs) == 6
    (reason,) = made.skip_reasons()
    assert made.skip_reasons() == {reason: 2}
    assert (
        reason == "depth.dropout=0.5 cannot act: there is one layer, and nothing between layers; use depth.dropout=0.0."
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["peephole=on", "peephole.gates=[o,f,i]"], ["peephole=on"]),
        (["peephole=on", "peephole.gates=[i,f,i]"], ["peephole=input_forget"]),
        (["cell=cifg", "peephole=on", "peephole.gates=[i,o]"], ["cell=cifg", "peephole=on"]),
        (["cell=cifg", "peephole=input_forget"], ["cell=cifg", "peephole=on", "peephole.gates=[i]"]),
        ([*ROLLOUT, "forecast.sampling.stop=6", "budget.updates=6"], [*ROLLOUT, "budget.updates=6"]),
    ],
)
def test_two_ways_to_ask_for_one_run_have_one_id(one, other):
    assert prepare([*ALONE, *one]).id == prepare([*ALONE, *other]).id
    assert prepare([*ALONE, *one]).axes == prepare([*ALONE, *other]).axes


# All others act.

WORDS = {
    "direction.way": "backward", "encoder": "linear", "head": "mean", "backend": "eager", "precision": "bf16",
    "clip": "0.001", "input_noise": "0.1", "depth.norm": "layer", "cell.init": "glorot", "cell.norm": "layer",
    "cell.chrono": "50",
    "cell.forget_bias": "1", "cell.biases": "0", "dataset.view": "pixels", "dataset.loss": "bce_sequence",
    "dataset.speed": "[1,3]", "dataset.size": "32", "peephole.gates": "[i]", "peephole.output_sees": "previous",
    "peephole.gradient": "detach", "peephole.start": "normal", "peephole.shape": "hadamard", "forecast.patch": "4",
    "forecast.sizes": "[3,4]", "forecast.reads": "top", "forecast.sampling.mode": "reverse",
    "forecast.sampling.stop": "4",
    "forecast.kind": "encoder_forecaster", "optimizer.betas": "[0.5,0.9]", "optimizer.eps": "0.01",
    "optimizer.weight_decay": "0.5", "optimizer.alpha": "0.5", "optimizer.momentum": "0.5", "optimizer.fused": "false",
    "schedule.pct_start": "0.5",
    "schedule.eta_min": "0.001", "schedule.gamma": "0.5", "cell.operator.kernel_size": "5",
    "cell.operator.input_kernel_size": "5", "depth.dropout": "0.5", "forecast.decouple": "0.1", "encoder_size": "9",
    "budget.val_every": "3", "budget.patience": "1", "forecast.sampling.alpha": "0.01",
}  # fmt: skip
# Not set by hand, or of no id, or what another option stands for (hidden_size for params), or refused as another name.
LEFT_OUT = ("harness", "tracker", "device", "params", "schedule.T_max", "schedule.total_steps", "schedule.updates",
            "schedule.max_lr", "direction.merge")  # fmt: skip
CONTEXTS = {
    "one layer": ([], "cell depth direction encoder head backend precision clip input_noise dataset seed hidden_size "
                      "budget peephole forecast encoder_size"),
    "two layers": (["depth=2", "encoder=linear"], "depth encoder_size"),
    "peepholes": (["peephole=on"], "peephole"),
    "frames": (CONV, "forecast dataset cell depth encoder head"),
    "two layers of frames": ([*CONV, "depth=2"], "forecast.reads"),
    "rollout": (ROLLOUT, "forecast"),
    "reverse": ([*ROLLOUT, "forecast.sampling.mode=reverse"], "forecast.sampling.alpha"),
    "st-lstm": ([*FRAMES, "cell=stlstm"], "forecast.decouple"),
    **{name: ([f"optimizer={name}"], "optimizer") for name in registry.choices("optimizer")},
    **{name: ([f"schedule={name}"], "schedule") for name in registry.choices("schedule")},
}  # fmt: skip


def varied(context, groups):
    """Overrides that each set one option of these groups otherwise than it is in the context."""
    config = axes.leaves(dict(compose([*TINY, *context])[0]))
    for key, value in config.items():
        named = key.endswith((".name", "._target_")) or ".meta." in key or key.startswith(LEFT_OUT)
        if named or not any(key == group or key.startswith(f"{group}.") for group in groups.split()):
            continue
        if isinstance(value, bool):
            yield f"{key}={str(not value).lower()}"
        elif key in WORDS:
            yield f"{key}={WORDS[key]}"
        else:
            assert isinstance(value, (int, float)), f"{key}={value} needs another value in WORDS"
            yield f"{key}={value + 1 if isinstance(value, int) else value / 2 or 0.1}"


@pytest.mark.integration
@pytest.mark.parametrize("name", CONTEXTS)
def test_every_option_changes_the_result_or_is_refused(name):
    context, groups = CONTEXTS[name]
    plain, own, seen = bits_of(*context), prepare([*TINY, *context]).id, 0
    for option in varied(context, groups):
        seen += 1
        try:
            job = prepare([*TINY, *context, option])
            after = plain if job.id == own else bits(job.config)
        except BadInput:
            continue
        assert (job.id == own) == (after == plain), f"{option} has an id of its own and changes nothing"
    assert seen or name == "constant"
