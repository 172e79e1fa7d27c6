"""`rnnbench show --kernel CELL`: the C of a cell, what compiles it, and what has none."""

from __future__ import annotations

import re
import subprocess

import pytest

from rnnbench import toolchain
from rnnbench.cli import main
from rnnbench.nn.backends.compiled.emit import FIXED

pytestmark = pytest.mark.compiler
OWN = """\
from typing import NamedTuple
from rnnbench.nn import Cell

class State(NamedTuple):
    h: object

class Own(Cell):
    State = State

    def __init__(self, input_size, hidden_size, **options):
        super().__init__(input_size, hidden_size, **options)
        self.W, self.U = self.input_map("k"), self.hidden_map("k")

    def step(self, wx, state):
        h = (wx + self.U(state.h)).STEP
        return h, State(h)
"""
OWN_YAML = """\
# A cell of one's own.
meta: {name: own, label: Own, version: 1, operator: dense, kernel: null, peephole_gates: [], no_peephole: "none"}
_target_: MODULE.Own
biases: 1
init: torch
"""


def shown(capsys, *words):
    code = main(["show", "--kernel", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_two_loops_with_what_they_are_made_of(capsys):
    code, out, err = shown(capsys, "lstm", "peephole=on")
    assert (code, err) == (0, "")
    assert out.startswith("/* cell=lstm peephole=on, R = float32: the two loops\n")
    assert all(name in out for name in FIXED)
    assert "const R i = sigmoid_(a_i + U_bias_i + peephole_w_i * c_old);" in out
    assert "const R c = f * c_old + i * g;" in out
    assert "/* x (i f g o) += old_h @ U.weight^T */" in out
    assert re.findall(r"^void (\w+)\(", out, re.M) == ["forward", "backward"]
    assert not re.search(r"\x1b", out), "plain text"
    assert max(map(len, out.split("*/\n", 1)[1].splitlines())) <= 120
    assert "peephole" not in shown(capsys, "lstm")[1]


def test_the_whole_source_is_what_is_compiled(capsys, tmp_path):
    code, out, _ = shown(capsys, "gru", "--whole", "--dtype", "float64")
    assert code == 0
    assert "typedef double R;" in out
    assert "static R pack(" in out
    tools = toolchain.find()
    if tools is None:
        pytest.skip(toolchain.why_none())
    (tmp_path / "kernel.c").write_text(out)
    call = (*tools.command, *tools.flags, "-Wall", "-Wextra", "-c", "-o", "kernel.o", "kernel.c")
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_says_the_compiler_and_where_the_library_lies(capsys, tmp_path, monkeypatch):
    if (tools := toolchain.find()) is None:
        pytest.skip(toolchain.why_none())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    _, out, _ = shown(capsys, "rnn", "--whole")
    head, source = out.split(" */\n\n", 1)
    assert f"compiler: {tools.compiler} for {tools.processor}: {' '.join((*tools.command, *tools.flags))}" in head
    assert head.endswith("(not compiled yet)")
    library = toolchain.build(source, tools)
    _, out, _ = shown(capsys, "rnn", "--whole")
    assert out.split(" */\n")[0].endswith(f"library: {library}")


def test_no_compiler_is_needed(capsys, monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    code, out, _ = shown(capsys, "mgu")
    assert code == 0
    assert f"not compiled here: {toolchain.why_none()}" in out
    assert "void backward(" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lst"], "unknown cell 'lst'; did you mean lstm"),
        (["convlstm"], "cell=convlstm has no compiled loop: its operator is conv2d"),
        (["tcn"], "cell=tcn has no compiled loop: it is no recurrent cell"),
        (["lstm", "cell.norm=layer"], "uses a normalisation, a reduction over a row's features; docs/speed.md"),
        (["gru", "peephole=on"], "cell=gru takes no peephole"),
        (["gru", "cell=lstm"], "--kernel gru names the cell"),
        (["lstm", "cell.edit=fgr"], "unknown option 'cell.edit'"),
    ],
)
def test_what_has_none_is_one_sentence(capsys, words, said):
    code, out, err = shown(capsys, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_options_of_the_one_kind_with_the_other(capsys):
    assert main(["show", "--whole", "abc"]) == 2
    assert "--whole and --dtype belong to --kernel CELL" in capsys.readouterr().err
    assert main(["show"]) == 2
    assert "show takes one RUN" in capsys.readouterr().err


@pytest.mark.parametrize(("step", "said"), [("tanh()", None), ("cumsum(1)", "torch's `cumsum`, which has no rule")])
def test_a_cell_of_ones_own(capsys, tmp_path, monkeypatch, step, said):
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", "")
    module = f"own_{step.partition('(')[0]}"
    (tmp_path / "cell").mkdir()
    (tmp_path / "cell" / "own.yaml").write_text(OWN_YAML.replace("MODULE", module))
    (tmp_path / f"{module}.py").write_text(OWN.replace("STEP", step))
    code, out, err = shown(capsys, "own", "--config-dir", str(tmp_path))
    if said is None:
        assert (code, err) == (0, "")
        assert "const R h = tanh_(a_k);" in out
    else:
        assert code == 2
        assert f"cell=own has no compiled loop: the step of Own uses {said}" in err
