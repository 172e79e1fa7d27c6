"""Where runs are done: on this machine, over Ray, under SLURM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rnnbench.errors import BadInput, nearest
from rnnbench.sweeps.executors.base import Executor

EXECUTORS = ("local", "ray", "slurm")


def make_executor(name: str, size: int, results: Path, options: Mapping[str, str] | None = None) -> Executor:
    """The executor called name, for `size` runs at once over the store in results.

    options: its own, as text (`--executor-option partition=gpu`). Raises BadInput on an unknown name or option, and
    where the library it needs is not installed.
    """
    if name == "ray":
        from rnnbench.sweeps.executors.ray import RayExecutor

        return RayExecutor(size, results, **(options or {}))
    if name == "slurm":
        from rnnbench.sweeps.executors.slurm import SlurmExecutor

        return SlurmExecutor(size, results, **(options or {}))
    if name != "local":
        raise BadInput(f"--executor {name} is not known; {nearest(name, EXECUTORS)}")
    if options:
        raise BadInput(f"--executor local has no option {next(iter(options))!r}.")
    from rnnbench.sweeps.executors.local import Pool

    return Pool(size, results)
