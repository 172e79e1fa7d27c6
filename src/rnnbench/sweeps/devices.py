"""GPU slots: which device a run computes on, so that none is given to more runs than was said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from rnnbench.errors import BadInput
from rnnbench.runs.axes import cuda_present
from rnnbench.runs.plan import Job

KEY = "harness.device_index"


def read(text: str) -> list[int]:
    """`0,1` as indexes, the way torch counts the visible devices. Raises BadInput."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise BadInput(f"{text!r} is no list of GPUs: write their numbers, each once, as 0,1")
    return [int(word) for word in words]


def present() -> int:
    """How many GPUs torch sees; torch is asked only where the system has any."""
    if not cuda_present():
        return 0
    import torch

    return torch.cuda.device_count()


class Slots:
    """per_gpu slots on each GPU. A run that computes on a GPU holds one as long as its worker lives."""

    def __init__(self, gpus: Iterable[int], per_gpu: int = 1) -> None:
        self.gpus, self.per_gpu = tuple(gpus), per_gpu
        self._held: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self.gpus) * self.per_gpu

    @property
    def free(self) -> int:
        return len(self) - self._held.total()

    def take(self) -> int:
        """The GPU with the fewest runs. Raises RuntimeError where every slot is held."""
        index = min(self.gpus, key=lambda gpu: (self._held[gpu], self.gpus.index(gpu)))
        if self._held[index] >= self.per_gpu:
            raise RuntimeError("every GPU slot is held")
        self._held[index] += 1
        return index

    def give_back(self, index: int) -> None:
        self._held[index] -= 1


def slots(jobs: Sequence[Job], gpus: Sequence[int] | None, per_gpu: int | None) -> Slots | None:
    """The slots of a sweep; None where its runs compute on the CPU.

    gpus: as the user named them. Otherwise every GPU there is, where a job computes on one; a sweep that names
    harness.device_index itself stays on that one. jobs: those known at the start, none where a search picks them.
    Raises BadInput on GPUs that are not there.
    """
    if gpus is not None:
        return _named(jobs, gpus, per_gpu or 1)
    if jobs and not any(job.config["device"] == "cuda" for job in jobs):
        if per_gpu is not None:
            raise BadInput("--per-gpu: these runs compute on the CPU; use --workers.")
        return None
    if named := {job.config["harness"]["device_index"] for job in jobs if _names_device(job)}:
        return Slots(sorted(named), per_gpu or 1)
    there = present()
    return Slots(range(there), per_gpu or 1) if there else None


def _named(jobs: Sequence[Job], gpus: Sequence[int], per_gpu: int) -> Slots:
    """The slots on the GPUs that the user named. Raises BadInput where they are not there, or the jobs name theirs."""
    if any(map(_names_device, jobs)):
        raise BadInput(f"--gpus and {KEY} say the same thing twice; leave one of them out.")
    if (there := present()) <= max(gpus):
        has = f"only {there}: 0 to {there - 1}" if there else "none"
        raise BadInput(f"--gpus {','.join(map(str, gpus))}: torch sees {has}.")
    return Slots(gpus, per_gpu)


def _names_device(job: Job) -> bool:
    """Whether a job's own overrides say on which GPU it computes."""
    return any(KEY in override for override in job.overrides)


def on_device(job: Job, index: int) -> Job:
    """The job on that GPU: no part of its id."""
    return replace(job, config={**job.config, "harness": {**job.config["harness"], "device_index": index}})
