"""The words of a selection, for every command that takes one, and what its reader is told."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from rnnbench.cli.common import EXIT

if TYPE_CHECKING:
    from rnnbench.reports.selection import Selected
    from rnnbench.store import Store

HELP = """\
A selection is names of sweeps, of published sets or of folders with results, and key=value[,value]:
  dataset budget protocol metric device precision backend status commit (its beginning)
  cell operator peephole direction depth hidden_size seed, and any option that was set: optimizer.lr=0.01
  since=2026-11-01 until=2026-11-30 (when a run finished, UTC, both days in)
Words of different keys all hold; values of one key, and several names, are alternatives. No words: all of the store.
"""
EPILOG = HELP + EXIT


def add_selection(parser: argparse.ArgumentParser) -> None:
    """The words of a selection, as `args.selection`."""
    parser.add_argument(
        "selection", nargs="*", metavar="SELECTION",
        help="a sweep, published set or folder, and key=value (default: all)",
    )  # fmt: skip


def selected(store: Store, words: list[str]) -> Selected:
    """The runs that were asked for; what is left out, unfinished or stale is said on stderr."""
    from rnnbench.reports.selection import select
    from rnnbench.sweeps.stale import is_stale

    found = select(store, words)
    for problem in found.problems.values():
        print(f"left out: {problem}", file=sys.stderr)
    if count := len(found.problems):
        print(f"left out: {count} record{'s' * (count != 1)} that cannot be read", file=sys.stderr)
    for remark in found.remarks:
        print(f"note: {remark}", file=sys.stderr)
    stale = found.frame["source_hash"].map(is_stale, na_action="ignore").fillna(False).astype(bool)
    stale &= ~found.frame["id"].isin(list(found.frozen))  # a frozen result is what it is
    found.frame = found.frame.assign(stale=stale)
    if count := int(stale.sum()):
        print(f"stale: {count} of {len(found.frame)} runs were made by other source", file=sys.stderr)
    return found
