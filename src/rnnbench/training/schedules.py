"""Learning-rate schedules that torch has no constructor for; the others are named in conf/schedule/ directly."""

from __future__ import annotations

from torch.optim import Optimizer
from torch.optim.lr_scheduler import MultiStepLR


def halving_steps(optimizer: Optimizer, updates: int, gamma: float = 0.1) -> MultiStepLR:
    """The rate times gamma at one half and at three quarters of the updates."""
    return MultiStepLR(optimizer, [updates // 2, updates * 3 // 4], gamma=gamma)
