"""Where a task can tell two apart: both ends, both directions of a metric, and what is not known."""

import math

import pytest

from rnnbench.reports.statistics.room import NoRoom, Room, no_room, room_of

ROOM = Room(0.05, 0.98)


@pytest.mark.parametrize(("first", "second", "equal", "better"), [
    (0.01, 0.04, NoRoom.FLOOR, NoRoom.FLOOR),
    (0.01, 0.06, None, None),  # one has learned something
    (0.99, 0.99, NoRoom.CEILING, NoRoom.CEILING),
    (0.98, 0.98, NoRoom.CEILING, NoRoom.CEILING),  # the ceiling itself is solved
    (0.90, 0.99, None, NoRoom.CEILING),  # nobody could be better than the second
    (0.99, 0.90, None, None),
    (math.nan, 0.5, None, None),
])  # fmt: skip
def test_the_rule_works_both_ways(first, second, equal, better):
    assert no_room(first, second, ROOM) is equal
    assert no_room(first, second, ROOM, better=True) is better


def test_the_ends_are_those_of_the_task_whichever_way_is_better():
    assert room_of(0.5, 1.0, math.nan, sign=1) == pytest.approx((0.525, 0.99))
    assert room_of(0.1667, 0.0, math.nan, sign=-1) == pytest.approx((-0.1667 * 0.95, -0.1667 * 0.02))
    assert room_of(0.1667, 0.0, 0.01, sign=-1) == pytest.approx((-0.1667 * 0.95, -0.01)), "as the task itself says"
    assert room_of(0.5, 1.0, math.nan, sign=1, smallest=0.1).ceiling == pytest.approx(0.95)


def test_what_is_not_known_leaves_room():
    room = room_of(0.2, math.nan, math.nan, sign=-1)
    assert room.floor == -0.2
    assert math.isnan(room.ceiling)
    assert no_room(-0.3, -0.25, room) is NoRoom.FLOOR
    assert no_room(-0.01, -0.01, room) is None
    assert no_room(0.0, 0.0, room_of(math.nan, math.nan, math.nan, sign=1)) is None
