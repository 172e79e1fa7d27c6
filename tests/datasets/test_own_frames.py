"""The user's own film or clips: every form that is taken, every refusal in one sentence."""

from __future__ import annotations

import hashlib
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

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
    ("shape", "layout", "frame"),
    [
        ((40, 9, 12), None, (1, 9, 12)),
        ((40, 1, 9, 12), None, (1, 9, 12)),
        ((40, 3, 9, 12), "TCHW", (3, 9, 12)),
        ((40, 7, 9, 12), "TCHW", (7, 9, 12)),
        ((40, 9, 12), "THW", (1, 9, 12)),
    ],
)
def test_a_film_is_split_by_time(save, shape: tuple[int, ...], layout: str | None, frame: tuple[int, int, int]) -> None:
    film = noise(*shape)
    task = OwnFrames(save(film), layout=layout, **STEPS)
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


@pytest.mark.parametrize(("shape", "layout"), [((10, 7, 2, 9, 12), None), ((10, 7, 9, 12), "NTHW")])
def test_clips_are_split_whole(save, shape: tuple[int, ...], layout: str | None) -> None:
    clips = noise(*shape)
    task = OwnFrames(save(clips), layout=layout, **STEPS)
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
    assert data_hash(data) == data_hash(OwnFrames(task.path, layout=layout, **STEPS).load())
    other = OwnFrames(task.path, layout=layout, data_seed=1, **STEPS).load()
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


@given(
    low=st.integers(-300, 255),
    width=st.integers(1, 2**20),
    half=st.sampled_from([0.0, 0.5, 0.1]),
)
def test_bytes_are_scaled_as_in_float64(low: int, width: int, half: float) -> None:
    """To the last bit, though with whole limits they stay bytes in memory and are scaled in float32."""
    low, high = low + half, float(low + width) + half
    levels = np.arange(256, dtype=np.uint8).reshape(64, 2, 2)
    levels = levels[(levels >= low).all((1, 2)) & (levels <= high).all((1, 2))]
    assume(len(levels) >= 25)
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/film.npy", levels)
        task = OwnFrames(f"{folder}/film.npy", layout="THW", low=low, high=high, **STEPS)
        data = task.load()
    assert (task.pictures.on().dtype == torch.uint8) is (half == 0)
    for split in data:
        batch = task.batch(split, torch.arange(split.size))
        seen = torch.cat([batch.x, batch.y], 1)[:, :, 0]
        for clip, first in zip(seen, split.x[:, 0].tolist(), strict=True):
            expected = ((levels[first : first + 5].astype(np.float64) - low) / (high - low)).astype(np.float32)
            assert np.array_equal(clip.numpy(), expected)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        (np.uint16, 0, 65535),
        (np.int64, 1_700_000_000, 1_700_000_001),
        (np.int64, 2**53 - 100, 2**53),
        (np.float64, 1e9, 1e9 + 1e-3),
        (np.float64, -1e-200, 1e-200),
        (np.float32, 0.0, 1.0),
    ],
)
def test_values_far_from_zero_keep_their_digits(save, dtype: type, low: float, high: float) -> None:
    share = np.random.default_rng(1).random((40, 9, 12))
    film = (low + share * (high - low)).astype(dtype)
    task = OwnFrames(save(film), low=low, high=high, **STEPS)
    batch = task.batch(task.load().train, torch.tensor([0]))
    exact = [(Fraction(v) - Fraction(low)) / (Fraction(high) - Fraction(low)) for v in film[:3].flatten().tolist()]
    assert abs(batch.x.flatten().numpy() - np.array(exact, float)).max() < 1e-7
    if not (dtype is np.int64 and high - low == 1):
        assert len(batch.x.unique()) > 90, "in float32 few levels were left"


def test_two_ranges_never_read_the_same(save) -> None:
    path = save(np.full((40, 9, 12), 0.5))
    ranges = [(0, 1), (0, 1.0000001), (0.0, 1 + 1e-15), (-1e-300, 1), (1e-7, 123456789), (1e-7, 123456789.5)]
    protocols = {}
    for low, high in ranges:
        task = OwnFrames(path, low=low, high=high, **STEPS)
        protocols[task.spec.protocol] = (low, high)
        again = OwnFrames(path, **STEPS)
        again.recall(task.spec.protocol)
        assert again.limits == (low, high)
    assert len(protocols) == len(ranges)
    same = {OwnFrames(path, low=low, high=1, **STEPS).spec.protocol for low in (0, 0.0, -0.0)}
    assert len(same) == 1


def test_integers_that_float64_cannot_tell_apart_are_refused(save) -> None:
    task = OwnFrames(save(np.full((40, 9, 12), 2**53 + 1)), low=0, high=2.0**60, **STEPS)
    with pytest.raises(BadInput, match=r"holds integers beyond 2\^53, which float64 does not tell apart"):
        task.load()


def test_the_summary_says_what_was_read(save) -> None:
    pixels = np.arange(10 * 20 * 64 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(10, 20, 64, 64, 3)
    task = OwnFrames(save(pixels), layout="NTHWC", **STEPS)
    expected = "10 clips of 20 frames, 3 channels, 64x64, values 0..255; 96/32/32 windows of 3 + 2 frames"
    assert task.summary(task.load()) == expected
    task = OwnFrames(save(pixels[0, ..., 0] // 2), **STEPS)
    expected = "20 frames, 1 channel, 64x64, values 0..255 (found 0..127); 8/1/1 windows of 1 + 1 frames"
    task = OwnFrames(task.path, input_steps=1, output_steps=1)
    assert task.summary(task.load()).startswith("20 frames, 1 channel, 64x64, values 0..255 (found 0..127); ")


def test_channels_last_are_no_scrambled_frames(save) -> None:
    """Films of shape N T H W C, and 60 clips of 4 frames: refused without a word, read right with one."""
    clips = noise(6, 8, 16, 16, 3)
    with pytest.raises(BadInput, match=r"may be 6 clips of 8 frames, 3 channels, 16x16 \(NTHWC\): say what it is"):
        _ = OwnFrames(save(clips), **STEPS).spec
    task = OwnFrames(save(clips), layout="NTHWC", **STEPS)
    batch = task.batch(task.load().train, torch.tensor([0]))
    n, t = divmod(int(task.load().train.x[0, 0]), 8)
    assert torch.equal(batch.x[0], torch.from_numpy(clips[n, t : t + 3]).permute(0, 3, 1, 2))
    few = noise(60, 4, 16, 16)
    with pytest.raises(BadInput, match=r"read as 60 frames, 4 channels, 16x16 \(TCHW\), but may be 60 clips of 4"):
        _ = OwnFrames(save(few), input_steps=2, output_steps=2).spec
    task = OwnFrames(save(few), layout="NTHW", input_steps=2, output_steps=2)
    assert [split.size for split in task.load()] == [36, 12, 12]


def test_a_film_with_a_nan_names_the_split_that_sees_it(save) -> None:
    for frame, who in ((10, "train"), (38, "test"), (20, "no split, between two")):
        film = noise(40, 9, 12)
        film[frame, 3, 4] = np.nan
        with pytest.raises(BadInput, match=rf"first at \[{frame}, 3, 4\] \(T H W, of {who}\): fill or remove it"):
            OwnFrames(save(film), **STEPS).load()


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
    content = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]
    assert task.spec.protocol.startswith(f"{content} THW 40x9x12, 0..1, 3->2, stride 1, ")
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
        task = OwnFrames(path, layout="TCHW", loss=loss, **STEPS)
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
        (noise(10, 20, 9, 9), {}, r"dataset.layout=TCHW or NTHW or TNHW"),
        (noise(40, 9, 9), {"layout": "NTCHW"}, r"does not fit dataset.layout=NTCHW"),
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
        (
            {"layout": "HW"},
            "dataset.layout must say the file's axes in their order, THW, TCHW, THWC, NTHW, ",
        ),
        ({"layout": "TTHW"}, "or another order of N clips, T frames, C channels"),
        ({"layout": "THWX"}, "got 'THWX'"),
        ({"layout": 3}, "got 3"),
        ({"low": 0.0, "high": 2**53 + 1}, "dataset.high must be a number that float64 holds exactly"),
        ({"low": 0.0, "high": 10**400}, "dataset.high must be a number that float64 holds exactly"),
        ({"low": 0.0, "high": "9"}, "dataset.high must be a number"),
        ({"low": -1e308, "high": 1e308}, "by a finite number"),
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


@pytest.mark.parametrize("path", [5, True, ["film.npy"]])
def test_a_path_that_is_no_text_is_refused(path: object) -> None:
    with pytest.raises(BadInput, match=r"^dataset\.path must name a npy or npz file; got "):
        OwnFrames(path, **STEPS).load()  # type: ignore[arg-type]
