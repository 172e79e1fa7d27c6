"""Users' sequences with a label each: read, checked, split and scaled, torch-free, so that a bad file is refused while
a sweep is planned.

Grammars: .npz (npz.py), .csv .tsv .txt .gz .parquet (sequence_tables.py), .ts (ts_files.py), a folder with labels.csv
and wav files (wavs.py).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base import named_metrics
from rnnbench.datasets.base.checks import one_of, whole
from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.base.words import number, plural
from rnnbench.datasets.own import (
    answers,
    beside,
    kept_sequences,
    log_mel,
    npz,
    sequence_splits,
    sequence_tables,
    sources,
    table,
    ts_files,
    wavs,
)
from rnnbench.datasets.own.gathered import Sequences, check_channels, check_words, class_names, joined
from rnnbench.datasets.own.sequence_splits import Splitting
from rnnbench.errors import BadInput, MissingData, listed_ids, nearest, shown
from rnnbench.store.content import SHOWN, path_hash

READING_VERSION = 1  # a new one when the same file and options give other values
TASKS = ("classify", "regress")
SCALES = ("standard", "none", "each")
LONGER = ("refuse", "truncate")
TABLES = (*table.TEXT, *table.PARQUET, ".gz")
NAMES = ("label", "id", "time", "group", "test_group")
OF_LABELS, OF_ROWS = ("label", "group"), ("id", "time", "columns")  # options that name columns
WRITTEN = ("separator", "decimal", "thousands", "date_format", "timezone", "encoding")
MOST_MEMORY = 0.5  # of the machine's, that the three splits may take
MEL = "mel "  # how the channels of recordings are called
CLASSES_TOLD = 20  # in the printout, with their counts


# The task's own metrics, the main one first.
OF_CLASSES: dict[str, named_metrics.Goal] = {
    "accuracy": "max", "macro_f1": "max", "balanced_accuracy": "max", "min_recall": "max",
}  # fmt: skip
OF_NUMBERS: dict[str, named_metrics.Goal] = {"mse": "min", "mae": "min", "r2": "max"}


@dataclass(frozen=True)
class Options:
    """The options of own_sequences; see the yaml."""

    path: str | None = None
    test_path: str | None = None
    label: str | None = None
    id: str | None = None
    time: str | None = None
    group: str | None = None
    columns: tuple[str, ...] | None = None
    task: str = "classify"
    split: tuple[float, ...] = (0.7, 0.1, 0.2)
    test_group: str | None = None
    data_seed: int = 0
    scale: str = "standard"
    max_steps: int | None = None
    longer: str = "refuse"
    audio: Mapping[str, Any] | None = None
    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    date_format: str | None = None
    timezone: str | None = None
    encoding: str | None = None
    name: str = "own_sequences"
    source: str | None = None
    metrics: tuple[Any, ...] | None = None
    metric: str | None = None

    def measured(self, classes: int | None = None) -> named_metrics.Chosen:
        """What the options ask to be measured. classes: how many there are, where that is known."""
        if self.task == "classify":
            return named_metrics.choose(self.metrics, self.metric, OF_CLASSES, of="classes", classes=classes)
        return named_metrics.choose(self.metrics, self.metric, OF_NUMBERS, of="numbers")

    def written(self) -> table.Options:
        """How a table is written."""
        return table.Options(
            self.separator, self.decimal, self.thousands, self.date_format, self.timezone, self.encoding
        )


@dataclass(frozen=True)
class Scaled:
    """One split as a network is fed it. x: N T C float32, zeros after the end; lengths: N, None where all have T steps;
    y: N classes, int64, or N 1 numbers, float32. names: N."""

    x: NDArray[np.float32]
    y: NDArray[Any]
    lengths: NDArray[np.int64] | None
    names: list[str]


@dataclass(frozen=True)
class Found:
    """What was read. parts: train, val, test. classes: sorted names, empty of a regression."""

    parts: tuple[Scaled, Scaled, Scaled]
    classes: tuple[str, ...]
    channels: tuple[str, ...]
    max_steps: int
    protocol: str
    reading: Reading


def options_of(options: Mapping[str, Any]) -> Options:
    """A dataset's node as Options. Raises BadInput on a wrong value or an unknown option."""
    check_names(options, [field.name for field in fields(Options)], "own_sequences")
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    for key in NAMES:  # a column called 5 is typed as it is
        given[key] = _as_name(key, given.get(key))
    if isinstance(given.get("columns"), tuple):
        given["columns"] = tuple(_as_name("columns", name) for name in given["columns"])
    found = Options(**given)
    check(found)
    return found


def _as_name(key: str, value: object) -> object:
    """A name that may be a number. Raises BadInput on what is none."""
    if value is None or (isinstance(value, str) and value):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number(value)
    raise BadInput(f"dataset.{key} must be a name; got {shown(value)}.")


def check_names(options: Mapping[str, Any], known: Collection[str], dataset: str) -> None:
    """Raises BadInput on an option that a dataset does not have."""
    for key in options:
        if key not in known:
            raise BadInput(f"dataset.{key} is no option of {dataset}; {nearest(str(key), known)}")


def check(options: Options) -> None:
    """Raises BadInput on an option that cannot be used, whatever the file."""
    one_of("task", options.task, TASKS)
    one_of("scale", options.scale, SCALES)
    one_of("longer", options.longer, LONGER)
    options.measured()
    whole("data_seed", options.data_seed, 0)
    if options.max_steps is not None:
        whole("max_steps", options.max_steps, 1)
    elif options.longer != "refuse":
        raise BadInput(f"dataset.longer={options.longer} needs dataset.max_steps, the number of steps that are kept.")
    sequence_splits.shares(options.split)
    log_mel.audio(options.audio)
    columns = options.columns
    if columns is not None and (not isinstance(columns, tuple) or not columns or len(set(columns)) < len(columns)):
        raise BadInput(f"dataset.columns must be a list of names, each once, e.g. [x,y]; got {shown(columns)}.")


def reading(options: Mapping[str, Any]) -> Reading:
    """What is read of what a dataset's options name, and what is done with it. Raises BadInput, MissingData."""
    return read(options).reading


def read(options: Mapping[str, Any]) -> Found:
    """Read, check, split and scale. options: the dataset's node, without meta and _target_."""
    chosen = options_of(options)
    path = located(chosen)
    test = test_path(chosen, path)
    sequences, content = _content_of(path, chosen, "dataset.path")
    if test is not None:
        if sequences.official is not None:
            raise BadInput(f"{path.name} names a test set itself: leave dataset.test_path out.")
        tested, other = _content_of(test, chosen, "dataset.test_path")
        content += f"+{other}"
        sequences = joined(sequences, tested, path, test)
    name = path.name if test is None else f"{path.name} + {test.name}"
    return prepared(sequences, chosen, name, content)


def _content_of(path: Path, options: Options, option: str) -> tuple[Sequences, str]:
    """The sequences of one file or folder, read or kept, and how its content is known."""
    sha256 = path_hash(path, option)

    def read() -> Sequences:
        found = opened(path, options)
        if path_hash(path, option) != sha256:
            raise BadInput(f"{path.name} is being written while it is read; try again when it is whole.")
        return found

    how = {key: getattr(options, key) for key in (*OF_LABELS, *OF_ROWS, *WRITTEN, "task")}
    how["suffixes"] = [] if path.is_dir() else path.suffixes[-2:]
    if recorded(path):
        how["audio"] = [vars(log_mel.audio(options.audio)), kept_sequences.this_machine()]
    return kept_sequences.found_or_read(sha256, how, read), sha256[:SHOWN]


def located(options: Options) -> Path:
    """The file or folder to read. Raises MissingData where there is none, BadInput where none is named."""
    if options.source is not None:
        if options.path is not None:
            raise BadInput("dataset.path and dataset.source are given: name one of them.")
        return sources.locate(options.source)
    return _existing(options.path, "path")


def test_path(options: Options, path: Path) -> Path | None:
    """The file with the official test set: as the option says, or NAME_TEST.ts beside NAME_TRAIN.ts."""
    if options.test_path is not None:
        return _existing(options.test_path, "test_path")
    return beside.test_file(path)


def _existing(value: object, option: str) -> Path:
    if not isinstance(value, str) or not value:
        raise BadInput(
            f"dataset.{option} must name a file (.npz .csv .parquet .ts) or a folder with labels.csv; got {value!r}."
        )
    path = Path(os.path.expanduser(value))
    if not path.exists():
        others = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingData(f"{path.name} does not exist; {nearest(path.name, others)}")
    return path


def opened(path: Path, options: Options) -> Sequences:
    """The sequences of one file or folder, by its suffix."""
    if not recorded(path) and log_mel.audio(options.audio) != log_mel.Audio():
        raise BadInput(f"dataset.audio is for recordings, and {path.name} holds none: leave it out.")
    if recorded(path):
        _check_acting(options, OF_ROWS, "a folder of recordings")
        return wavs.read(
            path, log_mel.audio(options.audio), options.written(), label=options.label, group=options.group,
            numbers=options.task == "regress",
        )  # fmt: skip
    suffix = path.suffix.lower()
    if not path.is_dir() and path.stat().st_size == 0:
        raise BadInput(f"{path.name} is empty.")
    if suffix in (".npz", ".ts"):
        _check_acting(options, (*OF_LABELS, *OF_ROWS, *WRITTEN), f"a {suffix} file")
        return npz.read(path) if suffix == ".npz" else ts_files.read(path)
    if suffix in TABLES or path.is_dir():
        return sequence_tables.read(
            path, options.written(), id=options.id, time=options.time, label=options.label, group=options.group,
            columns=options.columns, numbers=options.task == "regress",
        )  # fmt: skip
    raise BadInput(
        f"{path.name}: dataset.path must be .npz, .csv, .tsv, .txt, .parquet, .ts or a folder with labels.csv."
    )


def recorded(path: Path) -> bool:
    """Whether this is a folder of recordings: each that is none of Parquet parts."""
    return path.is_dir() and ((path / wavs.LABELS).is_file() or not any(path.rglob("*.parquet")))


def _check_acting(options: Options, without: tuple[str, ...], what: str) -> None:
    """Raises BadInput where an option is set that nothing of this grammar can follow."""
    for key in without:
        if getattr(options, key) is not None:
            raise BadInput(f"dataset.{key} is for tables, and this is {what}: leave it out.")


def prepared(sequences: Sequences, options: Options, name: str, content: str, *, strict: bool = True) -> Found:
    """Sequences that were read, checked, split and scaled. name: of the file, in sentences; content: its hash.

    strict: equal sequences in two splits are refused, else warned of.
    """
    sequences = _limited(sequences, options, name)
    for x, of in zip(sequences.x, sequences.names, strict=True):
        check_channels(x, of, sequences.channels, name)
    classify = options.task == "classify"
    warnings = _check_labels(sequences, name, classify)
    numbers = None if classify else _numbers(sequences, name)
    shares = sequence_splits.shares(options.split)
    splitting = sequence_splits.split(
        sequences, shares, options.data_seed, classes=classify, test_group=options.test_group, strict=strict
    )
    classes = class_names(sequences.labels) if classify else []
    chosen = options.measured(len(classes))
    most = max(len(part) for part in splitting.parts[1:])
    named_metrics.affordable(chosen.metrics, items=most, outputs=len(classes) or 1)
    longest = max(len(x) for x in sequences.x)
    _check_memory(sequences, longest, name)
    y = _targets(sequences, classes, numbers, splitting, options)
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        mean, std = _statistics([sequences.x[i] for i in splitting.parts[0].tolist()])
        made = [_scaled(sequences, part, y, longest, options.scale, mean, std, name) for part in splitting.parts]
    constant = [channel for channel, deviation in zip(sequences.channels, std.tolist(), strict=True) if deviation == 0]
    warnings += splitting.warnings
    if constant:
        warnings.append(f"constant in train: {listed_ids(constant)}")
    protocol = _protocol(sequences, options, splitting, classes, longest, content)
    told = Reading(
        tuple(_lines(sequences, options, splitting, classes, name, y)),
        tuple(warnings),
        {
            "max_steps": longest,
            "classes": len(classes),
            "channels": len(sequences.channels),
            "sizes": [len(part) for part in splitting.parts],
        },
    )
    return Found((made[0], made[1], made[2]), tuple(classes), tuple(sequences.channels), longest, protocol, told)


def _limited(sequences: Sequences, options: Options, name: str) -> Sequences:
    """No sequence longer than max_steps: refused, or cut at its end."""
    most = options.max_steps
    longer = [] if most is None else [i for i, x in enumerate(sequences.x) if len(x) > most]
    if most is None or not longer:
        return sequences
    first = longer[0]
    if options.longer == "refuse":
        raise BadInput(
            f"{name}: {sequences.names[first]} has {len(sequences.x[first]):,} steps, more than dataset.max_steps="
            f"{most} ({len(longer):,} of {len(sequences.x):,} do): dataset.longer=truncate keeps their first {most}."
        )
    said = [*sequences.said, f"{plural(len(longer), 'sequence')} cut to the first {most} steps"]
    return replace(sequences, x=[x[:most] for x in sequences.x], said=said)


def _check_labels(sequences: Sequences, name: str, classify: bool) -> list[str]:
    """Warnings of labels and groups. Raises BadInput where one is missing or cannot be told from another."""
    for what, values in (("label", sequences.labels), ("group", sequences.groups or [])):
        if "" in values:
            raise BadInput(f"{name}: {sequences.names[values.index('')]} has no {what}.")
    check_words(sequences.channels, "channel", name, numbers=True)
    warnings = check_words(sequences.labels, "label", name, numbers=not classify)
    return warnings + check_words(sequences.groups or [], "group", name)


def _numbers(sequences: Sequences, name: str) -> NDArray[np.float64]:
    """The labels of a regression, N."""
    numbers = np.empty(len(sequences.labels))
    for index, text in enumerate(sequences.labels):
        try:
            numbers[index] = np.nan if "_" in text else float(text)
        except ValueError:
            numbers[index] = np.nan
        if not np.isfinite(numbers[index]):
            raise BadInput(
                f"{name}: {sequences.names[index]} has the label {shown(text)}, which is no number: set "
                "dataset.task=classify."
            )
    return numbers


def _check_memory(sequences: Sequences, longest: int, name: str) -> None:
    """All are padded to the longest: refused where that is more than the machine's memory has room for."""
    import psutil

    size = 4 * len(sequences.x) * longest * len(sequences.channels)
    most = MOST_MEMORY * psutil.virtual_memory().total
    if size > most:
        raise BadInput(
            f"{name}: {len(sequences.x):,} sequences padded to {longest:,} steps take {size / 2**30:.1f} GiB, more "
            "than half of this machine's memory: set dataset.max_steps and dataset.longer=truncate, or take fewer."
        )


def _statistics(x: list[NDArray[Any]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and ddof-0 standard deviation of each channel over all steps, float64, C each."""
    steps = sum(len(each) for each in x)
    mean = sum(each.sum(0, dtype=np.float64) for each in x) / steps
    squares = sum(np.square(each - mean, dtype=np.float64).sum(0) for each in x)
    std = np.sqrt(squares / steps)
    same = np.all([(each == x[0][0]).all(0) for each in x], axis=0)  # rounding makes no deviation of a constant
    return mean, np.where(same, 0.0, std)


def _targets(
    sequences: Sequences,
    classes: list[str],
    numbers: NDArray[np.float64] | None,
    splitting: Splitting,
    options: Options,
) -> NDArray[Any]:
    """The classes' numbers, N; or the numbers, N 1, standardised by train unless scale is none."""
    if numbers is None:
        number = {name: index for index, name in enumerate(classes)}
        return np.array([number[label] for label in sequences.labels], np.int64)
    train = numbers[splitting.parts[0]]
    if (train == train[0]).all():  # their deviation need not be 0: it is rounded
        raise BadInput(f"all labels of train are {sequences.labels[int(splitting.parts[0][0])]}: nothing to learn.")
    if options.scale != "none":
        with np.errstate(over="ignore", invalid="ignore"):
            std = train.std()
            numbers = np.where(np.isfinite(std), (numbers - train.mean()) / std, np.inf)
    with np.errstate(over="ignore"):
        y = numbers.astype(np.float32)[:, None]
    if not np.isfinite(y).all():
        index = int(np.abs([float(label) for label in sequences.labels]).argmax())
        raise BadInput(
            f"the label of {sequences.names[index]}, {sequences.labels[index]}, is too large to be computed with: take "
            "another unit."
        )
    return y


def _scaled(
    sequences: Sequences, part: NDArray[np.int64], y: NDArray[Any], longest: int, scale: str, mean: NDArray[np.float64],
    std: NDArray[np.float64], name: str,
) -> Scaled:  # fmt: skip
    """One split: scaled in float64, cast once, padded by zeros. Raises BadInput where values, or squares, overflow."""
    x = np.zeros((len(part), longest, len(sequences.channels)), np.float32)
    lengths = np.empty(len(part), np.int64)
    for row, index in enumerate(part.tolist()):
        values = np.asarray(sequences.x[index], np.float64)
        if scale == "each":
            mean, std = _statistics([values])
        if scale != "none":
            values = (values - mean) / np.where(std == 0, 1.0, np.where(np.isfinite(std), std, np.nan))
        x[row, : len(values)] = values
        if not np.isfinite(x[row, : len(values)]).all():
            channel = sequences.channels[int((~np.isfinite(x[row])).any(0).argmax())]
            raise BadInput(
                f"{name}: channel {channel} has values too large to be computed with: take another unit, or leave it "
                "out."
            )
        lengths[row] = len(values)
    all_as_long = all(len(each) == longest for each in sequences.x)
    return Scaled(x, y[part], None if all_as_long else lengths, [sequences.names[i] for i in part.tolist()])


def _protocol(
    sequences: Sequences, options: Options, splitting: Splitting, classes: list[str], longest: int, content: str
) -> str:
    """All that moves a number, in one string; a network is made again from its first half (OwnSequences.recall)."""
    outputs = f"{len(classes)} classes" if classes else "regression"
    steps = f"up to {longest} steps"
    sizes = "/".join(str(len(part)) for part in splitting.parts)
    shares = "/".join(number(float(share)) for share in sequence_splits.shares(options.split))
    scaled = {"standard": "scaled by train", "each": "scaled each", "none": "not scaled"}[options.scale]
    words = [
        f"{content} {plural(len(sequences.channels), 'channel')}, {outputs}, {steps}",
        f"{sizes} ({shares}) {splitting.how}",
        scaled,
        *([] if options.max_steps is None else [f"max {options.max_steps} {options.longer}"]),
        *_columns(options),
        *_parsing(options),
        *([log_mel.audio(options.audio).words()] if sequences.channels[0].startswith(MEL) else []),
        f"reading {READING_VERSION}",
    ]
    return ", ".join(words)


def _columns(options: Options) -> list[str]:
    """The columns that options name."""
    keys = ("id", "time", "label", "group")
    said = [f"{key} {getattr(options, key)}" for key in keys if getattr(options, key) is not None]
    return said + ([] if options.columns is None else [f"columns {'+'.join(options.columns)}"])


def _parsing(options: Options) -> list[str]:
    """How a file is to be read, where options say so."""
    return [f"{key} {getattr(options, key)}" for key in WRITTEN if getattr(options, key) is not None]


def _lines(
    sequences: Sequences, options: Options, splitting: Splitting, classes: list[str], name: str, y: NDArray[Any]
) -> list[str]:
    """What is printed before the first update."""
    lengths = [len(x) for x in sequences.x]
    shortest, longest = min(lengths), max(lengths)
    named = not sequences.channels[0].isdecimal() and not sequences.channels[0].startswith(MEL)  # by the user
    steps = f"{longest:,}" if shortest == longest else f"{shortest:,} to {longest:,}"
    channels = plural(len(sequences.channels), "channel") + (f" ({listed_ids(sequences.channels)})" if named else "")
    first = f"{name}: {len(sequences.x):,} sequences of {steps} steps, {channels}, {_of_labels(sequences, classes)}"
    groups = f", {plural(len(set(sequences.groups)), 'group')}" if sequences.groups else ""
    said = f", {', '.join(sequences.said)}" if sequences.said else ""
    sizes = "/".join(f"{len(part):,}" for part in splitting.parts)
    scaled = {
        "standard": "each channel standardised by train",
        "each": "each sequence standardised by itself",
        "none": "not scaled",
    }[options.scale]
    lines = [first + groups + said, f"split {sizes}: {splitting.how}; {scaled}"]
    return [*lines, *_floors(splitting, classes, y, options.measured(len(classes)).metric)]


def _floors(splitting: Splitting, classes: list[str], y: NDArray[Any], metric: str) -> list[str]:
    """The trivial predictions in the main metric on test."""
    train, _, test = (y[part] for part in splitting.parts)
    if metric not in (answers.OF_CLASSES if classes else answers.OF_NUMBERS):
        return [answers.by_the_run(metric)]
    if classes:
        most = int(np.bincount(train, minlength=len(classes)).argmax())
        value = answers.of_classes(metric, np.full(len(test), most), test)
        chance = f"chance {1 / len(classes):.4f}, " if metric == "accuracy" else ""
        return [f"floors on test, {metric}: {chance}majority {value:.4f} ({classes[most]})"]
    mean = train.astype(np.float64).mean()
    value = answers.of_numbers(metric, np.full(test.shape, mean), test)
    return [f"floor on test, {metric}: mean {value:.4f}"] if np.isfinite(value) else []


def _of_labels(sequences: Sequences, classes: list[str]) -> str:
    """The classes with the number of their sequences."""
    if not classes:
        return "numbers to predict"
    counts = Counter(sequences.labels)
    each = [f"{label} {counts[label]:,}" for label in classes]
    return f"{len(classes):,} classes ({listed_ids(each, CLASSES_TOLD)})"
