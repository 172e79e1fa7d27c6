"""Samples on disk: what is written is read, the same gives the same bytes, and what is not whole is said to be so."""

from __future__ import annotations

import io
import json
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from reports.predictions import kept
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


# the other kinds


@pytest.mark.parametrize("kind", list(kept.ALL))
def test_every_kind_is_read_as_it_was_written_and_written_as_it_was_read(tmp_path, kind):
    path, made = tmp_path / samples.FILE, kept.ALL[kind]("abc")
    path.write_bytes(samples.dumps(made))
    found = samples.read(path)
    assert (type(found), found.run) == (type(made), "abc")
    assert samples.dumps(found) == path.read_bytes()
    assert found.about() == made.about()
    for name in made.arrays:
        assert np.array_equal(getattr(found, name), getattr(made, name), equal_nan=name in ("truth", "input"))
        assert getattr(found, name).dtype == getattr(made, name).dtype
    assert found.same_items(kept.ALL[kind]("other run"))
    assert not found.same_items(make_samples("a"))
    with np.load(path, allow_pickle=False) as content:
        about = json.loads(str(content["about"]))
    assert (about["schema_version"], about["kind"]) == (2, kind)


def hostile() -> dict[str, bytes]:
    """Files that are no samples, each for a reason of its own."""
    series, classes, values, steps, text = (made() for made in kept.ALL.values())
    columns = kept.series(columns=65)
    changed = {
        "a clock of words": replace(series, clock="sun"),
        "more columns than are kept": columns,
        "a forecast without a step": replace(series, times=series.times[:, :0]),
        "doubles": replace(series, truth=series.truth.astype(np.float64)),
        "fewer floors than names": replace(series, floor_names=("last", "mean")),
        "a long name": replace(series, columns=("a" * 201, "b")),
        "names of numbers": replace(series, columns=(1, 2)),
        "counts below zero": replace(classes, counts=classes.counts - 1),
        "counts of halves": replace(classes, counts=classes.counts / 2),
        "classes it does not have": replace(classes, true=np.array([0, 3])),
        "a probability above one": replace(classes, probability=np.array([0.5, 1.5])),
        "a probability that is none": replace(classes, probability=np.array([0.5, np.nan])),
        "seventeen worst": replace(classes, item=np.zeros(17, np.int64)),
        "no item": replace(values, items=values.items[:0]),
        "values of another shape": replace(values, prediction=values.prediction[:, :0]),
        "lengths beyond the steps": replace(steps, lengths=np.array([9, 1])),
        "a text of numbers": replace(text, sample=3),
        "a long text": replace(text, sample="a" * 20_001),
        "an object": replace(values, truth=np.array([{}], dtype=object)),
    }
    return {name: samples.dumps(each) for name, each in changed.items()} | {"an unknown kind": of_kind("music")}


def of_kind(kind: str) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, about=np.array(json.dumps({"schema_version": 2, "kind": kind, "run": "a"})))
    return buffer.getvalue()


@pytest.mark.parametrize("name", list(hostile()))
def test_a_hostile_file_of_any_kind_is_one_sentence(tmp_path, name):
    path = tmp_path / samples.FILE
    path.write_bytes(hostile()[name])
    with pytest.raises(BadInput, match=r"samples\.npz cannot be read as samples \(.*\): delete it"):
        samples.read(path)


def test_sizes_are_looked_at_before_anything_is_unpacked(tmp_path, monkeypatch):
    path = tmp_path / samples.FILE
    path.write_bytes(samples.dumps(kept.values()))
    for limit, said in (("LARGEST_OTHER", "too many for values"), ("LARGEST_ABOUT", "far too long")):
        with monkeypatch.context() as small:
            small.setattr(samples, limit, 100)
            with pytest.raises(BadInput, match=said):
                samples.read(path)


def test_what_is_compared_are_the_items_and_no_predictions():
    assert kept.series().same_items(kept.series(shift=9.0)), "missing values are equal to each other"
    assert not kept.series().same_items(kept.series(clock="row"))
    assert not kept.classes().same_items(kept.classes(size=4))
    assert not kept.values().same_items(replace(kept.values(), items=np.arange(1, 51)))
    assert not kept.text().same_items(replace(kept.text(), prompt="Or not"))


def test_printed_they_are_one_line():
    assert repr(kept.series("abc")).startswith("<Series of run abc: origins ")
    for kind in kept.ALL:
        assert len(repr(kept.ALL[kind]("abc"))) < 300
