"""The user's own film or clips: every form that is taken, every refusal in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rnnbench.datasets import OwnFrames, data_hash
from rnnbench.errors import BadInput, MissingData

STEPS = {"input_steps": 3, "output_steps": 2}


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(np.float32)


@pytest.fixture
def save(tmp_path: Path):
    """save(array, name="film.npy") -> the path as a text."""

    def write(array: np.ndarray, name: str = "film.npy") -> str:
        np.save(tmp_path / name, array)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    ("shape", "axes", "frame"),
    [
        ((40, 9, 12), None, (1, 9, 12)),
        ((40, 3, 9, 12), None, (3, 9, 12)),
        ((40, 7, 9, 12), "TCHW", (7, 9, 12)),
        ((40, 9, 12), "THW", (1, 9, 12)),
    ],
)
def test_a_film_is_split_by_time(save, shape: tuple[int, ...], axes: str | None, frame: tuple[int, int, int]) -> None:
    film = noise(*shape)
    task = OwnFrames(save(film), axes=axes, **STEPS)
    assert task.spec.frame_shape == frame
    assert task.spec.input_size == task.spec.output_size == frame[0]
    data = task.load()
    seen = [{t + i for t in split.x[:, 0].tolist() for i in range(5)} for split in data]
    assert min(seen[1]) - max(seen[0]) == min(seen[2]) - max(seen[1]) == 6
    batch = task.batch(data.test, torch.tensor([1, 0]))
    start = data.test.x[:2, 0].tolist()
    assert batch.x.shape == (2, 3, *frame)
    assert batch.y.shape == (2, 2, *frame)
    whole = torch.from_numpy(film.reshape(40, *frame))
    assert torch.equal(batch.x[1], whole[start[0] : start[0] + 3])
    assert torch.equal(batch.y[0], whole[start[1] + 3 : start[1] + 5])


@pytest.mark.parametrize(("shape", "axes"), [((10, 7, 2, 9, 12), None), ((10, 7, 9, 12), "NTHW")])
def test_clips_are_split_whole(save, shape: tuple[int, ...], axes: str | None) -> None:
    clips = noise(*shape)
    task = OwnFrames(save(clips), axes=axes, **STEPS)
    data = task.load()
    assert [split.size for split in data] == [18, 6, 6]  # 6, 2 and 2 clips, 3 windows in each
    owners = [set((split.x[:, 0] // 7).tolist()) for split in data]
    assert set.union(*owners) == set(range(10))
    assert sum(map(len, owners)) == 10
    assert int((data.train.x[:, 0] % 7).max()) == 2, "no window reaches into the next clip"
    first = int(data.val.x[0, 0])
    batch = task.batch(data.val, torch.tensor([0]))
    expected = torch.from_numpy(clips[first // 7, :3].reshape(batch.x[0].shape))
    assert torch.equal(batch.x[0], expected)
    assert data_hash(data) == data_hash(OwnFrames(task.path, axes=axes, **STEPS).load())
    other = OwnFrames(task.path, axes=axes, data_seed=1, **STEPS).load()
    assert {*(other.val.x[:, 0] // 7).tolist()} != owners[1]


def test_bytes_floats_and_limits_are_seen_as_0_to_1(save) -> None:
    levels = np.linspace(0, 255, 40).astype(np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    for film, options in (
        (levels, {}),
        (levels.astype(np.float64) / 255, {}),
        (levels.astype(np.int32) - 100, {"low": -100, "high": 155}),
        (levels > 127, {}),
    ):
        task = OwnFrames(save(film), **STEPS, **options)
        data = task.load()
        batch = task.batch(data.train, torch.arange(data.train.size))
        assert batch.x.dtype == torch.float32
        expected = film[:5].astype(float)
        low, high = task._limits()
        assert torch.allclose(
            torch.cat([batch.x[0], batch.y[0]])[:, 0].double(),
            torch.from_numpy((expected - low) / (high - low)),
            atol=1e-7,
        )
        assert float(task.batch(data.test, torch.tensor([data.test.size - 1])).y.max()) == 1


def test_npz_files(tmp_path: Path) -> None:
    film = noise(40, 9, 12)
    np.savez(tmp_path / "one.npz", anything=film)
    np.savez_compressed(tmp_path / "two.npz", times=np.arange(40), frames=film)
    np.savez(tmp_path / "unclear.npz", a=film, b=film)
    hashes = {data_hash(OwnFrames(str(tmp_path / name), **STEPS).load()) for name in ("one.npz", "two.npz")}
    assert len(hashes) == 1
    with pytest.raises(BadInput, match=r"holds a, b: call the one with the film `frames`"):
        _ = OwnFrames(str(tmp_path / "unclear.npz")).spec


def test_the_spec_reads_no_values_and_the_hash_does(save) -> None:
    film = noise(40, 9, 12)
    film[20, 3, 4] = np.nan
    path = save(film)
    task = OwnFrames(path, **STEPS)
    assert task.spec.protocol.startswith("film.npy THW 40x9x12, 0..1, 3->2, stride 1, ")
    assert "ssim" not in task.spec.metrics, "the window is larger than the frames"
    with pytest.raises(BadInput, match=r"NaN or infinity, first at \[20, 3, 4\]"):
        task.load()
    film[20, 3, 4] = 0.25
    one = data_hash(OwnFrames(save(film), **STEPS).load())
    film[20, 3, 4] = 0.5
    assert data_hash(OwnFrames(save(film), **STEPS).load()) != one


def test_floors_and_both_losses(save, evaluate) -> None:
    path = save(noise(60, 2, 12, 14))
    for loss, metric in (("mse_frames", "mse_sum"), ("bce_sequence", "bce_sequence")):
        task = OwnFrames(path, loss=loss, **STEPS)
        data = task.load()
        assert set(task.floors(data)) == {"black", "last", "mean", "mean_input"}
        values = evaluate(task, data.test, lambda batch: torch.zeros_like(batch.y))
        assert list(values)[:2] == ["loss", metric]
        assert len(values) == 1 + len(task.spec.metrics) == 8


@pytest.mark.parametrize(
    ("array", "options", "sentence"),
    [
        (noise(40, 9), {}, r"has the shape \(40, 9\), which does not fit 3, 4 or 5 axes"),
        (noise(0, 9, 9), {}, r"none of them empty"),
        (noise(10, 20, 9, 9), {}, r"dataset.axes=TCHW \(a film of 20 channels\) or dataset.axes=NTHW"),
        (noise(40, 9, 9), {"axes": "NTCHW"}, r"does not fit dataset.axes=NTCHW"),
        (noise(20, 9, 9), {}, r"20 frames are too few for clips of 5"),
        (noise(2, 9, 1, 9, 9), {}, r"has 2 clips of 9 frames, but three splits take at least 3"),
        (noise(9, 4, 1, 9, 9), {}, r"at least 5 frames \(dataset.input_steps"),
        (noise(40, 9, 9) * 2, {}, r"holds values from [0-9.e-]+ to [0-9.]+, outside 0..1: set dataset.low"),
        (np.zeros((40, 9, 9), np.int64), {}, r"holds int64: set dataset.low and dataset.high"),
        (np.full((40, 9, 9), np.inf), {}, r"holds NaN or infinity, first at \[0, 0, 0\]"),
        (np.zeros((40, 9, 9), complex), {}, r"holds complex128, not plain numbers"),
        (np.zeros((40, 9, 9), "U3"), {}, r"holds <U3, not plain numbers"),
    ],
)
def test_data_that_cannot_be_used_is_refused_in_one_sentence(
    save, array: np.ndarray, options: dict[str, object], sentence: str
) -> None:
    task = OwnFrames(save(array), **STEPS, **options)
    with pytest.raises(BadInput, match=sentence) as caught:
        task.load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"axes": "HWT"}, "dataset.axes must be one of THW, TCHW, NTHW, NTCHW"),
        ({"low": 1.0}, "given both or neither"),
        ({"low": 1.0, "high": 1.0}, "dataset.low must be below dataset.high"),
        ({"loss": "mse"}, "dataset.loss must be one of"),
        ({"stride": 0}, "dataset.stride"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        OwnFrames(**options)
    assert sentence in str(caught.value)


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"dataset.path must name a npy or npz file with frames"):
        _ = OwnFrames().spec
    with pytest.raises(BadInput, match=r"must name a npy or npz file; got 'film.mp4'"):
        _ = OwnFrames("film.mp4").spec
    with pytest.raises(MissingData, match=r"film.npy is missing: set dataset.path"):
        OwnFrames(str(tmp_path / "film.npy")).load()
    for name in ("broken.npy", "broken.npz"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(BadInput, match=r"cannot be read as np"):
            _ = OwnFrames(str(tmp_path / name)).spec
