"""Runs over a real Ray: the same records as local ones, also when a node is killed under them."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from sweeping import TINY, call, claims, comparable, family, gone, start, until

from rnnbench.store.store import Store

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
]
GRID = [*TINY, "cell=napping", "budget.updates=60", "harness.checkpoint_seconds=0"]


@pytest.fixture
def two_nodes(monkeypatch, tmp_path):
    """A cluster of two nodes with one CPU each: its address and the process that kills the second at a line."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # of this machine only
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("LAB_NAP", "0.01")
    cluster = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("ray_cluster.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path,
    )  # fmt: skip
    address = cluster.stdout.readline().strip()
    everything = family(cluster)
    yield address, cluster
    cluster.stdin.close()
    cluster.wait(timeout=60)
    cluster.stdout.close()
    for process in everything:
        if not gone([process]):
            process.kill()


@pytest.mark.slow
def test_a_node_is_killed_and_every_run_is_recorded_as_if_nothing_had_been(two_nodes, tmp_path):
    address, cluster = two_nodes
    results = tmp_path / "ray"
    process = start(
        "sweep", *GRID, "seed=range(3)", "--workers", "2", "--executor", "ray", "--executor-option",
        f"address={address}", results=results, cwd=tmp_path, nap=0.01,
    )  # fmt: skip
    until(lambda: len(list(results.glob("runs/*/last.ckpt"))) == 2)
    cluster.stdin.write("kill\n")
    cluster.stdin.flush()
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "it goes on elsewhere" in err
    assert "3 runs: 3 ok" in err
    assert "raylet" not in out + err
    assert call("sweep", *GRID, "seed=range(3)", results=tmp_path / "local", cwd=tmp_path).returncode == 0
    assert comparable(results) == comparable(tmp_path / "local")
    tried = [len(claims(results, run_id)) for run_id in Store.open(results).ids()]
    assert sorted(tried) == [1, 1, 2]
    assert not list(results.glob(".shared-*"))


def addresses(processes):
    """Where the processes listen."""
    pids = {process.pid for process in processes}
    found = {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid in pids}
    return {ip.removeprefix("::ffff:") for ip in found}


def test_a_ray_of_our_own_is_this_machines_only_and_ends_with_the_sweep(tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    process = start(
        "sweep", *GRID, "seed=range(2)", "--executor", "ray", "--workers", "2", results=tmp_path / "r", cwd=tmp_path,
        nap=0.05,
    )  # fmt: skip
    until(lambda: len(list(tmp_path.glob("r/runs/*/last.ckpt"))) == 2)
    processes = [psutil.Process(process.pid), *family(process)]
    assert addresses(processes) == {"127.0.0.1"}
    raylet = next(p for p in processes if p.name() == "raylet")
    assert raylet.environ()["RAY_AUTH_MODE"] == "token"
    assert len(raylet.environ()["RAY_AUTH_TOKEN"]) == 64
    os.killpg(process.pid, signal.SIGINT)  # Ctrl-C reaches all of them: only the sweep says when a run stops
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert [c["status"] for i in Store.open(tmp_path / "r").ids() for c in claims(tmp_path / "r", i)] == [
        "interrupted"
    ] * 2
    until(lambda: gone(processes))


def test_a_cluster_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    done = call(
        "sweep", *GRID, "--executor", "ray", "--executor-option", "address=127.0.0.1:9", results=tmp_path, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no Ray cluster at 127.0.0.1:9" in done.stderr


def test_a_node_that_does_not_see_the_store_is_named_before_any_run(tmp_path):
    # The small file by which a node knows the store is taken away before any node can look for it.
    script = (
        "import sys\n"
        "from rnnbench.sweeps.executors import hosted, ray\n"
        "here = hosted.Place.here\n"
        "def elsewhere(results, memory=None):\n"
        "    place = here(results, memory)\n"
        "    place.clear()\n"
        "    return place\n"
        "hosted.Place.here = staticmethod(elsewhere)\n"
        "from rnnbench.cli import main\n"
        "sys.exit(main())\n"
    )
    words = ["sweep", *TINY, "cell=rnn", "--executor", "ray", "--workers", "1", "--results", str(tmp_path / "r")]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert "does not see the store" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("r/runs/*"))
