"""What compiling gains a whole run: a training update, and a sweep of runs."""

from __future__ import annotations

import pytest

from rnnbench import toolchain
from rnnbench.bench import whole_runs as bench


@pytest.mark.integration
def test_an_update_is_that_of_a_run(monkeypatch):
    """Through the training loop, by dataset; what is no goal of this processor is not judged."""
    monkeypatch.setattr(bench, "RUN", ("cell=gru", "hidden_size=4", "budget.batch_size=4"))
    monkeypatch.setattr(toolchain, "processor_kind", lambda: "another")
    result = bench.updates(1, {"digits": 2}, backend="native")
    ((dataset, eager, native, gain, goal),) = result.rows
    assert (dataset, goal) == ("digits", "")
    assert float(eager) > 0
    assert float(native) > 0
    assert gain.endswith(")")
    assert result.missed == []


@pytest.mark.parametrize(("eager", "missed"), [(3.0, 0), (2.9, 1)])
def test_a_slow_update_is_missed_where_there_are_goals(monkeypatch, eager, missed):
    times = {"eager": [eager, eager, eager], "native": [1.0, 1.0, 1.0]}
    monkeypatch.setattr(bench, "interleaved", lambda ways, rounds: times)
    monkeypatch.setattr(toolchain, "processor_kind", lambda: "x86-64 avx2")
    monkeypatch.setattr(bench, "RUN", ("cell=gru",))
    monkeypatch.setattr(bench.loading, "load", lambda task: None)
    result = bench.updates(3, {"adding": 1}, backend="native")
    assert result.rows[0][-1] == ">= 3.5"
    assert len(result.missed) == missed


def test_without_a_compiler_there_is_nothing_to_compare(monkeypatch):
    monkeypatch.setenv("RNNBENCH_CC", "")
    for result in (bench.updates(), bench.sweep_before_and_after()):
        assert result.title.endswith(": left out, for RNNBENCH_CC is empty, so no C compiler is used")
        assert result.rows == ()


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_a_sweep_is_run_without_a_compiler_and_with_one(monkeypatch):
    """And its rows say which backends ran."""
    monkeypatch.setattr(bench, "why_not", lambda backend: "")
    tiny = ["cell=gru,mgu", "dataset=digits", "budget=smoke", "budget.updates=2", "budget.val_every=2", "hidden_size=4"]
    result = bench.sweep_before_and_after([*tiny, "seed=range(2)"])
    without, with_one = result.rows
    assert [without[0], with_one[0]] == ["without a compiler", "with one"]
    assert without[1] == "2 eager, 2 native"
    assert without[3] == "1.00"
    assert all(float(number) > 0 for row in result.rows for number in row[2:])
