"""A small run on the embedded digits, in this process or in one of its own."""

from __future__ import annotations

import copy
import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

from rnnbench.runs import axes, registry
from rnnbench.runs.compose import compose
from rnnbench.runs.plan import Job, prepare
from rnnbench.runs.watch import StopRequest
from rnnbench.store.record import run_id
from rnnbench.store.store import Store

SMALL = ["budget=smoke", "budget.updates=12", "budget.val_every=5", "hidden_size=8", "tracker=none", "device=cpu"]
# What no two runs share, in the record's words.
TIMES = ("train_seconds", "wall_seconds", "steps_per_second", "peak_memory_mb", "started", "finished", "attempts")


def job(*overrides):
    """A small job."""
    return prepare([*SMALL, *overrides])


@functools.cache
def defaults():
    return compose([])[0]


def put_together(overrides):
    """What composing gives, a hundred times as fast, for overrides without interpolations: (config, reference)."""
    config = {**defaults(), "device": "cpu"}
    chosen = [o.split("=", 1) for o in overrides if o.split("=")[0] in registry.GROUPS]
    config |= {group: dict(registry.read(group, name)) for group, name in chosen}
    reference = copy.deepcopy(config)
    for key, value in (o.split("=", 1) for o in overrides if o.split("=")[0] not in registry.GROUPS):
        *path, last = key.split(".")
        node = config = copy.deepcopy(config)
        for part in path:
            node = node[part]
        node[last] = yaml.safe_load(value)
    return config, reference


def quick(*overrides):
    """As `prepare`, without Hydra."""
    config, reference = put_together(overrides)
    resolved = axes.resolve(config)
    options = axes.differences(resolved, axes.settle(reference))
    return Job(run_id(resolved), resolved, axes.describe(resolved, options), overrides)


def store(folder):
    return Store.open(folder)


def but_times(record):
    """A record without what no two runs share."""
    return {k: v for k, v in record.items() if k not in TIMES}


def environment(folder, **more):
    """The environment of a run in a process of its own: one thread, its own store, no tracker's keys."""
    dropped = [k for k in os.environ if k.startswith(("WANDB", "RNNBENCH")) and k != "RNNBENCH_CC"]
    kept = {k: v for k, v in os.environ.items() if k not in dropped}
    return kept | {"OMP_NUM_THREADS": "1", "RNNBENCH_RESULTS": str(folder)} | more


def command(*arguments):
    return [sys.executable, "-m", "rnnbench", *arguments]


def spawn(folder, *overrides, **more):
    """Start `rnnbench run` on a small job."""
    return subprocess.Popen(
        command("run", *SMALL, *overrides),
        env=environment(folder, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout=120):
    """Wait for a process: its exit code, stdout and stderr."""
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def outcomes(folder: Path):
    """How every attempt at a run ended, by its own word."""
    return [json.loads(p.read_text())["status"] for p in sorted(folder.glob("attempts/*/outcome.json"))]


class StopAt(StopRequest):
    """Asks to stop after so many questions: one when the data is there, one when the network is, then one an update
    (but the last of a round's, whose comes after validation)."""

    def __init__(self, after):
        super().__init__(signals=())
        self.left = after

    @property
    def reason(self):
        self.left -= 1
        return "the test" if self.left < 0 else None

    @reason.setter
    def reason(self, value):
        pass
