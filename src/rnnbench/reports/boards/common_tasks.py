"""Which tasks a ranking is over: entries are ranked on equal tasks, and one stray run must not leave nobody ranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, combinations

import pandas as pd

MOST_SETS = 50  # of different sets of tasks, the commonest; pairs of them grow with the square


def largest_block(on: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """The tasks to rank over, and the entries that were run on all of them; two empty lists where there are none.

    on: of each entry, the tasks it was run on. It is the largest full table: most entries times tasks, at least two of
    each; of equal ones that with more entries, then that of the first tasks. Looked at are the sets of tasks that
    entries have, what two of these share, and what the entries with most tasks share.
    """
    masks = [sum(1 << task for task in tasks) for tasks in on]
    times = Counter(masks)
    common = sorted(times, key=lambda mask: (-times[mask], -mask.bit_count(), mask))[:MOST_SETS]
    nested = sorted(times, key=lambda mask: (-mask.bit_count(), mask))
    candidates = {*common, *(a & b for a, b in combinations(common, 2)), *accumulate(nested, lambda a, b: a & b)}
    best: tuple[int, int, int] | None = None
    for mask in candidates:
        entries = sum(n for other, n in times.items() if other & mask == mask)
        if entries > 1 and mask.bit_count() > 1:
            # of equal ones the smaller number is that of the first tasks
            found = (entries * mask.bit_count(), entries, -mask)
            best = max(best, found) if best else found
    if best is None:
        return [], []
    chosen = -best[2]
    tasks = [task for task in range(chosen.bit_length()) if chosen >> task & 1]
    return tasks, [entry for entry, mask in enumerate(masks) if mask & chosen == chosen]


def left_out(tasks: pd.DataFrame, over: Sequence[int], possible: Sequence[int], ranked: int, entries: int) -> list[str]:
    """What of a league is not in its ranking, in words; empty where everything is.

    tasks: the league's; over: those ranked over; possible: those that could be; ranked, entries: how many entries are
    ranked, of all.
    """
    if not over:
        return ["no two entries were run on the same two tasks: no ranks and no IQM"]
    others = [task for task in possible if task not in over]
    if not others and ranked == entries:
        return []
    names = ", ".join(tasks["name"][task] for task in over) if len(over) <= 4 else f"{len(over)} tasks"
    said = f"ranked over {names}: {ranked} of {entries} entries were run on all of them, the largest full table"
    if others:
        said += f"; left out: {', '.join(tasks['name'][task] for task in others)}"
        datasets = list(dict.fromkeys(str(tasks["dataset"][task]) for task in over))
        if not {str(tasks["dataset"][task]) for task in others} & set(datasets):
            said += f". Alone: rnnbench tables dataset={','.join(datasets)}"
    return [said]
