"""What this machine makes of planned runs that is good to know before they start, a sentence each. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rnnbench import toolchain
from rnnbench.runs import backends, fields, processor
from rnnbench.runs.plan import Job


def notes(jobs: Sequence[Job]) -> list[str]:
    """What `run`, `plan` and `sweep` say of these jobs."""
    configs = [job.config for job in jobs]
    return [*processor.notes(configs), *fields.notes(configs), *_without_compiler(jobs)]


def _without_compiler(jobs: Sequence[Job]) -> list[str]:
    """Which runs are others for want of a compiler; nothing where there is one, none is wanted, or none would help."""
    if not (advice := toolchain.advice()):
        return []
    others = [job for job in jobs if job.by_rule and backends.may_compile(job.config)]
    if not others:
        return []
    counts = Counter(job.config["backend"] for job in others)
    here = " and ".join(f"{name} for {n} run{'s' * (n != 1)}" for name, n in sorted(counts.items()))
    return [f"{advice} So backend=auto is {here} here; compiled they have other ids."]
