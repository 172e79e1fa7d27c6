"""A user's text table as a bounded stream of UTF-8, and its records with their line numbers. Imports no torch.

Nothing is read whole: a block at a time, unpacked where the name ends in .gz, transcoded, and looked at for what no
table has: NUL bytes, lines of megabytes, bytes of another encoding, or hundreds of times the size of the packed file.
"""

from __future__ import annotations

import codecs
import gzip
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from rnnbench.errors import BadInput, shown

HEAD = 64 * 1024  # bytes from which everything is inferred
BLOCK = 4 * 1024**2  # bytes that are read at a time
LONGEST = 4 * 1024**2  # bytes of one record
PACKED = 500  # times its size that a packed file may unpack to, once beyond UNPACKED bytes: gzip reaches 1,032
UNPACKED = 64 * 1024**2
EMPTY = b",;\t| \r\n"  # what rows without a cell consist of

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # UTF-32's little-endian mark starts with UTF-16's


def is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def open_bytes(path: Path) -> IO[bytes]:
    """A file's bytes, unpacked. Raises BadInput where it cannot be opened."""
    try:
        return cast(IO[bytes], gzip.open(path, "rb")) if is_packed(path) else open(path, "rb")
    except OSError as error:
        raise BadInput(f"{path.name} cannot be read ({error.strerror or error}).") from None


def head_of(path: Path, size: int = HEAD) -> tuple[bytes, bool]:
    """The first bytes of a file, unpacked, and whether these are all. Raises BadInput where it is damaged."""
    with open_bytes(path) as file:
        found = _read(file, path, size + 1)
    return found[:size], len(found) <= size


def _read(file: IO[bytes], path: Path, size: int) -> bytes:
    try:
        return file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        what = "is no whole gzip file" if is_packed(path) else "cannot be read"
        raise BadInput(f"{path.name} {what} ({error}).") from None


def encoding_of(head: bytes, path: Path, asked: str | None) -> str:
    """The encoding of a file by its first bytes: the one asked for, else UTF-8, else cp1252. Raises BadInput."""
    if asked is not None:
        return _known(asked)
    if head.startswith(UTF16) or _every_second_is_nul(head):
        raise BadInput(f"{path.name} is UTF-16: save it as UTF-8.")
    for encoding in ("utf-8", "cp1252"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(head)
            return encoding
        except UnicodeDecodeError as error:
            wrong = error
    raise BadInput(_not_encoded(path, "UTF-8 or cp1252", wrong.object[wrong.start], f"at {wrong.start}"))


def _known(encoding: str) -> str:
    try:
        info = codecs.lookup(encoding)
        "".encode(encoding)  # hex and the like are codecs, too, but of no text
        codecs.getincrementaldecoder(encoding)
    except (LookupError, ValueError, TypeError):
        raise BadInput(f"dataset.encoding={shown(encoding)} is no encoding: utf-8, cp1252, latin-1, ...") from None
    return info.name


def _every_second_is_nul(head: bytes) -> bool:
    """Whether these bytes are ASCII in UTF-16 without a mark."""
    half = len(head) // 2
    return half > 0 and max(head[0::2].count(0), head[1::2].count(0)) > 0.8 * half


def _not_encoded(path: Path, encoding: str, byte: int, place: str) -> str:
    other = {"UTF-8": "cp1252", "UTF-8 or cp1252": "latin-1"}.get(encoding, "utf-8")
    return f"{path.name} is not {encoding} (byte 0x{byte:02x} {place}): convert it, or dataset.encoding={other}."


class Stream:
    """A text file as UTF-8 without its byte order mark, blank lines at its start and empty rows at its end.

    It is read by pyarrow, in a thread of its own, so what is wrong is kept in `error` (a sentence) and ends the stream.
    first_line: the line at which the first byte stands. quotes: how many quotes have passed. trailing: rows left out
    at the end, of which no cell is filled.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self.path, self.encoding = path, encoding
        self.file = open_bytes(path)
        self.decoder = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)()
        self.error: str | None = None
        self.closed = False
        self.first_line = 1
        self.quotes = self.trailing = 0
        self._started = self._ended = False
        self._unpacked = self._newlines = self._since = 0  # _since: bytes after the last line's end
        self._held = b""  # of EMPTY bytes: passed on where more follows
        self._ready = b""

    def close(self) -> None:
        self.closed = True
        self.file.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = BLOCK) -> bytes:
        """At most `size` bytes; none at the end."""
        while not self._ready and not self._ended:
            try:
                self._ready = self._next()
            except BadInput as error:
                self.error, self._ended = str(error), True
        found, self._ready = self._ready[:size], self._ready[size:]
        return found

    def blocks(self) -> Iterator[bytes]:
        """All of it. Raises BadInput."""
        while block := self.read():
            yield block
        if self.error:
            raise BadInput(self.error)

    def _next(self) -> bytes:
        """The next block, transcoded; b"" where nothing of it can be passed on yet."""
        raw = _read(self.file, self.path, BLOCK)
        self._check_size(len(raw))
        text = self._decode(raw)
        if not raw:
            self._ended = True
            return self._end(text)
        if not self._started:
            text = self._start(text)
        self._check(text)
        kept = (self._held + text).rstrip(EMPTY) if len(self._held) < BLOCK else self._held + text
        self._held = (self._held + text)[len(kept) :]
        return kept

    def _start(self, text: bytes) -> bytes:
        stripped = text.lstrip(b"\r\n")
        blank = text[: len(text) - len(stripped)]
        self.first_line += len(blank.splitlines())
        self._started = bool(stripped)
        return stripped

    def _end(self, text: bytes) -> bytes:
        """The rest of the last row; the empty rows after it are left out."""
        lines = (self._held + text).splitlines()
        self.trailing = sum(bool(line.strip()) for line in lines[1:])
        return (lines[0] if lines else b"") + b"\n" if self._started else b""

    def _check_size(self, size: int) -> None:
        self._unpacked += size
        if is_packed(self.path) and self._unpacked > max(UNPACKED, PACKED * self.path.stat().st_size):
            raise BadInput(f"{self.path.name} unpacks to more than {PACKED} times its size: unpack it yourself first.")

    def _decode(self, raw: bytes) -> bytes:
        if self._started and self.encoding == "utf-8" and raw.isascii() and not self.decoder.getstate()[0]:
            return raw
        try:
            return self.decoder.decode(raw, not raw).encode("utf-8")
        except UnicodeDecodeError as error:
            line = self.first_line + self._newlines + error.object[: error.start].count(b"\n")
            name = self.encoding.upper() if self.encoding == "utf-8" else self.encoding
            raise BadInput(_not_encoded(self.path, name, error.object[error.start], f"in line {line}")) from None
        except UnicodeError as error:  # of rare encodings, which do not say where
            raise BadInput(f"{self.path.name} is not {self.encoding} ({error}): dataset.encoding=utf-8?") from None

    def _check(self, text: bytes) -> None:
        """Refuse what no table has; count lines and quotes."""
        if b"\0" in text:
            line = self.first_line + self._newlines + text[: text.index(b"\0")].count(b"\n")
            raise BadInput(f"line {line} of {self.path.name} holds a NUL byte: it is no table of text.")
        end = max(text.rfind(b"\n"), text.rfind(b"\r"))
        self._newlines += text.count(b"\n")
        self.quotes += text.count(b'"')
        self._since = len(text) - end - 1 if end >= 0 else self._since + len(text)
        if self._since > LONGEST:
            line = self.first_line + self._newlines
            raise BadInput(f"line {line} of {self.path.name} is longer than {LONGEST // 1024**2} MiB: is it a table?")


@dataclass(frozen=True)
class Record:
    """A row of a text table. line: where it starts. text: with its separators and quotes, without the line's end."""

    line: int
    text: bytes
    fields: int
    closed: bool = True  # its quotes are


def records(
    blocks: Iterator[bytes], separator: str, first_line: int = 1, blanks: bool | None = None
) -> Iterator[Record]:
    """The rows of a text table; a quoted cell may hold line ends.

    blanks: whether a blank line is a row, of one empty cell; None: where the first row, the header, has one cell.
    """
    mark, line, begun, begun_at = separator.encode(), first_line, b"", first_line
    for each in _lines(blocks):
        text = begun + each if begun else each
        if not begun:
            begun_at = line
        line += 1
        is_open, fields = _fields(text, mark) if b'"' in text else (False, text.count(mark) + 1)
        if is_open and len(text) <= LONGEST:
            begun = text
            continue
        begun = b""
        bare = text.rstrip(b"\r\n")
        if blanks is None:
            blanks = fields == 1
        if bare or blanks:
            yield Record(begun_at, bare, fields, not is_open)
    if begun:
        yield Record(begun_at, begun.rstrip(b"\r\n"), _fields(begun, mark)[1], False)


def line_of_record(stream: Stream, separator: str, wanted: int) -> int | None:
    """The line at which a record (from 0, the header) starts; None where there are fewer.

    While no line is blank and no cell is quoted, a record is a line, and line ends are counted.
    """
    blocks, passed, rest, line, blanks = stream.blocks(), 0, b"", 0, False
    for block in blocks:
        text = rest + block
        if not line:
            line = stream.first_line
            blanks = next(records(iter([text]), separator)).fields == 1
        whole = text[: text.rfind(b"\n") + 1]
        count = whole.count(b"\n")
        if not _is_plain(whole) or passed + count > wanted:
            found = records(itertools.chain([text], blocks), separator, line, blanks)
            return next((each.line for each in itertools.islice(found, wanted - passed, None)), None)
        passed, line, rest = passed + count, line + count, text[len(whole) :]
    return None


def _is_plain(whole: bytes) -> bool:
    """Whether each line of these is a record."""
    if b'"' in whole or whole.startswith((b"\n", b"\r")) or b"\n\n" in whole or b"\n\r" in whole:
        return False
    return whole.count(b"\r") == whole.count(b"\r\n")


def _lines(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Lines with their ends, across blocks."""
    rest = b""
    for block in blocks:
        lines = (rest + block).splitlines(keepends=True)
        rest = lines.pop() if lines else b""
        yield from lines
    if rest:
        yield from rest.splitlines(keepends=True)


def _fields(text: bytes, mark: bytes) -> tuple[bool, int]:
    """Whether a record ends within quotes, and its fields. A quote opens at a field's start only; two are one sign."""
    at, fields = 0, 1
    while True:
        if text[at : at + 1] == b'"':
            at = _closing(text, at + 1)
            if at < 0:
                return True, fields
        at = text.find(mark, at)
        if at < 0:
            return False, fields
        at, fields = at + 1, fields + 1


def _closing(text: bytes, at: int) -> int:
    """Where the quote ends that was opened before `at`; -1 where it does not."""
    while True:
        at = text.find(b'"', at)
        if at < 0 or text[at + 1 : at + 2] != b'"':
            return at
        at += 2
