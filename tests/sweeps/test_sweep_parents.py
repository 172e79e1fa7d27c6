"""What a sweep says where it cannot start its workers: one sentence, and a store that the same command goes on with."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver

import pytest
from sweeping import TINY, sweep

from rnnbench.errors import BadInput, no_start
from rnnbench.runs import host
from rnnbench.runs.plan import prepare
from rnnbench.store.store import Store
from rnnbench.sweeps import worker
from rnnbench.sweeps.executors import local
from rnnbench.sweeps.executors.base import Ended, NoWorker, Running
from rnnbench.sweeps.executors.hosted import Host, Place

GRID = [*TINY, "cell=rnn", "seed=range(2)"]


@pytest.fixture
def no_server(monkeypatch):
    """Each fork server is killed before it has started a worker; returns how often one was asked."""
    asked = []

    def start(self, job):
        asked.append(job.id)
        monkeypatch.setattr(local, "_fork_server", lambda: len(asked))
        raise EOFError("unexpected EOF")

    monkeypatch.setattr(local.Pool, "_start", start)
    monkeypatch.setattr(local, "_start_fork_server", lambda: None)
    return asked


def test_a_fork_server_that_dies_again_and_again_is_one_sentence(tmp_path, no_server):
    said = io.StringIO()
    result = sweep(*GRID, results=tmp_path, said=said)
    assert (result.exit_code, len(no_server)) == (1, local.DEATHS)
    assert result.stopped == (
        "no worker can be started: the process that starts them ended 3 times (unexpected EOF); "
        "is there memory enough for torch?"
    )
    assert set(result.open.values()) == {"not started"}
    assert len(result.open) == 2
    assert said.getvalue() == f"stopping: {result.stopped}\n"
    assert not any((tmp_path / "runs").glob("*/attempts/*")), "nothing counts against the runs"


def test_on_another_machine_it_is_no_fault_of_the_run(tmp_path, no_server):
    there = Host(Place.here(tmp_path))
    there.start(prepare(GRID[:-1]))
    assert there.busy
    answer = there.poll(0)
    assert (answer.word, answer.sentence.partition(":")[0]) == ("lost", "no worker can be started")
    assert (there.busy, there.poll(0)) == (False, None)


def test_one_that_cannot_be_reached_at_all_is_tried_for_a_while(tmp_path, monkeypatch):
    def refuse(self, job):
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr(local.Pool, "_start", refuse)
    monkeypatch.setattr(local, "_start_fork_server", lambda: None)
    monkeypatch.setattr(local, "DYING_SECONDS", 0.1)
    with pytest.raises(NoWorker, match=r"ended 1 time \(Resource temporarily unavailable\)"):
        local.Pool(1, tmp_path).submit(prepare(GRID[:-1]))


@pytest.fixture
def no_imports(monkeypatch):
    """A worker's process in which rnnbench cannot be imported; returns what it answers."""
    answers = []
    monkeypatch.setitem(sys.modules, "rnnbench.runs.run", None)
    monkeypatch.setattr(worker, "_answer", lambda connection, answer: answers.append(answer) or sys.exit())
    return answers


def test_a_worker_that_cannot_import_says_so(tmp_path, no_imports):
    """As with memory enough for the sweep, and too little for torch."""
    with pytest.raises(SystemExit):
        worker.work(prepare(GRID[:-1]), tmp_path, None, dict(os.environ), ())
    ((word, sentence),) = no_imports
    assert (word, sentence.partition(":")[0]) == ("unable", "a worker cannot start")


def test_a_sweep_whose_workers_cannot_start_stops_and_leaves_its_runs_open(tmp_path, monkeypatch):
    class Unable(local.Pool):
        def poll(self, seconds):
            while self._running:
                yield Ended(self._running.pop().job, "unable", "memory is too small", 0, 0.1)

    monkeypatch.setattr(Unable, "submit", lambda self, job: self._running.append(Running(job)))
    monkeypatch.setattr("rnnbench.sweeps.sweep.make_executor", lambda name, size, results, **own: Unable(size, results))
    result = sweep(*GRID, results=tmp_path, workers=1)
    assert (result.exit_code, result.records, result.stopped) == (1, {}, "memory is too small")
    assert sorted(result.open.values()) == ["memory is too small", "not started"]
    assert Store.open(tmp_path).ids() == []


def test_too_little_memory_is_said_so():
    error = ImportError("libtorch_cpu.so: failed to map segment from shared object")
    assert no_start(error) == (
        f"memory is too small to start torch ({error}): allow more (`ulimit -v`, the job's or container's limit)"
    )


def test_too_few_addresses_are_refused_before_anything_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(host.resource, "getrlimit", lambda which: (400 * 2**20, resource.RLIM_INFINITY))
    with pytest.raises(BadInput, match=r"memory is too small to start torch: this process may map 400 MB"):
        sweep(*GRID, results=tmp_path)
    assert Store.open(tmp_path).ids() == []


@pytest.mark.integration
@pytest.mark.parametrize("command", ["run", "sweep"])
def test_with_too_little_memory_the_command_ends_with_a_sentence(tmp_path, command):
    words = [sys.executable, "-m", "rnnbench", command, *GRID[:-1], "--results", str(tmp_path)]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -v 400000; exec "$@"', "bash", *words], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("rnnbench: memory is too small to start torch")
    assert done.stderr.count("\n") == 1
    assert Store.open(tmp_path).ids() == []


def test_a_daemonic_process_is_told_that_it_cannot_sweep(tmp_path, monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with pytest.raises(BadInput, match="a daemonic process of multiprocessing may start none: start the process"):
        sweep(*GRID, results=tmp_path)
    assert Store.open(tmp_path).ids() == []


@pytest.mark.integration
def test_a_fork_server_that_is_killed_while_it_starts_is_replaced(tmp_path):
    """After the time that a dead one may take to be gone: how long a start takes says nothing."""
    before, killed = getattr(forkserver._forkserver, "_forkserver_pid", None), []
    if before is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(before, signal.SIGKILL)

    def kill():
        while not killed:
            pid = forkserver._forkserver._forkserver_pid
            if pid not in (None, before):
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.7)  # longer than DYING_SECONDS
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "DYING_SECONDS", 0.5)
        result = sweep(*GRID, results=tmp_path)
    thread.join()
    assert (result.exit_code, len(result.records), len(killed)) == (0, 2, 1)
