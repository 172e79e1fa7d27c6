"""A caller's own data: read before anything is trained, and handed over from memory as the file that it equals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rnnbench
from rnnbench.errors import BadInput, MissingData
from rnnbench.face.handed import handed, in_file
from rnnbench.runs.plan import prepare

OPTIONS = ["dataset.input_steps=48", "dataset.horizon=12", "tracker=none", "device=cpu"]


def frame(rows: int = 400) -> pd.DataFrame:
    hours = np.arange(rows)
    times = pd.date_range("2024-01-01", periods=rows, freq="h")
    return pd.DataFrame({"date": times, "load": np.sin(hours / 4) + 0.01 * (hours % 7), "temp": hours % 24 / 3.0})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Files of these tests lie in a folder of their own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load():
    frame().to_csv("load.csv", index=False)
    return "load.csv"


def test_a_file_is_read_as_what_it_looks_like(load):
    found = rnnbench.read_data(load, input_steps=48, horizon=12)
    assert (found.dataset, found.facts["input_steps"], found.facts["horizon"]) == ("own_series", 48, 12)
    assert found.lines[0].startswith("load.csv: 400 rows, hourly")
    assert found.command == (
        "rnnbench sweep experiment=own_series dataset.path=load.csv dataset.input_steps=48 dataset.horizon=12"
    )
    assert found.frame.set_index("fact")["value"]["season"] == "24"
    planned = rnnbench.plan(found.command.removeprefix("rnnbench sweep "))
    assert planned.todo == 12
    assert any(line.startswith("load.csv: 400 rows") for line in planned.remarks)


def test_the_command_has_a_batch_that_train_can_fill():
    Path("verse.txt").write_text("to be or not to be " * 60)
    assert rnnbench.read_data("verse.txt").command == (
        "rnnbench sweep experiment=own_text dataset.path=verse.txt budget.batch_size=17"
    )
    assert rnnbench.read_data("verse.txt", bptt=32).command.endswith(" dataset.bptt=32"), "33 chunks for 32 streams"
    planned = rnnbench.plan(rnnbench.read_data("verse.txt").command.removeprefix("rnnbench sweep "))
    assert planned.todo == 12


def test_it_can_be_read_as_another_and_says_so(load):
    with pytest.raises(BadInput, match=r"none is called id: dataset.id= names yours\.$"):
        rnnbench.read_data(load, dataset="own_sequences")
    Path("q.csv").write_text("id,x,label\nq1,1,a\n")
    with pytest.raises(BadInput, match=r"read as dataset=own_sequences; another: dataset=own_series or dataset=own_t"):
        rnnbench.read_data("q.csv")


def test_what_cannot_be_read_is_one_sentence(load):
    with pytest.raises(MissingData, match=r"^loads.csv does not exist; did you mean load.csv\?$"):
        rnnbench.read_data("loads.csv")
    with pytest.raises(BadInput, match="name a file, or a dataset"):
        rnnbench.read_data()
    with pytest.raises(BadInput, match="read by a run alone: rnnbench run dataset=digits"):
        rnnbench.read_data(dataset="digits")
    with pytest.raises(BadInput, match="no column 'laod'"):
        rnnbench.read_data(load, target="laod")


def test_a_frame_is_the_run_of_the_equal_file():
    data = frame()
    data.to_parquet("load.parquet", index=False)
    by_file = prepare(["dataset=own_series", "dataset.path=load.parquet", *OPTIONS])
    planned = rnnbench.plan(*[[word] for word in OPTIONS], data=data)
    assert planned.frame["id"].tolist() == [by_file.id]
    assert rnnbench.plan(OPTIONS, data=data.set_index("date")).frame["id"].tolist() == [by_file.id]
    assert rnnbench.plan(OPTIONS, data=Path("load.parquet")).frame["id"].tolist() == [by_file.id]
    path, dataset = in_file(data)
    assert dataset == "own_series"
    before = Path(path).stat()
    assert in_file(data)[0] == path
    assert Path(path).stat().st_mtime_ns == before.st_mtime_ns, "it is never written again"
    data.loc[5, "load"] += 1
    assert in_file(data)[0] != path


def test_arrays_and_texts_have_files_of_their_kind():
    x, y = np.zeros((6, 4, 2)), np.array(list("ababab"), dtype=object)
    path, dataset = in_file({"y": y, "x": x})
    assert (dataset, Path(path).suffix) == ("own_sequences", ".npz")
    with np.load(path, allow_pickle=False) as held:
        assert (held["x"].shape, held["y"].tolist()) == ((6, 4, 2), list("ababab"))
    assert in_file({"x": x, "y": y})[0] == path
    path, dataset = in_file(["It was late,", "and größe."])
    assert (dataset, Path(path).read_text(encoding="utf-8")) == ("own_text", "It was late,\nand größe.")
    assert in_file("It was late,\nand größe.") == (path, dataset)
    assert in_file("novel.txt") == ("novel.txt", None)


def test_the_dataset_is_taken_from_the_words_where_they_name_one():
    data = frame()
    assert "dataset=own_series" in handed([], data)
    for named in ("dataset=own_sequences", "experiment=own_sequences"):
        assert not any("own_series" in word for word in handed([named], data))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (3, r"^data is a path, a DataFrame, arrays by name .* not 'int'\.$"),
        ([1, 2], "not 'list'"),
        ({"x": [[1], [1, 2]]}, r"data\['x'\] is no array"),
        ({"x": np.array([[1], "a"], dtype=object)}, r"data\['x'\] holds objects"),
        ({}, "data holds no array"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' stands twice"),
        (pd.DataFrame({"a": [1, "b"]}), "cannot be written as Parquet"),
        (pd.DataFrame({("a", "b"): [1]}), "must have texts as names"),
        (["a\ud800b\n"], "half a character"),
        ("nowhere.csv", r"^nowhere.csv is missing"),
    ],
)
def test_other_data_is_one_sentence(data, said):
    with pytest.raises(BadInput, match=said):
        rnnbench.plan(data=data)


def test_two_names_for_the_data_are_refused(load):
    with pytest.raises(BadInput, match="both name the data"):
        rnnbench.sweep("dataset.path=load.csv", data=frame())


@pytest.mark.integration
def test_reading_from_the_command_line_loads_no_torch(load, tmp_path):
    Path("a=b (1).csv").write_bytes(Path("load.csv").read_bytes())
    commands = [
        ["load.csv", "horizon=12", "input_steps=48", "--format", "json"],
        ["a=b (1).csv", "dataset.horizon=12", "input_steps=48"],
        ["laod.csv"],
    ]
    code = (
        "import json, sys; from rnnbench.cli import main\n"
        "for words in json.loads(sys.argv[1]): print(main(['data', *words]), 'torch' in sys.modules, end='\\0')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)], capture_output=True, text=True, check=True
    )
    first, second, third = (said.splitlines() for said in done.stdout.split("\0")[:3])
    assert first[-1] == second[-1] == "0 False"
    assert json.loads("\n".join(first[:-1]))["dataset"] == "own_series"
    assert second[0].startswith("a=b (1).csv: 400 rows")
    assert second[-3].startswith("read as dataset=own_series (it is a table); another: dataset=own_sequences")
    assert second[-2].startswith("next: rnnbench sweep experiment=own_series 'dataset.path=")
    assert third == ["2 False"]
    assert done.stderr == "rnnbench: laod.csv does not exist; did you mean load.csv?\n"


@pytest.mark.integration
def test_a_sweep_of_a_frame_is_ranked_with_its_floors(tmp_path):
    found = rnnbench.sweep(
        OPTIONS, "cell=rnn budget.updates=4 budget.val_every=2 hidden_size=4 backend=eager", data=frame(),
        results=tmp_path, workers=1,
    )  # fmt: skip
    assert found.ok, found.failures.to_dict()
    assert any("400 rows, hourly" in remark for remark in found.remarks)
    board = rnnbench.leaderboard(results=tmp_path).frame
    assert {"floor: last", "floor: mean", "fitted: linear", "RNN h=4"} <= set(board["label"])
    (record,) = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/record.json")]
    assert record["dataset"]["reading"]["lines"] == list(found.remarks[:3]), "what was said is what is kept"
