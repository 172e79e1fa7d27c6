"""The Lightning module and what belongs to it: batches, evaluation, diagnostics. The only room with lightning."""

from rnnbench.training.outcomes import Diverged, Interrupted, TimedOut
from rnnbench.training.schedules import halving_steps

__all__ = ["Diverged", "Interrupted", "TimedOut", "halving_steps"]
