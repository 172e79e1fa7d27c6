"""Sequences from tables: long (a row a step, an id says of which sequence) or nested (a row a sequence, in lists)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.own import table
from rnnbench.datasets.own.gathered import Sequences, check_channels, label_text
from rnnbench.errors import BadInput, nearest, shown

if TYPE_CHECKING:
    import pyarrow as pa

# What a column may be called where no option names it, in any case.
ID_NAMES = ("id", "unique_id", "item_id", "sequence", "sequence_id", "series", "case", "case_id")
TIME_NAMES = ("time", "t", "step", "ds", "date", "datetime", "timestamp")
LABEL_NAMES = ("label", "class", "target")
GROUP_NAMES = ("group",)
NESTED_ENDINGS = (".parquet",)


def read(
    path: Path, options: table.Options, *, id: str | None, time: str | None, label: str | None, group: str | None,
    columns: Sequence[str] | None, numbers: bool = False, option: str = "dataset.path",
) -> Sequences:  # fmt: skip
    """The sequences of a table. id, time, label, group: its columns, else found by their usual names.

    columns: the channels, else every numeric column that is none of these. numbers: the labels are. Raises BadInput,
    with the line where the file has lines.
    """
    if (path.is_dir() or path.suffix.lower() in table.PARQUET) and _has_lists(path):
        _check_nested(path, options, time)
        return _nested(path, id, label, group, columns)
    usual = spellings(*ID_NAMES, *GROUP_NAMES, id, group) | (set() if numbers else spellings(*LABEL_NAMES, label))
    found = table.read(path, options, texts=usual, option=option)
    held = list(found.columns)
    id_column = column(path, held, id, ID_NAMES, "id")
    label_column = column(path, held, label, LABEL_NAMES, "label")
    group_column = optional_column(path, held, group, GROUP_NAMES)
    time_column = optional_column(path, held, time, TIME_NAMES)
    taken = {id_column, label_column, group_column, time_column}
    _check_different(path, {"id": id_column, "time": time_column, "label": label_column})
    channels, said = _channels(path, found, taken, columns)
    rows = _rows(path, found, texts(found, id_column), time_column, id_column)
    labels = _one_each(path, found, rows, label_texts(found, label_column, numbers), ("label", "labels"))
    groups = None
    if group_column is not None:
        groups = _one_each(path, found, rows, texts(found, group_column), ("group", "groups"))
    values = _values(path, found, channels)
    names = [f"sequence {name!r}" for name in rows]
    order = "in the file's order" if time_column is None else f"in the order of {time_column!r}"
    said = [*found.said, f"steps {order}", *said]
    return Sequences([values[index] for index in rows.values()], labels, names, channels, groups, said=said)


def spellings(*names: str | None) -> set[str]:
    """Names as a header may spell them: as they are, in small letters, in capitals, with one capital."""
    given = [name for name in names if name is not None]
    forms = {form for name in given for form in (name, name.lower(), name.upper(), name.capitalize())}
    return {form for form in forms if len(form) > 1 or form in given}  # T is a temperature sooner than a time


def optional_column(path: Path, held: list[str], chosen: str | None, usual: Iterable[str]) -> str | None:
    """The column that an option names, else one with a usual name, else None. Raises BadInput where it is not there."""
    if chosen is not None:
        if chosen not in held:
            raise BadInput(f"{path.name} has no column {chosen!r}; {nearest(chosen, held)}")
        return chosen
    known = spellings()
    for name in usual:
        known = spellings(name)
        for column_name in held:
            if column_name in known:
                return column_name
    return None


def column(path: Path, held: list[str], chosen: str | None, usual: Sequence[str], what: str) -> str:
    """The same, where there must be one. what: the option that names it."""
    found = optional_column(path, held, chosen, usual)
    if found is None:
        there = ", ".join(held[:10]) + ", ..." * (len(held) > 10)
        raise BadInput(f"{path.name} has the columns {there}, and none is called {what}: dataset.{what}= names yours.")
    return found


def texts(found: table.Table, name: str) -> list[str]:
    """The values of a column as texts, empty where one is missing."""
    values = found.columns[name].values
    if values is None:
        raise BadInput(f"{found.path.name}: {name!r} cannot be read as text.")
    return [label_text(value) for value in values.tolist()]


def label_texts(found: table.Table, name: str, numbers: bool) -> list[str]:
    """The labels as texts. numbers: they are, written as the file writes numbers."""
    column_ = found.columns[name]
    if numbers and column_.kind != "number":
        raise BadInput(
            f"{found.path.name}: the labels {name!r} are no numbers (first {shown(column_.first)}): set "
            "dataset.task=classify."
        )
    return texts(found, name)


def _check_different(path: Path, columns: dict[str, str | None]) -> None:
    """Raises BadInput where one column is to be two things."""
    of: dict[str, str] = {}
    for what, name in columns.items():
        if name is not None and of.setdefault(name, what) != what:
            raise BadInput(f"{path.name}: {name!r} is both {of[name]} and {what}: dataset.{what}= names another.")


def _channels(
    path: Path, found: table.Table, taken: set[str | None], columns: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """The columns that a network sees, and what is said of the others."""
    if columns is not None:
        for name in columns:
            if name not in found.columns:
                raise BadInput(f"{path.name} has no column {name!r}; {nearest(name, found.columns)}")
            if name in taken or found.columns[name].kind != "number":
                kind = "the id, time, label or group" if name in taken else found.columns[name].kind
                raise BadInput(f"dataset.columns names {name!r}, which is {kind}; only numbers are taken.")
        return list(columns), []
    channels = [name for name, each in found.columns.items() if name not in taken and each.kind == "number"]
    left = [name for name in found.columns if name not in taken and name not in channels]
    if not channels:
        raise BadInput(f"{path.name} has no column of numbers beside id, time, label and group: nothing to learn from.")
    return channels, [f"left out, as no numbers: {', '.join(left)}"] if left else []


def _rows(
    path: Path, found: table.Table, ids: list[str], time_column: str | None, id_column: str
) -> dict[str, NDArray[np.int64]]:
    """The rows of each sequence in the order of time, by its id, in the order in which the ids come first."""
    missing = next((row for row, name in enumerate(ids) if not name), None)
    if missing is not None:
        raise BadInput(f"{path.name}: {id_column!r} is missing{_at(found, missing)}.")
    members: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        members.setdefault(name, []).append(row)
    rows = {name: np.array(index, np.int64) for name, index in members.items()}
    if time_column is None:
        return rows
    times = _times(path, found, time_column)
    for name, index in rows.items():
        order = np.argsort(times[index], kind="stable")
        rows[name] = index[order]
        twice = np.nonzero(times[rows[name]][1:] == times[rows[name]][:-1])[0]
        if len(twice):
            first, second = (int(rows[name][twice[0] + k]) for k in (0, 1))
            where = "" if found.line(first) is None else f" (lines {found.line(first)} and {found.line(second)})"
            raise BadInput(
                f"{path.name}: {_moment(times[first])} stands twice in sequence {name!r}{where}: leave one row."
            )
    return rows


def _times(path: Path, found: table.Table, name: str) -> NDArray[Any]:
    """The column that orders steps: numbers or times."""
    values = found.columns[name].values
    if values is None or found.columns[name].kind not in ("number", "time"):
        raise BadInput(
            f"{path.name}: {name!r} holds neither numbers nor times: dataset.time= names the column of time."
        )
    missing = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
    if missing.any():
        raise BadInput(f"{path.name}: {name!r} is missing{_at(found, int(missing.argmax()))}.")
    return values


def _moment(value: Any) -> str:
    return str(value).replace("T", " ")[:19] if isinstance(value, np.datetime64) else label_text(value)


def _one_each(
    path: Path, found: table.Table, rows: dict[str, NDArray[np.int64]], values: list[str], words: tuple[str, str]
) -> list[str]:
    """The label, or the group, of each sequence: one and the same in all of its rows."""
    one, many = words
    labels = []
    for name, index in rows.items():
        members = sorted(index.tolist())
        different = list(dict.fromkeys(values[row] for row in members))
        if "" in different:
            row = next(row for row in members if not values[row])
            where = _at(found, row) if len(different) > 1 else ""
            raise BadInput(f"{path.name}: sequence {name!r} has no {one}{where}.")
        if len(different) > 1:
            listed = " and ".join([", ".join(different[:-1][:5]), different[-1]])
            count = "two" if len(different) == 2 else str(len(different))
            raise BadInput(f"{path.name}: sequence {name!r} has {count} {many}, {listed}.")
        labels.append(different[0])
    return labels


def _values(path: Path, found: table.Table, channels: list[str]) -> NDArray[np.float64]:
    """All rows of the channels, R C."""
    stacked = []
    for name in channels:
        values = found.columns[name].values
        assert values is not None  # of kind number
        missing, endless = np.isnan(values), np.isinf(values)
        if missing.any():
            count = int(missing.sum())
            are = "value is" if count == 1 else "values are"
            where = _at(found, int(missing.argmax()))
            raise BadInput(
                f"{path.name}: {count:,} {are} missing in {name!r}, first{where}: fill them, or leave the column out "
                "(dataset.columns)."
            )
        if endless.any():
            raise BadInput(f"{path.name}: infinity in {name!r}{_at(found, int(endless.argmax()))}.")
        stacked.append(values)
    return np.stack(stacked, axis=1)


def _at(found: table.Table, row: int) -> str:
    """` at line 9`; of a file without lines ` at row 7`, counted from 0."""
    line = found.line(row)
    return f" at row {row}" if line is None else f" at line {line}"


def _has_lists(path: Path) -> bool:
    """Whether a Parquet file, or the first of a folder of them, has columns of lists."""
    import pyarrow as pa

    return any(_is_list(pa, each.type) for each in _schema(path))


def _check_nested(path: Path, options: table.Options, time: str | None) -> None:
    """Raises BadInput where an option is set that says nothing of lists."""
    given = {**options.as_dict(), "time": time}
    for key in (key for key, value in given.items() if value is not None):
        raise BadInput(f"dataset.{key} cannot act on {path.name}, which has a row a sequence: leave it out.")


def _schema(path: Path) -> pa.Schema:
    """Of a file, or of a folder's first part."""
    from rnnbench.datasets.own import parquet

    part = parquet.parts_of(path)[0]
    found = parquet.opened(part).schema_arrow
    for name in found.names:
        if found.names.count(name) > 1:
            raise BadInput(f"{name!r} names two columns of {part.name}: rename one.")
    return found


def _read_lists(path: Path, names: list[str]) -> pa.Table:
    """Columns of a file, or of all parts of a folder, one below the other."""
    import pyarrow as pa

    from rnnbench.datasets.own import parquet

    try:
        return pa.concat_tables([parquet.opened(part).read(columns=names) for part in parquet.parts_of(path)])
    except BadInput:
        raise
    except Exception as error:  # a damaged file makes pyarrow raise whatever its bytes lead to
        text = " ".join(str(error).split())[:200]
        raise BadInput(f"{path.name} cannot be read as Parquet ({text or type(error).__name__}).") from None


def _is_list(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _nested(
    path: Path, id: str | None, label: str | None, group: str | None, columns: Sequence[str] | None
) -> Sequences:
    """A row a sequence: each list column is a channel, its lists as long as each other in a row."""
    import pyarrow as pa

    schema = _schema(path)
    held = [each.name for each in schema]
    label_column = column(path, held, label, LABEL_NAMES, "label")
    id_column, group_column = optional_column(path, held, id, ID_NAMES), optional_column(path, held, group, GROUP_NAMES)
    lists = [each.name for each in schema if _is_list(pa, each.type) and _is_number(pa, each.type.value_type)]
    channels = lists if columns is None else list(columns)
    for name in channels:
        if name not in lists:
            raise BadInput(f"dataset.columns names {name!r}, which holds no lists of numbers; {nearest(name, lists)}")
    if not channels:
        raise BadInput(f"{path.name} has no column with lists of numbers, one list a sequence.")
    plain = list(dict.fromkeys(name for name in (id_column, label_column, group_column) if name is not None))
    for name in plain:
        if _is_list(pa, schema.field(name).type):
            raise BadInput(f"{path.name}: {name!r} holds lists, and labels, ids and groups are one value each.")
    frame = _read_lists(path, [*channels, *plain])
    of = {name: [label_text(value) for value in frame[name].to_pylist()] for name in plain}
    names = [f"row {row}" for row in range(frame.num_rows)]
    if id_column is not None:
        names = [f"sequence {name!r}" for name in of[id_column]]
    for key, what in ((label_column, "label"), (group_column, "group")):
        if key is not None and "" in of[key]:
            raise BadInput(f"{path.name}: {names[of[key].index('')]} has no {what}.")
    x = [_stacked(path, row, names[row], channels, lists_) for row, lists_ in enumerate(_lists(frame, channels))]
    left = [name for name in held if name not in channels and name not in plain]
    said = ["a row a sequence"]
    if id_column is not None:
        said += _repeated(of[id_column], id_column, group_column)
    said += [f"left out: {', '.join(left)}"] if left else []
    return Sequences(x, of[label_column], names, channels, of[group_column] if group_column else None, said=said)


def _repeated(ids: list[str], name: str, group_column: str | None) -> list[str]:
    """What is said of rows with one id: each is a sequence, and may lie in another split than its like."""
    first = next((each for each, count in Counter(ids).items() if each and count > 1), None)
    if first is None:
        return []
    fix = "" if group_column is not None else f" (dataset.group={name} keeps rows of one id in one split)"
    return [f"{name!r} repeats, {shown(first)} {ids.count(first):,} times: each row is a sequence of its own{fix}"]


def _is_number(pa: Any, kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _lists(frame: pa.Table, channels: list[str]) -> Iterable[tuple[Any, ...]]:
    """Row by row the lists of the channels, as numpy arrays; None where there is none."""
    of_channel = [frame[name].to_pandas().to_numpy() for name in channels]
    return zip(*of_channel, strict=True)


def _stacked(path: Path, row: int, name: str, channels: list[str], lists: tuple[Any, ...]) -> NDArray[np.float64]:
    """One sequence, T C."""
    lengths = [0 if each is None else len(each) for each in lists]
    for channel, length in zip(channels, lengths, strict=True):
        if length != lengths[0]:
            raise BadInput(
                f"{path.name}: {name} has {lengths[0]} steps in {channels[0]!r} and {length} in {channel!r}: the lists "
                "of a row must be equally long."
            )
    x = np.stack([np.asarray([] if each is None else each, np.float64) for each in lists], axis=1)
    check_channels(x, name, [repr(channel) for channel in channels], path.name)
    return x
