"""Which runs a command is about, in words: names of sweeps, published sets or folders, and key=value.

::

    quickstart dataset=digits cell=lstm,gru        peephole=on since=2026-11-01        optimizer.lr=0.01 commit=0c4573c

Words of different keys all hold, values of one key and several names are alternatives.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench import record as records
from rnnbench.errors import BadInput, nearest
from rnnbench.record import RecordError
from rnnbench.reports.frames import records_frame, store_frame
from rnnbench.reports.publish import published, read_manifest
from rnnbench.reports.searched import searches, with_searches
from rnnbench.store import Store

# Keys that are columns of a runs frame; `device` is its kind.
TEXTS = ("dataset", "budget", "protocol", "metric", "precision", "backend", "status", "cell", "operator", "peephole",
         "direction", "label", "host", "torch", "id", "entry")  # fmt: skip
NUMBERS = ("depth", "hidden_size", "seed", "updates", "batch_size", "params")
NAMES = ("sweep", "published")
KEYS = (*NAMES, *TEXTS, "device", *NUMBERS, "commit", "since", "until")
SAME = {("peephole", "none"): "off"}


@dataclass
class Selected:
    """The runs of a selection. frame: of `records_frame`, with `stage` where there are searches; problems: by place,
    why a record could not be read (it is left out); remarks: what else the reader must know; frozen: the ids of runs
    that come from published sets; words: the selection; wanted: the values it asks for, by key."""

    frame: pd.DataFrame
    problems: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)
    words: str = ""
    wanted: dict[str, list[str]] = field(default_factory=dict)


def select(store: Store, words: Sequence[str]) -> Selected:
    """The runs of a store, or of the sweeps, published sets and folders named, that the words describe.

    Raises BadInput on an unknown name or key, and where no run is left, with the word that left none.
    """
    names, wanted = _parsed(words)
    found = _sources(store, names)
    found.words, found.wanted = " ".join(words), wanted
    if found.frame.empty:
        lost = len(found.problems)
        skipped = f" ({lost} record{'s' * (lost != 1)} could not be read)" if lost else ""
        where = f"in {', '.join(names)}" if names else f"in {store.root}"
        raise BadInput(f"no finished runs {where}{skipped}; `rnnbench sweep experiment=quickstart` makes some.")
    for key, values in wanted.items():
        kept = found.frame[_matches(found.frame, key, values)]
        if kept.empty:
            raise BadInput(f"no run has {key}={','.join(values)} here; {_hint(found.frame, key, values[0])}")
        found.frame = kept
    found.frame = found.frame.reset_index(drop=True)
    return found


def _parsed(words: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    names: list[str] = []
    wanted: dict[str, list[str]] = {}
    for word in words:
        key, sign, text = word.partition("=")
        if not sign:
            names.append(word)
            continue
        values = [value for value in text.split(",") if value]
        if not key or not values:
            raise BadInput(f"{word!r} selects nothing: it is key=value, with commas between alternatives.")
        if key in NAMES or key == "experiment":
            names += values
        elif key in KEYS or "." in key:
            wanted.setdefault(key, []).extend(values)
        else:
            raise BadInput(f"nothing is selected by {key!r}; {nearest(key, KEYS)}")
    return names, wanted


def _sources(store: Store, names: Sequence[str]) -> Selected:
    """All runs of what is named, of the store where nothing is."""
    if not names:
        return _of_store(store)
    parts = [_named(store, name) for name in names]
    frame = pd.concat([part.frame for part in parts], ignore_index=True) if len(parts) > 1 else parts[0].frame
    whole = Selected(frame.drop_duplicates("id").sort_values("id"))
    for part in parts:
        whole.problems |= part.problems
        whole.remarks += part.remarks
        whole.frozen |= part.frozen
    return whole


def _named(store: Store, name: str) -> Selected:
    """A sweep of the store, else a published set, else a folder: a results folder, its runs/, or a published set."""
    results = store.root.parent
    if (results / "sweeps" / f"{name}.json").is_file():
        return _of_sweep(store, name)
    frozen = published(results)
    if name in frozen:
        return of_published(frozen[name])
    folder = Path(name)
    if (folder / "records.jsonl").is_file():
        return of_published(folder)
    if (folder / "runs").is_dir():
        return _of_store(Store(folder / "runs"))
    if folder.is_dir() and next(folder.glob("*/record.json"), None):
        return _of_store(Store(folder))
    known = {*frozen, *(path.stem for path in (results / "sweeps").glob("*.json"))}
    hint = nearest(name, known) if known else "nothing was run or published here."
    raise BadInput(f"no sweep, published set or folder with runs is called {name!r}; {hint}")


def _of_store(store: Store) -> Selected:
    frame = store_frame(store)
    return Selected(with_searches(frame, searches(store.root.parent)), dict(store.problems))


def _of_sweep(store: Store, name: str) -> Selected:
    whole = _of_store(store)
    runs = read_manifest(store.root.parent, name)["runs"]
    whole.frame = whole.frame[whole.frame["id"].isin(list(runs))]
    whole.problems = {path: why for path, why in whole.problems.items() if Path(path).parent.name in runs}
    if lacking := len(runs) - len(whole.frame) - len(whole.problems):
        whole.remarks.append(f"{lacking} of the {len(runs)} runs of {name} are not finished")
    return whole


def of_published(folder: Path) -> Selected:
    """A published set; a line that cannot be read is left out and named."""
    good: list[Mapping[str, Any]] = []
    problems = {}
    for n, line in enumerate((folder / "records.jsonl").read_bytes().splitlines(), 1):
        place = f"{folder.name}, line {n}"
        try:
            good.append(records.loads(line.decode("utf-8"), name=place))
        except (RecordError, UnicodeDecodeError) as error:
            problems[place] = str(error) if isinstance(error, RecordError) else f"{place} is not whole text ({error})"
    frame = with_searches(records_frame(good), _search_of(folder))
    return Selected(frame, problems, frozen=set(frame["id"]))


def _search_of(folder: Path) -> dict[str, Mapping[str, Any]]:
    try:
        head = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return {}
    found = head.get("search") if isinstance(head, dict) else None
    return {str(head.get("name")): found} if isinstance(found, dict) else {}


def _matches(frame: pd.DataFrame, key: str, values: Sequence[str]) -> pd.Series[bool]:
    """Which runs have one of these values."""
    if key in ("since", "until"):
        return _finished(frame, key, values)
    if key in NUMBERS:
        return frame[key].isin([_number(key, value) for value in values])
    if key == "commit":
        return frame["commit"].fillna("").astype(str).str.startswith(tuple(values))
    if key in TEXTS or key == "device":
        column = frame["device_kind" if key == "device" else key]
        whole = ",".join(values)  # "hadamard, detach" is one value
        wanted = {SAME.get((key, value), value) for value in ([whole] if (column == whole).any() else values)}
        return column.map(lambda value: SAME.get((key, value), value), na_action="ignore").isin(list(wanted))
    return _has_option(frame, key, values)


def _has_option(frame: pd.DataFrame, key: str, values: Sequence[str]) -> pd.Series[bool]:
    wanted = {f"{key}={_plain(value)}" for value in values}
    texts = frame["options"].fillna("").astype(str)
    having = [text for text in texts.unique() if not wanted.isdisjoint(_options(text))]
    return texts.isin(having)


def _options(text: str) -> list[str]:
    """ "a=1, b=[1,2]" as its parts, numbers in one spelling."""
    parts = []
    for part in text.split(", "):
        key, _, value = part.partition("=")
        parts.append(f"{key}={_plain(value)}")
    return parts


def _plain(value: str) -> str:
    """1e-3 and 0.001 are one value."""
    try:
        return repr(float(value))
    except ValueError:
        return value


def _number(key: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise BadInput(f"{key}={value}: it is a whole number.") from None


def _finished(frame: pd.DataFrame, key: str, values: Sequence[str]) -> pd.Series[bool]:
    """Runs that finished from, or up to, a day or a moment, in UTC; a day is meant whole."""
    if len(values) > 1:
        raise BadInput(f"{key}={','.join(values)}: give one day.")
    try:
        moment = datetime.datetime.fromisoformat(values[0])
    except ValueError:
        raise BadInput(f"{key}={values[0]} is no day like 2026-11-01, and no moment like 2026-11-01T12:00.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    if key == "since":
        return frame["finished"] >= moment
    if len(values[0]) <= len("2026-11-01"):
        return frame["finished"] < moment + datetime.timedelta(days=1)
    return frame["finished"] <= moment


def _hint(frame: pd.DataFrame, key: str, value: str) -> str:
    """What there is instead."""
    if key in ("since", "until"):
        times = frame["finished"].dropna()
        days = f"they finished from {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}." if len(times) else ""
        return days or "none has a date."
    if key not in (*TEXTS, *NUMBERS, "device", "commit"):
        texts = {part.partition("=")[2] for text in frame["options"].dropna().unique()
                 for part in str(text).split(", ") if part.startswith(f"{key}=")}  # fmt: skip
        return nearest(value, texts) if texts else f"none set {key}."
    known = frame["device_kind" if key == "device" else key].dropna().unique()
    names = sorted(str(each)[:12] if key == "commit" else str(each) for each in known)
    if len(names) > 20:
        return f"there are {len(names)} others."
    return nearest(value, names) if names else "none has any."
