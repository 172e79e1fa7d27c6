from __future__ import annotations

import pytest

from rnnbench.reports.boards.common_tasks import largest_block


@pytest.mark.parametrize(
    ("on", "tasks", "entries"),
    [
        ([], [], []),
        ([[0], [0, 1]], [], []),
        ([[0, 1]], [], []),
        ([[0, 1], [0, 1]], [0, 1], [0, 1]),
        ([[0, 1]] * 8 + [[0, 1, 2]], [0, 1], list(range(9))),  # one entry with a task more
        ([list(range(20))] * 10 + [[3, 4]], list(range(20)), list(range(10))),  # one entry with few tasks
        ([[0, 1, 2]] * 4 + [[0, 1, 3]] * 4, [0, 1], list(range(8))),  # a set that no entry has
        ([[0, 1], [0, 1, 2], [1, 2]], [0, 1], [0, 1]),  # of equal ones the first tasks
    ],
)
def test_the_largest_full_table_is_ranked_over(on, tasks, entries):
    assert largest_block(on) == (tasks, entries)


def test_every_entry_may_lack_another_task():
    on = [[task for task in range(12) if task != entry] for entry in range(6)]
    tasks, entries = largest_block(on)
    assert len(tasks) * len(entries) >= 36
    assert all(set(tasks) <= set(on[entry]) for entry in entries)
