"""What a sweep consists of: grids, experiments, seeds, skipped cells, and what is refused before anything runs."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import yaml

from rnnbench.errors import BadInput
from rnnbench.runs import plan as runs_plan
from rnnbench.runs.plan import prepare
from rnnbench.runs.registry import config_dir
from rnnbench.store.folder import Results
from rnnbench.store.manifests import all_manifest_runs
from rnnbench.sweeps import plan as sweeps_plan
from rnnbench.sweeps.plan import default_name, experiment_grids, plan, write_manifest
from rnnbench.sweeps.search.definition import define


def chosen(made, *keys):
    """Of each job the named axes and the seed."""
    return [(*(job.axes[key] for key in keys), job.seed) for job in made.jobs]


def test_a_grid_is_the_product_of_its_lists_and_the_last_varies_fastest():
    made = plan(["cell=rnn,gru", "depth=1,2", "seed=range(2)"])
    expected = [(c, d, s) for c in ("rnn", "gru") for d in (1, 2) for s in (0, 1)]
    assert chosen(made, "cell", "depth") == expected
    assert len({job.id for job in made.jobs}) == 8
    assert made.skipped == []


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("seed=range(5)", [0, 1, 2, 3, 4]),
        ("seed=range(1,6,2)", [1, 3, 5]),
        ("seed=choice(3,1)", [3, 1]),
        ("seed=2,0", [2, 0]),
        ("seed=4", [4]),
    ],
)
def test_hydras_lists_of_seeds(override, values):
    assert [job.seed for job in plan(["cell=rnn", override]).jobs] == values


def test_options_are_listed_as_groups_are():
    made = plan(["cell=rnn", "optimizer.lr=choice(0.1,0.01)", "clip=null,1"])
    assert [(job.config["optimizer"]["lr"], job.config["clip"]) for job in made.jobs] == [
        (0.1, None), (0.1, 1), (0.01, None), (0.01, 1),
    ]  # fmt: skip
    assert made.jobs[0].axes["options"] == {"optimizer.lr": 0.1, "clip": None}


def test_a_job_of_a_sweep_is_the_run_of_the_same_overrides():
    for job in plan(["cell=lstm,gru", "peephole=off", "depth=2", "seed=1,2", "budget=smoke"]).jobs:
        alone = prepare([f"cell={job.axes['cell']}", "depth=2", f"seed={job.seed}", "budget=smoke", "tracker=none"])
        assert (job.id, job.config, job.axes) == (alone.id, alone.config, alone.axes)
        assert job.command == f"rnnbench run cell={job.axes['cell']} peephole=off depth=2 budget=smoke seed={job.seed}"
        assert prepare(job.command.split()[2:]).id == job.id


def test_seeds_share_one_composition(monkeypatch):
    calls = []
    monkeypatch.setattr(sweeps_plan, "prepare", lambda o, **k: calls.append(o) or runs_plan.prepare(o, **k))
    made = plan(["cell=rnn,gru", "seed=range(50)"])
    assert len(made.jobs) == 100
    assert len(calls) == 2


def test_equal_runs_are_done_once():
    made = plan(["cell=rnn,rnn", "seed=0,0,1"])
    assert chosen(made, "cell") == [("rnn", 0), ("rnn", 1)]
    same = plan(["cell=rnn", "clip=1,1.0,2", "params=10k,10000"])
    assert [(job.config["clip"], job.config["params"]) for job in same.jobs] == [(1, 10_000), (2, 10_000)]


def test_axes_that_do_not_go_together_are_skipped_with_the_reason():
    made = plan(["cell=lstm,gru,mgu", "peephole=off,on", "seed=range(2)"])
    assert chosen(made, "cell", "peephole") == [
        ("lstm", "off", 0), ("lstm", "off", 1), ("lstm", "on", 0), ("lstm", "on", 1),
        ("gru", "off", 0), ("gru", "off", 1), ("mgu", "off", 0), ("mgu", "off", 1),
    ]  # fmt: skip
    reasons = made.skip_reasons()
    assert list(reasons.values()) == [2, 2]
    gru, mgu = reasons
    assert gru.startswith("cell=gru takes no peephole: a GRU has no cell state")
    assert mgu.startswith("cell=mgu takes no peephole")
    assert made.skipped[0].overrides[:2] == ("cell='gru'", "peephole='on'")


def test_a_network_that_sees_the_future_is_skipped_too():
    made = plan(["cell=rnn", "dataset=digits,jsb", "direction=forward,bidirectional"])
    assert [(job.dataset, job.axes["direction"]) for job in made.jobs] == [
        ("digits", "forward"), ("digits", "bidirectional"), ("jsb", "forward"),
    ]  # fmt: skip
    assert "would see the very steps that dataset=jsb asks to predict" in made.skipped[0].reason


def test_a_sweep_of_skipped_cells_only_is_a_plan():
    made = plan(["cell=gru", "peephole=on"])
    assert (made.jobs, len(made.skipped)) == ([], 1)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["cell=rnn,lsmt"], "unknown cell 'lsmt'; did you mean lstm"),
        (["cell=rnn", "dataset=digits,nonsense"], "unknown dataset 'nonsense'"),
        (["cell=rnn,gru", "cell.forget_bias=1"], "unknown option 'cell.forget_bias'"),
        (["cell=rnn", "hidden_sise=8,16"], "unknown option 'hidden_sise'; did you mean hidden_size"),
        (["cell=rnn", "seed=x"], "seed must be a whole number of at least 0, not 'x'"),
        (["cell=rnn", "seed=0,-1"], "seed must be a whole number of at least 0, not -1"),
        (["cell=rnn", "seed=1.5"], "seed must be a whole number"),
        (["cell=rnn", "seed=true"], "seed must be a whole number"),
        (["cell=rnn", "seed=range(0)"], "this sweep is empty"),
        (["cell=rnn", "seed=range(0,9,0)"], "cannot read 'seed=range(0,9,0)': range() arg 3 must not be zero"),
        (["cell=rnn", "seed=range(3,3)", "depth=1,2"], "this sweep is empty"),
        (["cell=rnn", "cell="], "unknown cell ''"),
        (["optimizer.lr=interval(0,1)"], "is a continuous range; a sweep takes lists"),
        (["cell"], "'cell' is no override; write key=value"),
        (["hidden_size=8,eight"], "hidden_size must be a number, not "),
        (["params=10k,0"], "params=0 is no count"),
        (["experiment=quickstar"], "unknown experiment 'quickstar'; did you mean quickstart"),
        (["experiment=quickstart", "experiment=quickstart"], "one experiment at a time"),
    ],
)
def test_one_wrong_word_refuses_the_whole_sweep(overrides, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as caught:
        plan(overrides)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_s_wrong_option_is_said_before_any_run():
    words = ["cell=rnn", "dataset=digits", "budget=smoke", "tracker=wandb"]
    with pytest.raises(BadInput, match=r"tracker\.mode='sometimes' is not a mode of W&B"):
        plan([*words, "tracker.mode=sometimes"])
    assert len(plan([*words, "tracker.mode=offline"]).jobs) == 1
    with pytest.raises(BadInput, match=r"tracker\.mode='sometimes' is not a mode of W&B"):
        define([*words, "tracker.mode=sometimes", "optimizer.lr=interval(0.001,0.1)"], name="found")


# experiments


@pytest.mark.integration
def test_the_quickstart_is_what_its_file_says():
    made = plan(["experiment=quickstart"])
    assert made.name == "quickstart"
    grids = yaml.safe_load((config_dir() / "experiment" / "quickstart.yaml").read_text())["grids"]
    entries = sum(math.prod(len(str(values).split(",")) for values in grid.values()) for grid in grids)
    assert len({job.axes["label"] for job in made.jobs}) == entries >= 8
    assert len(made.jobs) == entries * 2 * 3, "datasets and seeds"
    assert made.skipped == []
    assert {job.group for job in made.jobs} == {"quickstart"}
    assert {job.config["tracker"]["name"] for job in made.jobs} == {"none"}


@pytest.mark.integration
def test_what_the_user_says_replaces_what_the_experiment_says():
    made = plan(["experiment=quickstart", "budget=smoke", "seed=7", "dataset=temporal_order"])
    assert {(job.config["budget"]["name"], job.seed, job.dataset) for job in made.jobs} == {
        ("smoke", 7, "temporal_order")
    }
    assert len(made.jobs) == len({job.axes["label"] for job in made.jobs}) >= 8


def test_an_override_that_no_grid_can_take_leaves_skipped_cells():
    made = plan(["experiment=quickstart", "cell=gru", "seed=0", "dataset=digits"])
    labels = {job.axes["label"] for job in made.jobs}
    assert labels == {"GRU", "GRU x2", "BiGRU"}
    (reason,) = made.skip_reasons()
    assert reason.startswith("cell=gru takes no peephole")


def test_yaml_as_people_write_it(lab):
    assert experiment_grids("quoting")[0] == [
        "dataset=digits", "budget=smoke", "clip=null", "cell=lstm", "peephole=on", "depth=1,2", "seed=range(2)",
    ]  # fmt: skip
    made = plan(["experiment=quoting"])
    assert chosen(made, "label") == [
        ("LSTM +peephole", 0), ("LSTM +peephole", 1), ("LSTM x2 +peephole", 0), ("LSTM x2 +peephole", 1),
        ("RNN", 0), ("GRU", 0),
    ]  # fmt: skip
    assert all(job.config["clip"] is None for job in made.jobs)


def test_a_broken_experiment_is_one_sentence(lab):
    with pytest.raises(BadInput, match="experiment 'shapeless': `base` is a mapping"):
        plan(["experiment=shapeless"])
    with pytest.raises(BadInput, match="experiment 'sizeless': `budgets` is a mapping"):
        plan(["experiment=sizeless"])
    with pytest.raises(BadInput, match="is not valid YAML"):
        plan(["experiment=broken"])


@pytest.mark.integration
def test_an_experiment_knows_its_sizes():
    """The peephole ablation by budget: fewer seeds to try it, Moving MNIST for a GPU; each with controls of its own."""
    asked = {
        size: plan(["experiment=convlstm_peephole", f"budget={size}"]).jobs for size in ("smoke", "small", "paper")
    }
    assert {size: len({job.seed for job in jobs}) for size, jobs in asked.items()} == {
        "smoke": 2, "small": 10, "paper": 8,
    }  # fmt: skip
    assert {size: {job.dataset for job in jobs} for size, jobs in asked.items()} == {
        "smoke": {"moving_digits"}, "small": {"moving_digits"}, "paper": {"moving_mnist"},
    }  # fmt: skip
    for jobs, controls in ((asked["small"], {20, 21}), (asked["paper"], {67, 78})):
        sizes = {job.axes["hidden_size"] for job in jobs if job.axes["peephole"] == "off"}
        assert sizes - {16, 64} == controls
        assert len({(job.axes["peephole"], job.axes["hidden_size"]) for job in jobs}) == 8
    assert plan(["experiment=convlstm_peephole", "budget=smoke", "seed=5"]).jobs[0].seed == 5


@pytest.mark.integration
@pytest.mark.parametrize(
    ("name", "dataset", "entries", "seeds"), [("quickstart_forecast", "co2", 2, 3), ("mnist1d", "mnist1d", 12, 3)]
)
def test_experiments_on_data_of_the_package(name, dataset, entries, seeds):
    made = plan([f"experiment={name}"])
    assert {job.dataset for job in made.jobs} == {dataset}
    assert (len(made.jobs), len({job.seed for job in made.jobs}), made.skipped) == (entries * seeds, seeds, [])


def test_sweeps_are_not_watched_unless_asked(lab):
    def trackers(*overrides):
        return [job.config["tracker"]["name"] for job in plan(overrides).jobs]

    assert trackers("cell=rnn,gru") == ["none", "none"]
    assert trackers("cell=rnn", "tracker=tensorboard") == ["tensorboard"]
    assert trackers("experiment=watched") == ["tensorboard"]
    assert trackers("experiment=watched", "tracker=none") == ["none"]


# name and manifest


def test_the_name_is_the_users_then_the_experiments():
    assert plan(["cell=rnn"], name="mine").name == "mine"
    assert plan(["experiment=quickstart", "seed=0"], name="mine").name == "mine"
    assert plan(["cell=rnn"]).name is None


@pytest.mark.parametrize("name", ["a/b", "..", "", "x y", "-x"])
def test_a_name_that_is_no_file_name_is_refused(name):
    with pytest.raises(BadInput, match="a sweep's name is"):
        plan(["cell=rnn"], name=name)


def test_the_manifest_holds_runs_and_skipped_cells(tmp_path):
    made = plan(["cell=lstm,gru", "peephole=on", "seed=range(3)"], name="peepholes")
    path = write_manifest(made, tmp_path)
    assert path == tmp_path / "sweeps" / "peepholes.json"
    content = json.loads(path.read_text())
    assert content["runs"] == [job.id for job in made.jobs]
    (skipped,) = content["skipped"]
    assert skipped["cells"] == 3
    assert skipped["reason"].startswith("cell=gru takes no peephole")
    assert content["command"] == "rnnbench sweep cell=lstm,gru peephole=on 'seed=range(3)'"
    write_manifest(made, tmp_path)
    assert [p.name for p in path.parent.iterdir()] == ["peepholes.json"]
    assert json.loads(path.read_text())["runs"] == content["runs"]
    assert "earlier" not in json.loads(path.read_text())


def test_a_name_that_is_used_again_keeps_the_runs_of_its_other_grids(tmp_path):
    wide, narrow, other = (plan([cells, "seed=0"], name="mine") for cells in ("cell=rnn,gru", "cell=gru", "cell=lstm"))
    for made, earlier in (
        (wide, []),
        (narrow, wide.jobs[:1]),
        (other, [*narrow.jobs, *wide.jobs[:1]]),
        (wide, other.jobs),
    ):
        content = json.loads(write_manifest(made, tmp_path).read_text())
        assert content["runs"] == [job.id for job in made.jobs]
        assert content.get("earlier", []) == [job.id for job in earlier]
    assert all_manifest_runs(Results(tmp_path)) == {job.id for made in (wide, other) for job in made.jobs}
    (tmp_path / "sweeps" / "mine.json").write_text("[]")
    assert json.loads(write_manifest(wide, tmp_path).read_text())["runs"] == content["runs"]


def test_sweeps_without_a_name_have_manifests_of_their_own(tmp_path):
    first, same, other = (write_manifest(plan([o]), tmp_path) for o in ("cell=rnn", "cell=rnn", "cell=gru"))
    assert first == same != other


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        ("load.csv", "own_series_load"),
        ("data/../load.2024.csv.gz", "own_series_load"),
        ("lo ad (1).csv", "own_series_lo_ad_1"),
        ("gr\u00f6\u00dfe.csv", "own_series_gr\u00f6\u00dfe"),
        ("load.csv,heat.csv", "own_series_load_heat"),
        ("...", "own_series"),
        ("a" * 200, "own_series_" + "a" * 69),
    ],
)
def test_a_sweep_on_a_users_file_is_called_so(paths, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("load.csv", "heat.csv"):  # a comma parts files that are there
        Path(file).touch()
    assert default_name("own_series", ["dataset.horizon=2", f"dataset.path={paths}"]) == name
    assert default_name(None, [f"dataset.path={paths}"]) is None


@pytest.mark.integration
def test_sweeps_on_several_files_do_not_share_a_manifest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"2024-{1 + n // 28:02}-{1 + n % 28:02},{n % 7}\n" for n in range(28 * 12))
    asked = ["experiment=own_series", "dataset.freq=1D", "dataset.missing=forward"]
    for name in ("load", "heat"):
        Path(f"{name}.csv").write_text(f"ds,y\n{rows}")
        rows += "2024-12-29,3\n"
        words = [*asked, f"dataset.path={name}.csv"]
        made = plan(words)
        manifest = write_manifest(made, tmp_path)
        assert manifest.stem == made.key == plan(words).key == f"own_series_{name}"
        assert "earlier" not in json.loads(manifest.read_text())
        assert plan(words, name="mine").key == "mine"
