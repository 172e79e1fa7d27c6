"""Ask and tell: samplers by seed and number, failures told, resume, pruning on history, winners by validation.

No run is trained: records are made up at once, and their test values say the opposite of validation.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise

import pytest
from optuna.trial import TrialState
from searching import RATE, by_rate, do, ended, opened, plain_job, search, source_of

from rnnbench.errors import BadInput
from rnnbench.store.store import Store
from rnnbench.sweeps.executors.base import Running
from rnnbench.sweeps.search.definition import Search
from rnnbench.sweeps.search.journal import me, open_journal
from rnnbench.sweeps.search.studies import OneStudy, check_studies

pytestmark = pytest.mark.usefixtures("quick")
SIZE = "hidden_size=tag(log,int(interval(4,64)))"


@pytest.fixture
def quick(request, monkeypatch):
    """Trials are not composed, except where a test asks for it."""
    if "composed" not in request.fixturenames:
        monkeypatch.setattr(Search, "job", plain_job)


@pytest.fixture
def composed():
    """Trials are composed as ever."""


def rates(jobs):
    return [job.config["optimizer"]["lr"] for job in jobs]


@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes"])
def test_the_same_seed_and_history_give_the_same_trials(tmp_path, sampler):
    made = search(RATE, SIZE, sampler=sampler, trials=14)
    first, again = (do(source_of(opened(made, tmp_path / name), tmp_path)) for name in "ab")
    assert [job.id for job in first] == [job.id for job in again]
    other = search(RATE, SIZE, sampler=sampler, trials=14, seed=1)
    assert not {job.id for job in first} & {job.id for job in do(source_of(opened(other, tmp_path / "c"), tmp_path))}
    assert all(1e-4 <= rate <= 0.1 for rate in rates(first))
    assert len({job.config["hidden_size"] for job in first}) > 3


def test_a_random_trial_depends_on_seed_and_number_alone(tmp_path):
    made = search(RATE, SIZE, sampler="random", trials=6)
    alone = do(source_of(opened(made, tmp_path / "a"), tmp_path))
    studies = opened(made, tmp_path / "b")
    source = source_of(studies, tmp_path)
    taken = [source.take() for _ in range(6)]  # six workers at once, and nothing known of any
    for job in reversed(taken):
        source.tell(job, ended(job.config, None, "diverged"))
    assert [job.id for job in taken] == [job.id for job in alone]


def test_tpe_learns_from_validation(tmp_path):
    made = search(RATE, sampler="tpe", trials=40)
    studies = opened(made, tmp_path)
    jobs = do(source_of(studies, tmp_path))
    (best,) = studies[0].winners()
    assert 0.006 < best.parameters["optimizer.lr"] < 0.016
    late = sum(0.003 < rate < 0.03 for rate in rates(jobs[20:]))
    assert late >= 13, "uniform in the logarithm would put 7 of 20 there"


def test_a_grid_does_every_point_once_in_order(tmp_path):
    made = search("optimizer.lr=0.1,0.01", "hidden_size=range(4,13,4)", sampler="grid", seed=3)
    jobs = do(source_of(opened(made, tmp_path), tmp_path))
    points = [(job.config["optimizer"]["lr"], job.config["hidden_size"]) for job in jobs]
    assert points == [(rate, size) for rate in (0.1, 0.01) for size in (4, 8, 12)]


def test_a_grid_goes_on_whatever_order_its_keys_are_typed_in(tmp_path):
    keys = ("optimizer.lr=0.1,0.01", "hidden_size=range(4,13,4)")
    one, other = (search(*order, sampler="grid") for order in (keys, keys[::-1]))
    jobs = do(source_of(opened(one, tmp_path), tmp_path), most=2) + do(source_of(opened(other, tmp_path), tmp_path))
    points = {(job.config["optimizer"]["lr"], job.config["hidden_size"]) for job in jobs}
    assert len(points) == len(jobs) == 6, "no point twice, none left out"


def test_selection_never_reads_test(tmp_path):
    made = search(RATE, sampler="random", trials=8)
    studies = opened(made, tmp_path)
    records = {}

    def kept(config):
        records[config["seed"]] = by_rate(config)
        return records[config["seed"]]

    do(source_of(studies, tmp_path), kept)
    (winner,) = studies[0].winners()
    assert winner.number == max(records, key=lambda n: records[n]["metrics"]["val/accuracy"])
    assert winner.number != max(records, key=lambda n: records[n]["metrics"]["test/accuracy"])


def test_what_does_not_end_well_is_told_as_a_failure_and_stays_a_row(tmp_path):
    made = search(RATE, sampler="tpe", trials=5)
    studies = opened(made, tmp_path)
    words = iter(["ok", "diverged", "error", "oom", "timeout"])
    do(source_of(studies, tmp_path), lambda config: ended(config, 0.5, next(words)))
    rows = studies[0].rows()
    assert [row.state for row in rows] == ["complete", "fail", "fail", "fail", "fail"]
    assert all(row.run for row in rows)
    assert [row.number for row in studies[0].winners()] == [0]
    assert source_of(opened(made, tmp_path), tmp_path).left == 0, "failures are not done again by themselves"


def test_a_value_that_is_no_number_is_a_failure(tmp_path):
    made = search(RATE, trials=2)
    studies = opened(made, tmp_path)
    values = iter([float("nan"), None])
    do(source_of(studies, tmp_path), lambda config: ended(config, next(values)))
    assert [row.state for row in studies[0].rows()] == ["fail", "fail"]
    assert studies[0].winners() == []


def test_values_that_make_no_run_are_told_and_the_next_is_asked(tmp_path, composed):
    made = search("cell=lstm,gru", "peephole=off,on", sampler="grid")
    studies = opened(made, tmp_path)
    jobs = do(source_of(studies, tmp_path))
    rows = studies[0].rows()
    assert len(jobs) == 3
    assert [row.state for row in rows] == ["complete"] * 3 + ["fail"]
    assert (rows[3].run, rows[3].reason.split(":")[0]) == (None, "cell=gru takes no peephole")


def test_studies_are_interleaved(tmp_path):
    made = search(RATE, "dataset=digits,adding", sampler="random", trials=3)
    jobs = do(source_of(opened(made, tmp_path), tmp_path))
    assert [job.dataset for job in jobs] == ["digits", "adding"] * 3


def test_several_objectives_have_a_front_of_winners(tmp_path):
    made = search(SIZE, sampler="tpe", trials=12, objectives=["metric", "params"])
    studies = opened(made, tmp_path)

    def formula(config):
        size = config["hidden_size"]
        return ended(config, min(size, 16) / 16, params=size)  # beyond 16 it is larger and no better

    do(source_of(studies, tmp_path), formula)
    front = studies[0].winners()
    losses = sorted({row.losses for row in front})
    assert len(losses) > 1
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(losses))
    assert max(row.losses[1] for row in front) <= min(
        (row.losses[1] for row in studies[0].rows() if row.losses[1] >= 16), default=16
    )


# resume


def test_the_same_command_goes_on_and_more_trials_add_to_it(tmp_path):
    made = search(RATE, sampler="random", trials=6)
    first = do(source_of(opened(made, tmp_path), tmp_path), most=2)
    then = do(source_of(opened(made, tmp_path), tmp_path))
    more = do(source_of(opened(search(RATE, sampler="random", trials=8), tmp_path), tmp_path))
    unbroken = do(source_of(opened(search(RATE, sampler="random", trials=8), tmp_path / "new"), tmp_path))
    assert (len(first), len(then), len(more)) == (2, 4, 2)
    assert [job.id for job in [*first, *then, *more]] == [job.id for job in unbroken]


def test_a_trial_whose_process_is_gone_is_taken_again_with_its_values(tmp_path):
    made = search(RATE, SIZE, sampler="tpe", trials=5)
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from searching import *\n"
        "Search.job = plain_job\n"
        "made = search(RATE, 'hidden_size=tag(log,int(interval(4,64)))', sampler='tpe', trials=5)\n"
        "source = source_of(opened(made, Path(sys.argv[2])), Path(sys.argv[2]))\n"
        "do(source, most=2)\n"
        "print(source.take().id, source.take().id, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    here = os.path.dirname(__file__)
    died = subprocess.run([sys.executable, "-c", code, here, str(tmp_path)], capture_output=True, text=True, timeout=60)
    running = died.stdout.split()
    assert (died.returncode, len(running)) == (-9, 2), died.stderr
    studies = opened(made, tmp_path)
    source = source_of(studies, tmp_path)
    assert source.left == 3
    assert [source.take().id, source.take().id] == running
    rows = studies[0].rows()
    assert [row.number for row in rows] == [0, 1, 2, 3], "no trial of its own for what is done again"


def test_a_trial_that_another_process_has_is_left_to_it(tmp_path):
    made = search(RATE, sampler="random", trials=3)
    mine = source_of(opened(made, tmp_path), tmp_path)
    taken = mine.take()
    storage = open_journal(tmp_path / "tune" / "searched.journal")
    study = OneStudy(made, made.studies[0], storage)
    study.optuna._storage.set_trial_user_attr(study.optuna.trials[0]._trial_id, "owner", me() | {"host": "elsewhere"})
    theirs = source_of(opened(made, tmp_path), tmp_path)
    assert theirs.left == 2
    assert [job.seed for job in do(theirs)] == [1, 2]
    mine.tell(taken, by_rate(taken.config))
    assert study.closed == 3


def test_a_trial_of_another_machine_is_taken_again_where_no_search_runs_there(tmp_path):
    made = search(RATE, sampler="random", trials=1)
    source_of(opened(made, tmp_path), tmp_path).take()
    storage = open_journal(tmp_path / "tune" / "searched.journal")
    there = me() | {"host": "elsewhere"}
    storage.set_trial_user_attr(OneStudy(made, made.studies[0], storage).optuna.trials[0]._trial_id, "owner", there)
    assert OneStudy(made, made.studies[0], storage, {("elsewhere", there["pid"])}).left == 0
    assert OneStudy(made, made.studies[0], storage, {("elsewhere", -1)}).left == 1


def test_a_run_that_is_recorded_already_is_not_done_again(tmp_path, monkeypatch):
    made = search(RATE, sampler="random", trials=3)
    jobs = do(source_of(opened(made, tmp_path / "a"), tmp_path))
    monkeypatch.setattr(Store, "read", lambda store, run: by_rate(jobs[1].config) if run == jobs[1].id else None)
    studies = opened(made, tmp_path / "b")  # its journal was lost, its records were not
    source = source_of(studies, tmp_path)
    assert [job.id for job in do(source)] == [jobs[0].id, jobs[2].id]
    assert (source.found, [row.state for row in studies[0].rows()]) == (1, ["complete"] * 3)


def test_a_trial_that_was_done_again_is_what_its_record_says_now(tmp_path):
    made = search(RATE, sampler="random", trials=3)
    values = iter([0.5, None, 0.4])
    jobs = do(source_of(opened(made, tmp_path), tmp_path), lambda config: ended(config, next(values)))
    (study,) = opened(made, tmp_path)
    again = {jobs[1].id: ended({}, 0.9), jobs[0].id: ended({}, None, "diverged")}
    study.follow(lambda run: again.get(run))
    assert [row.state for row in study.rows()] == ["fail", "complete", "complete"]
    assert [row.number for row in study.winners()] == [1]
    assert source_of([study], tmp_path).left == 0, "and no trial more is asked for"


def test_a_trial_that_was_refused_is_offered_again_by_the_next_command(tmp_path):
    made = search(RATE, sampler="random", trials=3)
    words = iter(["ok", "refused", "ok"])  # its data was missing: there is no record
    jobs = do(source_of(opened(made, tmp_path), tmp_path), lambda config: ended(config, 0.5, next(words)))
    records = {jobs[0].id: ended({}, 0.5), jobs[2].id: ended({}, 0.5)}
    (study,) = opened(made, tmp_path)
    study.follow(records.get)
    source = source_of([study], tmp_path)
    assert source.left == 1
    assert [job.id for job in do(source, lambda config: ended(config, 0.9))] == [jobs[1].id]
    assert [row.state for row in study.rows()] == ["complete"] * 3
    assert [row.number for row in study.winners()] == [1]


def test_a_damaged_record_is_left_to_the_sweep(tmp_path):
    made = search(RATE, sampler="random", trials=2)
    first, _ = do(source_of(opened(made, tmp_path / "a"), tmp_path))
    (path := Store.open(tmp_path).record_path(first.id)).parent.mkdir(parents=True)
    path.write_text("{")
    assert source_of(opened(made, tmp_path / "b"), tmp_path).take().id == first.id


def test_a_line_torn_by_a_kill_costs_that_line_only(tmp_path):
    made = search(RATE, sampler="random", trials=4)
    do(source_of(opened(made, tmp_path), tmp_path), most=2)
    journal = tmp_path / "tune" / "searched.journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"worker_id":"torn')
    then = do(source_of(opened(made, tmp_path), tmp_path))
    assert [job.seed for job in then] == [2, 3]
    assert journal.read_bytes().startswith(whole)
    assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_another_space_under_one_name_is_refused(tmp_path):
    do(source_of(opened(search(RATE, trials=2), tmp_path), tmp_path))
    with pytest.raises(BadInput, match="begun with other space; give this one a --name"):
        opened(search("optimizer.lr=interval(0.1,0.2)", trials=2), tmp_path)
    with pytest.raises(BadInput, match="begun with other overrides"):
        opened(search(RATE, "depth=2", trials=2), tmp_path)


def test_a_command_without_the_studies_of_the_first_is_refused(tmp_path):
    two = search(RATE, "dataset=digits,adding", sampler="random", trials=2)
    do(source_of(opened(two, tmp_path), tmp_path), most=1)
    storage = open_journal(tmp_path / "tune" / "searched.journal")
    check_studies(two, storage)
    check_studies(search(RATE, "dataset=digits,adding,jsb"), storage)
    with pytest.raises(BadInput, match=r"begun with other studies \(dataset=digits\); give this one a --name"):
        check_studies(search(RATE), storage)


# what a sweep asks of a source


def test_an_interrupted_search_asks_for_nothing_new(tmp_path):
    studies = opened(search(RATE, trials=9), tmp_path)
    source = source_of(studies, tmp_path)
    source.put_back(source.take())
    assert (len(source.rest()), source.left, len(studies[0].rows())) == (1, 9, 1)


def test_one_run_for_two_trials_is_done_once_and_told_to_both(tmp_path):
    made = search("optimizer.lr=0.1,0.01", "seed=4", sampler="random", trials=6)
    studies = opened(made, tmp_path)
    source = source_of(studies, tmp_path)
    jobs = []
    while (job := source.take()) is not None:
        jobs.append(job)
    assert (len(jobs), source.left) == (2, 0)
    for job in jobs:
        source.tell(job, by_rate(job.config))
    assert [row.state for row in studies[0].rows()] == ["complete"] * 6


@pytest.fixture
def spec_known(monkeypatch):
    monkeypatch.setattr("rnnbench.sweeps.search.source.LOOK_SECONDS", 0)
    monkeypatch.setattr("rnnbench.sweeps.search.source.SearchSource._spec", lambda source, job: ("accuracy", "max"))


def rows_of(values, every=20):
    return [{"step": every * n, "val/accuracy": value} for n, value in enumerate(values, 1)]


@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median"])
def test_a_poor_trial_is_given_up_and_a_good_one_is_not(tmp_path, monkeypatch, spec_known, pruner):
    made = search(RATE, sampler="random", trials=12, pruner=pruner)
    studies = opened(made, tmp_path)
    source = source_of(studies, tmp_path)
    histories = {}
    monkeypatch.setattr(Store, "history", lambda store, run: histories[run])
    given_up = {}
    for n in range(12):
        job = source.take()
        level = 0.9 - 0.05 * n  # every trial is worse than all before it
        histories[job.id] = rows_of([level, level + 0.01, level + 0.02])
        given_up |= (reasons := dict(source.prune([Running(job)])))
        status = "pruned" if reasons else "ok"
        source.tell(job, ended(job.config, level + 0.02 if status == "ok" else None, status))
    states = [row.state for row in studies[0].rows()]
    assert (states[0], states[-1]) == ("complete", "pruned")
    assert len(given_up) == states.count("pruned")
    assert next(iter(given_up.values())).startswith(f"{pruner}: val/accuracy 0.")
    assert [row.number for row in studies[0].winners()] == [0]


def test_a_trial_at_its_last_update_is_not_given_up(tmp_path, monkeypatch, spec_known):
    source = source_of(opened(search(RATE, sampler="random", trials=4, pruner="asha"), tmp_path), tmp_path)
    for level in (0.9, 0.8, 0.7, 0.1):
        job = source.take()
        history = [{"step": 60, "val/accuracy": level}]
        monkeypatch.setattr(Store, "history", lambda store, run, history=history: history)
        assert source.prune([Running(job)]) == {}, "what is left of it is its test"
        source.tell(job, ended(job.config, level))


def test_the_pruner_is_told_each_row_once_and_of_no_test(tmp_path, monkeypatch, spec_known):
    studies = opened(search(RATE, sampler="random", trials=2, pruner="asha"), tmp_path)
    source = source_of(studies, tmp_path)
    job = source.take()
    history = rows_of([0.2])
    monkeypatch.setattr(Store, "history", lambda store, run: history)
    for value in (0.2, 0.3, 0.4):
        history[:] = rows_of([0.2, value])
        assert source.prune([Running(job)]) == {}
    (trial,) = studies[0].optuna.get_trials(states=[TrialState.RUNNING])
    assert trial.intermediate_values == {20: -0.2, 40: -0.2}, "losses; a row that is told stays as it was told"


def test_two_processes_share_the_trials_and_take_no_more_than_there_are(tmp_path):
    made = search(RATE, sampler="random", trials=5)
    one, two = (source_of(opened(made, tmp_path), tmp_path) for _ in range(2))
    taken = [one.take(), two.take(), one.take(), two.take(), one.take()]
    assert sorted(job.seed for job in taken) == [0, 1, 2, 3, 4]
    assert (two.take(), two.left, one.take()) == (None, 0, None)
