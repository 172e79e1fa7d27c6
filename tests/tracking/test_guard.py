"""A tracker may warn, once; it never raises and never holds a run up."""

from __future__ import annotations

import threading
import time

import pytest

from rnnbench.tracking import Guarded, Tracker

PATIENCE = 5.0  # for what should happen at once, on a machine that is busy with something else


class Scripted(Tracker):
    """Notes its calls. Each can be told to hang until released, or to raise."""

    def __init__(self, hangs=(), raises=()):
        self.hangs = hangs
        self.raises = dict(raises)
        self.calls = []
        self.threads = set()
        self.entered = {verb: threading.Event() for verb in ("start", "log", "finish")}
        self.release = threading.Event()
        self.abandoned = threading.Event()

    def _do(self, verb, *args):
        self.threads.add(threading.current_thread())
        self.calls.append((verb, *args))
        self.entered[verb].set()
        if verb in self.hangs:
            self.release.wait(PATIENCE)
        if verb in self.raises:
            raise self.raises[verb]

    def start(self, info):
        self._do("start", info.id)

    def log(self, metrics, step):
        self._do("log", dict(metrics), step)

    def finish(self, record, ok):
        self._do("finish", record, ok)

    def abandon(self):
        self.abandoned.set()
        self.release.set()


def guarded(tracker, limit=PATIENCE, **more):
    warnings = []
    return Guarded(tracker, limit, warnings.append, **more), warnings


def wait_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def test_calls_arrive_in_order_and_in_one_other_thread(info, record):
    inner = Scripted()
    guard, warnings = guarded(inner)
    guard.start(info)
    for step in range(100):
        guard.log({"loss": step / 2}, step)
    guard.finish(record, ok=True)
    points = [("log", {"loss": step / 2}, step) for step in range(100)]
    assert inner.calls == [("start", info.id), *points, ("finish", record, True)]
    (thread,) = inner.threads
    assert thread.daemon
    assert thread is not threading.current_thread()
    wait_until(lambda: not thread.is_alive())
    assert not warnings
    assert not inner.abandoned.is_set()


def test_a_point_is_copied_so_the_caller_may_reuse_its_dict(info):
    inner = Scripted(hangs=["log"])
    guard, _ = guarded(inner)
    guard.start(info)
    point = {"loss": 1.0}
    guard.log(point, 1)
    guard.log(point, 2)
    inner.entered["log"].wait(PATIENCE)
    point["loss"] = 7.0
    inner.release.set()
    guard.finish(None, ok=False)
    assert inner.calls[1:3] == [("log", {"loss": 1.0}, 1), ("log", {"loss": 1.0}, 2)]


@pytest.mark.parametrize("verb", ["start", "log", "finish"])
@pytest.mark.parametrize("error", [RuntimeError("no server\nand a second line"), SystemExit(3), OSError()])
def test_what_raises_is_switched_off_with_one_sentence(info, record, verb, error):
    inner = Scripted(raises={verb: error})
    guard, warnings = guarded(inner)
    guard.start(info)
    for step in range(3):
        guard.log({"loss": 1.0}, step)
    guard.finish(record, ok=True)
    wait_until(lambda: warnings)
    guard.log({"loss": 1.0}, 9)
    guard.finish(record, ok=True)
    assert len(warnings) == 1
    assert type(error).__name__ in warnings[0]
    assert "\n" not in warnings[0]
    assert inner.abandoned.is_set()
    assert inner.calls[-1][0] == verb  # nothing came after it
    assert not guard.on


@pytest.mark.parametrize("verb", ["start", "finish"])
def test_what_hangs_costs_the_limit_and_no_more(info, record, verb):
    inner = Scripted(hangs=[verb])
    guard, warnings = guarded(inner, limit=0.2)
    began = time.monotonic()
    guard.start(info)
    guard.log({"loss": 1.0}, 1)
    guard.finish(record, ok=True)
    assert 0.2 <= time.monotonic() - began < 2
    assert len(warnings) == 1
    assert f"{verb} took longer than the 0.2 s" in warnings[0]
    assert inner.abandoned.is_set()


def test_start_and_finish_share_one_purse(info, record):
    now = [0.0]

    class Slow(Scripted):
        def _do(self, verb, *args):
            now[0] += 4.0
            super()._do(verb, *args)

    guard, warnings = guarded(Slow(), limit=10.0, clock=lambda: now[0])
    guard.start(info)
    assert guard.waited == 4.0
    guard.finish(record, ok=True)
    assert guard.waited == 8.0
    assert not warnings


def test_a_start_that_empties_the_purse_leaves_no_wait_for_finish(info, record):
    now = [0.0]
    inner = Scripted(hangs=["finish"])

    class Slow(Tracker):
        def start(self, info):
            now[0] += 10.0

        log = inner.log
        finish = inner.finish
        abandon = inner.abandon

    guard, warnings = guarded(Slow(), limit=10.0, clock=lambda: now[0])
    guard.start(info)
    began = time.monotonic()
    guard.finish(record, ok=True)
    assert time.monotonic() - began < 2
    assert len(warnings) == 1


def test_a_tracker_that_hangs_in_log_never_makes_log_wait(info, record):
    inner = Scripted(hangs=["log"])
    guard, warnings = guarded(inner, limit=0.2, queue_size=10)
    guard.start(info)
    guard.log({"loss": 0.0}, 0)
    inner.entered["log"].wait(PATIENCE)
    began = time.monotonic()
    for step in range(1, 1001):
        guard.log({"loss": 0.0}, step)
    assert time.monotonic() - began < 1
    assert guard.dropped == 990
    guard.finish(record, ok=True)
    assert len(warnings) == 1
    assert inner.abandoned.is_set()


def test_points_lost_by_a_slow_tracker_are_counted_in_the_one_warning(info, record):
    inner = Scripted(hangs=["log"])
    guard, warnings = guarded(inner, queue_size=4)
    guard.start(info)
    guard.log({"loss": 0.0}, 0)
    inner.entered["log"].wait(PATIENCE)
    for step in range(1, 10):
        guard.log({"loss": 0.0}, step)
    inner.release.set()
    guard.finish(record, ok=True)
    assert warnings == ["the tracker was too slow and lost 5 points; the history of the run has them all."]
    assert [call[0] for call in inner.calls] == ["start", *["log"] * 5, "finish"]


def test_an_abandon_that_raises_is_no_matter(info):
    class Stubborn(Scripted):
        def abandon(self):
            raise RuntimeError("no")

    guard, warnings = guarded(Stubborn(raises={"start": ValueError("bad")}))
    guard.start(info)
    assert len(warnings) == 1


def test_without_a_start_nothing_happens_and_a_second_one_is_ignored(info, record):
    inner = Scripted()
    guard, warnings = guarded(inner)
    guard.log({"loss": 1.0}, 1)
    guard.finish(record, ok=True)
    assert not inner.calls
    guard.start(info)
    guard.start(info)
    guard.finish(record, ok=True)
    guard.finish(record, ok=True)
    guard.start(info)
    assert [call[0] for call in inner.calls] == ["start", "finish"]
    assert not warnings


def test_abandon_ends_the_thread_without_a_word(info):
    inner = Scripted()
    guard, warnings = guarded(inner)
    guard.start(info)
    guard.abandon()
    (thread,) = inner.threads
    wait_until(lambda: not thread.is_alive())
    guard.finish(None, ok=False)
    assert inner.abandoned.is_set()
    assert not warnings


def test_a_log_call_costs_microseconds(info):
    guard, _ = guarded(Scripted())
    guard.start(info)
    costs = []
    for step in range(2000):
        began = time.perf_counter()
        guard.log({"train/loss": 1.0, "train/lr": 0.1}, step)
        costs.append(time.perf_counter() - began)
    guard.finish(None, ok=True)
    assert sorted(costs)[len(costs) // 2] < 200e-6  # about 1e-6 on an idle machine


@pytest.mark.integration
def test_a_process_with_a_hanging_tracker_still_ends(python):
    done = python("""
        import threading
        from pathlib import Path
        from rnnbench.tracking import Guarded, NoTracker, RunInfo

        class Hangs(NoTracker):
            def start(self, info):
                threading.Event().wait()

        guard = Guarded(Hangs(), 0.2, print)
        guard.start(RunInfo("a", "b", None, {}, 1, Path(".")))
        guard.finish(None, ok=True)
    """)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
