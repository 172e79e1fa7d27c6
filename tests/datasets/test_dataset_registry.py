"""Every yaml in conf/dataset builds its task, and importing the room stays cheap."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import rnnbench.datasets as datasets
from rnnbench.datasets.base.losses import LOSSES
from rnnbench.datasets.base.metrics import METRICS
from rnnbench.errors import BadInput, MissingData

ROOM = {
    "Adding", "AnBn", "Chomsky", "CopyMemory", "Digits", "Dyck", "JapaneseVowels", "MNIST", "MNIST1D", "MQAR", "Music",
    "Parity", "SelectiveCopy", "TemporalOrder", "Word",
}  # fmt: skip
CONF = Path(__file__).parents[2] / "conf" / "dataset"
FILES = sorted(p for p in CONF.glob("*.yaml") if yaml.safe_load(p.read_text())["_target_"].rpartition(".")[2] in ROOM)


def keywords(config: dict[str, object]) -> dict[str, object]:
    """What a yaml hands to the constructor."""
    return {key: value for key, value in config.items() if key not in ("meta", "_target_")}


def test_the_expected_names_are_there() -> None:
    expected = (
        "adding anbn chomsky copy_memory digits dyck japanese_vowels jsb mnist mnist1d mqar musedata nottingham parity "
        "piano psmnist selective_copy smnist temporal_order word"
    )
    assert {path.stem for path in FILES} >= set(expected.split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_yaml_builds_a_spec_before_any_data(path: Path, cache: Path, offline: None) -> None:
    config = yaml.safe_load(path.read_text())
    package, _, name = config["_target_"].rpartition(".")
    assert package == "rnnbench.datasets"
    make = getattr(datasets, name)
    options = keywords(config)
    assert list(options) == list(inspect.signature(make).parameters), "an option missing here cannot be overridden"
    spec, again = make(**options).spec, make(**options).spec
    assert spec == again
    assert spec.name == config["meta"]["name"] == path.stem
    assert spec.metric == spec.metrics[0]
    assert spec.loss in LOSSES
    assert all(metric in LOSSES or metric in METRICS for metric in spec.metrics)
    assert (spec.target is None) == (spec.target_source == "")
    assert spec.target_source.startswith(("oracle", "perfect accuracy", "published: ")) or spec.target is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_yaml_states_version_download_and_published_budget(path: Path) -> None:
    text = path.read_text()
    meta = yaml.safe_load(text)["meta"]
    assert text.startswith("# ")
    assert isinstance(meta["version"], int)
    assert meta["download"] == "none" or " MB from " in meta["download"]
    assert set(meta["paper"]) == {"updates", "batch_size", "source"}
    assert meta["paper"]["updates"] > 0
    assert meta["paper"]["batch_size"] > 0


@pytest.mark.parametrize("name", ["MNIST", "Music", "JapaneseVowels"])
def test_a_missing_file_is_one_sentence_with_path_and_command(name: str, cache: Path, offline: None) -> None:
    task = getattr(datasets, name)()
    with pytest.raises(MissingData, match="is missing and could not be downloaded") as caught:
        task.load()
    sentence = str(caught.value)
    assert str(cache) in sentence
    assert "curl --create-dirs -fLo" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("Adding", {"dialect": "thirds"}, "dataset.dialect must be one of halves, any; got 'thirds'"),
        ("Adding", {"T": 1}, "dataset.T must be a whole number of at least 2"),
        ("Adding", {"T": "50"}, "got '50'"),
        ("Adding", {"T": True}, "got True"),
        ("Adding", {"train": 0}, "dataset.train must be a whole number of at least 1"),
        ("Adding", {"data_seed": -1}, "dataset.data_seed"),
        ("CopyMemory", {"T": 0}, "dataset.T must be a whole number of at least 1"),
        ("CopyMemory", {"dialect": None}, "one_hot, tcn; got None"),
        ("TemporalOrder", {"T": 19}, "dataset.T must be a whole number of at least 20"),
        ("Parity", {"longest_train": 0}, "dataset.longest_train must be a whole number of at least 1"),
        ("Parity", {"longest_val": 40}, "must rise by at least 1 in length each"),
        ("AnBn", {"longest_test": 32}, "must rise by at least 1 in n each"),
        ("AnBn", {"longest_test": "128"}, "dataset.longest_test must be a whole number"),
        ("Dyck", {"longest_val": 41}, "must rise by at least 2 in length each"),
        ("Dyck", {"kinds": 0}, "dataset.kinds must be a whole number of at least 1"),
        ("Dyck", {"kinds": 5}, "dataset.kinds must be at most 4; got 5"),
        ("Dyck", {"depth": 1}, "dataset.depth must be a whole number of at least 2"),
        ("Digits", {"view": "columns"}, "rows, pixels; got 'columns'"),
        ("MNIST", {"view": "columns"}, "rows, pixels, permuted; got 'columns'"),
        ("MNIST", {"view": "permuted"}, "randomstate_92916, lem_5544, cornn_12008, bit_reversal; got None"),
        ("MNIST", {"view": "rows", "permutation": "lem_5544"}, "needs dataset.view=permuted"),
        ("Music", {"name": "beatles"}, "jsb, nottingham, piano, musedata; got 'beatles'"),
        ("Music", {"chunk": 0}, "dataset.chunk must be a whole number of at least 1"),
        ("JapaneseVowels", {"data_seed": 0.5}, "dataset.data_seed"),
        ("Word", {"group": "a6"}, "dataset.group must be one of s3, z60, a4xz5, a5, s5; got 'a6'"),
        ("Word", {"tokens": "all"}, "elements, generators; got 'all'"),
        ("Word", {"T": 3}, "dataset.T must be a whole number of at least 4"),
        ("MQAR", {"K": 0}, "dataset.K must be a whole number of at least 1"),
        ("MQAR", {"T": 23}, "dataset.T must be a whole number of at least 24 (K pairs and K queries"),
        ("MQAR", {"V": 13}, "dataset.V must be a whole number of at least 14 (K keys, as many values"),
        ("MQAR", {"V": 65}, "dataset.V must be even and at most 32768; got 65"),
        ("MQAR", {"slots": "near"}, "uniform, power; got 'near'"),
        ("MQAR", {"V": 8, "T": 8, "K": 1}, "make 36 different sequences, too few"),
        ("SelectiveCopy", {"L": 0}, "dataset.L must be a whole number of at least 1"),
        ("SelectiveCopy", {"A": 3}, "dataset.A must be a whole number of at least 4 (a filler, a marker, and two"),
        ("SelectiveCopy", {"A": 129}, "dataset.A must be at most 128; got 129"),
        ("SelectiveCopy", {"M": 2}, "make 64 different answers, too few"),
        ("Chomsky", {"dialect": "parity_check"}, "bucket_sort, reverse_string; got 'parity_check'"),
        ("Chomsky", {"longest_val": 19}, "must rise by at least 1 in length each"),
        ("Chomsky", {"dialect": "modular_arithmetic", "longest_val": 21}, "must rise by at least 2 in length each"),
        ("Chomsky", {"longest_val": 20}, "dataset.longest_train must be a whole number of at least 32 (shorter"),
        ("Chomsky", {"longest_train": 40, "longest_test": 40}, "dataset.longest_test must be at least 41, longer"),
        ("MNIST1D", {"data_seed": -1}, "dataset.data_seed must be a whole number of at least 0"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(name: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        getattr(datasets, name)(**options)
    assert sentence in str(caught.value)


def test_options_that_change_the_number_are_in_the_protocol() -> None:
    variants = [
        datasets.Adding(T=60),
        datasets.Adding(T=60, dialect="any"),
        datasets.Adding(T=60, data_seed=1),
        datasets.Adding(T=60, train=7),
        datasets.CopyMemory(T=60),
        datasets.CopyMemory(T=60, dialect="tcn"),
        datasets.Parity(),
        datasets.Parity(longest_test=100),
        datasets.AnBn(),
        datasets.AnBn(longest_train=10),
        datasets.Dyck(),
        datasets.Dyck(kinds=1),
        datasets.Dyck(depth=3),
        datasets.MNIST(view="permuted", permutation="lem_5544"),
        datasets.MNIST(view="permuted", permutation="bit_reversal"),
        datasets.Digits(),
        datasets.Digits(view="pixels"),
        datasets.Digits(data_seed=1),
        datasets.Music(),
        datasets.Music(chunk=50),
        datasets.MNIST1D(),
        datasets.MNIST1D(data_seed=1),
        datasets.Word(),
        datasets.Word(group="a5"),
        datasets.Word(group="a5", tokens="generators"),
        datasets.Word(T=24),
        datasets.MQAR(),
        datasets.MQAR(V=62),
        datasets.MQAR(T=50),
        datasets.MQAR(K=5),
        datasets.MQAR(slots="power"),
        datasets.SelectiveCopy(),
        datasets.SelectiveCopy(L=41),
        datasets.SelectiveCopy(M=7),
        datasets.SelectiveCopy(A=9),
        datasets.Chomsky(),
        datasets.Chomsky(dialect="even_pairs"),
        datasets.Chomsky(longest_train=40, longest_val=40),
        datasets.Chomsky(longest_test=99),
    ]
    names = [(task.spec.name, task.spec.protocol) for task in variants]
    assert len(set(names)) == len(names)


def test_an_unknown_task_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Tetris"):
        datasets.Tetris  # noqa: B018


@pytest.mark.integration
def test_importing_the_room_loads_no_heavy_library() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "import rnnbench.datasets, rnnbench.datasets.base\n"
        "heavy = {'sklearn', 'torchmetrics', 'pooch', 'scipy', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "del sys.modules['torch']\n"
        "for name in rnnbench.datasets._FILES:\n"
        "    getattr(rnnbench.datasets, name)()\n"
        "heavy = {'sklearn', 'torchmetrics', 'pooch', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
