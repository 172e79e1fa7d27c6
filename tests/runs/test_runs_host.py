"""The machine and the provenance of a record."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from runs_tools import environment

import rnnbench
from rnnbench.runs import host
from rnnbench.runs.source_hash import source_hash
from rnnbench.toolchain import Toolchain

PACKAGE = Path(rnnbench.__file__).parent


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A checkout of our own: runs/ and conf copied, and its `host` module as `host` sees itself there."""
    target = tmp_path / "checkout" / "src" / "rnnbench"
    shutil.copytree(PACKAGE / "runs", target / "runs", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "checkout" / "conf").mkdir()
    (tmp_path / "checkout" / "conf" / "config.yaml").write_text("seed: 0\n")
    monkeypatch.setattr(host, "__file__", str(target / "runs" / "host.py"))
    host.git_state.cache_clear()
    yield tmp_path / "checkout"
    host.git_state.cache_clear()


def git_state():
    host.git_state.cache_clear()
    return host.git_state()


def git(folder, *args):
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b", *args], check=True, capture_output=True
    )


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_glibc_takes_the_tuning():
    assert host.tune_malloc() is True


def test_elsewhere_there_is_no_tuning(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert host.tune_malloc.__wrapped__() is False


def test_git_names_the_commit_and_whether_code_or_configs_differ(copied):
    assert git_state() == {"commit": None, "dirty": None}
    git(copied, "init", "-q")
    git(copied, "add", "-A")
    git(copied, "commit", "-qm", "x")
    clean = git_state()
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    (copied / "notes.md").write_text("no code")
    assert git_state() == clean
    (copied / "src/rnnbench/runs/vouched.jsonl").write_text("what the gate notes after its runs\n")
    assert git_state() == clean
    (copied / "conf" / "config.yaml").write_text("seed: 1\n")
    assert git_state() == {"commit": clean["commit"], "dirty": True}
    git(copied, "commit", "-qam", "y")
    after = git_state()
    assert after["dirty"] is False
    assert after["commit"] != clean["commit"]


def test_a_wheel_in_somebodys_repository_has_no_commit(copied):
    git(copied, "init", "-q")
    git(copied, "add", "-A")
    git(copied, "commit", "-qm", "x")
    shutil.rmtree(copied / "conf")
    assert git_state() == {"commit": None, "dirty": None}


def test_without_git_there_is_no_commit(copied, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_state() == {"commit": None, "dirty": None}


def test_packages_are_those_that_compute():
    import torch

    found = host.packages()
    assert found["torch"] == torch.__version__
    assert found["python"] == platform.python_version()
    assert {"numpy", "rnnbench", "hydra-core", "pytorch-lightning", "torchmetrics"} <= set(found)


def test_the_host_in_words():
    found = host.describe("cpu", malloc_tuned=True)
    assert set(found) == {"cpu", "simd", "system", "malloc_tuned", "omp_wait_policy"}
    assert found["cpu"]
    assert found["malloc_tuned"] is True


def test_the_host_of_a_compiled_cell_says_what_compiled_it(monkeypatch):
    there = Toolchain(("/usr/bin/cc",), "gcc 12.2.0", ("-O3", "-mavx2"), "x86-64 avx2")
    monkeypatch.setattr(host.toolchain, "find", lambda: there)
    found = host.describe("cpu", malloc_tuned=True, backend="compiled")
    assert (found["compiler"], found["compiler_flags"]) == ("gcc 12.2.0", "-O3 -mavx2")
    assert not host.describe("cpu", malloc_tuned=True, backend="native").keys() & {"compiler", "compiler_flags"}
    monkeypatch.setattr(host.toolchain, "find", lambda: None)
    assert "compiler" not in host.describe("cpu", malloc_tuned=True, backend="compiled")


def test_peak_memory_is_that_of_this_process():
    import psutil

    now = psutil.Process().memory_info().rss / 2**20
    assert 0.9 * now < host.peak_memory_mb("cpu") < 100 * now


def test_waiting_threads_are_asked_to_sleep_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    host.passive_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    host.passive_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.integration
def test_provenance_needs_no_torch(tmp_path):
    code = "import sys; from rnnbench.runs import host; from rnnbench.runs.source_hash import source_hash\n"
    code += "host.git_state(); host.packages(); print(source_hash()); assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path))
    assert (done.stdout.strip(), done.stderr) == (source_hash(), "")


def test_a_copy_without_git_is_not_the_repository_around_it(copied):
    """Which may well ignore it: then its tree looks clean, whatever the copy says."""
    outer = copied.parent
    git(outer, "init", "-q")
    (outer / ".gitignore").write_text("checkout/\n")
    git(outer, "add", "-A")
    git(outer, "commit", "-qm", "x")
    assert git_state() == {"commit": None, "dirty": None}
