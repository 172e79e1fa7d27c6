"""A user's dataset that needs a file, as a downloaded one does."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from rnnbench.datasets import Data, Digits
from rnnbench.errors import MissingData


class Cached(Digits):
    """The digits, readable only where `file` exists."""

    def __init__(self, file: str) -> None:
        super().__init__()
        self.file = Path(file)
        self.spec = dataclasses.replace(self.spec, name="cached")

    def load(self) -> Data:
        if not self.file.exists():
            raise MissingData(f"{self.file} is missing: put it there.")
        return super().load()


class Sleepy(Digits):
    """The digits, read in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.spec = dataclasses.replace(self.spec, name="sleepy")

    def load(self) -> Data:
        time.sleep(self.seconds)
        return super().load()
