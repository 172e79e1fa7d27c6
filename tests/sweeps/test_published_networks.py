"""The experiments that hold published networks: composed as a sweep composes them, their sizes are the papers' to the
unit, and they are trained as the papers say."""

from __future__ import annotations

import pytest
import torch

from rnnbench.nn import count_params
from rnnbench.runs import build
from rnnbench.sweeps.plan import plan

# Shi et al. 2015, table 1, in its order; OpenSTL's counts, ConvLSTM-S without the layers that its forward never uses.
SIZES = {
    "shi2015": [142_667_776, 13_524_496, 10_042_896, 7_585_296, 11_550_224, 8_830_480],
    "openstl": [23_838_720, 11_675_648],
}


def jobs(experiment, *overrides):
    """One job a network, planned as the program plans them."""
    return plan([f"experiment={experiment}", "seed=0", *overrides]).jobs


def network(job):
    """A job's network without its numbers."""
    with torch.device("meta"):
        return build.make_model(job.config, build.make_task(job.config))


@pytest.mark.integration
@pytest.mark.parametrize("experiment", SIZES)
def test_the_networks_have_the_published_sizes(experiment):
    assert [count_params(network(job)) for job in jobs(experiment)] == SIZES[experiment]


@pytest.mark.integration
@pytest.mark.parametrize("experiment", SIZES)
def test_another_budget_leaves_the_networks(experiment):
    tried = jobs(experiment, "budget=smoke", "budget.batch_size=2")
    assert [count_params(network(job)) for job in tried] == SIZES[experiment]
    assert {(job.config["budget"]["updates"], job.config["budget"]["batch_size"]) for job in tried} == {(60, 2)}


def test_shi_2015_is_trained_as_the_authors_train():
    """RMSProp, no clipping, cross-entropy per sequence, peepholes from zero; one output map over all layers' states,
    but the FC-LSTM's over the last one's."""
    for job in jobs("shi2015"):
        optimizer = build.make_optimizer(job.config)([torch.nn.Parameter(torch.zeros(1))])
        assert isinstance(optimizer, torch.optim.RMSprop)
        assert [optimizer.defaults[k] for k in ("lr", "alpha", "eps", "momentum", "weight_decay")] == [
            1e-3, 0.9, 1e-6, 0, 0,
        ]  # fmt: skip
        assert (job.config["clip"], job.config["schedule"]["name"]) == (None, "constant")
        assert build.make_task(job.config).spec.loss == "bce_sequence"
        assert (job.config["peephole"]["shape"], job.config["peephole"]["start"]) == ("per_channel", "zero")
        assert network(job).reads == ("top" if job.axes["cell"] == "lstm" else "all")
        assert network(job).patches.patch == 4


def test_openstl_is_trained_as_openstl_trains():
    """Adam at 5e-4 under one cycle that moves its first beta, batches of 16, scheduled sampling to update 50,000."""
    for job in jobs("openstl"):
        optimizer = build.make_optimizer(job.config)([torch.nn.Parameter(torch.zeros(1))])
        schedule = build.make_schedule(job.config)(optimizer)
        assert type(optimizer) is torch.optim.Adam
        assert schedule.total_steps == job.config["budget"]["updates"] == 625 * 200
        group = optimizer.param_groups[0]
        assert [group[k] for k in ("max_lr", "initial_lr", "min_lr")] == pytest.approx([5e-4, 2e-5, 2e-9])
        assert (group["betas"], group["max_momentum"], group["base_momentum"]) == ((0.95, 0.999), 0.95, 0.85)
        assert (job.config["clip"], job.config["budget"]["batch_size"]) == (None, 16)
        net = network(job)
        assert (net.sampling.mode, net.sampling.stop, net.patches.patch) == ("scheduled", 50_000, 4)
        assert build.make_task(job.config).spec.protocol.startswith("openstl, 10->10")
