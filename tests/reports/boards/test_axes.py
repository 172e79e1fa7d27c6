from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports.synthetic import make_record
from rnnbench.reports.boards.axes import COLUMNS, axis_table
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.frame import records_frame


def varied(axis, values, seeds, gain=0.01, **same):
    """Runs whose value on an axis moves the result by gain, with the noise of the seed in common."""
    made = []
    for n, value in enumerate(values):
        for seed in seeds:
            noise = np.random.default_rng(seed).normal(0, 0.02)
            record = make_record("lstm", seed=seed, value=0.8 + noise + n * gain * (1 + seed / 100), **same)
            record |= {"id": f"{axis}{value}{seed}{same.get('dataset', '')}", "config": {axis: value, "seed": seed}}
            made.append(record | {"axes": record["axes"] | {axis: value, "label": f"{axis} {value}"}})
    return made


def effects(records):
    return axis_table(chosen(records_frame(records))).frame


def test_no_runs_give_every_column():
    assert {name: str(dtype) for name, dtype in effects([]).dtypes.items()} == COLUMNS


@pytest.mark.parametrize(
    ("axis", "values"),
    [("peephole", ("off", "on")), ("peephole", ("none", "on")), ("direction", ("forward", "bidirectional")),
     ("depth", (1, 2)), ("operator", ("dense", "conv2d"))],
)  # fmt: skip
def test_an_effect_is_the_paired_difference_by_seed(axis, values):
    records = varied(axis, values, range(9))
    (row,) = effects(records).to_dict("records")
    assert (row["axis"], row["value"], row["n"]) == (axis, str(values[1]), 9)
    base, mine = (np.array([r["metrics"]["test/accuracy"] for r in records[at]]) for at in (slice(9), slice(9, 18)))
    assert row["gain"] == pytest.approx((mine - base).mean())
    low, high = stats.t.interval(0.95, 8, (mine - base).mean(), stats.sem(mine - base))
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["p"] == pytest.approx(stats.permutation_test((mine - base,), np.mean, permutation_type="samples").pvalue)
    assert row["verdict"] == "better"
    assert row["score_gain"] == pytest.approx(row["gain"] / 0.9)


def test_above_zero_is_better_where_less_is_better_too():
    (row,) = effects(varied("depth", (1, 2), range(9), gain=-0.01, metric="mse", goal="min")).to_dict("records")
    assert row["gain"] > 0
    assert row["verdict"] == "better"


def test_few_pairs_give_no_p_and_at_most_a_perhaps():
    (row,) = effects(varied("depth", (1, 2), range(5))).to_dict("records")
    assert np.isnan(row["p"])
    assert row["verdict"] == "perhaps better"
    (row,) = effects(varied("depth", (1, 2), range(2))).to_dict("records")
    assert (row["verdict"], np.isnan(row["low"])) == ("open", True)


def test_pairs_are_seeds_that_both_have_and_the_others_are_noted():
    (row,) = effects([*varied("depth", (1,), range(6)), *varied("depth", (2,), range(3, 9))]).to_dict("records")
    assert row["n"] == 3
    assert row["notes"] == "6 seeds without a pair"


@pytest.mark.parametrize("other", [{"dataset": "adding"}, {"lr": 0.1}, {"budget": "paper"}, {"precision": "bf16"}])
def test_nothing_is_compared_where_something_else_differs(other):
    assert effects([*varied("depth", (1,), range(3)), *varied("depth", (2,), range(3), **other)]).empty


def test_a_backend_that_follows_from_the_axis_is_noted():
    records = varied("peephole", ("off", "on"), range(3))
    records = [r | {"backend": "eager" if r["axes"]["peephole"] == "on" else "native"} for r in records]
    (row,) = effects(records).to_dict("records")
    assert row["notes"] == "backend native against eager"


def test_more_parameters_are_told():
    records = varied("depth", (1, 2), range(3))
    records = [r | {"params": r["params"] * (3 if r["axes"]["depth"] == 2 else 2)} for r in records]
    assert effects(records)["notes"].tolist() == ["parameters ×1.50"]


def test_holm_is_over_all_tests_of_an_axis():
    records = varied("depth", (1, 2), range(9)) + varied("depth", (1, 2), range(9), dataset="adding")
    frame = effects(records)
    assert frame["family"].tolist() == [2, 2]
    assert frame["p_holm"].tolist() == pytest.approx((frame["p"] * 2).tolist())


def test_a_convlstm_is_an_lstm_with_another_operator():
    records = varied("operator", ("dense", "conv2d"), range(3))
    records = [
        r | {"axes": r["axes"] | {"cell": "convlstm"}} if r["axes"]["operator"] == "conv2d" else r for r in records
    ]
    assert len(effects(records)) == 1


def failed(records, *at, status="diverged"):
    """records with some of them failed."""
    lost = {"status": status, "metrics": {}, "reason": "loss is not finite"}
    return [record | lost if n in at else record for n, record in enumerate(records)]


def test_failed_runs_have_no_pair_and_are_told():
    records = failed(varied("depth", (1, 2), range(4)), 0)
    frame = effects(records)
    assert frame["n"].tolist() == [3]
    assert frame["notes"].tolist() == ["the baseline's 1 diverged of 4"]
    assert frame[["runs", "lost", "base_runs", "base_lost"]].to_numpy().tolist() == [[4, 0, 4, 1]]
    pd.testing.assert_frame_equal(frame, effects(records[::-1]))


def test_a_value_whose_runs_all_failed_has_a_row_that_says_so():
    (row,) = effects(failed(varied("depth", (1, 2), range(8)), *range(8, 16))).to_dict("records")
    assert (row["n"], row["verdict"], row["notes"]) == (0, "no pairs", "8 diverged of 8")
    assert np.isnan(row["gain"])
    (row,) = effects(failed(varied("depth", (1, 2), range(8)), *range(8))).to_dict("records")
    assert (row["verdict"], row["notes"]) == ("no pairs", "the baseline's 8 diverged of 8")


@pytest.mark.integration
def test_who_fails_more_is_never_called_better_nor_who_fails_less_worse():
    records = varied("depth", (1, 2), range(16))
    assert effects(records)["verdict"].tolist() == ["better"]
    (row,) = effects(failed(records, *range(24, 32))).to_dict("records")
    assert (row["n"], row["verdict"], row["notes"]) == (8, "fails more", "8 diverged of 16")
    both_fail = failed(records, *range(24, 28), *range(4))
    assert effects(both_fail)["verdict"].tolist() == ["better"]
    worse = varied("depth", (1, 2), range(16), gain=-0.01)
    assert effects(failed(worse, *range(8)))["verdict"].tolist() == ["fails less"]
    assert effects(failed(worse, *range(16, 24)))["verdict"].tolist() == ["worse"]


def test_few_equal_differences_tell_nothing():
    records = [
        r | {"metrics": {"test/accuracy": 0.9 + n // 3 / 360}} for n, r in enumerate(varied("depth", (1, 2), range(3)))
    ]
    (row,) = effects(records).to_dict("records")
    assert row["low"] == row["high"] > 0
    assert row["verdict"] == "open"


def test_rows_that_would_read_alike_say_how_they_were_trained():
    plain = varied("peephole", ("off", "on"), range(9))
    unclipped = {"options": {"clip": None}}
    free = [
        r | {"id": f"{r['id']}n", "config": r["config"] | {"clip": None}, "axes": r["axes"] | unclipped} for r in plain
    ]
    (section,) = axis_table(records_frame([*plain, *free])).sections
    assert sorted(row["entry"] for row in section.rows) == ["peephole off", "peephole off [clip=null]"]
