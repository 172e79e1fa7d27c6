"""Text as numbers: characters, words or bytes in the order of the file, one small whole number each. No torch."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rnnbench.errors import BadInput

Tokens = Literal["chars", "words", "bytes"]
Ids = NDArray[np.integer]

UNKNOWN, END_OF_LINE = "<unk>", "<eos>"
CODE_POINTS = 0x110000
LONGEST_WORD = 10_000  # characters; a longer one is no word
MOST_WORDS = 5_000_000  # different ones: each is held in memory
AT_ONCE = 1 << 20  # symbols that are renumbered together
WORD = re.compile(r"\n|[^\s]+")
REPLACED = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Text:
    """A text in numbers. ids: train, val and test one after the other, N; borders: where each begins, and the end.

    symbols: what each number stands for; a byte is the character of its number. unknown: the number of `<unk>`, None
    where the vocabulary has all there is.
    """

    tokens: Tokens
    ids: Ids
    borders: tuple[int, int, int, int]
    symbols: tuple[str, ...]
    unknown: int | None

    def part(self, split: int) -> Ids:
        """The numbers of a split: 0 train, 1 val, 2 test. A view."""
        return self.ids[self.borders[split] : self.borders[split + 1]]

    def numbers_of(self, written: str, *, end_of_line: bool) -> list[int]:
        """What somebody writes in numbers. Raises BadInput on what the vocabulary does not have, where it has no
        `<unk>`, and where nothing is left of it."""
        read = Numbers(self.tokens, end_of_line)
        if self.tokens == "bytes":
            written = written.encode("utf-8", "surrogatepass").decode("latin-1")
        ids = read.read([written], "the prompt").tolist()
        known = {symbol: n for n, symbol in enumerate(self.symbols)}
        numbers = [known.get(read.symbols[n], self.unknown) for n in ids]
        missing = [read.symbols[n] for n, number in zip(ids, numbers, strict=True) if number is None]
        if missing or not numbers:
            what = f"{missing[0]!r}, which train does not have" if missing else "no word"
            raise BadInput(f"dataset.sample.prompt holds {what}.")
        return [number for number in numbers if number is not None]

    def encoded(self, ids: Ids) -> bytes:
        """What these numbers stand for, as bytes: UTF-8, or the bytes themselves; an unknown character is U+FFFD."""
        symbols = [REPLACED if n == self.unknown else symbol for n, symbol in enumerate(self.symbols)]
        if self.tokens == "bytes":
            return b"".join(self._bytes(symbols, ids))
        points = np.array([ord(symbol) for symbol in symbols], np.uint32)
        return b"".join(
            points[part].astype("<u4").tobytes().decode("utf-32-le", "surrogatepass").encode("utf-8", "surrogatepass")
            for part in _in_parts(ids)
        )

    def _bytes(self, symbols: list[str], ids: Ids) -> Iterator[bytes]:
        numbers = np.array([ord(symbol) % 256 for symbol in symbols], np.uint8)
        for part in _in_parts(ids):
            yield numbers[part].tobytes()


def words_of(tokens: Tokens, symbols: Iterable[str]) -> str:
    """Symbols as they are read: characters side by side, bytes decoded as far as they are UTF-8, words with spaces."""
    if tokens == "words":
        spaced = " ".join("\n" if symbol == END_OF_LINE else symbol for symbol in symbols)
        return re.sub(" ?\n ?", "\n", spaced)
    joined = "".join(REPLACED if symbol == UNKNOWN else symbol for symbol in symbols)
    return joined if tokens == "chars" else joined.encode("latin-1", "replace").decode("utf-8", "replace")


class Numbers:
    """Numbers for symbols in the order in which they first come; several files may share one."""

    def __init__(self, tokens: Tokens, end_of_line: bool) -> None:
        self.tokens, self.end_of_line = tokens, end_of_line
        self._table = np.full(0 if tokens == "words" else CODE_POINTS, -1, np.int32)
        self._known: dict[str, int] = {}

    @property
    def symbols(self) -> list[str]:
        """What was seen so far, by number."""
        return list(self._known)

    def read(self, blocks: Iterable[str], where: str) -> Ids:
        """A file's symbols as numbers. Raises BadInput on a word that is too long to be one, and on too many words."""
        found = self._words(blocks, where) if self.tokens == "words" else map(self._characters, blocks)
        parts = [part.astype(smallest(len(self._known))) for part in found]
        if self.tokens == "words" and max(map(len, self._known), default=0) > LONGEST_WORD:
            raise BadInput(_too_long(where))
        return np.concatenate(parts) if parts else np.empty(0, np.uint8)

    def _characters(self, block: str) -> Ids:
        codes = np.frombuffer(block.encode("utf-32-le", "surrogatepass"), "<u4")
        new = np.unique(codes[self._table[codes] < 0])
        for code in new.tolist():
            self._table[code] = self._known.setdefault(chr(code), len(self._known))
        numbers: Ids = self._table[codes]
        return numbers

    def _words(self, blocks: Iterable[str], where: str) -> Iterator[Ids]:
        known, rest = self._known, ""
        for block in itertools.chain(blocks, " "):  # a word may go on in the next block; the last one ends
            joined = rest + block
            cut = len(joined) if joined[-1:].isspace() else _last_space(joined) + 1
            if len(joined) - cut > LONGEST_WORD:
                raise BadInput(_too_long(where))
            rest = joined[cut:]
            words = WORD.findall(joined, 0, cut)
            if self.end_of_line:
                words = [END_OF_LINE if word == "\n" else word for word in words]
            else:
                words = [word for word in words if word != "\n"]
            yield np.fromiter((known.setdefault(word, len(known)) for word in words), np.int32, len(words))
            if len(known) > MOST_WORDS:
                raise BadInput(
                    f"{where} holds more than {MOST_WORDS:,} different words: dataset.tokens=chars takes it character "
                    "by character."
                )


def _too_long(where: str) -> str:
    return (
        f"{where} holds a word of more than {LONGEST_WORD:,} characters: dataset.tokens=chars takes it character by "
        "character."
    )


def _last_space(text: str) -> int:
    """Where the last white space of a text is; -1 without any."""
    end = len(text)
    while end and not text[end - 1].isspace():
        end -= 1
    return end - 1


def smallest(count: int) -> type[np.integer]:
    """The smallest type that holds the numbers below count, of those that torch has."""
    if count <= 1 << 8:
        return np.uint8
    return np.int16 if count <= 1 << 15 else np.int32


def settled(numbers: Numbers, ids: Ids, borders: tuple[int, int, int, int], most: int | None) -> Text:
    """The text with train's vocabulary: all of it, or its `most` frequent symbols; the rest is `<unk>`, the last one.

    Numbered by code point, words by how often they come and then by their letters. A word that is written `<unk>` is
    the unknown one.
    """
    symbols = numbers.symbols
    often = _counts(ids[: borders[1]], len(symbols))
    written = symbols.index(UNKNOWN) if UNKNOWN in symbols else None
    kept = [n for n in sorted(range(len(symbols)), key=lambda n: (-often[n], symbols[n])) if often[n]]
    if most is not None and len(kept) > most:
        kept = [n for n in kept[:most] if n != written]
    if numbers.tokens != "words":
        kept.sort(key=lambda n: symbols[n])
    has_unknown = len(kept) < len(symbols)
    if has_unknown and written in kept:
        kept.remove(written)
    table = np.full(len(symbols), len(kept), np.int64)
    table[kept] = np.arange(len(kept))
    vocabulary = (*(symbols[n] for n in kept), *([UNKNOWN] if has_unknown else []))
    renumbered = np.empty(len(ids), smallest(len(vocabulary)))
    for start in range(0, len(ids), AT_ONCE):
        renumbered[start : start + AT_ONCE] = table[ids[start : start + AT_ONCE]]
    unknown = len(kept) if has_unknown else int(table[written]) if written is not None else None
    return Text(numbers.tokens, renumbered, borders, vocabulary, unknown)


def _counts(ids: Ids, size: int) -> NDArray[np.int64]:
    """How often each number comes."""
    found = np.zeros(size, np.int64)
    for part in _in_parts(ids):
        found += np.bincount(part, minlength=size)
    return found


def _in_parts(ids: Ids) -> Iterator[Ids]:
    for start in range(0, len(ids), AT_ONCE):
        yield ids[start : start + AT_ONCE]
