"""Which classes a config of a record may name: those of the registry's choices. A record names, it never grants.

The registry is rnnbench's own folder and those that the user named on this command line or in RNNBENCH_CONFIG_DIR. So a
class that is made for a record is one of rnnbench's or torch's optimizers, or lies in a folder that the user trusts,
whatever the record says, and under whichever name (`rnnbench.runs.host.subprocess.run`). Imports no torch, unless a
record names a class of these itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rnnbench.runs import registry

KEY = "_target_"  # Hydra's: the class, or whatever else, that a node is made by calling
OURS = "rnnbench."  # how the name of a class of ours begins
TRUSTED = ("rnnbench.nn", "rnnbench.datasets", "torch.optim")
Target = tuple[str, str]  # where in a node, and what is called there


@dataclass(frozen=True)
class Stranger:
    """A class that a config names and the registry does not. here: what the registry has in its place."""

    group: str
    choice: str
    named: str
    here: str | None

    def __str__(self) -> str:
        is_here = f"is {self.here} here" if self.here else "is none of rnnbench's"
        return f"{self.group}={self.choice} ({self.named}), which {is_here}"


def targets(node: Any, place: str = "") -> Iterator[Target]:
    """Every class that a config's node names, nested ones too."""
    items = enumerate(node) if isinstance(node, list) else node.items() if isinstance(node, Mapping) else ()
    for key, value in items:
        where = f"{place}.{key}".lstrip(".")
        if key == KEY:
            yield where, str(value)
        else:
            yield from targets(value, where)


def of_choice(group: str, name: str) -> dict[str, str]:
    """The classes of a choice of the registry, by their place; none where it has no such choice."""
    return dict(targets(registry.read(group, name))) if name in registry.choices(group) else {}


def strangers(group: str, name: str, node: Any) -> Iterator[Stranger]:
    """Those classes of a config's node that the registry's choice of this name does not have in their place."""
    known = of_choice(group, name)
    for place, target in targets(node):
        if target != known.get(place):
            yield Stranger(group, name, target, known.get(place))


def is_ours_or_an_optimizer(target: str) -> bool:
    """Whether a name is that of a class which is DEFINED in one of TRUSTED: what a module there imports is not."""
    module, _, name = target.rpartition(".")
    if not _is_inside(module):
        return False
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and _is_inside(found.__module__)


def _is_inside(module: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in TRUSTED)
