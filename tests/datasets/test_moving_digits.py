"""The embedded moving digits: splits, determinism, drawing, floors, options."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from rnnbench.datasets import MovingDigits, data_hash
from rnnbench.datasets.film.sprites import UNIT
from rnnbench.datasets.moving_digits import digit_splits, enlarged_digits
from rnnbench.errors import BadInput

SMALL = {"train": 50, "val": 20, "test": 30}
# The data that published numbers stand on: a change here is a new `version` in conf/dataset/.
HASH, PIXELS = "e53192a54ab2f2eb", "9abce25198db0354"
SCRIPT = """
import hashlib, torch
from rnnbench.datasets import MovingDigits, data_hash
torch.set_num_threads(1)
task = MovingDigits(train=50, val=20, test=30)
data = task.load()
batch = task.batch(data.test, torch.arange(30))
print(data_hash(data), hashlib.sha256(batch.x.numpy().tobytes() + batch.y.numpy().tobytes()).hexdigest()[:16])
"""


@pytest.mark.integration
def test_the_data_and_its_drawing_are_the_same_in_every_process() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == [HASH, PIXELS]
    assert data_hash(MovingDigits(**SMALL).load()) == HASH


def test_the_hash_sees_pictures_parameters_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    from rnnbench.datasets import moving_digits

    hashes = {data_hash(MovingDigits(**SMALL, data_seed=seed).load()) for seed in (0, 1)}
    with monkeypatch.context() as patch:
        patch.setattr(moving_digits, "RENDER_VERSION", 99)
        hashes.add(data_hash(MovingDigits(**SMALL).load()))
    changed = enlarged_digits(16)
    changed[0, 0, 0] ^= 1
    monkeypatch.setattr(moving_digits, "enlarged_digits", lambda side: changed)
    hashes.add(data_hash(MovingDigits(**SMALL).load()))
    assert len(hashes) == 4


def test_the_splits_show_different_images() -> None:
    data = MovingDigits().load()
    assert [split.size for split in data] == [100_000, 200, 400]
    shown = [set(split.x[..., 0].flatten().tolist()) for split in data]
    assert not shown[0] & shown[1]
    assert not shown[0] & shown[2]
    assert not shown[1] & shown[2]
    assert len(shown[0]) == 1077
    parts = digit_splits(0)
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(1797))
    starts = {tuple(clip) for split in data for clip in split.x[:200, :, 1:].flatten(1).tolist()}
    assert len(starts) == 600


def test_a_split_does_not_move_with_the_size_of_another() -> None:
    small, large = MovingDigits(**SMALL).load(), MovingDigits(**SMALL | {"train": 70, "test": 40}).load()
    assert torch.equal(small.val.x, large.val.x)
    assert torch.equal(small.test.x, large.test.x[:30])
    assert torch.equal(small.train.x, large.train.x[:50])


def test_batches_do_not_depend_on_their_company() -> None:
    task = MovingDigits(**SMALL)
    split = task.load().train
    whole = task.batch(split, torch.arange(50))
    assert whole.x.shape == whole.y.shape == (50, 10, 1, 32, 32)
    assert whole.lengths is None
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    for size in (1, 7, 50):
        for index in order.split(size):
            batch = task.batch(split, index)
            assert torch.equal(batch.x, whole.x[index])
            assert torch.equal(batch.y, whole.y[index])


def test_frames_show_whole_digits_where_the_path_says() -> None:
    task = MovingDigits(digits=1, **SMALL)
    split = task.load().val
    batch = task.batch(split, torch.arange(20))
    frames = torch.cat([batch.x, batch.y], 1).mul(255).round().to(torch.uint8)[:, :, 0]
    images = torch.from_numpy(enlarged_digits(16))
    for clip, (number, y, x, vy, vx) in zip(frames, split.x[:, 0].tolist(), strict=True):
        for t, frame in enumerate(clip):
            at = []
            for p, v in ((y, vy), (x, vx)):
                p = (p + v * t) % (32 * UNIT)
                at.append((16 * UNIT - abs(p - 16 * UNIT)) // UNIT)
            seen = frame[at[0] : at[0] + 16, at[1] : at[1] + 16]
            assert torch.equal(seen, images[number])
            assert frame.long().sum() == images[number].long().sum()


def test_values_and_sizes() -> None:
    task = MovingDigits(size=48, input_steps=4, output_steps=6, digits=3, **SMALL)
    spec = task.spec
    assert (spec.frame_shape, spec.input_steps, spec.output_steps) == ((1, 48, 48), 4, 6)
    batch = task.batch(task.load().test, torch.arange(30))
    assert batch.x.shape == (30, 4, 1, 48, 48)
    assert batch.y.shape == (30, 6, 1, 48, 48)
    assert batch.x.dtype == torch.float32
    assert float(batch.x.min()) == 0
    assert 0.9 < float(batch.x.max()) <= 1


def test_enlarging_keeps_an_unenlarged_digit_and_a_flat_one() -> None:
    images, _ = load_digits(return_X_y=True)
    assert np.array_equal(enlarged_digits(8).reshape(-1, 64), np.rint(images * 255 / 16))
    large = enlarged_digits(16).astype(float)
    assert large.shape == (1797, 16, 16)
    small = np.rint(images.reshape(-1, 8, 8) * 255 / 16)
    # bilinear at even factors: a corner keeps its pixel; two pixels' border is 3:1 and 1:3 between them
    assert np.array_equal(large[:, 0, 0], small[:, 0, 0])
    exact = images.reshape(-1, 8, 8) * 255 / 16
    assert abs(large[:, 0, 1] - (0.75 * exact[:, 0, 0] + 0.25 * exact[:, 0, 1])).max() <= 0.5
    assert (
        abs(
            large[:, 8, 7]
            - (np.array([[0.25, 0.75]] * 1797)[:, :, None] * exact[:, 3:5, 3:5] * [0.75, 0.25]).sum((1, 2))
        ).max()
        <= 0.5
    )


def test_floors_and_perfect_predictions(evaluate) -> None:
    task = MovingDigits(**SMALL)
    data = task.load()
    floors = task.floors(data)
    for name, value in floors.items():
        scored = evaluate(task, data.test, lambda batch, name=name: task.floor_predictions(batch)[name], 7)
        assert scored["mse_sum"] == pytest.approx(value)
    assert floors["mean"] < floors["black"]
    perfect = evaluate(task, data.test, lambda batch: batch.y)
    assert perfect["mse_sum"] == 0
    assert perfect["ssim"] == pytest.approx(1)
    assert perfect["psnr_frame"] == 100


def test_logits_track(evaluate) -> None:
    task = MovingDigits(loss="bce_sequence", **SMALL)
    assert task.spec.metric == task.spec.metrics[0] == "bce_sequence"
    data = task.load()
    scored = evaluate(task, data.test, lambda batch: torch.logit(batch.y, 1e-6))
    assert scored["mse_sum"] < 1e-3
    assert scored["loss"] == pytest.approx(scored["bce_sequence"], rel=1e-5)
    assert scored["bce_sequence"] < task.floors(data)["mean"]
    assert torch.allclose(task.frames(torch.zeros(2, 10, 1, 32, 32)), torch.tensor(0.5))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 8}, "dataset.size must be a whole number of at least 16"),
        ({"digits": 0}, "dataset.digits must be a whole number of at least 1"),
        ({"output_steps": 0}, "dataset.output_steps"),
        ({"speed": [2.0, 1.0]}, "dataset.speed must be [low, high] with 0 <= low <= high <= 100"),
        ({"speed": 2.0}, "dataset.speed must be [low, high]"),
        ({"speed": [float("nan"), 1.0]}, "dataset.speed must be [low, high]"),
        ({"loss": "mse"}, "dataset.loss must be one of mse_frames, bce_sequence; got 'mse'"),
        ({"train": 0}, "dataset.train"),
        ({"data_seed": -1}, "dataset.data_seed"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        MovingDigits(**options)
    assert sentence in str(caught.value)
