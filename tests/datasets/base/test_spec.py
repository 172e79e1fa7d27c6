"""When a task counts as solved: what a spec refuses, which side of the threshold is which, what a floor says to it."""

from __future__ import annotations

import dataclasses
import math

import pytest

from rnnbench.datasets import Adding, AnBn, CopyMemory, Digits, Dyck, Parity, TemporalOrder
from rnnbench.datasets.base.spec import TaskSpec
from rnnbench.datasets.base.task import Task

SIZES = {"train": 60, "val": 20, "test": 40}
SOLVABLE: list[tuple[Task, float]] = [
    (Adding(T=20, **SIZES), 0.01),
    (CopyMemory(T=100, **SIZES), 0.1 * 0.17329),  # a tenth of the floor that papers print for T=100
    (Parity(**SIZES), 0.99),
    (TemporalOrder(T=30, **SIZES), 0.99),
    (AnBn(), 0.99),
    (Dyck(**SIZES), 0.99),
]


def a_spec(goal: str, *, solved: float | None, target: float | None = None) -> TaskSpec:
    spec = Adding(T=20).spec
    return dataclasses.replace(spec, goal=goal, solved=solved, target=target)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task", "solved"), SOLVABLE, ids=lambda value: getattr(value, "spec", None) and value.spec.name
)
def test_the_oracle_solves_a_task_and_no_floor_does(task: Task, solved: float) -> None:
    spec = task.spec
    assert spec.solved == pytest.approx(solved, rel=1e-4)
    assert spec.target is not None
    assert spec.solves(spec.target)
    floors = task.floors(task.load())
    assert not any(spec.solves(floor) for floor in floors.values())
    assert spec.solved_above(floors[spec.floor]) == spec.solved


def test_the_threshold_itself_is_solved() -> None:
    most, least = a_spec("max", solved=0.9), a_spec("min", solved=0.1)
    assert [most.solves(value) for value in (0.91, 0.9, 0.8999)] == [True, True, False]
    assert [least.solves(value) for value in (0.09, 0.1, 0.1001)] == [True, True, False]
    assert not most.solves(math.nan)
    assert not least.solves(math.nan)


def test_a_task_without_the_notion_is_never_solved() -> None:
    spec = Digits().spec
    assert spec.solved is None
    assert not spec.solves(1.0)
    assert spec.solved_above(0.1) is None


@pytest.mark.parametrize("solved", [math.nan, math.inf, True])
def test_what_is_no_number_is_refused(solved: float) -> None:
    with pytest.raises(ValueError, match="adding: solved must be a finite number or None"):
        a_spec("min", solved=solved)


@pytest.mark.parametrize(("goal", "solved", "target"), [("min", -0.01, 0.0), ("max", 1.01, 1.0)])
def test_what_not_even_the_target_reaches_is_refused(goal: str, solved: float, target: float) -> None:
    with pytest.raises(ValueError, match=f"the target {target:g} does not reach solved={solved:g}"):
        a_spec(goal, solved=solved, target=target)


def test_where_a_floor_solves_the_task_the_word_says_nothing() -> None:
    spec = a_spec("min", solved=0.1)
    assert spec.solved_above(0.1) is None
    assert spec.solved_above(0.05) is None
    assert spec.solved_above(math.nan) is None
    assert spec.solved_above(None) == spec.solved_above(0.2) == 0.1
