"""A Parquet file, or a folder of its parts, to columns of numbers, times and texts. Imports no torch.

Texts in Parquet are looked at as those of a text table are: dates and numbers stored as texts are what they say.
Decimals, nullable integers and booleans are numbers, texts in dictionaries are texts, and what is nested is no column.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rnnbench.datasets.own import times
from rnnbench.datasets.own.columns import Column, Kind, Options, is_wanted, refuse_zone
from rnnbench.datasets.own.delimited import (
    CELL,
    WORD,
    Gathering,
    columns_of,
    localised,
    machine_limit,
    too_large,
    without_missing,
)
from rnnbench.datasets.own.inference import POINT, Form, check, check_names, kind_of, one_line
from rnnbench.datasets.own.kept import Read, as_words, widest
from rnnbench.errors import BadInput, shown

ROWS = 64 * 1024  # of a batch
HEAD = 1000  # rows from which the kind of a column of texts is inferred
INDEX = "__index_level_0__"  # what pandas calls an index without a name


def parts_of(path: Path) -> list[Path]:
    """A file, or the Parquet files of a folder in order of their names. Raises BadInput where there are none."""
    if not path.is_dir():
        return [path]
    found = sorted(each for each in path.rglob("*.parquet") if each.is_file() and not each.name.startswith((".", "_")))
    if not found:
        raise BadInput(f"{path.name} is a folder without a .parquet file.")
    if any("=" in each.parent.name for each in found):
        raise BadInput(
            f"{path.name} has a column in its folders' names ({found[0].parent.name}): write it into the files."
        )
    return found


def opened(path: Path) -> Any:
    """A Parquet file. Raises BadInput where it is none, or encrypted."""
    if path.stat().st_size == 0:
        raise BadInput(f"{path.name} is empty.")
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path.name} is no Parquet file that can be read ({_first_line(error)}).") from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is text, also in a dictionary."""
    return (
        pa.types.is_string(value_type(kind)) or pa.types.is_large_string(value_type(kind)) or _is_view(value_type(kind))
    )


def _is_view(kind: Any) -> bool:
    return bool(pa.types.is_string_view(kind))


def value_type(kind: Any) -> Any:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def kind_of_type(kind: Any) -> Kind:
    """The kind of a column by its Arrow type; of texts, before anybody looked at them, `text`."""
    kind = value_type(kind)
    number = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean, pa.types.is_null)
    if any(each(kind) for each in number):
        return "number"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    return "text" if is_text(kind) else "other"


@dataclass
class Reader:
    """Reads the columns that are wanted of Parquet files."""

    path: Path
    options: Options
    texts: Collection[str]
    limit: int | None = None
    folder: Path | None = None
    said: list[str] = field(default_factory=list)
    localised: bool = False  # whether the time zone that was given acted

    def read(self) -> tuple[Read, list[NDArray[Any] | None]]:
        """The reading, and the arrays as they are kept. Raises BadInput, OSError of the folder."""
        check(self.options)
        for name in ("separator", "decimal", "thousands", "encoding"):
            if getattr(self.options, name) is not None:
                raise BadInput(f"dataset.{name} cannot act on {self.path.name}, which is Parquet.")
        parts = parts_of(self.path)
        schema = self._schema(parts)
        names = _shown_names(schema.names)
        check_names(names, self.options)
        rows = self._rows(parts)
        forms = [self._form(parts, each, name) for each, name in zip(schema, names, strict=True)]
        wanted = [at for at, form in enumerate(forms) if self._is_wanted(form)]
        limit = machine_limit() if self.limit is None else self.limit
        if rows * CELL * len(wanted) > limit:
            raise too_large(self.path, len(wanted), limit)
        if len(wanted) > widest():
            self.folder = None
        files = {at: None if self.folder is None else self.folder / f"{at}.npy" for at in wanted}
        gathering = {at: Gathering(forms[at], POINT, files[at]) for at in wanted}
        try:
            self._gather(parts, schema, forms, gathering, limit)
            return self._finished(rows, forms, gathering)
        finally:
            for column in gathering.values():
                column.values.close()

    def _schema(self, parts: list[Path]) -> Any:
        """The schema that all parts share, by names and kinds. Raises BadInput."""
        first = opened(parts[0]).schema_arrow
        for name in first.names:
            if first.names.count(name) > 1:
                raise BadInput(f"{name!r} names two columns of {parts[0].name}: rename one.")
        for part in parts[1:]:
            schema = opened(part).schema_arrow
            for name in set(first.names) ^ set(schema.names):
                raise BadInput(f"{name!r} is a column of some parts only ({parts[0].name}, {part.name}).")
            for name in first.names:
                kinds = [kind_of_type(each.field(name).type) for each in (first, schema)]
                zones = [getattr(each.field(name).type, "tz", None) is None for each in (first, schema)]
                if kinds[0] != kinds[1] or zones[0] != zones[1]:
                    raise BadInput(f"{name!r} is {kinds[0]} in {parts[0].name} and {kinds[1]} in {part.name}.")
        return first

    def _rows(self, parts: list[Path]) -> int:
        rows = sum(int(opened(part).metadata.num_rows) for part in parts)
        if not rows:
            raise BadInput(f"{self.path.name} holds names and no row.")
        return rows

    def _batches(self, parts: list[Path], names: list[str]) -> Iterator[Any]:
        for part in parts:
            with opened(part) as file:
                try:
                    yield from file.iter_batches(batch_size=ROWS, columns=names)
                except (pa.ArrowException, OSError) as error:
                    raise BadInput(f"{part.name} is damaged ({_first_line(error)}).") from None

    def _form(self, parts: list[Path], each: Any, name: str) -> Form:
        """What a column is: by its type, and where it is text by its first rows."""
        kind = kind_of_type(each.type)
        if name in self.texts and kind != "other":
            return Form(name, "text")
        if kind != "text":
            head = self._head(parts, each) if each.name == INDEX and kind == "number" else None
            if head is not None and head == [str(row) for row in range(len(head))]:
                self.said.append("pandas' index counts the rows: left out")
                return Form(name, kind, left_out=True)
            zoned = kind == "time" and getattr(value_type(each.type), "tz", None) is not None
            return Form(name, kind, times.TimeFormat(times.ISO, offset=zoned) if kind == "time" else None)
        head = self._head(parts, each)
        full = [text for text in head if text]
        found, form = kind_of(full, len(head), POINT, self.options)
        if form is not None and form.undecided:
            form = self._decided(parts, each, form, full[0])
        return Form(name, found, form, not full, full[0] if full else "")

    def _head(self, parts: list[Path], each: Any) -> list[str]:
        """The first cells of a column as texts, "" where one is missing."""
        batch = next(self._batches(parts, [each.name]), None)
        if batch is None:
            return []
        cells = without_missing(as_texts(batch.column(0).slice(0, HEAD)))
        return [text or "" for text in cells.to_pylist()]

    def _decided(self, parts: list[Path], each: Any, form: times.TimeFormat, first: str) -> times.TimeFormat:
        for batch in self._batches(parts, [each.name]):
            form = times.decide(form, [text for text in as_texts(batch.column(0)).to_pylist() if text])
            if not form.undecided:
                return form
        raise times.ambiguous(first)

    def _is_wanted(self, form: Form) -> bool:
        return not form.left_out and is_wanted(form.name, form.kind, self.options, self.texts)

    def _gather(
        self, parts: list[Path], schema: Any, forms: list[Form], gathering: dict[int, Gathering], limit: int
    ) -> None:
        if not gathering:
            return
        for batch in self._batches(parts, [schema.names[at] for at in gathering]):
            words = sum(len(column.words) for column in gathering.values())
            if words * WORD > limit:
                raise too_large(self.path, len(gathering), limit)
            for at, column in gathering.items():
                _append(column, batch.column(schema.names[at]), forms[at])

    def _finished(
        self, rows: int, forms: list[Form], gathering: dict[int, Gathering]
    ) -> tuple[Read, list[NDArray[Any] | None]]:
        columns, arrays, words = columns_of(forms, gathering, self._column)
        if not self.localised:
            refuse_zone(self.path, columns, self.options)
        return Read(rows, columns, self.said, words=words), arrays

    def _column(self, gathered: Gathering) -> tuple[Column, NDArray[Any] | None]:
        form, values = gathered.form, gathered.values.done()
        if form.kind == "text":
            return Column(form.name, "text", as_words(values, list(gathered.words)), first=form.first), values
        if gathered.at is not None and gathered.is_text and form.kind == "number":
            self.said.append(f"{form.name!r} is text from row {gathered.at[0] + 1} on ({shown(gathered.at[1])})")
            return Column(form.name, "text", None, first=gathered.at[1]), None
        refusal = None
        if gathered.at is not None:
            row, text = gathered.at
            refusal = f"{form.name!r} is no {form.kind} at row {row + 1} of {self.path.name}: {shown(text)}."
        if form.kind != "time":
            return Column(form.name, "number", values, refusal=refusal, first=form.first), values
        if form.time is not None and form.time.in_words():
            self.said.append(form.time.in_words())
        offset = form.time is not None and form.time.offset
        if self.options.timezone is not None and not offset:
            values, wrong = localised(values, self.options.timezone, self.folder)
            self.said.append(f"{form.name!r} from {self.options.timezone} to UTC")
            offset = self.localised = True
            if wrong is not None:
                refusal = refusal or f"row {wrong[0] + 1} of {self.path.name}: {wrong[1]}; write the offset."
        return Column(form.name, "time", values, offset, refusal, form.first), values


def _shown_names(names: list[str]) -> list[str]:
    """Names on one line each; pandas' index without one is `index`, unless a column is. Raises BadInput."""
    index = "index" if "index" not in names else INDEX
    found = [index if name == INDEX else one_line(name) for name in names]
    for name in found:
        if found.count(name) > 1:
            raise BadInput(f"{name!r} names two columns but for spaces and line ends: rename one.")
    return found


def as_texts(values: Any) -> Any:
    """An Arrow array as texts, out of its dictionary."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return pc.cast(values, pa.string())


def _append(column: Gathering, values: Any, form: Form) -> None:
    """One more batch of a column."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if form.kind == "text" or is_text(values.type):
        column.append(as_texts(values))
    elif form.kind == "number":
        floats = pc.cast(values, pa.float64(), safe=False)
        column.values.append(np.asarray(pc.fill_null(floats, float("nan")).to_numpy(zero_copy_only=False)))
    else:
        column.append_times(_nanoseconds(values), values)


def _nanoseconds(values: Any) -> NDArray[np.datetime64]:
    """Arrow dates or times as datetime64[ns], in UTC where they have a zone; NaT beyond the years that these count."""
    if pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("ms"))
    bare = pc.cast(values, pa.timestamp(values.type.unit))
    return times.in_range(bare.to_numpy(zero_copy_only=False))
