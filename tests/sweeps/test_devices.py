"""GPU slots, on devices that are only said to be there."""

from __future__ import annotations

import io
import random
from collections import Counter
from dataclasses import replace

import pytest
from rich.console import Console

from rnnbench.errors import BadInput
from rnnbench.store.record import run_id
from rnnbench.sweeps import devices
from rnnbench.sweeps.devices import Slots, on_device, read, slots
from rnnbench.sweeps.display import Display
from rnnbench.sweeps.executors.base import Ended, Executor, Running
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.sweep import Sweep


@pytest.fixture
def four(monkeypatch):
    monkeypatch.setattr(devices, "present", lambda: 4)


def on_cuda(*overrides):
    """Jobs that compute on a GPU, planned where there is none."""
    return [replace(job, config={**job.config, "device": "cuda"}) for job in plan(["cell=rnn", *overrides]).jobs]


def test_a_list_of_gpus():
    assert read("0,1") == [0, 1]
    assert read("3") == [3]
    for text in ("", "0,", "a", "-1", "0,0", "1.5"):
        with pytest.raises(BadInput, match="is no list of GPUs"):
            read(text)


def test_slots_fill_the_emptiest_gpu_and_are_given_back():
    two = Slots([2, 5], 2)
    assert (len(two), two.free) == (4, 4)
    assert [two.take() for _ in range(4)] == [2, 5, 2, 5]
    assert two.free == 0
    with pytest.raises(RuntimeError, match="every GPU slot is held"):
        two.take()
    two.give_back(5)
    assert (two.free, two.take()) == (1, 5)


def test_no_gpu_is_ever_oversubscribed():
    chance, all_of_them, held = random.Random(3), Slots(range(3), 2), []
    for _ in range(2000):
        if held and (chance.random() < 0.5 or not all_of_them.free):
            all_of_them.give_back(held.pop(chance.randrange(len(held))))
        else:
            held.append(all_of_them.take())
        assert max(Counter(held).values(), default=0) <= 2
        assert all_of_them.free == 6 - len(held)


def test_by_default_one_run_on_each_gpu_there_is(four):
    found = slots(on_cuda("seed=range(9)"), None, None)
    assert (found.gpus, found.per_gpu) == ((0, 1, 2, 3), 1)
    assert len(slots(on_cuda(), None, 3)) == 12
    assert len(slots([], None, None)) == 4, "a search has no runs yet"


def test_runs_on_the_cpu_have_no_slots(four):
    cpu = plan(["cell=rnn", "device=cpu"]).jobs
    assert slots(cpu, None, None) is None
    with pytest.raises(BadInput, match="these runs compute on the CPU"):
        slots(cpu, None, 2)


def test_named_gpus_are_those(four):
    assert slots(on_cuda(), [1, 3], 2).gpus == (1, 3)
    with pytest.raises(BadInput, match=r"--gpus 0,4: torch sees only 4: 0 to 3\."):
        slots(on_cuda(), [0, 4], 1)


def test_gpus_that_are_not_there(monkeypatch):
    monkeypatch.setattr(devices, "present", lambda: 0)
    with pytest.raises(BadInput, match="--gpus 0: torch sees none"):
        slots(plan(["cell=rnn"]).jobs, [0], None)
    assert slots([], None, None) is None


def test_a_device_that_the_overrides_name_is_kept(four):
    there = on_cuda("harness.device_index=2", "seed=range(3)")
    assert slots(there, None, None).gpus == (2,)
    with pytest.raises(BadInput, match="say the same thing twice"):
        slots(there, [0], None)


def test_the_device_is_no_part_of_the_id():
    (job,) = on_cuda()
    there = on_device(job, 3)
    assert there.config["harness"]["device_index"] == 3
    assert job.config["harness"]["device_index"] == 0
    assert run_id(there.config) == run_id(job.config)


class Instant(Executor):
    """Workers that end without doing anything, a few at a time; notes at every poll who computes where."""

    def __init__(self, size, results, *, devices, seen):
        self.size, self.devices, self.seen, self.at_work, self.chance = size, devices, seen, [], random.Random(0)

    @property
    def running(self):
        return [running for running, _ in self.at_work]

    def submit(self, job):
        self.at_work.append((Running(job), self.devices.take()))

    def poll(self, seconds):
        self.seen.append(Counter(device for _, device in self.at_work))
        for _ in range(self.chance.randrange(3)):
            if self.at_work:
                running, device = self.at_work.pop(self.chance.randrange(len(self.at_work)))
                self.devices.give_back(device)
                yield Ended(running.job, "refused", "no such thing", 0, 100.0)

    def cancel(self, reason, running=None, *, prune=False): ...
    def kill(self, running=None): ...


def test_a_sweep_keeps_every_gpu_busy_and_none_oversubscribed(four, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "rnnbench.sweeps.sweep.make_executor",
        lambda name, size, results, *, devices, memory: Instant(size, results, devices=devices, seen=seen),
    )
    made = plan(["cell=rnn", "seed=range(40)"])
    made.jobs = [replace(job, config={**job.config, "device": "cuda"}) for job in made.jobs]
    sweep = Sweep(made, tmp_path, gpus=[0, 2, 3], per_gpu=2, workers=100)
    assert sweep.workers == 6
    result = sweep.run(Display(40, 6, Console(file=io.StringIO())))
    assert len(result.open) == 40
    assert seen[:15] == [{0: 2, 2: 2, 3: 2}] * 15, "at most two end at a time: there are runs for all until then"
    assert all(max(count.values()) <= 2 for count in seen)
