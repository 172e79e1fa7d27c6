"""The table of what a run costs: what is counted, what is missed, and that every way makes the same runs."""

from __future__ import annotations

import sys

import pytest

from rnnbench.bench import sweep as bench
from rnnbench.bench.sweep import Measured
from rnnbench.store.store import Store


def test_which_limits_are_missed():
    fresh = Measured(20, 1, 100.0, 4.5)
    assert Measured(20, 1, 10.0, 0.08).a_minute == 120
    assert bench.missed(Measured(20, 1, 10.0, 0.08), fresh) == []
    assert len(bench.missed(Measured(20, 1, 10.0, 0.11), fresh)) == 1
    assert len(bench.missed(Measured(20, 1, 34.0, 0.08), fresh)) == 1
    assert bench.missed(Measured(20, 1, 80.0, 0.6), fresh) == [
        "a run of our sweep costs 0.60 s beside its training, limit 0.1 s",
        "our sweep does 1.2 times the runs of fresh processes, limit 3 times",
    ]
    assert bench.missed(Measured(20, 1, 10.0, 0.6), fresh, busy=True) == []


@pytest.mark.parametrize(("sentences", "code"), [([], 0), (["it costs too much"], 1)])
def test_what_is_not_installed_is_a_row_that_says_so(monkeypatch, capsys, sentences, code):
    monkeypatch.setattr(bench, "installed", lambda module: False)
    monkeypatch.setattr(bench, "measure", lambda results, runs, workers, do: Measured(runs, workers, 10.0, 0.1))
    monkeypatch.setattr(bench, "missed", lambda ours, fresh, busy: sentences)
    monkeypatch.setattr(bench, "start_up", lambda folder, rounds: bench.LIMIT_START)
    assert bench.main(["--runs", "4"]) == code
    said = capsys.readouterr()
    assert "4 tiny runs" in said.out
    assert [line.split()[-2:] for line in said.out.splitlines() if "joblib" in line] == [["not", "installed"]]
    assert [line.split()[-3:] for line in said.out.splitlines() if "basic" in line] == [["24", "1.0", "0.10"]]
    assert said.err == "".join(f"limit missed: {sentence}\n" for sentence in sentences)
    assert "one update computes 2.00 times what `import torch` does" in said.out


def test_a_start_over_its_limit_fails(monkeypatch, capsys):
    monkeypatch.setattr(bench, "installed", lambda module: False)
    monkeypatch.setattr(bench, "measure", lambda results, runs, workers, do: Measured(runs, workers, 10.0, 0.1))
    monkeypatch.setattr(bench, "missed", lambda ours, fresh, busy: [])
    monkeypatch.setattr(bench, "start_up", lambda folder, rounds: 4.25)
    assert bench.main(["--runs", "4"]) == 1
    sentence = "a process of one update computes 4.2 times what `import torch` does, limit 2 times"
    assert capsys.readouterr().err == f"limit missed: {sentence}\n"


@pytest.mark.integration
def test_what_a_start_computes_is_counted_with_its_children(tmp_path):
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**7))'])"
    assert bench.computed(sys.executable, "-c", child) > bench.computed(sys.executable, "-c", "")
    assert 1 < bench.start_up(tmp_path / "start", 1) < 10
    assert [record["updates"] for record in Store.open(tmp_path / "start").records().values()] == [1, 1]


def test_a_way_that_does_not_do_the_runs_is_no_measurement(tmp_path):
    with pytest.raises(RuntimeError, match="0 records where 3 were expected"):
        bench.measure(tmp_path, 3, 1, lambda results, runs, workers: None)


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_every_way_makes_the_same_runs(tmp_path):
    found = {}
    for name, (do, workers, needs) in bench.ways(2).items():
        if needs is None or bench.installed(needs):
            results = tmp_path / str(len(found))
            results.mkdir()
            measured = bench.measure(results, 3, workers, do)
            assert measured.wall > 0
            records = Store.open(results).records().values()
            found[name] = sorted((record["id"], record["metrics"]["test/loss"]) for record in records)
    assert len(found) >= 4
    assert len({str(values) for values in found.values()}) == 1
