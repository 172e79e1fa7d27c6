"""Optimizers and schedules: a bad value of an option is one sentence when a run is planned, a good one trains."""

import contextlib
import math

import pytest
import torch
from runs_tools import quick

from rnnbench.cli import main
from rnnbench.errors import AxisRefused, BadInput
from rnnbench.runs import build, registry
from rnnbench.runs.compose import compose
from rnnbench.runs.plan import prepare
from rnnbench.runs.training_options import OPTIMIZER, SCHEDULES, check, fused_by_itself
from rnnbench.training.optimizers import settled

CHOICES = [(group, name) for group in ("optimizer", "schedule") for name in registry.choices(group)]
STRANGE = [math.nan, math.inf, -math.inf, -1, "much", None, [], [0.5], {}, True]
BAD = {
    "lr": [0, *STRANGE], "weight_decay": STRANGE, "eps": STRANGE, "alpha": [1, 1.5, *STRANGE],
    "momentum": [1, 2, *STRANGE],
    "cycle_momentum": [1, "no", None],
    "betas": [0.9, [0.9], [0.9, 1], [0.9, 0.9, 0.9], [-0.1, 0.9], ["a", "b"], [math.nan, 0.9], None],
    "nesterov": [1, 0, "yes", None], "gamma": [0, *STRANGE],
    "eta_min": [1, *STRANGE],
    "pct_start": [0, 1, 2, *STRANGE], "T_max": [0, 2.5, *STRANGE], "total_steps": [0, 2.5, 3, *STRANGE],
    "max_lr": [0, 2, *STRANGE], "updates": [0, 2.5, *STRANGE], "fused": [0, 1, "yes", []],
}  # fmt: skip
GOOD = {
    "lr": [1e-9, 1, 0.5], "weight_decay": [0, 0.1], "eps": [0, 1e-3], "alpha": [0, 0.99], "momentum": [0, 0.99],
    "betas": [[0, 0], [0.5, 0.99]], "nesterov": [True, False], "cycle_momentum": [True, False], "gamma": [0.5, 2],
    "eta_min": [0, 1e-6], "pct_start": [0.3, 0.9], "T_max": [4, 100], "total_steps": [4, 100], "max_lr": [0.003],
    "updates": [1, 100], "fused": [True, False, None],
}  # fmt: skip
UPDATES = 4


def options(group, name):
    return [key for key in registry.read(group, name) if key not in ("name", "_target_")]


def changed(group, name, **values):
    made = compose([f"{group}={name}", f"budget.updates={UPDATES}", "device=cpu"])[0]
    return {**made, group: {**made[group], **values}}


EACH = [(group, name, option) for group, name in CHOICES for option in options(group, name)]


@pytest.mark.parametrize(("group", "name", "option"), EACH)
def test_each_bad_value_of_each_option_is_one_sentence(group, name, option):
    for value in BAD[option]:
        if value is True and isinstance(registry.read(group, name)[option], bool):
            continue
        with pytest.raises(BadInput) as caught:
            check(changed(group, name, **{option: value}))
        assert f"{group}.{option}" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("group", "name", "option"), EACH)
def test_each_good_value_trains(group, name, option):
    for value in GOOD[option]:
        config = changed(group, name, **{option: value})
        check(config)
        weight = torch.nn.Parameter(torch.ones(2))
        optimizer = build.make_optimizer(config)([weight])
        make = build.make_schedule(config)
        schedule = make(optimizer) if make else None
        for _ in range(UPDATES):
            weight.square().sum().backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
        assert weight.isfinite().all()


ASKED = [
    ["optimizer.fused=true"], ["optimizer.fused=false"], ["optimizer.fused=null"], ["+optimizer.foreach=true"],
    ["+optimizer.foreach=true", "optimizer.fused=false"], ["+optimizer.foreach=false"],
    ["+optimizer.differentiable=true"], [],
]  # fmt: skip


@pytest.mark.parametrize("name", ["adam", "adamw"])
@pytest.mark.parametrize("words", ASKED, ids=" ".join)
def test_a_step_by_torchs_kernel_has_the_id_of_the_plain_command(name, words):
    """null, which stands for it, is in no id, so that no id moved when the kernel came; false is in it."""
    plain, job = prepare([f"optimizer={name}"]), prepare([f"optimizer={name}", *words])
    options = build.make_optimizer(job.config)([torch.nn.Parameter(torch.ones(1))]).defaults
    said = [word for word in words if not word.startswith("optimizer.fused")]
    assert options["fused"] == (not any("=true" in word for word in said) and "optimizer.fused=false" not in words)
    if not said:
        assert (job.id == plain.id) == options["fused"]


def test_training_and_planning_mean_the_same_by_null():
    """Planning imports no torch, so the rule stands in two places."""
    targets = {registry.read("optimizer", name)["_target_"] for name in registry.choices("optimizer")}
    ways = [{}, {"foreach": True}, {"foreach": False}, {"differentiable": True}]
    for node in ({"_target_": target, **way} for target in sorted(targets) for way in ways):
        assert fused_by_itself(node) == (settled({**node, "fused": None})["fused"] is True)


def test_a_kernel_together_with_another_way_is_refused():
    with pytest.raises(BadInput, match=r"^optimizer=adam: .*fused.*foreach"):
        build.try_training(prepare(["optimizer.fused=true", "+optimizer.foreach=true", "device=cpu"]).config)
    with pytest.raises(BadInput, match=r"^optimizer=rmsprop: .*fused"):
        build.try_training(prepare(["optimizer=rmsprop", "+optimizer.fused=true", "device=cpu"]).config)


def takes(config):
    """Whether the cycle is not refused, and by no other sentence than this one."""
    with contextlib.suppress(AxisRefused):
        check(config)
        return True
    with pytest.raises(AxisRefused, match="leaves a part of the cycle without any"):
        check(config)
    return False


@pytest.mark.parametrize("updates", [*range(1, 12), 97])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.25, 0.3, 1 / 3, 0.5, 0.75, 0.9, 0.999])
@pytest.mark.parametrize("three", [False, True])
def test_a_cycle_that_is_not_refused_runs_to_its_end(updates, share, three):
    """Every share of every length: torch divides by zero in some, at the first update or at the last."""
    config = changed("schedule", "onecycle", total_steps=updates, pct_start=share, three_phase=three)
    config["budget"] = {**config["budget"], "updates": updates}
    if not takes(config):
        return
    optimizer = build.make_optimizer(config)([torch.nn.Parameter(torch.ones(1))])
    schedule = build.make_schedule(config)(optimizer)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(updates):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    assert all(0 <= rate <= 0.003 for rate in rates)


@pytest.mark.parametrize("words", [
    ["schedule=onecycle", "budget.updates=3"], ["schedule=onecycle", "schedule.total_steps=7"],
    ["optimizer.betas=[0.9]"], ["optimizer=sgd", "optimizer.nesterov=true", "optimizer.momentum=0"],
    ["optimizer.lr=-0.1"], ["schedule=cosine", "schedule.eta_min=0.1"], ["schedule=step", "schedule.gamma=-1"],
])  # fmt: skip
@pytest.mark.parametrize("command", ["run", "plan"])
def test_the_command_line_says_it_before_anything_runs(command, words, tmp_path, capsys):
    skipped = command == "plan" and not any(
        w.startswith(("optimizer.betas", "optimizer.lr", "schedule.gamma")) for w in words
    )
    assert main([command, *words, "device=cpu", "--results", str(tmp_path)]) == (0 if skipped else 2)
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "skipped: 1 cell" in said if skipped else said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# Of one's own.


def test_a_schedule_that_nothing_is_known_of_is_tried_to_its_end(user_dir):
    user_dir("schedule/polynomial.yaml", "name: polynomial\n_target_: torch.optim.lr_scheduler.StepLR\nstep_size: 0\n")
    config = prepare(["schedule=polynomial", "device=cpu"]).config
    with pytest.raises(BadInput, match=r"^schedule=polynomial: .*zero") as caught:
        build.try_training(config)
    assert "\n" not in str(caught.value)


def test_an_option_of_the_constructor_is_tried_too():
    with pytest.raises(BadInput, match=r"^optimizer=adam: "):
        build.try_training(prepare(["+optimizer.nonsense=3", "device=cpu"]).config)
    build.try_training(prepare(["+optimizer.amsgrad=true", "device=cpu"]).config)


def test_the_tables_know_every_option_of_every_choice():
    for group, name in CHOICES:
        target = registry.read(group, name).get("_target_")
        known = OPTIMIZER if group == "optimizer" else SCHEDULES.get(target, {})
        assert set(options(group, name)) <= set(known), name


def test_every_shipped_pair_is_tried_in_no_time():
    for optimizer in registry.choices("optimizer"):
        build.try_training(quick(f"optimizer={optimizer}").config)
