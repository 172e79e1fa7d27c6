"""Nested configs as flat ones."""

from __future__ import annotations

from typing import Any


def leaves(config: Any, prefix: str = "") -> dict[str, Any]:
    """Every value of a nested config by its dotted key; a list counts as one value."""
    if not isinstance(config, dict):
        return {prefix: config}
    return {k: v for key, sub in config.items() for k, v in leaves(sub, f"{prefix}.{key}".lstrip(".")).items()}
