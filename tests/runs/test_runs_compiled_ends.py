"""How compiled runs end: as the eager ones do, after a kill as if there had been none, and as `error` with the reason
where the library computes something else."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import time

import pytest
from runs_tools import SMALL, but_times, environment, finish, job, outcomes, spawn, store

from rnnbench import toolchain
from rnnbench.runs.run import run

pytestmark = [
    pytest.mark.compiler,
    pytest.mark.integration,
    pytest.mark.skipif(toolchain.find() is None, reason="there is no C compiler"),
]
LONG = ["cell=lstm", "peephole=on", "backend=compiled", "depth=2", "direction=bidirectional", "depth.dropout=0.2",
        "budget.updates=600", "budget.val_every=25", "harness.checkpoint_seconds=0"]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [
        ["cell=rnn_relu", "optimizer=sgd", "optimizer.lr=1e6", "clip=null"],
        ["cell=irnn", "optimizer=sgd", "optimizer.lr=50", "clip=null"],
    ],
    ids=lambda words: words[0],
)
def test_a_run_that_diverges_does_so_at_the_update_where_eager_does(words, tmp_path):
    records = [run([*SMALL, *words, f"backend={name}"], results=tmp_path) for name in ("compiled", "eager")]
    assert [record["backend"] for record in records] == ["compiled", "eager"]
    assert [record["status"] for record in records] == ["diverged"] * 2
    assert records[0]["reason"] == records[1]["reason"]
    assert "not finite at update" in records[0]["reason"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    code, _, err = finish(spawn(folder, *LONG))
    assert code == 0, err
    return folder


def test_killed_again_and_again_it_is_the_run_that_never_was(tmp_path, unbroken):
    made = job(*LONG)
    folder = store(tmp_path).folder(made.id)
    chance = random.Random(6)
    for rows in (1, 8):
        process = spawn(tmp_path, *LONG)
        history, until = folder / "history.jsonl", time.monotonic() + 100
        while not (history.exists() and history.read_bytes().count(b"\n") >= rows):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.002)
        time.sleep(chance.random() * 0.05)
        process.kill()
        finish(process)
    assert set(outcomes(folder)) == {"killed"}
    code, _, err = finish(spawn(tmp_path, *LONG))
    assert code == 0, err
    a, b = store(tmp_path), store(unbroken)
    assert a.read(made.id)["attempts"] == 3
    assert but_times(a.read(made.id)) == but_times(b.read(made.id))
    for name in ("history.jsonl", "diagnostics.json", "best.pt"):
        assert (a.folder(made.id) / name).read_bytes() == (b.folder(made.id) / name).read_bytes(), name


def test_a_library_that_computes_something_else_ends_the_run_as_error_with_the_reason(tmp_path, monkeypatch):
    from rnnbench.nn.backends.compiled import loop, proof

    made = loop.program_of

    def tampered(cell, dtype):
        program = made(cell, dtype)
        return dataclasses.replace(program, source=program.source.replace("1.0f / (1.0f +", "1.0f / (1.1f +"))

    monkeypatch.setattr(proof, "PROVEN", set())
    monkeypatch.setattr(loop, "program_of", tampered)
    record = run([*SMALL, "cell=mgu", "backend=compiled"], results=tmp_path)
    assert (record["status"], record["backend"]) == ("error", "compiled")
    assert "backend=compiled: the output of MGU differs from its own step's by" in record["reason"]


def test_without_a_compiler_it_is_2_with_the_reason_and_auto_goes_on(tmp_path):
    """The PATH has nothing on it."""
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "RNNBENCH_CC" not in environment(tmp_path)
    code, out, err = finish(spawn(tmp_path, "cell=mgu", "backend=compiled", PATH=str(empty)))
    assert (code, out) == (2, "")
    assert "backend=compiled" in err
    assert "no C compiler" in err
    assert err.count("\n") == 1
    code, _, err = finish(spawn(tmp_path, "cell=mgu", PATH=str(empty)))
    assert code == 0, err
    (record,) = store(tmp_path).records().values()
    assert (record["status"], record["backend"]) == ("ok", "eager")
    assert "compiler" not in json.dumps(record["host"])


@pytest.mark.parametrize("how", ["a file in its place", pytest.param("read only", marks=pytest.mark.skipif(
    os.geteuid() == 0, reason="root writes everywhere"))])  # fmt: skip
def test_a_cache_that_cannot_be_written_to_is_said_and_changes_no_number(tmp_path, how):
    cache = tmp_path / "cache"
    cache.mkdir()
    if how == "read only":
        cache.chmod(0o500)
    else:
        (cache / "rnnbench").write_text("")
    words = ["cell=mgu", "backend=compiled"]
    code, _, err = finish(spawn(tmp_path / "a", *words, XDG_CACHE_HOME=str(cache)))
    assert code == 0, err
    assert err.count("cells are compiled anew for each process.") == 1
    there = run([*SMALL, *words], results=tmp_path / "b")
    (here,) = store(tmp_path / "a").records().values()
    assert (here["id"], here["metrics"]) == (there["id"], there["metrics"])


def test_two_runs_that_compile_one_cell_at_once(tmp_path):
    cache = tmp_path / "cache"
    words = ["cell=mgu", "backend=compiled"]
    both = [spawn(tmp_path / name, *words, XDG_CACHE_HOME=str(cache)) for name in ("a", "b")]
    for process in both:
        code, _, err = finish(process)
        assert code == 0, err
    found = [next(iter(store(tmp_path / name).records().values())) for name in ("a", "b")]
    assert found[0]["metrics"] == found[1]["metrics"]
    assert len([p for p in (cache / "rnnbench" / "compiled").iterdir() if p.is_dir()]) == 1
