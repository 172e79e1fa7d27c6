from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

from reports.synthetic import make_record, make_records
from rnnbench.reports.boards.leaderboard import COLUMNS, SOLVED, leaderboard
from rnnbench.reports.boards.leaderboard_table import leaderboard_table
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.statistics.counts import solved_interval
from rnnbench.reports.statistics.means import mean_ci
from rnnbench.reports.tables.markdown import to_markdown


def board(records):
    return leaderboard(records_frame(records))


def test_no_runs_give_an_empty_table_with_every_column():
    table = board([])
    assert len(table) == 0
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == COLUMNS


def test_rows_are_means_over_seeds_best_first():
    records = make_records(seeds=range(5))
    table = board(records)
    assert list(table["label"]) == ["GRU 64", "LSTM 64", "RNN 64"]
    assert list(table["rank"]) == [1, 2, 3]
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == COLUMNS
    values = [r["metrics"]["test/accuracy"] for r in records if r["axes"]["cell"] == "gru"]
    first = table.iloc[0]
    assert (first["mean"], first["low"], first["high"]) == pytest.approx(mean_ci(values))
    assert (first["n"], first["coverage"], first["settings"], first["trials"]) == (5, "5/5", "default", 1)
    assert first["score"] == pytest.approx((np.mean(values) - 0.1) / 0.9)
    assert first["train_seconds"] == np.median([r["train_seconds"] for r in records if r["axes"]["cell"] == "gru"])


def test_where_less_is_better_the_least_comes_first_and_scores_most():
    errors = {"rnn": 0.16, "lstm": 0.05, "gru": 0.01}
    same = {"dataset": "adding", "metric": "mse", "goal": "min", "floor": 0.16, "target": 0.0}
    table = board([make_record(c, seed=s, value=v + s / 1e4, **same) for c, v in errors.items() for s in range(3)])
    assert list(table["cell"]) == ["gru", "lstm", "rnn"]
    assert table["score"].tolist() == pytest.approx([0.9369, 0.6869, -0.0006], abs=1e-4)


def test_solved_are_counted_only_where_the_task_says_what_that_is():
    reached = {"lstm": 0.992, "gru": 0.99, "rnn": 0.98}
    parity = [
        make_record(cell, seed=seed, value=value if seed else 0.5, dataset="parity") | {"solved": 0.99}
        for cell, value in reached.items() for seed in range(8)
    ]  # fmt: skip
    parity.append(make_record("lstm", seed=8, status="diverged", dataset="parity") | {"solved": None})
    less = {"metric": "mse", "goal": "min", "floor": 0.16, "target": 0.0, "dataset": "adding"}
    adding = [make_record("lstm", seed=seed, value=0.009 + seed / 1e3, **less) | {"solved": 0.01} for seed in range(3)]
    table = board([*parity, *adding, *make_records(("mgu",))])
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == COLUMNS | SOLVED
    found = table[["dataset", "cell", "solved", "solved_of"]].dropna().to_numpy().tolist()
    assert found == [
        ["adding", "lstm", 2, 3],
        ["parity", "lstm", 7, 9],
        ["parity", "gru", 7, 8],
        ["parity", "rnn", 0, 8],
    ]
    first = table[table["dataset"] == "parity"].iloc[0]
    assert (first["solved_low"], first["solved_high"], first["solved_at"]) == (*solved_interval(7, 9), 0.99)
    best = {(row["dataset"], row["cell"]): row["best_seed"] for _, row in table.dropna(subset="solved").iterrows()}
    assert best["adding", "lstm"] == 0.009, "the least error"
    assert best["parity", "lstm"] == max(r["metrics"]["test/accuracy"] for r in parity if r["metrics"])
    digits = table[table["dataset"] == "digits"]
    assert digits[list(SOLVED)].isna().all(axis=None)


@pytest.mark.parametrize(("floor", "target"), [(0.1, None), (None, 1.0), (0.5, 0.5)])
def test_without_floor_or_target_there_is_no_score(floor, target):
    assert board(make_records(floor=floor, target=target))["score"].isna().all()


def test_a_search_shows_the_setting_that_is_best_on_validation_not_on_test():
    records = [
        make_record(seed=seed, lr=lr, val=val, value=value)
        for lr, val, value in ((0.001, 0.7, 0.99), (0.01, 0.9, 0.8), (0.1, 0.8, 0.95))
        for seed in range(3)
    ]
    row = board(records).iloc[0]
    assert (row["mean"], row["val"], row["settings"], row["trials"], row["runs"]) == (0.8, 0.9, "tuned", 3, 3)
    assert row["entry"] == records_frame([r for r in records if r["config"]["optimizer"]["lr"] == 0.01])["entry"][0]


def test_a_search_minimises_where_less_is_better():
    errors = ((0.001, 0.3), (0.01, 0.1), (0.1, 0.2))
    records = [make_record(lr=lr, val=v, value=v, metric="mse", goal="min") for lr, v in errors]
    assert board(records).iloc[0]["val"] == 0.1


def test_a_setting_without_validation_never_wins_and_no_validation_at_all_is_noted():
    records = [make_record(lr=0.001, val=None, value=0.99), make_record(lr=0.01, val=0.5, value=0.6)]
    assert board(records).iloc[0]["mean"] == 0.6
    records = [make_record(lr=lr, val=None) for lr in (0.001, 0.01)]
    assert "no validation value to choose by" in board(records).iloc[0]["notes"]


def test_settings_are_default_only_where_nothing_was_set():
    assert board(make_records(("gru",)))["settings"][0] == "default"
    row = board(make_records(("gru",), lrs=(0.03,))).iloc[0]
    assert (row["settings"], row["training"]) == ("set", "adam, optimizer.lr=0.03")
    row = board(make_records(("gru",), options={"cell.bias": 1, "precision": "bf16"})).iloc[0]
    assert (row["settings"], row["training"]) == ("default", "adam")


def test_a_size_solved_from_a_budget_may_be_unknown_to_a_failed_run():
    def sized(record, size):
        return record | {"axes": record["axes"] | {"params_budget": 70_000, "hidden_size": size}}

    ok = [sized(record, 129) for record in make_records(("gru",))]
    row = board([*ok, sized(make_record("gru", seed=9, status="killed"), None)]).iloc[0]
    assert (row["coverage"], row["hidden_size"]) == ("3/4: 1 killed", 129)


def test_failed_trials_of_a_search_stay_in_sight():
    records = [make_record(seed=s) for s in range(3)] + [make_record(lr=1.0, status="diverged")]
    row = board(records).iloc[0]
    assert (row["coverage"], row["trials"]) == ("3/3", 2)
    assert row["notes"] == "in the other trials 1 diverged: loss is not finite at update 120"


def test_failures_are_counted_and_an_entry_that_only_failed_stands_last():
    records = [*make_records(("gru",)), make_record("gru", seed=3, status="diverged")]
    records += [make_record("lstm", seed=s, status="oom", reason="9 GB wanted") for s in range(2)]
    table = board(records)
    assert list(table["coverage"]) == ["3/4: 1 diverged", "0/2: 2 oom"]
    assert table["failures"].tolist()[1] == "2 oom: 9 GB wanted"
    assert table["rank"].isna().tolist() == [False, True]
    assert (table.iloc[1]["n"], table.iloc[1]["ok"]) == (0, 0)


def test_a_run_that_died_before_it_read_its_data_joins_its_row():
    died = make_record("gru", seed=3, status="error", data_hash=None, metrics={}, floors={}) | {"device": None}
    alone = make_record("lstm", seed=0, status="error", data_hash=None)
    table = board([*make_records(("gru",)), died, alone])
    assert list(table["coverage"]) == ["3/4: 1 error", "0/1: 1 error"]
    assert (table["floor"] == 0.1).all()


def test_fewer_than_three_seeds_have_no_interval_and_a_mark():
    row = board(make_records(("gru",), seeds=range(2))).iloc[0]
    assert row["mark"] == "n<3"
    assert pd.isna(row["low"])
    assert pd.isna(row["high"])


@pytest.mark.parametrize(
    "other",
    [{"protocol": "rows-8x8/other"}, {"data_hash": "ffff"}, {"budget": "paper"}, {"updates": 9000}, {"metric": "f1"},
     {"precision": "bf16-mixed"}, {"device": "cuda:0"}, {"backend": "compiled"}],
    ids=lambda other: next(iter(other)),
)  # fmt: skip
def test_what_cannot_be_compared_never_meets_in_a_row(other):
    others = [record | {"id": f"other{n}"} for n, record in enumerate(make_records(("gru",), **other))]
    table = board([*make_records(("gru",)), *others])
    assert list(table["n"]) == [3, 3]
    visible = ["protocol", "data_hash", "budget", "updates", "metric", "precision", "device", "backend"]
    assert sum(table[name].nunique() > 1 for name in visible) == 1
    apart = next(iter(other)) in ("precision", "device", "backend")
    assert list(table["rank"]) == ([1, 2] if apart else [1, 1])


def test_runs_on_another_number_of_threads_are_a_row_of_their_own():
    """Their last bits may differ: they are no more seeds of the same entry, and no trials of a search."""
    more = {"threads": 4}
    others = [
        record | more | {"id": f"other{n}", "config": record["config"] | {"harness": more}}
        for n, record in enumerate(make_records(("gru",)))
    ]
    table = board([*make_records(("gru",)), *others])
    assert list(table["n"]) == [3, 3]
    assert list(table["trials"]) == [1, 1]
    assert table["entry"].nunique() == table["label"].nunique() == 2


def test_equal_labels_of_different_axes_are_told_apart():
    records = make_records(("gru",)) + make_records(("gru",), options={"cell.bias": 1.0})
    assert sorted(board(records)["label"]) == ["GRU 64", "GRU 64 [cell.bias=1]"]
    unlisted = {"axes": make_record("gru")["axes"] | {"head": "mean"}, "config": {"head": "mean"}}
    hidden = [record | unlisted | {"id": f"mean{record['seed']}"} for record in make_records(("gru",))]
    labels = list(board(make_records(("gru",)) + hidden)["label"])
    assert len(set(labels)) == 2


def test_a_lead_is_best_only_if_its_interval_is_apart_from_every_other():
    def rows(*means, seeds=3):
        names = "abcdef"
        return [make_record(names[i], seed=s, value=m + s * 0.01) for i, m in enumerate(means) for s in range(seeds)]

    assert list(board(rows(0.9, 0.5, 0.49))["standing"]) == ["best", "", ""]
    assert list(board(rows(0.9, 0.89, 0.5))["standing"]) == ["tied", "tied", ""]
    assert list(board(rows(0.9))["standing"]) == [""]
    assert list(board(rows(0.9, 0.5, seeds=2))["standing"]) == ["", ""]
    assert list(board([*rows(0.9, 0.5), make_record("z", value=0.4)])["standing"]) == ["", "", ""]
    assert list(board([*rows(0.9, 0.5), make_record("z", status="oom")])["standing"]) == ["best", "", ""]


@pytest.mark.integration
def test_few_equal_runs_are_not_apart_from_others():
    def rows(*values, seeds):
        return [make_record("abc"[i], seed=s, value=v) for i, v in enumerate(values) for s in range(seeds)]

    assert list(board(rows(0.9, 0.9 - 1 / 360, seeds=3))["standing"]) == ["", ""]
    assert list(board(rows(0.9, 0.9 - 1 / 360, seeds=5))["standing"]) == ["best", ""]
    assert list(board(rows(0.9, 0.9, seeds=3))["standing"]) == ["tied", "tied"]
    spread = [make_record("z", seed=s, value=0.5 + s / 100) for s in range(3)]
    assert list(board([*rows(0.9, seeds=3), *spread])["standing"]) == ["", ""]


def test_times_of_another_machine_than_the_others_are_marked():
    here = make_records(("rnn", "gru"))
    there = make_records(("lstm",), host="other", packages={"torch": "1.9"})
    table = board([*here, *there]).set_index("label")
    assert table["notes"].to_dict() == {
        "GRU 64": "", "RNN 64": "",
        "LSTM 64": "† times of another machine or torch version: cpu, other, threads 2, torch 1.9",
    }  # fmt: skip
    lines = to_markdown(leaderboard_table(board([*here, *there]))).splitlines()
    assert [line.count("†") for line in lines if "| digits |" in line] == [0, 2, 0]
    cuda = make_records(("lstm",), device="cuda:0", host="other")
    assert set(board([*here, *cuda])["notes"]) == {""}, "that column says it"


def test_networks_that_differ_in_how_they_forecast_are_two_rows():
    def runs(options, value):
        return [make_record("convlstm", seed=s, options=options, val=value, value=value) for s in range(3)]

    table = board([*runs({"forecast.patch": 1}, 0.6), *runs({"forecast.patch": 4}, 0.9)])
    assert table["settings"].tolist() == ["default", "default"]
    assert table["trials"].tolist() == [1, 1]
    taught = board([*runs({"forecast.sampling.mode": "own"}, 0.6), *runs({"forecast.sampling.mode": "teacher"}, 0.9)])
    assert (taught["settings"].tolist(), taught["mean"].tolist()) == (["tuned"], pytest.approx([0.9]))


def test_no_times_over_several_devices_and_versions_of_the_code_are_noted():
    records = [make_record("gru", seed=s, device="cuda:0") for s in range(3)]
    records[0] |= {"device": "cuda (H200)", "source_hash": "other", "git": {"commit": "x", "dirty": True}}
    row = board(records).iloc[0]
    assert pd.isna(row["steps_per_second"])
    assert pd.isna(row["train_seconds"])
    assert row["notes"] == "several machines or torch versions: no times; 2 versions of the code; uncommitted changes"
    assert row["device"] == "cuda"


def test_a_null_metric_is_no_seed_but_stays_in_the_coverage():
    row = board([*make_records(("gru",)), make_record("gru", seed=3, value=None)]).iloc[0]
    assert (row["n"], row["coverage"]) == (3, "3/4: 1 without a test value")


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_records_never_shows(seed):
    records = make_records(("rnn", "lstm", "gru"), range(11), (0.001, 0.01))
    records += [make_record("convlstm", seed=s, status="diverged", data_hash=None) for s in range(2)]
    shuffled = random.Random(seed).sample(records, len(records))
    pd.testing.assert_frame_equal(board(shuffled), board(records), check_exact=True)
