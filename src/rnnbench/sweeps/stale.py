"""Records made by other source than today's: shown and counted, neither silently reused nor discarded.

A record's `source_hash` covers nn/, datasets/ and training/ (runs.source_hash). Where it differs, and the gate has not
shown that both sources compute the record's cell and dataset alike (runs.vouched), the same config might give another
result now, and only the user knows whether it does. Published sets are never asked. Records without a hash are unknown:
they count as done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from rnnbench.errors import BadInput
from rnnbench.runs import attempts, vouched
from rnnbench.runs.source_hash import source_hash
from rnnbench.store import index
from rnnbench.store.record import Record
from rnnbench.store.store import Store

if TYPE_CHECKING:
    from rnnbench.runs.plan import Job

Choice = Literal["accept", "rerun"] | None  # --accept-stale, --rerun-stale
COLUMNS = (
    "source_hash",
    "cell",
    "cell_version",
    "dataset",
    "dataset_version",
    "device_kind",
    "precision",
)  # of an index or a frame: what is asked of a run


def is_stale(row: Mapping[str, object]) -> bool:
    """Whether a run's `COLUMNS` say that source made it which may compute otherwise; False where they name none."""
    return _stale(*(row[name] for name in COLUMNS))


def record_is_stale(record: Record) -> bool:
    """The same of a record."""
    source = record.get("source_hash")
    if not isinstance(source, str):  # none, or what no version of ours has written
        return source is not None
    return not vouched.equal(source, source_hash(), vouched.work_of(record))


def stale_rows(frame: Any) -> list[bool]:
    """The same of every row of a DataFrame. Each source and work is judged once: most rows share theirs."""
    numbers = frame.groupby(list(COLUMNS), dropna=False, sort=False).ngroup()
    different = frame.loc[~numbers.duplicated().to_numpy(), list(COLUMNS)]
    stale = [_stale(*values) for values in different.itertuples(index=False)]
    return [stale[number] for number in numbers.tolist()]


def _stale(source: Any, *work: Any) -> bool:
    if not isinstance(source, str):  # a missing value of a frame; or JSON that no version of ours has written
        return isinstance(source, int | list | dict)
    if source == (today := source_hash()):
        return False
    return not vouched.equal(source, today, vouched.Work(*map(str, work)))


def find(store: Store, runs: Sequence[str]) -> list[str]:
    """Those of these ids whose record is stale, in order."""
    known, _ = index.of_runs(store, runs, *COLUMNS)
    return [run for run in runs if run in known and is_stale(known[run])]


def settle(store: Store, runs: Sequence[str], choice: Choice = None, *, again: str = "") -> list[str]:
    """Do with the stale records among these runs what the user chose, before anything runs; the ids set aside.

    Of a choice to run them again the old records are set aside (record.stale-N.json), and what their runs died of
    before is not held against the new ones. A checkpoint, which a run that was given up leaves, is of the old source:
    it goes. again: what doing them again means, where it means more than that. Raises BadInput where there are stale
    records and no choice was made.
    """
    if choice == "accept":
        return []
    from rnnbench.sweeps.clean import LAST  # which imports Hydra: readers ask this module whether a record is stale

    stale = find(store, runs)
    if stale and choice is None:
        raise BadInput(sentence(len(stale), len(runs), again))
    for run in stale:
        attempts.forgive(store.folder(run))
        (store.folder(run) / LAST).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another sweep over this store was faster
            store.set_aside(run, "stale")
    return stale


def recorded(job: Job, store: Store, *, retry: bool) -> tuple[Record | None, bool]:
    """A job's record, and whether other source made it.

    retry: a failed or stale one is set aside, what its run died of is forgiven, and there is none.
    """
    record = store.read(job.id)
    if record is None:
        return None, False
    failed, stale = record["status"] != "ok", record_is_stale(record)
    if not (retry and (failed or stale)):
        return record, stale
    attempts.forgive(store.folder(job.id))
    store.set_aside(job.id, "failed" if failed else "stale")
    return None, False


def sentence(count: int, of: int, again: str = "") -> str:
    """What there is to decide, in one sentence."""
    one = count == 1
    runs = f"{count} of the {of} runs {'has a stale record' if one else 'have stale records'}"
    return (
        f"{runs if of > 1 else 'the run has a stale record'} (the source of nn/, datasets/ or training/ has changed "
        f"since); --accept-stale counts {'it' if one else 'them'} as done, --rerun-stale sets "
        f"{'it aside and does it' if one else 'them aside and does them'} again{again}."
    )


def remark(store: Store, runs: Sequence[str]) -> str:
    """What a reader of tables must know of these runs; empty where none is stale."""
    if not (count := len(find(store, runs))):
        return ""
    be = "is" if count == 1 else "are"
    return f"{count} of {len(runs)} runs {be} stale: the source of nn/, datasets/ or training/ has changed since"
