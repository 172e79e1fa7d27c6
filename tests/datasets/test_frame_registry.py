"""Every yaml of a frame task builds it, with a spec before any data."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import yaml

import rnnbench.datasets as datasets
from rnnbench.datasets.base.losses import LOSSES
from rnnbench.datasets.film.metrics import known
from rnnbench.datasets.film.task import FrameTask

CONF = Path(__file__).parents[2] / "conf" / "dataset"
FILES = [path for path in sorted(CONF.glob("*.yaml")) if yaml.safe_load(path.read_text())["meta"]["inputs"] == "frames"]


def test_the_expected_names_are_there() -> None:
    expected = {"moving_digits", "moving_mnist", "moving_mnist_shi", "moving_mnist_pp", "radar", "own_frames"}
    assert {path.stem for path in FILES} >= expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_yaml_builds_a_spec_before_any_data(path: Path, cache: Path, offline: None) -> None:
    text = path.read_text()
    config = yaml.safe_load(text)
    make = getattr(datasets, config["_target_"].rpartition(".")[2])
    meta = config["meta"]
    options = {key: value for key, value in config.items() if key not in ("meta", "_target_")}
    assert list(options) == list(inspect.signature(make).parameters), "an option missing here cannot be overridden"
    if "path" in options:
        np.save(cache / "film.npy", np.zeros((120, 16, 16), np.uint8))
        options["path"] = str(cache / "film.npy")
    task = make(**options)
    spec = task.spec
    assert isinstance(task, FrameTask)
    assert spec == make(**options).spec
    assert spec.name == meta["name"] == path.stem
    assert (spec.inputs, spec.outputs) == (meta["inputs"], meta["outputs"]) == ("frames", "frames")
    assert spec.frame_shape is not None
    assert spec.input_size == spec.output_size == spec.frame_shape[0]
    assert spec.metric == spec.metrics[0]
    assert spec.loss in LOSSES
    assert all(known(metric) for metric in spec.metrics)
    assert (spec.target is None) == (spec.target_source == "")
    assert task.steps == spec.input_steps + spec.output_steps
    assert text.startswith("# ")
    assert isinstance(meta["version"], int)
    assert meta["download"] == "none" or " MB from " in meta["download"]
    assert set(meta["paper"]) == {"updates", "batch_size", "source"}


def test_options_that_change_the_number_are_in_the_protocol(cache: Path) -> None:
    from rnnbench.datasets import MovingDigits, MovingMNIST, MovingMNISTPP, OwnFrames, Radar

    np.save(cache / "film.npy", np.zeros((200, 16, 16), np.uint8))
    film = str(cache / "film.npy")
    variants = [
        *(MovingDigits(**o) for o in ({}, {"size": 40}, {"digits": 1}, {"speed": [1, 3]}, {"input_steps": 9})),
        *(MovingDigits(**o) for o in ({"data_seed": 1}, {"test": 9}, {"loss": "bce_sequence"})),
        *(MovingMNIST(**o) for o in ({}, {"protocol": "shi2015"}, {"test_set": "official"}, {"val": 9})),
        *(MovingMNIST(**o) for o in ({"output_steps": 9}, {"data_seed": 1})),
        *(MovingMNISTPP(**o) for o in ({}, {"images": "hko7"}, {"train": 9}, {"data_seed": 1})),
        *(Radar(**o) for o in ({}, {"crop": 32}, {"stride": 2}, {"scale": "mm"}, {"input_steps": 4})),
        *(OwnFrames(film, **o) for o in ({}, {"stride": 2}, {"input_steps": 4}, {"loss": "bce_sequence"})),
        *(OwnFrames(film, **o) for o in ({"low": -1, "high": 255},)),
    ]
    names = [(task.spec.name, task.spec.protocol) for task in variants]
    assert len(set(names)) == len(names)
