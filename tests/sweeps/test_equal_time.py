"""A budget in seconds becomes updates of each entry, by what an update took where it is recorded."""

from __future__ import annotations

import pytest
import yaml
from made_up import filled, planned, record

from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.store.gathered import gather
from rnnbench.store.results import Runs
from rnnbench.store.store import Store
from rnnbench.sweeps.equal_time import as_experiment, cost_id, shares
from rnnbench.sweeps.plan import plan


def took(seconds: float, updates: int = 100) -> dict[str, float]:
    return {"train_seconds": seconds, "updates": updates}


def test_an_entry_has_as_many_updates_as_its_seconds_pay():
    made = planned("cell=rnn,gru", "seed=range(3)")
    rnns, grus = made.jobs[:3], made.jobs[3:]
    records = [record(job, **took(seconds)) for job, seconds in zip(rnns, (1.0, 2.0, 9.0), strict=True)]
    records += [record(job, **took(seconds)) for job, seconds in zip(grus, (4.0, 4.0, 4.0), strict=True)]
    found = shares(made.jobs, records, 10.0)
    assert [(share.seconds, share.updates, share.runs) for share in found] == [(0.02, 500, 3), (0.04, 250, 3)]
    assert [share.seeds for share in found] == [(0, 1, 2), (0, 1, 2)]


ONE = ("cell=gru", "dataset=digits", "budget=smoke")


def costs(*overrides: str) -> str:
    return cost_id(plan([*ONE, *overrides]).jobs[0].config)


@pytest.mark.parametrize(
    "same", ["optimizer.lr=0.01", "seed=7", "budget.updates=7", "budget.val_every=3", "schedule=cosine"]
)
def test_what_leaves_an_update_as_it_is_leaves_its_cost(same):
    assert costs(same) == costs()


@pytest.mark.parametrize(
    "other", ["hidden_size=31", "budget.batch_size=7", "depth=2", "optimizer=sgd", "backend=eager", "harness.threads=2"]
)
def test_what_makes_another_update_has_another_cost(other):
    assert costs(other) != costs()


def test_runs_that_failed_say_nothing_of_speed_and_an_unknown_entry_is_named():
    made = planned("cell=rnn,gru")
    known, failed = made.jobs
    records = [record(known, **took(1.0)), record(failed, status="timeout", **took(1.0))]
    with pytest.raises(BadInput, match=r"what an update takes of GRU.*budget\.updates=100.*--speeds"):
        shares(made.jobs, records, 10.0)


def test_a_budget_below_one_update_is_one_update():
    made = planned("cell=rnn")
    assert [share.updates for share in shares(made.jobs, [record(made.jobs[0], **took(100.0))], 0.5)] == [1]


def test_the_experiment_is_the_same_sweep_with_its_updates(tmp_path, monkeypatch):
    asked = ("cell=lstm", "peephole=off,on", "optimizer.lr=0.001,0.01", "seed=3,5", "clip=null")
    made = planned(*asked)
    store = filled(tmp_path / "results", made, len(made.jobs), **took(2.0))
    speeds = gather(Runs(store, "results", "results"))
    text = as_experiment(shares(made.jobs, speeds.records, 3.0), 3.0, speeds)
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    (folder / "timed.yaml").write_text(text)
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(tmp_path / "conf"))
    timed = plan(["experiment=timed"])
    wanted = [{**job.config, "budget": {**job.config["budget"], "updates": 150}} for job in made.jobs]
    assert sorted((job.config for job in timed.jobs), key=str) == sorted(wanted, key=str)


def test_the_command_prints_yaml_and_refuses_half_a_question(tmp_path, capsys):
    made = planned("cell=rnn")
    filled(tmp_path, made, 1, **took(1.0))
    call = ["plan", "dataset=digits", "budget=smoke", "cell=rnn", "--results", str(tmp_path)]
    assert main([*call, "--equal-time", "2s"]) == 0
    grids = yaml.safe_load(capsys.readouterr().out)["grids"]
    assert [grid["budget.updates"] for grid in grids] == ["200"]
    assert main([*call, "--speeds", str(tmp_path)]) == 2
    assert "--equal-time 30s" in capsys.readouterr().err
    assert main([*call, "--equal-time", "2s", "--speeds", "nowhere"]) == 2
    assert "called 'nowhere'" in capsys.readouterr().err
    assert not Store.open(tmp_path).folder(made.jobs[0].id).joinpath("attempts").exists()
