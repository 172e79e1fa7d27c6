"""The machine and the provenance of a record."""

import hashlib
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

PACKAGE = Path(rnnbench.__file__).parent


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A checkout of our own: src/rnnbench and conf copied, and its `host` module as `host` sees itself there."""
    target = tmp_path / "checkout" / "src" / "rnnbench"
    for room in (*host.SOURCE_ROOMS, "runs"):
        shutil.copytree(PACKAGE / room, target / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "checkout" / "conf").mkdir()
    (tmp_path / "checkout" / "conf" / "config.yaml").write_text("seed: 0\n")
    monkeypatch.setattr(host, "__file__", str(target / "runs" / "host.py"))
    for function in (host.source_hash, host.known_source_hashes, host.git_state):
        function.cache_clear()
    yield tmp_path / "checkout"
    for function in (host.source_hash, host.known_source_hashes, host.git_state):
        function.cache_clear()


def source_hash():
    host.source_hash.cache_clear()
    return host.source_hash()


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


def test_the_source_hash_is_of_the_files_alone(copied):
    before = source_hash()
    assert len(before) == 12
    shutil.move(copied / "src", copied.parent / "elsewhere")
    shutil.move(copied.parent / "elsewhere", copied / "src")
    (copied / "src/rnnbench/nn/notes.txt").write_text("no source")
    assert source_hash() == before


@pytest.mark.integration
@pytest.mark.parametrize("room", ["nn", "datasets", "training"])
def test_the_source_hash_moves_with_any_file_that_changes_a_result(copied, room):
    before = source_hash()
    paths = sorted((copied / "src/rnnbench" / room).rglob("*.py"))
    for path in (paths[0], paths[-1]):
        text = path.read_text()
        path.write_text(text + "more = 1\n")
        assert source_hash() != before
        path.write_text(text)
    assert source_hash() == before
    paths[-1].rename(paths[-1].with_name("renamed.py"))
    assert source_hash() != before


@pytest.mark.integration
def test_the_source_hash_moves_with_code_and_not_with_words(copied):
    path = copied / "src/rnnbench/nn/sizes.py"

    def hash_of(text):
        path.write_text(text)
        return source_hash()

    code = '"""What."""\n\n\ndef size(n: int, *, of="a") -> int:\n    """How."""\n    return n + 1\n'
    before = hash_of(code)
    for text in (
        code.replace("What.", "Something else."),
        code.replace('    """How."""\n', ""),
        code.replace("    return n + 1", "    # why\n    return (\n        n\n        + 1\n    )  # so"),
        code.replace('"a"', "'a'"),
    ):
        assert hash_of(text) == before
    for text in (
        code.replace("n + 1", "n + 2"),
        code.replace("n + 1", "n - 1"),
        code.replace("n + 1", "n + 1.0"),
        code.replace('of="a"', 'of="b"'),
        code.replace("n: int, *,", "n: int,"),
        code.replace('    """How."""\n', '    "a" + "b"\n'),
    ):
        assert hash_of(text) != before


def test_a_record_of_before_the_syntax_trees_is_known_by_the_bytes(copied):
    digest = hashlib.sha256()
    root = copied / "src/rnnbench"
    for path in sorted(p for room in host.SOURCE_ROOMS for p in (root / room).rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    host.source_hash.cache_clear()
    assert host.known_source_hashes() == {host.source_hash(), digest.hexdigest()[:12]}


def test_the_source_hash_does_not_move_with_the_rest_of_the_house(copied):
    before = source_hash()
    (copied / "src/rnnbench/runs/run.py").write_text("")
    (copied / "src/rnnbench/cli.py").write_text("")
    assert source_hash() == before


def test_git_names_the_commit_and_whether_code_or_configs_differ(copied):
    assert git_state() == {"commit": None, "dirty": None}
    git(copied, "init", "-q")
    git(copied, "add", "-A")
    git(copied, "commit", "-qm", "x")
    clean = git_state()
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    (copied / "notes.md").write_text("no code")
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
    code = "import sys; from rnnbench.runs import host; host.source_hash(); host.git_state(); host.packages()\n"
    code += "assert 'torch' not in sys.modules; print(host.source_hash())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path))
    assert (done.stdout.strip(), done.stderr) == (host.source_hash(), "")
