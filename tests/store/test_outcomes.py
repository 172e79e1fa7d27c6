"""Outcomes on disk: what is written is read, it fits its record or not, and hostile files are one sentence."""

from __future__ import annotations

import dataclasses
import io
import json
import time
import zipfile

import numpy as np
import pytest

from rnnbench.errors import BadInput
from rnnbench.store import outcomes
from rnnbench.store.outcomes import Outcomes

RUNS = ("a" * 12, "b" * 12, "c" * 12)


def made(run: str = RUNS[0], items: int = 11, *, counted: bool = False, judged: bool = True) -> Outcomes:
    rng = np.random.default_rng(items)
    count = rng.integers(0, 5, items).astype(np.int32) if counted else np.ones(items, np.int32)
    total = (rng.random(items) * count).astype(np.float32)
    right = rng.random(items) < 0.5 if judged else None
    return Outcomes(run, "0123456789abcdef", "accuracy", total, count, right)


def record(of: Outcomes) -> dict:
    """What a record says of such a test, from literal loops."""
    total, count, right = 0.0, 0, []
    for n in range(of.items):
        total, count = total + float(of.total[n]), count + int(of.count[n])
        if of.right is not None and of.count[n]:
            right.append(bool(of.right[n]))
    metrics = {"test/loss": total / count} | ({"test/accuracy": sum(right) / len(right)} if right else {})
    return {"id": of.run, "dataset": {"data_hash": of.data_hash}, "metrics": metrics}


def equal(one: Outcomes, other: Outcomes) -> bool:
    names = ("total", "count", "right")
    return (one.run, one.data_hash, one.metric) == (other.run, other.data_hash, other.metric) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in names
    )


def test_what_is_written_is_read_one_run_or_several(tmp_path):
    some = [made(RUNS[0]), made(RUNS[1], 1, counted=True), made(RUNS[2], 16, counted=True, judged=False)]
    path = tmp_path / outcomes.FILE
    for runs in (some[:1], some, some[::-1]):
        path.write_bytes(outcomes.dumps(runs))
        found = outcomes.read(path)
        assert [each.total.dtype for each in found] == [np.float32] * len(runs)
        assert all(equal(*pair) for pair in zip(found, runs, strict=True))


def test_the_same_outcomes_are_the_same_bytes_at_any_time(monkeypatch):
    before = outcomes.dumps([made()])
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert outcomes.dumps([made()]) == before


def test_the_file_is_as_documented(tmp_path):
    (path := tmp_path / outcomes.FILE).write_bytes(
        outcomes.dumps([made(), made(RUNS[1], 3, counted=True, judged=False)])
    )
    with np.load(path, allow_pickle=False) as content:
        assert set(content.files) == {"about", "total", "count", "right"}
        said = json.loads(content["about"].tobytes())
        sizes = {name: (content[name].dtype.str, len(content[name])) for name in ("total", "count", "right")}
    first = {
        "run": RUNS[0],
        "data_hash": "0123456789abcdef",
        "metric": "accuracy",
        "items": 11,
        "counted": False,
        "judged": True,
    }
    assert said == {
        "schema_version": 1,
        "runs": [first, first | {"run": RUNS[1], "items": 3, "counted": True, "judged": False}],
    }
    assert sizes == {"total": ("<f4", 14), "count": ("<i4", 3), "right": ("|u1", 2)}


def test_the_loss_of_an_item_is_its_mean_and_none_of_what_counts_nothing():
    of = dataclasses.replace(made(items=3), total=np.array([4, 0, 3], np.float32), count=np.array([2, 0, 1], np.int32))
    assert np.array_equal(of.loss, [2.0, np.nan, 3.0], equal_nan=True)
    assert of.means()["loss"] == 7 / 3


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("judged", [False, True])
def test_it_fits_its_own_record_and_no_other(counted, judged):
    of = made(items=40, counted=counted, judged=judged)
    good = record(of)
    assert of.objection(good) == ""
    metrics = good["metrics"]
    others = [
        good | {"id": RUNS[1]},
        good | {"dataset": {"data_hash": "f" * 16}},
        good | {"metrics": metrics | {"test/loss": metrics["test/loss"] * 1.0001}},
        good | {"metrics": {}},
        good | {"metrics": {"test/loss": None}},
    ]
    if judged:
        others.append(good | {"metrics": metrics | {"test/accuracy": metrics["test/accuracy"] + 0.03}})
    said = [of.objection(other) for other in others]
    assert all(said)
    assert len(set(said)) >= 4


def test_a_run_is_read_with_its_record_only(tmp_path):
    of = made(counted=True)
    path = tmp_path / outcomes.FILE
    path.write_bytes(outcomes.dumps([of]))
    assert equal(outcomes.read_run(path, record(of)), of)
    with pytest.raises(BadInput, match=rf"has no outcomes of run {RUNS[1]}"):
        outcomes.read_run(path, record(of) | {"id": RUNS[1]})
    with pytest.raises(BadInput, match=r"does not belong to the record of run a+: it is of other data"):
        outcomes.read_run(path, record(of) | {"dataset": {"data_hash": None}})


def packed(**arrays: object) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def changed(about: object = None, **other: object) -> bytes:
    """A file of one run of eleven items, with what is said of it, or an array, replaced."""
    with np.load(io.BytesIO(outcomes.dumps([made(counted=True)]))) as content:
        arrays = {name: content[name] for name in content.files}
    said = json.loads(arrays["about"].tobytes())
    if isinstance(about, dict):
        said["runs"][0] |= about
    elif about is not None:
        said = about
    return packed(**arrays | {"about": np.frombuffer(json.dumps(said).encode(), np.uint8)} | other)


def bomb() -> bytes:
    """A file of a few kB that says it holds two GB."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.npy", b"0" * 10**6)
    return buffer.getvalue().replace((10**6).to_bytes(4, "little"), (2 * 10**9).to_bytes(4, "little"))


EMPTY = {"total": np.zeros(0, "<f4"), "count": np.zeros(0, "<i4"), "right": np.zeros(0, "u1")}
HOSTILE = {
    "empty": b"",
    "torn": outcomes.dumps([made()])[:-40],
    "text": b"no npz at all",
    "far larger than it is": bomb(),
    "a pickle": packed(about=np.array([{"a": 1}], dtype=object), total=np.zeros(1, "f4")),
    "no arrays": packed(about=np.zeros(2, np.uint8)),
    "words for what it is": changed(about="outcomes"),
    "a list": changed(about=[1]),
    "a version of words": packed(about=np.frombuffer(b'{"schema_version": "1"}', np.uint8), **EMPTY),
    "no runs": changed(about=[]),
    "a run that leads elsewhere": changed({"run": "../../etc"}),
    "a run without items": changed({"items": 0}),
    "true items": changed({"items": True}),
    "more items than there are": changed({"items": 12}),
    "more than anybody has": changed({"items": 10**15}),
    "fewer": changed({"items": 5}),
    "a metric of numbers": changed({"metric": 3}),
    "counts of words": changed({"counted": "yes"}),
    "no counts": changed({"counted": False}),
    "deep brackets": changed(about=json.loads("[" * 200 + "]" * 200)),
    "float64": changed(total=np.zeros(11)),
    "other byte order": changed(total=np.zeros(11, ">f4")),
    "a matrix": changed(total=np.zeros((11, 1), "f4")),
    "infinite losses": changed(total=np.full(11, np.inf, "f4")),
    "no numbers": changed(total=np.full(11, np.nan, "f4")),
    "negative counts": changed(count=np.full(11, -1, "i4")),
    "a run twice": outcomes.dumps([made(), made()]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_whole_is_one_sentence(tmp_path, name):
    path = tmp_path / outcomes.FILE
    path.write_bytes(HOSTILE[name])
    with pytest.raises(BadInput, match=r"outcomes\.npz cannot be read as outcomes \(.*\): delete it") as said:
        outcomes.read(path)
    assert "\n" not in str(said.value)


def test_any_byte_may_be_another(tmp_path):
    """A file with bytes changed is read as some outcomes or refused in a sentence; nothing else happens."""
    whole = outcomes.dumps([made(counted=True)])
    path, rng = tmp_path / outcomes.FILE, np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(256)
        path.write_bytes(data)
        try:
            assert outcomes.read(path)[0].items >= 1
        except BadInput:
            refused += 1
    assert refused > 40


def test_a_missing_file_a_pipe_and_a_later_schema_are_said(tmp_path, monkeypatch):
    import os

    path = tmp_path / outcomes.FILE
    with pytest.raises(BadInput, match="cannot be read"):
        outcomes.read(path)
    os.mkfifo(path)
    with pytest.raises(BadInput, match="no regular file"):
        outcomes.read(path)
    path.unlink()
    with monkeypatch.context() as later:
        later.setattr(outcomes, "SCHEMA_VERSION", 2)
        path.write_bytes(outcomes.dumps([made()]))
    with pytest.raises(BadInput, match="schema_version 2; update rnnbench"):
        outcomes.read(path)
