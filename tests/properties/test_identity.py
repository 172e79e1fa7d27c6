"""A run's id is a function of what changes its result, and of nothing else: however it is asked for."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rnnbench.runs.plan import prepare
from rnnbench.store.record import run_id
from rnnbench.sweeps.plan import plan

DIFFERENT = {
    "cell": st.sampled_from(["lstm", "gru"]),  # few choices of groups: each set of them takes Hydra a tenth of a second
    "depth": st.sampled_from(["2", "3"]),  # of one layer, a residual is refused
    "schedule": st.sampled_from(["constant", "onecycle"]),
    "hidden_size": st.integers(1, 2000),
    "optimizer.lr": st.floats(1e-7, 10, allow_nan=False),
    "optimizer.eps": st.floats(1e-12, 1, allow_nan=False),
    "clip": st.none() | st.floats(1e-3, 100),
    "budget.updates": st.integers(4, 10**6),  # fewer are no cycle
    "budget.batch_size": st.integers(1, 512),
    "depth.residual": st.booleans(),
    "cell.biases": st.sampled_from([1, 2]),
    "seed": st.integers(0, 2**40),
}
NOT_WATCHED = {
    "tracker": st.sampled_from(["none", "wandb"]),
    "harness.timeout": st.none() | st.integers(1, 10**6),
    "harness.checkpoint_seconds": st.integers(1, 600),
    "harness.diagnostics": st.booleans(),
    "harness.malloc_tuning": st.booleans(),
    "harness.device_index": st.integers(0, 7),
}
asked = st.fixed_dictionaries(DIFFERENT)
unasked = st.fixed_dictionaries({}, optional=NOT_WATCHED)
one_machine = ["device=cpu"]
many = settings(max_examples=10, phases=[Phase.generate])
few = settings(
    max_examples=5, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # a new yaml: composed anew


def spelled(key, value, chance):
    """One of the ways to write a value on the command line."""
    if value is None:
        return f"{key}=null"
    if isinstance(value, bool):
        return f"{key}={chance.choice([str(value).lower(), str(value)])}"
    if isinstance(value, str):
        return f"{key}={chance.choice([value, repr(value), json.dumps(value)])}"
    ways = [repr(value)] + [f"{value:.17e}"] * isinstance(value, float)
    ways += [str(int(value))] * (value == int(value))
    text = f"{key}={chance.choice(ways)}"
    return chance.choice([text, f"++{text}"])


def words(values, chance):
    """Overrides in some order and spelling."""
    texts = [spelled(key, value, chance) for key, value in values.items()]
    chance.shuffle(texts)
    return texts + one_machine


def shuffled(node, chance):
    """The same nested config, its keys in another order."""
    if not isinstance(node, dict):
        return node
    items = [(key, shuffled(value, chance)) for key, value in node.items()]
    chance.shuffle(items)
    return dict(items)


@pytest.mark.integration
@many
@given(asked, unasked, unasked, st.integers())
def test_order_spelling_and_what_only_watches_do_not_move_an_id(values, first, second, number):
    chance = random.Random(number)
    a = prepare(words(values | first, chance))
    b = prepare(words(values | second, chance))
    assert a.id == b.id
    assert a.axes == b.axes
    assert run_id(shuffled(a.config, chance)) == a.id
    assert run_id(json.loads(json.dumps(a.config))) == a.id


@pytest.mark.integration
@few
@given(values=asked, watched=unasked, number=st.integers())
def test_a_yaml_and_the_command_line_give_one_id(values, watched, number, own_folder):
    chance = random.Random(number)
    typed = dict(values)
    chance.shuffle(keys := list(typed))
    base = {key: typed[key] for key in keys[::2]}
    grid = {key: typed[key] for key in keys[1::2]}
    own_folder("experiment/asked.yaml", yaml.safe_dump({"base": base, "grids": [grid]}, sort_keys=False))
    (job,) = plan(["experiment=asked", *words(watched, chance)]).jobs
    assert job.id == prepare(words(values, chance)).id


@pytest.mark.integration
@few
@given(values=asked, number=st.integers())
def test_a_choice_in_an_own_folder_gives_the_id_of_its_values(values, number, own_folder):
    """`optimizer=mine` with these values in its yaml, and the same values on the command line."""
    chance = random.Random(number)
    mine = {"name": "adam", "_target_": "torch.optim.Adam", "betas": [0.9, 0.999], "weight_decay": 0.0}
    mine |= {"lr": values["optimizer.lr"], "eps": values["optimizer.eps"]}
    own_folder("optimizer/mine.yaml", yaml.safe_dump(shuffled(mine, chance), sort_keys=False))
    rest = {key: value for key, value in values.items() if not key.startswith("optimizer.")}
    assert prepare(words(rest | {"optimizer": "mine"}, chance)).id == prepare(words(values, chance)).id


@many
@given(values=asked, key=st.sampled_from(sorted(DIFFERENT)), data=st.data(), number=st.integers())
def test_any_value_that_changes_the_result_gives_another_id(values, key, data, number):
    other = data.draw(DIFFERENT[key].filter(lambda value: value != values[key]))
    chance = random.Random(number)
    before, after = prepare(words(values, chance)), prepare(words(values | {key: other}, chance))
    assert before.id != after.id


@pytest.mark.integration
@few
@given(st.lists(asked, min_size=2, max_size=3, unique_by=lambda values: json.dumps(values, sort_keys=True)))
def test_a_sweep_s_ids_are_those_of_its_runs_alone(chosen):
    """The quick way of planning many (one composition, seeds set after) gives what each run gives by itself."""
    chance = random.Random(len(chosen))
    rates = sorted({values["optimizer.lr"] for values in chosen})
    seeds = sorted({values["seed"] for values in chosen})
    rest = {key: value for key, value in chosen[0].items() if key not in ("optimizer.lr", "seed")}
    lists = ["optimizer.lr=" + ",".join(map(repr, rates)), "seed=" + ",".join(map(str, seeds))]
    made = plan([*words(rest, chance), *lists])
    alone = [prepare(words(rest | {"optimizer.lr": lr, "seed": seed}, chance)) for lr in rates for seed in seeds]
    assert [(job.id, job.axes) for job in made.jobs] == [(job.id, job.axes) for job in alone]


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """A user's config folder, part of the registry: own_folder(name, text) writes a file into it."""
    from rnnbench.runs import compose, registry

    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(tmp_path))

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, ns=(next(times), next(times)))  # no two writes at one moment
        registry._read.cache_clear()
        compose.defaults.cache_clear()
        return path

    times = iter(range(10**18, 2 * 10**18, 10**9))
    yield write
    registry._read.cache_clear()
    compose.defaults.cache_clear()
