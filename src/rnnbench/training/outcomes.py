"""How training can end other than well. Each says where, in words that stand in the record."""

from __future__ import annotations

from collections.abc import Sequence


class Diverged(Exception):
    """The loss or a gradient is no longer finite."""

    def __init__(self, update: int, what: str, norms: Sequence[float] = ()) -> None:
        super().__init__(f"{what} is not finite at update {update}")
        self.update, self.what, self.norms = update, what, list(norms)


class Interrupted(Exception):
    """Asked to stop (Ctrl-C, SIGTERM, the sweep is gone); the checkpoint is written, the same command resumes."""


class TimedOut(Exception):
    """The run's own time limit is over."""
