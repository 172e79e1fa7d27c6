"""The Lightning module and what belongs to it: batches, evaluation, diagnostics. The only room with lightning."""

from rnnbench.training import stand_ins
from rnnbench.training.outcomes import Diverged, Interrupted, TimedOut
from rnnbench.training.schedules import halving_steps

stand_ins.put()  # before any file of this room imports Lightning

__all__ = ["Diverged", "Interrupted", "TimedOut", "halving_steps"]
