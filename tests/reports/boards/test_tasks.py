from __future__ import annotations

import time
from types import SimpleNamespace

import pandas as pd
import pytest

from reports.synthetic import make_record, make_records
from rnnbench.reports.boards.leaderboard import leaderboard
from rnnbench.reports.boards.leagues import leagues
from rnnbench.reports.boards.tasks import COLUMNS, SOLVED, _order, task_table
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.tables.markdown import to_markdown

ADDING = {"dataset": "adding", "metric": "mse", "goal": "min", "floor": 0.16, "target": 0.0}


def tasks(records):
    return task_table(leagues(chosen(records_frame(records))))


def test_no_runs_give_every_column():
    assert {name: str(dtype) for name, dtype in tasks([]).frame.dtypes.items()} == COLUMNS


def test_one_column_a_task_floor_and_target_below():
    records = [*make_records(), *[make_record("lstm", seed=s, value=0.02 + s / 1000, **ADDING) for s in range(3)]]
    (section,) = tasks(records).sections
    assert list(section.rows[0]) == ["entry", "adding mse ↓", "digits accuracy ↑"]
    assert [row["entry"] for row in section.rows] == ["LSTM 64", "GRU 64", "RNN 64", "(floor)", "(target)"]
    assert section.rows[1]["adding mse ↓"] == ""
    assert section.rows[3]["adding mse ↓"] == "0.16"


def test_the_means_are_the_leaderboards():
    records = make_records(lrs=(0.001, 0.01), seeds=range(4))
    frame, board = tasks(records).frame.set_index("label"), leaderboard(records_frame(records)).set_index("label")
    for label in board.index:
        assert frame["mean"][label] == pytest.approx(board["mean"][label])
        assert frame["score"][label] == pytest.approx(board["score"][label])


def test_runs_that_solved_a_task_are_counted_beside_its_mean():
    solved = [make_record("lstm", seed=s, value=0.009 + s / 1e3, **ADDING) | {"solved": 0.01} for s in range(4)]
    solved.append(make_record("lstm", seed=4, status="diverged", **ADDING) | {"solved": 0.01})
    table = tasks([*make_records(), *solved])
    rows = {row["entry"]: row for row in table.sections[0].rows}
    assert rows["LSTM 64"]["adding mse ↓"].endswith(" *4/5 · 2/5")
    assert "·" not in rows["LSTM 64"]["digits accuracy ↑"]
    assert "k/n" in table.legend
    assert {name: str(dtype) for name, dtype in table.frame.dtypes.items()} == COLUMNS | SOLVED
    (row,) = table.frame[table.frame["solved"].notna()].to_dict("records")
    assert (row["solved"], row["runs"]) == (2, 5)
    assert 0 < row["solved_low"] < 0.4 < row["solved_high"] < 1


def test_failures_are_flagged_and_not_in_the_mean():
    records = [*make_records(("gru",), value=0.9), make_record("gru", seed=3, status="oom")]
    row = tasks(records).frame.iloc[0]
    assert (row["mean"], row["n"], row["runs"], row["imputed"]) == (0.9, 3, 4, 1)
    assert "\\*3/4" in to_markdown(tasks(records))


def test_the_best_of_a_column_stands_out_only_where_its_interval_is_apart():
    clear = [make_record(c, seed=s, value=v + s / 1000) for c, v in (("a", 0.9), ("b", 0.5)) for s in range(3)]
    assert tasks(clear).frame["standing"].tolist() == ["best", ""]
    open_ = [make_record(c, seed=s, value=v + s / 10) for c, v in (("a", 0.5), ("b", 0.51)) for s in range(3)]
    assert tasks(open_).frame["standing"].tolist() == ["tied", "tied"]
    few = [make_record(c, seed=s, value=v) for c, v in (("a", 0.9), ("b", 0.5)) for s in range(2)]
    assert set(tasks(few).frame["standing"]) == {""}
    assert set(tasks(few).frame["mark"]) == {"n<3"}


def test_few_equal_runs_are_not_apart_from_others():
    equal = [make_record(c, seed=s, value=v) for c, v in (("a", 0.9), ("b", 0.9 - 1 / 360)) for s in range(3)]
    assert tasks(equal).frame["standing"].tolist() == ["", ""]


@pytest.mark.integration
def test_a_thousand_entries_are_ordered_at_once():
    cells = {(e, t): {"score": e / 1e4} for e in range(20_000) for t in range(2)}
    league = SimpleNamespace(entries=pd.DataFrame({"label": [f"x{e}" for e in range(20_000)]}))
    start = time.process_time()
    assert _order(league, cells)[:2] == [19_999, 19_998]
    assert time.process_time() - start < 5  # a look at all cells for each entry takes minutes
