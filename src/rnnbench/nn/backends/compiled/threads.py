"""Work divided among threads so that no bit depends on their number.

What one number is a sum of is never divided: the loop by chunks of rows that have their own sums, the products around
it by rows or columns of their result. The default is torch's: one thread, as in every run. Python's threads do, for C
is called without the interpreter's lock, and a pool would not survive a fork.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from threading import Thread

import torch

LARGE = 4e8  # operations that a thread must have to do: some 3 ms, against .1 ms for starting it


def parts(count: int, unit: int, operations: float) -> list[tuple[int, int]]:
    """[first, last) of `count` in equal parts, at multiples of unit: one for each thread that is worth it."""
    threads = max(1, min(torch.get_num_threads(), int(operations // LARGE), -(-count // unit)))
    if threads == 1:
        return [(0, count)]
    units = -(-count // unit)
    ends = [min(count, units * n // threads * unit) for n in range(threads + 1)]
    return [*pairwise(ends)]


def side_by_side(calls: list[Callable[[], None]]) -> None:
    """Call all, the first in this thread, each other in one of its own."""
    if len(calls) == 1:
        calls[0]()
        return
    others = [Thread(target=call) for call in calls[1:]]
    for thread in others:
        thread.start()
    calls[0]()
    for thread in others:
        thread.join()
