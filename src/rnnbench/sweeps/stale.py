"""Records that today's code or data might not give again: shown and counted, neither silently reused nor discarded.

A record's `source_hash` covers nn/, datasets/ and training/ (runs.source_hash). Where it differs, and the gate has not
shown that both sources compute the record's cell and dataset alike (runs.vouched), the same config might give another
result now, and only the user knows whether it does. So it is where a module of the user's has changed that the run
reached (runs.own_source), and where an id was given before it told the content of the user's files, or a number of
threads. Published sets are never asked. Records without a hash are unknown: they count as done.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rnnbench.errors import BadInput
from rnnbench.runs import attempts, own_source, registry, vouched
from rnnbench.runs.source_hash import source_hash
from rnnbench.store import index
from rnnbench.store.record import Record
from rnnbench.store.rows import COLUMNS as TYPES
from rnnbench.store.rows import fitting, row
from rnnbench.store.store import Store

if TYPE_CHECKING:
    from rnnbench.runs.plan import Job

Choice = Literal["accept", "rerun"] | None  # --accept-stale, --rerun-stale
WORK = ("cell", "cell_version", "dataset", "dataset_version", "device_kind", "precision")  # as in `vouched.Work`
COLUMNS = ("source_hash", *WORK, "own_source", "files", "id_lacks")  # of an index or a frame: what is asked of a run
SOURCE = "the source of nn/, datasets/ or training/ has changed since"
FILES = "their ids do not tell what was in the files that they read"
THREADS = "their ids do not tell on how many threads they ran"
REASONS = 3  # that are told in one sentence


def why(row: Mapping[str, object]) -> str:
    """What has changed since a run, of its `COLUMNS`, in words: `leaky.py has changed`; empty where nothing has."""
    return _why(*(row[name] for name in COLUMNS))


def judge() -> Callable[[Mapping[str, object]], str]:
    """`why` for many rows of one moment: asked once for each different one, as it may look at files."""
    once = functools.cache(_why)
    return lambda row: once(*(row[name] for name in COLUMNS))


def why_record(record: Record) -> str:
    """`why` of a record."""
    made = row(record)
    return why({name: fitting(made[name], TYPES[name]) for name in COLUMNS})


def whys(frame: Any) -> list[str]:
    """`why` of every row of a DataFrame. Each source and work is judged once: most rows share theirs."""
    numbers = frame.groupby(list(COLUMNS), dropna=False, sort=False).ngroup()
    different = frame.loc[~numbers.duplicated().to_numpy(), list(COLUMNS)]
    said = [_why(*values) for values in different.itertuples(index=False)]
    return [said[number] for number in numbers.tolist()]


def stale_rows(frame: Any) -> list[bool]:
    """Whether each row of a DataFrame is stale."""
    return [bool(said) for said in whys(frame)]


def _why(*values: Any) -> str:
    """`why` of the values of `COLUMNS`, in their order."""
    run = dict(zip(COLUMNS, values, strict=True))
    own = run["own_source"]
    if _other_source(run["source_hash"], [run[name] for name in WORK]):
        return SOURCE
    if isinstance(own, str) and (names := own_source.changed(_parsed(own))):
        return f"{own_source.have_changed(names)} since"
    if not isinstance(run["files"], str) and _reads_files(str(run["dataset"])):
        return FILES
    return THREADS if run["id_lacks"] == "threads" else ""


def _other_source(source: Any, work: Sequence[Any]) -> bool:
    if not isinstance(source, str):  # a missing value of a frame; or JSON that no version of ours has written
        return isinstance(source, int | list | dict)
    if source == (today := source_hash()):
        return False
    return not vouched.equal(source, today, vouched.Work(*map(str, work)))


def _parsed(own: str) -> Mapping[str, Any]:
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(own)
        if isinstance(found, dict):
            return found
    return {}


def _reads_files(dataset: str) -> bool:
    """Whether a dataset says today that it reads files of the user's, and so has their content in its ids."""
    with contextlib.suppress(BadInput):
        if dataset in registry.choices("dataset"):
            return bool((registry.read("dataset", dataset).get("meta") or {}).get("files"))
    return False


def reasons(store: Store, runs: Sequence[str]) -> dict[str, str]:
    """Those of these ids whose record is stale, in order, each with what has changed."""
    known, _ = index.of_runs(store, runs, *COLUMNS)
    asked = judge()
    said = {run: asked(known[run]) for run in runs if run in known}
    return {run: reason for run, reason in said.items() if reason}


def settle(store: Store, runs: Sequence[str], choice: Choice = None, *, again: str = "") -> list[str]:
    """Do with the stale records among these runs what the user chose, before anything runs; the ids set aside.

    Of a choice to run them again the old records are set aside (record.stale-N.json), and what their runs died of
    before is not held against the new ones. A checkpoint, which a run that was given up leaves, is of the old source:
    it goes. again: what doing them again means, where it means more than that. Raises BadInput where there are stale
    records and no choice was made.
    """
    if choice == "accept":
        return []
    stale = reasons(store, runs)
    if stale and choice is None:
        raise BadInput(sentence(len(stale), len(runs), again, in_words(stale.values())))
    _set_aside(store, stale, "stale")
    return list(stale)


def set_aside(store: Store, runs: Sequence[str]) -> None:
    """Set the records of these runs aside, whatever they say (record.rerun-N.json): their runs are done again."""
    _set_aside(store, [run for run in runs if store.record_path(run).exists()], "rerun")


def _set_aside(store: Store, runs: Iterable[str], word: str) -> None:
    from rnnbench.sweeps.clean import LAST  # which imports Hydra: readers ask this module whether a record is stale

    for run in runs:
        attempts.forgive(store.folder(run))
        (store.folder(run) / LAST).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another sweep over this store was faster
            store.set_aside(run, word)


def recorded(job: Job, store: Store, *, retry: bool, rerun: bool = False) -> tuple[Record | None, str]:
    """A job's record, and what has changed since it was made (`why`).

    retry: a failed or stale one is set aside, what its run died of is forgiven, and there is none; rerun: any one is.
    """
    record = store.read(job.id)
    if record is None:
        return None, ""
    failed, stale = record["status"] != "ok", why_record(record)
    if not (rerun or (retry and (failed or stale))):
        return record, stale
    attempts.forgive(store.folder(job.id))
    store.set_aside(job.id, "rerun" if rerun else "failed" if failed else "stale")
    return None, ""


def in_words(said: Iterable[str]) -> str:
    """What has changed since some runs, each reason once."""
    different = list(dict.fromkeys(said))
    more = f"; and {len(different) - REASONS} more" if len(different) > REASONS else ""
    return "; ".join(different[:REASONS]) + more


def counted(said: Sequence[str], of: int) -> str:
    """`stale: 3 of 8 runs: leaky.py has changed since`. said: of each stale run what has changed."""
    return f"stale: {len(said)} of {of} runs: {in_words(said)}"


def sentence(count: int, of: int, again: str = "", changed: str = SOURCE) -> str:
    """What there is to decide, in one sentence."""
    one = count == 1
    runs = f"{count} of the {of} runs {'has a stale record' if one else 'have stale records'}"
    return (
        f"{runs if of > 1 else 'the run has a stale record'} ({changed}); "
        f"--accept-stale counts {'it' if one else 'them'} as done, --rerun-stale sets "
        f"{'it aside and does it' if one else 'them aside and does them'} again{again}."
    )


def remark(store: Store, runs: Sequence[str]) -> str:
    """What a reader of tables must know of these runs; empty where none is stale."""
    if not (stale := reasons(store, runs)):
        return ""
    be = "is" if len(stale) == 1 else "are"
    return f"{len(stale)} of {len(runs)} runs {be} stale: {in_words(stale.values())}"
