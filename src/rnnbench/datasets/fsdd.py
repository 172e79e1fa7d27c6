"""The Free Spoken Digit Dataset: which digit was said? (Jackson et al., https://doi.org/10.5281/zenodo.1342401)

3,000 recordings of 8 kHz: six speakers said each digit fifty times. One archive of one commit; what counts is what is
in it, whoever packed it: a hash over the names and bytes of all recordings.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rnnbench.datasets.base.checks import one_of
from rnnbench.datasets.base.fetch import RemoteFile, cache_folder, fetch
from rnnbench.datasets.own import log_mel, sequences, wavs
from rnnbench.datasets.own.sequences import Found
from rnnbench.datasets.own_sequences import OwnSequences
from rnnbench.errors import BadInput, MissingData

COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"
REPOSITORY = "https://github.com/Jakobovski/free-spoken-digit-dataset"
FOLDER, TAR = "fsdd", "fsdd_recordings.tar"  # of `git archive COMMIT recordings`, taken where it lies in the cache
ARCHIVE = RemoteFile(FOLDER, f"{COMMIT[:12]}.zip", None, (f"{REPOSITORY}/archive/{COMMIT}.zip",))
# sha256 over a line `name sha256` for each recording, sorted by name.
RECORDINGS = "dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f"
NAME = re.compile(r"(?:.*/)?recordings/((\d)_([a-z]+)_(\d+)\.wav)")
LARGEST = 1 << 17  # bytes of a recording; the largest has 36,568
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
TESTED = 5  # of the fifty: the official test set are those numbered 0 to 4
SPLITS = ("official", "speaker")


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
        one_of("split", split, SPLITS)
        if split == "speaker":
            one_of("test_speaker", test_speaker, SPEAKERS)
        elif test_speaker is not None:
            raise BadInput("dataset.test_speaker needs dataset.split=speaker.")
        super().__init__(test_group=test_speaker, data_seed=data_seed, scale=scale, audio=audio, name="fsdd")

    def found(self) -> Found:
        """Read the archive, downloading it where there is none."""
        path = archive()
        held = recordings(path)
        names = sorted(held)
        digits, speakers, numbers = zip(*(name.removesuffix(".wav").split("_") for name in names), strict=True)
        sounds = ((name, wavs.sound(io.BytesIO(held[name]), len(held[name]), name)) for name in names)
        options = sequences.options_of(self.options)
        read = wavs.as_sequences(sounds, list(digits), list(speakers), log_mel.audio(options.audio))
        if options.test_group is None:
            read.official = np.array(numbers, np.int64) < TESTED
        return sequences.prepared(read, options, "fsdd", COMMIT[:12])


def archive() -> Path:
    """The archive with the recordings: the tar, where it lies in the cache folder, else GitHub's zip, once."""
    tar = cache_folder() / FOLDER / TAR
    return tar if tar.is_file() else fetch(ARCHIVE)


def recordings(path: Path) -> dict[str, bytes]:
    """All recordings by name, nothing unpacked. Raises MissingData unless they are those of the commit, to the bit."""
    try:
        held = dict(_members(path))
    except (OSError, tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise MissingData(f"{path} cannot be read ({_text(error)}): delete the file and run again.") from None
    lines = (f"{name} {hashlib.sha256(held[name]).hexdigest()}\n" for name in sorted(held))
    if hashlib.sha256("".join(lines).encode()).hexdigest() != RECORDINGS:
        raise MissingData(
            f"{path} is corrupt: its {len(held):,} recordings are not the 3,000 of commit {COMMIT[:12]}; delete "
            "the file and run again to fetch it anew."
        )
    return held


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of what may be a recording; larger files than these are none."""
    if path.suffix == ".tar":
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                found = NAME.fullmatch(member.name)
                if found and member.isfile() and member.size <= LARGEST:
                    stream = tar.extractfile(member)
                    assert stream is not None  # of a plain file
                    yield found[1], stream.read()
        return
    with zipfile.ZipFile(path) as packed:
        for each in packed.infolist():
            found = NAME.fullmatch(each.filename)
            if found and each.file_size <= LARGEST:
                yield found[1], packed.read(each)
