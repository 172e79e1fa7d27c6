"""Radar: the split in time, crops, scales and rain, cutting the archive; the real frames where they are."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnbench.datasets import Radar, data_hash, radar
from rnnbench.errors import BadInput, MissingData

TIMES = list(radar.FILES)


def rainy(frames: int = 92) -> np.ndarray:
    counts = np.random.default_rng(0).integers(0, 120, (frames, 256, 256)).astype(np.uint16)
    counts[:, ::2] = 0
    return counts


@pytest.fixture
def night(cache: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A cut file of noise in the cache folder."""
    counts = rainy()
    (cache / "radar_knmi").mkdir()
    np.savez(cache / "radar_knmi" / radar.CUT, rain_pv=counts, time_utc=np.array(TIMES))
    monkeypatch.setattr(radar, "COUNTS_SHA256", hashlib.sha256(counts.tobytes()).hexdigest())
    return counts


def test_the_frames_are_a_night_without_a_hole() -> None:
    minutes = [60 * int(time[8:10]) + int(time[10:]) for time in TIMES]
    assert minutes == list(range(0, 460, 5))
    assert len({file.sha256 for file in radar.FILES.values()}) == 92


def test_clips_of_two_splits_are_a_whole_clip_apart(night: np.ndarray) -> None:
    task = Radar()
    data = task.load()
    assert [split.size for split in data] == [35 * 16, 5 * 16, 5 * 16]
    seen = [{t + i for t in split.x[:, 0].tolist() for i in range(10)} for split in data]
    assert min(seen[1]) - max(seen[0]) == min(seen[2]) - max(seen[1]) == 11
    assert max(seen[2]) == 91
    assert Radar(stride=10).load().train.size == 4 * 16


@pytest.mark.parametrize("scale", ["log", "mm"])
@pytest.mark.parametrize("crop", [64, 100, 256])
def test_clips_are_the_films_own_counts(night: np.ndarray, crop: int, scale: str) -> None:
    task = Radar(crop=crop, scale=scale, input_steps=3, output_steps=4)
    split = task.load().val
    index = torch.tensor([split.size - 1, 0, split.size // 2])
    batch = task.batch(split, index)
    assert batch.x.shape == (3, 3, 1, crop, crop)
    assert batch.y.shape == (3, 4, 1, crop, crop)
    frames = torch.cat([batch.x, batch.y], 1)
    assert frames.dtype == torch.float32
    for clip, (t, row, column) in zip(frames, split.x[index].tolist(), strict=True):
        counts = night[t : t + 7, row : row + crop, column : column + crop]
        mm = task.rain(clip.double())[:, 0].numpy()
        assert abs(mm - counts / 100).max() < 1e-6
        expected = np.log(1 + counts * 0.12) / np.log(121) if scale == "log" else counts / 100
        assert abs(clip[:, 0].numpy() - expected).max() < 1e-6


def test_predictions_outside_the_scale_are_no_rain_and_the_hardest_rain() -> None:
    for scale in ("log", "mm"):
        task = Radar(scale=scale)
        assert task.rain(torch.tensor([-3.0, 0.0, 50.0])).tolist() == pytest.approx([0, 0, 10])


@pytest.mark.integration
def test_floors_and_events(night: np.ndarray, evaluate) -> None:
    task = Radar()
    data = task.load()
    floors = task.floors(data)
    y = night[np.add.outer(data.test.x[::16, 0].numpy(), np.arange(5, 10))] / 100
    x = night[data.test.x[::16, 0].numpy() + 4][:, None] / 100
    assert floors["black"] == pytest.approx((y**2).mean())
    assert floors["last"] == pytest.approx(((y - x) ** 2).mean())
    scored = evaluate(task, data.test, lambda batch: task.floor_predictions(batch)["last"], 9)
    hits, either = ((x >= 2 / 12) & (y >= 2 / 12)).sum(), ((x >= 2 / 12) | (y >= 2 / 12)).sum()
    assert scored["csi_2"] == pytest.approx(hits / either)
    perfect = evaluate(task, data.test, lambda batch: batch.y)
    assert (perfect["csi_5"], perfect["pod_5"], perfect["far_5"], perfect["mse_mm"]) == (1, 1, 0, 0)


def test_another_file_is_refused(night: np.ndarray, cache: Path) -> None:
    path = cache / "radar_knmi" / radar.CUT
    np.savez(path, rain_pv=night + np.uint16(1), time_utc=np.array(TIMES))
    with pytest.raises(MissingData, match="does not hold the expected frames: delete the file"):
        Radar().load()
    np.savez(path, rain_pv=np.zeros((2, 2), object))
    with pytest.raises(MissingData, match="holds object, not plain numbers"):
        Radar().load()
    path.write_bytes(b"nonsense")
    with pytest.raises(MissingData, match="cannot be read or written"):
        Radar().load()


class FakeHDF5:
    """h5py.File on frames written by numpy."""

    def __init__(self, path: Path, mode: str) -> None:
        self.image = np.load(path)

    def __enter__(self) -> dict[str, np.ndarray]:
        return {"image1/image_data": self.image}

    def __exit__(self, *error: object) -> None:
        pass


def test_the_archives_frames_are_cut_once(store, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, files = rainy(3), {}
    for time, cut in zip(TIMES, counts, strict=False):
        image = np.full((765, 700), 65535, np.uint16)
        image[300:556, 241:497] = cut
        buffer = io.BytesIO()
        np.save(buffer, image)
        files[time] = store("radar_knmi", f"{time}.h5", buffer.getvalue())
    monkeypatch.setattr(radar, "FILES", files)
    monkeypatch.setattr(radar, "FRAMES", 3)
    monkeypatch.setattr(radar, "COUNTS_SHA256", hashlib.sha256(counts.tobytes()).hexdigest())
    monkeypatch.setitem(sys.modules, "h5py", types.SimpleNamespace(File=FakeHDF5))
    assert np.array_equal(radar.read_counts(), counts)
    with np.load(cache / "radar_knmi" / radar.CUT) as content:
        assert content["time_utc"].tolist() == TIMES[:3]
        assert (int(content["row0"]), int(content["col0"])) == (300, 241)
    assert len(list((cache / "radar_knmi").iterdir())) == 4, "no temporary file is left"
    for file in files.values():
        file.path.unlink()
    assert np.array_equal(radar.read_counts(), counts)


def test_without_h5py_or_network_the_way_out_is_named(
    cache: Path, offline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingData, match=r"takes h5py: run `pip install 'rnnbench\[radar\]'`"):
        Radar().load()
    monkeypatch.setitem(sys.modules, "h5py", types.SimpleNamespace(File=FakeHDF5))
    with pytest.raises(MissingData, match=r"201008260000.h5 is missing and could not be downloaded"):
        Radar().load()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"crop": 300}, "dataset.crop must be at most 256"),
        ({"crop": 8}, "dataset.crop must be a whole number of at least 16"),
        ({"scale": "dbz"}, "dataset.scale must be one of log, mm; got 'dbz'"),
        ({"input_steps": 10, "output_steps": 10}, "92 frames are too few for clips of 20"),
        ({"stride": 0}, "dataset.stride"),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        Radar(**options)
    assert sentence in str(caught.value)


@pytest.mark.data
def test_the_real_frames(need) -> None:
    need(types.SimpleNamespace(path=radar.cache_folder() / "radar_knmi" / radar.CUT, folder="radar_knmi", name="cut"))
    task = Radar()
    data = task.load()
    assert data_hash(data) == "a1a687c87ea3a299"
    floors = task.floors(data)
    assert floors == pytest.approx({"black": 0.0108, "last": 0.0070, "mean": 0.0092, "mean_input": 0.0071}, abs=1e-4)
    last = task.floor_table(data.test)["last"]
    assert last["csi_0.5"] == pytest.approx(0.5635, abs=1e-3)


@pytest.mark.data
def test_the_real_archive_is_cut_to_the_real_frames(need, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5py")
    archive = radar.cache_folder() / "radar_knmi" / "knmi_20100826.tar"
    need(types.SimpleNamespace(path=archive, folder="radar_knmi", name="knmi_20100826.tar"))
    with tarfile.open(archive) as content:
        content.extractall(tmp_path, filter="data")
    frames = tmp_path / radar.FOLDER
    (tmp_path / "cache").mkdir()
    frames.rename(tmp_path / "cache" / "radar_knmi")
    monkeypatch.setenv("RNNBENCH_DATA", str(tmp_path / "cache"))
    assert radar.read_counts().shape == (92, 256, 256)
