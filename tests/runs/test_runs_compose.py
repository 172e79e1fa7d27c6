"""Overrides -> config: every trap of Hydra's that the front door takes out of the way, and every refusal."""

import functools
import os
import shlex
import subprocess
import sys
from typing import NotRequired, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from runs_tools import environment

from rnnbench.errors import AxisRefused, BadInput
from rnnbench.runs import registry
from rnnbench.runs.compose import compose, expand, parse
from rnnbench.runs.plan import prepare, reseed
from rnnbench.store.config import CellNode, Config, DatasetNode, OptimizerNode, ScheduleNode, TrackerNode
from rnnbench.store.record import run_id


def refused(*overrides):
    """The one sentence that a job is refused with."""
    with pytest.raises(BadInput) as caught:
        prepare(overrides)
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


def config(*overrides):
    return compose(overrides)[0]


# The traps.


def test_a_number_is_the_name_of_a_choice():
    assert config("depth=2")["depth"]["layers"] == 2
    assert compose(["depth=2"])[1]["depth"] == "2"


def test_on_and_off_are_names_of_choices():
    assert config("peephole=on")["peephole"]["shape"] == "per_channel"
    assert config("peephole=off")["peephole"]["shape"] == "none"


@pytest.mark.parametrize("text", ["depth=2", "depth='2'", 'depth="2"', "depth.layers=2"])
def test_quotes_change_nothing(text):
    assert run_id(config(text)) == run_id(config("depth=2"))


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "Off", "'on'"])
def test_on_and_off_are_no_values_of_a_boolean(word):
    text = refused(f"depth.residual={word}")
    assert text.startswith("depth.residual=")
    assert "write true or false" in text


def test_a_boolean_is_true_or_false():
    assert config("depth.residual=true")["depth"]["residual"] is True
    assert config("depth.residual=False")["depth"]["residual"] is False
    assert refused("depth.residual=1") == "depth.residual must be true or false, not 1 (default false)."


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizer.lr=fast", "optimizer.lr must be a number, not fast (default 0.003)."),
        ("hidden_size=true", "hidden_size must be a number, not true (default 64)."),
        ("hidden_size='64'", "hidden_size must be a number, not 64 (default 64)."),
        ("seed=", "seed must be a number, not  (default 0)."),
        ("clip=none", "clip must be a number, not none (default 1.0)."),
        ("dataset.data_seed=[1]", "dataset.data_seed must be a number, not [1] (default 0)."),
        (
            "optimizer.betas=0.9",
            "optimizer.betas must be a list, as in optimizer.betas=[0.9,0.999], not 0.9 (default [0.9,0.999]).",
        ),
        (
            "peephole.gates=i",
            "peephole.gates must be a list, as in peephole.gates=[i,f,o], not i (default [i,f,o]).",
        ),
        ("optimizer.lr=nan", "optimizer.lr must be a finite number, not nan."),
        ("clip=inf", "clip must be a finite number, not inf."),
        ("clip=1e200", "clip must be a number of at most 1e+150, which a record can hold, not 1e+200."),
        ("seed=null", "seed must be a number, not null (default 0)."),
        ("depth.dropout=null", "depth.dropout must be a number, not null (default 0.0)."),
        ("head=null", "head must be a name, not null (default auto)."),
        ("depth.residual=null", "depth.residual must be true or false, not null (default false)."),
        ("harness=null", "harness holds options of its own; set them one by one, e.g. harness.timeout=null."),
        ("harness={timeout:3}", "harness holds options of its own; set them one by one, e.g. harness.timeout=null."),
    ],
)
def test_a_value_of_another_type_is_refused(override, sentence):
    assert refused(override) == sentence


@pytest.mark.parametrize(
    ("override", "end"),
    [
        ("dataset.past=a,b", "for more than one run, or dataset.past=[a,b] where one list is meant."),
        ("cell=gru,rnn", "for more than one run."),
        ("optimizer.lr=choice(1,2)", "for more than one run."),
    ],
)
def test_several_values_of_one_run_are_refused_with_how_a_list_is_written(override, end):
    assert refused(override).endswith(end)


def test_a_list_without_a_default_is_shown_as_it_would_be_typed():
    assert refused("dataset=own_series", "dataset.past=temp") == (
        "dataset.past must be a list, as in dataset.past=[temp], not temp (default [])."
    )


def test_null_is_a_value_where_it_means_something():
    assert config("clip=null")["clip"] is None
    assert config("budget.patience=null")["budget"]["patience"] is None
    assert config("hidden_size=null", "params=70k")["hidden_size"] is None
    assert config("tracker=wandb", "tracker.project=null")["tracker"]["project"] is None


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("cell=lsmt", ["unknown cell 'lsmt'", "did you mean lstm"]),
        ("cell=", ["unknown cell ''", ", causal_lstm, cifg"]),
        ("depth=5", ["unknown depth '5'", "known: 1, 2, 3, 4, 6, 8, covering."]),
        ("depth=true", ["unknown depth 'true'"]),
        ("budget=null", ["unknown budget"]),
        ("dataset=digit", ["unknown dataset 'digit'", "digits"]),
        ("cel=lstm", ["unknown option 'cel'", "did you mean cell"]),
        ("sed=1", ["unknown option 'sed'", "seed"]),
        ("cell.forget_bais=1", ["unknown option 'cell.forget_bais'", "cell.forget_bias"]),
        ("optimizer.learning_rate=1", ["unknown option 'optimizer.learning_rate'"]),
        ("dataset.foo=1", ["unknown option 'dataset.foo'", "dataset.view"]),
        ("foo", ["'foo' is no override", "key=value"]),
        ("seed", ["'seed' is no override"]),
        ("=3", ["'=3' is no override"]),
        ("", ["'' is no override"]),
        ("seed=1,", ["cannot read 'seed=1,'"]),
        ("cell=[lstm", ["cannot read 'cell=[lstm'"]),
        ("seed=${nope}", ["nope"]),
        ("experiment=quickstart", ["unknown option 'experiment'"]),
    ],
)
def test_what_is_unknown_or_unreadable_is_said_in_one_sentence(override, parts):
    text = refused(override)
    for part in parts:
        assert part in text


def test_the_nearest_options_are_those_of_the_choice():
    text = refused("optimizer=sgd", "optimizer.betas=[0.9,0.99]")
    assert "of optimizer=sgd" in text
    assert "optimizer.betas or" not in text.replace("'optimizer.betas'", "")


@pytest.mark.parametrize("override", ["~clip", "~cell", "~harness.timeout", "~seed=0"])
def test_nothing_can_be_removed(override):
    assert "removes what a run needs" in refused(override)


@pytest.mark.parametrize("override", ["+foo=1", "++foo=1", "+depth.foo=1", "+budget.foo=1", "++harness.foo=1"])
def test_nothing_can_be_added_that_nothing_reads(override):
    assert "nothing reads such an option" in refused(override)


def test_what_a_constructor_takes_can_be_added():
    job = prepare(["+optimizer.amsgrad=true"])
    assert job.config["optimizer"]["amsgrad"] is True
    assert job.axes["options"] == {"optimizer.amsgrad": True}
    assert job.id != prepare([]).id
    assert prepare(["++optimizer.amsgrad=true"]).id == job.id


def test_an_override_may_insist():
    assert prepare(["++seed=3"]).id == prepare(["seed=3"]).id
    assert "'++seed=3'" in refused("+seed=3")


@pytest.mark.parametrize(
    "override",
    ["cell.meta.label=Best", "cell.meta.version=7", "dataset.meta.name=mnist", "budget.name=paper", "optimizer.name=x"],
)
def test_a_name_is_never_typed(override):
    assert "is not set by hand" in refused(override)


def test_a_dataset_cannot_be_made_into_another_under_its_old_name():
    assert "is not set by hand" in refused("dataset=jsb", "dataset.name=nottingham")


@pytest.mark.parametrize("override", ["hydra.run.dir=x", "hydra.searchpath=[file:///tmp]"])
def test_hydras_own_options_are_not_for_users(override):
    assert "--config-dir" in refused(override)


def test_a_list_is_for_a_sweep():
    for override in ("cell=rnn,lstm", "seed=range(3)", "optimizer.lr=choice(0.1,0.01)", "cell=glob(*)"):
        assert "use `rnnbench sweep`" in refused(override)


# A sweep's product.


def test_expand_is_the_product_and_the_last_varies_fastest():
    assert list(expand(["cell=rnn,lstm", "depth=1,2"])) == [
        ["cell='rnn'", "depth='1'"],
        ["cell='rnn'", "depth='2'"],
        ["cell='lstm'", "depth='1'"],
        ["cell='lstm'", "depth='2'"],
    ]


@pytest.mark.parametrize(
    ("override", "expanded"),
    [
        ("seed=range(3)", ["seed=0", "seed=1", "seed=2"]),
        ("depth=range(1,3)", ["depth='1'", "depth='2'"]),
        ("peephole=on,off", ["peephole='on'", "peephole='off'"]),
        ("cell=choice(gru,mgu)", ["cell='gru'", "cell='mgu'"]),
        ("cell='gru','mgu'", ["cell='gru'", "cell='mgu'"]),
        ("cell=glob(gru*)", ["cell='gru'", "cell='gru_cho'", "cell='gru_update'"]),
        ("cell=glob([gru*,mgu],exclude=*cho)", ["cell='gru'", "cell='gru_update'", "cell='mgu'"]),
        ("clip=null,1", ["clip=null", "clip=1"]),
        ("depth.residual=true,false", ["depth.residual=true", "depth.residual=false"]),
        ("optimizer.lr=1e-5,0.1", ["optimizer.lr=1e-05", "optimizer.lr=0.1"]),
        ("tracker.project='a b','c,d'", ["tracker.project='a b'", "tracker.project='c,d'"]),
        ("peephole.gates=['i',f],[o]", ["peephole.gates=['i',f]", "peephole.gates=[o]"]),
        ("++seed=1,2", ["++seed=1", "++seed=2"]),
        ("hidden_size=8", ["hidden_size=8"]),
    ],
)
def test_expand_gives_plain_overrides(override, expanded):
    found = [texts[0] for texts in expand([override])]
    assert found == expanded
    for text in found:
        assert list(expand([text])) == [[text]]  # plain already


@pytest.mark.integration
def test_every_expanded_override_composes():
    for texts in expand(
        ["depth=1,2", "peephole=on,detach", "peephole.gates=['i'],[f]", "optimizer.betas=[0.9,0.99],[0,0.9]"]
    ):
        assert prepare(texts).config["depth"]["layers"] in (1, 2)


@pytest.mark.parametrize("override", ["optimizer.lr=interval(0,1)", "seed=glob(*)"])
def test_what_is_no_list_cannot_be_swept(override):
    with pytest.raises(BadInput, match=r"continuous range|picks choices of a group"):
        list(expand([override]))


def test_an_unknown_choice_in_a_list_is_refused():
    with pytest.raises(BadInput, match="unknown cell 'lsmt'; did you mean lstm"):
        list(expand(["cell=gru,lsmt"]))


# Ids.

few = settings(max_examples=6, phases=[Phase.generate])  # composing takes a tenth of a second

OVERRIDES = [
    "cell=lstm",
    "depth=2",
    "direction=bidirectional",
    "peephole=on",
    "hidden_size=16",
    "optimizer.lr=0.01",
    "seed=3",
    "clip=null",
    "budget=smoke",
    "dataset=adding",
    "dataset.T=20",
    "schedule=cosine",
]
SAME = {
    "hidden_size=16": ["hidden_size=16", "++hidden_size=16"],
    "optimizer.lr=0.01": ["optimizer.lr=0.01", "optimizer.lr=1e-2", "optimizer.lr=0.010"],
    "depth=2": ["depth=2", "depth='2'", "depth.layers=2"],
    "cell=lstm": ["cell=lstm", 'cell="lstm"', "cell.biases=2", "cell.forget_bias=0"],
    "peephole=on": ["peephole=on", "peephole='on'"],
    "dataset.T=20": ["dataset.T=20"],
}
ASIDE = [
    "tracker=none",
    "tracker=wandb",
    "harness.timeout=5",
    "harness.threads=1",
    "harness.diagnostics=false",
    "backend=eager",
    "head=last",
    "encoder=none",
    "precision=32",
    "precision='32'",
    "device=cpu",
]


@functools.cache
def base():
    """The run that all these overrides ask for, on the kind of machine that the tests are on."""
    return prepare([*OVERRIDES, "device=cpu"])


@few
@given(
    order=st.permutations(range(len(OVERRIDES))),
    spelled=st.lists(st.integers(0, 9), min_size=len(OVERRIDES), max_size=len(OVERRIDES)),
    aside=st.lists(st.sampled_from(ASIDE), unique_by=lambda o: o.partition("=")[0], max_size=4),
)
def test_order_spelling_and_what_only_watches_do_not_move_an_id(order, spelled, aside):
    texts = []
    for n in order:
        ways = SAME.get(OVERRIDES[n], [OVERRIDES[n]])
        texts.append(ways[spelled[n] % len(ways)])
    job = prepare([*aside, *texts] if spelled[0] % 2 else [*texts, *aside])
    assert job.id == base().id
    assert job.axes == base().axes  # the label too: one run, one name


CHANGES = [
    "cell=rnn,peephole=off",
    "cell=gru,peephole=off",
    "depth=1",
    "direction=forward",
    "direction=backward",
    "peephole=off",
    "peephole=detach",
    "peephole.gates=[i]",
    "hidden_size=17",
    "params=70k,hidden_size=-",
    "optimizer.lr=0.02",
    "optimizer=adamw",
    "seed=4",
    "clip=1",
    "budget=small",
    "budget.updates=61",
    "budget.batch_size=31",
    "budget.val_every=21",
    "budget.patience=3",
    "dataset=digits,dataset.T=-",
    "dataset.T=21",
    "dataset.data_seed=1",
    "dataset.train=100",
    "schedule=constant",
    "schedule.eta_min=0.001",
    "precision=bf16",
    "encoder=linear",
    "head=mean",
    "cell.forget_bias=1",
    "cell.biases=1",
    "cell.init=glorot",
    "depth.dropout=0.1",
    "depth.residual=true",
    "depth.norm=layer",
    "+optimizer.amsgrad=true",
    "direction=bidirectional_sum",
]


def changed(text):
    """OVERRIDES with one change; `key=-` takes an override away."""
    texts = list(OVERRIDES)
    for change in text.split(","):
        key = change.partition("=")[0]
        texts = [t for t in texts if t.partition("=")[0] != key] + ([] if change.endswith("=-") else [change])
    return [*texts, "device=cpu"]


@pytest.mark.integration
def test_any_value_that_changes_the_result_is_another_id():
    ids = [prepare(changed(change)).id for change in CHANGES]
    assert len({base().id, *ids}) == len(CHANGES) + 1


@few
@given(a=st.integers(1, 4000), b=st.integers(1, 4000), seed=st.integers(0, 2**40))
def test_ids_tell_numbers_apart(a, b, seed):
    first, second = prepare([f"hidden_size={a}", f"seed={seed}"]), prepare([f"hidden_size={b}", f"seed={seed}"])
    assert (first.id == second.id) == (a == b)


@pytest.mark.integration
@few
@given(st.floats(1e-8, 10, allow_nan=False))
def test_a_rate_of_the_command_line_is_the_rate_of_the_config(lr):
    assert prepare([f"optimizer.lr={lr!r}"]).config["optimizer"]["lr"] == lr


def test_a_yaml_and_the_command_line_give_one_id(user_dir):
    text = "weight_decay: 0\neps: 1.0e-8\nlr: 1.0e-2\n_target_: torch.optim.Adam\nname: adam\nbetas: [0.9, 0.999]\n"
    user_dir("optimizer/quick.yaml", text)
    assert prepare(["optimizer=quick", "seed=1"]).id == prepare(["optimizer.lr=0.01", "seed=1"]).id


def test_auto_and_what_it_stands_for_are_one_run():
    assert prepare([]).id == prepare(["backend=native", "head=last", "encoder=none"]).id
    assert prepare(["cell=mgu"]).id == prepare(["cell=mgu", "backend=eager"]).id
    assert prepare([]).id != prepare(["backend=eager"]).id
    assert prepare(["params=70000"]).id == prepare(["params=70k"]).id


def test_two_sizes_at_once_are_refused():
    assert "give one of the two" in refused("params=70k", "hidden_size=3")


def test_the_seed_alone_makes_the_runs_of_an_entry_differ():
    job = prepare(["cell=gru", "seed=0"])
    assert reseed(job, ["cell=gru", "seed=5"], 5) == prepare(["cell=gru", "seed=5"])


def test_the_command_of_a_job_asks_for_the_same_run():
    job = prepare(["tracker=none", "peephole=on", "harness.timeout=3", "peephole.gates=[i, f]", "depth='2'"])
    words = shlex.split(job.command)
    assert words[:2] == ["rnnbench", "run"]
    assert not any(w.startswith(("tracker", "harness")) for w in words)
    assert prepare(words[2:]).id == job.id


# The user's own.

CELL = """# mine, for this test
meta: {name: mine, label: Mine, version: 1, operator: dense, kernel: null, peephole_gates: []}
_target_: my_cells_of_a_test.Mine
leak: 0.5
biases: 1
init: torch
"""
CELL_CODE = """
from rnnbench.nn import RNN

class Mine(RNN):
    def __init__(self, input_size, hidden_size, *, leak, **options):
        super().__init__(input_size, hidden_size, **options)
        if not 0 <= leak <= 1:
            raise ValueError(f"leak must be in 0..1, not {leak}")
        self.leak, self.kernel = leak, None

    def step(self, wx, state):
        h, _ = super().step(wx, state)
        h = self.leak * state.h + (1 - self.leak) * h
        return h, self.State(h)
"""
DATASET = """# as adding, short
meta: {name: adding_short, version: 1, inputs: features, outputs: sequence, download: none,
       paper: {updates: 7, batch_size: 3}}
_target_: my_tasks_of_a_test.Short
T: 5
"""
DATASET_CODE = """
from rnnbench.datasets import Adding

class Short(Adding):
    def __init__(self, T=5):
        super().__init__(T=T, train=20, val=10, test=10)
"""


def test_a_users_cell_and_dataset_are_choices_beside_ours(user_dir):
    from rnnbench.runs import build

    user_dir("cell/mine.yaml", CELL)
    user_dir("my_cells_of_a_test.py", CELL_CODE)
    user_dir("dataset/adding_short.yaml", DATASET)
    user_dir("my_tasks_of_a_test.py", DATASET_CODE)
    job = prepare(["cell=mine", "cell.leak=0.25", "dataset=adding_short", "budget=paper", "depth=2"])
    assert (job.axes["label"], job.axes["cell"], job.dataset) == ("Mine x2 [cell.leak=0.25]", "mine", "adding_short")
    assert job.config["backend"] == "eager"
    assert (job.config["budget"]["updates"], job.config["budget"]["batch_size"]) == (7, 3)
    task = build.make_task(job.config)
    model = build.make_model(job.config, task)
    assert model(task.load().val.x).shape == (10, 1)
    assert model.stack.layers[1].cell.leak == 0.25
    assert "mine" in registry.choices("cell")
    assert registry.about("cell", "mine") == "mine, for this test"
    wrong = prepare(["cell=mine", "cell.leak=2"])
    with pytest.raises(BadInput, match=r"^cell=mine: leak must be in 0..1, not 2$"):
        build.make_model(wrong.config, task)
    assert "cell.leak" in refused("cell=mine", "cell.leek=1")
    assert list(expand(["cell=mine,lstm"])) == [["cell='mine'"], ["cell='lstm'"]]


@pytest.mark.parametrize("override", ["seed=0", "budget=small", "cell=gru"])
def test_a_users_choice_with_the_name_of_one_of_ours_is_refused(user_dir, override):
    user_dir("budget/small.yaml", "name: small\nupdates: 5\nbatch_size: 5\nval_every: 5\npatience: null\n")
    text = refused(override)
    assert text.endswith("are both budget=small; rename yours.")


def test_a_users_choice_may_build_on_another(user_dir):
    user_dir("budget/tiny.yaml", "defaults: [smoke]\nname: tiny\nupdates: 3\n")
    budget = prepare(["budget=tiny"]).config["budget"]
    assert budget == {"name": "tiny", "updates": 3, "batch_size": 32, "val_every": 20, "patience": None}


def test_a_users_broken_yaml_is_one_sentence(user_dir):
    user_dir("cell/broken.yaml", "meta: {name: broken\n")
    text = refused("cell=broken")
    assert "broken.yaml" in text


def test_a_module_that_does_not_exist_is_one_sentence(user_dir):
    user_dir("cell/mine.yaml", CELL.replace("my_cells_of_a_test", "no_such_module"))
    assert "_target_: there is no module no_such_module" in refused("cell=mine")


def test_folders_come_with_the_command_line_or_the_environment(tmp_path, monkeypatch):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder in (a, b):
        (folder / "cell").mkdir(parents=True)
    (a / "cell" / "one.yaml").write_text(CELL.replace("mine", "one"))
    (b / "cell" / "two.yaml").write_text(CELL.replace("mine", "two"))
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(a))
    monkeypatch.setattr(sys, "path", list(sys.path))
    registry.add_config_dir(b)
    assert registry.extra_dirs() == [b, a]
    assert {"one", "two", "lstm"} <= set(registry.choices("cell"))
    assert (prepare(["cell=one"]).axes["cell"], prepare(["cell=two"]).axes["cell"]) == ("one", "two")
    assert {str(a), str(b)} <= set(sys.path)
    with pytest.raises(BadInput, match=r"^--config-dir .*nowhere: no such folder\.$"):
        registry.add_config_dir(tmp_path / "nowhere")


# What composing leaves behind: nothing.


def test_composing_changes_no_folder_and_makes_none(tmp_path):
    prepare(["cell=gru", "seed=2"])
    assert os.getcwd() == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_composed_twice_and_after_an_error():
    refused("cell=nope")
    refused("cell.nope=1")
    assert prepare(["cell=gru"]) == prepare(["cell=gru"])


def test_a_config_is_plain_values():
    def plain(value):
        if isinstance(value, dict):
            return all(isinstance(k, str) and plain(v) for k, v in value.items())
        if isinstance(value, list):
            return all(map(plain, value))
        return value is None or type(value) in (bool, int, float, str)

    assert plain(prepare(["budget=paper", "schedule=onecycle"]).config)


def test_interpolations_are_resolved():
    made = config("budget=paper", "schedule=onecycle", "optimizer.lr=0.5", "dataset=adding")
    assert made["schedule"]["max_lr"] == 0.5
    assert made["schedule"]["total_steps"] == made["budget"]["updates"] == 60000


def test_refusals_of_axes_are_bad_input_of_their_own_kind():
    with pytest.raises(AxisRefused):
        prepare(["cell=gru", "peephole=on"])


@pytest.mark.parametrize(("text", "key"), [("a=1", "a"), ("+a.b='x y'", "a.b"), ("cell=lstm", "cell")])
def test_parse(text, key):
    assert parse(text).key_or_group == key


@pytest.mark.integration
def test_planning_imports_no_torch(tmp_path):
    code = (
        "import sys; from rnnbench.runs.plan import prepare; prepare(['cell=gru']); assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


# The config's type says what is composed.

OPEN = (CellNode, DatasetNode, OptimizerNode, ScheduleNode, TrackerNode)  # with options of their own


def differs(node, kind, where="config"):
    """Where a node has not the keys of its type: those it lacks, and of a closed one those too many."""
    hints = get_type_hints(kind, include_extras=True)
    needed = {key for key, hint in hints.items() if get_origin(hint) is not NotRequired}
    found = [f"{where}.{key} is missing" for key in sorted(needed - set(node))]
    if kind not in OPEN:
        found += [f"{where}.{key} is in no type" for key in sorted(set(node) - set(hints))]
    for key, hint in hints.items():
        inner = get_args(hint)[0] if get_origin(hint) is NotRequired else hint
        for part in (inner, *get_args(inner)):
            if is_typeddict(part) and node.get(key) is not None:
                found += differs(node[key], part, f"{where}.{key}")
    return found


def test_a_config_has_the_keys_of_its_type():
    assert differs(config(), Config) == []
    assert differs(config("dataset=moving_digits", "cell=convlstm"), Config) == []


@pytest.mark.parametrize("group", registry.GROUPS)
def test_every_choice_has_the_keys_of_its_type(group):
    made = config()
    for choice in registry.choices(group):
        assert differs({**made, group: registry.read(group, choice)}, Config) == [], choice


def test_a_key_that_no_type_knows_is_seen():
    made = {**config(), "depth": {"layers": 1, "width": 3}}
    assert "config.depth.width is in no type" in differs(made, Config)
    assert "config.depth.norm is missing" in differs(made, Config)
