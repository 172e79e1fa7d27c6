"""What the store's readers cost as it grows: synthetic records, linear cost, the index used."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from rnnbench.bench.scale import fill, synthetic
from rnnbench.reports.boards.leaderboard import leaderboard
from rnnbench.reports.selection.frame import store_frame
from rnnbench.store import index
from rnnbench.store.record import run_id
from rnnbench.store.store import Store
from rnnbench.sweeps.outlook import look_ahead
from rnnbench.sweeps.plan import write_manifest
from rnnbench.sweeps.status import look


def store_of(runs, results):
    """A store of so many synthetic runs and their plan."""
    made = synthetic(runs)
    store = Store.open(results)
    fill(store, made.jobs)
    write_manifest(made, results)
    return made, store


def seconds(function):
    """Of the processor, the best of two: other processes share the machine."""
    times = []
    for _ in range(2):
        began = time.process_time()
        function()
        times.append(time.process_time() - began)
    return min(times)


@pytest.mark.integration
def test_three_hundred_runs_are_read_by_everything(tmp_path, monkeypatch):
    made, store = store_of(300, tmp_path)
    assert len({job.id for job in made.jobs}) == 300
    assert all(run_id(job.config) == job.id for job in made.jobs[:20])
    (state,) = look(store)
    assert (state.total, state.ok + state.failed, state.left, state.stale) == (300, 300, 0, 0)
    assert state.failed > 0
    monkeypatch.setattr(Store, "read", lambda *_: pytest.fail("a record was read where the index knows it"))
    assert look_ahead(made, store, 2).counts == {"done": state.ok, "failed": state.failed}
    table = leaderboard(store_frame(store))
    assert table["runs"].sum() == 300
    assert set(table["cell"]) == {"rnn", "lstm", "gru", "mgu", "cifg"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_times_the_runs_cost_ten_times_the_time_or_less(tmp_path):
    def costs_of(runs):
        made, store = store_of(runs, tmp_path / str(runs))
        index.load(store)
        return {
            "status": seconds(lambda: look(store)),
            "plan": seconds(lambda: look_ahead(made, store, 2)),
            "leaderboard": seconds(lambda: leaderboard(store_frame(store))),
        }

    costs = {runs: costs_of(runs) for runs in (2_000, 20_000)}
    for name, cost in costs[20_000].items():
        assert cost < 15 * costs[2_000][name] + 0.5, f"{name}: {costs}"
        assert cost < 10, f"{name}: {costs}"


@pytest.mark.slow
def test_a_thousand_rates_are_planned_in_twenty_seconds():
    code = "from rnnbench.sweeps.plan import plan; import time; began = time.process_time()\n"
    code += "rates = ','.join(str((n + 1) / 1e5) for n in range(1000))\n"
    code += "made = plan(['cell=lstm', 'schedule=onecycle', f'optimizer.lr={rates}'])\n"
    code += "assert all(j.config['schedule']['max_lr'] == j.config['optimizer']['lr'] for j in made.jobs)\n"
    code += "print(len(made.jobs), time.process_time() - began)\n"
    runs, took = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert (int(runs), float(took) < 20) == (1000, True), took


@pytest.mark.slow
def test_the_program_prints_its_table(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "rnnbench.bench.scale", "300", "--json"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    names = {"plan (1,000 runs)", "status", "leaderboard", "tables", "report", "cold"}
    assert (row["runs"], set(row)) == (300, {"runs", *names})
    assert all(min(spent, wall) > 0 for spent, wall in (row[name] for name in names))
