"""Sixty runs while their workers, their fork server and the sweep itself are killed at random: nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
from sweeping import LAB, TINY, comparable, family, gone, start, sweep, temporaries, until

from rnnbench.runs import attempts
from rnnbench.store.store import Store
from rnnbench.sweeps import control
from rnnbench.sweeps.plan import plan

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(900)]
GRID = [*TINY, "cell=napping", "budget.updates=40", "budget.val_every=10", "depth=1,2", "seed=range(30)",
        "harness.checkpoint_seconds=0"]  # fmt: skip
NAP = 0.0015  # a step; a run takes about a second
KILLS = 24
# What is done to the sweep, and how often relative to the others.
WAYS = {"worker": 12, "worker asked": 2, "fork server": 2, "sweep": 3, "everything": 3, "Ctrl-C": 1, "SIGTERM": 1}


def at_work(results: Path) -> dict[int, str]:
    """The living workers that have claimed a run: pid -> run."""
    found = {}
    for path in results.glob("runs/*/attempts/*/claim.json"):
        if not (path.parent / "outcome.json").exists():
            with contextlib.suppress(OSError, ValueError):
                pid = json.loads(path.read_text())["pid"]
                if psutil.pid_exists(pid):
                    found[pid] = path.parents[2].name
    return found


class Chaos:
    """A sweep that is disturbed; `deaths` counts those a run is given, at most two each: three are its end."""

    def __init__(self, results: Path, cwd: Path) -> None:
        self.results, self.cwd, self.chance = results, cwd, random.Random(20)
        self.done: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        self.sweep = self.begin()

    def begin(self) -> subprocess.Popen[str]:
        return start("sweep", *GRID, "--workers", "2", results=self.results, cwd=self.cwd, nap=NAP)

    def disturb(self) -> None:
        """One kill, somewhere in the work."""
        if self.sweep.poll() is not None:
            said = self.sweep.communicate()[1]
            assert "Traceback" not in said, said
            self.sweep = self.begin()
        with contextlib.suppress(AssertionError):  # a sweep that has nothing left to do has no workers
            until(lambda: self.sweep.poll() is not None or at_work(self.results), 20)
        time.sleep(self.chance.random() * 1.2)
        way = self.chance.choices(list(WAYS), list(WAYS.values()))[0]
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            self.done[way] += self.kill(way)

    def kill(self, way: str) -> bool:
        if way.startswith("worker"):
            able = {pid: run for pid, run in at_work(self.results).items() if self.deaths[run] < 2}
            if not able:
                return False
            pid = self.chance.choice(sorted(able))
            self.deaths[able[pid]] += 1
            os.kill(pid, signal.SIGTERM if way == "worker asked" else signal.SIGKILL)
        elif self.sweep.poll() is not None:
            return False
        elif way == "fork server":
            workers = set(at_work(self.results))
            parents = {psutil.Process(pid).ppid() for pid in workers} - {self.sweep.pid, 1}
            if not parents:
                return False
            os.kill(min(parents), signal.SIGKILL)
        elif way in ("Ctrl-C", "SIGTERM") and self.sweep.pid not in {
            seen.pid for seen in control.running(self.results)
        }:
            return False  # it is still being started, and has nothing in hand to stop
        else:
            workers = family(self.sweep)
            if way == "everything":
                os.killpg(self.sweep.pid, signal.SIGKILL)
            else:
                self.sweep.send_signal({"sweep": signal.SIGKILL, "Ctrl-C": signal.SIGINT}.get(way, signal.SIGTERM))
            said = self.sweep.communicate(timeout=30)[1]
            assert "Traceback" not in said, said
            if way in ("Ctrl-C", "SIGTERM"):
                assert self.sweep.returncode == 130
                until(lambda: gone(workers), 10)
        return True


def test_whatever_is_killed_every_run_ends_as_if_nothing_had_been(tmp_path, monkeypatch):
    results, unbroken = tmp_path / "chaos", tmp_path / "unbroken"
    chaos = Chaos(results, tmp_path)
    until(lambda: chaos.disturb() or chaos.done.total() >= KILLS, 600)
    if chaos.sweep.poll() is None:
        chaos.sweep.send_signal(signal.SIGTERM)
        chaos.sweep.communicate(timeout=30)
    last = start("sweep", *GRID, "--workers", "2", results=results, cwd=tmp_path)
    said = last.communicate(timeout=300)[1]
    assert (last.returncode, said.splitlines()[-1]) == (0, "60 runs: 60 ok"), said
    print(dict(chaos.done), file=sys.stderr)

    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(LAB))
    monkeypatch.setattr(sys, "path", [*sys.path, str(LAB)])
    assert sweep(*GRID, results=unbroken).exit_code == 0
    assert comparable(results) == comparable(unbroken)
    assert set(Store.open(results).ids()) == {job.id for job in plan(GRID).jobs}
    for folder in (results / "runs").iterdir():
        assert [path.name for path in folder.glob("record*")] == ["record.json"]
        assert not attempts.alive(folder)
        for line in (folder / "history.jsonl").read_text().splitlines():
            json.loads(line)
    assert temporaries(results) == []
    assert not list((results / "sweeps").glob("*.running*"))
    assert chaos.done.total() >= 20
    assert chaos.done["worker"] >= 5
    assert chaos.done["sweep"] + chaos.done["everything"] >= 3
