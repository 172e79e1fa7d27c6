"""Absurd sizes: refused in words when planned, before anything is allocated; sizes of every day are not."""

import time

import pytest
import torch

from rnnbench.cli import main
from rnnbench.errors import BadInput
from rnnbench.nn import LSTM, SequenceModel, build_stack
from rnnbench.runs import build, demand
from rnnbench.runs.plan import prepare
from rnnbench.runs.run import attempt
from rnnbench.store.store import Store
from rnnbench.sweeps.plan import plan
from rnnbench.sweeps.search.definition import define

FRAMES = ["cell=convlstm", "dataset=moving_digits"]
ABSURD = [
    (["depth.layers=100000000000000000"], "depth.layers=100,000,000,000,000,000 is more than the 10,000 layers"),
    (["hidden_size=100000000"], "hidden_size=100000000 and depth.layers=1 needs at least 160 PB of memory"),
    (["params=1000000000000000000"], "params=1000000000000000000 needs at least 16 EB of memory"),
    (["params=1000000000000M"], "params=1000000000000000000 needs"),
    (["dataset=adding", "dataset.T=1000000000000"], "dataset.T=1000000000000 needs at least"),
    (["dataset=adding", "dataset.train=1000000000000"], "dataset.train=1000000000000 needs"),
    (["dataset=anbn", "dataset.longest_test=1000000000000"], "dataset.longest_test=1000000000000 needs"),
    (["dataset=parity", "dataset.longest_test=1000000000"], "dataset.test=2000 and dataset.longest_test=1000000000"),
    (["budget.batch_size=1000000000000"], "budget.batch_size=1000000000000 needs"),
    (["encoder=cnn", "encoder_size=100000000"], "encoder_size=100000000 needs"),
    (["cell=mlp", "cell.window=1000000000000"], "hidden_size=64 and cell.window=1000000000000 needs"),
    (["cell=tcn", "cell.kernel_size=10000000000"], "cell.kernel_size=10000000000 needs"),
    (["cell=transformer", "cell.feedforward=10000000000"], "cell.feedforward=10000000000 needs"),
    (["cell=mogrifier", "cell.rank=1000000000"], "cell.rank=1000000000 and cell.rounds=5 needs"),
    (["cell=transformer", "cell.heads=100000000"], "hidden_size=64 and cell.heads=100000000 needs"),
    ([*FRAMES, "cell.operator.kernel_size=1000001"], "cell.operator.kernel_size=1000001 needs"),
    ([*FRAMES, "cell.operator.input_kernel_size=1000001"], "cell.operator.input_kernel_size=1000001 needs"),
    ([*FRAMES, "dataset.size=10000000"], "budget.batch_size=50 and dataset.input_steps=10 and dataset.output_steps=10"),
    ([*FRAMES, "dataset.input_steps=1000000000"], "dataset.input_steps=1000000000"),
    ([*FRAMES, "forecast.sizes=[16,100000000]"], "forecast.sizes=[16, 100000000] needs"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def a_machine_of_24_gb(monkeypatch):
    monkeypatch.setattr(demand, "memory", lambda: 24 * 10**9)


@pytest.mark.parametrize(("overrides", "said"), ABSURD)
def test_an_absurd_size_is_one_sentence_at_once(overrides, said):
    began = time.process_time()
    with pytest.raises(BadInput) as caught:
        prepare([*overrides, "device=cpu"])
    assert said in str(caught.value)
    assert "24 GB" in str(caught.value) or "depth.layers" in said
    assert "\n" not in str(caught.value)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("command", ["run", "plan", "sweep"])
def test_every_command_says_it_with_exit_code_2(command, tmp_path, capsys):
    words = [command, "hidden_size=100000000", "device=cpu", "--results", str(tmp_path / "r")]
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["hidden_size=4096"], ["params=100M"], ["depth.layers=300"], ["dataset=adding", "dataset.T=5000"],
        ["dataset=smnist", "hidden_size=1024", "budget.batch_size=512"],
        [*FRAMES, "hidden_size=256", "dataset.size=128"],
    ],
)  # fmt: skip
def test_sizes_of_every_day_pass(overrides):
    assert prepare([*overrides, "device=cpu"]).id


def test_a_gpu_is_not_held_to_the_memory_beside_it():
    assert prepare(["hidden_size=100000", "device=cuda"]).id
    with pytest.raises(BadInput, match=r"needs at least 160 PB of memory, no machine has; "):
        prepare(["hidden_size=100000000", "device=cuda"])


LARGE = ["hidden_size=100000", "device=cpu"]  # for a machine of 24 GB, and not for all there are


def test_runs_of_other_machines_are_held_to_what_no_machine_has():
    assert plan(LARGE, elsewhere=True).jobs[0].id
    for absurd, said in (("hidden_size=100000000", "no machine has"), ("depth.layers=100000", "that can be built")):
        with pytest.raises(BadInput, match=said):
            plan(["device=cpu", absurd], elsewhere=True)


def test_an_executor_of_other_machines_is_not_held_to_this_ones_memory(tmp_path, capsys):
    words = [*LARGE, "--results", str(tmp_path / "r")]
    assert main(["sweep", *words, "--dry-run"]) == 2
    assert main(["sweep", *words, "--dry-run", "--executor", "slurm"]) == 0
    assert main(["sweep", *words, "--dry-run", "--executor", "ray"]) == 0
    capsys.readouterr()


def test_a_search_of_other_machines_is_not_held_to_this_ones_memory():
    words = ["device=cpu", "hidden_size=100000,200000"]
    with pytest.raises(BadInput, match="this machine has 24 GB"):
        define(words)
    search = define(words, elsewhere=True)
    assert search.job(search.studies[0], 0, {"hidden_size": 1}).config["hidden_size"] == 200_000


def test_the_machine_that_does_a_run_asks_again(tmp_path):
    """As refused, which leaves the run open: another machine may have the memory."""
    job = prepare(LARGE, elsewhere=True)
    store = Store.open(tmp_path)
    with pytest.raises(BadInput, match="this machine has 24 GB"):
        attempt(job, store)
    assert store.read(job.id) is None


def test_the_very_network_is_counted_before_it_is_allocated(monkeypatch):
    """Between the least that any network takes, and what this one does."""
    config = prepare(["hidden_size=600", "device=cpu", "depth=3"]).config
    task = build.make_task(config)
    with torch.device("meta"):
        network = SequenceModel(torch.nn.Identity(), build_stack(LSTM, 8, 600, layers=3), head="last", output_size=10)
    weights = sum(p.numel() for p in network.parameters())
    monkeypatch.setattr(demand, "memory", lambda: 16 * weights - 1)
    with pytest.raises(BadInput, match=rf"^a network of {weights:,} parameters needs at least "):
        build.make_model(config, task)
    monkeypatch.setattr(demand, "memory", lambda: 16 * weights)
    assert build.make_model(config, task)


def test_a_sweep_stays_quick():
    began = time.process_time()
    job = prepare(["device=cpu", *FRAMES])
    for _ in range(1000):
        demand.check(job.config)
    assert time.process_time() - began < 2
    assert len(plan(["device=cpu", "hidden_size=8,16"]).jobs) == 2


@pytest.mark.parametrize(
    ("count", "said"),
    [(5, "5 B"), (24 * 10**9, "24 GB"), (3_200_000_000_000, "3.2 TB"), (10**18, "1 EB"), (1500, "1.5 kB")],
)
def test_bytes_as_people_say_them(count, said):
    assert demand.amount(count) == said
