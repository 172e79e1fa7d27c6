"""Users' sequences while a run is planned: a test set that is found beside counts, and so does a whole folder."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from rnnbench.errors import BadInput
from rnnbench.runs import own_files
from rnnbench.runs.plan import prepare

SMALL = ("dataset=own_sequences", "cell=gru", "hidden_size=2", "budget=smoke", "budget.batch_size=4", "tracker=none")


def cases(path: Path, count: int, shift: int = 0) -> str:
    rows = [f"{n + shift},{n},{2 * n}:{'ab'[n % 2]}" for n in range(count)]
    path.write_text("\n".join(["@classLabel true a b", "@data", *rows]))
    return str(path)


def test_the_test_set_beside_a_training_set_is_a_part_of_the_id(tmp_path: Path) -> None:
    train = cases(tmp_path / "A_TRAIN.ts", 16)
    test = cases(tmp_path / "A_TEST.ts", 6, 100)
    found = prepare([*SMALL, f"dataset.path={train}"])
    assert found.config["dataset"]["test_path"] == test
    assert set(found.config["dataset"]["meta"]["content"]) == {"path", "test_path"}
    named = prepare([*SMALL, f"dataset.path={train}", f"dataset.test_path={test}"])
    assert named.id == found.id
    cases(tmp_path / "A_TEST.ts", 7, 100)
    assert prepare([*SMALL, f"dataset.path={train}"]).id != found.id
    with pytest.raises(BadInput, match=r"dataset\.test_path .* has changed since this run was planned"):
        own_files.check(found.config)


def test_a_folder_of_recordings_is_known_by_all_that_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "sounds"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for n in range(12):
        with wave.open(str(folder / f"{n}.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(rng.integers(-99, 99, 300).astype("<i2").tobytes())
    (folder / "labels.csv").write_text("file,label\n" + "".join(f"{n}.wav,{'ab'[n % 2]}\n" for n in range(12)))
    first = prepare([*SMALL, f"dataset.path={folder}"])
    folder.rename(tmp_path / "moved")
    assert prepare([*SMALL, f"dataset.path={tmp_path / 'moved'}"]).id == first.id
    (tmp_path / "moved" / "labels.csv").write_text((tmp_path / "moved" / "labels.csv").read_text() + "\n")
    assert prepare([*SMALL, f"dataset.path={tmp_path / 'moved'}"]).id != first.id
