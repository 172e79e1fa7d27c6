"""What a sweep would do: each run's state, what the rest costs and on what that rests, in three formats."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest
from made_up import begin, filled, planned, record

from rnnbench.store import index
from rnnbench.sweeps import outlook
from rnnbench.sweeps.estimate import ALIKE, ENTRY, UNKNOWN, estimate
from rnnbench.sweeps.outlook import look_ahead


@pytest.fixture
def varied(tmp_path):
    """A plan with a run in each state, and its store."""
    made = planned("cell=rnn,gru", "peephole=off,on", "seed=range(8)", name="varied")
    store = filled(tmp_path / "results", made, 2)
    jobs = made.jobs
    store.write(record(jobs[2], status="oom", reason="out of memory", metrics={}))
    store.write(record(jobs[3], source_hash="0123456789ab"))
    store.folder(jobs[4].id).mkdir()
    store.record_path(jobs[4].id).write_text("{")
    begin(store, jobs[5], end="interrupted")
    claim = begin(store, jobs[6])
    yield made, store
    claim.close("interrupted")


def test_every_run_has_its_state(varied):
    made, store = varied
    found = look_ahead(made, store, 2)
    assert [run.state for run in found.runs[:8]] == [
        "done", "done", "failed", "stale", "damaged", "interrupted", "running", "new",
    ]  # fmt: skip
    assert found.counts == {
        "new": 9, "interrupted": 1, "running": 1, "done": 2, "failed": 1, "stale": 1, "damaged": 1,
    }  # fmt: skip
    assert [run.job.id for run in found.todo] == [made.jobs[5].id, *(job.id for job in made.jobs[7:])]
    assert found.runs[2].reason == "out of memory"
    assert "not whole JSON" in found.runs[4].reason


def test_the_words_say_counts_advice_skipped_cells_and_cost(varied):
    made, store = varied
    head, *lines = outlook.summary(look_ahead(made, store, 2))
    assert head == (
        "varied: 16 runs: 9 new, 1 interrupted, 1 running, 2 done, 1 failed, 1 stale, 1 damaged, 16 skipped cells"
    )
    assert [line.split(":")[0].strip() for line in lines] == [
        "interrupted", "running", "failed", "stale", "damaged", "skipped", "skipped", "to do",
    ]  # fmt: skip
    assert "--retry-failed" in lines[2]
    assert "--accept-stale" in lines[3]
    assert lines[5].startswith("  skipped: 8 cells: cell=rnn takes no peephole")
    assert lines[-1].startswith("to do: 10 runs, at least ")
    assert lines[-1].endswith("(estimated: 2 on records of the same entry, 8 unknown)")


def test_long_lists_are_shortened_unless_all_is_asked_for(tmp_path):
    made = planned("cell=rnn", "seed=range(40)")
    found = look_ahead(made, filled(tmp_path, made, 25), 1)
    rows = list(outlook.text_rows(found))
    assert [row.split()[0] for row in rows] == ["done"] * 12 + ["new"] * 12 + ["..."]
    assert rows[-1] == "... and 13 done, 3 new more (--all lists them)"
    assert len(list(outlook.text_rows(found, everything=True))) == 40


def test_a_time_comes_from_the_same_entry_first(tmp_path):
    made = planned("cell=rnn", "seed=range(4)")
    store = filled(tmp_path, made, 0)
    for job, wall in zip(made.jobs, (10.0, 30.0, 20.0), strict=False):
        store.write(record(job, wall_seconds=wall, train_seconds=wall - 2))
    alike = planned("cell=rnn", "hidden_size=16")
    store.write(record(alike.jobs[0], wall_seconds=500.0))
    found = estimate(made.jobs[3:], index.load(store))
    assert found.seconds == {made.jobs[3].id: 20.0}
    assert found.basis == {made.jobs[3].id: ENTRY}
    assert found.core_seconds == 20.0


def test_then_from_the_same_cell_and_dataset_scaled_by_updates(tmp_path):
    asked = planned("cell=rnn,gru", "hidden_size=8", "budget.updates=600")
    done = planned("cell=rnn", "seed=range(3)")
    store = filled(tmp_path, done, 0)
    for job, train in zip(done.jobs, (6.0, 12.0, 60.0), strict=True):
        store.write(record(job, train_seconds=train, wall_seconds=train + 1, updates=60))
    found = estimate(asked.jobs, index.load(store))
    rnn, gru = asked.jobs
    assert found.seconds == {rnn.id: pytest.approx(600 * 12 / 60 + 1), gru.id: None}
    assert found.basis == {rnn.id: ALIKE, gru.id: UNKNOWN}
    assert found.rests_on() == "1 on records of the same cell and dataset, 1 unknown"
    assert (found.unknown, found.eta(4)) == (1, pytest.approx(121))


def test_what_is_asked_for_again_is_to_be_done(tmp_path):
    made = planned("cell=rnn", "seed=range(5)")
    store = filled(tmp_path, made, 1)
    for job, status, source in zip(
        made.jobs[1:4], ("oom", "ok", "oom"), (None, "0123456789ab", "0123456789ab"), strict=True
    ):
        store.write(record(job, status=status, source_hash=source))
    for again, seeds in (
        ((), [4]),
        (("failed",), [1, 3, 4]),
        (("stale",), [2, 3, 4]),
        (("failed", "stale"), [1, 2, 3, 4]),
    ):
        found = look_ahead(made, store, 1, again)
        assert [run.job.seed for run in found.todo] == seeds
        assert found.counts == {"new": 1, "done": 1, "failed": 1, "stale": 2}
        said = outlook.summary(found)
        assert said[-1].startswith(f"to do: {len(seeds)} run")
        assert [f"  {state}: done again" in said for state in ("failed", "stale")] == [
            s in again for s in ("failed", "stale")
        ]


def test_failed_runs_and_other_devices_say_nothing_of_the_time(tmp_path):
    made = planned("cell=rnn", "seed=range(3)")
    store = filled(tmp_path, made, 0)
    store.write(record(made.jobs[0], status="oom", reason="x", wall_seconds=1.0))
    store.write(record(made.jobs[1], device="cuda", wall_seconds=2.0))
    found = estimate(made.jobs[2:], index.load(store))
    assert (found.seconds, found.eta(1)) == ({made.jobs[2].id: None}, None)


def test_the_time_is_that_of_the_workers_and_the_cost_that_of_the_cores(tmp_path):
    made = planned("cell=rnn", "seed=range(9)", "harness.threads=2")
    store = filled(tmp_path, made, 0)
    store.write(record(made.jobs[0], wall_seconds=3600.0))
    found = look_ahead(made, store, 4)
    assert found.estimate.eta(4) == 2 * 3600
    assert outlook.summary(found)[-1] == (
        "to do: 8 runs, 2:00:00 on 4 workers, 16 core-hours (estimated: 8 on records of the same entry)"
    )
    assert look_ahead(planned("cell=rnn", "seed=0", "harness.threads=2"), store, 4).estimate.eta(4) is None
    assert (
        outlook.summary(look_ahead(planned("cell=rnn", "seed=0", "harness.threads=2"), store, 4))[-1]
        == "to do: nothing"
    )


def test_json_and_csv_hold_every_run(varied):
    made, store = varied
    found = look_ahead(made, store, 3)
    content = json.loads(outlook.as_json(found))
    assert content["counts"] == found.counts
    assert (content["todo"], content["workers"], content["unknown"]) == (10, 3, 8)
    assert [run["id"] for run in content["runs"]] == [job.id for job in made.jobs]
    assert [cell["cells"] for cell in content["skipped"]] == [8, 8]
    rows = list(csv.DictReader(io.StringIO(outlook.as_csv(found))))
    assert [row["state"] for row in rows] == [run.state for run in found.runs]
    assert rows[7]["estimated_from"] == ENTRY
    assert rows[0]["command"].startswith("rnnbench run dataset=digits budget=smoke cell=rnn")


def test_nothing_is_written(varied):
    made, store = varied

    def files():  # but the heartbeat, and the folder's time with it: a run is alive
        found = (path for path in store.root.parent.rglob("*") if "heartbeat" not in path.name)
        return sorted((path, path.stat().st_mtime_ns if path.is_file() else 0) for path in found)

    before = files()
    look_ahead(made, store, 1)
    assert files() == before


WATCHED = """
import sys
from rnnbench.cli import main
code = main(sys.argv[1:])
heavy = {"torch", "pytorch_lightning", "wandb", "scipy", "matplotlib", "optuna"} & set(sys.modules)
assert not heavy, heavy
raise SystemExit(code)
"""


@pytest.mark.integration
@pytest.mark.skipif(sys.platform != "linux", reason="whether there is a GPU is asked of torch elsewhere")
@pytest.mark.parametrize(
    "words",
    [
        ["plan", "experiment=quickstart"], ["plan", "cell=rnn,gru", "--format", "json"],
        ["sweep", "cell=rnn", "--dry-run"], ["status"], ["status", "--format", "json"],
        ["diff", "cell=rnn", "cell=gru seed=1"], ["merge", "other"],
    ],
    ids=lambda words: " ".join(words),
)  # fmt: skip
def test_no_command_that_only_looks_loads_torch(words, tmp_path):
    filled(tmp_path / "results", planned("cell=rnn", "seed=range(3)"), 2)
    filled(tmp_path / "other", planned("cell=gru", "seed=range(3)", name="theirs"), 2)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *words], capture_output=True, text=True, cwd=tmp_path, timeout=100
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert done.stdout
