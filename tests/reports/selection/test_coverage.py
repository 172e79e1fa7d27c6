from __future__ import annotations

import pytest

from reports.synthetic import make_record, make_records
from rnnbench.reports.selection.coverage import coverage, failures, fill_unknown, one_line, status_counts
from rnnbench.reports.selection.frame import records_frame
from rnnbench.store.record import FINAL


def test_status_counts_has_a_column_for_every_status():
    records = [*make_records(("gru", "rnn")), make_record("rnn", seed=3, status="oom"), make_record("rnn", dataset="b")]
    counts = status_counts(records_frame(records))
    assert list(counts.columns) == ["dataset", "budget", "label", *FINAL, "total"]
    assert counts[["dataset", "label", "ok", "oom", "total"]].values.tolist() == [
        ["b", "RNN 64", 1, 0, 1],
        ["digits", "GRU 64", 3, 0, 3],
        ["digits", "RNN 64", 3, 1, 4],
    ]
    assert len(status_counts(records_frame([]))) == 0


def test_coverage_counts_runs_with_a_value_of_all_runs():
    ok = make_records(("gru",))
    assert coverage(records_frame(ok)) == "3/3"
    lost = [make_record("gru", seed=s, status=status) for s, status in ((3, "oom"), (4, "diverged"), (5, "diverged"))]
    assert coverage(records_frame(ok + lost)) == "3/6: 2 diverged, 1 oom"
    assert coverage(records_frame([*ok, make_record("gru", seed=9, value=None)])) == "3/4: 1 without a test value"


def test_failures_give_the_commonest_reason_of_each_status():
    reasons = ["b happened", "b\n  happened", "a happened", None]
    records = [make_record(seed=s, status="error", reason=r) | {"reason": r} for s, r in enumerate(reasons)]
    records += [make_record(seed=8, status="killed", reason="")]
    assert failures(records_frame(records)) == "4 error: b happened; 1 killed"
    assert failures(records_frame(make_records())) == ""


def test_one_line():
    assert one_line(" a\n b ") == "a b"
    assert len(one_line("x" * 500)) == 160


def test_early_failures_join_their_siblings():
    died = make_record(seed=3, status="error", data_hash=None) | {"device": None, "metric": None, "goal": None}
    frame = fill_unknown(records_frame([*make_records(("lstm",)), died]))
    for column in ("data_hash", "device_kind", "metric", "goal"):
        assert frame[column].nunique(dropna=False) == 1


@pytest.mark.parametrize("hashes", [("a", "b"), (None, None)])
def test_what_siblings_do_not_agree_on_stays_unknown(hashes):
    records = [make_record(seed=s, data_hash=h) for s, h in enumerate(hashes)]
    died = make_record(seed=3, status="error", data_hash=None)
    filled = fill_unknown(records_frame([*records, died])).set_index("id")["data_hash"]
    assert filled.isna()[died["id"]]


def test_an_entry_that_only_died_takes_its_task_from_others_of_the_same_options():
    died = make_record("rnn", status="killed", floors={}) | {"metric": None, "goal": None, "floor": None}
    died["dataset"] = {"name": "digits", "version": 1, "protocol": None, "data_hash": None}
    other = make_record("gru", protocol="pixels", data_hash="b")
    row = fill_unknown(records_frame([make_record("lstm"), other, died])).set_index("id").loc[died["id"]]
    known = (row["protocol"], row["data_hash"], row["metric"], row["goal"], row["floor"])
    assert known == ("rows-8x8/accuracy", "0123456789abcdef", "accuracy", "max", 0.1)
