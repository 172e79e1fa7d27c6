"""Floors as rows: where their values belong, marked for what they are, and nowhere but in records that ask for it."""

from __future__ import annotations

import math

import pytest

from reports.synthetic import make_record, make_records
from rnnbench.reports.boards.floors import entries, is_floor
from rnnbench.reports.boards.leaderboard import COLUMNS, leaderboard
from rnnbench.reports.boards.leaderboard_table import LEGEND, leaderboard_table
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.tables.markdown import to_markdown

FLOORS = {"last": 2.2, "seasonal": 1.3, "mean": 1.1, "linear": 0.9, "best": 1.1}


def read_record(cell: str, value: float | None, seed: int = 0, **more):
    same = {"metric": "mse", "goal": "min", "target": 0.0, "dataset": "own_series", "budget": "small"}
    record = make_record(cell, seed=seed, value=value, status="ok" if value is not None else "error", **same)
    record["dataset"] |= {"reading": {"lines": ["read"]}, "reference": "linear"}
    return record | {"floors": FLOORS, "floor": "best"} | more


def ranked(records):
    return leaderboard(records_frame(records))


def test_each_floor_is_a_row_before_the_first_entry_that_is_worse():
    board = ranked(
        [read_record("lstm", 0.7), read_record("rnn", 1.2), read_record("gru", None), read_record("tcn", 1.1)]
    )
    assert board["label"].tolist() == [
        "LSTM 64", "fitted: linear", "floor: mean", "TCN 64", "RNN 64", "floor: seasonal", "floor: last", "GRU 64",
    ]  # fmt: skip
    assert board["rank"].tolist()[0] == 1
    assert [int(rank) for rank in board["rank"].dropna()] == [1, 2, 3], "floors have no rank"
    assert {name: str(dtype) for name, dtype in board.dtypes.items()} == COLUMNS
    scores = dict(zip(board["label"], board["score"], strict=True))
    assert scores["floor: mean"] == 0
    assert math.copysign(1, scores["floor: mean"]) == 1
    assert scores["fitted: linear"] == pytest.approx((0.9 - 1.1) / (0 - 1.1))
    assert scores["floor: last"] == pytest.approx(-1.0)
    mine = board[is_floor(board)].set_index("label")
    assert mine["mark"].tolist() == ["", "score 0", "", ""]
    assert mine["notes"].tolist() == ["fitted, no floor: for reference", "the floor: score 0", "", ""]
    assert mine[["rank", "entry", "n", "params", "train_seconds", "steps_per_second", "device"]].isna().all(axis=None)


def test_where_more_is_better_they_are_sorted_so():
    floors = {"chance": 0.25, "majority": 0.4, "order_free": 0.95}
    records = []
    for cell, value in (("lstm", 0.97), ("rnn", 0.3)):
        record = make_record(cell, value=value) | {"floors": floors, "floor": "majority"}
        record["dataset"] |= {"reference": "order_free"}
        records.append(record)
    assert ranked(records)["label"].tolist() == [
        "LSTM 64", "fitted: order_free", "floor: majority", "RNN 64", "floor: chance",
    ]  # fmt: skip


def test_the_table_and_the_frame_agree_and_entries_are_as_without_them():
    records = [read_record(cell, value, seed) for cell, value in (("lstm", 0.7), ("gru", 0.8)) for seed in range(4)]
    plain = [record | {"dataset": record["dataset"] | {"reading": None, "reference": None}} for record in records]
    board, without = ranked(records), ranked(plain)
    assert entries(board).equals(without)
    table = leaderboard_table(board)
    (section,) = table.sections
    assert [row["entry"] for row in section.rows] == table.frame["label"].tolist() == board["label"].tolist()
    assert [row["n"] for row in section.rows] == ["4", "4", "", "", "", ""]
    assert section.brief is not None
    assert "on cpu" in section.brief.terms, "floors ran nowhere"
    assert section.remarks == leaderboard_table(without).sections[0].remarks
    assert table.legend.startswith(LEGEND)
    assert "needs no network" in table.legend
    assert "| floor: mean | own_series | 1.1 (score 0) |" in to_markdown(table)


def test_records_of_before_have_their_one_floor_in_its_column():
    board = ranked(make_records(seeds=range(3)))
    assert not is_floor(board).any()
    assert leaderboard_table(board).legend == LEGEND


def test_blocks_have_their_own_floors():
    other = read_record("lstm", 0.5, id="f" * 12)
    other["dataset"] |= {"protocol": "other"}
    board = ranked([read_record("lstm", 0.7), other | {"floors": {"zero": 3.0, "best": 3.0}}])
    per_block = {name: part["label"].tolist() for name, part in board.groupby("protocol")}
    assert per_block["other"] == ["LSTM 64", "floor: zero"]
    assert len(per_block["rows-8x8/accuracy"]) == 5
