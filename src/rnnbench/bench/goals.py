"""How fast compiled cells have to be, by the kind of processor on which that was settled. Data, and how it is judged.

A kind that is not in GOALS is measured like any other and judged by nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rnnbench.bench.harness import Result

SLACK = 0.15  # a median this much below its goal misses it: less is what one hour differs from the next by


class Size(NamedTuple):
    """What a layer is given. calls: how many are timed as one, so that a measurement takes tens of milliseconds."""

    steps: int
    batch: int
    inputs: int
    units: int
    calls: int

    def __str__(self) -> str:
        return f"T{self.steps} B{self.batch} I{self.inputs} H{self.units}"


SIZES = (
    Size(50, 32, 8, 32, calls=8),
    Size(50, 50, 2, 64, calls=4),
    Size(8, 50, 8, 64, calls=16),
    Size(100, 64, 64, 128, calls=1),
    Size(28, 128, 28, 256, calls=1),
)


class Goal(NamedTuple):
    """At least so many times as fast as torch's own kernel of the cell's family, where it has one, and as eager."""

    kernel: float | None
    eager: float

    def __str__(self) -> str:
        return f"{'-' if self.kernel is None else f'{self.kernel:g}'} / {self.eager:g}"


@dataclass(frozen=True)
class Goals:
    """What one kind of processor is held to.

    families: a goal for each of SIZES. updates: by dataset, a whole training update of a peephole LSTM against eager.
    lowest: against eager, built for the oldest processor of the architecture. compile_seconds: of a cell, at most.
    """

    families: Mapping[str, Sequence[Goal]]
    updates: Mapping[str, float]
    lowest: float
    compile_seconds: float


LSTMS, GRUS, RNNS, SEVERAL_MAPS = "LSTM, peepholes on or off", "GRU family", "RNN", "FGR, other cells of several maps"

GOALS = {
    "x86-64 avx2": Goals(
        families={
            LSTMS: (Goal(1.5, 9), Goal(1.4, 4.5), Goal(1.2, 3), Goal(1.25, 1.9), Goal(1.1, 1.4)),
            GRUS: (Goal(6, 9), Goal(3.5, 4.5), Goal(2.2, 2.8), Goal(1.6, 2), Goal(1.25, 1.35)),
            RNNS: (Goal(4, 5), Goal(2.8, 3.5), Goal(1.5, 1.8), Goal(1.6, 1.9), Goal(1.3, 1.3)),
            SEVERAL_MAPS: (Goal(None, 8), Goal(None, 3.5), Goal(None, 2.5), Goal(None, 2), Goal(None, 1.3)),
        },
        updates={"adding": 3.5, "digits": 2.5},
        lowest=1.0,
        compile_seconds=1.0,
    )
}


def below(median: float, goal: float | None) -> bool:
    """Whether a median misses its goal."""
    return goal is not None and median < (1 - SLACK) * goal


def above(value: float, goal: float) -> bool:
    """Whether what should be small misses its goal."""
    return value > (1 + SLACK) * goal


def table() -> Result:
    """The goals of layers, by processor, family and size."""
    rows = [
        (processor, family, *map(str, of_sizes))
        for processor, goals in GOALS.items()
        for family, of_sizes in goals.families.items()
    ]
    title = "Goals: times as fast as torch's own kernel of the family / as eager, forward and backward"
    return Result(title, ("processor", "family", *map(str, SIZES)), rows)
