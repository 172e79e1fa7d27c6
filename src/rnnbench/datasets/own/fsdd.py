"""The Free Spoken Digit Dataset: which digit was said? (Jackson et al., https://doi.org/10.5281/zenodo.1342401)

3,000 recordings of 8 kHz: six speakers said each digit fifty times. One archive of one commit; what counts is what is
in it, whoever packed it: a hash over the names and bytes of all recordings.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from rnnbench.datasets.base.checks import one_of
from rnnbench.datasets.base.fetch import RemoteFile, cache_folder, fetch
from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.own import kept_sequences, log_mel, sequences, wavs
from rnnbench.datasets.own.gathered import Sequences
from rnnbench.datasets.own.sequences import Found
from rnnbench.errors import BadInput, MissingData
from rnnbench.store.content import path_hash

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


def options_of(
    split: str = "official",
    test_speaker: str | None = None,
    data_seed: int = 0,
    scale: str = "standard",
    audio: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The dataset's options as those of own sequences. Raises BadInput on a speaker that cannot be tested."""
    one_of("split", split, SPLITS)
    if split == "speaker":
        one_of("test_speaker", test_speaker, SPEAKERS)
    elif test_speaker is not None:
        raise BadInput("dataset.test_speaker needs dataset.split=speaker.")
    return {"test_group": test_speaker, "data_seed": data_seed, "scale": scale, "audio": audio, "name": "fsdd"}


def is_here(options: Mapping[str, Any]) -> bool:
    """Whether the archive lies in the cache folder."""
    return any((cache_folder() / FOLDER / name).is_file() for name in (TAR, ARCHIVE.name))


def reading(options: Mapping[str, Any]) -> Reading:
    """What is read of the archive with a dataset's options. Raises BadInput, MissingData."""
    sequences.check_names(options, signature(options_of).parameters, "fsdd")
    return read(options_of(**options)).reading


def read(options: Mapping[str, Any]) -> Found:
    """Read the archive, downloading it where there is none. options: of own sequences, as `options_of` has them."""
    chosen = sequences.options_of(options)
    path = archive()
    stat = path.stat()
    found = _energies(path, stat.st_size, stat.st_mtime_ns, log_mel.audio(chosen.audio))
    if chosen.test_group is not None:
        found = replace(found, official=None)
    return sequences.prepared(found, chosen, "fsdd", COMMIT[:12])


@functools.lru_cache(maxsize=1)  # the splits of one sweep share them, and so do its plan and a run
def _energies(path: Path, size: int, changed_ns: int, audio: log_mel.Audio) -> Sequences:
    """All recordings as log-mel energies, as they were kept or computed. size, changed_ns: of the archive, so that
    another one is read anew."""
    how = {"fsdd": RECORDINGS, "audio": [vars(audio), kept_sequences.this_machine()]}
    return kept_sequences.found_or_read(path_hash(path), how, lambda: _computed(path, audio))


def _computed(path: Path, audio: log_mel.Audio) -> Sequences:
    """Digits are the labels, speakers the groups."""
    held = recordings(path)
    names = sorted(held)
    digits, speakers, numbers = zip(*(name.removesuffix(".wav").split("_") for name in names), strict=True)
    sounds = ((name, wavs.sound(io.BytesIO(held[name]), len(held[name]), name)) for name in names)
    found = wavs.as_sequences(sounds, list(digits), list(speakers), audio)
    found.official = np.array(numbers, np.int64) < TESTED
    return found


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
