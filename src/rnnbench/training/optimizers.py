"""How an optimizer computes its step where the config leaves that open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KERNELS = ("torch.optim.Adam", "torch.optim.AdamW")  # whose step torch has as one kernel that pays: SGD's does not
OTHER_WAYS = ("foreach", "differentiable")  # torch takes neither together with `fused`


def settled(node: Mapping[str, Any]) -> dict[str, Any]:
    """An optimizer's config node with `fused: null` settled: torch's kernel, unless another way is asked for.

    The kernel computes the step of a parameter in one pass, on CPU and CUDA, where torch's own default is a call for
    each of some ten terms; the two differ by rounding. Other classes, and a node without that key, are as they were.
    """
    options = dict(node)
    if options.get("_target_") in KERNELS and options.get("fused", False) is None:
        options["fused"] = not any(options.get(way) for way in OTHER_WAYS)
    return options
