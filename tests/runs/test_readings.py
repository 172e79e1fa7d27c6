"""Users' files are read while runs are planned: once a content, before anything is claimed, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnbench.datasets.base.reading import Reading
from rnnbench.datasets.own import readers, sources
from rnnbench.errors import AxisRefused, BadInput, MissingData
from rnnbench.runs import fields, readings
from rnnbench.runs.plan import prepare
from rnnbench.sweeps.plan import plan

READS = ["dataset=own_series", "tracker=none", "device=cpu"]


@pytest.fixture
def reads(monkeypatch):
    """reads(): how often files were read; what is found is 96 steps."""
    asked = []

    def reading(reader, options):
        asked.append((reader, options["path"]))
        return Reading((f"{options['path']}: read",), ("it is short",), {"input_steps": 96, "horizon": 24})

    readings._kept.clear()
    monkeypatch.setattr(readers, "reading", reading)
    yield asked
    readings._kept.clear()


def table(path: str, text: str = "ds,y\n2024-01-01,1\n") -> str:
    Path(path).write_text(text)
    return path


def test_a_file_is_read_once_with_the_same_options(reads):
    table("a.csv")
    shutil.copy("a.csv", "b.csv")
    table("c.csv", "ds,y\n2024-01-01,2\n")
    made = plan([*READS, "dataset.path=a.csv,b.csv,c.csv", "cell=rnn,lstm,gru", "optimizer.lr=choice(.1,.01)",
                 "seed=range(4)", "dataset.horizon=2,3"])  # fmt: skip
    assert len(made.jobs) == 2 * 3 * 2 * 4 * 2, "a.csv and b.csv are the same data"
    assert sorted(path for _, path in reads) == sorted(["a.csv", "b.csv", "c.csv"] * 2), "two horizons each"
    assert made.readings() == ["a.csv: read", "warning: it is short", "c.csv: read", "warning: it is short"]
    assert len(reads) == 6


def test_of_several_options_what_differs_is_said_behind_what_was_read():
    rows = "".join(f"2024-01-{1 + n // 24:02} {n % 24:02}:00,{n * n % 17}\n" for n in range(30 * 24))
    table("load.csv", f"ds,y\n{rows}")
    table("other.csv", f"ds,y\n{rows}2024-01-31 00:00,3\n")
    made = plan([*READS, "dataset.path=load.csv,other.csv", "dataset.horizon=2,3", "dataset.anchor=last,none"])
    told = made.readings()
    assert [line.split(",")[0].split(" (")[0].split(";")[0] for line in told] == [
        "load.csv: 720 rows", "season 24", "floors on test", "season 24", "floors on test",
        "other.csv: 721 rows", "season 24", "floors on test", "season 24", "floors on test",
    ]  # fmt: skip
    assert ["2 hours of y" in told[1], "3 hours of y" in told[3]] == [True, True]
    for path, said in (("load.csv", told[:5]), ("other.csv", told[5:])):
        alone = plan([*READS, f"dataset.path={path}", "dataset.horizon=2"]).readings()
        assert alone == said[:3], "one reading is said as it is"


def test_what_a_reader_refuses_is_refused_while_it_is_planned(monkeypatch):
    table("load.csv")
    for command in (prepare, plan):
        with pytest.raises(BadInput, match="1 row"):
            command([*READS, "dataset.path=load.csv"])
    with pytest.raises(MissingData, match=r"loads.csv does not exist; did you mean load.csv"):
        plan([*READS, "dataset.path=loads.csv"])
    with pytest.raises(BadInput, match="1 row"):
        plan([*READS, "dataset.path=load.csv"], elsewhere=True)


def test_what_has_to_be_downloaded_is_read_when_it_is_asked_for(reads, monkeypatch, tmp_path):
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path))
    job = prepare([*READS, "dataset.source=etth1"])
    assert readings.of(job.config) is None
    assert not reads
    assert readings.of(job.config, fetch=True) is not None
    assert sources.is_here("co2")
    assert not sources.is_here("etth1")
    assert not sources.is_here("ptb")


def test_a_dataset_without_a_reader_has_no_reading():
    assert readings.of(prepare(["tracker=none"]).config) is None
    assert plan(["seed=0"]).readings() == []


@pytest.mark.parametrize(("steps", "kernel", "layers"), [(1, 7, 1), (13, 7, 1), (14, 7, 2), (37, 7, 2), (96, 7, 4),
                                                         (757, 7, 6), (758, 7, 7), (96, 2, 6), (96, 3, 5)])  # fmt: skip
def test_covering_is_the_least_number_of_layers_that_sees_all(steps, kernel, layers):
    sees = [1 + sum(2 * (kernel - 1) * 2**n for n in range(count)) for count in range(1, 9)]  # two convolutions a block
    assert next(n for n, width in enumerate(sees, 1) if width >= steps) == layers
    assert fields.covering(steps, kernel) == layers
    assert [fields.field(n, kernel) for n in range(1, 9)] == sees


def test_depth_covering_is_a_number_in_config_label_and_id(reads):
    table("load.csv")
    job = prepare([*READS, "dataset.path=load.csv", "cell=tcn", "depth=covering"])
    assert job.config["depth"]["layers"] == job.axes["depth"] == 4
    assert job.axes["label"] == "TCN x4"
    assert job.id == prepare([*READS, "dataset.path=load.csv", "cell=tcn", "depth=4"]).id
    wide = prepare([*READS, "dataset.path=load.csv", "cell=tcn", "cell.kernel_size=3", "depth=covering"])
    assert wide.config["depth"]["layers"] == 5
    lstm = prepare([*READS, "dataset.path=load.csv", "depth=covering"])
    assert lstm.id == prepare([*READS, "dataset.path=load.csv"]).id, "a network with a state sees all"
    assert prepare(["depth=covering"]).id == prepare([]).id
    with pytest.raises(AxisRefused, match="how many steps dataset=digits has is not known"):
        prepare(["cell=tcn", "depth=covering"])


def test_a_field_below_the_input_is_noted(reads):
    table("load.csv")
    made = plan([*READS, "dataset.path=load.csv", "cell=tcn,lstm", "depth=1,2,4", "seed=range(3)"])
    said = [note for note in made.notes() if "depth=" in note]
    assert said == [
        f"cell=tcn depth={depth} sees {sees} of the 96 steps of dataset=own_series; depth=4 sees all of them, and "
        "depth=covering is as many as that takes."
        for depth, sees in ((1, 13), (2, 37))
    ]


@pytest.mark.integration
def test_planning_reads_without_torch():
    table("load.csv", "ds,y\n" + "".join(f"2024-{1 + n // 28:02}-{1 + n % 28:02},{n % 7}\n" for n in range(28 * 12)))
    code = (
        "import json, sys\n"
        "from rnnbench.sweeps.plan import plan\n"
        "words = ['dataset.path=load.csv', 'dataset.freq=1D', 'dataset.missing=forward']\n"
        "made = plan(['experiment=own_series', *words])\n"
        "print(json.dumps([len(made.jobs), made.readings()[0], 'torch' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    jobs, line, torch = json.loads(done.stdout)
    assert (jobs, torch) == (12, False)
    assert line.startswith("load.csv: 336 rows, daily")


def test_a_batch_larger_than_train_is_refused_while_it_is_planned():
    Path("verse.txt").write_text(
        "to be or not to be " * 60
    )  # 1,140 characters: 1,026 of train, of which 1,025 are predicted
    text = ["dataset=own_text", "dataset.path=verse.txt", "cell=gru", "tracker=none", "device=cpu"]
    assert prepare([*text, "budget.batch_size=17"]).id
    with pytest.raises(BadInput, match=r"^train has 17 chunks, fewer than budget.batch_size=18: set .*=17 or less\.$"):
        prepare([*text, "budget.batch_size=18"])
    with pytest.raises(BadInput, match="train has 33 chunks"):
        plan([*text, "dataset.bptt=32", "budget.batch_size=34"])

    rows = "".join(f"{2000 + n},{n % 5}\n" for n in range(100))
    table("years.csv", f"ds,y\n{rows}")
    years = [*READS, "dataset.path=years.csv", "cell=gru", "dataset.input_steps=4", "dataset.horizon=2"]
    windows = 68 - 6 + 1  # of 96 rows beside two gaps train has 96 - 9 - 19
    assert prepare([*years, f"budget.batch_size={windows}"]).id
    with pytest.raises(BadInput, match=f"train has {windows} windows"):
        prepare([*years, f"budget.batch_size={windows + 1}"])
