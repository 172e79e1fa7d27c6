"""Which runs are meant, and what their reader must know: one reading for the commands and for Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.face.words import Words, selection_of
from rnnbench.store.door import refused

if TYPE_CHECKING:
    from rnnbench.reports.selection.select import Selected
    from rnnbench.store.store import Store


def mark_stale(found: Selected) -> list[str]:
    """Add the column `stale`, true of runs of other source or data than today's; of each of these what has changed."""
    import numpy as np

    from rnnbench.sweeps.stale import whys

    live = ~found.frame["id"].isin(list(found.frozen))  # a frozen result is what it is
    said = np.array(whys(found.frame), dtype=object)
    found.frame = found.frame.assign(stale=live & (said != ""))
    return [str(each) for each in said[found.frame["stale"].to_numpy(bool)]]


def marked(found: Selected) -> list[str]:
    """Mark what is stale, and say what is left out, unfinished or stale, a line each."""
    lines = refused(found.problems)
    lines += [f"note: {remark}" for remark in found.remarks]
    if stale := mark_stale(found):
        from rnnbench.sweeps.stale import counted

        lines.append(counted(stale, len(found.frame)))
    return lines


def stale_remarks(store: Store, name: str) -> list[str]:
    """What the reader of a sweep's tables must know of its stale runs; nothing of a published set."""
    from rnnbench.store.manifests import read_manifest
    from rnnbench.store.results import Sweep, resolve
    from rnnbench.sweeps import stale

    found = resolve(store, name)
    if not isinstance(found, Sweep):
        return []
    said = stale.remark(found.store, read_manifest(found.store.results, found.name)["runs"])
    return [said] if said else []


def selected(
    selection: Sequence[Words], results: str | Path | None, *, may_be_empty: bool = False
) -> tuple[Selected, tuple[str, ...]]:
    """The runs that were asked for, and the remarks on them. Raises BadInput as `select` does."""
    from rnnbench.reports.selection.select import select
    from rnnbench.store.store import Store

    store = Store.open(results)
    found = select(store, selection_of(selection), may_be_empty=may_be_empty)
    return found, tuple(marked(found))
