"""Which tasks a ranking is over: entries are ranked on equal tasks, and one stray run must not leave nobody ranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, combinations

import pandas as pd

MOST_NAMED = 4  # tasks that a remark names; of more it says how many
MOST_SETS = 50  # of different sets of tasks, the commonest; pairs of them grow with the square


def largest_block(on: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
    """The tasks to rank over, and the entries that were run on all of them; two empty lists where there are none.

    on: of each entry, the tasks it was run on. It is the largest full table: most entries times tasks, at least two of
    each; of equal ones that with more entries, then that of the first tasks. Looked at are the sets of tasks that
    entries have, what two of these share, and what the entries with most tasks share.
    """
    masks = [sum(1 << task for task in tasks) for tasks in on]
    times = Counter(masks)
    blocks = [size for mask in _candidates(times) if (size := _block(mask, times)) is not None]
    if not blocks:
        return [], []
    *_, last = max(blocks)
    chosen = -last
    tasks = [task for task in range(chosen.bit_length()) if chosen >> task & 1]
    return tasks, [entry for entry, mask in enumerate(masks) if mask & chosen == chosen]


def _candidates(times: Counter[int]) -> set[int]:
    """The sets of tasks that are looked at, each as a mask of bits. times: how many entries have which."""
    common = sorted(times, key=lambda mask: (-times[mask], -mask.bit_count(), mask))[:MOST_SETS]
    shared_by_two = {a & b for a, b in combinations(common, 2)}
    by_size = sorted(times, key=lambda mask: (-mask.bit_count(), mask))
    shared_by_the_largest = set(accumulate(by_size, lambda a, b: a & b))
    return {*common, *shared_by_two, *shared_by_the_largest}


def _block(mask: int, times: Counter[int]) -> tuple[int, int, int] | None:
    """A full table's size, its entries, and its tasks so that the first ones are largest; None below two of either."""
    entries = sum(n for other, n in times.items() if other & mask == mask)
    if entries < 2 or mask.bit_count() < 2:
        return None
    return entries * mask.bit_count(), entries, -mask  # of equal ones the smaller mask is that of the first tasks


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
    names = _names(tasks, over) if len(over) <= MOST_NAMED else f"{len(over)} tasks"
    said = f"ranked over {names}: {ranked} of {entries} entries were run on all of them, the largest full table"
    if not others:
        return [said]
    said += f"; left out: {_names(tasks, others)}"
    datasets = list(dict.fromkeys(str(tasks["dataset"][task]) for task in over))
    if not any(str(tasks["dataset"][task]) in datasets for task in others):
        said += f". Alone: rnnbench tables dataset={','.join(datasets)}"
    return [said]


def _names(tasks: pd.DataFrame, chosen: Sequence[int]) -> str:
    return ", ".join(tasks["name"][task] for task in chosen)
