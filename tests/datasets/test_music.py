"""Polyphonic music: shift, padding, chunks, floors against a literal count; the real files where they are present."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from scipy.io import savemat

from rnnbench.datasets import Music, data_hash, music
from rnnbench.datasets.base.spec import Batch


def rolls(rng: np.random.Generator, lengths: list[int]) -> np.ndarray:
    out = np.empty((1, len(lengths)), object)
    for i, length in enumerate(lengths):
        out[0, i] = (rng.random((length, 88)) < rng.random(88) * 0.4).astype(np.uint8)
    return out


@pytest.fixture
def tiny(store, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {
        "traindata": rolls(rng, [9, 30, 17]),
        "validdata": rolls(rng, [5, 8]),
        "testdata": rolls(rng, [12, 4, 7]),
    }
    stream = io.BytesIO()
    savemat(stream, arrays)
    monkeypatch.setitem(music.FILES, "jsb", store("polymusic", "JSB_Chorales.mat", stream.getvalue()))
    return arrays


def test_the_target_is_the_next_frame(tiny: dict[str, np.ndarray]) -> None:
    task = Music()
    assert task.spec.causal
    data = task.load()
    for split, part in zip(data, tiny.values(), strict=True):
        batch = task.batch(split, torch.arange(split.size))
        assert batch.lengths is not None
        assert batch.x.dtype == batch.y.dtype == torch.float32
        for x, y, length, roll in zip(batch.x, batch.y, batch.lengths.tolist(), part[0], strict=True):
            assert length == len(roll) - 1
            assert np.array_equal(x[:length].numpy(), roll[:-1])
            assert np.array_equal(y[:length].numpy(), roll[1:])
    assert data.train.x.untyped_storage().data_ptr() == data.train.y.untyped_storage().data_ptr()


@pytest.mark.parametrize("steps", [1, 4, 8, 16, 100])
def test_chunks_keep_every_pair_of_frames_once_and_cut_training_only(steps: int, tiny: dict[str, np.ndarray]) -> None:
    whole, cut = Music().load(), Music(chunk=steps).load()
    assert cut.train.lengths is not None
    assert int(cut.train.lengths.min()) >= 1
    assert int(cut.train.lengths.max()) <= steps
    assert cut.train.lengths.sum() == whole.train.lengths.sum()
    assert torch.equal(cut.test.x, whole.test.x)
    assert torch.equal(cut.val.y, whole.val.y)
    assert np.array_equal(music.transitions(cut.train), music.transitions(whole.train))


def literal_floors(train: list[np.ndarray], test: list[np.ndarray]) -> dict[str, float]:
    a = 0.25
    markov, marginal, frames = 0.0, 0.0, 0
    for key in range(88):
        count = {(b, n): a for b in (0, 1) for n in (0, 1)}
        on = off = a
        for roll in train:
            for before, now in zip(roll[:-1, key], roll[1:, key], strict=True):
                count[int(before), int(now)] += 1
                on, off = on + now, off + 1 - now
        for roll in test:
            for before, now in zip(roll[:-1, key], roll[1:, key], strict=True):
                markov -= math.log(count[int(before), int(now)] / (count[int(before), 0] + count[int(before), 1]))
                marginal -= math.log((on if now else off) / (on + off))
    frames = sum(len(roll) - 1 for roll in test)
    return {"marginals": marginal / frames, "markov1": markov / frames}


def test_floors_equal_a_literal_count(tiny: dict[str, np.ndarray]) -> None:
    task = Music()
    expected = literal_floors(list(tiny["traindata"][0]), list(tiny["testdata"][0]))
    assert task.floors(task.load()) == pytest.approx(expected, rel=1e-12)


def markov_logits(task: Music, data, batch: Batch) -> torch.Tensor:
    counts = torch.from_numpy(music.transitions(data.train)) + music.PSEUDOCOUNT
    logits = (counts[:, 1] / counts[:, 0]).log()  # 2 88, by what the key did before
    return torch.where(batch.x.bool(), logits[1], logits[0]).float()


def test_the_markov_predictor_scores_its_floor(tiny: dict[str, np.ndarray], evaluate) -> None:
    task = Music()
    data = task.load()
    values = [evaluate(task, data.test, lambda batch: markov_logits(task, data, batch), size) for size in (1, 2, 3)]
    for value in values:
        assert value["nll_frame"] == pytest.approx(task.floors(data)["markov1"], rel=1e-6)


PUBLISHED = {"jsb": (11.09, 10.49), "nottingham": (10.26, 5.15), "musedata": (11.51, 8.56), "piano": (11.05, 8.27)}
REAL = {
    "jsb": ((229, 76, 77), "ee041d6af3d39f83"),
    "nottingham": ((694, 173, 170), "760a0e4b7206dc7c"),
    "piano": ((87, 12, 25), "545dbf3abb276343"),
    "musedata": ((524, 135, 124), "7bd96965b645d9a7"),
}


@pytest.mark.integration
@pytest.mark.data
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_real_files_reproduce_the_known_floors(name: str, need) -> None:
    need(music.FILES[name])
    task = Music(name=name)
    data = task.load()
    sizes, expected = REAL[name]
    assert tuple(split.size for split in data) == sizes
    floors = task.floors(data)
    assert (round(floors["marginals"], 2), round(floors["markov1"], 2)) == PUBLISHED[name]
    assert data_hash(data) == expected


@pytest.mark.data
def test_the_markov_predictor_on_real_data(need, evaluate) -> None:
    need(music.FILES["jsb"])
    task = Music()
    data = task.load()
    value = evaluate(task, data.test, lambda batch: markov_logits(task, data, batch), 20)
    assert value["nll_frame"] == pytest.approx(10.4901, abs=1e-3)
