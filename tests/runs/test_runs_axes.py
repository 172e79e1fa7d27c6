"""What a run compares: refusals in one sentence, what auto stands for, names that are computed."""

import dataclasses
import itertools
import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from runs_tools import quick

from rnnbench.datasets.film import moving_mnist_file
from rnnbench.errors import AxisRefused, BadInput
from rnnbench.runs import axes, build, registry
from rnnbench.runs.compose import compose
from rnnbench.runs.plan import prepare

ENTRIES = {name: registry.read("cell", name)["meta"] for name in registry.choices("cell")}
CELLS = {name: meta for name, meta in ENTRIES.items() if meta.get("recurrent", True)}
DENSE = [name for name, meta in CELLS.items() if meta["operator"] == "dense"]
# Datasets whose vocabulary, columns or classes lie in a file that may not be here.
OF_FILES = ("own_", "etth1", "fsdd", "ptb", "shakespeare", "uea")
DEEP = ("4", "6", "8")
FRAMES = ("cell=convlstm", "dataset=moving_digits")
PEEPHOLES = {name: registry.read("peephole", name) for name in registry.choices("peephole")}


def refused(*overrides, kind=BadInput):
    with pytest.raises(kind) as caught:
        quick(*overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def label(*overrides):
    return quick(*overrides).axes["label"]


@pytest.mark.parametrize("cell", [n for n, meta in CELLS.items() if not meta["peephole_gates"]])
def test_a_cell_without_a_cell_state_takes_no_peephole(cell):
    text = refused(f"cell={cell}", "peephole=on", kind=AxisRefused)
    assert text.startswith(f"cell={cell} takes no peephole: ")
    assert text.endswith("; use peephole=off.")


@pytest.mark.parametrize(("cell", "peephole"), [("nig", "[i]"), ("nog", "[o]"), ("cifg", "[f]"), ("nfg", "[f]")])
def test_peepholes_on_gates_that_a_cell_lacks_are_refused(cell, peephole):
    text = refused(f"cell={cell}", "peephole=on", f"peephole.gates={peephole}", kind=AxisRefused)
    assert (
        text == f"cell={cell} has peepholes on {', '.join(CELLS[cell]['peephole_gates'])} only, not on {peephole[1]}."
    )


def test_a_cell_takes_those_of_the_gates_that_it_has():
    job = quick("cell=cifg", "peephole=input_forget")
    model = build.make_model(job.config, build.make_task(job.config))
    assert [n for n, _ in model.named_parameters() if "peephole" in n] == ["stack.layers.0.cell.peephole.w.i"]


@pytest.mark.parametrize("direction", ["backward", "bidirectional", "bidirectional_sum"])
@pytest.mark.parametrize("dataset", ["jsb", "nottingham", "piano", "musedata", "anbn", "dyck"])
def test_a_network_that_sees_the_future_is_refused_where_it_is_the_target(dataset, direction):
    text = refused(f"dataset={dataset}", f"direction={direction}", kind=AxisRefused)
    assert f"dataset={dataset} asks to predict" in text
    assert text.endswith("use direction=forward.")


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["dataset=copy_memory", "head=last"], "head=last: dataset=copy_memory has a target every step;"),
        (["dataset=jsb", "head=mean"], "head=mean: dataset=jsb has a target every step; use head=every."),
        (["head=every"], "head=every: dataset=digits has one target a sequence; use head=last or head=mean."),
        (["cell=mgu", "backend=native"], "backend=native: torch has no kernel for cell=mgu; use backend=eager"),
        (["peephole=on", "backend=native"], "backend=native: torch's LSTM has no peepholes; use backend=eager"),
        (["encoder=embedding"], "encoder=embedding: dataset=digits has features; use encoder=auto."),
        (["backend=fast"], "unknown backend 'fast'; did you mean auto?"),
        (["precision=16"], "unknown precision '16'"),
        (["head=first"], "unknown head 'first'; known: auto, every, last, mean."),
        (["device=gpu"], "unknown device 'gpu'"),
        (["encoder=mlp"], "unknown encoder 'mlp'"),
        (["direction.way=up"], "unknown direction.way 'up'; known: backward, bidirectional, forward."),
        (["direction.merge=sum"], "direction.merge must be null with direction=forward, not 'sum'."),
        (["direction=bidirectional", "direction.merge=mean"], "direction.merge must be concat or sum, not 'mean'."),
        (["hidden_size=0"], "hidden_size must be a whole number of at least 1, not 0."),
        (["hidden_size=1.5"], "hidden_size must be a whole number of at least 1, not 1.5."),
        (["hidden_size=null"], "hidden_size must be a whole number of at least 1, not None."),
        (["depth.layers=0"], "depth.layers must be a whole number of at least 1, not 0."),
        (["seed=-1"], "seed must be a whole number of at least 0, not -1."),
        (["budget.updates=1.0e+3"], "budget.updates must be a whole number of at least 1, not 1000.0."),
        (["budget.patience=0"], "budget.patience must be a whole number of at least 1, not 0."),
        (["budget.patience=soon"], "budget.patience must be a whole number of at least 1, not 'soon'."),
        (["encoder=linear", "encoder_size=0"], "encoder_size must be a whole number of at least 1, not 0."),
        (["harness.threads=0"], "harness.threads must be a whole number of at least 1, not 0."),
        (["harness.device_index=-1"], "harness.device_index must be a whole number of at least 0, not -1."),
        (["harness.timeout=soon"], "harness.timeout must be seconds above 0 (null: no limit), not 'soon'."),
        (["harness.timeout=0"], "harness.timeout must be seconds above 0 (null: no limit), not 0."),
        (["depth.dropout=1"], "depth.dropout must be at least 0 and below 1, not 1."),
        (["clip=0"], "clip must be above 0 (null: no clipping), not 0."),
        (["clip=-1"], "clip must be above 0 (null: no clipping), not -1."),
        (["params=many"], "params='many' is no count; write 70000, 70k or 1.5M."),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(overrides, part):
    assert part in refused(*overrides)


@pytest.mark.parametrize(
    ("text", "count"),
    [(70000, 70000), ("70k", 70000), ("70K", 70000), ("1.5M", 1500000), ("70_000", 70000), (" 3 ", 3),
     ("1e3", 1000), (2.0, 2)],
)  # fmt: skip
def test_counts_as_people_write_them(text, count):
    assert axes.parse_count(text) == count


@pytest.mark.parametrize(
    "text", ["", "k", "0", "-5", "0.5", "1.0005k", "70kk", "x", "nan", "inf", "1e400", True, None, "5g"]
)
def test_what_is_no_count(text):
    with pytest.raises(BadInput, match=r"^params=.* is no count; write 70000, 70k or 1\.5M\.$"):
        axes.parse_count(text)


@given(st.integers(1, 10**9))
def test_any_number_is_a_count(n):
    assert axes.parse_count(n) == axes.parse_count(str(n)) == axes.parse_count(f"{n:_}") == n


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "LSTM"),
        (["cell=gru"], "GRU"),
        (["cell=lstm", "depth=2"], "LSTM x2"),
        (["depth.layers=5"], "LSTM x5"),
        (["cell=gru", "direction=bidirectional", "depth=2"], "BiGRU x2"),
        (["cell=rnn", "direction=backward"], "RevRNN"),
        (["direction=bidirectional_sum"], "BiLSTM sum"),
        (["direction=bidirectional", "direction.merge=sum"], "BiLSTM sum"),
        (["peephole=on"], "LSTM +peephole"),
        (["peephole=detach"], "LSTM +peephole(detach)"),
        (["peephole=on", "peephole.gradient=detach"], "LSTM +peephole(detach)"),
        (["peephole=input_forget"], "LSTM +peephole(gates=if)"),
        (["peephole=previous"], "LSTM +peephole(o sees previous)"),
        (["peephole=normal"], "LSTM +peephole(start=normal)"),
        (["peephole=output", "peephole.start=uniform"], "LSTM +peephole(gates=o, start=uniform)"),
        (["hidden_size=128"], "LSTM h=128"),
        (["hidden_size=64"], "LSTM"),
        (["params=70k"], "LSTM 70,000 params"),
        (["peephole=detach", "hidden_size=9", "cell.forget_bias=1"], "LSTM +peephole(detach) h=9 [cell.forget_bias=1]"),
        (["cell.forget_bias=1.0"], "LSTM [cell.forget_bias=1]"),
        (["cell.biases=1", "cell.init=glorot"], "LSTM [cell.biases=1, cell.init=glorot]"),
        (["depth=2", "depth.dropout=0.5", "depth.residual=true"], "LSTM x2 [dropout=0.5, residual=True]"),
        (["head=mean"], "LSTM [head=mean]"),
        (["head=last"], "LSTM"),
        (["encoder=linear"], "LSTM [encoder=linear]"),
        (["encoder=linear", "encoder_size=8"], "LSTM [encoder=linear, encoder_size=8]"),
        (["encoder_size=8"], "LSTM"),
        (["optimizer=sgd", "optimizer.lr=1", "clip=null", "budget=smoke", "seed=9"], "LSTM"),
        (["cell=rnn", "cell.nonlinearity=relu"], "RNN [cell.nonlinearity=relu]"),
        (["cell=rnn_relu"], "RNN-relu"),
    ],
)  # fmt: skip
def test_labels_say_what_was_chosen(overrides, name):
    assert label(*overrides) == name


@pytest.mark.parametrize("also", [[], ["depth=2"], ["hidden_size=128"]])
def test_layers_of_their_own_sizes_are_counted_and_named(also):
    """forecast.sizes replaces depth and hidden_size, which nothing reads then."""
    described = quick(*FRAMES, "forecast.sizes=[128,64,64]", *also).axes
    assert described["depth"] == 3
    assert described["label"] == "ConvLSTM x3 [forecast.sizes=[128, 64, 64]]"


def test_how_it_was_trained_stands_in_the_options():
    options = quick("optimizer=sgd", "optimizer.lr=1", "clip=null", "budget.updates=7").axes["options"]
    assert options == {"optimizer.lr": 1, "clip": None}


def test_the_axes_of_a_record():
    described = quick("cell=gru", "depth=2", "direction=bidirectional", "params=20k", "device=cpu").axes
    assert described == {
        "label": "BiGRU x2 20,000 params",
        "cell": "gru",
        "cell_version": 1,
        "operator": "dense",
        "peephole": "off",
        "direction": "bidirectional",
        "depth": 2,
        "hidden_size": None,
        "params_budget": 20000,
        "encoder": "none",
        "head": "last",
        "forecast": None,
        "backend": "native",
        "optimizer": "adam",
        "schedule": "constant",
        "options": {},
    }


def test_two_runs_of_one_cell_share_a_label_only_if_they_share_what_it_names():
    names = [
        [],
        ["depth=2"],
        ["direction=bidirectional"],
        ["direction=bidirectional_sum"],
        ["peephole=on"],
        ["cell.biases=0"],
    ]
    found = [label(*a, *b) for a, b in itertools.product(names[:4], [[], ["peephole=on"], ["cell.biases=0"]])]
    assert len(set(found)) == len(found)


def test_the_title_names_the_run():
    assert quick("cell=gru", "seed=4", "dataset=adding").title == "GRU · adding · seed 4"


def test_what_auto_stands_for():
    job = quick()
    assert [job.config[k] for k in ("backend", "head", "encoder", "encoder_size", "precision")] == (
        ["native", "last", "none", None, "32"]
    )
    assert quick("dataset=copy_memory").config["head"] == "every"


@pytest.mark.parametrize(
    ("overrides", "alone", "beside_the_file"),
    [
        ([], "generated", "official"),
        (["dataset.test=10000", "dataset.output_steps=5"], "generated", "official"),
        (["dataset.test=10001"], "generated", "generated"),
        (["dataset.output_steps=11"], "generated", "generated"),
        (["dataset.test_set=generated"], "generated", "generated"),
        (["dataset.test_set=official"], "official", "official"),
        (["dataset.protocol=shi2015"], "auto", "auto"),
    ],
)
def test_a_run_says_which_test_set_of_moving_mnist_it_takes(tmp_path, monkeypatch, overrides, alone, beside_the_file):
    """The two do not compare, so one id must not stand for both; and the task agrees with what was planned."""
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path))
    ask = ("cell=convlstm", "dataset=moving_mnist", *overrides)
    before = quick(*ask)
    path = moving_mnist_file.official_path()
    path.parent.mkdir()
    path.touch()
    after = quick(*ask)
    assert [job.config["dataset"]["test_set"] for job in (before, after)] == [alone, beside_the_file]
    assert (before.id == after.id) == (alone == beside_the_file)
    assert (build.make_task(after.config).official) == (beside_the_file == "official")
    assert axes.settle(before.config) == before.config, "and it stays, whatever comes to lie there"


def test_only_moving_mnist_has_two_test_sets():
    other = quick("cell=convlstm", "dataset=moving_mnist_shi").config
    assert other["dataset"]["test_set"] == "auto"
    with pytest.raises(BadInput, match=r"dataset\.output_steps must be a whole number"):
        build.make_task(quick("cell=convlstm", "dataset=moving_mnist", "dataset.output_steps=x").config)


@pytest.mark.parametrize("cell", CELLS)
def test_the_rule_of_auto_backend(cell):
    """Torch's kernel where the cell names one, but never with peepholes; else a scan where it has one."""
    meta = CELLS[cell]
    dataset = "dataset=digits" if cell in DENSE else "dataset=moving_digits"
    assert quick(f"cell={cell}", dataset).config["backend"] == (
        "native" if meta["kernel"] else "scan" if meta.get("scans") else "eager"
    )
    assert quick(f"cell={cell}", "dataset=moving_digits").config["backend"] == "eager"
    if CELLS[cell]["peephole_gates"]:
        assert quick(f"cell={cell}", dataset, "peephole=on").config["backend"] == "eager"


def test_a_device_is_found_or_taken_at_its_word(monkeypatch):
    monkeypatch.setattr(axes, "cuda_present", lambda: True)
    assert prepare([]).config["device"] == "cuda"
    assert prepare(["device=cpu"]).config["device"] == "cpu"
    monkeypatch.setattr(axes, "cuda_present", lambda: False)
    assert prepare([]).config["device"] == "cpu"
    assert prepare(["device=cuda"]).config["device"] == "cuda"  # refused where it is to be used


def test_cuda_is_looked_for_with_torch():
    assert axes.cuda_present() == torch.cuda.is_available()


def test_a_cuda_device_that_is_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BadInput, match=r"^device=cuda: torch sees no CUDA device; use device=cpu"):
        build.make_device(quick("device=cuda").config)


def test_a_parameter_budget_replaces_the_hidden_size():
    job = quick("params=70k")
    assert (job.config["params"], job.config["hidden_size"]) == (70000, None)


def test_resolving_twice_changes_nothing():
    config = quick("params=1.5M", "encoder=linear", "direction=bidirectional").config
    assert axes.resolve(config) == config


@pytest.mark.parametrize("dataset", [name for name in registry.choices("dataset") if not name.startswith(OF_FILES)])
def test_what_a_datasets_yaml_says_is_what_its_task_says(dataset):
    config, _ = compose([f"dataset={dataset}"])
    meta, spec = config["dataset"]["meta"], build.make_task(config).spec
    assert (meta["name"], meta["inputs"], meta["outputs"]) == (spec.name, spec.inputs, spec.outputs)
    assert meta["name"] == dataset
    assert bool(meta.get("causal")) is spec.causal
    assert isinstance(meta["version"], int)
    assert {"updates", "batch_size", "source"} <= set(meta["paper"])


def expected_refusal(cell, peephole):
    """Whether a cell takes a peephole choice, by the two yaml files."""
    choice, meta = PEEPHOLES[peephole], CELLS[cell]
    if choice["shape"] == "none":
        return False
    return choice["shape"] not in meta.get("peephole_shapes", ()) or not set(choice["gates"]) & set(
        meta["peephole_gates"]
    )


def places(cell, peephole, *, whole):
    """Directions and depths: all, or where there is a peephole choice one of each, drawn by cell and choice."""
    found = list(itertools.product(registry.choices("direction"), registry.choices("depth")))
    if whole or peephole == "off":
        return found
    return [random.Random(f"{cell} {peephole}").choice([(way, depth) for way, depth in found if depth not in DEEP])]


@pytest.mark.integration
@pytest.mark.parametrize("cell", DENSE)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["drawn", "whole"])
def test_every_cell_with_every_choice_of_the_axes_is_built_or_refused_with_a_sentence(cell, whole):
    task = build.make_task(quick().config)
    x, built = torch.rand(2, 8, 8), 0
    for peephole in PEEPHOLES:
        for direction, depth in places(cell, peephole, whole=whole):
            axis = (f"cell={cell}", f"peephole={peephole}", f"direction={direction}", f"depth={depth}", "hidden_size=4")
            if expected_refusal(cell, peephole):
                with pytest.raises(AxisRefused, match=f"^cell={cell} .*\\.$"):
                    quick(*axis)
                continue
            if depth in DEEP and (peephole != "off" or direction != "forward"):
                continue  # deep ones once a cell: what they add to the rest is only time
            job = quick(*axis)
            model = build.make_model(job.config, task)
            assert model(x).shape == (2, 10)
            built += 1
    assert built >= 12


@pytest.mark.integration
@pytest.mark.parametrize("cell", sorted(set(CELLS) - set(DENSE)))
def test_every_cell_for_frames_is_built_or_refused_with_a_sentence(cell):
    frames = ("dataset=moving_digits", "dataset.size=16", "dataset.train=8", "dataset.val=4", "dataset.test=4")
    task = build.make_task(quick(*frames).config)
    x, built = torch.rand(2, 10, 1, 16, 16), 0
    for peephole, forecast in itertools.product(PEEPHOLES, registry.choices("forecast")):
        axis = (f"cell={cell}", f"peephole={peephole}", f"forecast={forecast}", "hidden_size=3", *frames)
        alone = CELLS[cell].get("needs") == "rollout" and forecast in ("encoder_forecaster", "shi2015")
        if expected_refusal(cell, peephole) or alone:
            with pytest.raises(AxisRefused, match=rf"^cell={cell}.*\.$"):
                quick(*axis)
            continue
        assert build.make_model(quick(*axis).config, task).eval()(x).shape == (2, 10, 1, 16, 16)
        built += 1
    assert built >= 3
    with pytest.raises(AxisRefused, match="works on frames; dataset=digits has features"):
        quick(f"cell={cell}")
    with pytest.raises(AxisRefused, match="would see the frames to predict"):
        quick(f"cell={cell}", "direction=bidirectional", *frames)


@pytest.mark.parametrize(
    "overrides",
    [
        ["cell=lstm", "peephole=detach", "direction=bidirectional_sum", "depth=3", "seed=3"],
        ["cell=nig", "peephole=on", "direction=backward", "depth.layers=2", "dataset=copy_memory", "clip=null"],
        ["optimizer=sgd", "optimizer.lr=0.5", "params=70k", "dataset=adding", "dataset.T=20", "cell.forget_bias=1"],
    ],
)
def test_what_these_tests_put_together_is_what_composing_gives(overrides):
    job = prepare([*overrides, "device=cpu"])
    assert quick(*overrides) == dataclasses.replace(job, overrides=tuple(overrides))


@pytest.mark.integration
def test_every_choice_of_every_group_composes():
    for group in ("optimizer", "schedule", "budget", "tracker", "direction", "depth", "dataset", "peephole"):
        for choice in registry.choices(group):
            if choice in ("own_series", "own_sequences", "own_text"):  # whose file is read while a run is planned
                with pytest.raises(BadInput, match=r"dataset\.path"):
                    prepare([f"dataset={choice}"])
                continue
            assert prepare([f"{group}={choice}"] if group != "peephole" else [*FRAMES, f"{group}={choice}"]).id
    for choice in registry.choices("forecast"):
        assert prepare([*FRAMES, f"forecast={choice}"]).id


def test_axis_choices_are_the_folders():
    listed = axes.axis_choices()
    assert list(listed) == ["cell", "depth", "direction", "peephole", "dataset"]
    assert listed["depth"] == ["1", "2", "3", "4", "6", "8", "covering"]
    assert set(listed["cell"]) == set(ENTRIES)


def test_noise_on_the_inputs_moves_an_id_only_where_there_is_some():
    plain = prepare(["tracker=none"])
    assert prepare(["input_noise=0", "tracker=none"]).id == plain.id
    assert prepare(["input_noise=0.0", "tracker=none"]).id == plain.id
    noisy = prepare(["input_noise=0.2", "tracker=none"])
    assert noisy.id != plain.id
    assert noisy.axes["options"] == {"input_noise": 0.2}
    assert noisy.axes["label"] == plain.axes["label"], "how it is trained, not what it is"


def test_noise_that_cannot_be_is_refused():
    with pytest.raises(BadInput, match="input_noise must be a standard deviation of at least 0"):
        prepare(["input_noise=-0.1", "tracker=none"])
    config, _ = compose(["input_noise=0.1", "tracker=none"])
    config["dataset"]["meta"] |= {"inputs": "tokens"}
    with pytest.raises(BadInput, match="dataset=digits has tokens, which take no noise"):
        axes.resolve(config)
