"""Files that have changed since runs were recorded, and runs that are done again because they are asked to be."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_up import filled, planned, record
from sweeping import sweep

import rnnbench
from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.runs import attempts
from rnnbench.runs.source_hash import source_hash
from rnnbench.store.store import Store
from rnnbench.sweeps import stale
from rnnbench.sweeps.changed import changed_in
from rnnbench.sweeps.limits import Limit, Limits
from rnnbench.sweeps.outlook import look_ahead, summary
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.sweep import Sweep

FILM = ["dataset=own_frames", "cell=convrnn", "dataset.input_steps=2", "dataset.output_steps=2", "hidden_size=2",
        "budget=smoke", "budget.updates=4", "budget.val_every=2", "budget.batch_size=2"]  # fmt: skip
TINY = ["dataset=digits", "cell=rnn", "budget=smoke", "budget.updates=4", "budget.val_every=2", "hidden_size=2"]


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def film(path="film.npy", *, seed=0):
    np.save(path, np.random.default_rng(seed).integers(0, 256, (40, 8, 8), dtype=np.uint8))
    return path


def of_film(*overrides, path="film.npy"):
    return plan([*FILM, f"dataset.path={path}", *overrides])


def said(made, store):
    return changed_in(made.jobs, store)


def test_a_plan_names_the_file_that_has_changed(tmp_path):
    film()
    store = filled(tmp_path / "results", of_film("seed=range(3)"), 3)
    assert said(of_film("seed=range(5)"), store) == []
    film(seed=1)
    made = of_film("seed=range(5)")
    assert said(made, store) == ["film.npy has changed since 3 runs"]
    found = look_ahead(made, store, 1)
    assert found.counts == {"new": 5}
    assert "  film.npy has changed since 3 runs" in summary(found)
    (planned,) = rnnbench.plan(*FILM, "dataset.path=film.npy", results=tmp_path / "results").remarks[1:2]
    assert planned == "film.npy has changed since 3 runs"
    store.write(record(made.jobs[0]))
    assert said(of_film("seed=0"), store) == ["film.npy has changed since 3 runs"]
    assert summary(look_ahead(of_film("seed=0"), store, 1))[1:] == ["to do: nothing"]


def test_another_file_or_dataset_has_not_changed(tmp_path):
    film()
    store = filled(tmp_path / "results", of_film(), 1)
    film("other.npy", seed=1)
    assert said(of_film(path="other.npy"), store) == []
    assert said(planned("cell=rnn"), store) == []


@pytest.mark.integration
def test_run_and_sweep_say_it_and_do_the_new_film(tmp_path, capsys):
    results = tmp_path / "results"
    words = [*FILM, "dataset.path=film.npy", "tracker=none"]
    film()
    assert main(["run", *words, "--results", str(results)]) == 0
    film(seed=1)
    assert main(["run", *words, "--results", str(results)]) == 0
    said = capsys.readouterr().err
    assert "already recorded" not in said
    assert "film.npy has changed since 1 run\n" in said
    film(seed=2)
    done = sweep(*words, "seed=range(2)", results=results, workers=1)
    assert done.exit_code == 0
    assert "film.npy has changed since 2 runs" in done.summary(of_film())
    recorded = list(Store.open(results).iterate())
    assert (len(recorded), len({record["dataset"]["protocol"] for record in recorded})) == (4, 3)


@pytest.mark.integration
def test_a_film_that_changes_in_a_sweep_leaves_its_runs_open(tmp_path):
    film()
    words = [*FILM, "dataset.path=film.npy", "tracker=none"]
    made = of_film()
    film(seed=1)
    result = Sweep(made, tmp_path / "results", workers=1).run()
    assert result.exit_code == 1
    assert list(result.open.values()) == [
        "dataset.path (film.npy) has changed since this run was planned; the same command plans it anew."
    ]
    assert sweep(*words, results=tmp_path / "results", workers=1).exit_code == 0


def test_rerun_sets_every_record_aside_whatever_it_says(tmp_path):
    made = planned("cell=rnn", "seed=range(4)")
    store = filled(tmp_path, made, 1)
    store.write(record(made.jobs[1], source_hash="0123456789ab"))
    store.write(record(made.jobs[2], status="oom", reason="too much"))
    stale.set_aside(store, [job.id for job in made.jobs])
    assert store.records() == {}
    asides = [len(list(store.folder(job.id).glob("record.rerun-1.json"))) for job in made.jobs]
    assert asides == [1, 1, 1, 0]
    assert attempts.deaths(store.folder(made.jobs[2].id)) == 0


@pytest.mark.integration
def test_ok_runs_are_done_again_where_asked(tmp_path, capsys):
    results, words = tmp_path / "results", [*TINY, "seed=range(2)"]
    sweep(*words, results=results, workers=1)
    runs = Store.open(results).ids()
    before = {run: Store.open(results).record_path(run).read_bytes() for run in runs}
    assert main(["sweep", *words, "--rerun", "--dry-run", "--results", str(results)]) == 0
    said = capsys.readouterr().err
    assert "done: done again" in said
    assert "to do: 2 runs" in said
    again = sweep(*words, results=results, workers=1, rerun=True)
    assert again.summary(plan(words)) == ["2 runs: 2 ok"]
    assert main(["run", *TINY, "seed=0", "tracker=none", "--rerun", "--results", str(results)]) == 0
    assert "already recorded" not in capsys.readouterr().err
    asides = {run: sorted(path.name for path in (results / "runs" / run).glob("record*")) for run in runs}
    assert sorted(map(len, asides.values())) == [2, 3]
    assert all((results / "runs" / run / "record.rerun-1.json").read_bytes() == before[run] for run in runs)
    metrics = {run: json.loads(text)["metrics"] for run, text in before.items()}
    assert {run: record["metrics"] for run, record in Store.open(results).records().items()} == metrics


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--rerun", "--retry"), "not allowed with argument"),
        (("sweep", "--rerun", "--accept-stale"), "not allowed with argument"),
        (("sweep", "--rerun", "--rerun-stale"), "not allowed with argument"),
        (("sweep", "--rerun", "--retry-failed", "cell=rnn"), "leave --retry-failed out"),
    ],
)
def test_what_contradicts_it_is_refused(words, said, capsys):
    try:
        code = main(words)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert said in capsys.readouterr().err


def test_in_python_too():
    with pytest.raises(BadInput, match="leave retry out"):
        rnnbench.run(*TINY, rerun=True, retry=True)
    for other in ({"stale": "accept"}, {"stale": "rerun"}, {"retry_failed": True}):
        with pytest.raises(BadInput, match="leave the other out"):
            rnnbench.sweep(*TINY, rerun=True, **other)


@pytest.mark.integration
def test_a_call_does_a_run_again(tmp_path):
    first = rnnbench.run(*TINY, results=tmp_path / "results")
    assert rnnbench.run(*TINY, results=tmp_path / "results")["finished"] == first["finished"]
    again = rnnbench.run(*TINY, results=tmp_path / "results", rerun=True)
    assert again["metrics"] == first["metrics"]
    assert again["source_hash"] == source_hash()
    assert again["attempts"] == 2
    assert (tmp_path / "results" / "runs" / again["id"] / "record.rerun-1.json").exists()


@pytest.mark.integration
def test_a_rerun_that_is_interrupted_says_what_resumes_it(tmp_path):
    sweep(*TINY, "seed=range(2)", results=tmp_path, workers=1)
    limits = Limits(limit=Limit.read("1runs"))
    done = sweep(*TINY, "seed=range(2)", results=tmp_path, workers=1, rerun=True, limits=limits)
    assert "the same command, without --rerun, resumes what is not finished" in done.summary(plan([*TINY]))
    assert len(Store.open(tmp_path).records()) == 1
    assert sweep(*TINY, "seed=range(2)", results=tmp_path, workers=1).exit_code == 0
