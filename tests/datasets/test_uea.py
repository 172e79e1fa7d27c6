"""Sets of the archives by name: from the cache folder, by checksum where they are known."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from rnnbench.datasets import UEA, japanese_vowels
from rnnbench.datasets.own import uea
from rnnbench.errors import BadInput, MissingData
from rnnbench.runs.plan import prepare
from rnnbench.sweeps.plan import plan


def lay(cache: Path, name: str, train: list[str], test: list[str]) -> None:
    (cache / "uea_ucr").mkdir(exist_ok=True)
    for part, rows in (("TRAIN", train), ("TEST", test)):
        (cache / "uea_ucr" / f"{name}_{part}.ts").write_text("\n".join(["@classLabel true up down", "@data", *rows]))


def lay_known(patch: pytest.MonkeyPatch, cache: Path, name: str, train: list[str], test: list[str]) -> None:
    """Files in the cache folder, of a set that is known by them."""
    lay(cache, name, train, test)
    content = [(cache / "uea_ucr" / f"{name}_{part}.ts").read_bytes() for part in uea.PARTS]
    patch.setitem(uea.KNOWN, name, tuple(hashlib.sha256(each).hexdigest() for each in content))


ROWS = [f"{n},{n + 1},{n * n}:{'up' if n % 2 else 'down'}" for n in range(24)]


def test_files_of_the_cache_folder_are_read_by_name(cache: Path, offline: None, monkeypatch) -> None:
    lay_known(monkeypatch, cache, "Mine", ROWS[:16], ROWS[16:])
    task = UEA("Mine")
    assert [split.size for split in task.load()] == [14, 2, 8]
    assert task.spec.labels == ("down", "up")
    assert task.spec.name == "uea"
    assert task.spec.protocol.startswith("Mine ")
    assert [name.split()[-1] for name in task.content.parts[2].names] == ["Mine_TEST.ts"] * 8
    lay_known(monkeypatch, cache, "Mine", ROWS[:16], ROWS[16:23])
    assert UEA("Mine").spec.protocol != task.spec.protocol
    lay(cache, "Mine", ROWS[:16], ROWS[16:22])
    with pytest.raises(MissingData, match=r"Mine_TEST\.ts is corrupt"):  # never an old number for other data
        UEA("Mine").load()


def test_equal_sequences_of_a_published_split_are_told(cache: Path, offline: None, monkeypatch) -> None:
    lay_known(monkeypatch, cache, "Twice", ROWS[:16], [*ROWS[16:], ROWS[3], ROWS[4]])
    (warning,) = UEA("Twice").reading().warnings
    assert "case 4 of Twice_TRAIN.ts" in warning
    assert "case 9 of Twice_TEST.ts (test) hold the same values, as 1 more do" in warning


def test_what_is_not_there_is_said_with_the_way_to_it(cache: Path, offline: None) -> None:
    with pytest.raises(BadInput, match=r"'Heartbeat' is none of the sets .* dataset\.path=Heartbeat_TRAIN\.ts"):
        UEA("Heartbeat").load()
    with pytest.raises(MissingData, match=r"BasicMotions_TRAIN\.ts is missing and could not be downloaded"):
        UEA().load()
    lay(cache, "GunPoint", ROWS[:16], ROWS[16:])
    with pytest.raises(MissingData, match=r"GunPoint_TRAIN\.ts is corrupt"):
        UEA("GunPoint").load()
    for name in ("../x", "", None):
        with pytest.raises(BadInput, match=r"dataset\.set must name a set"):
            UEA(name)


@pytest.mark.integration
def test_a_plan_reads_a_set_that_is_here(cache: Path, offline: None, monkeypatch) -> None:
    lay_known(monkeypatch, cache, "Mine", ROWS[:16], ROWS[16:])
    words = ["dataset=uea", "tracker=none", "device=cpu", "budget.batch_size=8"]
    found = plan([*words, "dataset.set=Mine"]).readings()
    assert found[0].startswith("Mine: 24 sequences of 3 steps, 1 channel, 2 classes (down 12, up 12)")
    tcn = [*words, "dataset.set=Mine", "cell=tcn", "cell.kernel_size=2"]
    assert prepare([*tcn, "depth=covering"]).id == prepare([*tcn, "depth=1"]).id
    assert plan([*words, "dataset.set=GunPoint"]).readings() == [], "still to be downloaded"
    with pytest.raises(BadInput, match="'Heartbeat' is none of the sets that are downloaded"):
        prepare([*words, "dataset.set=Heartbeat"])
    with pytest.raises(BadInput, match=r"dataset\.set must name a set"):
        prepare([*words, "dataset.set=../x"])


@pytest.mark.data
def test_japanese_vowels_is_the_same_test_set(need) -> None:
    need(*japanese_vowels.FILES.values())
    found = UEA("JapaneseVowels").content
    cases, labels = japanese_vowels.read_ts(Path(os.environ["RNNBENCH_DATA"]) / "uea_ucr" / "JapaneseVowels_TEST.ts")
    assert np.array_equal(found.parts[2].y, labels)
    assert found.parts[2].lengths.tolist() == [len(case) for case in cases]
    assert [len(part.x) for part in found.parts] == [237, 33, 370]
    assert uea.KNOWN["JapaneseVowels"] == tuple(file.sha256 for file in japanese_vowels.FILES.values())
