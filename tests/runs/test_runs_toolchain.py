"""A compiled run belongs to its toolchain: what it needs before it begins, and what its checkpoint is good for."""

from __future__ import annotations

import pytest
from runs_tools import SMALL, StopAt, store

from rnnbench import toolchain
from rnnbench.errors import BadInput
from rnnbench.runs import checkpoint
from rnnbench.runs import run as runs
from rnnbench.runs.plan import prepare
from rnnbench.toolchain import Toolchain
from rnnbench.training import Interrupted

HERE = {"compiler": "gcc 12.2.0", "flags": "-O3 -mavx2", "processor": "x86-64 avx2"}
THERE = Toolchain(("/usr/bin/cc",), "gcc 12.2.0", ("-O3", "-mavx2"), "x86-64 avx2")


@pytest.mark.integration
@pytest.mark.parametrize(
    ("before", "why"),
    [
        ({"compiler": "clang 16.0.0"}, "compiler clang 16.0.0 -> gcc 12.2.0"),
        ({"flags": "-O2"}, "flags -O2 -> -O3 -mavx2"),
        ({"processor": "x86-64"}, "processor x86-64 -> x86-64 avx2"),
        ({}, ""),
    ],
)
def test_a_checkpoint_of_another_toolchain_is_not_resumed(tmp_path, monkeypatch, capsys, before, why):
    now = HERE | before
    monkeypatch.setattr(runs, "_compiled_by", lambda config: dict(now))
    made, kept = prepare([*SMALL, "cell=rnn"]), store(tmp_path)
    with pytest.raises(Interrupted):
        runs.attempt(made, kept, stop=StopAt(7))
    state = checkpoint.load(kept.folder(made.id) / checkpoint.LAST)
    assert state["toolchain"] == now
    now = HERE
    assert runs.attempt(made, kept)["status"] == "ok"
    said = f"rnnbench: what compiles the cell has changed ({why}) since the checkpoint was written: starting over\n"
    assert (said in capsys.readouterr().err) is bool(why)


@pytest.mark.integration
def test_a_checkpoint_from_before_there_was_a_toolchain_is_resumed(tmp_path, capsys):
    made, kept = prepare([*SMALL, "cell=rnn"]), store(tmp_path)
    with pytest.raises(Interrupted):
        runs.attempt(made, kept, stop=StopAt(7))
    path = kept.folder(made.id) / checkpoint.LAST
    state = checkpoint.load(path)
    assert state.pop("toolchain") is None
    checkpoint.save(path, state)
    assert runs.attempt(made, kept)["status"] == "ok"
    assert "starting over" not in capsys.readouterr().err


def test_what_compiles_is_known_before_the_data_is_read(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(toolchain, "find", lambda: THERE)
    assert runs._compiled_by({"backend": "native"}) is None
    assert runs._compiled_by({"backend": "compiled"}) == HERE
    toolchain.cache_folder().mkdir(parents=True)
    toolchain.cache_folder().chmod(0o777)
    with pytest.raises(BadInput, match=r"others can write to .*: chmod 700"):
        runs._compiled_by({"backend": "compiled"})


def test_without_a_compiler_a_compiled_run_is_refused(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    with pytest.raises(BadInput, match=r"^backend=compiled needs a C compiler: RNNBENCH_CC is empty, so .* is used\.$"):
        runs._compiled_by({"backend": "compiled"})
