"""`retry` does what records ask for, and records come from anywhere: none runs code that the user did not name."""

from __future__ import annotations

import shlex
import sys

import made_up
import pytest

from rnnbench.runs import compose, registry
from rnnbench.runs.plan import Job, prepare
from rnnbench.store.record import run_id
from rnnbench.store.store import Store
from rnnbench.sweeps import retry

SMALL = ("dataset=digits", "budget=smoke", "hidden_size=4")
TRAP = "from pathlib import Path\n\nPath(__file__).with_name('imported').touch()\n\n\n"
CELL = TRAP + "from rnnbench.nn import RNN\n\n\nclass Trap(RNN):\n    pass\n"
YAML = """\
meta: {name: trap, label: Trap, version: 1, operator: dense, kernel: null, peephole_gates: []}
_target_: trap_of_a_retry.Trap
"""


@pytest.fixture(autouse=True)
def own_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RNNBENCH_CONFIG_DIR", raising=False)
    path = list(sys.path)
    yield
    sys.path[:] = path
    sys.modules.pop("trap_of_a_retry", None)
    compose.defaults.cache_clear()


@pytest.fixture
def theirs(tmp_path):
    """A folder with a cell whose module notes that it was imported."""
    folder = tmp_path / "their lab"
    (folder / "cell").mkdir(parents=True)
    (folder / "trap_of_a_retry.py").write_text(CELL)
    (folder / "cell" / "trap.yaml").write_text(YAML)
    return folder


def forget(theirs) -> None:
    """As another process would begin: nothing of the folder is imported."""
    compose.defaults.cache_clear()
    sys.modules.pop("trap_of_a_retry", None)
    sys.path[:] = [place for place in sys.path if place != str(theirs)]
    (theirs / "imported").unlink()


def failed(job: Job, command: str, results) -> Store:
    """A store with one failed run whose record has this command."""
    store = Store.open(results)
    store.root.mkdir(parents=True)
    store.write(made_up.record(job, status="error", reason="it failed", command=command))
    return store


def refused(store: Store) -> str:
    """Why the one failed run of a store is not done again."""
    made, lost = retry.failed_runs(store, None, {"error"})
    assert made.jobs == []
    (reason,) = lost.values()
    return reason


def test_a_folder_that_a_record_names_is_not_imported_until_the_user_names_it(theirs, tmp_path, monkeypatch):
    with monkeypatch.context() as there:
        there.setenv("RNNBENCH_CONFIG_DIR", str(theirs))
        job = prepare([*SMALL, "cell=trap", "tracker=none"])
        command = job.command
    forget(theirs)
    store = failed(job, command, tmp_path / "results")
    reason = refused(store)
    assert reason.startswith("unknown cell 'trap'")
    assert f"its command names --config-dir {theirs}: give it to retry, too" in reason
    assert registry.extra_dirs() == []
    assert not (theirs / "imported").exists()
    monkeypatch.setenv("RNNBENCH_CONFIG_DIR", str(theirs))
    made, lost = retry.failed_runs(store, None, {"error"})
    assert ([job.id for job in made.jobs], lost) == ([job.id], {})


@pytest.mark.parametrize(
    "override",
    [
        "cell._target_=os.system",
        "cell._target_=rnnbench.runs.host.subprocess.run",
        "dataset._target_=rnnbench.store.store.os.remove",
        "optimizer._target_=torch.optim.adam.torch.load",
        "+cell.more={_target_: pathlib.Path.touch, self: {_target_: pathlib.Path}}",
        "+dataset.more=[{_target_: os.system}]",
        "+schedule._target_=os.system",
    ],
)
def test_a_class_of_the_records_own_is_not_made(override, tmp_path):
    """The id fits: whoever writes a record can compute it."""
    job = prepare([*SMALL, override, "tracker=none"])
    assert job.id == run_id(job.config)
    reason = refused(failed(job, shlex.join(["rnnbench", "run", *SMALL, override]), tmp_path / "results"))
    assert "a record's code is not run unasked" in reason


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "${oc.create:{_target_: os.system}}", "${ oc.decode:'{a: 1}'}"])
def test_nothing_is_computed_for_a_record(value, tmp_path):
    command = shlex.join(["rnnbench", "run", *SMALL, f"+cell.more={value}"])
    reason = refused(failed(prepare([*SMALL, "tracker=none"]), command, tmp_path / "results"))
    assert "a value that is to be computed" in reason


@pytest.mark.parametrize(
    "command", ["rnnbench run 'no end", "rnnbench run --config-dir", "", "rm -rf /", "rnnbench run =", "\x00"]
)
def test_a_command_that_is_none_costs_its_run_alone(command, tmp_path):
    job = prepare([*SMALL, "seed=3", "tracker=none"])
    assert refused(failed(job, command, tmp_path / "results"))


def test_no_tracker_of_a_record_is_told_of_the_run(tmp_path):
    job = prepare([*SMALL, "tracker=none"])
    command = shlex.join(["rnnbench", "run", *SMALL, "tracker=wandb", "tracker.mode=online"])
    made, _ = retry.failed_runs(failed(job, command, tmp_path / "results"), None, {"error"})
    assert [each.config["tracker"]["name"] for each in made.jobs] == ["none"]


@pytest.mark.parametrize("override", ["optimizer._target_=torch.optim.RAdam", "cell._target_=rnnbench.nn.GRU"])
def test_a_class_that_is_defined_in_our_rooms_or_among_torchs_optimizers_is_made(override, tmp_path):
    job = prepare([*SMALL, override, "tracker=none"])
    store = failed(job, shlex.join(["rnnbench", "run", *SMALL, override]), tmp_path / "results")
    made, lost = retry.failed_runs(store, None, {"error"})
    assert ([each.id for each in made.jobs], lost) == ([job.id], {})


def test_an_option_that_follows_another_is_still_taken(tmp_path):
    words = (*SMALL, "schedule=onecycle", "schedule.max_lr=${optimizer.lr}")
    job = prepare([*words, "tracker=none"])
    made, lost = retry.failed_runs(
        failed(job, shlex.join(["rnnbench", "run", *words]), tmp_path / "r"), None, {"error"}
    )
    assert ([each.id for each in made.jobs], lost) == ([job.id], {})
