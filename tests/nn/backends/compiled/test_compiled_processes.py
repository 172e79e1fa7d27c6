"""What is compiled belongs to the user: several processes, threads, caches that cannot be written to, no compiler."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from against_eager import needs_compiler
from rnnbench import toolchain

pytestmark = [needs_compiler, pytest.mark.integration]
TESTS = Path(__file__).parents[3]

# Trains a little and prints a digest of all numbers, then the backend and the denormal that must be kept.
TRAINS = """
import hashlib, sys
import torch
from against_eager import Call, drawn_real, drawn_x, scaled
from registry import build, weigh
from rnnbench.nn import Layer
torch.set_num_threads(int(sys.argv[1]))
digest = hashlib.sha256()
for name, peephole in (("lstm", "on"), ("gru_cho", "off")):
    net = Layer(scaled(build(name, peephole, 3, 40), name), backend=sys.argv[2])
    call = Call(batch=70, steps=30, lengths=True)
    x, real = drawn_x(call, torch.float32), drawn_real(call)
    optimizer = torch.optim.Adam(net.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        output, state = net(x, **real)
        weigh(output, state).backward()
        optimizer.step()
        digest.update(output.detach().numpy().tobytes())
    for p in net.parameters():
        digest.update(p.detach().numpy().tobytes())
print(digest.hexdigest(), net.backend, (torch.tensor([1e-39]) * 1).item() > 0)
"""


def start(*arguments, cache, **environment):
    path = os.pathsep.join([str(TESTS), *sys.path])
    kept = {key: value for key, value in os.environ.items() if key not in environment}
    return subprocess.Popen(
        [sys.executable, "-c", TRAINS, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=kept | {"PYTHONPATH": path, "XDG_CACHE_HOME": str(cache)} | environment,
    )  # fmt: skip


def said(process):
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return out.split(), err


def test_two_processes_that_compile_one_cell_at_once_have_one_library(tmp_path):
    """And the same bits, whatever their hash seed and number of threads; so has one that finds what they made."""
    together = [start("1", "compiled", cache=tmp_path, PYTHONHASHSEED="1"),
                start("3", "compiled", cache=tmp_path, PYTHONHASHSEED="2", OMP_NUM_THREADS="3")]  # fmt: skip
    found = [said(process)[0] for process in together]
    kept = sorted(p.name for p in (tmp_path / "rnnbench" / "compiled").iterdir() if p.is_dir())
    assert len(kept) == 2, "a library for each of the two cells, and no folder that is half made"
    later, err = said(start("2", "compiled", cache=tmp_path, PATH="/nonexistent", RNNBENCH_CC=str(cc())))
    assert found == [later, later]
    assert later[1:] == ["compiled", "True"]
    assert err == ""
    assert sorted(p.name for p in (tmp_path / "rnnbench" / "compiled").iterdir() if p.is_dir()) == kept


def cc():
    return toolchain.find().command[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_cache_that_cannot_be_written_to_is_said_and_gives_the_same_bits(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    open_cache = tmp_path / "open"
    found, err = said(start("1", "compiled", cache=closed))
    assert "cells are compiled anew for each process." in err
    assert found == said(start("1", "compiled", cache=open_cache))[0]


def test_a_cache_that_is_no_folder_can_be_written_to_by_nobody(tmp_path):
    """Also by root: what should be the cache's parent is a file."""
    (tmp_path / "rnnbench").write_text("")
    found, err = said(start("1", "compiled", cache=tmp_path))
    assert "cells are compiled anew for each process." in err
    assert found[1:] == ["compiled", "True"]


def test_without_a_compiler_auto_goes_on_and_compiled_says_why(tmp_path):
    nowhere = {"PATH": str(tmp_path), "RNNBENCH_CC": ""}
    assert said(start("1", "auto", cache=tmp_path, **nowhere))[0][1] in ("eager", "native")
    out, err = start("1", "compiled", cache=tmp_path, **nowhere).communicate(timeout=200)
    assert out == ""
    assert "ValueError: backend=compiled: RNNBENCH_CC is empty, so no C compiler is used; use backend=eager" in err


def test_threads_that_compile_one_cell_at_once(tmp_path, monkeypatch):
    import torch

    from registry import build
    from rnnbench.nn import Layer
    from rnnbench.nn.backends.compiled import proof

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(proof, "PROVEN", set())
    cell, x, found = build("mgu"), torch.ones(2, 3, 3), []
    net = Layer(cell, backend="compiled")
    threads = [threading.Thread(target=lambda: found.append(net(x)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(torch.equal(each, found[0]) for each in found)
