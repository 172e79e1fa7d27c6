"""Compiled runs: their records, what is exact, and what happens to them on a machine without a compiler."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from runs_tools import SMALL, StopAt

from rnnbench import toolchain
from rnnbench.cli import main
from rnnbench.nn import Layer
from rnnbench.nn.backends import BACKENDS
from rnnbench.runs import checkpoint
from rnnbench.runs.load import load_model
from rnnbench.runs.plan import prepare
from rnnbench.runs.run import attempt, run
from rnnbench.store.store import Store
from rnnbench.training import Interrupted

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.integration,
    pytest.mark.skipif("compiled" not in BACKENDS or toolchain.find() is None, reason="there is no C compiler"),
]
WORDS = [*SMALL, "dataset=digits", "cell=lstm", "peephole=on"]
CLOSE = 1e-3  # relative, of a loss after some updates: a step's values agree to 5e-6


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One compiled run, by the rule: (record, its results folder)."""
    results = tmp_path_factory.mktemp("compiled")
    return run(WORDS, results=results), results


def without_compiler(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")


def test_the_rule_compiles_and_the_record_says_with_what(made):
    record, _ = made
    assert (record["status"], record["reason"], record["backend"]) == ("ok", "", "compiled")
    tools = toolchain.find()
    assert record["host"]["compiler"] == tools.compiler
    assert record["host"]["compiler_flags"] == " ".join(tools.flags)
    assert record["axes"]["backend"] == record["config"]["backend"] == "compiled"
    assert record["id"] == prepare([*WORDS, "backend=compiled"]).id


def test_it_is_equal_to_the_bit_when_made_again(made, tmp_path):
    record, _ = made
    again = run(WORDS, results=tmp_path)
    assert (again["id"], again["metrics"]) == (record["id"], record["metrics"])


def test_it_goes_on_from_its_checkpoint_to_the_same_bits_under_one_compiler_alone(made, tmp_path, capsys):
    record, _ = made
    job, kept = prepare(WORDS), Store.open(tmp_path)
    with pytest.raises(Interrupted):
        attempt(job, kept, stop=StopAt(7))
    path = kept.folder(job.id) / checkpoint.LAST
    state = checkpoint.load(path)
    tools = toolchain.find()
    assert state["toolchain"]["compiler"] == tools.compiler
    assert attempt(job, kept)["metrics"] == record["metrics"]
    assert "starting over" not in capsys.readouterr().err
    other = Store.open(tmp_path / "other")
    with pytest.raises(Interrupted):
        attempt(job, other, stop=StopAt(7))
    path = other.folder(job.id) / checkpoint.LAST
    checkpoint.save(path, checkpoint.load(path) | {"toolchain": state["toolchain"] | {"compiler": "clang 16"}})
    assert attempt(job, other)["metrics"] == record["metrics"]
    said = capsys.readouterr().err
    assert f"what compiles the cell has changed (compiler clang 16 -> {tools.compiler})" in said
    assert "starting over" in said


def test_it_learns_what_the_loop_learns(made, tmp_path):
    record, _ = made
    eager = run([*WORDS, "backend=eager"], results=tmp_path)
    assert eager["id"] != record["id"]
    assert "compiler" not in eager["host"]
    assert record["metrics"]["test/loss"] == pytest.approx(eager["metrics"]["test/loss"], rel=CLOSE)


def test_its_network_can_be_had_where_there_is_no_compiler(made, monkeypatch):
    record, results = made
    x = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0))
    here = load_model(record["id"], results=results)
    with torch.no_grad():
        expected = here(x)
    without_compiler(monkeypatch)
    there = load_model(record["id"], results=results)
    used = [{m.backend for m in model.modules() if isinstance(m, Layer)} for model in (here, there)]
    assert used == [{"compiled"}, {"eager"}]
    with torch.no_grad():
        assert torch.allclose(expected, there(x), rtol=5e-6, atol=1e-6)


def test_a_sweep_compiles_in_its_workers_and_a_gate_excuses_what_a_machine_cannot(tmp_path, monkeypatch, capsys):
    grid = ["cell=lstm,gru", "backend=eager,compiled", "seed=range(2)", *SMALL, "dataset=digits", "--workers", "2"]
    whole, left = tmp_path / "whole", tmp_path / "left"
    assert main(["sweep", *grid, "--results", str(whole)]) == 0
    without_compiler(monkeypatch)
    assert main(["sweep", *grid, "--results", str(left)]) == 0
    by_backend = {folder: [r["backend"] for r in Store.open(folder).records().values()] for folder in (whole, left)}
    assert sorted(by_backend[whole]) == ["compiled"] * 4 + ["eager"] * 4
    assert by_backend[left] == ["eager"] * 4
    assert all(record["status"] == "ok" for record in Store.open(whole).records().values())
    (manifest,) = (left / "sweeps").glob("*.json")
    (skipped,) = json.loads(manifest.read_text())["skipped"]
    compiled = {run for run, r in Store.open(whole).records().items() if r["backend"] == "compiled"}
    assert (skipped["cells"], set(skipped["runs"])) == (4, compiled)
    gate = ["compare", str(whole), str(left), "--gate", "--exact"]
    assert main(gate) == 0
    for each in [r["id"] for r in Store.open(left).records().values() if r["axes"]["cell"] == "gru"]:
        shutil.rmtree(left / "runs" / each)
    capsys.readouterr()
    assert main(gate) == 1
    assert "loss: digits · smoke · GRU h=8: gone" in capsys.readouterr().err


def test_nothing_is_said_on_a_machine_with_a_compiler(tmp_path, capsys):
    assert main(["plan", *WORDS, "--results", str(tmp_path)]) == 0
    assert "note:" not in "".join(capsys.readouterr())
