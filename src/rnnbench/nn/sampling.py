"""Which frames a rollout is fed in training: scheduled sampling (Bengio et al. 2015), forwards and reversed.

The number of training batches so far is a buffer, so it is in every checkpoint; masks are drawn on the device.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MODES = ("own", "teacher", "scheduled", "reverse")


class Sampling(nn.Module):
    """Draws, per sequence and step and for the whole frame, whether the truth is fed.

    mode: own (truth for the first T_in frames, then the own prediction, as in evaluation) | teacher (always truth) |
    scheduled (after T_in with probability eta, from 1 linearly to 0 at update `stop`; OpenSTL: 50,000) | reverse
    (PredRNN-V2, section 3.4: also within the first T_in, with probability .5 up to stop/2, then 1 - .5 exp(-(n -
    stop/2) / alpha) up to stop, then 1; after T_in .5, then linearly to 0 between stop/2 and stop). stop=0: the
    schedule is over before it begins, which is `own`. Raises ValueError on another mode, stop < 0 or alpha <= 0.
    """

    seen: Tensor

    def __init__(self, mode: str = "own", *, stop: int = 50_000, alpha: float = 5_000.0) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"unknown sampling {mode!r}; known: {', '.join(MODES)}")
        if not (isinstance(stop, int | float) and stop >= 0 and alpha > 0):
            raise ValueError(f"sampling needs stop >= 0 updates and alpha > 0, not stop={stop!r} and alpha={alpha!r}")
        self.mode, self.stop, self.alpha = mode, stop, alpha
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @property
    def early(self) -> bool:
        """Whether the first T_in frames, too, may be replaced by predictions."""
        return self.mode == "reverse"

    def probabilities(self, update: int) -> tuple[float, float]:
        """P(truth) within the first T_in frames and after them, at an update counted from 0."""
        if self.mode == "teacher":
            return 1.0, 1.0
        if self.mode == "own" or update >= self.stop:
            return 1.0, 0.0
        if self.mode == "scheduled":
            return 1.0, 1.0 - update / self.stop
        half = self.stop / 2
        if update < half:
            return 0.5, 0.5
        return 1.0 - 0.5 * math.exp(-(update - half) / self.alpha), 0.5 - 0.5 * (update - half) / half

    def forward(self, batch: int, given: int, total: int, device: torch.device) -> Tensor:
        """(total, batch) bool on device: True where step t is fed the truth; counts one training batch."""
        before, after = self.probabilities(int(self.seen))
        self.seen += 1
        chance = torch.full((total, 1), before, device=device)
        chance[given:] = after
        chance[0] = 1.0  # there is no prediction before the first frame
        return torch.rand(total, batch, device=device) < chance
