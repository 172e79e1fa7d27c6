"""How a text table is written, inferred from its first 64 KiB: separator, header, signs of numbers, kinds of columns.

Nothing is guessed where two readings are possible: that is a refusal with the option that decides. Imports no torch.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.datasets.own import times
from rnnbench.datasets.own.columns import TEXT_SHARE, Kind, Options
from rnnbench.datasets.own.stream import LONGEST, Record, encoding_of, head_of, records
from rnnbench.datasets.own.times import TimeFormat
from rnnbench.errors import BadInput, nearest, shown

MISSING = ("", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "-", "?", "#N/A")
SEPARATORS = (",", ";", "\t", "|")
LOOKED_AT = 50  # records that choose the separator
NAMED = 3  # cells in a sentence
NUMBER_SHARE = 0.9  # of a column's filled cells that speak for a sign

_EXPONENT = r"(?:[eE][-+]?\d+)?"
_SPECIAL = r"|[-+]?(?i:inf|infinity|nan)"


@dataclass(frozen=True)
class Signs:
    """How numbers are written."""

    decimal: str = "."
    thousands: str | None = None

    def pattern(self) -> str:
        """A number, whole, as a regular expression that Python and RE2 both know."""
        point = re.escape(self.decimal)
        plain = rf"[-+]?(?:\d+{point}?\d*|{point}\d+){_EXPONENT}"
        if self.thousands is None:
            return f"(?:{plain}{_SPECIAL})"
        mark = re.escape(self.thousands)
        return rf"(?:[-+]?\d{{1,3}}(?:{mark}\d{{3}})+(?:{point}\d*)?|{plain}{_SPECIAL})"

    def in_words(self) -> list[str]:
        said = ["decimal comma"] if self.decimal == "," else []
        return said + ([f"thousands {self.thousands!r}"] if self.thousands is not None else [])


POINT, COMMA = Signs("."), Signs(",")
GROUPED = (Signs(".", ","), Signs(",", "."), Signs(".", " "), Signs(",", " "))
_GROUPS_ONLY = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+")


@dataclass(frozen=True)
class Form:
    """What one column of a text table is. left_out: why it is no column at all (its name and cells are empty)."""

    name: str
    kind: Kind
    time: TimeFormat | None = None
    blank: bool = False  # no cell of the head is filled: text further on makes it a text column
    first: str = ""
    left_out: bool = False


@dataclass(frozen=True)
class Layout:
    """How a text table is written. forms: its columns in order."""

    path: Path
    encoding: str
    separator: str
    signs: Signs
    forms: tuple[Form, ...]
    first_line: int
    said: tuple[str, ...]


def layout_of(path: Path, options: Options, texts: Collection[str]) -> Layout:
    """How a text table is written. Raises BadInput of what is wrong, or of what an option has to decide."""
    check(options)
    head, whole = _head(path)
    if not head.strip():
        raise BadInput(f"{path.name} is empty.")
    encoding = encoding_of(head, path, options.encoding)
    text, first_line = _as_utf8(head, encoding)
    if told := re.match(rb'"?sep=(.)"?\s*[\r\n]', text):
        sign = told[1].decode("utf-8", "replace")
        raise BadInput(f"{path.name} begins with sep={sign}, which only Excel knows: remove its first line.")
    separator = _separator(_lines_of(text, whole, LOOKED_AT + 1), path, options.separator)
    found = _records_of(text, whole, separator, first_line)
    names, rows = _named(found, separator, path)
    columns = _columns(rows, len(names))
    spoken = {name: filled(cells) for name, cells in zip(names, columns, strict=True) if name not in texts}
    signs = _signs(spoken, options, path)
    _check_header(names, columns, signs, path)
    if not rows:
        raise BadInput(f"{path.name} holds names and no row.")
    named, said_of_names = _complete(names, columns, path)
    forms = [
        _form(name, cells, signs, options, texts, left_out)
        for (name, left_out), cells in zip(named, columns, strict=True)
    ]
    _check_options(forms, options, path, columns)
    mark = "tab" if separator == "\t" else repr(separator)
    said = [f"separator {mark}", *signs.in_words(), "UTF-8" if encoding == "utf-8" else options.encoding or encoding]
    return Layout(path, encoding, separator, signs, tuple(forms), first_line, (*said, *said_of_names))


def check(options: Options) -> None:
    """Raises BadInput where an option is no such thing, or two contradict each other."""
    for name in ("separator", "decimal", "thousands"):
        value = getattr(options, name)
        if value is not None and (
            not isinstance(value, str) or len(value) != 1 or value in '"\r\n' or not value.isascii()
        ):
            raise BadInput(f"dataset.{name}={shown(value)} is no single character.")
    if options.decimal not in (None, ".", ","):
        raise BadInput(f"dataset.decimal={shown(options.decimal)} is neither '.' nor ','.")
    if options.thousands is not None and options.thousands not in ",. '_":
        raise BadInput(f"dataset.thousands={shown(options.thousands)} is none of , . ' _ and a space.")
    signs = [each for each in (options.decimal, options.thousands) if each is not None]
    if len(set(signs)) < len(signs):
        raise BadInput("dataset.decimal and dataset.thousands are the same sign.")
    if options.timezone is not None:
        times.zone_of(options.timezone)
    if options.date_format is not None:
        times.given(options.date_format)


def _head(path: Path) -> tuple[bytes, bool]:
    """The first 64 KiB; more where these hold less than a few lines."""
    head, whole = head_of(path)
    if not whole and head.count(b"\n") < 3:
        return head_of(path, LONGEST)
    return head, whole


def _as_utf8(head: bytes, encoding: str) -> tuple[bytes, int]:
    """The head as the stream gives it, and the line at which it starts."""
    import codecs

    try:
        text = codecs.getincrementaldecoder("utf-8-sig" if encoding == "utf-8" else encoding)().decode(head)
    except UnicodeError:
        text = head.decode("latin-1")  # the stream says what is wrong, with the line
    bare = text.lstrip("\r\n")
    blank = text[: len(text) - len(bare)].encode()
    return bare.encode("utf-8"), 1 + len(blank.splitlines())


def _is_cut(text: bytes, whole: bool) -> bool:
    """Whether the head ends within a line."""
    return not whole and not text.endswith((b"\n", b"\r"))


def _lines_of(text: bytes, whole: bool, most: int) -> list[bytes]:
    """The first lines, for a look at separators."""
    lines = [line for line in text.splitlines() if line]
    return (lines[:-1] if _is_cut(text, whole) and len(lines) > 1 else lines)[:most]


def _records_of(text: bytes, whole: bool, separator: str, first_line: int) -> list[Record]:
    """The records of the head, without the last one where it is cut."""
    found = list(records(iter([text]), separator, first_line))
    cut = _is_cut(text, whole) or not (whole or found[-1].closed)
    return found[:-1] if cut and len(found) > 1 else found


def _separator(lines: list[bytes], path: Path, asked: str | None) -> str:
    """The separator that gives the same number of fields, two or more, in the first records; else in most of them.

    One that is asked for has to stand in the first line, if another one does.
    """
    if asked is not None:
        there = [mark for mark in SEPARATORS if mark.encode() in lines[0]]
        if asked.encode() not in lines[0] and there:
            first = lines[0].decode("utf-8", "replace")
            raise BadInput(f"dataset.separator={asked!r} is not in the first line of {path.name}: {shown(first)}.")
        return asked
    text = b"\n".join(lines)
    counts: dict[str, tuple[float, int]] = {}
    for separator in SEPARATORS:
        fields = [each.fields for each in records(iter([text]), separator) if each.closed]
        usual, times_seen = Counter(fields).most_common(1)[0] if fields else (0, 0)
        if usual >= 2:
            counts[separator] = (times_seen / len(fields), usual)
    even = {separator: usual for separator, (share, usual) in counts.items() if share == 1.0}
    if even:
        return max(even, key=lambda separator: even[separator])
    likely = {separator: each for separator, each in counts.items() if each[0] >= 0.5}
    if likely:
        return max(likely, key=lambda separator: likely[separator])
    if _by_spaces([line.decode("utf-8", "replace").split() for line in lines]):
        raise BadInput(f"the columns of {path.name} are separated by spaces: save it with , ; tab or |.")
    return ","


def _by_spaces(lines: list[list[str]]) -> bool:
    """Whether lines, split at spaces, look like a header and rows that end in numbers."""
    same = len({len(words) for words in lines}) == 1
    return len(lines) > 2 and same and len(lines[0]) > 1 and all(_is_number(words[-1]) for words in lines[1:])


def _is_number(cell: str) -> bool:
    return re.fullmatch(POINT.pattern(), cell) is not None


def cells_of(record: Record, separator: str) -> list[str]:
    """The cells of a record, without the spaces around them."""
    text = record.text.decode("utf-8", "replace")
    try:
        return [cell.strip() for cell in next(csv.reader([text], delimiter=separator)) or [""]]
    except (csv.Error, StopIteration):
        return [cell.strip() for cell in text.split(separator)]


def one_line(name: str) -> str:
    """A column's name, which tables, protocols and sentences show, without line ends, tabs and other controls."""
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())


def _named(found: list[Record], separator: str, path: Path) -> tuple[list[str], list[list[str]]]:
    """The header's names and the head's rows; what has another number of fields is refused with its line.

    Where every row ends in a separator and the header does not, it gets an empty name more.
    """
    if not found:
        raise BadInput(f"{path.name} is empty.")
    names = [one_line(name) for name in cells_of(found[0], separator)]
    rows = [cells_of(record, separator) for record in found[1:]]
    if rows and all(len(row) == len(names) + 1 and not row[-1] for row in rows):
        names = [*names, ""]
    commas = separator == "," and bool(rows) and all(len(row) > len(names) for row in rows)
    for record, row in zip(found[1:], rows, strict=True):
        if not record.closed:
            raise unclosed(record, path)
        if len(row) != len(names) and not _is_tail(found, record, separator):
            raise ragged(record, len(names), path, commas, found[0].text)
    return names, [row for row in rows if len(row) == len(names)]


def _is_tail(found: list[Record], record: Record, separator: str) -> bool:
    """Whether neither this record nor one after it has a filled cell: such are left out at a file's end."""
    empty = separator.encode() + b" "
    return all(not each.text.strip(empty) for each in found if each.line >= record.line)


def ragged(record: Record, names: int, path: Path, commas: bool = False, header: bytes = b"") -> BadInput:
    """Of a row with another number of fields than the header. commas: every row has more, and commas between them."""
    text = (
        f"line {record.line} of {path.name} has {record.fields} field{'s' * (record.fields != 1)}, the header {names}"
    )
    if commas and re.search(rb"\d,\d", record.text):
        return BadInput(f"{text}: a decimal comma needs another separator than a comma, or quotes.")
    if header.startswith(b"#"):
        return BadInput(f"{text}: leave out the lines of comments before the header.")
    return BadInput(f"{text}.")


def unclosed(record: Record, path: Path) -> BadInput:
    return BadInput(f'a quote (") that opens in line {record.line} of {path.name} is not closed.')


def _columns(rows: list[list[str]], names: int) -> list[list[str]]:
    return [[row[at] for row in rows] for at in range(names)]


def filled(cells: Iterable[str]) -> list[str]:
    return [cell for cell in cells if cell not in MISSING]


# ---- how numbers are written -------------------------------------------------------------------------------------


def _share(cells: Sequence[str], signs: Signs) -> float:
    pattern = re.compile(signs.pattern())
    return sum(pattern.fullmatch(cell) is not None for cell in cells) / len(cells)


def _signs(spoken: dict[str, list[str]], options: Options, path: Path) -> Signs:
    """How the numbers of a file are written, by the filled cells of its columns. Raises BadInput: they disagree."""
    if options.decimal is not None or options.thousands is not None:
        comma = options.decimal == "," or (options.decimal is None and options.thousands == ".")
        signs = Signs("," if comma else ".", options.thousands)
    else:
        signs = _inferred(spoken, path)
    for name, cells in spoken.items():
        if not cells or _share(cells, signs) >= NUMBER_SHARE:
            continue
        other = POINT if _share(cells, POINT) >= NUMBER_SHARE else _signs_of(cells)
        if other is not None:
            odd = next(cell for cell in cells if not re.fullmatch(signs.pattern(), cell))
            read_as = " and ".join(signs.in_words()) or "decimal point"
            raise BadInput(
                f"{odd!r} in {name!r} is no number as {path.name} is read ({read_as}): write all columns alike, or "
                "dataset.decimal and dataset.thousands say how they are."
            )
    return signs


def _inferred(spoken: dict[str, list[str]], path: Path) -> Signs:
    """The signs of the columns that a decimal point does not explain; they are the whole file's."""
    speaking = {}
    for name, cells in spoken.items():
        if any("," in cell or " " in cell or cell.count(".") > 1 for cell in cells):
            signs = _signs_of(cells)
            if signs is not None:
                speaking[name] = (signs, cells)
    if not speaking:
        return POINT
    found = {signs for signs, _ in speaking.values()}
    if any(each.decimal == "," and each.thousands for each in found):
        found.discard(COMMA)
    if len(found) > 1:
        raise BadInput(f"{_and(speaking)} of {path.name} write numbers in different ways: dataset.decimal.")
    signs = found.pop()
    if signs == COMMA:
        _check_not_thousands(speaking, path)
    return signs


def _signs_of(cells: Sequence[str]) -> Signs | None:
    """How a column writes its numbers where a decimal point does not explain them; None where it holds none."""
    if _share(cells, POINT) >= NUMBER_SHARE:
        return None
    if _share(cells, COMMA) >= NUMBER_SHARE:
        return COMMA
    return next((each for each in GROUPED if _share(cells, each) >= NUMBER_SHARE), None)


def _check_not_thousands(speaking: dict[str, tuple[Signs, list[str]]], path: Path) -> None:
    """Raises BadInput where each number with a comma may as well be in groups of thousands."""
    marked = [cell for _, cells in speaking.values() for cell in cells if "," in cell]
    if all(_GROUPS_ONLY.fullmatch(cell) for cell in marked):
        plain = marked[0].replace(",", "")
        raise BadInput(
            f"{marked[0]!r} in {path.name} may be {plain} or {marked[0].replace(',', '.')}: "
            "dataset.thousands=',' or dataset.decimal=','."
        )


def _and(names: Iterable[str]) -> str:
    return " and ".join(repr(name) for name in list(names)[:NAMED])


# ---- header ------------------------------------------------------------------------------------------------------


def _is_value(cell: str, signs: Signs) -> bool:
    """Whether a cell is a number or a time."""
    if not cell or cell in MISSING:
        return False
    return re.fullmatch(signs.pattern(), cell) is not None or _times([cell]) is not None


def _times(cells: Sequence[str]) -> TimeFormat | None:
    try:
        return times.infer(cells)
    except BadInput:
        return TimeFormat("%d/%m/%y", undecided=True)


def _check_header(names: list[str], columns: list[list[str]], signs: Signs, path: Path) -> None:
    """Raises BadInput where the first line holds values. Numbers may be names where a word is one, too."""
    values = [name for name in names if _is_value(name, signs)]
    if not values:
        return
    for name, cells in zip(names, columns, strict=True):
        full = filled(cells)
        if name and not _is_value(name, signs) and full and (_share(full, signs) >= NUMBER_SHARE or _times(full)):
            return
    numbers = [value for value in values if re.fullmatch(signs.pattern(), value)]
    listed = ", ".join((numbers or values)[:NAMED])
    raise BadInput(f"the first line of {path.name} holds no names ({listed}): add a header.")


def _complete(names: list[str], columns: list[list[str]], path: Path) -> tuple[list[tuple[str, bool]], list[str]]:
    """Names with those that were empty, and whether a column is left out; and what is said of it."""
    seen: dict[str, int] = {}
    for at, name in enumerate(names, start=1):
        if name and name in seen:
            raise BadInput(f"{name!r} names two columns of {path.name} ({seen[name]} and {at}): rename one.")
        seen[name] = at
    complete, said = [], []
    for at, (name, cells) in enumerate(zip(names, columns, strict=True), start=1):
        empty = not name and not filled(cells)
        index = not name and at == 1 and cells == [str(row) for row in range(len(cells))]
        new = name or _unused(f"column_{at}", names)
        complete.append((new, empty or index))
        if index:
            said.append("the first column has no name and counts the rows: left out")
        elif not name and not empty:
            said.append(f"column {at} has no name: called {new}")
    return complete, said


def _unused(name: str, names: Collection[str]) -> str:
    while name in names:
        name += "_"
    return name


# ---- kinds -------------------------------------------------------------------------------------------------------


def _form(
    name: str, cells: list[str], signs: Signs, options: Options, texts: Collection[str], left_out: bool = False
) -> Form:
    """What a column is, by the head's cells."""
    full = filled(cells)
    first = full[0] if full else ""
    if name in texts:
        return Form(name, "text", first=first, left_out=left_out)
    kind, form = kind_of(full, len(cells), signs, options)
    return Form(name, kind, form, not full, first, left_out)


def kind_of(full: list[str], cells: int, signs: Signs, options: Options) -> tuple[Kind, TimeFormat | None]:
    """Number, time (with its format) or text, by a column's filled cells and how many cells there are."""
    pattern = re.compile(signs.pattern())
    odd = sum(pattern.fullmatch(cell) is None for cell in full)
    if odd <= TEXT_SHARE * cells and (odd < len(full) or not full):
        return "number", None
    if options.date_format is not None:
        found = times.given(options.date_format) if times.matches(full, options.date_format) else None
    else:
        found = times.infer(full)
    return ("time", found) if found is not None else ("text", None)


def _check_options(forms: list[Form], options: Options, path: Path, columns: list[list[str]]) -> None:
    """Raises BadInput where an option names a column that is not there, or a format that no column is in."""
    check_names([form.name for form in forms], options)
    if options.date_format is None or any(form.kind == "time" for form in forms):
        return
    for form, cells in zip(forms, columns, strict=True):
        if form.kind == "number" and times.matches(filled(cells), options.date_format):
            return
    cells = [form.first for form in forms if form.kind == "text" and form.first] or [form.first for form in forms]
    raise BadInput(f"no column of {path.name} is in dataset.date_format={options.date_format}; it holds {cells[0]!r}.")


def check_names(names: Collection[str], options: Options) -> None:
    """Raises BadInput where a column is asked for that is not there."""
    for name in options.columns or ():
        if name not in names:
            raise BadInput(f"no column {shown(name)}; {nearest(repr(name), map(repr, names))}")
