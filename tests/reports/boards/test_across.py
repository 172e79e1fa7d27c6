from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from reports.synthetic import make_record, make_records, noise
from rnnbench.reports.boards.across import COLUMNS, across_table
from rnnbench.reports.boards.leagues import leagues
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.tables.markdown import to_markdown
from rnnbench.reports.tables.write import to_csv

TASKS = [f"task{n}" for n in range(6)]


def across(records):
    return across_table(leagues(chosen(records_frame(records))))


def many(cells=("rnn", "lstm", "gru"), tasks=TASKS, seeds=range(5), **same):
    return [record for task in tasks for record in make_records(cells, seeds, dataset=task, **same)]


def rows(records):
    return across(records).frame.set_index("label")


def test_without_two_tasks_there_is_nothing_to_show():
    table = across(make_records())
    assert table.frame.empty
    assert {name: str(dtype) for name, dtype in table.frame.dtypes.items()} == COLUMNS
    assert "No two entries met" in to_markdown(table)


def test_entries_are_ranked_by_iqm_with_the_lstm_as_the_anchor():
    frame = rows(many())
    assert frame["rank"].to_dict() == {"GRU 64": 1, "LSTM 64": 2, "RNN 64": 3}
    assert frame["mean_rank"].tolist() == [1, 2, 3]
    assert frame["elo"]["LSTM 64"] == 1000
    assert frame["elo"]["GRU 64"] > 1000 > frame["elo"]["RNN 64"]
    assert frame["elo_rank"].tolist() == [1, 2, 3]
    assert frame["better"]["GRU 64"] == 1
    assert np.isnan(frame["better"]["LSTM 64"])
    assert frame["standing"]["GRU 64"] == "best"
    score = (0.93 - 0.1) / 0.9
    assert frame["iqm"]["GRU 64"] == pytest.approx(score, abs=0.02)
    assert frame["iqm_low"]["GRU 64"] < frame["iqm"]["GRU 64"] < frame["iqm_high"]["GRU 64"]


def test_equal_entries_are_tied():
    alike = [make_record(c, seed=s, value=0.5 + 0.01 * s, dataset=t) for c in "ab" for s in range(5) for t in TASKS]
    frame = rows(alike)
    assert frame["standing"].tolist() == ["tied", "tied"]
    assert frame["elo_rank"].tolist() == [1, 1]
    assert frame["mean_rank"].tolist() == [1.5, 1.5]


def test_an_entry_that_was_not_run_everywhere_has_no_rank_but_stays_in_sight():
    records = [*many(), *many(("convlstm",), TASKS[:2])]
    frame = rows(records)
    row = frame.loc["ConvLSTM 64"]
    assert np.isnan(row["mean_rank"])
    assert row["tasks"] == 2
    assert row["not_run"] == "task2, task3, task4, task5"
    assert frame.index[-1] == "ConvLSTM 64"
    assert row["elo"] > 1000
    assert "| not run on |" in to_markdown(across(records))


def test_one_stray_run_leaves_the_ranking_as_it_was():
    records = many(tasks=["digits", "adding"])
    before, after = rows(records), rows([*records, make_record("gru", dataset="mnist")])
    same = ["rank", "standing", "iqm", "iqm_low", "iqm_high", "mean_rank", "better", "tasks", "of_tasks", "runs"]
    pd.testing.assert_frame_equal(before[same], after[same])
    (section,) = across([*records, make_record("gru", dataset="mnist")]).sections
    assert section.remarks[0] == (
        "ranked over adding, digits: 3 of 3 entries were run on all of them, the largest full table; left out: mnist. "
        "Alone: rnnbench tables dataset=adding,digits"
    )


def test_ranks_are_over_the_largest_full_table_and_nothing_else_has_an_iqm():
    records = [*many(("rnn", "lstm"), TASKS[:2]), *many(("gru", "lstm"), TASKS[1:4])]
    frame = rows(records)
    assert frame["of_tasks"].unique().tolist() == [3]
    assert frame["rank"].dropna().to_dict() == {"GRU 64": 1, "LSTM 64": 2}
    assert frame.loc["RNN 64", ["iqm", "mean_rank", "better"]].isna().all()
    assert frame["not_run"]["RNN 64"] == "task2, task3"
    assert frame["elo"].notna().all()


def test_without_two_entries_on_two_tasks_there_are_no_ranks_and_that_is_said():
    table = across([*many(("rnn",), TASKS[:1]), *many(("lstm",), TASKS[:2])])
    assert table.frame[["rank", "iqm"]].isna().all().all()
    assert any("no ranks" in remark for remark in table.sections[0].remarks)


def test_a_task_on_which_everything_failed_without_a_floor_is_not_counted():
    lost = [make_record(c, seed=s, dataset="lost", status="oom", floor=None) for c in ("lstm", "gru") for s in range(5)]
    records = many(("lstm", "gru"), TASKS[:2])
    before, after = rows(records), rows([*records, *lost])
    same = ["rank", "iqm", "mean_rank", "better", "elo"]
    pd.testing.assert_frame_equal(before[same], after[same])
    assert after["better"]["GRU 64"] == 1
    assert "every run failed and no floor is known: not counted: lost" in across([*records, *lost]).sections[0].remarks


def test_lengths_of_one_dataset_are_no_independent_tasks():
    lengths = [10, 20, 50, 100, 200, 400, 800]
    records = [
        make_record(c, seed=s, dataset="adding", protocol=f"halves, T={T}", value=v + 0.01 * noise(c, s, T))
        for T in lengths for c, v in (("lstm", 0.8), ("gru", 0.9)) for s in range(5)
    ]  # fmt: skip
    table = across(records)
    assert set(table.frame["clique"]) == {""}
    assert table.frame["elo_low"].isna().all()
    said = " ".join(table.sections[0].remarks)
    assert "with 1 dataset Wilcoxon's p is at least 1" in said
    assert "the 7 tasks are of 1 dataset;" in said
    assert table.frame["of_tasks"].tolist() == [7, 7]


def test_the_order_of_runs_breaks_no_tie():
    values = {"lstm": [0.1, 0.2, 0.3], "gru": [0.3, 0.2, 0.1]}
    records = [make_record(c, seed=s, dataset=d, value=values[c][s]) for d in "ab" for c in values for s in range(3)]
    assert rows(records)["mean_rank"].tolist() == [1.5, 1.5]


def test_an_interval_is_printed_by_its_ends():
    (section,) = across(many(tasks=TASKS[:2])).sections
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]( ≈)?", section.rows[0]["IQM ↑"])
    (section,) = across(many(tasks=TASKS[:2], seeds=range(4))).sections
    assert re.fullmatch(r"0\.\d{3} \(n<5\)", section.rows[0]["IQM ↑"])


def test_failures_stay_in_and_are_flagged():
    lost = [make_record("gru", seed=s, status="diverged", dataset=t) for s in range(5) for t in TASKS[:3]]
    frame = rows([*many(("rnn", "lstm")), *lost, *many(("gru",), TASKS[3:])])
    assert (frame["runs"]["GRU 64"], frame["imputed"]["GRU 64"]) == (30, 15)
    assert frame["rank"]["GRU 64"] == 3
    assert "15/30\\*" in to_markdown(across([*many(("rnn", "lstm")), *lost, *many(("gru",), TASKS[3:])]))


def test_few_seeds_and_few_tasks_give_no_intervals_and_say_so():
    table = across(many(tasks=TASKS[:2], seeds=range(2)))
    assert table.frame["iqm_low"].isna().all()
    assert set(table.frame["mark"]) == {"n<5"}
    assert table.frame["elo_low"].isna().all()
    said = " ".join(table.sections[0].remarks)
    assert "no test over tasks" in said
    assert "it takes 5" in said


def test_cliques_are_given_where_a_test_is_possible():
    tasks = [f"task{n:02}" for n in range(9)]
    assert rows(many(tasks=tasks))["clique"].tolist() == ["a", "b", "c"]
    assert set(rows(many(tasks=tasks[:4]))["clique"]) == {""}


def test_tasks_without_a_target_are_ranked_and_named():
    table = across(many(target=None))
    assert table.frame["iqm"].isna().all()
    assert table.frame["rank"].tolist() == [1, 2, 3]
    assert "not in the IQM: task0" in " ".join(table.sections[0].remarks)


def test_no_lstm_means_no_anchor():
    table = across(many(("rnn", "gru")))
    assert table.frame["elo"].mean() == pytest.approx(1000)
    assert table.frame["better"].isna().all()
    assert "no plain LSTM" in " ".join(table.sections[0].remarks)


def test_budgets_are_tables_of_their_own():
    others = [record | {"id": f"p{n}"} for n, record in enumerate(many(budget="paper"))]
    table = across([*many(), *others])
    assert len(table.sections) == 2
    assert table.frame["league"].tolist() == [1, 1, 1, 2, 2, 2]


def test_the_same_records_in_any_order_give_the_same_bytes():
    records = many(seeds=range(4))
    assert to_csv(across(records)) == to_csv(across(records[::-1]))
