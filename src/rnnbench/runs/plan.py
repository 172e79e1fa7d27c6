"""Overrides -> jobs: what would be run, under which id, without importing torch."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnbench.runs import axes, backends, demand, inert, own_files, readings, registry, typed_paths
from rnnbench.runs.compose import compose, defaults, last_value, parse
from rnnbench.store.config import Config
from rnnbench.store.record import Axes, run_id


@dataclass(frozen=True)
class Job:
    """One run to do: its id, resolved config, axes, and the overrides that ask for it."""

    id: str
    config: Config
    axes: Axes
    overrides: tuple[str, ...]
    group: str | None = None  # the sweep's name, for trackers

    @property
    def dataset(self) -> str:
        return str(self.config["dataset"]["meta"]["name"])

    @property
    def seed(self) -> int:
        return int(self.config["seed"])

    @property
    def title(self) -> str:
        """`LSTM x2 · digits · seed 0`, for progress lines and trackers."""
        return axes.title(self.axes, self.dataset, self.seed)

    @property
    def by_rule(self) -> bool:
        """Whether its backend is what the rule of backend=auto gave here, so that another machine may give another."""
        return last_value(self.overrides, "backend") in (None, "auto")

    @property
    def command(self) -> str:
        """The command that makes this run again, without what changes no result."""
        kept = [o for o in self.overrides if not o.startswith(("tracker", "harness")) or _sets_threads(o)]
        folders = [word for folder in registry.extra_dirs() for word in ("--config-dir", str(folder))]
        return shlex.join(["rnnbench", "run", *folders, *kept])


def _sets_threads(override: str) -> bool:
    """Whether it asks for a number of threads, the one thing of `harness` that is part of an id."""
    return override.partition("=")[0].lstrip("+") == "harness.threads"


def prepare(overrides: Sequence[str], *, group: str | None = None, elsewhere: bool = False) -> Job:
    """The job that overrides ask for.

    elsewhere: not this machine does it, so this one's memory is not asked, nor whether it has a compiler.

    Raises BadInput, AxisRefused for an axis the cell or task cannot take, NotHere for one that this machine alone
    cannot, MissingData where a file of the user's is missing, and all that a reader of it refuses.
    """
    asked, picked = compose(overrides)
    config = axes.resolve(asked)
    demand.check(config, elsewhere=elsewhere)
    given = {parse(text).key_or_group for text in overrides}
    inert.refuse(asked, config, defaults(()), defaults(tuple(sorted(picked.items()))), picked, given)
    options = axes.differences(config, _reference(config, picked))
    options = {k: v for k, v in options.items() if k in given or not _follows(k, picked)}
    config = own_files.with_content(config)
    reading = readings.of(config)  # wherever it runs: its file is here, for the id is of its content
    if reading is not None:
        readings.check_batch(config, reading)
    if not elsewhere:  # after all that is refused anywhere
        backends.check_compiler(config)
    asked_for = tuple(map(typed_paths.as_hydra_reads, overrides))  # a list of files is one only where they are
    return Job(run_id(config), config, axes.describe(config, options), asked_for, group)


def _reference(config: Config, picked: Mapping[str, str]) -> Config:
    """What the options of a resolved config are told against: the defaults of the chosen groups.

    Of `forecast` the plain ones with the kind it has: only the kind is an axis, so what a published setting (openstl,
    shi2015) sets besides must be told, or it would share name and leaderboard row with the plain network. Of `backend`
    what the rule gives these very axes: that is nobody's option.
    """
    base = defaults(tuple(sorted(picked.items())))
    if config["forecast"]:
        plain = defaults(tuple(sorted({**picked, "forecast": "auto"}.items())))["forecast"]
        assert plain is not None
        base = {**base, "forecast": {**plain, "kind": config["forecast"]["kind"]}}
    return {**axes.settle(base), "backend": backends.stands_for(config)}


def _follows(key: str, picked: Mapping[str, str]) -> bool:
    """Whether an option takes its value from another (schedule.max_lr: ${optimizer.lr}), and so says nothing new."""
    group, _, option = key.partition(".")
    value = registry.read(group, picked[group]).get(option) if group in picked else None
    return isinstance(value, str) and "${" in value


def reseed(job: Job, overrides: Sequence[str], seed: int) -> Job:
    """The same job with another seed: composing is what planning costs, and a seed needs none."""
    config: Config = {**job.config, "seed": seed}
    return Job(run_id(config), config, job.axes, tuple(overrides), job.group)
