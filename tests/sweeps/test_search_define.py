"""What a search is asked for: studies, space, rules, and one sentence for whatever is wrong with them."""

from __future__ import annotations

import shlex

import pytest
from searching import RATE, search

from rnnbench.errors import BadInput
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.search.definition import define
from rnnbench.sweeps.search.tune import Tune

SIZE = "hidden_size=tag(log,int(interval(4,64)))"


@pytest.mark.integration
def test_the_odyssey_is_nine_studies_of_one_space():
    odyssey = define(["experiment=odyssey"])
    assert [study.label for study in odyssey.studies] == [
        "LSTM +peephole", "LSTM-NIG +peephole", "LSTM-NFG +peephole", "LSTM-NOG +peephole", "LSTM-NIAF +peephole",
        "LSTM-NOAF +peephole", "LSTM-CIFG +peephole", "LSTM-FGR +peephole", "LSTM",
    ]  # fmt: skip
    assert {d.key: (d.bounds, d.scale) for d in odyssey.space} == {
        "hidden_size": ((20, 200), "log"), "optimizer.lr": ((1e-6, 1e-2), "log"),
        "optimizer.momentum": ((0.01, 1), "log1m"), "input_noise": ((0, 1), "linear"),
    }  # fmt: skip
    assert (odyssey.trials, odyssey.sampler, odyssey.top, odyssey.final_seeds) == (40, "random", 0.1, 5)
    assert odyssey.baseline == odyssey.studies[0].key


@pytest.mark.integration
def test_the_command_line_replaces_what_the_experiment_says():
    smaller = define(["experiment=odyssey", "hidden_size=32", "budget=smoke"], trials=3)
    assert [d.key for d in smaller.space] == ["optimizer.lr", "optimizer.momentum", "input_noise"]
    assert "hidden_size=32" in smaller.studies[0].overrides
    assert (smaller.trials, smaller.final_seeds) == (3, 1), "the option, and the experiment's size of that budget"


def test_its_command_can_be_given_again(tmp_path):
    made = search(RATE, trials=3, objectives=["metric", "params"])
    words = shlex.split(made.command)
    assert words[-6:] == ["--trials", "3", "--objectives", "metric,params", "--name", "searched"]
    assert Tune(made, tmp_path).plan.command == made.command, "what `rnnbench stop` says resumes it"


def test_two_datasets_are_two_studies_and_are_never_searched():
    made = search(RATE, "dataset=digits,adding")
    assert [study.key for study in made.studies] == ["dataset=digits", "dataset=adding"]
    assert [d.key for d in made.space] == ["optimizer.lr"]


def test_a_variant_that_cannot_be_is_left_out_and_said(tmp_path, monkeypatch):
    folder = tmp_path / "experiment"
    folder.mkdir()
    (folder / "mine.yaml").write_text(
        "base: {dataset: digits, budget: smoke}\n"
        "variants: [{cell: 'lstm,gru', peephole: on}]\n"
        "search: {space: {optimizer.lr: 'interval(0.1,0.2)'}, baseline: {cell: gru}}\n"
    )
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(tmp_path))
    made = define(["experiment=mine"])
    assert [study.key for study in made.studies] == ["cell=lstm peephole=on"]
    assert "cell=gru takes no peephole" in made.skipped[0]
    assert made.baseline is None


def test_a_trials_seed_is_its_number_and_a_finals_is_fresh():
    made = search(RATE)
    jobs = [made.job(made.studies[0], n, {"optimizer.lr": 0.01}) for n in (0, 7)]
    assert [job.seed for job in jobs] == [0, 7]
    assert [made.final(made.studies[0], {"optimizer.lr": 0.01}, n).seed for n in (0, 1)] == [100_000, 100_001]
    one = search(RATE, "seed=5")
    assert one.job(one.studies[0], 7, {"optimizer.lr": 0.01}).seed == 5
    assert "optimizer.lr=0.01" in jobs[0].command
    assert "seed=7" in jobs[1].command


def test_a_search_without_a_name_is_called_by_what_it_searches():
    few, more, other = (define([RATE, "cell=rnn"], **given) for given in (
        {"trials": 4}, {"trials": 9, "final_seeds": 2}, {"sampler": "random"}))  # fmt: skip
    assert few.name == more.name != other.name
    assert "--trials 9 --final-seeds 2" in more.command


def test_its_command_says_the_objectives_as_they_are_typed():
    assert search(SIZE, objectives=["metric", "params"]).command.endswith("--objectives metric,params --name searched")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Writes an experiment of one's own: its yaml."""
    (tmp_path / "experiment").mkdir()
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(tmp_path))
    return (tmp_path / "experiment" / "mine.yaml").write_text


HEAD = "base: {dataset: digits, budget: smoke}\n"
LIST = "search: {space: {optimizer.lr: '0.1,0.2'}}\n"


def test_what_the_command_line_says_replaces_a_variants_dataset(mine):
    mine(HEAD + "variants: [{dataset: digits}, {dataset: adding}]\n" + LIST)
    assert [study.key for study in define(["experiment=mine"]).studies] == ["dataset=digits", "dataset=adding"]
    (study,) = define(["experiment=mine", "dataset=jsb"]).studies
    assert "dataset=jsb" in study.overrides


def test_studies_of_one_network_are_told_apart(mine):
    mine(HEAD + "variants: [{optimizer: sgd}, {optimizer: adam}]\n" + LIST)
    assert [study.label for study in define(["experiment=mine"]).studies] == [
        "LSTM · optimizer=sgd", "LSTM · optimizer=adam",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LIST + "budgets: [smoke]\n", "`budgets` is a mapping from a budget"),
        (LIST + "budgets: {smoke: 3}\n", "`budgets` is a mapping from a budget"),
        ("search: {objectives: 3, space: {optimizer.lr: '0.1,0.2'}}\n", "unknown objective 3"),
    ],
)
def test_an_experiment_that_is_none_is_refused_in_a_sentence(mine, text, said):
    mine(HEAD + text)
    with pytest.raises(BadInput, match=said):
        define(["experiment=mine", "budget=smoke"])


def test_one_choice_that_does_not_go_together_refuses_no_other():
    made = search("cell=gru,lstm", "peephole=on")
    assert [d.texts for d in made.space] == [("cell='gru'", "cell='lstm'")]
    with pytest.raises(BadInput, match="takes no peephole"):
        search("cell=gru,mgu", "peephole=on")


def test_a_grid_has_as_many_trials_as_points():
    assert search("optimizer.lr=0.1,0.2,0.3", "hidden_size=range(8,33,8)", sampler="grid").trials == 12


@pytest.mark.parametrize(
    ("overrides", "given", "said"),
    [
        ([], {}, "nothing to search: give a key a space"),
        ([RATE], {"sampler": "tpo"}, "unknown sampler 'tpo'; did you mean tpe?"),
        ([RATE], {"pruner": "ashes"}, "unknown pruner 'ashes'; did you mean asha?"),
        ([RATE], {"objectives": ["metric", "size"]}, "unknown objective 'size'"),
        ([RATE], {"objectives": ["metric", "metric"]}, "each once"),
        ([RATE], {"objectives": ["metric", "params"], "sampler": "cmaes"}, "cmaes searches for one objective"),
        ([RATE], {"objectives": ["metric", "params"], "pruner": "asha"}, "a pruner needs one objective"),
        ([RATE], {"objectives": ["params"]}, "a search is for the metric"),
        ([RATE], {"sampler": "grid"}, "a grid takes lists"),
        (["optimizer.rate=interval(0.1,0.2)"], {}, "unknown option 'optimizer.rate'"),
        (["cell=gru", "peephole=on", RATE], {}, "none of its variants can be run"),
        ([RATE, "seed=100003"], {}, "seeds from 100000 on are the winner's"),
        ([RATE], {"name": "no/name"}, "a search's name is letters"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_a_sentence(overrides, given, said):
    with pytest.raises(BadInput, match=said.replace("(", r"\(").replace("?", r"\?")) as refused:
        search(*overrides, **given)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("made", [define, plan])
def test_one_experiment_at_a_time(made):
    with pytest.raises(BadInput, match="one experiment at a time: experiment=odyssey,quickstart"):
        made(["experiment=odyssey,quickstart"])


def test_a_search_is_no_sweep_and_a_sweep_no_search():
    with pytest.raises(BadInput, match="experiment=odyssey is a search; use `rnnbench tune experiment=odyssey`"):
        plan(["experiment=odyssey"])
    with pytest.raises(BadInput, match="experiment=quickstart is a sweep, not a search"):
        define(["experiment=quickstart"])
    with pytest.raises(BadInput, match="a sweep takes lists"):
        plan([RATE])
