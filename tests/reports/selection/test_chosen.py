"""What the leaderboard's own tests do not say of the choice: they go through it as well."""

from __future__ import annotations

import numpy as np
import pytest

from reports.synthetic import make_record
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.frame import records_frame


def shown(records, **columns):
    runs = chosen(records_frame(records).assign(**columns))
    return runs[runs["shown"]], runs


def test_of_equal_entries_the_one_with_more_ok_runs_is_shown_then_the_first_id():
    records = [make_record(lr=0.1, seed=s, val=0.5) for s in range(2)] + [make_record(lr=0.2, seed=0, val=0.5)]
    assert len(shown(records)[0]) == 2
    even = [make_record(lr=lr, val=0.5) for lr in (0.1, 0.2)]
    assert shown(even)[0]["entry"].tolist() == [min(records_frame(even)["entry"])]


def test_failed_runs_are_shown_with_their_entry():
    records = [make_record(seed=s, val=0.5) for s in range(2)] + [make_record(seed=2, status="oom")]
    assert len(shown(records)[0]) == 3


@pytest.mark.parametrize("goal", ["min", "max"])
def test_the_best_on_validation_is_shown(goal):
    records = [make_record(lr=lr, val=lr, value=1 - lr, goal=goal) for lr in (0.1, 0.2, 0.3)]
    assert shown(records)[0]["val"].tolist() == [0.1 if goal == "min" else 0.3]


def test_rows_without_a_validation_value_are_undecided_unless_there_is_one_entry():
    assert shown([make_record(lr=lr, val=None) for lr in (0.1, 0.2)])[1]["undecided"].all()
    assert not shown([make_record(seed=s, val=None) for s in range(2)])[1]["undecided"].any()
    assert not shown([make_record(lr=lr, status="oom") for lr in (0.1, 0.2)])[1]["undecided"].any()


def test_a_trial_chooses_and_finals_are_shown():
    records = [make_record(lr=0.1, seed=0, val=0.9), make_record(lr=0.2, seed=0, val=0.8)]
    records += [make_record(lr=0.1, seed=s, val=0.1) for s in (5, 6)]
    lr = np.array([r["seed"] for r in sorted(records, key=lambda r: r["id"])])
    found, runs = shown(records, stage=np.where(lr == 0, "trial", "final"), axes="search x: y")
    assert sorted(found["seed"]) == [5, 6]
    assert len(runs) == 4


SURVIVOR = [make_record(lr=0.1, seed=0, val=0.96)] + [
    make_record(lr=0.1, seed=s, status="diverged") for s in range(1, 5)
]
STEADY = [make_record(lr=0.2, seed=s, val=0.95) for s in range(5)]


def test_a_setting_is_not_the_best_for_the_one_run_of_five_that_survived():
    assert shown([*SURVIVOR, *STEADY])[0]["val"].tolist() == [0.95] * 5


def test_a_failed_run_counts_as_the_floor_or_the_worst_value_and_rules_no_setting_out():
    steady_but_bad = [make_record(lr=0.2, seed=s, val=0.2) for s in range(5)]
    assert shown([*SURVIVOR, *steady_but_bad])[0]["status"].tolist().count("diverged") == 4  # (.96 + 4 x .1) / 5 > .2
    below = [make_record(lr=0.3, seed=s, val=-2.0) for s in range(5)]  # the failed ones count as -2 now
    assert len(shown([*SURVIVOR, *steady_but_bad, *below])[0].query("status == 'ok'")) == 5
    unknown = [record | {"floors": {}} for record in [*SURVIVOR, *steady_but_bad]]
    assert shown(unknown)[0]["status"].tolist().count("diverged") == 4


def test_a_setting_that_only_failed_is_shown_only_where_all_did():
    lost = [make_record(lr=0.1, seed=s, status="oom") for s in range(3)]
    worse_than_the_floor = make_record(lr=0.2, val=0.01)
    assert shown([*lost, worse_than_the_floor])[0]["status"].tolist() == ["ok"]
