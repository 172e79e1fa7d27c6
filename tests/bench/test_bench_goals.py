"""The goals: which there are, when one is missed, and that docs/speed.md says them as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnbench.bench import document, tables
from rnnbench.bench.goals import GOALS, SIZES, above, below, table

PAGE = (Path(__file__).parents[2] / "docs" / "speed.md").read_text()


@pytest.mark.parametrize("processor", GOALS)
def test_every_family_has_a_goal_for_every_size(processor):
    for goals in GOALS[processor].families.values():
        assert len(goals) == len(SIZES)
        assert all(goal.eager > 1 for goal in goals)


def test_a_median_misses_its_goal_where_it_is_over_15_percent_worse():
    assert not below(0.86, 1.0)
    assert below(0.84, 1.0)
    assert not below(0.1, None)
    assert not above(1.14, 1.0)
    assert above(1.16, 1.0)


def test_the_page_has_the_goals():
    assert document.places(PAGE)["goals"] == document.markdown(table())
    for processor, goals in GOALS.items():
        said = PAGE.split("\n## Goals\n")[1]
        assert f"`{processor}`" in said
        assert f"adding {goals.updates['adding']:g} times as fast as eager" in said
        assert f"digits {goals.updates['digits']:g} times" in said
        assert f"{goals.compile_seconds:g} s a cell" in said
        assert goals.lowest == 1
        assert "no slower than eager" in said


def test_every_other_table_of_the_page_is_one_of_the_command():
    assert set(document.places(PAGE)) == {"goals", "cells", "lowest", "compilation", "scan", "updates", "quickstart"}
    assert set(document.places(PAGE)) - {"goals"} <= set(tables.tables(1, 1))
    assert PAGE.count("<!-- table: ") == len(document.places(PAGE))
    assert PAGE.count("<!-- end -->") == PAGE.count("<!-- table: ") + PAGE.count("<!-- operations -->")
