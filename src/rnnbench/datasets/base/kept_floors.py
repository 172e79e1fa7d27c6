"""Floors that take seconds, kept beside the data: computed once a machine and not once a run.

A file is `<cache folder>/floors/<key>.json`; its key is a hash of all that the values depend on, so a change of data,
protocol, code or torch finds nothing and computes anew. Where the folder cannot be written, nothing is kept.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from rnnbench.datasets.base.fetch import cache_folder
from rnnbench.datasets.base.spec import Data, data_hash
from rnnbench.datasets.base.task import Task


def kept(
    task: Task, data: Data, compute: Callable[[], Mapping[str, float]], *, by: str | None = None
) -> Mapping[str, float]:
    """The floors of a task on its data: as they were found before, to the bit, or computed and kept.

    by: the installed package, other than torch, that computes them.
    """
    file = getattr(sys.modules[type(task).__module__], "__file__", None)
    if file is None:  # typed into a prompt: there is no source to know it by
        return compute()
    what = _what(task, data, file)
    if by is not None:
        what[by] = version(by)
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]
    path = cache_folder() / "floors" / f"{key}.json"
    found = _read(path, what)
    if found is None:
        found = dict(compute())
        _write(path, {"of": what, "floors": found})
    return found


def _what(task: Task, data: Data, file: str) -> dict[str, str]:
    """All that the values depend on: sums round by the processor's vectors and the number of threads, too.

    file: where the task is written.
    """
    return {
        "dataset": task.spec.name,
        "protocol": task.spec.protocol,
        "metric": task.spec.metric,
        "data_hash": data_hash(data),
        "source": _source(file),
        "torch": f"{torch.__version__} {torch.backends.cpu.get_cpu_capability()} {torch.get_num_threads()} threads",
    }


@functools.cache
def _source(file: str) -> str:
    """A hash over the source of this room and of the file that a task is written in, which may be a user's."""
    digest = hashlib.sha256()
    for path in [*sorted(Path(__file__).parents[1].rglob("*.py")), Path(file)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _read(path: Path, what: Mapping[str, str]) -> dict[str, float] | None:
    """The floors in a file; None where there is none, or what it holds is not whole or of something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        floors = {str(name): float(value) for name, value in content["floors"].items()}
        whole = content["of"] == what and floors and all(map(math.isfinite, floors.values()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return floors if whole else None


def _write(path: Path, content: Mapping[str, object]) -> None:
    """Atomically, where it can be: the folder of the data may be another user's."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
