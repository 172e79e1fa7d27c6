"""Sequences that are kept: found again to the bit, shared, verified, never in the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rnnbench.datasets.own import kept_sequences, sequences, ts_files
from rnnbench.datasets.own.gathered import Sequences
from rnnbench.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sequences are kept, the smallest, too."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_sequences, "LEAST", 0)
    return tmp_path / "cache" / "rnnbench" / "own"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A .ts file of 20 cases of 3 to 5 steps and two channels."""
    rng = np.random.default_rng(0)
    lines = ["@classLabel true a b", "@data"]
    for n in range(20):
        channels = [",".join(map(repr, rng.normal(size=3 + n % 3).tolist())) for _ in range(2)]
        lines.append(":".join([*channels, "ab"[n % 2]]))
    (tmp_path / "x.ts").write_text("\n".join(lines))
    return tmp_path / "x.ts"


def same(one: sequences.Found, other: sequences.Found) -> None:
    assert (one.protocol, one.reading, one.classes, one.channels) == (
        other.protocol,
        other.reading,
        other.classes,
        other.channels,
    )
    for mine, theirs in zip(one.parts, other.parts, strict=True):
        assert mine.names == theirs.names
        for values, twins in ((mine.x, theirs.x), (mine.y, theirs.y), (mine.lengths, theirs.lengths)):
            assert values.tobytes() == twins.tobytes()


def test_sequences_are_kept_mapped_and_found_again_to_the_bit(folder: Path, path: Path, monkeypatch) -> None:
    monkeypatch.setattr(kept_sequences, "LEAST", 10**9)
    alone = sequences.read({"path": str(path)})
    assert not folder.exists(), "small and quick"
    monkeypatch.setattr(kept_sequences, "LEAST", 0)
    same(alone, sequences.read({"path": str(path)}))
    (kept,) = folder.iterdir()
    assert sorted(file.name for file in kept.iterdir()) == ["sequences.json", "values.npy"]
    stacked = np.concatenate(ts_files.read(path).x)
    assert np.array_equal(np.load(kept / "values.npy"), stacked)
    monkeypatch.setattr(ts_files, "read", None)  # nothing is read again
    same(alone, sequences.read({"path": str(path)}))
    found = kept_sequences._held(kept)
    assert not found.x[0].flags.writeable
    assert np.shares_memory(found.x[0].base, found.x[1].base)


def flipped(kept: Path) -> None:
    content = bytearray((kept / "values.npy").read_bytes())
    content[-5] ^= 1
    (kept / "values.npy").write_bytes(content)


def changed(**values: object):
    def change(kept: Path) -> None:
        said = json.loads((kept / "sequences.json").read_text())
        (kept / "sequences.json").write_text(json.dumps({**said, **values}))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda kept: (kept / "values.npy").write_bytes((kept / "values.npy").read_bytes()[:-8]),
        lambda kept: (kept / "values.npy").unlink(),
        lambda kept: (kept / "sequences.json").write_text("{"),
        lambda kept: (kept / "sequences.json").write_text("[" * 10_000),
        changed(labels=["a"]),
        changed(labels=[1] * 20),
        changed(steps=[-1] * 20),
        changed(official=[True]),
        changed(version=0),
    ],
)
def test_what_is_damaged_is_read_anew(folder: Path, path: Path, damage) -> None:
    whole = sequences.read({"path": str(path)})
    (kept,) = folder.iterdir()
    damage(kept)
    same(whole, sequences.read({"path": str(path)}))
    assert kept_sequences._held(kept) is not None, "and kept anew"


def test_another_content_or_option_is_another_reading(folder: Path, tmp_path: Path, path: Path) -> None:
    rows = [f"q{n},{t},{n * t % 7},{n},c{n % 2}" for n in range(12) for t in range(3)]
    table = tmp_path / "x.csv"
    table.write_text("\n".join(["id,t,a,b,label", *rows]))
    for options in ({}, {"columns": ["a"]}, {"time": "a", "columns": ["b"], "id": "id"}):
        try:
            sequences.read({"path": str(table), **options})
        except BadInput:
            continue
    before = len(list(folder.iterdir()))
    assert before >= 2
    sequences.read({"path": str(table), "scale": "none", "data_seed": 3})
    assert len(list(folder.iterdir())) == before, "splits and scales are made of the same reading"
    table.write_text(table.read_text() + "\nq0,9,1,2,c0")
    sequences.read({"path": str(table)})
    assert len(list(folder.iterdir())) == before + 1


def test_where_nothing_can_be_written_it_is_read(folder: Path, path: Path, monkeypatch) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("no folder")
    whole = sequences.read({"path": str(path)})
    folder.unlink()

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kept_sequences, "_write", full)
        same(whole, sequences.read({"path": str(path)}))
    assert list(folder.iterdir()) == []


def test_a_file_that_changes_while_it_is_read_is_not_kept(folder: Path, path: Path, monkeypatch) -> None:
    read = ts_files.read

    def slowly(path: Path) -> Sequences:
        found = read(path)
        path.write_text(path.read_text() + "\n1,2,3:4,5,6:a")
        return found

    monkeypatch.setattr(ts_files, "read", slowly)
    with pytest.raises(BadInput, match=r"x\.ts is being written while it is read"):
        sequences.read({"path": str(path)})
    assert not folder.exists()
