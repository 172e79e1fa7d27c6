"""How an optimizer computes its step where the config leaves that open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

KERNELS = ("torch.optim.Adam", "torch.optim.AdamW")  # whose step torch has as one kernel that pays: SGD's does not
OTHER_WAYS = ("foreach", "differentiable")  # torch takes neither together with `fused`


def settled(node: Mapping[str, Any], params: Iterable[Tensor] = ()) -> dict[str, Any]:
    """An optimizer's config node with `fused: null` settled: torch's kernel, unless another way is asked for.

    The kernel computes the step of a parameter in one pass, on CPU and CUDA, where torch's own default is a call for
    each of some ten terms; the two differ by rounding. Other classes, and a node without that key, are as they were;
    so is the step of a network of which the kernel takes a parameter not, or wrongly.
    """
    options = dict(node)
    if options.get("_target_") in KERNELS and options.get("fused", False) is None and all(_takes(p) for p in params):
        options["fused"] = not any(options.get(way) for way in OTHER_WAYS)
    return options


def _takes(param: Tensor) -> bool:
    """Whether torch's kernel steps this parameter rightly: real numbers, side by side in memory.

    It goes through memory as if they were: of a part of a larger tensor it changes the rest, and writes beyond it.
    """
    return param.is_floating_point() and param.is_contiguous()
