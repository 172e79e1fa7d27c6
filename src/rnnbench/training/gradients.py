"""The gradients' norm and clipping to it, at every update: `torch.nn.utils` to the bit, without its sorting by device.

Gradients are those of one network, all on one device.
"""

from __future__ import annotations

import torch
from torch import Tensor

ADDED = 1e-6  # by torch to the norm, before it divides by it
SURELY_BELOW = 0.99  # of the limit: no rounding of the quotient leads from there to below 1


def total_norm(grads: list[Tensor]) -> Tensor:
    """The norm of all gradients as one vector, a scalar on their device; of none it is 0. As `get_total_norm`."""
    if not grads:
        return torch.tensor(0.0)
    each: tuple[Tensor, ...] = torch._foreach_norm(grads)
    total: Tensor = torch.linalg.vector_norm(torch.stack(each))
    return total


def clip_to(limit: float, grads: list[Tensor], total: Tensor, norm: float) -> None:
    """Scale gradients in place to a norm of at most limit, as `clip_grads_with_norm_`.

    total: their norm as `total_norm` gives it; norm: its value, finite. Well below the limit nothing is touched, where
    torch multiplies by 1.
    """
    if norm + ADDED < SURELY_BELOW * limit:
        return
    coefficient = torch.clamp(limit / (total + ADDED), max=1.0)
    torch._foreach_mul_(grads, coefficient)
