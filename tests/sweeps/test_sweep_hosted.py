"""What a process on another machine holds, and how executors are asked for."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import subprocess
import sys

import pytest
from sweeping import TINY, comparable, sweep, until

from rnnbench.errors import BadInput
from rnnbench.runs import attempts, registry
from rnnbench.runs.plan import prepare
from rnnbench.store.store import Store
from rnnbench.sweeps.executors import make_executor
from rnnbench.sweeps.executors.base import Ended, Executor, Running
from rnnbench.sweeps.executors.hosted import Host, Place, take_options
from rnnbench.sweeps.executors.local import Pool


def test_a_host_that_sees_the_store_has_no_complaint(tmp_path):
    place = Place.here(tmp_path / "results")
    assert place.results.is_absolute()
    assert place.complaint() is None
    place.clear()
    place.clear()
    assert list(place.results.iterdir()) == []


def test_a_host_without_the_store_says_so(tmp_path):
    place = dataclasses.replace(Place.here(tmp_path / "results"), results=tmp_path / "another")
    assert "does not see the store" in place.complaint()


def test_a_host_with_other_source_or_without_the_users_configs_says_so(tmp_path, lab):
    place = Place.here(tmp_path)
    assert place.config_dirs == tuple(map(str, registry.extra_dirs()))
    assert "another rnnbench" in dataclasses.replace(place, source="0" * 12).complaint()
    assert "nowhere" in dataclasses.replace(place, config_dirs=("/nowhere",)).complaint()


def test_options_are_read_as_their_defaults_types():
    known = {"cpus": 1, "mem": 4.0, "partition": None}
    assert take_options("slurm", {"cpus": "3", "partition": "gpu"}, known) == {
        "cpus": 3, "mem": 4.0, "partition": "gpu",
    }  # fmt: skip
    with pytest.raises(BadInput, match=r"no option 'cpu'; did you mean cpus"):
        take_options("slurm", {"cpu": "3"}, known)
    with pytest.raises(BadInput, match="mem=much is no float"):
        take_options("slurm", {"mem": "much"}, known)


def test_an_executor_is_named_and_told_its_options(tmp_path):
    with pytest.raises(BadInput, match="unknown executor 'rai'"):
        make_executor("rai", 1, tmp_path)
    with pytest.raises(BadInput, match="--executor local has no option 'address'"):
        make_executor("local", 1, tmp_path, address="auto")
    for option in ("name", "size", "results"):  # of Python's own, not of the executor
        with pytest.raises(BadInput, match=f"--executor local has no option '{option}'"):
            make_executor("local", 1, tmp_path, **{option: "x"})


@pytest.mark.parametrize(("name", "library", "extra"), [("ray", "ray", "ray"), ("slurm", "submitit", "slurm")])
def test_a_library_that_is_not_installed_is_named_with_the_command(monkeypatch, tmp_path, name, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(BadInput) as caught:
        make_executor(name, 1, tmp_path / "results")
    assert f'pip install "rnnbench[{extra}]"' in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_a_ray_cluster_is_not_joined_without_a_token(monkeypatch, tmp_path):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(BadInput, match="joined with its token"):
        make_executor("ray", 1, tmp_path, address="127.0.0.1:6379")


def test_importing_the_executors_imports_neither_library():
    code = "import sys; from rnnbench.sweeps.executors import ray, slurm; print({'ray', 'submitit'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def answer_of(host):
    while (answer := host.poll(1.0)) is None:
        pass
    return answer


@pytest.fixture
def host(monkeypatch, tmp_path):
    main = sys.modules["__main__"]
    kept = dict(vars(main))
    place = Place.here(tmp_path / "results")
    made = Host(place)
    yield made
    made.close()
    vars(main).update({name: kept.get(name) for name in ("__file__", "__spec__")})


@pytest.mark.integration
def test_a_run_of_a_host_is_a_local_run(host, tmp_path):
    host.start(prepare([*TINY, "cell=lstm", "tracker=none"]))
    assert host.busy
    answer = answer_of(host)
    assert (answer.word, answer.exit_code, host.busy) == ("ok", 0, False)
    assert sweep(*TINY, "cell=lstm", results=tmp_path / "local").exit_code == 0
    assert comparable(host.place.results) == comparable(tmp_path / "local")


@pytest.mark.integration
def test_a_death_is_noted_where_it_happened(lab, host):
    job = prepare([*TINY, "cell=dying", "cell.after=3", "cell.how=kill", "tracker=none"])
    host.start(job)
    answer = answer_of(host)
    assert answer.word == "died"
    assert "SIGKILL" in answer.sentence
    assert attempts.deaths(Store.open(host.place.results).folder(job.id)) == 1


@pytest.mark.integration
def test_a_kill_by_the_sweep_is_no_death_of_the_run(lab, host):
    job = prepare([*TINY, "cell=dying", "cell.after=9", "cell.how=hang", "tracker=none"])
    folder = Store.open(host.place.results).folder(job.id)
    for tries in (1, 2):
        host.start(job)
        until(lambda tries=tries: len(attempts.look(folder)) == tries and (folder / "config.yaml").exists())
        host.kill()
        assert answer_of(host).word == "died"
    assert attempts.deaths(folder) == 0
    assert [seen.status for seen in attempts.look(folder)] == ["interrupted"] * 2


@pytest.mark.integration
def test_a_run_that_loses_its_machine_is_put_back_and_its_deaths_are_not_counted(monkeypatch, tmp_path):
    lost = []

    class Losing(Pool):
        def poll(self, seconds):
            for ended in super().poll(seconds):
                if len(lost) < 4:
                    lost.append(ended.job.id)
                    (self.results / "runs" / ended.job.id / "record.json").unlink()
                    yield dataclasses.replace(ended, word="lost", sentence="its node is gone")
                else:
                    yield ended

    monkeypatch.setattr("rnnbench.sweeps.sweep.make_executor", lambda name, size, results, **own: Losing(size, results))
    result = sweep(*TINY, "cell=rnn", results=tmp_path, workers=1)
    assert result.exit_code == 0
    assert len(lost) == 4  # more than a run may die
    (record,) = result.records.values()
    assert json.loads(json.dumps(record))["status"] == "ok"


class Nowhere(Executor):
    """Loses every run at once."""

    size = 1

    def __init__(self):
        self.taken = []

    @property
    def running(self):
        return self.taken

    def submit(self, job):
        self.taken.append(Running(job))

    def poll(self, seconds):
        while self.taken:
            yield Ended(self.taken.pop().job, "lost", "its node is gone", None, 0.0)

    def cancel(self, reason, running=None, *, prune=False):
        pass

    def kill(self, running=None):
        pass


class Terminated(Nowhere):
    """A SIGTERM reaches the whole group, and the worker has ended before the sweep looks."""

    def poll(self, seconds):
        signal.raise_signal(signal.SIGTERM)
        while self.taken:
            yield Ended(self.taken.pop().job, "interrupted", "SIGTERM received at update 3", 0, 0.0)


def test_a_signal_that_ends_the_last_worker_first_has_interrupted_the_sweep(monkeypatch, tmp_path):
    """As of an sbatch script's step; its exit code says whether to go on later."""
    monkeypatch.setattr("rnnbench.sweeps.sweep.make_executor", lambda *_, **own: Terminated())
    result = sweep(*TINY, "cell=rnn", results=tmp_path, workers=1)
    assert (result.exit_code, list(result.open.values())) == (130, ["SIGTERM received at update 3"])


def test_a_run_that_every_machine_loses_is_left_open(monkeypatch, tmp_path):
    monkeypatch.setattr("rnnbench.sweeps.sweep.make_executor", lambda *_, **own: Nowhere())
    said = io.StringIO()
    result = sweep(*TINY, "cell=rnn", results=tmp_path, workers=1, said=said)
    assert result.exit_code == 1
    assert not result.records
    assert list(result.open.values()) == ["lost its machine 10 times; at last its node is gone"]
    assert said.getvalue().count("it goes on elsewhere") == 9
