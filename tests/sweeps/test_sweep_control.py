"""retry, stop, clean and --detach: what is done to sweeps from another terminal."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest
from made_up import filled, planned, record
from sweeping import TINY, call, claims, start, until

from rnnbench import toolchain
from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.runs import attempts, living
from rnnbench.store.store import Store
from rnnbench.sweeps import clean, control, retry, stale
from rnnbench.sweeps.plan import plan

ME = psutil.Process()
LONG = [*TINY, "cell=rnn", "budget.updates=100000", "seed=range(3)"]


def said_to_run(results, name, **more):
    """A running sweep's file as some process left it."""
    path = results / "sweeps" / f"{name}.running"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"name": name, "host": platform.node(), "pid": ME.pid, "born": ME.create_time(), "began": time.time(),
               "command": f"rnnbench sweep experiment={name}"}  # fmt: skip
    path.write_text(json.dumps(content | more))
    return path


def dead():
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return {"pid": process.pid, "born": time.time()}


def test_a_running_sweep_is_known_while_it_runs(tmp_path):
    with control.announced(tmp_path, "mine", "rnnbench sweep cell=rnn") as seat:
        (seen,) = control.running(tmp_path)
        assert (seen.name, seen.pid, seen.host) == ("mine", os.getpid(), platform.node())
        assert seen.here
        assert seen.alive
        assert seen.command == "rnnbench sweep cell=rnn"
        with control.announced(tmp_path, "mine", "the same") as second:
            assert second.path.name == "mine+2.running"
            assert [seen.name for seen in control.running(tmp_path)] == ["mine", "mine"]
        assert seat.asked() is None
    assert list((tmp_path / "sweeps").iterdir()) == []


def test_the_file_of_a_killed_sweep_counts_for_nothing(tmp_path):
    path, other = said_to_run(tmp_path, "mine", **dead()), said_to_run(tmp_path, "other+2", **dead())
    assert control.running(tmp_path) == []
    with control.announced(tmp_path, "mine", "again") as seat:
        assert seat.path == path
        assert json.loads(path.read_text())["command"] == "again"
    assert not other.exists()


@pytest.mark.parametrize("age", [-7200, 0, 7200])
def test_on_another_host_the_file_is_watched(tmp_path, monkeypatch, age):
    """Its stamp may be of a clock that is hours away from ours."""
    path, now = said_to_run(tmp_path, "far", host="elsewhere", pid=1), [0.0]
    living.WATCH.forget()
    monkeypatch.setattr(living, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def watch(seconds):
        for _ in range(seconds // 5):
            now[0] += 5
            control.running(tmp_path)

    os.utime(path, (time.time() - age,) * 2)
    watch(60)
    assert [seen.name for seen in control.running(tmp_path)] == ["far"]
    os.utime(path, (time.time() - age,) * 2)
    watch(60)
    assert [seen.name for seen in control.running(tmp_path)] == ["far"]
    watch(5)
    assert control.running(tmp_path) == []
    with control.announced(tmp_path, "far", "again") as seat:
        assert seat.path == path


@pytest.mark.parametrize("beats", [True, False])
def test_before_a_search_the_files_of_other_hosts_are_settled(tmp_path, monkeypatch, beats):
    monkeypatch.setattr(control, "STALE_SECONDS", 0.3)
    path, count = said_to_run(tmp_path, "far", host="elsewhere", pid=1), iter(range(1000))

    def tick(seconds):
        time.monotonic()
        if beats:
            os.utime(path, (next(count),) * 2)
        wait(0.05)

    wait = time.sleep
    monkeypatch.setattr(control.time, "sleep", tick)
    control.settle(tmp_path)
    assert path.exists() == beats


@pytest.mark.parametrize("step", [-7200, -3, 3, 7200])
def test_a_step_of_the_wall_clock_ends_no_sweep(tmp_path, monkeypatch, step):
    with control.announced(tmp_path, "mine", "rnnbench sweep cell=rnn"):
        create, now = psutil.Process.create_time, time.time
        monkeypatch.setattr(psutil.Process, "create_time", lambda self: create(self) + step)
        monkeypatch.setattr(time, "time", lambda: now() + step)
        assert [seen.name for seen in control.running(tmp_path)] == ["mine"]
        with control.announced(tmp_path, "mine", "the same") as second:
            assert second.path.name == "mine+2.running"


@pytest.mark.parametrize(
    "odd",
    [{"pid": 10**30}, {"pid": "1"}, {"pid": 0}, {"born": None}, {"host": []}, {"command": {}}, {"began": "x"}],
    ids=str,
)  # fmt: skip
def test_a_file_that_names_no_process_is_no_sweep(tmp_path, odd):
    said_to_run(tmp_path, "mine", **odd)
    assert control.running(tmp_path) == []
    os.mkfifo(tmp_path / "sweeps" / "fifo.running")
    assert control.running(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "x"}'])
def test_a_torn_file_is_no_sweep(tmp_path, text):
    said_to_run(tmp_path, "mine").write_text(text)
    assert control.running(tmp_path) == []


@pytest.mark.parametrize("now", [False, True])
def test_a_sweep_on_another_host_is_asked_by_a_file(tmp_path, monkeypatch, now):
    monkeypatch.setattr(control, "TOUCH_SECONDS", 0.0)
    with control.announced(tmp_path, "far", "the command") as seat:
        said_to_run(tmp_path, "far", host="elsewhere", pid=1)
        (line,) = control.stop(tmp_path, "far", now=now, wait=0.0)
        assert line == "far: asked to stop, still stopping (elsewhere, process 1)"
        assert seat.asked() == ("now" if now else "stop")
        assert seat.asked() is None, "it is said once"


def test_what_does_not_run_cannot_be_stopped(tmp_path):
    with pytest.raises(BadInput, match=r"no sweep 'odyssey' is running; none is at all\."):
        control.stop(tmp_path, "odyssey")
    said_to_run(tmp_path, "odyssee")
    with pytest.raises(BadInput, match=r"no sweep 'odyssey' is running; did you mean odyssee\?"):
        control.stop(tmp_path, "odyssey")


def test_statuses_to_retry():
    assert retry.statuses("oom, killed") == {"oom", "killed"}
    for text in ("ok", "", "dead"):
        with pytest.raises(BadInput, match="--status"):
            retry.statuses(text)


def test_an_unknown_sweep_cannot_be_retried(tmp_path):
    with pytest.raises(BadInput, match=r"no sweep is called 'mine'; none is in .*: `rnnbench sweep"):
        retry.failed_runs(Store.open(tmp_path), "mine", {"oom"})


def test_a_run_whose_config_has_changed_since_is_left_as_it_is():
    (job,) = plan(["cell=rnn"]).jobs
    assert retry.again(job.id, job.command).id == job.id
    with pytest.raises(BadInput, match=rf"another run today \({job.id}\): its configs or its files have changed"):
        retry.again("0123456789ab", job.command)


def test_a_run_is_done_again_by_the_backend_that_it_had(monkeypatch):
    """Its command left it to the rule, and a compiler has come since."""
    (job,) = plan(["cell=rnn"]).jobs
    tools = toolchain.Toolchain(("cc",), "gcc 12.2.0", ("-O3",), "x86-64")
    monkeypatch.setattr(toolchain, "find", lambda: tools)
    with pytest.raises(BadInput, match="another run today"):
        retry.again(job.id, job.command)
    again = retry.again(job.id, job.command, backend="native")
    assert (again.id, again.command) == (job.id, f"{job.command} backend=native")
    with pytest.raises(BadInput, match="another run today"):
        retry.again(job.id, job.command, backend="${oc.env:HOME}")
    (chosen,) = plan(["cell=rnn", "backend=eager"]).jobs
    assert retry.again(chosen.id, chosen.command, backend="native").id == chosen.id, "the command's own word counts"


def test_a_run_that_an_interrupted_retry_has_set_aside_is_still_to_be_done_again(tmp_path):
    made = planned("cell=rnn", "seed=range(4)", name="mine")
    store = filled(tmp_path, made, 3, status="timeout", reason="too long")
    for job in made.jobs[:2]:
        store.set_aside(job.id)
    done = record(made.jobs[1])  # done in the meantime; then its source changed, and its --rerun-stale was interrupted
    store.write(done)
    store.set_aside(done["id"], "stale")
    os.utime(store.folder(done["id"]) / "record.stale-1.json", (time.time() + 5, time.time() + 5))
    found, lost = retry.failed_runs(store, "mine", {"oom", "timeout"})
    assert (sorted(job.id for job in found.jobs), lost) == (sorted([made.jobs[0].id, made.jobs[2].id]), {})
    assert found.command == "rnnbench retry mine --status oom,timeout"
    assert retry.failed_runs(store, None, {"oom"})[0].jobs == []


@pytest.mark.integration
def test_failed_runs_of_a_sweep_are_done_again_by_their_status(tmp_path):
    grid = [*TINY, "cell=dying", "cell.after=9", f"cell.once='{tmp_path / 'once'}'", "seed=0"]
    more = [*TINY, "cell=rnn_relu", "optimizer=sgd", "clip=null", "optimizer.lr=1e20"]
    for name, words in (("deaths", grid), ("others", more)):
        call("sweep", *words, "--name", name, results=tmp_path, cwd=tmp_path)
    store = Store.open(tmp_path)
    (died,) = json.loads((tmp_path / "sweeps" / "deaths.json").read_text())["runs"]
    (diverged,) = json.loads((tmp_path / "sweeps" / "others.json").read_text())["runs"]
    record = store.read(died) | {"status": "killed", "reason": "died 3 times"}  # as if it had been
    store.record_path(died).unlink()
    store.write(record)
    manifest = (tmp_path / "sweeps" / "deaths.json").read_text()

    none = call("retry", "deaths", "--status", "oom,timeout", results=tmp_path, cwd=tmp_path)
    assert (none.returncode, none.stderr) == (0, "no failed run to do again (oom, timeout)\n")
    done = call("retry", "deaths", results=tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "1 run: 1 ok"), done.stderr
    assert store.read(died)["status"] == "ok"
    assert json.loads((store.folder(died) / "record.failed-1.json").read_text()) == record
    assert (tmp_path / "sweeps" / "deaths.json").read_text() == manifest
    assert sorted(path.name for path in (tmp_path / "sweeps").iterdir()) == ["deaths.json", "others.json"]
    assert len(claims(tmp_path, diverged)) == 1

    whole = call("retry", "--status", "diverged", results=tmp_path, cwd=tmp_path)
    assert (whole.returncode, whole.stderr.splitlines()[-3].split(":")[0]) == (1, "1 run"), whole.stderr
    assert len(claims(tmp_path, diverged)) == 2


@pytest.mark.parametrize("word", ["--detach", "--det", "--de"])
def test_a_detached_command_is_not_detached_again(tmp_path, monkeypatch, capsys, word):
    started = []
    begun = control.Detached(1, tmp_path / "log")
    monkeypatch.setattr(control, "detach", lambda words, *more: started.append(words) or begun)
    assert main(["sweep", *TINY, "cell=rnn", word, "--results", str(tmp_path)]) == 0
    assert started == [["sweep", *TINY, "cell=rnn", "--results", str(tmp_path)]]
    assert capsys.readouterr().out.startswith("detached: ")


def test_searches_and_retries_are_detached_too(tmp_path, monkeypatch, capsys):
    started, begun = [], control.Detached(1, tmp_path / "log")
    monkeypatch.setattr(control, "detach", lambda words, results, name: started.append((words, name)) or begun)
    made = planned("cell=rnn", "seed=range(2)", name="mine")
    filled(tmp_path, made, 1, status="killed", reason="died 3 times")
    where = ["--results", str(tmp_path)]
    assert main(["retry", "mine", "--detach", *where]) == 0
    search = ["tune", *TINY, "cell=rnn", "optimizer.lr=interval(0.001,0.1)", "--name", "found"]
    assert main([*search, "--detach", *where]) == 0
    assert started == [(["retry", "mine", *where], "mine.retry"), ([*search, *where], "found")]
    assert capsys.readouterr().out.count("stop it:  rnnbench stop ") == 2
    assert main(["retry", "mine", "--status", "oom", "--detach", *where]) == 0
    assert len(started) == 2, "there is nothing to do"


@pytest.mark.parametrize("code", [0, 1])
def test_a_detached_sweep_that_has_ended_says_what_it_said(tmp_path, monkeypatch, capsys, code):
    ended = control.Detached(1, tmp_path / "log", code, "2 runs: nothing left to do\n")
    monkeypatch.setattr(control, "detach", lambda *more: ended)
    assert main(["sweep", *TINY, "cell=rnn", "--detach", "--results", str(tmp_path)]) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == (
        "", f"2 runs: nothing left to do\nit has ended already; output in {tmp_path / 'log'}\n"
    )  # fmt: skip


def test_what_is_wrong_is_said_before_a_sweep_is_detached(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(control, "detach", None)
    made = planned("cell=rnn", "seed=range(2)")
    filled(tmp_path, made, 1, source_hash="0123456789ab")
    words = ["sweep", *made.overrides, "--detach", "--results", str(tmp_path)]
    assert main(words) == 2
    assert capsys.readouterr().err == f"rnnbench: {stale.sentence(1, 2)}\n"
    assert main([*words, "--accept-stale", "--gpus", "99"]) == 2
    assert "--gpus 99: torch sees" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # that is what it is for
def test_ctrl_c_ends_the_waiting_for_a_detached_command_and_not_the_command(tmp_path, monkeypatch):
    def press(results):
        raise KeyboardInterrupt

    monkeypatch.setattr(control, "running", press)
    try:
        began = control.detach(["list", "cells"], tmp_path, "mine")
    except KeyboardInterrupt:
        pytest.fail("it ended the command")
    assert (began.code, began.log) == (None, tmp_path / "sweeps" / "mine.log")
    until(lambda: "trajgru" in began.log.read_text())


@pytest.mark.integration
def test_a_detached_sweep_outlives_its_shell_and_is_stopped_by_name(tmp_path):
    process = start("sweep", *LONG, "--name", "far", "--detach", "--workers", "2", results=tmp_path, cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    log = tmp_path / "sweeps" / "far.log"
    assert (process.returncode, err) == (0, "")
    first, *how = out.splitlines()
    pid = int(first.split("process ")[1].split(",")[0])
    assert first == f"detached: sweep far, process {pid}, output in {log}"
    assert how == [
        f"watch it: rnnbench status --watch --results {tmp_path}   (or tail -f {log})",
        f"stop it:  rnnbench stop far --results {tmp_path}",
    ]
    assert [seen.pid for seen in control.running(tmp_path)] == [pid], "it can be stopped at once"
    try:
        until(lambda: len(list(tmp_path.glob("runs/*/history.jsonl"))) == 2)
        os.kill(pid, signal.SIGHUP)
        time.sleep(0.5)
        (seen,) = control.running(tmp_path)
        assert (seen.name, seen.pid) == ("far", pid)
        assert os.getsid(pid) == pid
        stopped = call("stop", "far", results=tmp_path, cwd=tmp_path)
        assert stopped.returncode == 0
        assert stopped.stdout.startswith(f"far: stopped ({platform.node()}, process {pid}); its command resumes it: ")
    finally:
        if psutil.pid_exists(pid):
            until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, 20)
    assert log.read_text().splitlines()[-1] == "the same command resumes what is not finished"
    assert {end["status"] for path in (tmp_path / "runs").iterdir() for end in claims(tmp_path, path.name)} == {
        "interrupted"
    }
    assert list((tmp_path / "sweeps").glob("*.running*")) == []


@pytest.mark.integration
def test_stop_now_is_a_second_ctrl_c(tmp_path):
    stuck = [*TINY, "cell=dying", "cell.how=hang", "cell.after=9"]
    process = start("sweep", *stuck, "--name", "stuck", results=tmp_path, cwd=tmp_path)
    until(lambda: list(tmp_path.glob("runs/*/config.yaml")))
    began = time.monotonic()
    control.stop(tmp_path, "stuck", now=True)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert (process.returncode, "Traceback" in said) == (130, False), said


def test_what_a_store_does_not_need_is_found_and_nothing_else(tmp_path):
    store, old = Store.open(tmp_path), time.time() - 100

    def folder(run_id, *files):
        for name in files:
            path = store.folder(run_id) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x" * 100)
            os.utime(path, (old, old))
        return store.folder(run_id)

    orphan = folder("a1", "config.yaml", "last.ckpt")
    folder("a2", "record.json", "best.pt", "last.ckpt", ".record.json.abc", "attempts/001/.outcome.json.def")
    outcome = {"status": "ok", "reason": "", "seconds": 1.0}
    (store.folder("a2") / "attempts" / "001" / "outcome.json").write_text(json.dumps(outcome))
    folder("a3", "record.failed-1.json")
    folder("a4", "config.yaml", "last.ckpt")
    folder("a5", "record.json", "best.pt", "history.jsonl")
    alive = attempts.claim(folder("a6", "last.ckpt", ".last.ckpt.abc"))
    stale = said_to_run(tmp_path, "gone", **dead())
    os.utime(stale, (old, old))
    said_to_run(tmp_path, "here")
    (tmp_path / "sweeps" / "mine.json").write_text(json.dumps({"command": "x", "runs": ["a4", "a9"], "skipped": []}))
    begun = folder(".begun-a7-1", "config.yaml")
    half, fresh = folder(".merge-a8-123", "record.json"), folder(".merge-a9-124", "record.json")
    os.utime(half, (old - 3600, old - 3600))
    found = clean.find(store)
    assert [(each.what, each.path.relative_to(tmp_path).as_posix(), each.bytes) for each in found[:4]] == [
        (clean.ORPHAN, "runs/a1", 200),
        (clean.CHECKPOINT, "runs/a2/last.ckpt", 100),
        (clean.TEMPORARY, "runs/a2/.record.json.abc", 100),
        (clean.TEMPORARY, "runs/a2/attempts/001/.outcome.json.def", 100),
    ]
    assert [(each.what, each.path) for each in found[4:]] == [
        (clean.BEGUN, begun), (clean.TEMPORARY, half), (clean.TEMPORARY, stale),
    ]  # fmt: skip
    assert clean.text(found)[:5] == [
        "1 unfinished runs that no sweep asks for: 200 bytes",
        f"  {orphan}  200 bytes",
        "1 unfinished runs that stepped aside for a merged record: 100 bytes",
        f"  {begun}  100 bytes",
        "1 checkpoints of finished runs: 100 bytes",
    ]
    assert all(clean.remove(each) for each in found)
    assert store.ids() == ["a2", "a3", "a4", "a5", "a6"]
    assert sorted(path.name for path in store.folder("a2").iterdir()) == ["attempts", "best.pt", "record.json"]
    assert clean.find(store) == []
    assert fresh.exists(), "a merge may be at it"
    alive.close("interrupted")
    assert [each.path for each in clean.find(store) if each.what == clean.ORPHAN] == [store.folder("a6")]


def test_what_has_come_alive_since_is_left(tmp_path):
    store = Store.open(tmp_path)
    store.folder("a1").mkdir(parents=True)
    (found,) = clean.find(store)
    mine = attempts.claim(store.folder("a1"))
    assert not clean.remove(found)
    mine.close("ok")
    (store.folder("a1") / "record.json").write_text("{}")
    assert not clean.remove(found)
    assert (store.folder("a1") / "record.json").exists()


def test_a_manifest_that_cannot_be_read_stops_the_cleaning(tmp_path):
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "mine.json").write_text("{")
    with pytest.raises(BadInput, match=r"mine\.json is damaged"):
        clean.find(Store.open(tmp_path))


def test_the_compiled_cells_are_told_and_left(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert clean.compiled() == []
    cache = toolchain.cache_folder()
    for key in ("a" * 32, "b" * 32):
        (cache / key).mkdir(parents=True)
        (cache / key / "kernel.so").write_bytes(b"x" * 400)
        (cache / key / "kernel.c").write_bytes(b"x" * 100)
    (cache / "c").symlink_to(tmp_path)
    assert main(["clean", "--yes", "--results", str(tmp_path / "results")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"compiled cells, for every store: 2 libraries, 1 kB in {cache} "
        "(left; `rm -r` removes them, and what is needed is compiled anew)",
        f"nothing to clean in {tmp_path / 'results'}",
    ]
    assert toolchain.kept() == (2, 1000)


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1234567, "1.23 MB"), (5e12, "5 TB")])
def test_a_size_in_words(count, text):
    assert clean.in_words(count) == text


@pytest.mark.integration
def test_clean_asks_and_says_what_it_removes(tmp_path):
    (tmp_path / "runs" / "a1").mkdir(parents=True)
    (tmp_path / "runs" / "a1" / "last.ckpt").write_text("x" * 5000)
    looked = call("clean", "--dry-run", results=tmp_path, cwd=tmp_path)
    assert looked.returncode == 0
    assert looked.stdout.splitlines()[-1] == "5 kB in all; nothing was removed (--dry-run)"
    process = subprocess.run(
        [sys.executable, "-m", "rnnbench", "clean", "--results", str(tmp_path)], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.returncode == 2
    assert process.stderr == "rnnbench: nobody can be asked here; --yes removes it, --dry-run only looks.\n"
    done = call("clean", "--yes", results=tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "removed 5 kB")
    assert call("clean", results=tmp_path, cwd=tmp_path).stdout.splitlines()[-1] == f"nothing to clean in {tmp_path}"


@pytest.mark.integration
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--limit", "soon"], "argument --limit: 'soon' is no limit: write a duration (4h) or a number of runs"),
        (["--timeout", "0s"], "argument --timeout: '0s' is no duration above 0: write it as 90s, 20m or 4h"),
        (["--memory", "lots"], "argument --memory: 'lots' is no size above 0: write it as 500M or 4G"),
        (["--gpus", "0"], "--gpus 0: torch sees none."),
        (["--executor", "ray", "--gpus", "0"], "--gpus and --per-gpu are for this machine; --executor ray places"),
        (["--per-gpu", "2"], "--per-gpu: these runs compute on the CPU; use --workers."),
        (["--executor-option", "size=1"], "--executor local has no option 'size'."),
        (["--executor-option", "memory=1"], "--executor-option has no 'memory': --memory limits memory, --gpus names"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_2(tmp_path, words, sentence):
    done = call("sweep", *TINY, "device=cpu", *words, results=tmp_path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"rnnbench: {sentence}"), done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists() or Store.open(tmp_path).ids() == []


@pytest.mark.parametrize("odd", [{"pid": "x"}, {"pid": -1}, {"pid": 2**40}, {"born": []}, {"name": None}, {"host": 3}])
def test_a_file_of_a_stranger_is_no_running_sweep(tmp_path, odd):
    whole = {
        "name": "a",
        "host": platform.node(),
        "pid": ME.pid,
        "born": ME.create_time(),
        "began": 0.0,
        "command": "x",
    }
    path = tmp_path / "a.running"
    path.write_text(json.dumps(whole))
    assert control.read(path)
    path.write_text(json.dumps(whole | odd))
    assert control.read(path) is None
    path.unlink()
    os.mkfifo(path)
    assert control.read(path) is None
