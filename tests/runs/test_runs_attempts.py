"""Claims: one living process a run, whoever died is known to be dead, and the first word about an end counts."""

import errno
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from runs_tools import environment

from rnnbench.runs import attempts, living

ME = psutil.Process()


def put(run, number, *, outcome=None, beat=None, **claim):
    """An attempt's folder as some process left it. beat: seconds since its last heartbeat."""
    folder = run / "attempts" / f"{number:03d}"
    folder.mkdir(parents=True)
    own = {"host": platform.node(), "pid": ME.pid, "born": ME.create_time(), "time": time.time() - 100}
    (folder / "claim.json").write_text(json.dumps(own | claim))
    if beat is not None:
        (folder / "heartbeat").touch()
        os.utime(folder / "heartbeat", (time.time() - beat,) * 2)
    if outcome is not None:
        (folder / "outcome.json").write_text(json.dumps(outcome))
    return folder


class Clock:
    """A watcher's monotonic clock, moved by hand."""

    def __init__(self):
        self.now = 1000.0

    def watch(self, run, seconds, every=5.0):
        """Look at a run again and again for so long."""
        attempts.look(run)
        for _ in range(round(seconds / every)):
            self.now += every
            attempts.look(run)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    living.WATCH.forget()
    monkeypatch.setattr(living, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


def statuses(run):
    return [seen.status for seen in attempts.look(run)]


def dead_pid():
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def test_nobody_was_here(tmp_path):
    assert attempts.look(tmp_path / "nowhere") == []


def test_a_claim_shuts_others_out_until_it_is_closed(tmp_path):
    mine = attempts.claim(tmp_path)
    assert mine.number == 1
    assert statuses(tmp_path) == ["running"]
    assert attempts.claim(tmp_path) is None
    assert attempts.claim_when_dead(tmp_path) is None, "its process lives here: there is nothing to wait for"
    mine.close("interrupted", "Ctrl-C")
    assert statuses(tmp_path) == ["interrupted"]
    again = attempts.claim(tmp_path)
    assert again.number == 2
    again.close("ok")
    assert statuses(tmp_path) == ["interrupted", "ok"]


def test_a_claim_says_who(tmp_path):
    mine = attempts.claim(tmp_path)
    claim = json.loads((mine.folder / "claim.json").read_text())
    assert (claim["host"], claim["pid"], claim["born"]) == (platform.node(), os.getpid(), ME.create_time())
    assert claim["time"] == pytest.approx(time.time(), abs=5)
    mine.close("ok")


def test_the_first_word_counts(tmp_path):
    mine = attempts.claim(tmp_path)
    mine.close("diverged", "the loss", traceback="Traceback ...")
    written = (mine.folder / "outcome.json").read_bytes()
    mine.close("ok")
    attempts.write_outcome(mine.folder, "killed", "later", 1.0, own_death=True)
    assert attempts.note_death(tmp_path, "later") == 0
    assert (mine.folder / "outcome.json").read_bytes() == written
    assert json.loads(written).items() >= {"status": "diverged", "reason": "the loss"}.items()
    assert (mine.folder / "traceback.txt").read_text() == "Traceback ..."


def test_seconds_are_those_from_claim_to_end(tmp_path):
    mine = attempts.claim(tmp_path)
    mine._began -= 7
    mine.close("interrupted")
    assert attempts.look(tmp_path)[0].seconds == pytest.approx(7, abs=1)


def test_the_heart_beats_until_it_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "BEAT_SECONDS", 0.01)
    mine = attempts.claim(tmp_path)
    beat = mine.folder / "heartbeat"

    def moves(seconds=2.0):
        until, before = time.monotonic() + seconds, beat.stat().st_mtime_ns if beat.exists() else 0
        while time.monotonic() < until:
            if beat.exists() and beat.stat().st_mtime_ns != before:
                return True
            time.sleep(0.005)
        return False

    assert moves()
    assert moves()
    mine.close("ok")
    mine._thread.join(2)
    assert not mine._thread.is_alive()
    assert not moves(0.1)


def test_a_heart_that_cannot_write_for_a_moment_beats_on(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "BEAT_SECONDS", 0.01)
    mine = attempts.claim(tmp_path)
    mine.folder.rename(tmp_path / "away")
    time.sleep(0.1)
    assert mine._thread.is_alive()
    (tmp_path / "away").rename(mine.folder)
    mine.close("ok")


def test_a_process_that_is_gone_was_killed_at_once(tmp_path):
    pid = dead_pid()
    put(tmp_path, 1, pid=pid, beat=0)
    assert attempts.look(tmp_path) == [
        attempts.Seen(1, "killed", f"process {pid} is gone", pytest.approx(100, abs=1)),
    ]
    assert attempts.claim(tmp_path).number == 2


def test_a_new_process_with_the_old_number_does_not_count(tmp_path):
    put(tmp_path, 1, born=ME.create_time() - 50, beat=0)
    assert statuses(tmp_path) == ["killed"]


def test_a_process_that_lives_runs_however_long_it_has_not_beaten(tmp_path):
    put(tmp_path, 1, beat=10_000)
    assert statuses(tmp_path) == ["running"]
    assert attempts.claim(tmp_path) is None


def test_a_zombie_is_dead(tmp_path):
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    put(tmp_path, 1, pid=process.pid, born=psutil.Process(process.pid).create_time(), beat=0)
    assert statuses(tmp_path) == ["running"]
    process.stdin.close()
    until = time.monotonic() + 10
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.01)
    assert statuses(tmp_path) == ["killed"]
    process.wait()


@pytest.mark.parametrize("beat", [0, 61, 9999, -7200])
def test_on_another_host_only_a_heartbeat_that_was_watched_counts(tmp_path, clock, beat):
    """Its stamp may be of a clock that is hours away from ours."""
    folder = put(tmp_path, 1, host="elsewhere", pid=1, beat=beat)
    clock.watch(tmp_path, 55)
    (seen,) = attempts.look(tmp_path)
    assert (seen.status, seen.host) == ("running", "elsewhere")
    assert seen.silent == pytest.approx(max(0, beat), abs=5)
    assert attempts.claim(tmp_path) is None
    os.utime(folder / "heartbeat", (time.time() - beat,) * 2)  # a sign, though the stamp is as old as before
    clock.watch(tmp_path, 55)
    assert statuses(tmp_path) == ["running"]
    clock.watch(tmp_path, 5)
    assert attempts.look(tmp_path)[0].reason == "no heartbeat from elsewhere for 60 s"
    assert attempts.claim(tmp_path).number == 2
    assert json.loads((folder / "outcome.json").read_text())["reason"] == "no heartbeat from elsewhere for 60 s"


def test_a_watcher_that_was_suspended_has_not_watched(tmp_path, clock):
    put(tmp_path, 1, host="elsewhere", beat=0)
    attempts.look(tmp_path)
    clock.now += 7200
    assert statuses(tmp_path) == ["running"]
    assert attempts.claim(tmp_path) is None


def test_a_foreign_claim_without_any_heartbeat_is_watched_too(tmp_path, clock):
    folder = put(tmp_path, 1, host="elsewhere")
    os.utime(folder / "claim.json", (time.time() - 7200,) * 2)
    assert statuses(tmp_path) == ["running"]
    clock.watch(tmp_path, 60)
    assert statuses(tmp_path) == ["killed"]


NOBODY = [
    b"", b"{", b'{"host": "x"', b"null", b"[]", b"{}", b'{"host": "x"}', b"\x00\x00",
    b"[" * 60_000, b"\xff\xfe", b"1" * 70_000,
    b'{"host": "x", "pid": 99999999999999999999999, "born": 1.0}', b'{"host": "x", "pid": -1, "born": 1.0}',
    b'{"host": "x", "pid": 1, "born": 1e999}', b'{"host": "x", "pid": true, "born": 1}',
    b'{"host": {}, "pid": 1, "born": 1}',
    b'{"host": "x", "pid": 1, "born": 1' + b"0" * 400 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("text", NOBODY, ids=lambda text: repr(text[:40]))
def test_a_claim_that_names_nobody_is_somebody_at_work_until_it_was_watched(tmp_path, clock, text):
    folder = put(tmp_path, 1)
    (folder / "claim.json").write_bytes(text)
    for path in (folder / "claim.json", folder):
        os.utime(path, (time.time() - 7200,) * 2)
    assert statuses(tmp_path) == ["running"]
    assert attempts.claim(tmp_path) is None
    clock.watch(tmp_path, 60)
    assert attempts.look(tmp_path) == [attempts.Seen(1, "killed", "no claim written", pytest.approx(0, abs=0))]


def test_a_claimer_that_died_before_its_first_word_is_forgotten_in_a_minute(tmp_path, clock):
    (tmp_path / "attempts" / "001").mkdir(parents=True)
    assert statuses(tmp_path) == ["running"]
    clock.watch(tmp_path, 60)
    assert statuses(tmp_path) == ["killed"]


@pytest.mark.parametrize("name", ["claim.json", "outcome.json", "heartbeat"])
def test_a_fifo_is_not_waited_for(tmp_path, clock, name):
    folder = put(tmp_path, 1, host="elsewhere")
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    assert statuses(tmp_path) == ["killed" if name == "outcome.json" else "running"]


@pytest.mark.parametrize(
    "said",
    [{"ticks": 10**30}, {"ticks": "x"}, {"boot": 3}, {"space": -1}, {"boot": None, "ticks": 1.5},
     {"time": "x"}, {"time": 1e308}],
    ids=str,
)  # fmt: skip
def test_odd_words_of_a_claim_are_as_if_they_were_not_said(tmp_path, said):
    put(tmp_path, 1, **said)
    assert statuses(tmp_path) == ["running"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "{}", "3", '{"status": "ok"}', "[" * 60_000, '{"status": "running", "reason": "", "seconds": 1}',
     '{"status": [], "reason": "", "seconds": 1}', '{"status": "ok", "reason": {}, "seconds": 1}',
     '{"status": "ok", "reason": "", "seconds": 1e999}', '{"status": "ok", "reason": "", "seconds": "1"}'],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_a_torn_outcome_is_a_kill(tmp_path, text):
    folder = put(tmp_path, 1)
    (folder / "outcome.json").write_text(text)
    assert attempts.look(tmp_path) == [attempts.Seen(1, "killed", "its outcome.json cannot be read", 0.0)]


def test_other_folders_are_no_attempts(tmp_path):
    (tmp_path / "attempts" / ".tmp").mkdir(parents=True)
    for name in ("notes", "²", "1", "0001", "-01", "\u0661\u0662\u0663"):
        (tmp_path / "attempts" / name).mkdir()
    (tmp_path / "attempts" / "002").touch()
    (tmp_path / "attempts" / "003").symlink_to(tmp_path)
    assert attempts.look(tmp_path) == []
    assert attempts.claim(tmp_path).number == 1


def test_attempts_are_in_order_beyond_a_thousand(tmp_path):
    for number in (1, 999, 1000, 1001):
        put(tmp_path, number, outcome={"status": "interrupted", "reason": "", "seconds": 1.0})
    assert [seen.number for seen in attempts.look(tmp_path)] == [1, 999, 1000, 1001]
    assert attempts.claim(tmp_path).number == 1002


def test_only_deaths_under_a_living_sweep_are_counted(tmp_path):
    """Killed with its sweep, stopped, refused: none is a death of the run's own."""
    put(tmp_path, 1, pid=dead_pid(), beat=500)  # the machine went down
    put(tmp_path, 2, outcome={"status": "interrupted", "reason": "Ctrl-C", "seconds": 1.0})
    put(tmp_path, 3, pid=dead_pid(), beat=0)
    assert attempts.note_death(tmp_path, "it was killed by signal 9") == 1
    seen = attempts.look(tmp_path)
    assert [(s.status, s.own_death) for s in seen] == [("killed", False), ("interrupted", False), ("killed", True)]
    assert seen[2].reason == "it was killed by signal 9"
    assert not (tmp_path / "attempts" / "001" / "outcome.json").exists()


def test_deaths_add_up(tmp_path):
    for n in (1, 2, 3):
        put(tmp_path, n, pid=dead_pid(), beat=0)
        assert attempts.note_death(tmp_path, "again") == n
        assert attempts.note_death(tmp_path, "again") == n  # told twice is not died twice
    assert attempts.deaths(tmp_path) == 3 == attempts.DEATHS


def test_a_living_attempt_is_not_declared_dead(tmp_path):
    put(tmp_path, 1, beat=0)
    assert attempts.note_death(tmp_path, "no") == 0
    assert statuses(tmp_path) == ["running"]


def test_temporaries_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "LEFT_SECONDS", 0.0)
    folder = put(tmp_path, 1, pid=dead_pid())
    old, new, kept = tmp_path / ".record.json.abc", tmp_path / ".last.ckpt.def", tmp_path / "last.ckpt"
    unborn = tmp_path / "attempts" / ".002.ghi"
    unborn.mkdir()
    for path in (old, new, kept, folder / ".outcome.json.jkl", unborn / "claim.json"):
        path.touch()
    future = time.time() + 7200  # as after a step of the clock
    for path in (old, kept, folder / ".outcome.json.jkl", unborn):
        os.utime(path, (future, future))
    left = [new, old, unborn, folder / ".outcome.json.jkl"]
    assert sorted(attempts.temporaries(tmp_path)) == sorted(left)
    put(tmp_path, 2)
    attempts.tidy([tmp_path])
    assert sorted(attempts.temporaries(tmp_path)) == sorted(left), "somebody is at work"
    (tmp_path / "attempts" / "002" / "outcome.json").write_text('{"status": "ok", "reason": "", "seconds": 1}')
    monkeypatch.setattr(attempts.time, "sleep", lambda seconds: new.write_text("more"))  # its writer is at work
    attempts.tidy([tmp_path])
    assert attempts.temporaries(tmp_path) == [new]
    assert kept.exists()


def test_who_claims_a_run_removes_what_the_dead_left(tmp_path):
    put(tmp_path, 1, pid=dead_pid())
    (tmp_path / ".last.ckpt.def").touch()
    mine = attempts.claim(tmp_path)
    assert mine.number == 2
    assert attempts.temporaries(tmp_path) == []
    mine.close("ok")


def test_a_claim_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(self, *args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(attempts.Path, "rename", full)
        with pytest.raises(OSError, match="No space left"):
            attempts.claim(tmp_path)
    assert list((tmp_path / "attempts").iterdir()) == []
    mine = attempts.claim(tmp_path)
    assert mine.number == 1
    mine.close("ok")


def test_what_was_set_aside_counts_no_more(tmp_path):
    for n in (1, 2):
        put(tmp_path, n, pid=dead_pid(), beat=0)
        attempts.note_death(tmp_path, "again")
    put(tmp_path, 3, outcome={"status": "oom", "reason": "out of memory", "seconds": 1.0})
    assert (attempts.deaths(tmp_path), attempts.out_of_memory(tmp_path)) == (2, 1)
    attempts.forgive(tmp_path)
    assert (attempts.deaths(tmp_path), attempts.out_of_memory(tmp_path)) == (0, 0)
    put(tmp_path, 4, pid=dead_pid(), beat=0)
    assert attempts.note_death(tmp_path, "and again") == 1
    assert [seen.forgiven for seen in attempts.look(tmp_path)] == [True, True, True, False]


def test_the_end_of_a_process_that_is_gone_can_be_told_by_another(tmp_path):
    put(tmp_path, 1, pid=dead_pid(), beat=0)
    attempts.note_end(tmp_path, "oom", "it held too much")
    put(tmp_path, 2)
    attempts.note_end(tmp_path, "oom", "this one lives")
    assert statuses(tmp_path) == ["oom", "running"]
    assert attempts.alive(tmp_path)


@pytest.mark.parametrize("step", [-7200, -3, 3, 7200])
def test_a_step_of_the_wall_clock_kills_nobody(tmp_path, monkeypatch, step):
    """The start of the machine by the wall clock moves with it, and so does what psutil says of a process."""
    mine = attempts.claim(tmp_path)
    mine._began -= 7
    create, now = psutil.Process.create_time, time.time
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: create(self) + step)
    monkeypatch.setattr(time, "time", lambda: now() + step)
    assert statuses(tmp_path) == ["running"]
    assert attempts.claim(tmp_path) is None
    mine.close("interrupted")
    assert attempts.look(tmp_path)[0].seconds == pytest.approx(7, abs=1)


def test_a_claim_of_before_is_judged_as_before(tmp_path):
    put(tmp_path, 1, born=ME.create_time() - 1.5)
    assert statuses(tmp_path) == ["running"]
    (tmp_path / "attempts" / "001" / "claim.json").write_text(
        json.dumps({"host": platform.node(), "pid": ME.pid, "born": ME.create_time() - 2.5, "time": time.time()})
    )
    assert statuses(tmp_path) == ["killed"]


@pytest.mark.skipif(living._boot() is None, reason="no /proc/sys/kernel/random/boot_id")
def test_the_same_number_at_another_tick_is_another_process(tmp_path):
    own = living.me()
    put(tmp_path, 1, **own)
    assert statuses(tmp_path) == ["running"]
    put(tmp_path, 2, **own | {"ticks": own["ticks"] - 1})
    assert statuses(tmp_path) == ["running", "killed"]


@pytest.mark.parametrize("other", [{"space": 4026539999}, {"boot": "another"}], ids=str)
def test_a_namesake_of_this_host_is_another_host(tmp_path, clock, other):
    """A container of the same name with its own process numbers, or another machine of that name: our process of that
    number says nothing about its."""
    put(tmp_path, 1, **living.me() | {"ticks": 5} | other, beat=0)
    (seen,) = attempts.look(tmp_path)
    assert (seen.status, seen.host) == ("running", platform.node())
    assert attempts.claim(tmp_path) is None
    clock.watch(tmp_path, 60)
    assert statuses(tmp_path) == ["killed"]


def elsewhere(monkeypatch, hours):
    """From here on this process is another machine, whose clock is so many hours away."""
    now = time.time
    monkeypatch.setattr(platform, "node", lambda: "another-machine")
    monkeypatch.setattr(time, "time", lambda: now() + 3600 * hours)


@pytest.mark.parametrize("hours", [-5, 5])
def test_who_was_suspended_learns_that_the_run_is_anothers(tmp_path, monkeypatch, clock, hours):
    late = attempts.claim(tmp_path)
    late.check()
    late.stop()  # suspended
    with monkeypatch.context() as patch:
        elsewhere(patch, hours)
        assert attempts.claim(tmp_path) is None
        clock.watch(tmp_path, 60)
        other = attempts.claim(tmp_path)
        assert other.number == 2
    with pytest.raises(attempts.TakenOver, match="attempt 1 gave no sign for long"):
        late.check()
    before = sorted((p, p.stat().st_mtime_ns) for p in late.folder.rglob("*"))
    late._beat()
    late.close("ok")
    assert sorted((p, p.stat().st_mtime_ns) for p in late.folder.rglob("*")) == before
    assert statuses(tmp_path) == ["killed", "running"]
    other.check()
    other.close("ok")


def test_a_living_heart_on_another_machine_is_seen_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(attempts, "LOOK_SECONDS", 0.05)
    mine = attempts.claim(tmp_path)
    elsewhere(monkeypatch, -5)
    began = time.monotonic()
    assert attempts.claim_when_dead(tmp_path) is None
    assert time.monotonic() - began < 2
    mine.close("interrupted")


def test_a_dead_one_on_another_machine_is_waited_for_and_no_longer_than_one_may(tmp_path, monkeypatch):
    monkeypatch.setattr(attempts, "LOOK_SECONDS", 0.05)
    put(tmp_path, 1, host="elsewhere", beat=-7200)
    assert attempts.claim_when_dead(tmp_path, go_on=lambda: False) is None
    monkeypatch.setattr(attempts, "STALE_SECONDS", 0.3)
    assert attempts.claim_when_dead(tmp_path).number == 2


@pytest.mark.parametrize("beat", [100, 0])
def test_who_seems_silent_on_another_machine_is_settled(tmp_path, monkeypatch, beat):
    """The clock only says whom to watch."""
    monkeypatch.setattr(attempts, "LOOK_SECONDS", 0.05)
    put(tmp_path, 1, host="elsewhere", beat=beat)
    monkeypatch.setattr(attempts, "STALE_SECONDS", 0.3)
    attempts.settle([tmp_path])
    assert attempts.alive(tmp_path) == (beat == 0)


ROUNDS = 20


def race(run, barrier, results):
    """Claim the same run together with the others, again and again."""
    for n in range(ROUNDS):
        barrier.wait(60)
        mine = attempts.claim(run)
        results.put((n, mine and mine.number))
        barrier.wait(60)  # nobody ends before all have looked
        if mine:
            mine.close("interrupted")


@pytest.mark.integration
def test_of_racing_processes_one_gets_the_run(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    racers = [context.Process(target=race, args=(tmp_path, barrier, results)) for _ in range(3)]
    for racer in racers:
        racer.start()
    got = [results.get(timeout=60) for _ in range(3 * ROUNDS)]
    for racer in racers:
        racer.join(20)
    for n in range(ROUNDS):
        assert sorted((number for m, number in got if m == n), key=str) == [n + 1, None, None], f"round {n}"


@pytest.mark.integration
def test_a_killed_process_leaves_a_run_that_can_be_claimed_at_once(tmp_path):
    code = "import sys, time; from pathlib import Path; from rnnbench.runs import attempts\n"
    code += "attempts.claim(Path(sys.argv[1])); print('claimed', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment(tmp_path)
    )
    with process:
        assert process.stdout.readline() == "claimed\n"
        assert statuses(tmp_path) == ["running"]
        process.kill()
        process.wait()
    assert statuses(tmp_path) == ["killed"]
    assert attempts.claim(tmp_path).number == 2


ODD = [
    "[]", "null", "3", '{"status": []}', '{"status": "ok", "reason": 1, "seconds": 2}', "[" * 900 + "]" * 900,
    '{"status": "ok", "reason": "", "seconds": "x"}', '{"status": "ok", "reason": "", "seconds": 1e999}', "9" * 300,
]  # fmt: skip
CLAIMS = [
    {"pid": "x"}, {"pid": -1}, {"pid": 2**40}, {"pid": None}, {"born": "x"}, {"born": None}, {"time": []}, {"host": {}},
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_an_outcome_of_a_stranger_is_one_that_cannot_be_read(tmp_path, text):
    folder = tmp_path / "attempts" / "001"
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_text(text)
    assert attempts.look(tmp_path) == [attempts.Seen(1, "killed", "its outcome.json cannot be read", 0.0)]


@pytest.mark.parametrize("odd", CLAIMS, ids=str)
def test_a_claim_of_a_stranger_stops_nobody(tmp_path, odd):
    folder = tmp_path / "attempts" / "001"
    folder.mkdir(parents=True)
    whole = {"host": platform.node(), "pid": 2**22 + 1, "born": 0.0, "time": time.time()}
    (folder / "claim.json").write_text(json.dumps(whole | odd))
    (seen,) = attempts.look(tmp_path)
    assert seen.status in ("running", "killed")


def test_pipes_and_odd_names_among_attempts_are_not_waited_for(tmp_path):
    for name in ("001", "\u00b2", "x"):
        (tmp_path / "attempts" / name).mkdir(parents=True)
    for name in ("claim.json", "outcome.json"):
        os.mkfifo(tmp_path / "attempts" / "001" / name)
    assert [seen.number for seen in attempts.look(tmp_path)] == [1]
