"""Which backend a run gets: the rule of backend=auto on every kind of machine, refusals, and what is said of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from runs_tools import environment, quick

from rnnbench import toolchain
from rnnbench.cli import main
from rnnbench.errors import AxisRefused, BadInput, NotHere
from rnnbench.runs import backends, host, registry
from rnnbench.runs.notes import notes
from rnnbench.runs.plan import prepare
from rnnbench.store.config import CellMeta
from rnnbench.store.record import run_id
from rnnbench.sweeps.plan import plan

METAS = {name: registry.read("cell", name)["meta"] for name in registry.choices("cell")}
RECURRENT = {name: meta for name, meta in METAS.items() if meta.get("recurrent", True)}
RIVALS = sorted(METAS.keys() - RECURRENT.keys())
COMPILES = [name for name, meta in METAS.items() if meta["compiles"]]
GCC = toolchain.Toolchain(("/usr/bin/cc",), "gcc 12.2.0", ("-O3", "-std=gnu11"), "x86-64 avx2")
NONE = "no C compiler was found (cc, gcc, clang, or pip install rnnbench[compiler])"
SMALL = ("dataset=digits", "budget=smoke", "tracker=none", "device=cpu")


@pytest.fixture
def compiler(monkeypatch):
    """compiler(there): as on a machine with one, or without."""

    def put(there: bool) -> None:
        found = GCC if there else None
        monkeypatch.setattr(toolchain, "find", lambda: found)
        monkeypatch.setattr(toolchain, "why_none", lambda: "" if there else NONE)
        monkeypatch.setattr(toolchain, "advice", lambda: "" if there else f"{NONE}: cells train as ever.")

    return put


def dataset_of(cell):
    return "dataset=digits" if METAS[cell]["operator"] == "dense" else "dataset=moving_digits"


def backend(*overrides):
    return quick(*overrides).config["backend"]


def refused(*overrides, kind=AxisRefused):
    with pytest.raises(kind) as caught:
        prepare([*overrides, "device=cpu"] if not any(o.startswith("device=") for o in overrides) else overrides)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("cell", METAS)
def test_every_cell_of_ours_says_whether_it_compiles(cell):
    meta = METAS[cell]
    assert isinstance(meta["compiles"], bool)
    assert not meta["compiles"] or (cell in RECURRENT and meta["operator"] == "dense")  # tests/properties: whether so


def test_the_key_is_one_of_a_cells_meta():
    assert CellMeta.__annotations__.keys() >= {"kernel", "compiles"}
    assert len(COMPILES) >= 15


@pytest.mark.parametrize("cell", METAS)
def test_the_rule_of_auto(cell, compiler):
    """Compiled where the cell compiles and a compiler is there, else torch's kernel where there is one, else the scan
    where the cell has one, else eager."""
    meta, asked = METAS[cell], (f"cell={cell}", dataset_of(cell))
    without = "native" if meta["kernel"] else "scan" if meta.get("scans") else "eager"
    compiler(False)
    assert backend(*asked) == without
    compiler(True)
    assert backend(*asked) == ("compiled" if meta["compiles"] else without)
    if cell in RECURRENT:
        assert backend(f"cell={cell}", "dataset=moving_digits") == "eager", "frames"
    if meta["peephole_gates"]:
        assert backend(*asked, "peephole=on") == ("compiled" if meta["compiles"] else "eager")


@pytest.mark.parametrize(
    ("overrides", "with_one", "without"),
    [
        (["cell=lstm"], "compiled", "native"),
        (["cell=lstm", "depth=2", "direction=bidirectional"], "compiled", "native"),
        (["cell=lstm", "depth=2", "depth.norm=layer"], "compiled", "native"),  # between layers
        (["cell=lstm", "peephole=detach"], "compiled", "eager"),
        (["cell=lstm", "cell.norm=layer"], "eager", "eager"),
        (["cell=gru", "precision=bf16"], "native", "native"),
        (["cell=mgu", "precision=bf16"], "eager", "eager"),
        (["cell=gru", "device=cuda"], "native", "native"),
        (["cell=mgu", "device=cuda"], "eager", "eager"),
        (["cell=tcn"], "eager", "eager"),
        (["cell=mingru"], "compiled", "scan"),
        (["cell=mingru", "cell.norm=layer"], "scan", "scan"),
        (["cell=mingru", "device=cuda"], "scan", "scan"),
        (["cell=mingru_log", "precision=bf16"], "scan", "scan"),
    ],
)  # fmt: skip
def test_the_rule_of_auto_by_axes(overrides, with_one, without, compiler):
    compiler(True)
    assert backend(*overrides) == with_one
    compiler(False)
    assert backend(*overrides) == without


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["cell=convlstm", "dataset=moving_digits"], "frames run step by step; use backend=eager or backend=auto."),
        (["cell=mlp"], "cell=mlp is no recurrent cell and has no step to compile; use backend=eager or backend=auto."),
        (["device=cuda"], "its code is for the CPU, not for device=cuda; use device=cpu or backend=auto."),
        (["precision=bf16"], "its numbers have 32 bits, and no precision=bf16; use precision=32 or backend=auto."),
        (["cell.norm=layer_4h"], "cell.norm=layer_4h has no rule in the compiler; use cell.norm=null or backend=auto."),
        (["cell.norm=layer"], "cell.norm=layer has no rule in the compiler; use cell.norm=null or backend=auto."),
    ],
)
def test_what_is_never_compiled_is_refused_with_the_fix(overrides, said, compiler):
    for there in (True, False):
        compiler(there)
        assert refused(*overrides, "backend=compiled") == f"backend=compiled: {said}"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["cell=lstm"], "cell=lstm is not linear in its state (meta.scans of its yaml)"),
        (["cell=tcn"], "cell=tcn is not linear in its state (meta.scans of its yaml)"),
        (["cell=mingru", "dataset=moving_digits"], "frames run step by step"),
    ],
)
def test_what_has_no_scan_is_refused_with_the_fix(overrides, said):
    assert refused(*overrides, "backend=scan") == f"backend=scan: {said}; use backend=eager or backend=auto."


def test_a_run_is_computed_by_the_scan_where_it_is_asked_for():
    assert prepare(["cell=mingru", "backend=scan", *SMALL]).config["backend"] == "scan"


def test_without_a_compiler_it_is_refused_here_alone(compiler):
    compiler(False)
    said = refused("cell=lstm", "backend=compiled", kind=NotHere)
    assert said == f"backend=compiled: {NONE}; use backend=eager or backend=auto."
    job = prepare(["cell=lstm", "backend=compiled", "device=cpu"], elsewhere=True)
    compiler(True)
    assert prepare(["cell=lstm", "backend=compiled", "device=cpu"]).id == job.id


def test_what_is_wrong_on_every_machine_is_said_first(compiler):
    compiler(False)
    assert "there is one layer" in refused("cell=lstm", "backend=compiled", "depth.dropout=0.5")


def test_a_run_planned_elsewhere_is_refused_where_there_is_no_compiler(compiler):
    compiler(False)
    with pytest.raises(BadInput, match="no C compiler was found"):
        backends.check_compiler(quick("cell=lstm", "backend=compiled").config)


def test_an_empty_command_is_no_compiler(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    assert backend("cell=lstm") == "native"
    assert "RNNBENCH_CC is empty, so no C compiler is used" in refused("cell=lstm", "backend=compiled", kind=NotHere)


# Cells of the user's own.

OWN = """\
meta: {{name: mine, label: Mine, version: 1, operator: dense, kernel: null, peephole_gates: []{compiles}}}
_target_: rnnbench.nn.MGU
"""


@pytest.mark.parametrize(
    ("compiles", "by_rule", "explicit"),
    [("", "eager", "compiled"), (", compiles: true", "compiled", "compiled"), (", compiles: false", "eager", None)],
)
def test_an_own_cell_may_leave_it_open(compiles, by_rule, explicit, compiler, user_dir):
    compiler(True)
    user_dir("cell/mine.yaml", OWN.format(compiles=compiles))
    assert prepare(["cell=mine", *SMALL]).config["backend"] == by_rule
    if explicit is None:
        said = refused("cell=mine", "backend=compiled")
        assert said.startswith("backend=compiled: cell=mine does not compile (meta.compiles of its yaml); ")
    else:
        assert prepare(["cell=mine", "backend=compiled", *SMALL]).config["backend"] == explicit
    compiler(False)
    assert prepare(["cell=mine", *SMALL]).config["backend"] == "eager"


def test_an_own_cell_says_it_with_true_or_false(user_dir):
    user_dir("cell/mine.yaml", OWN.format(compiles=", compiles: maybe"))
    with pytest.raises(BadInput, match=r"meta\.compiles must be true or false, not 'maybe'"):
        prepare(["cell=mine", *SMALL])


# Ids, and what is told of a backend.


def test_the_id_holds_the_backend_that_was_meant(compiler):
    compiler(True)
    job = prepare(["cell=lstm", *SMALL])
    explicit = {name: prepare(["cell=lstm", f"backend={name}", *SMALL]).id for name in ("compiled", "native", "eager")}
    assert len(set(explicit.values())) == 3
    assert job.id == explicit["compiled"]
    compiler(False)
    assert prepare(["cell=lstm", *SMALL]).id == explicit["native"]


def test_what_the_yaml_says_of_compiling_is_in_no_id(compiler):
    compiler(False)
    found = quick("cell=mgu")
    other = {**found.config, "cell": {**found.config["cell"], "meta": {**found.config["cell"]["meta"]}}}
    del other["cell"]["meta"]["compiles"]
    assert run_id(other) == found.id


@pytest.mark.parametrize("there", [True, False])
def test_a_backend_is_an_option_where_it_was_chosen(there, compiler):
    compiler(there)
    for words in ([], ["peephole=on"], ["cell.norm=layer"], ["precision=bf16", "cell=gru"], ["device=cuda"]):
        assert "backend" not in prepare(["cell=lstm", *words, "tracker=none"]).axes["options"]
    chosen = prepare(["cell=lstm", "backend=eager", *SMALL])
    assert chosen.axes["options"] == {"backend": "eager"}
    assert chosen.axes["label"] == "LSTM"
    assert chosen.title == "LSTM · digits · backend=eager · seed 0"


def test_a_job_knows_whether_the_rule_chose():
    assert prepare(["cell=lstm", *SMALL]).by_rule
    assert prepare(["cell=lstm", "backend=auto", *SMALL]).by_rule
    assert not prepare(["cell=lstm", "backend=native", *SMALL]).by_rule
    assert not prepare(["cell=lstm", "backend=auto", "backend=eager", *SMALL]).by_rule


def test_a_record_names_the_compiler_of_a_compiled_run_alone(compiler):
    compiler(True)
    found = host.describe("cpu", malloc_tuned=True, backend="compiled")
    assert (found["compiler"], found["compiler_flags"]) == ("gcc 12.2.0", "-O3 -std=gnu11")
    for name in ("eager", "native"):
        assert not {"compiler", "compiler_flags"} & host.describe("cpu", malloc_tuned=True, backend=name).keys()
    compiler(False)  # its record is written by its sweep, after it died elsewhere
    assert "compiler" not in host.describe("cpu", malloc_tuned=True, backend="compiled")


# What is said before.


def test_a_plan_says_what_is_other_without_a_compiler(compiler):
    grid = ["cell=lstm,mgu,tcn", "seed=range(3)", *SMALL]
    compiler(True)
    assert plan(grid).notes() == []
    compiler(False)
    assert plan(grid).notes() == [
        f"{NONE}: cells train as ever. So backend=auto is eager for 3 runs and native for 3 runs here; compiled they "
        "have other ids."
    ]


@pytest.mark.parametrize("words", [["backend=eager"], ["device=cuda"], ["cell.norm=layer"], ["precision=bf16"]])
def test_nothing_is_said_where_a_compiler_would_change_nothing(words, compiler):
    compiler(False)
    assert not any("compiler" in said for said in notes([prepare(["cell=gru", *words, "tracker=none"])]))


def test_who_wants_no_compiler_is_told_of_none(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    assert notes([prepare(["cell=lstm", *SMALL])]) == []


@pytest.mark.parametrize("command", ["plan", "sweep"])
def test_a_command_says_it_once(command, compiler, tmp_path, capsys):
    compiler(False)
    words = [command, "cell=lstm,gru", *SMALL, "--results", str(tmp_path)]
    assert main([*words, "--dry-run"] if command == "sweep" else words) == 0
    said = "".join(capsys.readouterr())
    assert said.count("no C compiler was found") == 1
    assert "native for 2 runs here" in said
    assert main(["plan", "cell=lstm,gru", *SMALL, "--results", str(tmp_path), "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["notes"]) == 1


@pytest.mark.integration
def test_without_a_compiler_everything_works_and_a_run_says_it_once(tmp_path):
    """PATH emptied: what a machine without a compiler has."""
    words = ["run", "cell=lstm", *SMALL, "budget.updates=2", "budget.val_every=1", "hidden_size=2"]
    surroundings = environment(tmp_path / "results", PATH=str(tmp_path))
    del surroundings["RNNBENCH_CC"]
    call = [sys.executable, "-m", "rnnbench"]
    done = subprocess.run([*call, *words], env=surroundings, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("no C compiler was found") == 1
    assert "So backend=auto is native for 1 run here; compiled they have other ids." in done.stderr
    (record,) = (tmp_path / "results" / "runs").glob("*/record.json")
    assert json.loads(record.read_text())["backend"] == "native"
    explicit = subprocess.run(
        [*call, *words, "backend=compiled"], env=surroundings, cwd=tmp_path, capture_output=True, text=True
    )
    assert (explicit.returncode, explicit.stdout) == (2, "")
    assert "backend=compiled: no C compiler was found" in explicit.stderr
    assert "Traceback" not in explicit.stderr


# Ablations.

ABLATION = """\
base: {dataset: digits, budget: smoke}
grids:
  - {cell: lstm, peephole: "off,on"}
  - {cell: lstm, cell.norm: layer}
ablation: {baseline: {peephole: "off"}}
"""


@pytest.mark.parametrize(("there", "found"), [(True, "compiled and eager"), (False, "eager and native")])
def test_an_ablation_runs_one_backend(there, found, compiler, user_dir):
    compiler(there)
    user_dir("experiment/parts.yaml", ABLATION)
    made = plan(["experiment=parts", "device=cpu"])
    assert {job.config["backend"] for job in made.jobs} == {"eager"}
    assert len(made.jobs) == 3
    assert made.notes() == [
        f"an ablation runs one backend: its arms, {found} by themselves, are all eager; backend=... chooses another."
    ]
    assert all("backend=eager" in job.command for job in made.jobs), (
        "the command makes the run again, where it is alone"
    )


def test_arms_that_agree_keep_their_backend(compiler, user_dir):
    compiler(True)
    user_dir("experiment/parts.yaml", ABLATION.replace("  - {cell: lstm, cell.norm: layer}\n", ""))
    made = plan(["experiment=parts", "device=cpu"])
    assert {job.config["backend"] for job in made.jobs} == {"compiled"}
    assert made.notes() == []


def test_whoever_chooses_backends_in_an_ablation_has_them(compiler, user_dir):
    compiler(True)
    user_dir("experiment/parts.yaml", ABLATION)
    made = plan(["experiment=parts", "device=cpu", "backend=compiled"])
    assert {job.config["backend"] for job in made.jobs} == {"compiled"}
    assert list(made.skip_reasons().values()) == [1], "the arm that does not compile"


# What a sweep leaves to another machine.


def test_a_sweep_notes_the_runs_that_it_leaves_to_another_machine(compiler):
    grid = ["cell=lstm,mlp", "backend=eager,compiled", "seed=range(2)", *SMALL]
    compiler(True)
    here = plan(grid)
    assert here.skipped_cells() == [
        {"reason": "backend=compiled: cell=mlp is no recurrent cell and has no step to compile; use backend=eager or "
                   "backend=auto.", "cells": 2}
    ]  # fmt: skip
    compiler(False)
    made = plan(grid)
    left, never = made.skipped_cells()
    assert left["reason"] == f"backend=compiled: {NONE}; use backend=eager or backend=auto."
    assert left["cells"] == 2
    assert left["runs"] == [job.id for job in here.jobs if job.config["backend"] == "compiled"]
    assert "runs" not in never
    assert {job.id for job in made.jobs} | set(left["runs"]) == {job.id for job in here.jobs}


def test_other_machines_are_asked_for_their_own_compiler(compiler):
    compiler(False)
    made = plan(["cell=lstm", "backend=compiled", *SMALL], elsewhere=True)
    assert len(made.jobs) == 1
    assert made.skipped == []


def test_the_defaults_comment_names_every_word():
    text = (registry.config_dir() / "config.yaml").read_text()
    assert f"| {' | '.join(backends.WORDS[1:])}\n" in text
    assert yaml.safe_load(text)["backend"] in backends.WORDS
