"""Which runs a command is about, in words: names of sweeps, published sets, folders or runs, and key=value.

::

    quickstart dataset=digits cell=lstm,gru        peephole=on since=2026-11-01        optimizer.lr=0.01 commit=0c4573c

Words of different keys all hold, values of one key and several names are alternatives.
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from rnnbench.errors import BadInput, nearest
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.selection.places import Place, of_store, open_place
from rnnbench.reports.selection.searched import with_searches
from rnnbench.store.curves import Curves
from rnnbench.store.manifests import read_manifest, skipped_cells
from rnnbench.store.published import Head, runs_of
from rnnbench.store.results import ANY, Kind, PublishedSet, Sweep, resolve
from rnnbench.store.rows import COLUMNS, parts
from rnnbench.store.store import Store

# Keys that are columns of a runs frame; `device` is its kind.
TEXTS = ("dataset", "budget", "protocol", "metric", "precision", "backend", "status", "cell", "operator", "peephole",
         "direction", "label", "host", "torch", "id", "entry")  # fmt: skip
NUMBERS = ("depth", "hidden_size", "seed", "updates", "batch_size", "params", "threads")
NAMES: dict[str, tuple[Kind, ...]] = {"sweep": (Sweep,), "published": (PublishedSet,), "experiment": ANY}
Named = tuple[str, tuple[Kind, ...]]  # a name, and what it may be
KEYS = ("sweep", "published", *TEXTS, "device", *NUMBERS, "commit", "since", "until")
SAME = {("peephole", "none"): "off"}
LONGEST = 100  # bytes of a file's name that say what was selected


@dataclass
class Selected:
    """The runs of a selection. frame: of `records_frame`, with `stage` where there are searches; problems: by place,
    why a record could not be read (it is left out); remarks: what else the reader must know; frozen: the ids of runs
    that come from published sets; words: the selection; wanted: the values it asks for, by key; names: the places it
    names; places: where its runs lie; heads: of the sweeps that have runs in it, by name."""

    frame: pd.DataFrame
    problems: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)
    words: str = ""
    wanted: dict[str, list[str]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    heads: dict[str, Head] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """ "all runs", or "quickstart and tcn_jsb, cell lstm or gru"."""
        named = " and ".join(place.label for place in self.places)
        return ", ".join([named, *(f"{key} {' or '.join(values)}" for key, values in self.wanted.items())])

    @property
    def tag(self) -> str:
        """What was selected as a part of a file's name, "quickstart_cell-lstm-gru"; empty where it is all."""
        names = [name.removesuffix(".json") for name in self.names]  # of a manifest, too
        text = "_".join([*names, *(f"{key}-{','.join(values)}" for key, values in self.wanted.items())])
        safe = re.sub(r"[^\w.]+", "-", text).strip("-.")
        return safe.encode()[:LONGEST].decode(errors="ignore") or ("selection" if self.names or self.wanted else "")

    @property
    def skipped(self) -> dict[str, int]:
        """The cells that the sweeps of a whole store never started, counted by reason; of a part none is said."""
        if self.words:
            return {}
        return skipped_cells(cell for head in self.heads.values() for cell in head["skipped"])

    @property
    def skipped_runs(self) -> dict[str, str]:
        """The runs that its sweeps left to another machine, with the reason."""
        skipped = [cell for head in self.heads.values() for cell in head["skipped"]]
        return {run: cell["reason"] for cell in skipped for run in cell.get("runs", [])}

    def place(self, run: str) -> Place | None:
        """Where a run lies: of several places that have it, the one named first."""
        return next((place for place in self.places if run in place.ids), None)

    def by_place(self, runs: Iterable[str]) -> list[list[str]]:
        """Runs by where they lie, in the order of the places."""
        shares: dict[int, list[str]] = {id(place): [] for place in self.places}
        for run in runs:
            if (place := self.place(run)) is not None:
                shares[id(place)].append(run)
        return list(shares.values())

    def curves(self, runs: Iterable[str]) -> Curves:
        """Histories by id."""
        histories: Curves = {}
        for place, mine in zip(self.places, self.by_place(runs), strict=True):
            histories |= place.curves(mine) if mine else {}
        return histories


def select(store: Store, words: Sequence[str], *, may_be_empty: bool = False) -> Selected:
    """The runs of a store, or of the places named, that the words describe.

    Raises BadInput on an unknown name or key, and where no run is left, with the word that left none. may_be_empty:
    a store without finished runs, asked for without words, is none to raise for.
    """
    named, wanted = _parsed(words)
    names = [name for name, _ in named]
    found = _gathered([open_place(resolve(store, *each)) for each in named] or [of_store(store)])
    found.words, found.wanted, found.names = " ".join(words), wanted, names
    if found.frame.empty and (words or not may_be_empty):
        lost = len(found.problems)
        skipped = f" ({lost} record{'s' * (lost != 1)} could not be read)" if lost else ""
        where = f"in {', '.join(names)}" if names else f"in {store.root}"
        raise BadInput(f"no finished runs {where}{skipped}; `rnnbench sweep experiment=quickstart` makes some.")
    for key, values in wanted.items():
        kept = found.frame[matches(found.frame, key, values)]
        if kept.empty:
            raise BadInput(f"no run has {key}={','.join(values)} here; {_hint(found.frame, key, values[0])}")
        found.frame = kept
    found.frame = found.frame.reset_index(drop=True)
    if wanted:
        mine = set(found.frame["id"])
        found.heads = {name: head for name, head in found.heads.items() if not mine.isdisjoint(runs_of(head))}
    return found


def check(store: Store, words: Sequence[str]) -> list[Store | Path]:
    """Where the runs of a selection lie or will lie, for who waits for them: no record is read.

    Raises BadInput where it would be in vain: on an unknown name or key, a damaged manifest, a value that none can be.
    """
    named, wanted = _parsed(words)
    for key, values in wanted.items():
        matches(records_frame([]), key, values)
    places = [resolve(store, *each) for each in named]
    for found in places:
        if isinstance(found, Sweep):
            read_manifest(found.store.results, found.name)
    return [found.where for found in places] or [store]


def _parsed(words: Sequence[str]) -> tuple[list[Named], dict[str, list[str]]]:
    """The names, each with what it may be, and the values by key; each once."""
    names: list[Named] = []
    wanted: dict[str, list[str]] = {}
    for word in words:
        if "=" not in word:
            names.append((word, ANY))
            continue
        key, values = _key(word)
        if key in NAMES:
            names += [(value, NAMES[key]) for value in values]
        else:
            wanted.setdefault(key, []).extend(values)
    return list(dict.fromkeys(names)), {key: list(dict.fromkeys(values)) for key, values in wanted.items()}


def _key(word: str) -> tuple[str, list[str]]:
    """A word key=value,value. Raises BadInput where it is none, or nothing has this key."""
    key, _, text = word.partition("=")
    values = [value for value in text.split(",") if value]
    if not key or not values:
        raise BadInput(f"{word!r} selects nothing: it is key=value, with commas between alternatives.")
    if key not in (*NAMES, *KEYS) and "." not in key:
        raise BadInput(f"nothing is selected by {key!r}; {nearest(key, KEYS)}")
    return key, values


def _gathered(places: list[Place]) -> Selected:
    """All runs of some places, each run once; what is a search's trial is so by the searches of these places alone."""
    heads = _heads(places)
    frame = places[0].frame
    if len(places) > 1:
        frame = pd.concat([place.frame for place in places], ignore_index=True).drop_duplicates("id").sort_values("id")
        frame = frame[[*COLUMNS, *sorted(map(str, set(frame) - set(COLUMNS)))]]  # as of one place: the metrics by name
    searches = {name: head["search"] for name, head in heads.items() if "search" in head}
    whole = Selected(with_searches(frame, searches), places=places, heads=heads)
    unfrozen: set[str] = set()
    for place in places:
        whole.problems |= place.problems
        whole.remarks += [remark for remark in place.remarks if remark not in whole.remarks]
        if place.frozen:
            whole.frozen |= place.ids - unfrozen
        else:
            unfrozen |= place.ids - whole.frozen
    return whole


def _heads(places: Iterable[Place]) -> dict[str, Head]:
    """The sweeps of all places; of two that go by one name, the second with its place."""
    found: dict[str, Head] = {}
    seen = set()
    for place in places:
        for name, head in place.heads.items():
            if (place.home, name) not in seen:  # a place may be named twice, or with a sweep of it
                seen.add((place.home, name))
                names = itertools.chain((name, f"{name} ({place.label})"), (f"{name} {n}" for n in itertools.count(2)))
                found[next(free for free in names if free not in found)] = head
    return found


def matches(frame: pd.DataFrame, key: str, values: Sequence[str]) -> pd.Series[bool]:
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
    split = (part.partition("=") for part in parts(text))
    return [f"{key}={_plain(value)}" for key, _, value in split]


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
        if times.empty:
            return "none has a date."
        return f"they finished from {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}."
    is_option = key not in (*TEXTS, *NUMBERS, "device", "commit")
    names = _values_of_option(frame, key) if is_option else _values_of_column(frame, key)
    if len(names) > 20:
        return f"there are {len(names)} others."
    if names:
        return nearest(value, names)
    return f"none set {key}." if is_option else "none has any."


def _values_of_option(frame: pd.DataFrame, key: str) -> list[str]:
    """The values that any run set this option to."""
    options = {option for text in frame["options"].dropna().unique() for option in parts(text)}
    return sorted({option.partition("=")[2] for option in options if option.startswith(f"{key}=")})


def _values_of_column(frame: pd.DataFrame, key: str) -> list[str]:
    column = "device_kind" if key == "device" else key
    texts = [str(value) for value in frame[column].dropna().unique()]
    return sorted(text[:12] for text in texts) if key == "commit" else sorted(texts)
