"""The Free Spoken Digit Dataset: which digit was said? `datasets.own.fsdd` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnbench.datasets.own import fsdd
from rnnbench.datasets.own.sequences import Found
from rnnbench.datasets.own_sequences import OwnSequences


class FSDD(OwnSequences):
    """Log-mel energies of a spoken digit, 12 to 226 steps of 40 bands; the digit is the class.

    split: `official`, recordings 0 to 4 of every speaker and digit are the test set, so that the same six voices are on
    both sides; `speaker`, test_speaker is the test set and another speaker validation. scale, audio: as of own
    sequences. x: B T 40; y: N, 0 to 9. Raises MissingData where the archive is corrupt or cannot be fetched.
    """

    def __init__(
        self,
        split: str = "official",
        test_speaker: str | None = None,
        data_seed: int = 0,
        scale: str = "standard",
        audio: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(**fsdd.options_of(split, test_speaker, data_seed, scale, audio))

    def found(self) -> Found:
        """Read the archive, downloading it where there is none."""
        return fsdd.read(self.options)
