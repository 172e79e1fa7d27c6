"""What a run makes of its data: said before training, refused before training, and never `ok` where test is NaN."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from runs_tools import job, outcomes, store

from rnnbench.cli import main
from rnnbench.datasets.digits import Digits
from rnnbench.errors import BadInput
from rnnbench.runs import run as runs

pytestmark = pytest.mark.integration
UPDATES = ("budget.updates=2", "budget.val_every=2")


def changed(part, **values):
    """Digits.load with other values in one split."""
    load = Digits.load

    def changed_load(self):
        data = load(self)
        return data._replace(**{part: getattr(data, part)._replace(**values)})

    return changed_load


def test_what_was_read_is_said_once_before_training(tmp_path, capsys):
    made = job(*UPDATES)
    runs.attempt(made, store(tmp_path / "told"), told=True)
    assert capsys.readouterr().err == "digits: 1,077/360/360 sequences of 8 steps, 8 features\n"
    runs.attempt(made, store(tmp_path / "not told"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("part", "values", "sentence"),
    [
        ("test", {"x": torch.full((360, 8, 8), torch.nan)}, "dataset digits, test, sequence 0, step 0, channel 0"),
        ("train", {"y": torch.full((1077,), 11)}, "dataset digits, train, sequence 0: the class is 11"),
        ("val", {"lengths": torch.zeros(360, dtype=torch.int64)}, "dataset digits, val, sequence 0 has the length 0"),
    ],
)
def test_data_that_cannot_be_meant_is_refused_before_training(tmp_path, monkeypatch, part, values, sentence):
    monkeypatch.setattr(Digits, "load", changed(part, **values))
    made, kept = job(*UPDATES), store(tmp_path)
    with pytest.raises(BadInput, match=sentence):
        runs.attempt(made, kept)
    assert outcomes(kept.folder(made.id)) == ["refused"]
    assert kept.read(made.id) is None


def test_a_test_split_that_turns_out_to_be_nan_is_never_ok(tmp_path, monkeypatch):
    """Where only `batch` makes it so, in a sequence that no check has looked at."""
    batch = Digits.batch

    def batch_with_nan(self, split, index):
        made = batch(self, split, index)
        hit = (index == 100) & (split.x.data_ptr() == self.test_x)
        return made._replace(x=torch.where(hit[:, None, None], torch.nan, made.x))

    load = Digits.load

    def noted(self):
        data = load(self)
        self.test_x = data.test.x.data_ptr()
        return data

    monkeypatch.setattr(Digits, "load", noted)
    monkeypatch.setattr(Digits, "batch", batch_with_nan)
    record = runs.attempt(job(*UPDATES), store(tmp_path))
    assert (record["status"], record["reason"]) == ("diverged", "the test loss is not finite at update 2")


def test_a_batch_larger_than_the_training_split_is_refused_with_the_option(tmp_path):
    with pytest.raises(BadInput, match=r"digits has 1,077 training .* set budget.batch_size=1077 or less"):
        runs.attempt(job("budget.batch_size=1078", *UPDATES), store(tmp_path))
    words = ("dataset=anbn", "dataset.longest_train=4", "dataset.longest_val=6", "dataset.longest_test=8")
    assert runs.attempt(job(*words, *UPDATES), store(tmp_path))["status"] == "ok", "all words that there are"


def test_the_command_refuses_scrambled_axes_and_says_what_it_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("clips.npy", np.random.default_rng(0).integers(0, 256, (10, 8, 16, 16, 3), dtype=np.uint8))
    words = [
        "run", "cell=convlstm", "dataset=own_frames", "dataset.path=clips.npy", "dataset.input_steps=2",
        "dataset.output_steps=2", "hidden_size=2", "budget=smoke", "budget.batch_size=4", "tracker=none", *UPDATES,
    ]  # fmt: skip
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "which would be read as 10 clips of 8 frames, 16 channels, 16x3 (NTCHW), but may be 10 clips of" in said
    assert main([*words, "dataset.layout=NTHWC"]) == 0
    said = capsys.readouterr().err
    assert (
        said == "own_frames: 10 clips of 8 frames, 3 channels, 16x16, values 0..255; 30/10/10 windows of 2 + 2 frames\n"
    )
