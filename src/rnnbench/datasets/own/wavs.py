"""Sequences from recordings: PCM wav files, mono and of one rate, as log-mel energies (log_mel.py).

A wav's header is a claim: what it announces is compared with the size of the file before anything is read.
"""

from __future__ import annotations

import io
import unicodedata
import wave
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.own import table
from rnnbench.datasets.own.delimited import machine_limit
from rnnbench.datasets.own.gathered import Sequences
from rnnbench.datasets.own.log_mel import Audio, LogMel
from rnnbench.datasets.own.sequence_tables import (
    GROUP_NAMES,
    LABEL_NAMES,
    column,
    label_texts,
    optional_column,
    spellings,
    texts,
)
from rnnbench.errors import BadInput, nearest, shown

LABELS = "labels.csv"
FILES = ("file", "filename", "file_name", "path", "wav")  # what a column of file names may be called, in any case
WIDTHS = (1, 2, 3, 4)  # bytes of a sample


@dataclass(frozen=True)
class Sound:
    """A recording. rate: samples a second; samples: n, float64 in [-1, 1)."""

    rate: int
    samples: NDArray[np.float64]


def read(
    folder: Path, audio: Audio, options: table.Options, *, label: str | None = None, group: str | None = None,
    numbers: bool = False,
) -> Sequences:  # fmt: skip
    """The recordings that a folder's labels.csv names, in its order.

    label, group: the columns, else `label` and, where there is one, `group`. numbers: the labels are. Raises BadInput,
    naming the file.
    """
    listed = folder / LABELS
    if not listed.is_file():
        raise BadInput(f"{folder.name} is a folder without {LABELS}: a table with the columns file and label.")
    columns, said = _listed(listed, options, label, group, numbers)
    files, labels, groups = columns
    paths = _located(folder, files)
    _check_once(files, paths)
    sounds = (_opened(path, name) for path, name in zip(paths, files, strict=True))
    found = as_sequences(zip(files, sounds, strict=True), labels, groups, audio)
    others = sum(1 for path in folder.rglob("*") if path.suffix.lower() == ".wav" and path.is_file()) - len(paths)
    if others > 0:
        are = "file that {} does not name is" if others == 1 else "files that {} does not name are"
        said.append(f"{others:,} wav {are.format(LABELS)} left out")
    found.said[:0] = said
    return found


def as_sequences(
    sounds: Iterable[tuple[str, Sound]], labels: list[str], groups: list[str] | None, audio: Audio
) -> Sequences:
    """Recordings with their names as sequences of log-mel energies. Raises BadInput where their rates differ."""
    x, names, rates = [], [], []
    energies: dict[int, LogMel] = {}
    left = machine_limit()
    for name, sound in sounds:
        if sound.rate not in energies and len(energies) < 2:  # a second rate is refused below, with how many have it
            energies[sound.rate] = LogMel(sound.rate, audio)
        names.append(name)
        rates.append(sound.rate)
        if len(energies) == 1:
            x.append(_energies(name, sound, energies[sound.rate], audio, left))
            left -= x[-1].nbytes
    _check_rates(names, rates)
    said = [f"{rates[0]} Hz mono, {audio.words()}"]
    return Sequences(x, labels, names, [f"mel {band}" for band in range(audio.mels)], groups, said=said, rate=rates[0])


def _energies(name: str, sound: Sound, of: LogMel, audio: Audio, left: int) -> NDArray[np.float64]:
    """left: bytes that may still be taken. Raises BadInput on a recording that is too short, or one too many."""
    if len(sound.samples) < of.window:
        raise BadInput(
            f"{name} has {len(sound.samples):,} samples, fewer than a window of {of.window} ({audio.window_ms:g} ms at "
            f"{sound.rate} Hz): leave it out, or set a shorter dataset.audio.window_ms."
        )
    if 8 * audio.mels * of.steps(len(sound.samples)) > left:
        raise BadInput(
            f"the energies of all recordings up to {name} take more than half of this machine's memory: set a longer "
            "dataset.audio.hop_ms, or take fewer."
        )
    return of(sound.samples)


def sound(content: IO[bytes], size: int, name: str) -> Sound:
    """A wav file of `size` bytes. Raises BadInput where it is none, is no mono PCM, or holds less than it announces."""
    try:
        with wave.open(content, "rb") as file:
            channels, width, rate, count = file.getparams()[:4]
            if channels != 1:
                raise BadInput(f"{name} has {channels} channels: mix it down to one (mono).")
            if width not in WIDTHS:
                raise BadInput(f"{name} has samples of {8 * width} bits; 8, 16, 24 and 32 are read.")
            if count * width > size:
                raise BadInput(_cut(name, count, size // width))
            data = file.readframes(count)
    except (wave.Error, EOFError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        text = " ".join(str(error).split())[:100] or "it ends too soon"
        raise BadInput(f"{name} is no PCM wav ({text}): convert it to 16-bit PCM, mono.") from None
    if len(data) != count * width:
        raise BadInput(_cut(name, count, len(data) // width))
    if count == 0:
        raise BadInput(f"{name} holds no sample: leave it out.")
    if rate < 1:
        raise BadInput(f"{name} announces {rate} Hz, which is no rate: save it again.")
    return Sound(rate, _as_float(data, width))


def _cut(name: str, announced: int, there: int) -> str:
    return (
        f"{name} is cut short or damaged: its header announces {announced:,} samples, and at most {there:,} are there; "
        "save it again."
    )


def _as_float(data: bytes, width: int) -> NDArray[np.float64]:
    """PCM samples as shares of full scale: 8 bits are unsigned, more are signed and little-endian."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 2**7
    if width == 3:  # numpy has no such integer: the three bytes are the upper ones of four
        whole = np.zeros((len(data) // 3, 4), np.uint8)
        whole[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return whole.view("<i4")[:, 0].astype(np.float64) / 2**31
    signed = np.frombuffer(data, np.dtype(f"<i{width}")).astype(np.float64)
    return signed / 2.0 ** (8 * width - 1)


def _opened(path: Path, name: str) -> Sound:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{name} cannot be read ({error.strerror}): make it readable.") from None
    if not content:
        raise BadInput(f"{name} is empty.")
    return sound(io.BytesIO(content), len(content), name)


def _check_rates(names: list[str], rates: list[int]) -> None:
    """One rate for all."""
    counts = Counter(rates)
    if len(counts) < 2:
        return
    (common, many), *_ = counts.most_common()
    name, rate = next((name, rate) for name, rate in zip(names, rates, strict=True) if rate != common)
    others = f"the {many:,} others {common}" if many > 1 else f"the other {common}"
    odd = len(rates) - many
    raise BadInput(f"{name} is {rate} Hz, {others}: resample ({odd:,} file{'s' * (odd != 1)} of {len(rates):,}).")


def _listed(
    path: Path, options: table.Options, label: str | None, group: str | None, numbers: bool
) -> tuple[tuple[list[str], list[str], list[str] | None], list[str]]:
    """The columns of labels.csv: files, labels, groups; and what was inferred of it."""
    usual = spellings(*FILES, *GROUP_NAMES, group) | (set() if numbers else spellings(*LABEL_NAMES, label))
    found = table.read(path, options, texts=usual)
    held = list(found.columns)
    file_column, label_column = column(path, held, None, FILES, "file"), column(path, held, label, LABEL_NAMES, "label")
    files, labels = texts(found, file_column), label_texts(found, label_column, numbers)
    named = optional_column(path, held, group, GROUP_NAMES)
    groups = None if named is None else texts(found, named)
    for row, name in enumerate(files):
        if not name:
            raise BadInput(f"{LABELS} names no file at line {found.line(row)}.")
        if not name.isprintable():  # every sentence about a recording names it
            raise BadInput(
                f"{LABELS} names {shown(name)} at line {found.line(row)}: rename it without control characters."
            )
        if not labels[row]:
            raise BadInput(f"{name} has no label (line {found.line(row)} of {LABELS}).")
    said = [f"{LABELS}: {', '.join(found.said)}"]
    if left := [name for name in held if name not in (file_column, label_column, named)]:
        hint = f" (dataset.group={left[0]} would keep those of one {left[0]} in one split)" if named is None else ""
        said.append(f"not used: {', '.join(left)}{hint}")
    return (files, labels, groups), said


def _located(folder: Path, files: list[str]) -> list[Path]:
    """Where the listed files lie: inside the folder, whose content is what a result belongs to."""
    known: dict[str, Path] | None = None
    paths = []
    for row, name in enumerate(files):
        pure = PurePath(name.replace("\\", "/"))
        if pure.is_absolute() or ".." in pure.parts:
            raise BadInput(f"{LABELS} names {name!r}, which lies outside {folder.name}: list files inside it.")
        path = folder / pure
        if not path.is_file():  # an umlaut may be one sign or two, and a name mean the same
            known = _by_form(folder) if known is None else known
            path = known.get(_form(str(pure)), path)
        if not path.is_file():
            if path.is_dir():
                raise BadInput(f"{LABELS} names {name} (row {row + 1}), which is a folder: name the file in it.")
            near = nearest(name, [each.name for each in folder.iterdir() if each.name not in (LABELS, name)])
            raise BadInput(f"{LABELS} names {name} (row {row + 1}), which is not in {folder.name}; {near}")
        paths.append(path)
    return paths


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _by_form(folder: Path) -> dict[str, Path]:
    return {_form(path.relative_to(folder).as_posix()): path for path in folder.rglob("*") if path.is_file()}


def _check_once(files: list[str], paths: list[Path]) -> None:
    """No file twice, however it is written: it might end on both sides of a split."""
    counts = Counter(paths)
    for name, path in zip(files, paths, strict=True):
        if counts[path] > 1:
            raise BadInput(f"{LABELS} names {name} {counts[path]} times: leave one row.")
