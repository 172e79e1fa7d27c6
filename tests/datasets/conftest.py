"""Helpers of the dataset tests: exact evaluation, files in a temporary cache folder, real data where it is present."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch import Tensor

import rnnbench.datasets as datasets
from rnnbench.datasets.base.fetch import RemoteFile
from rnnbench.datasets.base.spec import Batch, Split
from rnnbench.datasets.base.task import Task

Evaluate = Callable[..., dict[str, float]]


@pytest.fixture
def evaluate() -> Evaluate:
    """evaluate(task, split, predict, batch_size=100): the metrics of predict(batch) over the split."""

    def run(task: Task, split: Split, predict: Callable[[Batch], Tensor], batch_size: int = 100) -> dict[str, float]:
        metrics = task.metrics()
        for index in torch.arange(split.size).split(batch_size):
            batch = task.batch(split, index)
            metrics.update(predict(batch), batch)
        return metrics.compute()

    return run


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder that RNNBENCH_DATA names."""
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def store(cache: Path) -> Callable[[str, str, bytes], RemoteFile]:
    """store(folder, name, content): put a file into the cache folder and describe it with its true checksum."""

    def put(folder: str, name: str, content: bytes) -> RemoteFile:
        path = cache / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return RemoteFile(folder, name, hashlib.sha256(content).hexdigest(), (f"http://localhost/{name}",))

    return put


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails as it does without a network."""

    def refuse(*args: object, **kwargs: object) -> str:
        raise ConnectionError("no network in tests")

    monkeypatch.setattr("pooch.retrieve", refuse)


@pytest.fixture
def need(offline: None) -> Callable[..., None]:
    """need(file, ...): skip the test unless RNNBENCH_DATA holds these files; nothing is ever downloaded."""

    def check(*files: RemoteFile) -> None:
        if not os.environ.get("RNNBENCH_DATA"):
            pytest.skip("RNNBENCH_DATA is not set")
        for file in files:
            if not file.path.exists():
                pytest.skip(f"RNNBENCH_DATA lacks {file.folder}/{file.name}")

    return check


@pytest.fixture
def make_shipped(offline: None, tmp_path: Path) -> Callable[[Path], Task]:
    """make_shipped(path): the task of a yaml in conf/dataset, small where it is generated; own_frames gets a small
    film, own_series a small table, own_sequences labelled noise, own_text a short text. Nothing is ever downloaded."""

    def make(path: Path) -> Task:
        config = yaml.safe_load(path.read_text())
        options = {key: value for key, value in config.items() if key not in ("meta", "_target_")}
        small = {"train": 60, "val": 20, "test": 20}
        options |= {key: value for key, value in small.items() if key in options}
        if path.stem == "own_frames":
            np.save(tmp_path / "film.npy", np.zeros((120, 16, 16), np.uint8))
            options["path"] = str(tmp_path / "film.npy")
        if path.stem == "own_series":
            hours = pd.date_range("2024-01-01", periods=400, freq="h")
            pd.DataFrame({"ds": hours, "y": np.sin(np.arange(400))}).to_csv(tmp_path / "load.csv", index=False)
            options["path"] = str(tmp_path / "load.csv")
        if path.stem == "own_sequences":
            x = np.random.default_rng(0).normal(size=(60, 7, 2))
            np.savez(tmp_path / "labelled.npz", x=x, y=np.arange(60) % 3)
            options["path"] = str(tmp_path / "labelled.npz")
        if path.stem == "own_text":
            (tmp_path / "novel.txt").write_text("It was the best of times. " * 40)
            options["path"] = str(tmp_path / "novel.txt")
        task: Task = getattr(datasets, config["_target_"].rpartition(".")[2])(**options)
        return task

    return make
