"""Runs and sweeps from Python: in whose process, with which words, and what is left behind in it."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from pandas.testing import assert_frame_equal

import rnnbench
from rnnbench.errors import BadInput
from rnnbench.face.surroundings import undisturbed
from rnnbench.reports.selection.frame import records_frame
from rnnbench.runs import compose, registry
from rnnbench.store.store import Store

SMALL = {"budget": "smoke", "budget.updates": 6, "budget.val_every": 3, "hidden_size": 4, "device": "cpu"}
LAB = Path(__file__).parents[1] / "sweeps" / "lab"
NUMPY = np.random.get_state  # the caller's global state is what this is about


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("RNNBENCH_RESULTS", "RNNBENCH_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield
    compose.defaults.cache_clear()


def process() -> dict[str, object]:
    """What of this process a caller may count on."""
    numbers = sorted(signal.valid_signals())
    return {
        "python": random.getstate(), "numpy": [str(part) for part in NUMPY()], "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(), "dtype": torch.get_default_dtype(), "grad": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(), "device": str(torch.get_default_device()),
        "matmul": torch.get_float32_matmul_precision(), "cudnn": torch.backends.cudnn.deterministic,
        "filters": list(warnings.filters), "signals": [signal.getsignal(number) for number in numbers],
        "environment": dict(os.environ), "path": list(sys.path), "folder": os.getcwd(),
        "start": multiprocessing.get_start_method(allow_none=True), "hydra": GlobalHydra.instance().hydra,
        "main": {name: vars(sys.modules["__main__"]).get(name) for name in ("__file__", "__spec__")},
    }  # fmt: skip


@pytest.mark.integration
def test_the_caller_s_process_is_left_as_it_was(tmp_path, monkeypatch):
    """By every function that computes, though the caller has set nearly all of it to something odd."""
    plain = rnnbench.run(cell="gru", **SMALL, results=tmp_path / "plain")
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    with initialize_config_dir(version_base="1.3", config_dir=str(registry.config_dir())), torch.no_grad():
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("medium")
        torch.use_deterministic_algorithms(True)
        try:
            was = process()
            odd = rnnbench.run(cell="gru", **SMALL, config_dir=LAB)
            assert process() == was
            model = rnnbench.load_model(odd["id"])
            data = rnnbench.load_data("adding", T=5, train=4, val=2, test=2, config_dir=LAB)
            assert data.floors
            rnnbench.plan(cell="napping", **SMALL, config_dir=LAB)
            made = rnnbench.sweep(cell=["napping", "gru"], **SMALL, config_dir=LAB)
            assert process() == was
        finally:
            torch.set_default_dtype(torch.float32)
            torch.use_deterministic_algorithms(False)
            torch.set_num_threads(before[0])
            torch.set_float32_matmul_precision(before[1])
    assert odd["metrics"] == plain["metrics"], "and nothing of it reaches the run"
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert made.counts == {"ok": 2}


def test_what_a_block_does_to_the_process_is_undone(tmp_path):
    def disturb() -> None:
        os.environ["RNNBENCH_DATA"] = "elsewhere"
        os.environ.pop("PATH")
        sys.path.append("elsewhere")
        os.chdir("/")
        signal.signal(signal.SIGUSR1, lambda *_: None)
        warnings.simplefilter("ignore")
        random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
        multiprocessing.set_start_method("spawn", force=True)
        torch.set_default_device("meta")
        torch.set_default_device(None)
        torch.set_num_threads(3)
        raise KeyError("in the middle")

    was = process()
    with pytest.raises(KeyError), undisturbed(torch=True):
        disturb()
    assert process() == was


@pytest.mark.integration
def test_one_run_in_every_form_of_words(tmp_path):
    words = [f"{key}={value}" for key, value in SMALL.items()]
    record = rnnbench.run(" ".join(["cell=gru", "seed=2", *words]))
    assert record["status"] == "ok"
    assert rnnbench.run(["cell=gru", "seed=2", *words]) == record
    assert rnnbench.run("cell=gru", seed=2, **SMALL) == record
    assert len(rnnbench.records()) == 1
    assert not list(tmp_path.rglob("wandb")), "no tracker unless asked for"


@pytest.mark.integration
def test_a_stale_record_is_returned_with_a_warning_and_done_again_on_request(tmp_path, monkeypatch):
    record = rnnbench.run(cell="gru", **SMALL)
    path = Store.open().record_path(record["id"])
    path.write_text(json.dumps(record | {"source_hash": "0" * 12}))
    with pytest.warns(UserWarning, match=f"run {record['id']} is stale: .* retry=True does it again") as said:
        assert rnnbench.run(cell="gru", **SMALL)["source_hash"] == "0" * 12
    assert said[0].filename == __file__
    assert rnnbench.run(cell="gru", **SMALL, retry=True)["metrics"] == record["metrics"]
    assert [each.name for each in path.parent.glob("record.stale-*.json")] == ["record.stale-1.json"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [("cell=gruu", "unknown cell 'gruu'"), ("experiment=quickstart", r'use rnnbench\.sweep\("experiment=quickstart"\)'),
     ("experiment=odyssey", "use `rnnbench tune experiment=odyssey` on the command line"),
     ("cell=gru,rnn", "lists several values"), ("gru", "'gru' is no override"), ("cell='gru", "is no overrides")],
)  # fmt: skip
def test_a_run_that_cannot_be_is_refused(words, sentence):
    with pytest.raises(BadInput, match=sentence):
        rnnbench.run(words)


def test_an_axis_that_a_cell_cannot_take_has_an_error_of_its_own():
    with pytest.raises(rnnbench.AxisRefused, match="peephole"):
        rnnbench.run(cell="gru", peephole=True)


def test_a_plan_is_what_the_sweep_would_do():
    ahead = rnnbench.plan(cell=["lstm", "gru"], peephole=["off", "on"], seed=range(2), **SMALL, name="first", workers=3)
    assert (ahead.name, ahead.counts, ahead.todo, ahead.workers, ahead.unknown) == ("first", {"new": 6}, 6, 3, 6)
    assert list(ahead.skipped.values()) == [2]
    assert "peephole" in next(iter(ahead.skipped))
    assert ahead.eta_seconds is None
    assert set(ahead.frame["state"]) == {"new"}
    assert ahead.frame["seed"].tolist() == [0, 1] * 3
    assert ahead.frame["seconds"].dtype == float
    assert ahead.command.startswith("rnnbench sweep cell=lstm,gru peephole=off,on seed=0,1")
    assert "LSTM +peephole" in ahead._repr_html_()
    assert not Path("results").exists()


@pytest.mark.integration
def test_a_sweep_gives_counts_records_and_failures(tmp_path, capfd):
    cells = {"cell": ["gru", "dying"], "seed": range(2), **SMALL, "cell.after": 10}
    with pytest.raises(BadInput, match=r"cell\.after"):
        rnnbench.sweep(**cells, config_dir=LAB)
    bad = {**SMALL, "optimizer": "sgd", "optimizer.lr": 1e30, "cell": "rnn_relu", "clip": None}
    rnnbench.sweep(cell="gru", seed=range(2), **SMALL, name="both")
    made = rnnbench.sweep(**bad, name="both")
    assert (made.name, made.counts, made.ok, made.interrupted) == ("both", {"diverged": 1}, False, False)
    ((run, title, status, reason),) = made.failures.to_numpy().tolist()
    assert (run, status) == (made.frame["id"][0], "diverged")
    assert "RNN" in title
    assert "is not finite" in reason
    assert reason in made._repr_html_()
    stored = records_frame([Store.open().read(run)])
    assert_frame_equal(made.frame, stored)
    assert capfd.readouterr() == ("", ""), "quiet"
    again = rnnbench.sweep(cell="gru", seed=range(2), **SMALL, name="both")
    assert again.counts == {"ok": 2}
    assert again.ok
    rnnbench.sweep(cell="gru", seed=range(3), **SMALL, name="both", progress=True)
    assert "[3/3] ok" in capfd.readouterr().err


@pytest.mark.integration
def test_workers_have_the_environment_of_their_own_sweep(tmp_path, monkeypatch):
    """The server that they are forked from was started by an earlier sweep, with another environment."""
    rnnbench.sweep(cell="gru", **SMALL)
    monkeypatch.setenv("LAB_NAP", "0.001")
    made = rnnbench.sweep(cell="napping", **SMALL, config_dir=LAB)
    assert made.ok, made.failures["reason"].tolist()
    command = Store.open().read(made.frame["id"][0])["command"]
    assert f"--config-dir {LAB}" in command
    with pytest.raises(BadInput, match=f"config_dir='{LAB}'"):
        rnnbench.load_model(made.frame["id"][0])
    assert rnnbench.load_model(made.frame["id"][0], config_dir=LAB).training is False


@pytest.mark.integration
def test_a_sweep_in_a_thread(tmp_path):
    found: list[rnnbench.face.running.SweepResult] = []
    thread = threading.Thread(target=lambda: found.append(rnnbench.sweep(cell="gru", **SMALL)))
    thread.start()
    thread.join()
    assert [made.counts for made in found] == [{"ok": 1}]


@pytest.mark.integration
def test_stale_records_are_asked_for_in_words_of_python(tmp_path):
    record = rnnbench.run(cell="gru", **SMALL)
    Store.open().record_path(record["id"]).write_text(json.dumps(record | {"source_hash": "0" * 12}))
    with pytest.raises(BadInput, match='stale="accept" counts it as done, stale="rerun" sets it aside'):
        rnnbench.sweep(cell="gru", **SMALL)
    assert rnnbench.sweep(cell="gru", **SMALL, stale="accept").ok


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"timeout": "soon"}, "is no duration"), ({"memory": "much"}, "is no size"), ({"limit": "0runs"}, "a limit of 0"),
     ({"executor": "cloud"}, "unknown executor 'cloud'"), ({"gpus": [7]}, "torch sees"),
     ({"executor": "ray", "per_gpu": 1}, "places its runs itself"), ({"name": "a/b"}, "a sweep's name is"),
     ({"workers": 0}, "workers must be a whole number of at least 1, not 0"), ({"max_failures": True}, "at least 1"),
     ({"stale": "ignore"}, "stale='ignore': write stale=\"accept\" or stale=\"rerun\"")],
)  # fmt: skip
def test_a_sweep_that_cannot_be_is_refused_before_anything_runs(options, sentence):
    with pytest.raises(BadInput, match=sentence):
        rnnbench.sweep(cell="gru", **SMALL, **options)
    assert not Path("results/runs").exists()


def test_a_yaml_that_is_edited_counts_in_the_same_process(tmp_path):
    """A notebook goes on while its author writes on the cell."""
    (tmp_path / "lab" / "cell").mkdir(parents=True)
    path = tmp_path / "lab" / "cell" / "mine.yaml"
    text = (registry.config_dir() / "cell" / "rnn.yaml").read_text().replace("name: rnn", "name: mine")
    titles = []
    for label in ("First", "Second label"):
        path.write_text(text.replace("label: RNN", f"label: {label}"))
        titles.append(rnnbench.plan(cell="mine", **SMALL, config_dir=tmp_path / "lab").frame["title"][0])
    assert [title.split(" h=4")[0] for title in titles] == ["First", "Second label"]
