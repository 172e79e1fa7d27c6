"""Networks without recurrence as choices of the cell group: built, named, trained, and refused where they cannot be."""

from __future__ import annotations

import pytest
import torch
from runs_tools import quick

from rnnbench.errors import AxisRefused, BadInput
from rnnbench.nn import MLP, TCN, Transformer
from rnnbench.runs import build, registry
from rnnbench.runs.run import run

RIVALS = {n: registry.read("cell", n)["meta"] for n in registry.choices("cell")}
RIVALS = {name: meta for name, meta in RIVALS.items() if not meta.get("recurrent", True)}


def model(*overrides):
    job = quick(*overrides)
    return build.make_model(job.config, build.make_task(job.config))


def test_the_axes_are_the_network_s():
    body = model("cell=tcn", "depth=4", "depth.dropout=0.1", "dataset=adding", "hidden_size=6").stack
    assert isinstance(body, TCN)
    assert (body.receptive_field, body.blocks[3].first.dilation, body.dropout_rate) == (181, 8, 0.1)
    body = model("cell=transformer", "direction=bidirectional", "dataset=digits").stack
    assert isinstance(body, Transformer)
    assert not body.causal
    assert model("cell=transformer", "dataset=anbn").stack.causal
    body = model("cell=mlp", "dataset=adding", "dataset.T=30").stack
    assert isinstance(body, MLP)
    assert (body.window, body.last_only) == (30, True)
    assert not model("cell=mlp", "dataset=copy_memory").stack.last_only


def test_names_are_computed_from_the_axes():
    assert quick("cell=tcn", "depth=6", "hidden_size=25").axes["label"] == "TCN x6 h=25"
    assert quick("cell=transformer", "direction=bidirectional").axes["label"] == "BiTransformer"
    assert quick("cell=mlp", "cell.window=5").axes["label"] == "MLP [cell.window=5]"


@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("budget", ["20k", "70k"])
def test_a_budget_of_parameters_holds(name, budget):
    found = model(f"cell={name}", "dataset=digits", f"params={budget}")
    count = sum(p.numel() for p in found.parameters())
    assert 0.9 * int(budget[:-1]) * 1000 < count <= int(budget[:-1]) * 1000


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (("cell=tcn", "direction=bidirectional"), "cell=tcn takes no direction=bidirectional: its convolutions are"),
        (("cell=mlp", "direction=backward"), "cell=mlp takes no direction=backward: its window ends"),
        (("cell=transformer", "direction=backward"), "cell=transformer takes no direction=backward: its attention"),
        (("cell=transformer", "direction=bidirectional_sum"), "has no two directions to sum"),
        (("cell=transformer", "direction=bidirectional", "dataset=anbn"), "would see the very steps"),
        (("cell=transformer", "direction=bidirectional", "dataset=jsb"), "would see the very steps"),
        (("cell=tcn", "peephole=on"), "cell=tcn takes no peephole: a TCN has no gates"),
        (("cell=tcn", "depth=2", "depth.residual=true"), "has no depth.residual"),
        (("cell=mlp", "depth.norm=layer"), "has no depth.residual and no depth.norm"),
        (("cell=mlp", "dataset=moving_digits"), "cell=mlp is no recurrent cell"),
    ],
)
def test_axes_that_make_no_sense_are_refused(overrides, sentence):
    with pytest.raises(AxisRefused) as caught:
        quick(*overrides)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_wrong_options_are_one_sentence():
    with pytest.raises(BadInput, match="torch has no kernel for cell=tcn"):
        quick("cell=tcn", "backend=native")
    with pytest.raises(BadInput, match="cell=mlp: how long sequences are is not known"):
        model("cell=mlp", "dataset=jsb")
    with pytest.raises(BadInput, match="cell=tcn: kernel_size must be at least 2"):
        model("cell=tcn", "cell.kernel_size=1")


@pytest.mark.integration
@pytest.mark.parametrize("name", RIVALS)
@pytest.mark.parametrize("dataset", ["temporal_order", "anbn"])
def test_a_run_leaves_a_record_like_any_other(name, dataset, tmp_path):
    sizes = ["dataset.train=64", "dataset.val=20", "dataset.test=20"] if dataset == "temporal_order" else []
    words = [f"cell={name}", f"dataset={dataset}", "hidden_size=8", "budget=smoke", "budget.updates=4",
             "budget.val_every=2", *sizes]  # fmt: skip
    record = run(words, results=tmp_path)
    assert record["status"] == "ok"
    assert record["params"] == sum(p.numel() for p in model(*words).parameters())
    assert 0 < record["live_params"] <= record["params"]  # relus that are off in all of four updates have none
    assert (record["state_size"], record["backend"]) == (0, "eager")
    assert record["flops_per_step"] > 0
    assert torch.isfinite(torch.tensor(record["metrics"]["test/loss"]))
