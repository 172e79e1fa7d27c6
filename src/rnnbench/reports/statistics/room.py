"""Whether a task leaves room for a difference: two that both solved it, or both learned nothing, are alike by the task.

Equal at the ceiling decides as little as better: so the rule works both ways, for every verdict that says "equal".
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

LEARNED = 0.05  # of the way from floor to target: who does not come so far has not learned the task
SMALLEST = 0.02  # of that way: the smallest effect of interest, and so far from the target a task is solved


class NoRoom(StrEnum):
    """Why a task cannot tell two apart, in words."""

    FLOOR = "neither has learned the task"
    CEILING = "both have solved the task: equal there decides as little as better"


class Room(NamedTuple):
    """Between which values a task tells two apart, where more is better; NaN where an end is not known.

    floor: whoever stays below has learned nothing. ceiling: whoever reaches it has solved the task.
    """

    floor: float
    ceiling: float


def room_of(floor: float, target: float, solved: float, *, sign: float, smallest: float = SMALLEST) -> Room:
    """The room of a task, in its metric's unit times `sign` (1 where more is better, -1 where less is).

    floor, target: of the normalised score; solved: the value from which on the task says that it is solved, or NaN;
    without it so near to the target as the smallest effect of interest. Without a target the floor itself is the end.
    """
    way = sign * (target - floor)
    below = sign * floor + LEARNED * way if way > 0 else sign * floor
    near = sign * target - smallest * way if way > 0 else math.nan
    return Room(below, near if math.isnan(solved) else sign * solved)


def no_room(first: float, second: float, room: Room, *, better: bool = False) -> NoRoom | None:
    """Why the task cannot tell two means apart; None where it can, or where that is not known.

    better: whether the first should be better than the second, for which the second alone can leave no room.
    """
    if first < room.floor and second < room.floor:
        return NoRoom.FLOOR
    if second >= room.ceiling and (better or first >= room.ceiling):
        return NoRoom.CEILING
    return None
