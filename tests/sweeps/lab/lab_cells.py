"""A user's cells that misbehave on purpose; tests/sweeps names this folder as --config-dir."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path
from typing import Any

from torch import Tensor

from rnnbench.nn import RNN


class Napping(RNN):
    """Elman's network, slowed down: LAB_NAP seconds of sleep a step, which change no number."""

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        time.sleep(float(os.environ.get("LAB_NAP", "0")))
        return super().step(wx, state)


class Dying(RNN):
    """Elman's network whose process dies at its step number `after`: how = kill | exit | segfault.

    once: a path; where it exists the cell lives, and dying makes it. None: it dies every time.
    """

    def __init__(self, *args: Any, after: int, how: str, once: str | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.steps, self.after, self.how, self.once = 0, after, how, once

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        self.steps += 1
        if self.steps == self.after and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            die(self.how)
        return super().step(wx, state)


class Greedy(RNN):
    """Elman's network that at its step number `after` holds `megabytes`, or raises MemoryError where that is None.

    once: a path; where it exists the cell is content, and being greedy makes it. None: it is so every time.
    """

    def __init__(
        self, *args: Any, after: int, megabytes: int | None = None, once: str | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.steps, self.after, self.megabytes, self.once = 0, after, megabytes, once

    def step(self, wx: Tensor, state: Any) -> tuple[Tensor, Any]:
        self.steps += 1
        if self.steps == self.after and not (self.once and Path(self.once).exists()):
            if self.once:
                Path(self.once).touch()
            if self.megabytes is None:
                raise MemoryError("more is wanted than there is")
            held = bytearray(os.urandom(2**20) * self.megabytes)
            time.sleep(30)
            assert held
        return super().step(wx, state)


def die(how: str) -> None:
    """End this process at once, in one of the ways in which processes end."""
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        os._exit(3)
    elif how == "segfault":
        ctypes.string_at(0)
    elif how == "hang":
        time.sleep(1000)
    raise ValueError(f"no such end: {how}")
