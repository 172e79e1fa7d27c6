"""Japanese Vowels: the .ts reader, standardising, the split; the real files where RNNBENCH_DATA has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnbench.datasets import JapaneseVowels, data_hash, japanese_vowels
from rnnbench.errors import MissingData

HEADER = "#a comment: with a colon\n@problemName X\n@equalLength false\n@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n"


def ts(rng: np.random.Generator, cases: int) -> bytes:
    lines = []
    for case in range(cases):
        values = rng.normal(3, 2, size=(12, rng.integers(7, 30)))
        lines.append(":".join(",".join(f"{v:.6f}" for v in channel) for channel in values) + f":{case % 9 + 1}")
    return (HEADER + "\n".join(lines) + "\n").encode()


@pytest.fixture
def tiny(store, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    files = {
        name: store("uea_ucr", name, ts(rng, cases))
        for name, cases in (("JapaneseVowels_TRAIN.ts", 54), ("JapaneseVowels_TEST.ts", 20))
    }
    monkeypatch.setattr(japanese_vowels, "FILES", files)
    monkeypatch.setattr(japanese_vowels, "TRAIN", 45)
    monkeypatch.setattr(japanese_vowels, "VAL", 9)


def test_the_reader_on_a_literal_file(tmp_path) -> None:
    path = tmp_path / "x.ts"
    path.write_text("@classLabel true a b\n@data\n1,2,3:4,5,6:b\n7:8:a\n")
    cases, labels = japanese_vowels.read_ts(path)
    assert [case.tolist() for case in cases] == [[[1, 4], [2, 5], [3, 6]], [[7, 8]]]
    assert labels.tolist() == [1, 0]


def test_standardised_by_train_and_zero_after_the_end(tiny: None) -> None:
    data = JapaneseVowels().load()
    assert [split.size for split in data] == [45, 9, 20]
    for split in data:
        assert split.lengths is not None
        outside = torch.arange(29) >= split.lengths[:, None]
        assert (split.x[outside] == 0).all()
    inside = ~(torch.arange(29) >= data.train.lengths[:, None])
    frames = data.train.x[inside]
    assert torch.allclose(frames.mean(0), torch.zeros(12), atol=1e-5)
    assert torch.allclose(frames.std(0, correction=0), torch.ones(12), atol=1e-5)
    assert data.train.y.bincount().tolist() == [5] * 9
    assert data.val.y.bincount().tolist() == [1] * 9


def test_a_corrupt_file_is_named(tiny: None) -> None:
    path = japanese_vowels.FILES["JapaneseVowels_TEST.ts"].path
    path.write_text("")
    with pytest.raises(MissingData, match=r"JapaneseVowels_TEST\.ts is corrupt"):
        JapaneseVowels().load()


@pytest.mark.data
def test_the_real_files(need, evaluate) -> None:
    need(*japanese_vowels.FILES.values())
    task = JapaneseVowels()
    data = task.load()
    assert [split.size for split in data] == [225, 45, 370]
    lengths = torch.cat([split.lengths for split in data])
    assert (int(lengths.min()), int(lengths.max())) == (7, 29)
    assert data.train.y.bincount().tolist() == [25] * 9
    floors = task.floors(data)
    constant = evaluate(task, data.test, lambda batch: torch.eye(9)[0].expand(len(batch.y), 9))
    assert constant["accuracy"] == pytest.approx(floors["majority"])
    assert floors["chance"] == pytest.approx(1 / 9)
    assert data_hash(data) == "fa712afad2c790e1"
