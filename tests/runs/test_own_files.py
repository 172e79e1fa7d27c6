"""Files of the user's in an id: their bytes and no path; what is not declared is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runs_tools import SMALL, store

from rnnbench.errors import BadInput, MissingData
from rnnbench.runs import run as runs
from rnnbench.runs.plan import prepare, reseed
from rnnbench.store.record import entry_id, is_of, run_id
from rnnbench.store.rows import row

FILM = ["dataset=own_frames", "cell=convrnn", "dataset.input_steps=2", "dataset.output_steps=2", "hidden_size=2",
        "budget=smoke", "budget.updates=4", "budget.val_every=2", "budget.batch_size=2", "tracker=none",
        "device=cpu"]  # fmt: skip
READER = """\
from rnnbench.datasets import Digits


class Reader(Digits):
    def __init__(self, path=None, mode="fast", **options):
        super().__init__()
        self.path = path
"""
YAML = """\
meta: {name: reader, version: 1, inputs: features, outputs: sequence, download: none,%s
  paper: {updates: 1, batch_size: 1, source: none}}
_target_: own_reader.Reader
path: null
mode: fast
"""


def film(path: str = "film.npy", *, seed: int = 0) -> str:
    """A small film of bytes."""
    np.save(path, np.random.default_rng(seed).integers(0, 256, (40, 8, 8), dtype=np.uint8))
    return path


@pytest.fixture
def reader(user_dir):
    """reader(files): a dataset of the user's, whose meta says so of its files ("" where it says nothing)."""
    user_dir("own_reader.py", READER)
    return lambda files: user_dir("dataset/reader.yaml", YAML % (f" files: {files}," if files else ""))


def planned(*overrides: str):
    return prepare([*FILM, *overrides])


def test_the_same_bytes_are_one_run_wherever_they_lie():
    first = planned(f"dataset.path={film()}")
    os.makedirs("deep")
    os.rename("film.npy", "deep/other.npy")
    second = planned("dataset.path=deep/other.npy")
    assert second.id == first.id == run_id(second.config)
    assert entry_id(first.config) == entry_id(second.config)
    assert second.config["dataset"]["path"] == "deep/other.npy", "the record says where it lay"
    assert planned(f"dataset.path={os.path.abspath('deep/other.npy')}").id == first.id


def test_changed_bytes_are_another_run_under_one_path():
    first = planned(f"dataset.path={film()}")
    film(seed=1)
    second = planned("dataset.path=film.npy")
    assert second.id != first.id
    assert reseed(second, ["seed=1"], 1).config["dataset"]["meta"] == second.config["dataset"]["meta"]
    film(seed=0)
    assert planned("dataset.path=film.npy").id == first.id


def test_planning_them_needs_no_torch():
    film()
    code = f"import sys; from rnnbench.runs.plan import prepare; prepare({[*FILM, 'dataset.path=film.npy']!r})\n"
    code += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_missing_file_is_said_when_it_is_planned():
    with pytest.raises(MissingData, match=r"^nowhere.npy is missing: set dataset.path to your file\.$"):
        planned("dataset.path=nowhere.npy")


def test_a_film_is_no_folder(tmp_path):
    for folder in ("/", "~", str(tmp_path)):
        with pytest.raises(BadInput, match=r"^dataset.path must name a file, and .* is a folder\.$"):
            planned(f"dataset.path='{folder}'")


def test_the_content_is_said_by_nobody_but_the_files(reader):
    film()
    with pytest.raises(BadInput, match="is not set by hand"):
        planned("dataset.path=film.npy", "+dataset.meta.content={path: x}")
    path = reader("[path]")
    path.write_text(path.read_text().replace("files:", "content: {mode: x}, files:"))
    assert "content" not in prepare([*SMALL, "dataset=reader"]).config["dataset"]["meta"]


def test_a_users_dataset_says_which_options_are_files(reader):
    reader("[path]")
    Path("load.csv").write_text("1,2\n")
    before = prepare([*SMALL, "dataset=reader", "dataset.path=load.csv"])
    Path("load.csv").write_text("1,3\n")
    assert prepare([*SMALL, "dataset=reader", "dataset.path=load.csv"]).id != before.id
    assert json.loads(row({**RECORD, "config": before.config})["files"])["path"][0] == "load.csv"


def test_an_option_that_is_a_file_and_not_declared_is_refused(reader):
    path = reader("")
    Path("load.csv").write_text("1,2\n")
    with pytest.raises(BadInput) as caught:
        prepare([*SMALL, "dataset=reader", "dataset.path=load.csv"])
    assert str(caught.value) == (
        f"dataset.path names the file load.csv, and {path} does not say whether the dataset reads it: write "
        "`files: [path]` under meta, so that its content is part of the id, or `files: []` if it reads none."
    )
    os.mkdir("fast")  # as the option `mode` is called: a folder is no file
    prepare([*SMALL, "dataset=reader"])
    reader("[]")
    prepare([*SMALL, "dataset=reader", "dataset.path=load.csv"])


def test_a_declaration_moves_no_id_of_a_run_that_reads_no_file(reader):
    reader("")
    before = prepare([*SMALL, "dataset=reader"]).id
    for files in ("[]", "[path]"):
        reader(files)
        assert prepare([*SMALL, "dataset=reader"]).id == before


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ("path", "meta.files must be a list of options, e.g. [path], not 'path'"),
        ("[1]", r"meta.files must be a list of options, e.g. [path], not [1]"),
        ("[pth]", "meta.files names 'pth', which is no option of it"),
    ],
)
def test_a_wrong_declaration_is_one_sentence(reader, files, said):
    reader(files)
    with pytest.raises(BadInput) as caught:
        prepare([*SMALL, "dataset=reader"])
    assert str(caught.value).startswith(f"dataset=reader: {said}")


RECORD = {"id": "0" * 12, "status": "ok", "axes": {}, "dataset": {}, "seed": 0, "metrics": {}}


def test_a_thread_count_other_than_one_is_part_of_the_id():
    one, two = prepare(SMALL), prepare([*SMALL, "harness.threads=2"])
    assert one.id == prepare([*SMALL, "harness.threads=1"]).id
    assert one.id == prepare([*SMALL, "harness.timeout=5"]).id
    assert two.id not in (one.id, prepare([*SMALL, "harness.threads=4"]).id)
    assert entry_id(one.config) != entry_id(two.config)
    assert row({**RECORD, "config": two.config})["entry"] == entry_id(two.config)
    assert "harness.threads=2" in two.command
    assert is_of(two.config, two.id)
    assert is_of(two.config, one.id), "as it was called before"
    assert not is_of(one.config, two.id)


def attempted(made, kept):
    return runs.attempt(made, kept)


@pytest.mark.integration
def test_a_run_on_a_film_that_changed_since_it_was_planned_is_refused_and_not_recorded(tmp_path):
    made = planned(f"dataset.path={film()}")
    film(seed=1)
    kept = store(tmp_path / "results")
    with pytest.raises(BadInput, match=r"dataset.path \(film.npy\) has changed since this run was planned"):
        attempted(made, kept)
    assert kept.read(made.id) is None
    film(seed=0)
    assert attempted(made, kept)["status"] == "ok"


@pytest.mark.integration
def test_a_film_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    from rnnbench.datasets import OwnFrames

    made, kept = planned(f"dataset.path={film()}"), store(tmp_path / "results")
    load = OwnFrames.load

    def changing(task):
        data = load(task)
        film(seed=1)
        return data

    monkeypatch.setattr(OwnFrames, "load", changing)
    with pytest.raises(BadInput, match="has changed since this run was planned"):
        attempted(made, kept)
    assert kept.read(made.id) is None


@pytest.mark.integration
def test_equal_films_meet_under_one_protocol_and_others_do_not(tmp_path):
    kept = store(tmp_path / "results")
    first = attempted(planned(f"dataset.path={film()}"), kept)
    film("renamed.npy")
    second = attempted(planned("dataset.path=renamed.npy", "seed=1"), kept)
    third = attempted(planned(f"dataset.path={film('other.npy', seed=1)}"), kept)
    assert first["dataset"] == second["dataset"]
    assert "film" not in first["dataset"]["protocol"]
    assert first["dataset"]["protocol"] != third["dataset"]["protocol"]
    rows = [row(record) for record in (first, second, third)]
    assert [each["entry"] == rows[0]["entry"] for each in rows] == [True, True, False]
    assert [each["task"] == rows[0]["task"] for each in rows] == [True, True, False]
