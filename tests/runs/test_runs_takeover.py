"""A run that another machine takes over while its process is suspended: who wakes up leaves quietly."""

from __future__ import annotations

import errno
import json
import os
import platform
import signal
import time

import pytest
from runs_tools import finish, job, spawn, store

from rnnbench.runs import attempts, living, run
from rnnbench.runs.recording import record_from_outside
from rnnbench.runs.watch import RunHooks
from rnnbench.store.store import Store, write_once

QUICK = ["budget.updates=60", "budget.val_every=10", "harness.checkpoint_seconds=0", "harness.diagnostics=false"]
LONG = ["budget.updates=600", "budget.val_every=20", "harness.checkpoint_seconds=0", "harness.diagnostics=false"]
MADE_BY = {"source_hash": "0" * 12, "own_source": None, "data_hash": "0" * 16}


def steps(folder):
    return [json.loads(line)["step"] for line in (folder / "history.jsonl").read_text().splitlines()]


@pytest.fixture
def another_machine(monkeypatch):
    """From a call on this process is another machine, five hours behind, that is quick to take one for dead."""

    def become():
        now = time.time
        living.WATCH.forget()
        monkeypatch.setattr(platform, "node", lambda: "another-machine")
        monkeypatch.setattr(time, "time", lambda: now() - 5 * 3600)
        monkeypatch.setattr(attempts, "STALE_SECONDS", 0.2)
        monkeypatch.setattr(attempts, "LOOK_SECONDS", 0.05)

    yield become
    living.WATCH.forget()


@pytest.mark.parametrize("when", ["validated", "save", "progress"])
def test_who_wakes_up_writes_nothing_and_the_other_has_each_step_once(tmp_path, monkeypatch, another_machine, when):
    """Within one process: in the midst of a run another machine does it, from its checkpoint, to the end."""
    made, before = job(*QUICK), {}
    folder = store(tmp_path).folder(made.id)
    real = getattr(RunHooks, when)

    def woken(self, *given):
        if self.update >= 30 and not before:
            before["now"] = 1
            self.claim.stop()  # its heart does not beat while it is suspended
            with monkeypatch.context() as patch:
                patch.setattr(RunHooks, when, real)
                another_machine()
                before["record"] = run.attempt(made, store(tmp_path))
            before["files"] = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}
            if when == "progress":
                self.claim._beat()  # its heart is the first to notice
        return real(self, *given)

    monkeypatch.setattr(RunHooks, when, woken)
    with pytest.raises(attempts.TakenOver, match="attempt 1 gave no sign for long, and another process has taken"):
        run.attempt(made, store(tmp_path))
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()} == before["files"]
    assert store(tmp_path).read(made.id) == before["record"]
    assert [seen.status for seen in attempts.look(folder)] == ["killed", "ok"]
    assert before["record"]["attempts"] == 2
    assert steps(folder) == list(range(10, 61, 10))


def test_a_row_that_was_under_way_goes_to_the_old_file(tmp_path):
    """Suspended between the look at its claim and the write."""
    mine = attempts.claim(tmp_path)
    given = (None, None, None)
    late = RunHooks(tmp_path, Silent(), *given[:2], {}, mine, MADE_BY)
    late.validated({"step": 1})
    other = RunHooks(tmp_path, Silent(), *given[:2], {"update": 1, "rows": 1}, mine, MADE_BY)
    late.validated({"step": 2})
    other.validated({"step": 2})
    assert steps(tmp_path) == [1, 2]
    for each in (late, other):
        each.close()
    mine.close("ok")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.write_bytes(b'{"step": 1}\n\xff\n')])
def test_a_history_that_is_none_of_ours_begins_anew(tmp_path, make):
    """A pipe would be waited for; bytes that are no text are rows of nobody's."""
    mine = attempts.claim(tmp_path)
    make(tmp_path / "history.jsonl")
    hooks = RunHooks(tmp_path, Silent(), None, None, {"update": 1, "rows": 1}, mine, MADE_BY)
    hooks.validated({"step": 2})
    hooks.close()
    mine.close("ok")
    assert steps(tmp_path)[-1] == 2


class Silent:
    def log(self, values, step):
        pass


@pytest.mark.parametrize("links", [True, False])
def test_a_record_is_never_written_over_another(tmp_path, monkeypatch, links):
    def none(*args, **more):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", none)
    path = tmp_path / "record.json"
    write_once(path, "first")
    with pytest.raises(FileExistsError):
        write_once(path, "second")
    assert path.read_text() == "first"
    assert [each.name for each in tmp_path.iterdir()] == ["record.json"]


def test_who_comes_second_with_a_record_has_the_first(tmp_path):
    made, kept = job(), Store.open(tmp_path)
    first = record_from_outside(made, kept, "killed", "died 3 times")
    assert record_from_outside(made, kept, "timeout", "later") == first == kept.read(made.id)


@pytest.mark.integration
def test_a_suspended_process_is_taken_over_and_leaves_quietly(tmp_path, another_machine):
    made = job(*LONG)
    late = spawn(tmp_path, *LONG)
    folder = store(tmp_path).folder(made.id)
    try:
        until = time.monotonic() + 60
        while not (folder / "last.ckpt").exists() and time.monotonic() < until:
            time.sleep(0.01)
        late.send_signal(signal.SIGSTOP)
        another_machine()
        record = run.attempt(made, store(tmp_path))
        rows = (folder / "history.jsonl").read_bytes()
    finally:
        late.send_signal(signal.SIGCONT)
    code, out, err = finish(late)
    assert (code, out) == (0, ""), err
    assert err == (
        "digits: 1,077/360/360 sequences of 8 steps, 8 features\n"
        "rnnbench: attempt 1 gave no sign for long, and another process has taken the run over; "
        "nothing is lost, it goes on there.\n"
    )
    assert (folder / "history.jsonl").read_bytes() == rows
    assert steps(folder) == list(range(20, 601, 20))
    assert [seen.status for seen in attempts.look(folder)] == ["killed", "ok"]
    assert store(tmp_path).read(made.id) == record
