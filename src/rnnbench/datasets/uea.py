"""Sets of the UEA and UCR archives of time series classification by name. `datasets.own.uea` reads them."""

from __future__ import annotations

from rnnbench.datasets.own import uea
from rnnbench.datasets.own.sequences import Found
from rnnbench.datasets.own_sequences import OwnSequences


class UEA(OwnSequences):
    """A set of the archives: whole sequences to classify, its official test set; an eighth of the rest is validation.

    set: its name, as the archives have it. scale, max_steps, longer: as of own sequences. Equal sequences in train and
    test, which some sets have, are told and kept. Raises BadInput on a name that is none, MissingData where the files
    are corrupt, or are not there and cannot be fetched.
    """

    def __init__(
        self,
        set: str = "BasicMotions",
        data_seed: int = 0,
        scale: str = "standard",
        max_steps: int | None = None,
        longer: str = "refuse",
    ) -> None:
        super().__init__(**uea.options_of(set, data_seed, scale, max_steps, longer))
        self.set = set

    def found(self) -> Found:
        """Read the two files, downloading those that are known."""
        return uea.read(self.set, self.options)
