"""The one door: a record's bytes, from whomever they are, to a `Record` that every reader may use without a look.

What comes through is a regular file, of a size that can be; JSON within the bounds of `parse`; of a schema that is
known; the record of this very run; and every key that `Record` names has its kind. What does not is refused whole, with
a sentence: half a record would be a number without its terms. Keys that nobody knows yet are kept, and open.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from rnnbench.errors import IDS, listed_ids, shown
from rnnbench.store import record as records
from rnnbench.store.files import NoRegularFile, read_regular
from rnnbench.store.folder import is_id
from rnnbench.store.kinds import Kind, first_wrong, fits, kinds_of
from rnnbench.store.parse import parse
from rnnbench.store.record import EVERY_KEY, FINAL, KEYS, Parsed, Record, RecordError

# A config is an object, and what is in it is the groups' own: whoever builds a network from one looks at it.
OPEN = ("Config",)
RECORD = Kind(frozenset({dict}), kinds_of(Record, OPEN), deep=True)
NEEDED = frozenset({"id", "status", "axes", "dataset", "seed", "metrics"})


def read_record(path: str | Path, run: str) -> Record | None:
    """The record in a file; None where there is none. run: whose it must be.

    Raises RecordError where it is refused, OSError where the file cannot be read.
    """
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return None
    except NoRegularFile as error:
        raise RecordError(str(error)) from None
    return loads(data, name=str(path), run=run)


def loads(data: str | bytes, *, name: str = "record", run: str | None = None) -> Record:
    """Read one record, of this schema or an older one. Raises RecordError, which names it and says what is wrong.

    name: what it is called in that sentence; run: the id that it must have, None for any.
    """
    try:
        record = parse(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)
    except ValueError as error:
        raise RecordError(f"{name} {error}") from None
    if not isinstance(record, dict) or "schema_version" not in record:
        raise RecordError(f"{name} is no rnnbench record: it has no schema_version")
    found = upgrade(record, name=name)
    if run is not None and found["id"] != run:
        raise RecordError(
            f"{name} has {shown(found['id'])} for id and lies in the folder of run {shown(run)}: it was moved, or is "
            "not of rnnbench"
        )
    return found


def upgrade(record: Parsed, *, name: str = "record") -> Record:
    """The record as today's schema has it. Old records are read for ever; they are never rewritten."""
    version = record["schema_version"]
    if type(version) is not int or not 1 <= version <= records.SCHEMA_VERSION:
        raise RecordError(
            f"{name} has schema_version {shown(version)}; this rnnbench reads up to {records.SCHEMA_VERSION}: update "
            "rnnbench"
        )
    if not record.keys() >= NEEDED:
        raise RecordError(f"{name} lacks {', '.join(sorted(NEEDED - record.keys()))}")
    for step in range(version, records.SCHEMA_VERSION):
        record = records.UPGRADES[step](record)
    _check(record, name)
    if record.keys() >= EVERY_KEY:  # as nearly all: the copy would take as long as all of the above
        return cast(Record, record)
    return cast(Record, {key: record.get(key) for key in KEYS} | record)


def _check(record: Parsed, name: str) -> None:
    """Raises RecordError where a value that readers rely on is of another kind."""
    if not fits(record, RECORD) and (wrong := first_wrong(record, RECORD)) is not None:
        key, value, kind = wrong
        raise RecordError(f"{name} has {shown(value)} for {key}, which is {kind.words} in every record")
    if record["status"] not in FINAL:
        raise RecordError(f"{name} has the unknown status {shown(record['status'])}")
    if not is_id(record["id"]):
        raise RecordError(f"{name} has {shown(record['id'])} for id, which is the name of its folder in every record")


def refused(problems: Mapping[str, Any]) -> list[str]:
    """What is said of records that cannot be read: why, of the first ones, and how many there are, with their ids.

    problems: the reasons by place, a record's path or a line of a published set.
    """
    if not problems:
        return []
    said = [f"left out: {problem}" for problem in list(problems.values())[:IDS]]
    count = len(problems)
    ids = listed_ids(_run(place) for place in problems)
    return [*said, f"left out: {count} record{'s' * (count != 1)} cannot be read: {ids}"]


def _run(place: str) -> str:
    """The run whose record lies there: its folder's name; of a line of a published set the place as it is."""
    path = Path(place)
    return path.parent.name if path.name == "record.json" else place
