from __future__ import annotations

import numpy as np
import pytest

from reports.synthetic import make_record, make_records
from rnnbench.reports.boards.cost import cost_table
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.frame import records_frame


def cost(records):
    return cost_table(chosen(records_frame(records)))


def test_no_runs_give_no_rows():
    assert cost([]).frame.empty


def test_sizes_are_told_and_times_are_medians():
    records = make_records(("lstm",), range(5))
    (row,) = cost(records).frame.to_dict("records")
    assert (row["params"], row["state_size"], row["flops_per_step"], row["runs"]) == (19_338, 128, 37_888, 5)
    assert row["train_seconds"] == np.median([record["train_seconds"] for record in records])
    assert row["peak_memory_mb"] == 412.5


@pytest.mark.parametrize(
    "other",
    [{"device": "cuda:0"}, {"precision": "bf16"}, {"backend": "eager"}, {"host": "another"}, {"threads": 8},
     {"packages": {"torch": "2.11.0"}}],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_speeds_never_meet_across_machines(other):
    others = [record | {"id": f"o{n}"} for n, record in enumerate(make_records(("lstm",), **other))]
    table = cost([*make_records(("lstm",)), *others])
    assert len(table.sections) == 2
    assert table.frame["runs"].tolist() == [3, 3]


def test_failed_runs_and_runs_that_are_not_shown_cost_nothing_here():
    records = [*make_records(("gru",)), make_record("gru", seed=9, status="oom"), make_record("gru", lr=0.1, val=0.0)]
    assert cost(records).frame["runs"].tolist() == [3]


def test_dead_parameters_are_told():
    (section,) = cost([record | {"live_params": 10} for record in make_records(("gru",))]).sections
    assert section.rows[0]["parameters"] == "19,338 (10 live)"
