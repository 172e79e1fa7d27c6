from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest

from reports.synthetic import make_record, make_records
from rnnbench.reports.boards.leaderboard import leaderboard
from rnnbench.reports.boards.leagues import leagues, plainest
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.frame import records_frame

ADDING = {"dataset": "adding", "protocol": "halves", "metric": "mse", "goal": "min", "floor": 0.16, "target": 0.0}


def found(records):
    return leagues(chosen(records_frame(records)))


def adding(*cells, seeds=range(3), **same):
    return [make_record(c, seed=s, **{"value": 0.01 * (1 + s), **ADDING, **same}) for c in cells for s in seeds]


def test_no_runs_make_no_league():
    assert leagues(chosen(records_frame([]))) == []


def test_entries_meet_on_tasks_and_scores_are_of_both_goals():
    (league,) = found([*make_records(("rnn", "lstm")), *adding("rnn", "lstm", value=0.04)])
    assert league.tasks["name"].tolist() == ["adding", "digits"]
    assert league.entries["label"].tolist() == ["LSTM 64", "RNN 64"]
    assert league.values("score")[0, 0] == pytest.approx([0.75] * 3)
    assert league.values("merit")[0, 0] == pytest.approx([-0.04] * 3)
    assert league.title == "adding, digits · small · cpu · precision 32-true"


@pytest.mark.parametrize(
    "other", [{"budget": "paper"}, {"precision": "bf16-mixed"}, {"device": "cuda:0"}], ids=lambda o: next(iter(o))
)
def test_budgets_precisions_and_devices_never_share_a_league(other):
    others = [record | {"id": f"other{n}"} for n, record in enumerate(make_records(**other))]
    assert len(found([*make_records(), *others])) == 2


@pytest.mark.parametrize(
    "other", [{"protocol": "other"}, {"data_hash": "ffff"}, {"metric": "f1"}],
    ids=lambda o: next(iter(o)),
)  # fmt: skip
def test_protocols_data_and_metrics_never_share_a_column(other):
    others = [record | {"id": f"other{n}"} for n, record in enumerate(make_records(**other))]
    (league,) = found([*make_records(), *others])
    assert len(league.tasks) == 2
    assert league.tasks["name"].nunique() == 2
    assert league.tasks["name"][0].startswith("digits [")


def test_two_budgets_in_updates_of_one_dataset_are_two_leagues_though_both_are_called_small():
    def runs(dataset, *updates):
        return [make_record(c, seed=s, updates=u, dataset=dataset) for u in updates for c in "ab" for s in range(3)]

    usual, pilot = found([*runs("digits", 50_000, 500), *runs("adding", 50_000)])
    assert usual.title == "adding, digits · small · cpu · precision 32-true"
    assert usual.tasks["updates"].tolist() == [50_000, 50_000]
    assert pilot.title == "digits · small · 500 updates of 32 · cpu · precision 32-true"
    (league,) = found([*runs("digits", 1_000), *runs("jsb", 3_000)])
    assert len(league.tasks) == 2, "a budget may grant different datasets different updates"
    small, large = found([*runs("digits", 500, 50_000)])
    assert (small.terms["granted"], large.terms["granted"]) == ("", "500 updates of 32")
    both = found([*runs("digits", 500, 9_000), *runs("adding", 9_000, 500)])
    assert [league.tasks["updates"].tolist() for league in both] == [[9_000, 9_000], [500, 500]]


def test_entries_that_met_nowhere_are_in_leagues_of_their_own():
    apart = found([*make_records(("rnn", "gru")), *adding("lstm")])
    assert [len(league.entries) for league in apart] == [2, 1]
    linked = found([*make_records(("rnn", "gru")), *adding("lstm", "gru")])
    assert [len(league.entries) for league in linked] == [3]


def test_a_chain_of_tasks_is_one_league():
    records = []
    for n in range(6):
        for cell in (f"c{n}", f"c{n + 1}"):
            records += [make_record(cell, seed=0, dataset=f"d{n}", protocol=f"p{5 - n}")]
    assert len(found(records)) == 1


def test_failed_runs_count_as_the_floor_or_as_the_worst_run_and_are_flagged():
    ok = make_records(("gru",), seeds=range(2))
    lost = make_record("gru", seed=2, status="diverged")
    (league,) = found([*ok, lost])
    assert league.values("imputed")[0, 0].tolist() == [False, False, True]
    assert league.values("score")[0, 0][2] == 0
    below = make_record("rnn", seed=0, value=0.05)
    (league,) = found([*ok, lost, below])
    assert league.values("score")[0, 0][2] == pytest.approx((0.05 - 0.1) / 0.9)


@pytest.mark.parametrize("other", [{"precision": "bf16-mixed"}, {"device": "cuda:0"}])
def test_the_worst_run_is_that_of_the_same_league(other):
    lost = make_record("rnn", seed=0, value=None, status="diverged")
    elsewhere = make_record("rnn", seed=9, value=-50.0, **other)
    league = next(each for each in found([*make_records(("gru",)), lost, elsewhere]) if len(each.entries) == 2)
    assert league.runs.loc[league.runs["imputed"], "score"].tolist() == [0]


def test_without_floor_failed_runs_count_as_the_worst_and_nothing_has_a_score():
    (league,) = found([*make_records(floor=None), make_record("gru", seed=7, status="oom", floor=None)])
    assert np.isnan(league.values("score")[0, 0]).all()
    worst = min(part.min() for part in league.values("merit").values())
    assert league.values("merit")[0, 0][-1] == worst


def test_what_follows_from_the_dataset_does_not_make_another_entry():
    every = [r | {"axes": r["axes"] | {"head": "every", "backend": "native"}} for r in adding("gru")]
    last = [r | {"axes": r["axes"] | {"head": "last"}} for r in make_records(("gru",))]
    (league,) = found([*every, *last])
    assert len(league.entries) == 1
    assert len(league.tasks) == 2


def test_two_backends_on_one_task_stay_two_entries():
    other = [record | {"id": f"other{n}"} for n, record in enumerate(make_records(("gru",), backend="compiled"))]
    (league,) = found([*make_records(("gru",)), *other, *adding("gru")])
    assert league.entries["label"].tolist() == ["GRU 64 [backend=compiled]", "GRU 64 [backend=torch]"]
    assert {len(part) for part in league.values("merit").values()} == {3}


def test_the_runs_are_those_that_the_leaderboard_shows():
    records = make_records(("rnn", "gru"), range(3), (0.001, 0.01, 0.1))
    (league,) = found(records)
    board = leaderboard(records_frame(records)).set_index("label")
    for e, label in enumerate(league.entries["label"]):
        assert league.values("value")[e, 0].mean() == pytest.approx(board["mean"][label])


def test_a_searchs_winner_counts_with_its_finals():
    made = [(0, 0.1, 0.5), (0, 0.001, 0.6), (7, 0.001, 0.6)]
    frame = records_frame([make_record("gru", seed=s, lr=lr, val=val) for s, lr, val in made])
    trial = frame["seed"] == 0
    (league,) = leagues(chosen(frame.assign(stage=np.where(trial, "trial", "final"), axes="search a: b")))
    assert league.runs["seed"].tolist() == [7]


def test_the_order_of_records_never_shows():
    records = [*make_records(seeds=range(4)), *adding("rnn", "gru"), make_record("gru", seed=9, status="oom")]
    shuffled = random.Random(1).sample(records, len(records))
    for one, other in zip(found(records), found(shuffled), strict=True):
        pd.testing.assert_frame_equal(one.runs, other.runs)
        pd.testing.assert_frame_equal(one.entries, other.entries)


def plain(*records):
    """The label of the plain LSTM among records, which were run on as many tasks as there are records of each."""
    (league,) = found(list(records))
    tasks_of = league.runs.groupby("entry")["task"].nunique().tolist()
    chosen = plainest(league.entries, tasks_of)
    return None if chosen is None else league.entries["label"][chosen]


def changed(cell, dataset="digits", **axes):
    record = make_record(cell, dataset=dataset)
    record["axes"] |= axes
    return record | {
        "id": f"{cell}{dataset}{axes}",
        "config": {"axes": axes, "cell": cell, "dataset": {"name": dataset}},
    }


def test_the_plain_lstm_is_the_one_with_nothing_added():
    assert plain(*make_records(("lstm", "gru")), *make_records(("lstm",), options={"cell.bias": 1})) == ("LSTM 64")
    assert plain(*make_records(("rnn", "gru"))) is None


def test_more_tasks_do_not_make_a_plain_lstm():
    both = changed("lstm", direction="bidirectional", label="BiLSTM"), make_record("lstm")
    more = [changed("lstm", dataset, direction="bidirectional", label="BiLSTM") for dataset in ("adding", "third")]
    assert plain(*both, *more) == "LSTM 64"
    assert plain(both[0], *more, make_record("gru")) is None


@pytest.mark.parametrize("axes", [{"direction": "bidirectional"}, {"depth": 2}, {"peephole": "on"},
                                  {"options": {"cell.norm": "layer"}}])  # fmt: skip
def test_what_others_do_not_have_is_not_plain(axes):
    assert plain(changed("lstm", **axes), make_record("gru")) is None


def test_what_every_entry_has_is_plain():
    axes = {"depth": 2, "options": {"forecast.patch": 4}}
    assert plain(changed("convlstm", **axes), changed("convgru", **axes)) == "ConvLSTM 64"
