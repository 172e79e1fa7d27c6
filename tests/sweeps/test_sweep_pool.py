"""Workers: each run in a process of its own, whose end is noticed and named, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import forkserver, resource_tracker, spawn

import psutil
import pytest
import torch
from sweeping import TINY, claims, until

from rnnbench.runs.plan import prepare
from rnnbench.store.store import Store
from rnnbench.sweeps.executors.local import Pool, _how_it_died, _without_main
from rnnbench.sweeps.worker import LEFT_TO_THE_SWEEP

CUDA = torch.version.cuda or torch.version.hip or torch.version.xpu
SMALL = [*TINY, "tracker=none"]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (-9, "the process was killed (SIGKILL)"),
        (-11, "the process was killed (SIGSEGV)"),
        (-77, "the process was killed (signal 77)"),
        (3, "the process ended with code 3"),
        (None, "the process ended with code None"),
    ],
)
def test_a_death_in_words(code, sentence):
    assert _how_it_died(code) == sentence


def test_a_worker_does_not_import_the_main_module_first(monkeypatch):
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "__spec__", None)
    monkeypatch.setattr(main, "__file__", __file__, raising=False)
    assert "init_main_from_path" in spawn.get_preparation_data("outside")
    with _without_main():
        assert not {"init_main_from_path", "init_main_from_name"} & set(spawn.get_preparation_data("inside"))
    assert main.__file__ == __file__


REHEARSED = """
import os, signal, sys, threading, torch
before = torch.get_rng_state(), signal.getsignal(signal.SIGTERM)
import rnnbench.sweeps.preload
from rnnbench.runs import host
from rnnbench.training import fit, stand_ins
assert stand_ins.waits(stand_ins.DYNAMO) and not {"sympy", "scipy.stats", "matplotlib", "pandas"} & sys.modules.keys()
assert torch.equal(before[0], torch.get_rng_state())
assert signal.getsignal(signal.SIGTERM) == before[1]
assert threading.enumerate() == [threading.main_thread()]
assert host.tune_malloc.cache_info().currsize == 0
print(os.environ["RNNBENCH_CONFIG_DIR"], len(fit._ready))
"""
IN_MEMORY = """
import pathlib, sys
import rnnbench.sweeps.preload
from rnnbench.runs.source_hash import FILES, ROOMS
package = pathlib.Path(rnnbench.__file__).parent
files = [package / name for name in FILES] + [path for room in ROOMS for path in (package / room).rglob("*.py")]
loaded = {getattr(module, "__file__", None) for module in sys.modules.values()}
print([str(path) for path in files if str(path) not in loaded])
"""


@pytest.mark.integration
def test_what_the_hash_covers_is_in_memory_before_a_worker_is_forked(tmp_path):
    """Else later workers import a cell that is edited while the sweep goes on, and record the old hash."""
    done = subprocess.run([sys.executable, "-c", IN_MEMORY], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux" or CUDA, reason="rehearsed on Linux, where torch knows no GPU")
def test_the_rehearsed_run_leaves_a_trainer_and_nothing_else(tmp_path):
    (tmp_path / "mine").mkdir()
    env = os.environ | {"RNNBENCH_CONFIG_DIR": str(tmp_path / "mine"), "RNNBENCH_RESULTS": str(tmp_path / "results")}
    done = subprocess.run([sys.executable, "-c", REHEARSED], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(tmp_path / "mine"), "1"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def drain(pool: Pool, count: int = 1):
    """The next `count` workers that end."""
    ended = []
    until(lambda: ended.extend(pool.poll(0.1)) or len(ended) >= count)
    return ended


@pytest.mark.integration
def test_a_worker_does_its_job_and_says_so(tmp_path):
    pool, job = Pool(2, tmp_path), prepare([*SMALL, "cell=rnn"])
    assert pool.free == 2
    pool.submit(job)
    assert pool.free == 1
    (ended,) = drain(pool)
    assert (ended.job, ended.word, ended.sentence, ended.exit_code) == (job, "ok", "", 0)
    assert 0 < ended.seconds < 60
    assert (pool.free, pool.running) == (2, [])
    assert Store.open(tmp_path).read(job.id)["status"] == "ok"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("how", "sentence", "code"),
    [
        ("kill", "the process was killed (SIGKILL)", -signal.SIGKILL),
        ("exit", "the process ended with code 3", 3),
        ("segfault", "the process was killed (SIGSEGV)", -signal.SIGSEGV),
    ],
)
def test_a_worker_that_dies_is_named_with_how(tmp_path, lab, how, sentence, code):
    pool, job = Pool(1, tmp_path), prepare([*SMALL, "cell=dying", f"cell.how={how}"])
    pool.submit(job)
    (ended,) = drain(pool)
    assert (ended.word, ended.sentence, ended.exit_code) == ("died", sentence, code)
    assert Store.open(tmp_path).read(job.id) is None
    assert claims(tmp_path, job.id) == [{}], "it had no time to say anything"


@pytest.mark.integration
def test_a_job_that_is_not_possible_is_refused_and_not_recorded(tmp_path):
    pool, job = Pool(1, tmp_path), prepare([*SMALL, "dataset=temporal_order", "dataset.T=5"])
    pool.submit(job)
    (ended,) = drain(pool)
    assert (ended.word, ended.exit_code) == ("refused", 0)
    assert "dataset.T must be a whole number of at least 20" in ended.sentence
    assert Store.open(tmp_path).read(job.id) is None


@pytest.mark.integration
def test_a_signal_while_the_fork_server_starts_is_neither_lost_nor_its_end(tmp_path, monkeypatch):
    """As when Ctrl-C reaches the whole group, or SLURM's warning the whole step, in the first moment of a sweep."""

    def in_that_moment():
        start()
        born.append(forkserver._forkserver._forkserver_pid)
        for number in LEFT_TO_THE_SWEEP:
            for pid in (born[0], resource_tracker._resource_tracker._pid, os.getpid()):
                os.kill(pid, number)

    Pool(1, tmp_path)
    psutil.Process(old := forkserver._forkserver._forkserver_pid).kill()
    os.waitid(os.P_PID, old, os.WEXITED | os.WNOWAIT)  # a zombie whose threads are not gone yet counts as alive
    resource_tracker._resource_tracker._stop()  # it is started with it, as in a new process
    start, heard, born = forkserver.ensure_running, [], []
    monkeypatch.setattr(forkserver, "ensure_running", in_that_moment)
    before = {n: signal.signal(n, lambda n, _: heard.append(n)) for n in LEFT_TO_THE_SWEEP}
    try:
        pool = Pool(1, tmp_path)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert sorted(heard) == sorted(LEFT_TO_THE_SWEEP)
    assert resource_tracker._resource_tracker._check_alive()
    monkeypatch.undo()
    pool.submit(prepare([*SMALL, "cell=rnn"]))
    assert drain(pool)[0].word == "ok"
    assert born == [forkserver._forkserver._forkserver_pid], "it has outlived both"
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


@pytest.mark.integration
def test_a_worker_told_to_end_writes_its_checkpoint_first(tmp_path, lab):
    pool, job = Pool(1, tmp_path), prepare([*SMALL, "cell=napping", "budget.updates=400"])
    pool.submit(job)
    until(lambda: (tmp_path / "runs" / job.id / "history.jsonl").exists())
    pool.running[0].process.terminate()
    (ended,) = drain(pool)
    assert ended.word == "interrupted"
    assert ended.sentence.startswith("SIGTERM received at update ")
    assert (tmp_path / "runs" / job.id / "last.ckpt").exists()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("heeded", "numbers"), [((signal.SIGTERM,), (signal.SIGUSR1, signal.SIGUSR2)), ((), LEFT_TO_THE_SWEEP)]
)
def test_a_signal_to_every_process_of_a_job_ends_no_run(tmp_path, lab, monkeypatch, heeded, numbers):
    """As SLURM's warning, and its SIGTERM where a host holds the worker: they are for submitit's task alone."""
    monkeypatch.setenv("LAB_NAP", "0.005")  # 0.1 s an update
    pool, job = Pool(1, tmp_path, heeded=heeded), prepare([*SMALL, "cell=napping", "budget.updates=24"])
    pool.submit(job)
    until(lambda: (tmp_path / "runs" / job.id / "history.jsonl").exists())
    server = forkserver._forkserver._forkserver_pid
    for pid in (server, resource_tracker._resource_tracker._pid, pool.running[0].process.pid):
        for number in numbers:
            os.kill(pid, number)
    (ended,) = drain(pool)
    assert (ended.word, ended.sentence) == ("ok", "")
    assert forkserver._forkserver._forkserver_pid == server
    assert psutil.Process(server).status() != psutil.STATUS_ZOMBIE
    assert resource_tracker._resource_tracker._check_alive()
    assert [claim["status"] for claim in claims(tmp_path, job.id)] == ["ok"]


@pytest.mark.integration
def test_a_second_worker_finds_the_run_busy(tmp_path):
    pool, job = Pool(2, tmp_path), prepare([*SMALL, "cell=rnn", "budget.updates=100000"])
    pool.submit(job)
    until(lambda: (tmp_path / "runs" / job.id / "history.jsonl").exists())
    pool.submit(job)
    (busy,) = drain(pool)
    assert busy.word == "busy"
    assert "is being done by another process" in busy.sentence
    pool.cancel("the test is over")
    (stopped,) = drain(pool)
    assert (stopped.word, stopped.exit_code) == ("interrupted", 0)
    assert stopped.sentence.startswith("the test is over at update ")
    assert (tmp_path / "runs" / job.id / "last.ckpt").exists()


@pytest.mark.integration
def test_a_worker_ends_by_itself_when_nobody_listens_any_more(tmp_path):
    pool, job = Pool(1, tmp_path), prepare([*SMALL, "cell=rnn", "budget.updates=100000"])
    pool.submit(job)
    until(lambda: (tmp_path / "runs" / job.id / "history.jsonl").exists())
    pool.running[0].connection.close()
    until(lambda: not pool.running[0].process.is_alive(), 10)
    (outcome,) = claims(tmp_path, job.id)
    assert outcome["status"] == "interrupted"
    assert outcome["reason"].startswith("the sweep is gone at update ")
    assert (tmp_path / "runs" / job.id / "last.ckpt").exists()


@pytest.mark.integration
def test_killed_workers_are_gone_at_once(tmp_path):
    pool = Pool(2, tmp_path)
    jobs = [prepare([*SMALL, "cell=rnn", "budget.updates=100000", f"seed={seed}"]) for seed in (0, 1)]
    for job in jobs:
        pool.submit(job)
    until(lambda: all((tmp_path / "runs" / job.id / "history.jsonl").exists() for job in jobs))
    processes = [psutil.Process(running.process.pid) for running in pool.running]
    began = time.monotonic()
    pool.kill()
    ended = drain(pool, 2)
    assert time.monotonic() - began < 5
    assert {(e.word, e.exit_code) for e in ended} == {("died", -9)}
    assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


@pytest.mark.integration
def test_what_a_run_prints_goes_to_its_attempt(tmp_path, capfd):
    pool, job = Pool(1, tmp_path), prepare([*SMALL, "cell=rnn"])
    pool.submit(job)
    drain(pool)
    assert (tmp_path / "runs" / job.id / "attempts" / "001" / "stdout.txt").exists()
    assert capfd.readouterr() == ("", "")
