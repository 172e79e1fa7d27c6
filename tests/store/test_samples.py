"""Samples on disk: what is written is read, the same gives the same bytes, and what is not whole is said to be so."""

from __future__ import annotations

import io
import json
import time
import zipfile

import numpy as np
import pytest

from reports.predictions.framed import make_samples
from rnnbench.errors import BadInput
from rnnbench.store import samples
from rnnbench.store.samples import Frames, Scale


@pytest.mark.parametrize("scale", [Scale("plain", 1.0), Scale("rain", 120.0, 5.0)])
def test_what_is_written_is_read(tmp_path, scale):
    made = make_samples("abc", scale=scale)
    path = tmp_path / samples.FILE
    path.write_bytes(samples.dumps(made))
    found = samples.read(path)
    assert (found.run, found.scale) == ("abc", scale)
    for name in samples.ARRAYS:
        assert np.array_equal(getattr(found, name), getattr(made, name))
        assert getattr(found, name).dtype == getattr(made, name).dtype
    assert found.same_items(made)


def test_the_same_samples_are_the_same_bytes_at_any_time(monkeypatch):
    before = samples.dumps(make_samples("abc"))
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert samples.dumps(make_samples("abc")) == before


def test_other_clips_are_noticed():
    one = make_samples("a")
    assert one.same_items(make_samples("b")), "the predictions may differ"
    for other in (make_samples("a", seed=1), make_samples("a", scale=Scale("plain", 2.0)), make_samples("a", clips=2)):
        assert not one.same_items(other)


def bomb() -> bytes:
    """A file of a few kB that says it holds two GB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("about.npy", b"0" * 10**6)
    whole = buffer.getvalue()
    return whole.replace((10**6).to_bytes(4, "little"), (2 * 10**9).to_bytes(4, "little"))


def broken() -> dict[str, bytes]:
    whole, good = samples.dumps(make_samples("a")), make_samples("a")
    fields = {name: getattr(good, name) for name in ("run", "scale", *samples.ARRAYS)}
    return {
        "torn": whole[:-40],
        "text": b"no npz at all",
        "floats": samples.dumps(Frames(**fields | {"prediction": good.prediction.astype(np.float32)})),
        "shapes": samples.dumps(Frames(**fields | {"prediction": good.prediction[:, 1:]})),
        "a scale of words": samples.dumps(Frames(**fields | {"scale": Scale("plain", "high")})),
        "a scale of nothing": samples.dumps(Frames(**fields | {"scale": Scale("rain", 0.0)})),
        "an unknown scale": samples.dumps(Frames(**fields | {"scale": Scale("snow", 1.0)})),
        "places of words": samples.dumps(Frames(**fields | {"clips": np.array(["a"] * len(good.clips))})),
        "far larger than it is": bomb(),
        "clips": samples.dumps(Frames(**fields | {"clips": good.clips[1:]})),
    }


@pytest.mark.parametrize("name", list(broken()))
def test_what_is_not_whole_is_one_sentence(tmp_path, name):
    path = tmp_path / samples.FILE
    path.write_bytes(broken()[name])
    with pytest.raises(BadInput, match=r"samples\.npz cannot be read as samples \(.*\): delete it"):
        samples.read(path)


def test_a_missing_file_and_a_later_schema_are_said(tmp_path, monkeypatch):
    path = tmp_path / samples.FILE
    with pytest.raises(BadInput, match="cannot be read"):
        samples.read(path)
    with monkeypatch.context() as later:
        later.setattr(samples, "OF_FRAMES", 3)
        path.write_bytes(samples.dumps(make_samples("a")))
    with pytest.raises(BadInput, match="schema_version 3; update rnnbench"):
        samples.read(path)


def test_the_file_is_as_documented(tmp_path):
    path = tmp_path / samples.FILE
    path.write_bytes(samples.dumps(make_samples("a", scale=Scale("rain", 120.0, 5.0))))
    with np.load(path, allow_pickle=False) as content:
        assert set(content.files) == {"about", *samples.ARRAYS}
        said = json.loads(str(content["about"]))
    assert said == {"schema_version": 1, "run": "a", "scale": {"kind": "rain", "top": 120.0, "minutes": 5.0}}
