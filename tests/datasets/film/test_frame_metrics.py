"""Every metric of frames against literal loops, for every batch size; losses; what a diverged network shows."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnbench.datasets import MovingDigits
from rnnbench.datasets.base.losses import LOSSES
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.film.metrics import FRAME_METRICS, known, picture_metrics, structural_similarity
from rnnbench.datasets.film.task import FrameTask

N, T, C, H, W = 5, 3, 2, 13, 16
SPEC = MovingDigits().spec
PICTURES = ("mse_sum", "mse_pixel", "mae_sum", "ssim", "ssim_openstl", "psnr_frame", "bce_sequence")
RAIN = ("mse_mm", "csi_0.5", "pod_0.5", "far_0.5", "csi_2", "pod_2", "far_2", "csi_30", "pod_30", "far_30")


class Films(FrameTask):
    """Stored random frames; rain is twice a frame's value, in mm per 5 min."""

    def __init__(self, **changes: object) -> None:
        shape = {"frame_shape": (C, H, W), "input_steps": 4, "output_steps": T, "metrics": PICTURES}
        self.spec: TaskSpec = dataclasses.replace(SPEC, **(shape | changes))

    def read(self) -> Data:
        generator = torch.Generator().manual_seed(0)
        splits = [Split(torch.rand(N, 4 + T, C, H, W, generator=generator), torch.zeros(N, 0)) for _ in range(3)]
        return Data(*splits)

    def batch(self, split: Split, index: torch.Tensor) -> Batch:
        return self.cut(split.x[index])

    def rain(self, frames: torch.Tensor) -> torch.Tensor:
        return frames * 2


@pytest.fixture(scope="module")
def pair() -> tuple[Batch, torch.Tensor]:
    """A batch, and a prediction that partly leaves [0, 1]; one frame is exact."""
    task = Films()
    batch = task.batch(task.load().test, torch.arange(N))
    noise = torch.randn(batch.y.shape, generator=torch.Generator().manual_seed(1))
    prediction = batch.y + 0.2 * noise
    prediction[1, 2] = batch.y[1, 2]
    return batch, prediction


def run(task: FrameTask, batch: Batch, prediction: torch.Tensor, size: int) -> dict[str, float]:
    metrics = task.metrics()
    for index in torch.arange(len(prediction)).split(size):
        metrics.update(prediction[index], Batch(batch.x[index], batch.y[index]))
    return metrics.compute()


def gaussian() -> NDArray[np.float64]:
    one = np.array([math.exp(-((i - 5) ** 2) / (2 * 1.5**2)) for i in range(11)])
    window = np.outer(one, one)
    return window / window.sum()


def literal_ssim(
    x: NDArray[np.float64], y: NDArray[np.float64], window: NDArray[np.float64], L: float, n1: bool
) -> float:
    """One channel, window by window, by the formula of Wang et al. 2004."""
    k, values = len(window), []
    n = k * k
    for top in range(x.shape[0] - k + 1):
        for left in range(x.shape[1] - k + 1):
            a, b = x[top : top + k, left : left + k], y[top : top + k, left : left + k]
            ma, mb = (window * a).sum(), (window * b).sum()
            unbiased = n / (n - 1) if n1 else 1
            va, vb = unbiased * (window * (a - ma) ** 2).sum(), unbiased * (window * (b - mb) ** 2).sum()
            cov = unbiased * (window * (a - ma) * (b - mb)).sum()
            c1, c2 = (0.01 * L) ** 2, (0.03 * L) ** 2
            values.append((2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    return float(np.mean(values))


def literal(frames: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    """Every metric of pictures, clip by clip, frame by frame."""
    found: dict[str, list[float]] = {name: [] for name in PICTURES}
    for clip, target in zip(frames, y, strict=True):
        nats = 0.0
        for frame, truth in zip(clip, target, strict=True):
            error = frame - truth
            found["mse_sum"].append((error**2).sum())
            found["mse_pixel"].append((error**2).mean())
            found["mae_sum"].append(abs(error).sum())
            shown = np.clip(frame, 0, 1)
            mse = ((shown - truth) ** 2).mean()
            found["psnr_frame"].append(100.0 if mse == 0 else 20 * math.log10(1 / math.sqrt(mse)))
            for c in range(C):
                found["ssim"].append(literal_ssim(shown[c], truth[c], gaussian(), 1.0, False))
                found["ssim_openstl"].append(literal_ssim(shown[c], truth[c], np.full((7, 7), 1 / 49), 2.0, True))
            p = np.clip(frame, 1e-6, 1 - 1e-6)
            nats += -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).sum()
        found["bce_sequence"].append(nats)
    return {name: float(np.mean(values)) for name, values in found.items()}


def test_every_picture_metric_equals_the_literal_one_for_every_batch_size(pair) -> None:
    batch, prediction = pair
    expected = literal(prediction.double().numpy(), batch.y.double().numpy())
    assert set(expected) == set(picture_metrics(H, W)) == set(FRAME_METRICS) - {"mse_mm"}
    for size in (1, 2, 5):
        values = run(Films(), batch, prediction, size)
        assert values.pop("loss") == pytest.approx(expected["mse_pixel"], rel=1e-6)
        assert values == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert list(values) == list(PICTURES)


def test_ssim_in_single_precision_is_as_good_as_in_double(pair) -> None:
    batch, _ = pair
    x, y = torch.zeros_like(batch.y) + 0.001 * batch.y, batch.y * (batch.y > 0.97)  # nearly black: variances cancel
    taps = torch.full((7,), 1 / 7, dtype=torch.float64)
    for data_range in (1.0, 2.0):
        one = structural_similarity(x, y, taps.float(), data_range, sample=True)
        two = structural_similarity(x.double(), y.double(), taps, data_range, sample=True)
        assert torch.allclose(one.double(), two, atol=1e-6, rtol=0)


def test_logits_are_scored_as_frames_and_by_their_exact_cross_entropy(pair) -> None:
    batch, _ = pair
    logits = 3 * torch.randn(batch.y.shape, generator=torch.Generator().manual_seed(2))
    frames = torch.sigmoid(logits.double()).numpy()
    expected = literal(frames, batch.y.double().numpy())
    task = Films(loss="bce_sequence", metric="bce_sequence")
    for size in (2, 5):
        values = run(task, batch, logits, size)
        assert values.pop("loss") == pytest.approx(values["bce_sequence"], rel=1e-6)
        assert values == pytest.approx(expected, rel=1e-5, abs=1e-6)
    sure = torch.full_like(logits, 40.0)  # beyond what a frame's value can tell
    assert run(task, batch, sure, 5)["bce_sequence"] == pytest.approx(
        float((40 * (1 - batch.y.double())).sum((1, 2, 3, 4)).mean()), rel=1e-6
    )


def test_rain_is_counted_over_the_whole_split(pair) -> None:
    batch, prediction = pair
    task = Films(metrics=RAIN, metric="mse_mm")
    said, was = 24 * prediction.double().numpy(), 24 * batch.y.double().numpy()  # mm/h
    for size in (1, 5):
        values = run(task, batch, prediction, size)
        assert values["mse_mm"] == pytest.approx((((said - was) / 12) ** 2).mean(), rel=1e-6)
        for threshold in (0.5, 2):
            hits, misses, false = 0, 0, 0
            for a, b in zip(said.flat, was.flat, strict=True):
                hits += a >= threshold and b >= threshold
                misses += a < threshold <= b
                false += b < threshold <= a
            assert values[f"csi_{threshold}"] == pytest.approx(hits / (hits + misses + false))
            assert values[f"pod_{threshold}"] == pytest.approx(hits / (hits + misses))
            assert values[f"far_{threshold}"] == pytest.approx(false / (hits + false))
        assert math.isnan(values["pod_30"])  # it never rained so hard


def test_the_loss_is_trained_on_next_frames_where_the_network_gives_them(pair) -> None:
    batch, prediction = pair
    whole = torch.cat([batch.x[:, 1:] + 0.5, prediction], 1)
    assert whole.shape[1] == 4 - 1 + T
    for name in ("mse_frames", "bce_sequence"):
        target = torch.cat([batch.x[:, 1:], batch.y], 1)
        assert torch.equal(LOSSES[name](whole, batch), LOSSES[name](whole, Batch(batch.x[:, :1], target)))
    both, last = run(Films(), batch, whole, 5), run(Films(), batch, prediction, 5)
    assert both.pop("loss") != last.pop("loss")
    assert both == last


def test_the_losses_literally(pair) -> None:
    batch, prediction = pair
    assert float(LOSSES["mse_frames"](prediction, batch)) == pytest.approx(float((prediction - batch.y).pow(2).mean()))
    p = torch.sigmoid(prediction.double())
    nats = -(batch.y * p.log() + (1 - batch.y) * (1 - p).log()).sum() / N
    assert float(LOSSES["bce_sequence"](prediction, batch)) == pytest.approx(float(nats), rel=1e-6)
    half = LOSSES["mse_frames"](prediction.bfloat16(), batch)
    assert half.dtype == torch.float32
    with pytest.raises(ValueError, match="differ in shape"):
        LOSSES["mse_frames"](prediction[:, :1], batch)


def test_floors_are_the_stills_and_stream(pair) -> None:
    task = Films()
    data = task.load()
    batch = task.batch(data.test, torch.arange(N))
    stills = task.floor_predictions(batch)
    assert list(stills) == ["black", "last", "mean", "mean_input"]
    assert all(still.shape == batch.y.shape for still in stills.values())
    assert torch.equal(stills["last"], batch.x[:, -1:].expand_as(batch.y))
    assert torch.allclose(stills["mean"][0, 0], data.train.x.mean((0, 1)))
    assert torch.allclose(stills["mean_input"][:, 0], batch.x.mean(1))
    floors = task.floors(data)
    assert floors["black"] == pytest.approx(float(batch.y.double().square().sum((2, 3, 4)).mean()))
    table = task.floor_table(data.test)
    assert {name: values["mse_sum"] for name, values in table.items()} == floors
    assert "loss" not in table["black"]
    expected = literal(stills["mean"].double().numpy(), batch.y.double().numpy())
    assert table["mean"] == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_diverged_network_shows_as_nan(pair) -> None:
    batch, prediction = pair
    broken = prediction.clone()
    broken[0, 0, 0, 0, 0] = math.nan
    values = run(Films(), batch, broken, 2)
    assert all(math.isnan(value) for value in values.values())


def test_what_cannot_be_computed_is_an_error(pair) -> None:
    batch, prediction = pair
    with pytest.raises(RuntimeError, match="no batch was seen"):
        Films().metrics().compute()
    with pytest.raises(ValueError, match=r"unknown metrics \['mse'\]"):
        Films(metrics=("mse",)).metrics()
    with pytest.raises(NotImplementedError, match="has no rain"):
        FrameTask.rain(Films(), prediction)
    with pytest.raises(ValueError, match="differ in shape"):
        Films().frame_metrics().update_frames(prediction[:, :1], batch)
    metrics = Films().metrics()
    metrics.update(prediction, batch)
    metrics.reset()
    with pytest.raises(RuntimeError, match="no batch was seen"):
        metrics.compute()


def test_names() -> None:
    assert all(known(name) for name in (*PICTURES, *RAIN))
    assert not any(known(name) for name in ("mse", "csi", "csi_", "csi_x", "CSI_2"))
    assert "ssim" not in picture_metrics(10, 40)
    assert "ssim_openstl" not in picture_metrics(6, 40)
