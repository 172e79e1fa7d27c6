"""Composing a set of group choices once and setting the values after is what Hydra gives when it composes whole."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from rnnbench import toolchain
from rnnbench.errors import BadInput
from rnnbench.runs import axes, compose, hydra_groups
from rnnbench.runs.plan import prepare
from rnnbench.store.record import run_id

TOOLS = toolchain.Toolchain(("cc",), "gcc 12.2.0", ("-O3",), "x86-64")  # only that there is one is in an id
PUBLISHED = sorted((Path(__file__).parents[2] / "results" / "published").glob("*/records.jsonl"))

GROUPS = {
    "cell": ["lstm", "gru", "rnn", "mgu"],
    "depth": ["1", "2"],
    "direction": ["forward", "bidirectional"],
    "peephole": ["on", "off", "detach"],
    "dataset": ["digits", "adding", "jsb", "moving_digits"],
    "optimizer": ["adam", "sgd"],
    "schedule": ["constant", "onecycle", "cosine", "step"],
    "budget": ["smoke", "small", "paper"],
    "tracker": ["none", "wandb"],
}
VALUES = {
    "optimizer.lr": ["0.01", "1e-3", "${schedule.pct_start}", "0.5"],
    "++optimizer.lr": ["0.02"],
    "schedule.max_lr": ["0.1", "${optimizer.lr}"],
    "+schedule.gamma": ["0.2"],
    "budget.updates": ["7", "${budget.batch_size}"],
    "budget.val_every": ["${budget.updates}"],
    "+optimizer.extra": ["{a: 1, b: {c: [1, 2]}}", "'text with spaces'", "[1,2,${seed}]"],
    "optimizer.betas": ["[0.5,0.9]", "[0.5,${optimizer.lr}]"],
    "hidden_size": ["3", "null", "'8'"],
    "params": ["70k", "null"],
    "clip": ["null", "1", "1.0", "${optimizer.lr}"],
    "seed": ["3", "${hidden_size}"],
    "dataset.T": ["20"],
    "depth.dropout": ["0.1"],
    "cell.forget_bias": ["1", "true"],
    "harness.timeout": ["5"],
    "tracker.project": ["null", "x"],
    "nonsense": ["1"],
    "experiment": ["quickstart"],
}
SOME_VALUES = st.sampled_from([f"{key}={value}" for key, values in VALUES.items() for value in values])
SOME_GROUPS = st.sampled_from([f"{key}={value}" for key, values in GROUPS.items() for value in values])


def outcome(overrides):
    """The config and choices of overrides, or the sentence they are refused with."""
    try:
        return compose.compose(overrides)
    except BadInput as error:
        return str(error)


@pytest.mark.integration
@settings(max_examples=60, phases=[Phase.generate])  # composing whole takes a tenth of a second
@given(st.lists(SOME_GROUPS, max_size=5), st.lists(SOME_VALUES, max_size=4), st.randoms(use_true_random=False))
def test_the_quick_way_gives_what_hydra_gives(groups, values, random):
    overrides = [*groups, *values]
    random.shuffle(overrides)
    quick = outcome(overrides)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hydra_groups, "composed", lambda texts, parsed: hydra_groups.whole(texts))
        assert outcome(overrides) == quick
    if isinstance(quick, tuple):
        assert list(quick[0]) == list(compose.compose(groups)[0]), "the order of a config.yaml's keys"


def test_what_is_interpolated_follows():
    config, _ = compose.compose(["schedule=onecycle", "optimizer.lr=0.25", "budget.updates=17"])
    assert (config["schedule"]["max_lr"], config["schedule"]["total_steps"]) == (0.25, 17)
    config, _ = compose.compose(["schedule=onecycle", "optimizer.lr=0.125"])
    assert config["schedule"]["max_lr"] == 0.125


def test_a_set_of_choices_is_composed_once(monkeypatch):
    asked = []
    real = hydra_groups._composed_by_hydra
    monkeypatch.setattr(hydra_groups, "_composed_by_hydra", lambda texts: asked.append(texts) or real(texts))
    hydra_groups._kept.clear()
    compose.defaults.cache_clear()
    ids = {prepare(["cell=mgu", f"optimizer.lr={n / 1000}", f"hidden_size={n}"]).id for n in range(1, 40)}
    assert len(ids) == 39
    assert len(asked) == 2, "these choices, and the defaults of all groups, each once"


def test_nobody_can_change_what_is_kept():
    first, _ = compose.compose(["cell=lstm"])
    first["optimizer"]["betas"].append(7)
    first["cell"]["meta"]["name"] = "mine"
    again, _ = compose.compose(["cell=lstm"])
    assert again["optimizer"]["betas"] == [0.9, 0.999]
    assert again["cell"]["meta"]["name"] == "lstm"


def test_an_edited_yaml_counts_at_once(user_dir):
    text = "name: adam\n_target_: torch.optim.Adam\nlr: {}\nbetas: [0.9, 0.999]\neps: 1.0e-8\nweight_decay: 0.0\n"
    user_dir("optimizer/mine.yaml", text.format("0.5"))
    assert compose.compose(["optimizer=mine"])[0]["optimizer"]["lr"] == 0.5
    user_dir("optimizer/mine.yaml", text.format("0.25"))
    assert compose.compose(["optimizer=mine"])[0]["optimizer"]["lr"] == 0.25
    user_dir("cell/lstm.yaml", "meta: {name: lstm}\n")
    with pytest.raises(BadInput, match="are both cell=lstm"):
        compose.compose(["optimizer=mine"])


def test_the_kept_config_is_unresolved():
    overrides = ["schedule='onecycle'", "optimizer.lr=0.5"]
    config, picked = hydra_groups.composed(overrides, [compose.parse(text) for text in overrides])
    assert OmegaConf.to_container(config)["schedule"]["max_lr"] == "${optimizer.lr}"
    assert picked["schedule"] == "onecycle"


@pytest.mark.integration
@pytest.mark.parametrize("path", PUBLISHED, ids=[path.parent.name for path in PUBLISHED])
def test_published_ids_have_not_moved(path, monkeypatch):
    """Each record's id is that of its config today; and a few that of its command, planned anew.

    Where there is a compiler if there was one for the record: backend=auto asks for it.
    """
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [run_id(record["config"]) for record in records] == [record["id"] for record in records]
    for record in records[:: max(1, len(records) // 3)]:
        words = shlex.split(record["command"])
        assert words[:2] == ["rnnbench", "run"]
        tools = TOOLS if record["backend"] == "compiled" else None
        monkeypatch.setattr(toolchain, "find", lambda tools=tools: tools)
        device = [] if axes.cuda_present() is (record["device"] == "cuda") else [f"device={record['device']}"]
        assert prepare([*words[2:], *device]).id == record["id"]
