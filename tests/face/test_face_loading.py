"""Networks without data, records that grant nothing, and datasets as runs see them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

import rnnbench
from rnnbench.errors import BadInput, MissingData
from rnnbench.runs import build, checkpoint, compose, load, registry
from rnnbench.runs.plan import prepare
from rnnbench.store.record import KEYS, SCHEMA_VERSION
from rnnbench.store.store import Store

# Datasets whose vocabulary, columns or classes lie in a file that may not be here.
OF_FILES = ("own_", "etth1", "fsdd", "ptb", "shakespeare", "uea")
SMALL = ("hidden_size=4", "tracker=none", "device=cpu", "budget=smoke")
OWN_CELL = "from rnnbench.nn import RNN\n\n\nclass Quiet(RNN):\n    pass\n"
OWN_YAML = """\
meta: {{name: quiet, label: Quiet, version: 1, operator: dense, kernel: null, peephole_gates: []}}
_target_: {module}.Quiet
"""


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "no data here"))
    for name in ("RNNBENCH_RESULTS", "RNNBENCH_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield
    compose.defaults.cache_clear()


def recorded(*overrides: str, results, **changed):
    """A run as if it had been trained: its record and the weights of a fresh network."""
    job, store = prepare([*SMALL, *overrides]), Store.open(results)
    task = build.make_task(job.config)
    model = build.make_model(job.config, task)
    dataset = {"name": job.dataset, "version": 1, "protocol": task.spec.protocol, "data_hash": None}
    record = dict.fromkeys(KEYS) | {
        "schema_version": SCHEMA_VERSION, "id": job.id, "status": "ok", "axes": job.axes, "dataset": dataset,
        "seed": job.seed, "metrics": {}, "config": job.config, "command": job.command,
    }  # fmt: skip
    store.write(record | changed)
    checkpoint.save(store.folder(job.id) / checkpoint.BEST, model.state_dict())
    return job.id, model


def same(first: torch.nn.Module, other: torch.nn.Module) -> bool:
    a, b = first.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("dataset", [name for name in registry.choices("dataset") if not name.startswith(OF_FILES)])
def test_no_network_needs_its_data(dataset, tmp_path):
    frames = registry.read("dataset", dataset)["meta"]["inputs"] == "frames"
    run, model = recorded(f"cell={'convlstm' if frames else 'gru'}", f"dataset={dataset}", results=tmp_path)
    found = rnnbench.load_model(run[:8], results=tmp_path)
    assert same(found, model)
    assert not found.training


@pytest.mark.parametrize(("shape", "more"), [((40, 8, 12), ()), ((6, 30, 1, 8, 8), ()),
                                             ((30, 8, 8, 2), ("dataset.low=-1", "dataset.high=2.000000001",
                                                              "dataset.layout=THWC"))])  # fmt: skip
def test_a_network_of_your_own_film_needs_no_film(shape, more, tmp_path):
    film = tmp_path / "my film.npy"
    np.save(film, np.zeros(shape, np.float32))
    words = [f"dataset.path='{film}'", "dataset.input_steps=3", "dataset.output_steps=2", *more]
    run, model = recorded("cell=convlstm", "dataset=own_frames", *words, results=tmp_path)
    task = build.make_task(Store.open(tmp_path).read(run)["config"])
    spec = task.spec
    film.unlink()
    assert same(rnnbench.load_model(run, results=tmp_path), model)
    gone = build.make_task(Store.open(tmp_path).read(run)["config"])
    with pytest.raises(MissingData, match=r"my film\.npy is missing"):
        gone.spec  # noqa: B018
    gone.recall(spec.protocol)
    assert gone.spec == spec


@pytest.mark.parametrize(("axes", "shape"), [(None, (40, 2, 8, 12)), ("NTHW", (6, 30, 8, 12))])
def test_records_of_before_call_the_layout_axes(axes, shape, tmp_path):
    """Their networks are loaded as ever, and their film is read as it was read then."""
    film = tmp_path / "film.npy"
    np.save(film, np.zeros(shape, np.float32))
    words = [f"dataset.path={film}", "dataset.input_steps=3", "dataset.output_steps=2"]
    layout = axes or "TCHW"
    words.append(f"dataset.layout={layout}")
    run, model = recorded("cell=convlstm", "dataset=own_frames", *words, results=tmp_path)
    store = Store.open(tmp_path)
    record = store.read(run)
    now = build.make_task(record["config"]).spec
    node = record["config"]["dataset"]
    node["axes"] = axes
    del node["layout"]
    store.record_path(run).unlink()
    store.write(record)
    assert load.make_task(record).spec == now
    film.unlink()
    assert same(rnnbench.load_model(run, results=tmp_path), model)


@pytest.fixture
def own(tmp_path):
    """A folder with a cell of one's own: (folder, module name). The module can be imported from nowhere else."""
    folder = tmp_path / "my lab"
    (folder / "cell").mkdir(parents=True)
    name = "quiet_cells"
    (folder / f"{name}.py").write_text(OWN_CELL)
    (folder / "cell" / "quiet.yaml").write_text(OWN_YAML.format(module=name))
    path = list(sys.path)
    yield folder, name
    sys.path[:] = path
    sys.modules.pop(name, None)


@pytest.fixture
def of_own_cell(own, tmp_path, monkeypatch):
    """A run with the own cell, of which this process knows nothing any more."""
    folder, name = own
    path = list(sys.path)
    with monkeypatch.context() as lab:
        lab.setenv("RNNBENCH_CONFIG_DIR", str(folder))
        registry.import_extra_dirs()
        made = recorded("cell=quiet", results=tmp_path / "store")
    sys.path[:] = path
    sys.modules.pop(name, None)
    return made


def test_a_record_names_the_folder_of_its_cell_and_grants_nothing(own, of_own_cell, tmp_path):
    folder, name = own
    sys.path.append(str(folder))  # even where its module could be imported
    with pytest.raises(BadInput) as error:
        rnnbench.load_model(of_own_cell[0], results=tmp_path / "store")
    assert f"cell=quiet ({name}.Quiet), which is none of rnnbench's" in str(error.value)
    assert f"give config_dir={str(folder)!r} to load_model" in str(error.value)
    assert name not in sys.modules


def test_the_folder_is_given_or_in_the_environment(own, of_own_cell, tmp_path, monkeypatch):
    folder, name = own
    run, model = of_own_cell
    path = list(sys.path)
    found = rnnbench.load_model(run, results=tmp_path / "store", config_dir=folder)
    assert same(found, model)
    assert (sys.path, type(found.stack.layers[0].cell).__module__) == (path, name)
    with pytest.raises(BadInput, match="is none of rnnbench's"):  # it was given for that call
        rnnbench.load_model(run, results=tmp_path / "store")
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(folder))
    assert same(rnnbench.load_model(run, results=tmp_path / "store"), model)


def test_another_cell_of_that_name_is_not_taken_for_it(own, of_own_cell, tmp_path):
    elsewhere = tmp_path / "their lab"
    (elsewhere / "cell").mkdir(parents=True)
    (elsewhere / "cell" / "quiet.yaml").write_text(OWN_YAML.format(module="other_cells"))
    with pytest.raises(BadInput, match=r"\(quiet_cells\.Quiet\), which is other_cells\.Quiet here"):
        rnnbench.load_model(of_own_cell[0], results=tmp_path / "store", config_dir=elsewhere)


@pytest.mark.parametrize("group", ["cell", "dataset"])
@pytest.mark.parametrize("how", ["oc.create:{}", "oc.decode:'{}'"])
def test_a_record_has_nothing_made_by_a_resolver(group, how, tmp_path, monkeypatch):
    """Which would make the very node that is refused where it stands in the record itself, and import its module."""
    (tmp_path / "trap_of_a_record.py").write_text("def call():\n    return None\n")
    monkeypatch.syspath_prepend(tmp_path)
    job = prepare([*SMALL, "cell=gru"])
    key = {"cell": "norm", "dataset": "view"}[group]
    node = {**job.config[group], key: "${" + how.format("{_target_: trap_of_a_record.call}") + "}"}
    run, _ = recorded("cell=gru", results=tmp_path, config={**job.config, group: node})
    with pytest.raises(BadInput, match=f"its record has a {group} that is to be computed"):
        rnnbench.load_model(run, results=tmp_path)
    assert "trap_of_a_record" not in sys.modules


@pytest.mark.parametrize("node", [None, 3, [], {}, {"meta": None}, {"meta": []}])
def test_a_record_without_its_cell_is_one_sentence(node, tmp_path):
    job = prepare([*SMALL, "cell=gru"])
    run, _ = recorded("cell=gru", results=tmp_path, config={**job.config, "cell": node})
    with pytest.raises(BadInput, match=r"its record names no cell \(config\.cell\.meta\); it is damaged"):
        rnnbench.load_model(run, results=tmp_path)


@pytest.mark.parametrize("group", ["cell", "dataset"])
@pytest.mark.parametrize("nested", [False, True])
def test_a_record_that_names_any_function_calls_none(group, nested, tmp_path):
    job = prepare([*SMALL, "cell=gru"])
    trap = tmp_path / "called"
    call = {"_target_": "pathlib.Path.touch", "self": {"_target_": "pathlib.Path", "_args_": [str(trap)]}}
    node = {**job.config[group], **({"more": [call]} if nested else call)}
    run, _ = recorded("cell=gru", results=tmp_path, config={**job.config, group: node})
    with pytest.raises(BadInput, match="a record's code is not imported unasked"):
        rnnbench.load_model(run, results=tmp_path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "alias", ["rnnbench.runs.host.subprocess.run", "rnnbench.store.store.os.remove", "rnnbench.nn.LSTM"]
)
def test_a_path_through_our_own_imports_is_not_followed(alias, tmp_path):
    """Below `rnnbench.` the registry's class is made, whatever a record says; anywhere deeper nothing is."""
    job = prepare([*SMALL, "cell=gru"])
    run, model = recorded(
        "cell=gru", results=tmp_path, config={**job.config, "cell": {**job.config["cell"], "_target_": alias}}
    )
    assert same(rnnbench.load_model(run, results=tmp_path), model)
    deeper = {**job.config["cell"], "norm": {"_target_": alias, "_args_": [str(tmp_path)]}}
    run, _ = recorded("cell=gru", "seed=1", results=tmp_path, config={**job.config, "cell": deeper})
    with pytest.raises(BadInput, match="a record's code is not imported unasked"):
        rnnbench.load_model(run, results=tmp_path)


def test_what_has_no_weights_is_refused():
    with pytest.raises(BadInput, match=r"run b51af361144b is published, without its weights; .*: rnnbench run "):
        rnnbench.load_model("b51af3")
    with pytest.raises(BadInput, match=r"takes the id of a run, e.g. record\[\"id\"\], not a dict"):
        rnnbench.load_model({"id": "b51af3"})  # type: ignore[arg-type]


def test_weights_that_no_longer_fit_are_said_to(tmp_path):
    run, _ = recorded("cell=gru", results=tmp_path)
    checkpoint.save(Store.open(tmp_path).folder(run) / checkpoint.BEST, {"other": torch.zeros(2)})
    with pytest.raises(BadInput, match=rf"^run {run} cannot be loaded by this version .*Missing key"):
        rnnbench.load_model(run, results=tmp_path)


def test_weights_are_read_without_unpickling_code(tmp_path):
    run, _ = recorded("cell=gru", results=tmp_path)
    torch.save({"output.bias": print}, Store.open(tmp_path).folder(run) / checkpoint.BEST)
    with pytest.raises(BadInput, match=r"best\.pt is missing or damaged"):
        rnnbench.load_model(run, results=tmp_path)


# Data.


def test_data_is_what_runs_are_trained_on():
    data = rnnbench.load_data("digits", view="pixels")
    assert [len(part) for part in (data.train, data.val, data.test)] == [1077, 360, 360]
    assert data.train.inputs.shape == (1077, 64, 1)
    assert data.train.targets.shape == (1077,)
    assert data.train.lengths is None
    assert (data.spec.name, data.spec.metric, data.spec.input_size) == ("digits", "accuracy", 1)
    assert data.floors["chance"] == 0.1
    assert data.frame["sequences"].tolist() == [1077, 360, 360]
    assert "1077 × 64 × 1 float32" in data._repr_html_()
    batch = data.test.batch([3, 1])
    assert torch.equal(batch.x[0], data.test.inputs[3])
    assert torch.equal(data.test.batch([-1, 0]).y, data.test.targets[[-1, 0]])
    assert torch.equal(data.val.batch().y, data.val.targets)


@pytest.mark.parametrize(
    "words", [("T=20 train=8 val=4 test=4",), (["dataset.T=20", "train=8", "dataset.val=4", "test=4"],)]
)
def test_overrides_of_the_dataset_are_words_or_keywords(words):
    first = rnnbench.load_data("adding", *words)
    other = rnnbench.load_data("adding", T=20, train=8, val=4, test=4)
    assert torch.equal(first.train.inputs, other.train.inputs)
    assert first.spec == other.spec
    assert first.train.inputs.shape == (8, 20, 2)


def test_what_a_network_is_fed_may_differ_from_what_is_kept():
    data = rnnbench.load_data("moving_digits", train=3, val=2, test=2)
    x, y, lengths, _ = data.train.batch([0])
    assert x.shape == (1, 10, 1, *data.spec.frame_shape[1:])
    assert (x.dtype, y.shape[:2], lengths) == (torch.float32, (1, 10), None)


def test_data_that_is_not_there_says_how_to_get_it(monkeypatch):
    def offline(*args: object, **kwargs: object) -> None:
        raise ConnectionError("no network in tests")

    monkeypatch.setattr("pooch.retrieve", offline)
    with pytest.raises(rnnbench.MissingData, match="curl"):
        rnnbench.load_data("jsb")


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [("digit", {}, "unknown dataset 'digit'; did you mean digits"),
     ("digits", {"wiew": "rows"}, "did you mean dataset.view"),
     ("digits", {"view": "columns"}, "must be one of rows, pixels")],
)  # fmt: skip
def test_what_is_no_dataset_or_option_is_refused(name, options, sentence):
    with pytest.raises(BadInput, match=sentence):
        rnnbench.load_data(name, **options)


def test_a_word_without_a_value_is_refused():
    with pytest.raises(BadInput, match="'rows' is no option of a dataset; write key=value"):
        rnnbench.load_data("digits", "rows")
