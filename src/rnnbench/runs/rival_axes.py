"""Which axes a network without recurrence cannot take. Imports neither torch nor hydra."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnbench.errors import AxisRefused


def is_rival(config: Mapping[str, Any]) -> bool:
    """Whether the chosen cell is none, but a network over whole sequences (mlp, tcn, transformer)."""
    return not config["cell"]["meta"].get("recurrent", True)


def check_rival(config: Mapping[str, Any]) -> None:
    """Refuse what such a network cannot be. Raises AxisRefused with the reason in one sentence."""
    cell, direction, depth = config["cell"]["meta"], config["direction"], config["depth"]
    name = f"cell={cell['name']}"
    if config["dataset"]["meta"]["inputs"] == "frames":
        raise AxisRefused(f"{name} is no recurrent cell, and a network that predicts frames is made of those.")
    if direction["way"] not in cell["directions"]:
        raise AxisRefused(f"{name} takes no direction={direction['way']}: {cell['no_direction']}.")
    if direction["merge"] == "sum":
        raise AxisRefused(f"{name} has no two directions to sum; use direction=bidirectional.")
    if depth["residual"] or depth["norm"] != "none":
        raise AxisRefused(f"{name} has no depth.residual and no depth.norm: its layers are its paper's as they are.")
