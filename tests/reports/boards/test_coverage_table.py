from __future__ import annotations

from reports.synthetic import make_record, make_records
from rnnbench.reports.boards.coverage import coverage_table
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.coverage import status_counts
from rnnbench.reports.selection.frame import records_frame


def test_every_run_is_counted_by_how_it_ended():
    records = [*make_records(), make_record("gru", seed=3, status="diverged"), make_record("gru", seed=4, value=None)]
    frame = records_frame(records)
    table = coverage_table(chosen(frame), {"gru has no cell state": 2})
    row = table.frame.set_index("label").loc["GRU 64"]
    assert (row["runs"], row["ok"], row["diverged"], row["with_result"], row["seeds"]) == (5, 4, 1, 3, 5)
    assert row["failures"] == "1 diverged: loss is not finite at update 120"
    assert table.frame["runs"].tolist() == status_counts(frame)["total"].tolist()
    assert table.sections[-1].remarks == ["skipped: 2 cells: gru has no cell state"]
    assert "oom" not in table.sections[0].rows[0]


def test_runs_without_a_dataset_or_a_label_are_counted_as_unknown():
    lost = make_record("gru", status="error")
    lost |= {"dataset": {}, "budget": None, "axes": {"label": None}}
    table = coverage_table(chosen(records_frame([lost])))
    assert table.frame["dataset"].tolist() == ["unknown"]
    assert table.frame["failures"].tolist() == ["1 error: error in training"]


def test_no_runs_give_no_rows():
    assert coverage_table(chosen(records_frame([])), {"x": 1}).frame.empty
