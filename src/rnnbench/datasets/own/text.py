"""Your own text: read, cut into three splits in order, numbered; refused or said in words. Imports no torch."""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rnnbench.datasets.base import named_metrics
from rnnbench.datasets.base.checks import one_of, whole
from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.own import answers, ngrams, sources
from rnnbench.datasets.own.symbols import UNKNOWN, Numbers, Text, Tokens, settled
from rnnbench.errors import BadInput, MissingData, nearest
from rnnbench.store.content import SHOWN, path_hash

VERSION = 1  # of the reading: another one reads other numbers out of the same file
UNITS: Mapping[Tokens, str] = {"chars": "character", "words": "word", "bytes": "byte"}
NEWLINES = ("keep", "unix")
SPLIT = (0.9, 0.05, 0.05)
LEAST = 2  # symbols of a split: one that is seen, one that is predicted
BLOCK = 1 << 20  # bytes that are decoded together
MOST_SYMBOLS = 1_000_000
MANY_SYMBOLS = 30_000
MOST_WRITTEN = 10_000  # characters of a sample
LISTED, LISTED_LONG = 256, 100  # symbols that a reading names, and characters of each
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
LOOKED_AT = 1 << 12  # bytes in which text of two bytes a character is looked for
HALF = re.compile("[\ud800-\udfff]")  # of a pair: no character, and no file can hold it
PATHS = ("path", "val_path", "test_path")

# The task's own metrics. A word has no bits a character.
OF_LOSS: dict[str, named_metrics.Goal] = {"bpc": "min", "perplexity": "min"}
OF_SYMBOLS: dict[str, named_metrics.Goal] = {
    "accuracy": "max", "macro_f1": "max", "balanced_accuracy": "max", "min_recall": "max",
}  # fmt: skip
MOST_SHARES = 1 << 30  # symbols of test times V, of which a metric by name of an n-gram model is still computed


@dataclass(frozen=True)
class Options:
    """The options of `OwnText`, checked. Raises BadInput on values that no text can have."""

    name: str = "own_text"
    path: str | None = None
    source: str | None = None
    val_path: str | None = None
    test_path: str | None = None
    tokens: Tokens = "chars"
    vocabulary: int | None = None
    bptt: int = 64
    context: int | None = None
    split: tuple[float, float, float] = SPLIT
    encoding: str = "utf-8"
    newlines: str = "keep"
    eos: bool | None = None
    sample: Mapping[str, Any] = field(default_factory=dict)
    metrics: Any = None
    metric: str | None = None

    def __post_init__(self) -> None:
        one_of("tokens", self.tokens, UNITS)
        one_of("newlines", self.newlines, NEWLINES)
        whole("bptt", self.bptt, 2, "symbols that a network sees at once")
        if self.context is not None:
            whole("context", self.context, 0, "or null for as many as bptt")
        if self.vocabulary is not None:
            whole("vocabulary", self.vocabulary, 2, "or null for all of train's symbols")
        if self.eos is not None and (self.tokens != "words" or not isinstance(self.eos, bool)):
            raise BadInput("dataset.eos is true or false of dataset.tokens=words, and null of all others.")
        _check_split(self.split)
        _check_encoding(self.encoding)
        sample(self.sample)
        if self.given and tuple(self.split) != SPLIT:
            raise BadInput("dataset.split cannot act: dataset.val_path and dataset.test_path are the splits.")
        self.measured()

    def measured(self, classes: int | None = None) -> named_metrics.Chosen:
        """What the options ask to be measured. classes: V, where that is known. Raises BadInput."""
        usual = "perplexity" if self.tokens == "words" else "bpc"
        metrics = [usual, "accuracy"] if self.metrics is None else self.metrics
        own = {usual: OF_LOSS[usual], **(OF_LOSS if self.tokens != "words" else {}), **OF_SYMBOLS}
        return named_metrics.choose(metrics, self.metric, own, of="classes", classes=classes)

    @property
    def given(self) -> bool:
        """Whether validation and test are files of their own."""
        return self.source in sources.BRING_YOUR_OWN or self.val_path is not None

    @property
    def seen_before(self) -> int:
        """Symbols that a network without a state is given in front of a chunk."""
        return self.bptt if self.context is None else self.context

    @property
    def coding(self) -> str:
        """The encoding by the one name that all its spellings have."""
        return codecs.lookup(self.encoding).name

    @property
    def unit(self) -> str:
        return UNITS[self.tokens]

    @property
    def end_of_line(self) -> bool:
        """Whether a line's end is a symbol of its own among words."""
        return self.eos is not False


def options(given: Mapping[str, Any]) -> Options:
    """A dataset's options as its yaml has them. Raises BadInput on one that there is not, and as Options does."""
    known = [each.name for each in fields(Options)]
    for key in given:
        if key not in known:
            raise BadInput(f"dataset.{key} is no option of a text; {nearest(str(key), known)}")
    values = dict(given)
    if isinstance(values.get("split"), list):
        values["split"] = tuple(values["split"])
    return Options(**values)


@dataclass(frozen=True)
class Sample:
    """How a text is written by a trained network. prompt: None for the beginning of test."""

    characters: int = 400
    temperature: float = 0.8
    prompt: str | None = None


def sample(given: Mapping[str, Any]) -> Sample:
    """The option `sample`. Raises BadInput."""
    if not isinstance(given, Mapping) or not all(key in Sample.__dataclass_fields__ for key in given):
        raise BadInput(f"dataset.sample has characters, temperature and prompt; got {dict(given) if given else given}.")
    found = Sample(**given)
    whole("sample.characters", found.characters, 0)
    if found.characters > MOST_WRITTEN:
        raise BadInput(f"dataset.sample.characters must be at most {MOST_WRITTEN:,}, not {found.characters:,}.")
    number = isinstance(found.temperature, (int, float)) and not isinstance(found.temperature, bool)
    if not number or not 0 < found.temperature < 100:
        raise BadInput(f"dataset.sample.temperature must be a number above 0, not {found.temperature!r}.")
    prompt = found.prompt
    if prompt is not None and not (isinstance(prompt, str) and 0 < len(prompt) <= MOST_WRITTEN):
        raise BadInput(
            f"dataset.sample.prompt must be a text of at most {MOST_WRITTEN:,} characters, or null for the "
            "beginning of test."
        )
    return found


def _check_split(split: object) -> None:
    """Three shares above 0 that are 1 together, in their decimal digits."""
    shares = list(split) if isinstance(split, (list, tuple)) else []
    numbers = all(isinstance(share, (int, float)) and not isinstance(share, bool) for share in shares)
    if len(shares) != 3 or not numbers or not all(0 < share < 1 for share in shares) or sum(map(_exact, shares)) != 1:
        raise BadInput(f"dataset.split must be three shares above 0 that add up to 1, as [.9,.05,.05]; got {split!r}.")


def _exact(share: float) -> Fraction:
    """A share as it is written: 0.9 is nine tenths, which no float is."""
    return Fraction(str(share))


def _check_encoding(encoding: object) -> None:
    try:
        known = isinstance(encoding, str) and codecs.lookup(encoding)._is_text_encoding
        if known:
            codecs.getincrementaldecoder(str(encoding))
    except (LookupError, ValueError):
        known = False
    if not known:
        raise BadInput(f"dataset.encoding must be a text encoding, as utf-8 or latin-1; got {encoding!r}.")


@dataclass(frozen=True)
class Read:
    """A text with what was found on the way. content: the first digits of the sha256 of each file, joined."""

    text: Text
    options: Options
    files: tuple[Path, ...]
    content: str
    returns: int = 0  # carriage returns that were kept as characters; among words, those that end no line
    marked: bool = False  # a byte order mark was left out

    @cached_property
    def prompt(self) -> list[int]:
        """What a network goes on from when it writes: the asked one, else the beginning of test. Raises BadInput."""
        asked = sample(self.options.sample).prompt
        if asked is None:
            found: list[int] = self.text.part(2)[: self.options.bptt].tolist()
            return found
        if self.options.newlines == "unix":
            asked = asked.replace("\r\n", "\n").replace("\r", "\n")
        return self.text.numbers_of(asked, end_of_line=self.options.end_of_line)

    @cached_property
    def chosen(self) -> named_metrics.Chosen:
        """What is measured. Raises BadInput on what would not fit into memory, or takes too long of the floors."""
        V, sizes = len(self.text.symbols), [len(self.text.part(split)) - 1 for split in (1, 2)]
        found = self.options.measured(V)
        named_metrics.affordable(found.metrics, items=max(sizes), outputs=V)
        if named_metrics.is_named(found.metric) and sizes[1] * V > MOST_SHARES:
            raise BadInput(
                f"dataset.metric={found.metric} needs floors, and n-gram models give {V:,} shares for each of "
                f"{sizes[1]:,} {self.options.unit}s of test: take it into dataset.metrics, and accuracy as "
                "dataset.metric."
            )
        return found

    @cached_property
    def floors(self) -> dict[str, float]:
        """The n-gram models in the main metric on test, and of bits a symbol `bz2`, where it was computed.

        In a metric of torchmetrics, which this room does not know, in bpc, or perplexity of words.
        """
        metric = self.chosen.metric
        if metric in OF_SYMBOLS:
            wanted = self.text.part(2)[1:]
            models = {name: ngrams.model(self.text, order) for name, order in ngrams.ORDERS.items()}
            return {name: answers.of_classes(metric, found.answers(), wanted) for name, found in models.items()}
        found = {name: ngrams.bits(self.text, order) for name, order in ngrams.ORDERS.items()}
        packed = None if self.options.tokens == "words" else ngrams.packed(self.text)
        if packed is not None:
            found["bz2"] = packed
        return {name: 2.0**bits for name, bits in found.items()} if self.floors_in == "perplexity" else found

    @property
    def floors_in(self) -> str:
        """The metric that `floors` are in."""
        metric = self.chosen.metric
        usual = "perplexity" if self.options.tokens == "words" else "bpc"
        return usual if named_metrics.is_named(metric) else metric


def files_of(options: Options) -> tuple[Path, ...]:
    """The file of all three splits, or one each. Raises BadInput where none is named, MissingData where one is not."""
    if options.source is not None:
        if any(getattr(options, key) is not None for key in PATHS):
            raise BadInput(f"dataset.source={options.source} and dataset.path name two texts: give one of them.")
        return _source_files(options.source)
    if not options.path:
        raise BadInput("dataset.path must name a text file, e.g. dataset.path=novel.txt.")
    if (options.val_path is None) != (options.test_path is None):
        raise BadInput("dataset.val_path and dataset.test_path are given both or neither.")
    named = [(key, getattr(options, key)) for key in PATHS if getattr(options, key) is not None]
    return tuple(_file(path, f"dataset.{key}") for key, path in named)


def _source_files(source: str) -> tuple[Path, ...]:
    """The file that is fetched once; of the Penn Treebank the user's own three, which nobody serves."""
    own = sources.own_files(source)
    for file in own.values():
        if not file.is_file():
            raise MissingData(
                f"{file} is missing, and may not be passed on: put {', '.join(each.name for each in own.values())} "
                "there, or use dataset=own_text with dataset.path, dataset.val_path and dataset.test_path."
            )
    return tuple(own.values()) or (sources.locate(source),)


def _file(path: object, option: str) -> Path:
    """A file that is there and holds something."""
    if not isinstance(path, str):
        raise BadInput(f"{option} must name a text file; got {path!r}.")
    file = Path(os.path.expanduser(path))
    if not file.exists():
        near = [each.name for each in file.parent.iterdir() if each.is_file()] if file.parent.is_dir() else []
        known = nearest(file.name, near) if near else f"set {option} to your file."
        raise MissingData(f"{file} does not exist; {known}")
    if not file.is_file():
        raise BadInput(f"{option} must name a text file, and {file} is none.")
    if file.stat().st_size == 0:
        raise BadInput(f"{file.name} is empty.")
    return file


def read(options: Options) -> Read:
    """Read the text and number its symbols, in blocks: the ids are held once, and no whole text.

    Raises BadInput, in one sentence, on what is no text in this encoding, and on a text that is too short; MissingData.
    """
    files = files_of(options)
    content = "+".join(path_hash(file, "dataset.path")[:SHOWN] for file in files)
    numbers = Numbers(options.tokens, options.end_of_line)
    decoders = [_Decoder(file, options) for file in files]
    parts = [numbers.read(iter(decoder), decoder.path.name) for decoder in decoders]
    sizes = [len(part) for part in parts] if len(parts) == 3 else _sizes(len(parts[0]), options.split)
    _check_sizes(options, files, sizes)
    ids = parts[0] if len(parts) == 1 else np.concatenate(parts)
    parts.clear()
    borders = (0, sizes[0], sizes[0] + sizes[1], sum(sizes))
    text = settled(numbers, ids, borders, options.vocabulary)
    if options.context is not None and options.context > sizes[0]:
        raise BadInput(f"dataset.context={options.context} is more than train's {_count(sizes[0], options.unit)}.")
    if len(text.symbols) < LEAST:
        raise BadInput(f"{files[0].name} holds one {options.unit} again and again: there is nothing to learn.")
    if len(text.symbols) > MOST_SYMBOLS:
        raise BadInput(
            f"{files[0].name} holds {len(text.symbols):,} different {options.unit}s: take the most frequent with "
            "dataset.vocabulary=50000."
        )
    found = Read(
        text,
        options,
        files,
        content,
        returns=sum(each.returns for each in decoders),
        marked=any(each.marked for each in decoders),
    )
    _ = found.prompt  # asked here, so that one that cannot be is refused before anything is trained
    return found


class _Decoder:
    """The blocks of one file as text: bytes as the characters of their numbers, without a byte order mark."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path, self.tokens, self.newlines = path, options.tokens, options.newlines
        self.encoding = "latin-1" if options.tokens == "bytes" else options.encoding
        self.coding = codecs.lookup(self.encoding).name
        self.ends_lines = options.tokens == "words" and options.end_of_line
        self.returns, self.marked = 0, False

    def __iter__(self) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder(self.encoding)()
        fold = io.IncrementalNewlineDecoder(None, translate=True)
        last = ""
        with self.path.open("rb") as stream:
            at = self._skip_mark(stream)
            while True:
                block = stream.read(BLOCK)
                waiting = len(decoder.getstate()[0])
                try:
                    text = decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    byte = error.object[error.start]
                    raise BadInput(self._refused(f" (byte 0x{byte:02x} at {at - waiting + error.start})")) from None
                except UnicodeError:
                    raise BadInput(self._refused("")) from None
                if self.coding not in ("utf-8", "iso8859-1") and HALF.search(text):
                    raise BadInput(self._refused(""))
                if self.newlines == "unix":
                    text = fold.decode(text, final=not block)
                elif self.tokens == "chars":
                    self.returns += text.count("\r")
                elif self.ends_lines and text:
                    self.returns += text.count("\r") - (last + text).count("\r\n")
                    last = "\r" * text.endswith("\r")
                at += len(block)
                if text:
                    yield text
                if not block:
                    return

    def _skip_mark(self, stream: io.BufferedReader) -> int:
        """Go past a byte order mark of UTF-8. Raises BadInput on UTF-16 and UTF-32 that nobody asked for."""
        start = stream.read(LOOKED_AT)
        wide = self.coding.startswith(("utf-16", "utf-32"))
        if self.tokens != "bytes" and not wide and (found := _wide(start)):
            raise BadInput(f"{self.path.name} is {found}: save it as UTF-8.")
        self.marked = start.startswith(codecs.BOM_UTF8) and self.coding == "utf-8"
        at = len(codecs.BOM_UTF8) if self.marked else 0
        stream.seek(at)
        return at

    def _refused(self, where: str) -> str:
        name = self.encoding.upper() if self.encoding.lower() == "utf-8" else self.encoding
        other = "latin-1" if name == "UTF-8" else "utf-8"
        return f"{self.path.name} is not {name}{where}: convert it, or dataset.encoding={other}."


def _wide(start: bytes) -> str | None:
    """UTF-16 or UTF-32, where a file's first bytes are that: by its mark, or by zeros at every other place or more."""
    if start.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "UTF-32"
    if start.startswith(WIDE_MARKS):
        return "UTF-16"
    places = [start[n::4] for n in range(4)]
    empty = [place.count(0) > 0.9 * len(place) for place in places if place]
    if sum(empty) == 3:
        return "UTF-32"
    return "UTF-16" if empty in ([True, False] * 2, [False, True] * 2) else None


def _sizes(count: int, split: tuple[float, float, float]) -> list[int]:
    """The symbols of train and val, rounded down, and test, which has the rest."""
    train, val = (int(count * _exact(share)) for share in split[:2])
    return [train, val, count - train - val]


def _check_sizes(options: Options, files: tuple[Path, ...], sizes: list[int]) -> None:
    for file, size in zip(files, sizes, strict=False):
        if len(files) == 3 and size < LEAST:
            raise BadInput(f"{file.name} holds {_count(size, options.unit)}: a split takes at least {LEAST}.")
    if min(sizes) < LEAST:
        raise BadInput(
            f"{files[0].name} holds {_count(sum(sizes), options.unit)}, which are too few: they make splits of "
            f"{sizes[0]}, {sizes[1]} and {sizes[2]}, and each takes at least {LEAST}."
        )


def _count(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'s' * (count != 1)}"


def reading_of(read: Read) -> Reading:
    """What was read and what will be done with it."""
    text, asked = read.text, read.options
    unit, sizes = asked.unit, [len(text.part(split)) for split in range(3)]
    names = ", ".join(file.name for file in read.files)
    how = "" if asked.tokens == "bytes" else f", {asked.encoding.upper()}"
    how += ", its byte order mark left out" * read.marked
    lines = [f"{names}: {_count(len(text.ids), unit)}{how}, {len(text.symbols):,} different ones to predict"]
    if read.returns and asked.tokens == "words":
        lines.append(
            f"\\r alone ends no line: {read.returns:,} of them are white space (dataset.newlines=unix: ends of lines)"
        )
    elif read.returns:
        lines.append(f"\\r is a character: {read.returns:,} of them are kept (dataset.newlines=unix folds them)")
    shares = "/".join(f"{share:g}" for share in asked.split)
    order = "each a file of its own" if asked.given else f"split {shares} in order"
    lines.append(
        f"train {sizes[0]:,}, val {sizes[1]:,}, test {sizes[2]:,} {unit}s, {order}; {asked.bptt} at once, the state is "
        f"carried on; a network without a state sees {asked.seen_before} before them"
    )
    if read.floors_in == read.chosen.metric:
        metric = f"bits a {unit}" if read.floors_in == "bpc" else read.floors_in
        told = ", ".join(f"{name} {value:.4f}" for name, value in read.floors.items())
        lines.append(f"floors on test, {metric}: {told}")
    else:
        lines.append(answers.by_the_run(read.chosen.metric))
    facts = {
        "vocabulary": len(text.symbols),
        "symbols": [symbol[:LISTED_LONG] for symbol in text.symbols[:LISTED]],
        "bptt": asked.bptt,
        "context": asked.seen_before,
        "sizes": sizes,
        "floors": read.floors,
    }
    return Reading(tuple(lines), tuple(_warnings(read)), facts)


def _warnings(read: Read) -> Iterator[str]:
    """A vocabulary that takes its time, and `<unk>` in test: what no network can name there."""
    text = read.text
    if len(text.symbols) > MANY_SYMBOLS:
        yield (
            f"{len(text.symbols):,} different {read.options.unit}s: a network has as many outputs at every step; "
            "dataset.vocabulary=10000 takes the most frequent"
        )
    if text.unknown is None:
        return
    share = float((text.part(2) == text.unknown).mean())
    if share:
        yield f"{share:.2%} of test is {UNKNOWN}: {read.options.unit}s that train's vocabulary does not have"


def reading(given: Mapping[str, Any]) -> Reading:
    """Read what a dataset's options name: what a run would see, with every refusal. Raises BadInput, MissingData."""
    return reading_of(read(options(given)))
