"""Floors kept beside the data: equal to the bit, computed once, and never taken for those of something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from rnnbench.datasets import MovingDigits
from rnnbench.datasets.base import kept_floors
from rnnbench.datasets.film import task as frames

OPTIONS = {"size": 16, "input_steps": 3, "output_steps": 2, "train": 12, "val": 4, "test": 40}


@pytest.fixture
def counted(cache: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every floor table that is computed, by its protocol; floors are kept from 40 clips on."""
    monkeypatch.setattr(frames, "KEPT_FROM", 40)
    seen: list[str] = []
    table = MovingDigits.floor_table
    monkeypatch.setattr(
        MovingDigits, "floor_table", lambda task, *args: seen.append(task.spec.protocol) or table(task, *args)
    )
    return seen


def floors(**options: object) -> dict[str, float]:
    task = MovingDigits(**OPTIONS | options)
    return dict(task.floors(task.load()))


def test_floors_are_computed_once_and_equal_to_the_bit(counted: list[str], cache: Path) -> None:
    first, second = floors(), floors()
    assert first == second
    assert set(first) == {"black", "last", "mean", "mean_input"}
    assert len(counted) == 1
    (file,) = (cache / "floors").iterdir()
    assert json.loads(file.read_text())["of"]["dataset"] == "moving_digits"


def test_other_data_protocol_metric_or_set_up_has_floors_of_its_own(
    counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [floors(), floors(data_seed=1), floors(loss="bce_sequence"), floors(speed=(0.5, 0.6))]
    assert len({tuple(f.values()) for f in found}) == len(counted) == 4
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    floors()
    monkeypatch.setattr(kept_floors, "_source", lambda file: "edited")
    floors()
    assert len(counted) == 6


def test_a_damaged_file_is_computed_anew(counted: list[str], cache: Path) -> None:
    right = floors()
    (file,) = (cache / "floors").iterdir()
    content = json.loads(file.read_text())
    damaged = [
        "{", "[]", "3", json.dumps(content | {"floors": {}}), json.dumps(content | {"floors": {"black": None}}),
        json.dumps(content | {"of": {}}), json.dumps(content | {"floors": {"black": float("nan")}}),
    ]  # fmt: skip
    for text in damaged:
        file.write_text(text)
        assert floors() == right
        assert json.loads(file.read_text()) == content
    assert len(counted) == 1 + len(damaged)


def test_where_nothing_can_be_written_floors_are_computed(counted: list[str], cache: Path) -> None:
    (cache / "floors").write_text("a file where the folder should be")
    assert floors() == floors()
    assert len(counted) == 2
    assert [path.name for path in cache.iterdir()] == ["floors"]


def test_a_task_typed_into_a_prompt_keeps_nothing(
    counted: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MovingDigits, "__module__", "builtins")
    assert floors() == floors()
    assert len(counted) == 2
    assert not (cache / "floors").exists()


def test_few_clips_are_quicker_computed(counted: list[str], cache: Path) -> None:
    floors(test=39)
    assert not (cache / "floors").exists()
