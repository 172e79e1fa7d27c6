"""What a run on frames keeps of its predictions, and how it is made again from its weights."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_runs_frames import TINY

import rnnbench
from rnnbench.cli import main
from rnnbench.datasets import MovingDigits, Radar
from rnnbench.datasets.base.shown import Shown
from rnnbench.datasets.film import shown
from rnnbench.errors import BadInput
from rnnbench.runs import build
from rnnbench.runs import run as run_module
from rnnbench.runs import samples as kept
from rnnbench.store.samples import FILE, Classes, Scale, Steps, Values, dumps, read
from rnnbench.store.store import Store
from rnnbench.training.evaluate import evaluate

SMALL = ("cell=convlstm", *TINY)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished run with peepholes and the loss on logits: (store, record). Tests put back what they take."""
    folder = tmp_path_factory.mktemp("done")
    return Store.open(folder), rnnbench.run([*SMALL, "dataset.loss=bce_sequence", "peephole=on"], results=folder)


@pytest.mark.integration
def test_a_run_keeps_what_its_best_weights_predict(done):
    store, record = done
    found = read(store.folder(record["id"]) / FILE)
    task = build.make_task(record["config"])
    batch = task.batch(task.load().test, torch.tensor([0, 2, 4, 6]))
    model = rnnbench.load_model(record["id"], results=store.root.parent)
    with torch.inference_mode():
        predicted = model(batch.x).sigmoid()
    assert (found.run, found.scale, found.clips.tolist()) == (record["id"], Scale("plain", 1.0), [0, 2, 4, 6])
    for name, frames in {"input": batch.x, "truth": batch.y, "prediction": predicted}.items():
        assert np.abs(getattr(found, name) / 255 - frames.numpy()).max() <= 0.5 / 255 + 1e-6, name
    assert found.prediction.std() > 0


@pytest.mark.integration
def test_samples_are_made_again_to_the_byte(done):
    store, record = done
    path = store.folder(record["id"]) / FILE
    before, threads = path.read_bytes(), torch.get_num_threads()
    path.unlink()
    assert kept.make(store, record["id"][:6]) == path
    assert path.read_bytes() == before
    path.unlink()
    assert kept.make_missing(store, [record["id"]]) == {}
    assert path.read_bytes() == before
    assert torch.get_num_threads() == threads


@pytest.mark.integration
def test_a_rollout_keeps_the_coming_frames_only(tmp_path):
    record = rnnbench.run(["cell=stlstm", "depth=2", "forecast.sampling.mode=scheduled", *TINY], results=tmp_path)
    found = read(Store.open(tmp_path).folder(record["id"]) / FILE)
    assert (found.input.shape, found.prediction.shape) == ((4, 3, 1, 16, 16), (4, 2, 1, 16, 16))


@pytest.mark.integration
def test_a_run_that_cannot_keep_samples_keeps_its_record(tmp_path, monkeypatch, capsys):
    def full(*args):
        raise OSError("disk full")

    monkeypatch.setattr(kept, "write_atomic", full)
    record = rnnbench.run(SMALL, results=tmp_path)
    assert record["status"] == "ok"
    store = Store.open(tmp_path)
    assert store.read(record["id"]) == json.loads(json.dumps(record))
    assert not (store.folder(record["id"]) / FILE).exists()
    assert f"run {record['id']} keeps no samples.npz (OSError: disk full)" in capsys.readouterr().err


@pytest.mark.integration
def test_what_cannot_be_made_is_one_sentence(done, tmp_path):
    _, record = done
    store = Store.open(tmp_path)
    folder = store.write(record).parent
    (said,) = kept.make_missing(store, [record["id"]]).values()
    assert said.endswith(f"move {folder} away and make the run again: {record['command']}")
    (folder / "best.pt").write_bytes((done[0].folder(record["id"]) / "best.pt").read_bytes())
    changed = record | {"dataset": record["dataset"] | {"data_hash": "feedc0de"}}
    store.record_path(record["id"]).write_text(json.dumps(changed))
    with pytest.raises(BadInput, match="was tested on other data than there is now"):
        kept.make(store, record["id"])
    smaller = record | {"config": record["config"] | {"hidden_size": 3}}
    store.record_path(record["id"]).write_text(json.dumps(smaller))
    (said,) = kept.make_missing(store, [record["id"]]).values()
    assert "cannot be loaded by this version of rnnbench (RuntimeError:" in said
    assert not (folder / FILE).exists()


@pytest.mark.integration
def test_the_command_shows_an_older_run_from_its_weights(done, capsys, tmp_path, monkeypatch):
    store, record = done
    path, words = store.folder(record["id"]) / FILE, ("--results", str(store.root.parent))
    path.unlink()
    assert main(["frames", record["id"], *words, "-o", "here", "--clips", "1"]) == 0
    assert capsys.readouterr().out == "written: here/moving_digits.png, here/moving_digits.gif\n"
    assert path.exists()
    weights = path.with_name("best.pt")
    for old in (path, weights):
        old.rename(old.with_suffix(".away"))
    assert main(["frames", record["id"], *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("rnnbench: ")
    assert said.endswith(f"make the run again: {record['command']}\n")
    for old in (path, weights):
        old.with_suffix(".away").rename(old)


@pytest.mark.integration
@pytest.mark.parametrize(("dataset", "kind"), [("digits", Classes), ("adding", Values), ("anbn", Steps)])
def test_every_run_keeps_samples_of_the_one_pass_over_test(tmp_path, monkeypatch, dataset, kind):
    passes = []

    def counted(model, task, split, **how):
        passes.append(split.size)
        return evaluate(model, task, split, **how)

    monkeypatch.setattr(run_module, "evaluate", counted)
    small = ["dataset.train=40", "dataset.val=10", "dataset.test=30", "dataset.T=6"] if dataset == "adding" else []
    words = ["cell=rnn", f"dataset={dataset}", "budget=smoke", "budget.updates=2", "hidden_size=4", *small]
    record = rnnbench.run(words, results=tmp_path)
    store = Store.open(tmp_path)
    path = store.folder(record["id"]) / FILE
    before, found = path.read_bytes(), read(path)
    assert len(passes) == 1, "test is gone through once"
    assert isinstance(found, kind)
    if isinstance(found, Classes):
        assert found.counts.sum() == passes[0]
        assert np.trace(found.counts) / found.counts.sum() == pytest.approx(record["metrics"]["test/accuracy"])
    path.unlink()
    assert kept.make(store, record["id"]).read_bytes() == before
    assert dumps(rnnbench.predictions(record["id"], results=tmp_path)) == before


def test_a_watch_that_fails_never_ends_the_pass():
    task, test = digits()

    class Broken(Shown):
        def see(self, index, batch, prediction):
            raise RuntimeError("too much")

    monkey = type("Task", (), {"shown": lambda self, test: Broken()})()
    watch = kept.Watch(monkey, test)
    watch.see(torch.tensor([0]), task.batch(test, torch.tensor([0])), torch.zeros(1))
    with pytest.raises(RuntimeError, match="too much"):
        watch.samples("a", None)


# scales, without a run


class Still(torch.nn.Module):
    """Predicts its last input frame, times a factor, for ever."""

    def __init__(self, steps, factor=1.0):
        super().__init__()
        self.steps, self.factor = steps, factor

    def forward(self, x, lengths=None, future=None):
        return self.factor * x[:, -1:].expand(-1, self.steps, -1, -1, -1)


def digits(test=9, **options):
    task = MovingDigits(size=16, input_steps=3, output_steps=2, train=8, val=4, test=test, **options)
    return task, task.load().test


def test_clips_are_spread_over_test_and_the_model_is_left_as_it_was():
    task, test = digits()
    model = Still(2).train()
    found = kept.take(model, task, test, run="a")
    assert found.clips.tolist() == [0, 2, 4, 6]
    assert model.training
    assert np.array_equal(found.prediction, np.repeat(found.input[:, -1:], 2, axis=1))
    task, test = digits(test=2)
    assert kept.take(model, task, test, run="a").clips.tolist() == [0, 1]


def test_of_large_frames_fewer_clips_are_kept(monkeypatch):
    task, test = digits()
    monkeypatch.setattr(shown, "MOST_VALUES", 2 * 7 * 256)
    assert len(kept.take(Still(2), task, test, run="a").clips) == 2
    monkeypatch.setattr(shown, "MOST_VALUES", 1)
    assert len(kept.take(Still(2), task, test, run="a").clips) == 1


def test_what_lies_outside_of_the_scale_is_held_at_its_end():
    task, test = digits()
    assert kept.take(Still(2, 100.0), task, test, run="a").prediction.max() == 255
    assert kept.take(Still(2, -1.0), task, test, run="a").prediction.max() == 0
    assert kept.take(Still(2, math.nan), task, test, run="a").prediction.max() == 0


def test_frames_brighter_than_one_keep_their_shades():
    task, _ = digits()
    assert shown.scale_of(task, torch.tensor([0.0, 0.9])) == Scale("plain", 1.0)
    scale = shown.scale_of(task, torch.tensor([0.0, 1 / 0.6]))
    assert scale.top == pytest.approx(1 / 0.6)
    assert shown.as_bytes(task, scale, torch.tensor([1 / 0.6, 1.0])).tolist() == [255, 153]


@pytest.mark.parametrize("loss", ["mse_frames", "bce_sequence"])
def test_logits_are_shown_as_the_frames_that_are_scored(loss):
    task, test = digits(loss=loss)
    found = kept.take(Still(2, 3.0), task, test, run="a")
    last = task.batch(test, torch.from_numpy(found.clips)).x[:, -1] * 3
    frames = last.sigmoid() if loss == "bce_sequence" else last.clamp(0, 1)
    assert np.array_equal(found.prediction[:, 0], (frames * 255).round().to(torch.uint8).numpy())


def test_rain_is_kept_on_one_scale_whatever_the_network_saw():
    rate = torch.tensor([0.0, 0.5, 12.0, 119.0])  # mm/h
    log, mm = Radar(scale="log"), Radar(scale="mm")
    scale = shown.scale_of(log, rate)
    assert scale == shown.scale_of(mm, rate) == Scale("rain", 120.0, 5.0)
    one = shown.as_bytes(log, scale, torch.log1p(rate) / math.log1p(120))
    two = shown.as_bytes(mm, scale, rate / 12)
    assert one.tolist() == two.tolist()
    back = np.expm1(one.numpy() / 255 * math.log1p(120))
    assert back == pytest.approx(rate.numpy(), rel=0.02, abs=0.02)
    assert replace(scale, top=1.0) != scale
