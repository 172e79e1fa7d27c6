"""Why two runs have two ids, or one: which keys of their configs differ, which the id counts, what came out."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rnnbench.errors import BadInput
from rnnbench.runs.axes import leaves
from rnnbench.runs.plan import prepare
from rnnbench.store import record as records
from rnnbench.store.config import Config
from rnnbench.store.files import read_regular
from rnnbench.store.gathered import resolve_run, the_record
from rnnbench.store.parse import parse_yaml
from rnnbench.store.published import find_frozen
from rnnbench.store.record import Record
from rnnbench.store.results import Run
from rnnbench.store.store import Store

ABSENT = "(absent)"
FACTS = ("status", "params", "best_step", "updates", "train_seconds", "source_hash")  # beside the metrics


@dataclass(frozen=True)
class Side:
    """A run as it was asked for: its id, config, and record where there is one."""

    asked: str
    id: str
    config: Config
    record: Record | None


@dataclass(frozen=True)
class Difference:
    """A key of the config with both values; in_id: whether it is one the id counts."""

    key: str
    a: Any
    b: Any
    in_id: bool


def side(store: Store, asked: str) -> Side:
    """The run that a word names: overrides ("cell=lstm dataset=digits"), or the beginning of an id.

    A published set or a folder will do where it holds one run. Raises BadInput.
    """
    if "=" in asked and not Path(asked).exists():
        try:
            words = shlex.split(asked)
        except ValueError as error:
            raise BadInput(f"cannot read {asked!r}: {error}; close its quotes.") from None
        job = prepare(words)
        return Side(asked, job.id, job.config, _recorded(store, job.id))
    found = resolve_run(store, asked)
    if isinstance(found.where, Store):
        record = found.where.read(found.name)
        config = record["config"] if record is not None else _written(found.where.folder(found.name))
    else:
        record = the_record(found)
        config = record["config"]
    if not isinstance(config, dict):
        raise BadInput(f"run {found.name} has no config to compare; give its overrides instead.")
    return Side(asked, found.name, config, record)


def _recorded(store: Store, run: str) -> Record | None:
    """The record of a run: of the store, else of a published set; None where it is in neither."""
    record = store.read(run)
    if record is None and (frozen := find_frozen(store.results, run)):
        record = the_record(Run(frozen[0][1], run))
    return record


def _written(folder: Path) -> Config | None:
    try:
        content = parse_yaml(read_regular(folder / "config.yaml").decode())
    except (OSError, ValueError):
        return None
    return cast(Config, content) if isinstance(content, dict) else None


def differences(a: Config, b: Config) -> list[Difference]:
    """The keys in which two resolved configs differ, those of the id first. Values are compared as the id does: 1 is
    1.0, and null is no value."""
    first, second = leaves(dict(a)), leaves(dict(b))
    counted = {*leaves(records.identity(a)), *leaves(records.identity(b))}
    found = []
    for key in sorted({*first, *second}):
        x, y = first.get(key), second.get(key)
        if records.canonical(x) != records.canonical(y):
            found.append(Difference(key, first.get(key, ABSENT), second.get(key, ABSENT), key in counted))
    return sorted(found, key=lambda difference: not difference.in_id)


def facts(a: Record, b: Record) -> list[tuple[str, Any, Any]]:
    """What came of two recorded runs, side by side: metrics, then what they took."""
    names = sorted({*a["metrics"], *b["metrics"]}, key=lambda name: (not name.startswith("test/"), name))
    rows = [(name, a["metrics"].get(name), b["metrics"].get(name)) for name in names]
    return [("status", a["status"], b["status"]), *rows, *((name, a.get(name), b.get(name)) for name in FACTS[1:])]


def lines(a: Side, b: Side) -> list[str]:
    """The comparison as text: the ids, the keys, what came out."""
    found = differences(a.config, b.config)
    said = [f"A  {a.id}  {a.asked}", f"B  {b.id}  {b.asked}", ""]
    if a.id == b.id:
        said.append("one id: nothing that changes a result differs")
    else:
        n = sum(difference.in_id for difference in found)
        said.append(f"two ids: {n} key{'s' * (n != 1)} that change{'s' * (n == 1)} the result differ{'s' * (n == 1)}")
    for in_id, head in ((True, "in the id"), (False, "not in the id")):
        rows = [(d.key, _plain(d.a), _plain(d.b)) for d in found if d.in_id is in_id]
        if rows:
            said += ["", *_table((head, "A", "B"), rows)]
    if a.record is not None and b.record is not None:
        rows = [(name, _plain(x), _plain(y)) for name, x, y in facts(a.record, b.record)]
        said += ["", *_table(("record", "A", "B"), rows)]
    else:
        missing = [name for name, each in (("A", a), ("B", b)) if each.record is None]
        said += ["", f"no record of {' and '.join(missing)} here"]
    return said


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _table(head: tuple[str, str, str], rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[n]) for row in [head, *rows]) for n in range(2)]
    return [f"  {k:<{widths[0]}}  {a:<{widths[1]}}  {b}" for k, a, b in [head, *rows]]
