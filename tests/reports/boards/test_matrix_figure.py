"""The matrix of entries and tasks: which sets have one, what it says, in which order."""

from __future__ import annotations

import numpy as np

from reports.synthetic import make_record, make_records
from rnnbench.reports.boards import matrix_figure as drawn
from rnnbench.reports.boards.leagues import leagues
from rnnbench.reports.selection.chosen import chosen
from rnnbench.reports.selection.frame import records_frame

TASKS = [f"task{n}" for n in range(5)]
CELLS = ("rnn", "lstm", "gru", "mgu")


def many(cells=CELLS, tasks=TASKS, **same):
    return records_frame([r for task in tasks for r in make_records(cells, range(3), dataset=task, **same)])


def test_five_tasks_and_four_entries_make_a_matrix(tmp_path):
    assert drawn.draw_matrix(tmp_path, many()) == tmp_path / "figures" / "matrix.png"
    words = "![score of every entry on every task, and how many runs solved it](figures/matrix.png)"
    assert drawn.matrix_link(many()) == ["", words]


def test_fewer_make_none_and_an_old_picture_goes(tmp_path):
    drawn.draw_matrix(tmp_path, many())
    for few in (many(tasks=TASKS[:4]), many(cells=CELLS[:3])):
        assert drawn.draw_matrix(tmp_path, few) is None
        assert drawn.matrix_link(few) == []
    assert not (tmp_path / "figures" / "matrix.png").exists()


def test_a_set_that_is_mostly_empty_has_none():
    lone = [r for n, task in enumerate(TASKS) for r in make_records((CELLS[n % 4], "lstm"), range(2), dataset=task)]
    (league,) = leagues(chosen(records_frame(lone)))
    assert (len(league.tasks), len(league.entries)) == (5, 4)
    assert len(league.values("score")) == 9
    assert drawn.matrix_link(records_frame(lone)) == []


def test_entries_stand_by_their_mean_score():
    (league,) = leagues(chosen(many()))
    labels = league.entries["label"]
    assert [labels.iloc[entry] for entry in drawn.best_first(league)] == ["GRU 64", "LSTM 64", "MGU 64", "RNN 64"]


def test_a_cell_says_mean_and_how_many_solved():
    assert drawn._words(np.array([0.5, 1.0]), np.array([0.0, 1.0])) == "0.75  1/2"
    assert drawn._words(np.array([0.5, 1.0]), np.array([np.nan, np.nan])) == "0.75"
    assert drawn._words(np.array([np.nan]), np.array([0.0])) == ""
    assert drawn._words(None, None) == ""


def test_failed_runs_solved_nothing_and_a_task_without_a_threshold_counts_none():
    records = [make_record("lstm", seed=seed, value=value, solved=0.9) for seed, value in enumerate((0.95, 0.85))]
    records.append(make_record("lstm", seed=2, status="oom", reason="no memory", solved=0.9))
    records += [make_record("lstm", seed=seed, dataset="other") for seed in range(2)]
    (league,) = leagues(chosen(records_frame(records)))
    names = league.tasks["dataset"].tolist()
    reached = {names[task]: values.tolist() for (_, task), values in league.values("reached").items()}
    assert reached["digits"] == [1, 0, 0]
    assert np.isnan(reached["other"]).all()


def test_tasks_of_one_dataset_are_headed_by_what_differs():
    records = [r for words in ("words 32, s3", "words 32, a5") for r in make_records(CELLS, range(2), protocol=words)]
    (league,) = leagues(chosen(records_frame(records)))
    assert sorted(drawn._headings(league.tasks)) == ["digits\na5\naccuracy \u2191", "digits\ns3\naccuracy \u2191"]
