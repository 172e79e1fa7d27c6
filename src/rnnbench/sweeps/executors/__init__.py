"""Where runs are done: on this machine, over Ray, under SLURM."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnbench.errors import BadInput
from rnnbench.sweeps.executors.base import Executor

# Imported only where asked for: the last two need an extra of the package.
EXECUTORS = {"local": ("local", "Pool"), "ray": ("ray", "RayExecutor"), "slurm": ("slurm", "SlurmExecutor")}


def check_options(
    name: str, options: Mapping[str, str], gpus: Sequence[int] | None = None, per_gpu: int | None = None
) -> None:
    """Raise BadInput on an executor that is none, and on options of it that do not go together."""
    if name not in EXECUTORS:
        raise BadInput(f"unknown executor {name!r}; known: {', '.join(EXECUTORS)}.")
    if name != "local" and (gpus is not None or per_gpu is not None):
        raise BadInput(f"--gpus and --per-gpu are for this machine; --executor {name} places its runs itself.")
    if taken := [option for option in ("memory", "devices") if option in options]:
        raise BadInput(f"--executor-option has no {taken[0]!r}: --memory limits memory, --gpus names devices.")


def make_executor(name: str, size: int, results: Path, /, **options: Any) -> Executor:
    """The executor of that name, for up to `size` runs at once. options: its own, those that are None left out.

    Raises BadInput where its extra is not installed.
    """
    given = {key: value for key, value in options.items() if value is not None}
    if name == "local" and (unknown := sorted(given.keys() - {"devices", "memory"})):
        raise BadInput(f"--executor local has no option {unknown[0]!r}.")
    if name not in EXECUTORS:
        raise BadInput(f"unknown executor {name!r}; known: {', '.join(EXECUTORS)}.")
    module, kind = EXECUTORS[name]
    try:
        found = getattr(importlib.import_module(f"{__name__}.{module}"), kind)
        executor: Executor = found(size, results, **given)
    except ImportError as error:
        if name == "local":
            raise
        raise BadInput(f'--executor {name} needs more packages ({error}): pip install "rnnbench[{name}]".') from error
    return executor
