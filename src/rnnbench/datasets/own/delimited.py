"""A text table, a block at a time, to columns of numbers, times and texts. Imports no torch.

pyarrow splits the text; what the cells mean follows from `inference.Layout`. A cell of another kind than its column is
counted, and the first one remembered: few of them are a refusal once the column is asked for, many make it text.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from rnnbench.datasets.own import times
from rnnbench.datasets.own.columns import TEXT_SHARE, Column, Kind, Options, is_wanted, refuse_zone
from rnnbench.datasets.own.inference import MISSING, POINT, Form, Layout, Signs, ragged, unclosed
from rnnbench.datasets.own.kept import Growing, Read, as_words, widest
from rnnbench.datasets.own.stream import BLOCK, Stream, line_of_record, records
from rnnbench.errors import BadInput, shown

CELL = 8  # bytes of a value that is kept
WORD = 200  # and of a distinct word, with what Python needs to find it


def machine_limit() -> int:
    """Half of the machine's memory in bytes: what the columns of a table may take."""
    import psutil

    return int(psutil.virtual_memory().total) // 2


# ---- cells to values ---------------------------------------------------------------------------------------------


def numbers_of(texts: Any, signs: Signs) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Texts as float64 (missing: NaN), and which are no numbers (None where all are)."""
    values = _at_once(texts, signs)
    if values is not None:
        return values, None
    bare = without_missing(texts)
    values = _at_once(bare, signs)
    if values is not None:
        return values, None
    right = pc.match_substring_regex(bare, f"^{signs.pattern()}$")
    wrong = pc.fill_null(pc.invert(right), False)
    bare = pc.if_else(right, bare, pa.scalar(None, pa.string()))
    if signs.thousands is not None:
        bare = pc.replace_substring(bare, signs.thousands, "")
    values = _floats(_cast(pc.replace_substring(bare, signs.decimal, ".")))
    return values, _mask(wrong)


def _at_once(texts: Any, signs: Signs) -> NDArray[np.float64] | None:
    """The numbers, where each is one for pyarrow once its decimal sign is a point; else None."""
    if signs.decimal != ".":
        if pc.any(pc.match_substring(texts, ".")).as_py():
            return None
        texts = pc.replace_substring(texts, signs.decimal, ".")
    try:
        return _floats(pc.cast(texts, pa.float64()))
    except pa.ArrowInvalid:
        return None


def _cast(texts: Any) -> Any:
    """Texts that are numbers as float64, also where one is too large or too long for pyarrow."""
    try:
        return pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        return pa.array([None if text is None else float(text) for text in texts.to_pylist()], pa.float64())


def _floats(values: Any) -> NDArray[np.float64]:
    return np.asarray(pc.fill_null(values, float("nan")).to_numpy(zero_copy_only=False), dtype=np.float64)


def _mask(wrong: Any) -> NDArray[np.bool_] | None:
    found = np.asarray(wrong.to_numpy(zero_copy_only=False), dtype=bool)
    return found if found.any() else None


def without_missing(texts: Any) -> Any:
    """Texts without spaces around them, null where one of the words for a missing value stands."""
    bare = pc.utf8_trim_whitespace(texts)
    missing = pc.is_in(bare, value_set=pa.array(MISSING, pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), bare)


def times_of_texts(texts: Any, form: times.TimeFormat) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Texts as datetime64[ns] (missing: NaT), and which are no times in this format (None where all are)."""
    bare = without_missing(texts)
    values = times.parse(bare, form)
    missing = np.asarray(pc.is_null(bare).to_numpy(zero_copy_only=False), dtype=bool)
    wrong = np.isnat(values) & ~missing
    return values, wrong if wrong.any() else None


class Gathering:
    """A column while it is read. wrong: cells of another kind than the column's; at: the first one's row, and it."""

    def __init__(self, form: Form, signs: Signs, file: Path | None) -> None:
        self.form, self.signs, self.file = form, signs, file
        self.values = Growing(form.kind, file)
        self.wrong = 0
        self.at: tuple[int, str] | None = None
        self.words: dict[str, int] = {}

    def append(self, texts: Any) -> None:
        """One more block of cells, a pyarrow array of texts."""
        if self.form.kind == "text":
            self._add(self._numbered(texts), None, texts)
        elif self.form.kind == "time" and self.form.time is not None:
            self._add(*times_of_texts(texts, self.form.time), texts)
        else:
            self._add(*numbers_of(texts, self.signs), texts)

    def append_times(self, values: NDArray[np.datetime64], cells: Any) -> None:
        """One more block of times; a NaT whose cell is not null is none."""
        wrong = np.isnat(values) & np.asarray(pc.is_valid(cells).to_numpy(zero_copy_only=False), dtype=bool)
        self._add(values, wrong if wrong.any() else None, cells)

    def _add(self, values: NDArray[Any], wrong: NDArray[np.bool_] | None, cells: Any) -> None:
        before = self.values.rows
        self.values.append(values)
        if wrong is not None:
            self.wrong += int(wrong.sum())
            if self.at is None:
                row = int(np.argmax(wrong))
                self.at = before + row, str(cells[row])

    def _numbered(self, texts: Any) -> NDArray[np.int32]:
        """Each text as the number of its word."""
        encoded = pc.fill_null(pc.utf8_trim_whitespace(texts), "").dictionary_encode()
        new = [self.words.setdefault(word, len(self.words)) for word in encoded.dictionary.to_pylist()]
        return np.asarray(new, dtype=np.int32)[encoded.indices.to_numpy()] if new else np.empty(0, np.int32)

    @property
    def is_text(self) -> bool:
        """Whether so many cells are of another kind that the column is one of text."""
        return self.wrong > TEXT_SHARE * self.values.rows or (self.form.blank and self.wrong > 0)


def columns_of(
    forms: Sequence[Form],
    gathering: Mapping[int, Gathering],
    finished: Callable[[Gathering], tuple[Column, NDArray[Any] | None]],
) -> tuple[list[Column], list[NDArray[Any] | None], dict[str, list[str]]]:
    """The columns of a table that was read, in the file's order; their arrays; and the words of texts by column.

    gathering: by the number of its form; a column that is none of these is there by name and kind alone. finished: a
    column of what was gathered.
    """
    columns: list[Column] = []
    arrays: list[NDArray[Any] | None] = []
    words: dict[str, list[str]] = {}
    for at, form in enumerate(forms):
        if form.left_out:
            continue
        unread: Kind = form.kind if form.kind == "text" else "other"
        column, array = Column(form.name, unread, None, first=form.first), None
        if at in gathering:
            column, array = finished(gathering[at])
            if column.kind == "text" and array is not None:
                words[form.name] = list(gathering[at].words)
        columns.append(column)
        arrays.append(array)
    return columns, arrays, words


# ---- the file ----------------------------------------------------------------------------------------------------


@dataclass
class Reader:
    """Reads the columns that are wanted of a text table."""

    layout: Layout
    options: Options
    texts: Collection[str]
    limit: int | None = None
    folder: Path | None = None  # for the columns' files; None keeps them in memory, as more than `widest` always are
    said: list[str] = field(default_factory=list)
    localised: bool = False  # whether the time zone that was given acted

    def read(self) -> tuple[Read, list[NDArray[Any] | None]]:
        """The reading, and the arrays as they are kept (words as numbers). Raises BadInput, OSError of the folder."""
        decided = [self._decided(form) for form in self.layout.forms]
        wanted = {at: form for at, form in enumerate(decided) if self._is_wanted(form)}
        if len(wanted) > widest():
            self.folder = None
        shown_at = {at: place for place, at in enumerate(at for at, form in enumerate(decided) if not form.left_out)}
        gathering = {
            at: Gathering(form, self.layout.signs, None if self.folder is None else self.folder / f"{shown_at[at]}.npy")
            for at, form in wanted.items()
        }
        try:
            rows = self._gather(gathering)
            if not rows:
                raise BadInput(f"{self.layout.path.name} holds names and no row.")
            return self._finished(rows, decided, gathering)
        finally:
            for each in gathering.values():
                each.values.close()

    def _is_wanted(self, form: Form) -> bool:
        return not form.left_out and is_wanted(form.name, form.kind, self.options, self.texts)

    def _gather(self, gathering: dict[int, Gathering]) -> int:
        """Read all blocks; how many rows there are."""
        rows = 0
        limit = machine_limit() if self.limit is None else self.limit
        for batch in self.blocks(sorted(gathering)):
            rows += batch.num_rows
            words = sum(len(column.words) for column in gathering.values())
            if rows * CELL * len(gathering) + words * WORD > limit:
                raise too_large(self.layout.path, len(gathering), limit)
            for at, column in gathering.items():
                column.append(batch.column(f"c{at}"))
        return rows

    def blocks(self, columns: list[int]) -> Iterator[Any]:
        """The cells of some columns (c0, c1, ...) as texts, a block of rows at a time. Raises BadInput."""
        layout = self.layout
        names = [f"c{at}" for at in range(len(layout.forms))]
        with Stream(layout.path, layout.encoding) as stream:
            try:
                opened = pa.csv.open_csv(
                    pa.PythonFile(stream, mode="r"),
                    read_options=pa.csv.ReadOptions(
                        use_threads=False, block_size=2 * BLOCK, column_names=names, skip_rows_after_names=1
                    ),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=layout.separator, newlines_in_values=True, ignore_empty_lines=len(names) > 1
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        check_utf8=False,
                        column_types=dict.fromkeys(names, pa.string()),
                        strings_can_be_null=False,
                        include_columns=[f"c{at}" for at in columns] or names[:1],
                    ),
                )
                yield from opened
            except pa.ArrowException as error:
                raise self._why(stream, str(error)) from None
            if stream.error:
                raise BadInput(stream.error)
            if stream.quotes % 2:
                self._check_quotes()
            if stream.trailing:
                many = stream.trailing != 1
                said = f"{stream.trailing} empty row{'s' * many} at the end left out"
                self.said += [said] * (said not in self.said)

    def _why(self, stream: Stream, error: str) -> BadInput:
        """Why pyarrow cannot split the text, with the line."""
        if stream.error:
            return BadInput(stream.error)
        fields = len(self.layout.forms)
        for record in self.records():
            if not record.closed:
                return unclosed(record, self.layout.path)
            if record.fields != fields:
                return ragged(record, self._named(fields), self.layout.path)
        return BadInput(f"{self.layout.path.name} cannot be read as a table ({' '.join(error.split())}).")

    def _named(self, fields: int) -> int:
        """The header's fields: one less where it lacks the separator at its end that every row has."""
        header = next(self.records(), None)
        return fields if header is None else header.fields

    def records(self) -> Iterator[Any]:
        return records_of(self.layout.path, self.layout.encoding, self.layout.separator)

    def _check_quotes(self) -> None:
        """Raises BadInput where the last cell never ends: its quote took all lines after it."""
        for record in self.records():
            if not record.closed:
                raise unclosed(record, self.layout.path)

    def _decided(self, form: Form) -> Form:
        """The same, where day and month come in an order that all of its cells do not contradict. Raises BadInput."""
        if form.time is None or not form.time.undecided or not (form.kind == "time" and not form.left_out):
            return form
        at, found = self.layout.forms.index(form), form.time
        for batch in self.blocks([at]):
            cells = pc.utf8_trim_whitespace(batch.column(0))
            telling = pc.match_substring_regex(cells, r"^(?:1[3-9]|2\d|3\d)\D|^\d+\D(?:1[3-9]|2\d|3\d)\D")
            found = times.decide(found, cells.filter(telling).slice(0, 1).to_pylist())
            if not found.undecided:
                return replace(form, time=found)
        raise times.ambiguous(form.first)

    def _finished(
        self, rows: int, forms: list[Form], gathering: dict[int, Gathering]
    ) -> tuple[Read, list[NDArray[Any] | None]]:
        columns, arrays, words = columns_of(forms, gathering, self._column)
        if not self.localised:
            refuse_zone(self.layout.path, columns, self.options)
        said = [*self.layout.said, *self.said]
        return Read(rows, columns, said, self.layout.encoding, self.layout.separator, words), arrays

    def _column(self, gathered: Gathering) -> tuple[Column, NDArray[Any] | None]:
        form, values = gathered.form, gathered.values.done()
        if form.kind == "text":
            return Column(form.name, "text", as_words(values, list(gathered.words)), first=form.first), values
        if gathered.at is not None and gathered.is_text and form.kind == "number":
            row, text = gathered.at
            self.said.append(f"{form.name!r} is text from line {self.line(row)} on ({shown(text)})")
            return Column(form.name, "text", None, first=text), None
        refusal = None if gathered.at is None else self._refusal(form, *gathered.at)
        if form.kind == "time" and form.time is not None:
            return self._times(form, form.time, values, refusal)
        return Column(form.name, "number", values, refusal=refusal, first=form.first), values

    def _times(
        self, form: Form, time: times.TimeFormat, values: NDArray[Any], refusal: str | None
    ) -> tuple[Column, NDArray[Any]]:
        """A column of times; local ones as UTC where the user gave the zone."""
        if time.in_words():
            self.said.append(time.in_words())
        offset, zone = time.offset, self.options.timezone
        if zone is not None and not offset:
            values, wrong = localised(values, zone, self.folder)
            self.said.append(f"{form.name!r} from {zone} to UTC")
            offset = self.localised = True
            if wrong is not None:
                row, why = wrong
                refusal = refusal or f"line {self.line(row)} of {self.layout.path.name}: {why}; write the offset."
        return Column(form.name, "time", values, offset, refusal, form.first), values

    def _refusal(self, form: Form, row: int, text: str) -> str:
        """The sentence about the first cell that is none of its column's kind."""
        line = self.line(row)
        if text.strip() == form.name:
            return f"the header stands again at line {line} of {self.layout.path.name}: remove that line."
        if form.kind == "number":
            hint = ""
            if self.layout.signs == POINT and "," in text:
                hint = "; dataset.decimal or dataset.thousands says what a comma is"
            return f"{form.name!r} is no number at line {line}: {shown(text)} (n/a and - count as missing){hint}."
        if times.is_beyond(text):
            years = f"times are counted from {times.YEARS[0]} to {times.YEARS[1]}"
            return f"{form.name!r} is beyond at line {line}: {shown(text)} ({years})."
        time = form.time or times.TimeFormat(times.ISO)
        if time.code == times.ISO:
            wanted = (
                "the others are ISO 8601 with an offset" if time.offset else "the others are ISO 8601 without offset"
            )
        else:
            wanted = f"the others are {time.in_words()}" if time.because else f"the others are {time.code}"
        return f"{form.name!r} is no time at line {line}: {shown(text)} ({wanted})."

    def line(self, row: int) -> int:
        return line_of(self.layout.path, self.layout.encoding, self.layout.separator, row)


def localised(values: NDArray[Any], zone: str, folder: Path | None) -> tuple[NDArray[Any], tuple[int, str] | None]:
    """Local times as UTC, also in their file where they are one."""
    found, wrong = times.to_utc(np.asarray(values), zone)
    if isinstance(values, np.memmap) and folder is not None and wrong is None:
        writable = np.load(str(values.filename), mmap_mode="r+", allow_pickle=False)
        writable[:] = found
        writable.flush()
        return values, None
    return found, wrong


def too_large(path: Path, columns: int, limit: int) -> BadInput:
    return BadInput(
        f"{columns} columns of {path.name} take more than half of the memory ({limit / 1024**3:.3g} GiB): name those "
        "that are needed, dataset.columns=[...]."
    )


def records_of(path: Path, encoding: str, separator: str) -> Iterator[Any]:
    """The records of a text table, the header first. Raises BadInput."""
    with Stream(path, encoding) as stream:
        blocks = stream.blocks()
        first = next(blocks, b"")
        yield from records(itertools.chain([first], blocks), separator, stream.first_line)


def line_of(path: Path, encoding: str, separator: str, row: int) -> int:
    """The line at which a row (from 0) starts."""
    with Stream(path, encoding) as stream:
        found = line_of_record(stream, separator, row + 1)
    if found is None:
        raise BadInput(f"{path.name} has changed while it was read; try again.")
    return found
