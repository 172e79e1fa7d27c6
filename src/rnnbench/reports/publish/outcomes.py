"""The outcomes by test item that a published set keeps, of all its runs in one file, and whether they still fit.

A set keeps at most MOST_BYTES of them, all of its runs' or none: comparisons by item need every run. A set that would
take more is published without, and its README says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from rnnbench.errors import BadInput
from rnnbench.store.files import LARGEST_TABLE, read_if_regular
from rnnbench.store.outcomes import FILE, dumps, gather, read
from rnnbench.store.published import FrozenOutcomes, PublishedHead, read_head, read_published
from rnnbench.store.record import Record
from rnnbench.store.store import Store, write_atomic

MOST_BYTES = 4_000_000


def freeze_outcomes(store: Store, found: Mapping[str, Record], folder: Path) -> FrozenOutcomes | None:
    """Write the outcomes of runs into a published set, by run; what its head says of them, None where there are none.

    Runs without outcomes, or with some that do not belong to their record, are left out. A file of before is removed.
    """
    (folder / FILE).unlink(missing_ok=True)
    made, _ = gather(store, (found[run] for run in sorted(found)))
    if not made:
        return None
    content = dumps(list(made.values()))
    if len(content) > MOST_BYTES:
        return {"runs": len(made), "left_out": len(content)}
    write_atomic(folder / FILE, content)
    return {"runs": len(made), "sha256": hashlib.sha256(content).hexdigest()}


def changed_outcomes(folder: Path) -> list[str]:
    """The outcomes of a published set, where they are not what was frozen, or not what the records say."""
    said = read_head(folder).get("outcomes", {})
    content = read_if_regular(folder / FILE, LARGEST_TABLE)
    if "sha256" not in said:
        return [FILE] if content is not None else []
    if content is None or hashlib.sha256(content).hexdigest() != said["sha256"]:
        return [FILE]
    try:
        runs = {each.run for each in read(folder / FILE)}
    except BadInput:
        return [FILE]
    found, problems = gather(folder, read_published(folder))
    return [FILE] if problems or runs != set(found) or len(runs) != said["runs"] else []


def outcome_lines(head: PublishedHead, runs: int) -> list[str]:
    """What a published set's README says of the outcomes: where they are, or why there are none."""
    if not (said := head.get("outcomes")):
        return []
    of = f"{said['runs']} of the {runs} runs" if said["runs"] != runs else "each run"
    if "left_out" in said:
        size = f"{said['left_out'] / 1e6:,.1f} MB"
        return [
            f"The loss of every test item of {of} is left out: {size}, and a set keeps at most {MOST_BYTES / 1e6:g} MB."
        ]
    return [f"The loss of every test item of {of}: [{FILE}]({FILE})."]
