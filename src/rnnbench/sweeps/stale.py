"""Records made by other source than today's: shown and counted, neither silently reused nor discarded.

A record's `source_hash` covers nn/, datasets/ and training/ (runs.host). Where it differs, the same config might give
another result now, and only the user knows whether it does. Published sets are never asked. Records without a hash are
unknown: they count as done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Literal

from rnnbench import index
from rnnbench.errors import BadInput
from rnnbench.runs import attempts
from rnnbench.runs.host import known_source_hashes
from rnnbench.runs.plan import Job
from rnnbench.store import Store
from rnnbench.sweeps.clean import LAST

Choice = Literal["accept", "rerun"] | None  # --accept-stale, --rerun-stale


def is_stale(source_hash: str | None) -> bool:
    """Whether a record's source_hash says that other source made it; False where it says nothing."""
    return source_hash is not None and source_hash not in known_source_hashes()


def find(store: Store, jobs: Sequence[Job]) -> list[str]:
    """The ids among these jobs whose record is stale, in order."""
    known, _ = index.of_runs(store, [job.id for job in jobs], "source_hash")
    return _stale(jobs, known)


def settle(store: Store, jobs: Sequence[Job], choice: Choice = None) -> None:
    """Do with the stale records of a sweep what the user chose, before anything runs.

    Of a choice to run them again the old records are set aside (record.stale-N.json), and what their runs died of
    before is not held against the new ones. A checkpoint, which a run that was given up leaves, is of the old source:
    it goes. Raises BadInput where there are stale records and no choice was made.
    """
    if choice == "accept":
        return
    stale = find(store, jobs)
    if stale and choice is None:
        raise BadInput(sentence(len(stale), len(jobs)))
    for run in stale:
        attempts.forgive(store.folder(run))
        (store.folder(run) / LAST).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another sweep over this store was faster
            store.set_aside(run, "stale")


def sentence(count: int, of: int) -> str:
    """What there is to decide, in one sentence."""
    one = count == 1
    return (
        f"{count} of the {of} runs {'has a stale record' if one else 'have stale records'} (the source of nn/, "
        f"datasets/ or training/ has changed since); --accept-stale counts {'it' if one else 'them'} as done, "
        f"--rerun-stale sets {'it aside and does it' if one else 'them aside and does them'} again."
    )


def _stale(jobs: Sequence[Job], known: Mapping[str, Mapping[str, str | None]]) -> list[str]:
    return [job.id for job in jobs if job.id in known and is_stale(known[job.id]["source_hash"])]
