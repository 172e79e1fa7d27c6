"""Spoken digits: the archive in each of its packings, what is refused, and the real recordings."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

import rnnbench
from rnnbench.datasets import FSDD, own_sequences
from rnnbench.datasets.own import fsdd, kept_sequences, log_mel, order_free, wavs
from rnnbench.errors import BadInput, MissingData
from rnnbench.runs import readings
from rnnbench.runs.plan import prepare
from rnnbench.sweeps.plan import plan

SPEAKERS = ("george", "jackson", "lucas", "theo")


def recordings() -> dict[str, bytes]:
    """Of four speakers, two digits, eight times: noise of 300 to 459 samples."""
    rng = np.random.default_rng(0)
    held = {}
    for digit in (3, 7):
        for speaker in SPEAKERS:
            for number in range(8):
                buffer = io.BytesIO()
                with wave.open(buffer, "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(8000)
                    file.writeframes(rng.integers(-999, 999, 300 + rng.integers(160)).astype("<i2").tobytes())
                held[f"{digit}_{speaker}_{number}.wav"] = buffer.getvalue()
    return held


def as_tar(held: dict[str, bytes], path: Path) -> None:
    with tarfile.open(path, "w") as tar:
        for name, content in reversed(held.items()):
            member = tarfile.TarInfo(f"recordings/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        tar.addfile(tarfile.TarInfo("recordings/README"))


def as_zip(held: dict[str, bytes], path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in held.items():
            archive.writestr(f"free-spoken-digit-dataset-abc/recordings/{name}", content)
        archive.writestr("free-spoken-digit-dataset-abc/metadata.py", "x = 1")


@pytest.fixture
def small(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of a small archive, empty still."""
    lines = sorted(f"{name} {hashlib.sha256(content).hexdigest()}\n" for name, content in recordings().items())
    monkeypatch.setattr(fsdd, "RECORDINGS", hashlib.sha256("".join(lines).encode()).hexdigest())
    (cache / "fsdd").mkdir()
    return cache / "fsdd"


def test_a_tar_and_a_zip_are_the_same_recordings(small: Path, offline: None) -> None:
    as_zip(recordings(), small / fsdd.ARCHIVE.name)
    packed = FSDD().content
    as_tar(recordings(), small / fsdd.TAR)
    found = FSDD().content
    assert fsdd.archive().name == fsdd.TAR
    assert found.protocol == packed.protocol
    for mine, theirs in zip(found.parts, packed.parts, strict=True):
        assert mine.names == theirs.names
        assert np.array_equal(mine.x, theirs.x)


def test_the_official_test_set_are_the_first_five_of_each_voice_and_digit(small: Path) -> None:
    as_tar(recordings(), small / fsdd.TAR)
    task = FSDD()
    digits, _, numbers = zip(*(re.split(r"[_.]", name)[:3] for name in task.content.parts[2].names), strict=True)
    assert set(map(int, numbers)) == {0, 1, 2, 3, 4}
    assert len(numbers) == 40
    assert [task.spec.labels[y] for y in task.content.parts[2].y] == list(digits)
    assert all(int(name.split("_")[2].split(".")[0]) >= 5 for part in task.content.parts[:2] for name in part.names)
    assert task.reading().warnings[0].startswith("4 of the test set's 4 groups are trained on, too: george")


def test_energies_are_computed_once_for_all_splits(small: Path, tmp_path: Path, monkeypatch) -> None:
    as_tar(recordings(), small / fsdd.TAR)
    whole = FSDD().content
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "kept"))
    monkeypatch.setattr(kept_sequences, "LEAST", 0)
    for _ in range(2):
        fsdd._energies.cache_clear()
        found = FSDD().content
        assert (found.protocol, found.reading) == (whole.protocol, whole.reading)
        assert all(
            mine.x.tobytes() == theirs.x.tobytes() for mine, theirs in zip(found.parts, whole.parts, strict=True)
        )
        monkeypatch.setattr(fsdd, "recordings", None)
    assert {name.split("_")[1] for name in FSDD(split="speaker", test_speaker="theo").content.parts[2].names} == {
        "theo"
    }
    with pytest.raises(TypeError):
        FSDD(audio={"mels": 20}).load()


def test_a_speaker_who_is_tested_is_heard_nowhere_else(small: Path) -> None:
    as_tar(recordings(), small / fsdd.TAR)
    task = FSDD(split="speaker", test_speaker="lucas")
    voices = [{name.split("_")[1] for name in part.names} for part in task.content.parts]
    assert voices[2] == {"lucas"}
    assert len(voices[1]) == 1
    assert voices[0] | voices[1] == set(SPEAKERS) - {"lucas"}
    assert "group lucas is the test set" in task.spec.protocol
    assert task.reading().warnings == ()


def test_an_archive_of_something_else_is_refused(small: Path) -> None:
    held = recordings()
    held["3_theo_0.wav"] = held["3_theo_1.wav"]
    as_tar(held, small / fsdd.TAR)
    with pytest.raises(MissingData, match=r"fsdd_recordings\.tar is corrupt: its 64 recordings are not the 3,000 of"):
        FSDD().load()
    (small / fsdd.TAR).write_bytes(b"no tar at all")
    with pytest.raises(MissingData, match=r"fsdd_recordings\.tar cannot be read \(.*\): delete the file"):
        FSDD().load()


def test_the_archive_is_fetched_once_and_known_by_what_is_in_it(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def retrieve(url: str, *, known_hash: str | None, fname: str, path: Path) -> None:
        asked.append((url, known_hash))
        as_zip(recordings(), path / fname)

    monkeypatch.setattr("pooch.retrieve", retrieve)
    assert FSDD().load().test.size == 40
    assert FSDD().load().test.size == 40
    assert asked == [(f"https://github.com/Jakobovski/free-spoken-digit-dataset/archive/{fsdd.COMMIT}.zip", None)]


def test_a_missing_archive_is_one_sentence(small: Path, offline: None) -> None:
    with pytest.raises(MissingData, match=r"is missing and could not be downloaded .*: run `curl"):
        FSDD().load()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"split": "random"}, r"dataset\.split must be one of official, speaker; got 'random'"),
        ({"split": "speaker"}, r"dataset\.test_speaker must be one of george, .*; got None"),
        ({"test_speaker": "theo"}, r"dataset\.test_speaker needs dataset\.split=speaker"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        FSDD(**options)


@pytest.mark.integration
def test_a_plan_reads_what_is_here_and_downloads_nothing(small: Path, offline: None) -> None:
    asked = ["dataset=fsdd", "tracker=none", "device=cpu", "budget.batch_size=8"]
    before = prepare(asked)
    assert readings.of(before.config) is None, "its archive is still to be downloaded"
    with pytest.raises(MissingData, match="could not be downloaded"):
        readings.of(before.config, fetch=True)
    as_tar(recordings(), small / fsdd.TAR)
    assert prepare(asked).id == before.id
    found = plan([*asked, "dataset.split=official", "seed=range(3)"]).readings()
    samples = [(len(content) - 44) // 2 for content in recordings().values()]  # behind a header of 44 bytes
    steps = [1 + (each - 200) // 80 for each in samples]
    assert found[0].startswith(f"fsdd: 64 sequences of {min(steps)} to {max(steps)} steps, 40 channels, 2 classes")
    assert found[-1].startswith("warning: 4 of the test set's 4 groups are trained on, too")
    with pytest.raises(BadInput, match=r"there is no group 'yweweler'"):
        prepare([*asked, "dataset.split=speaker", "dataset.test_speaker=yweweler"])


@pytest.mark.integration
def test_depth_covering_and_data_know_the_steps(small: Path, offline: None) -> None:
    as_tar(recordings(), small / fsdd.TAR)
    words = ["dataset=fsdd", "tracker=none", "device=cpu", "budget.batch_size=8", "cell=tcn", "cell.kernel_size=2"]
    assert FSDD().spec.max_length == 4
    assert prepare([*words, "depth=covering"]).id == prepare([*words, "depth=2"]).id, "3 of 4 steps, and 7"
    found = rnnbench.read_data(dataset="fsdd", scale="none")
    assert found.facts == {"max_steps": 4, "classes": 2, "channels": 40, "sizes": [21, 3, 40]}
    assert found.command == (
        "rnnbench sweep experiment=own_sequences dataset=fsdd dataset.scale=none budget.batch_size=21"
    )
    with pytest.raises(BadInput, match=r"dataset\.test_group is no option of fsdd; did you mean test_speaker"):
        prepare([*words, "+dataset.test_group=theo"])


@pytest.mark.data
@pytest.mark.integration
def test_the_real_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was computed with numpy and scikit-learn alone: by the official split, and for two unheard speakers."""
    folder = os.environ.get("RNNBENCH_DATA")
    if not folder or not (Path(folder) / "fsdd" / fsdd.TAR).is_file():
        pytest.skip("RNNBENCH_DATA lacks fsdd")
    expected = json.loads((Path(folder) / "own_cases" / "fsdd_floors.json").read_text())
    monkeypatch.setattr(own_sequences, "kept", lambda task, data, compute, by: compute())  # nothing beside the data
    task = FSDD()
    data = task.load()
    assert [split.size for split in data] == [2363, 337, 300]
    lengths = np.concatenate([split.lengths.numpy() for split in data])
    assert (lengths.min(), np.median(lengths), lengths.max(), task.spec.max_length) == (12, 40, 226, 226)
    official = "official (index 0-4 test, same speakers in train) "
    floors = task.floors(data)
    assert round(floors["order_free"], 4) == expected[f"{official}mean+std (80)"]
    assert (floors["chance"], floors["majority"]) == pytest.approx((0.1, 0.1))
    held = fsdd.recordings(fsdd.archive())
    names = list(held)
    sounds = ((name, wavs.sound(io.BytesIO(held[name]), len(held[name]), name)) for name in names)
    read = wavs.as_sequences(sounds, names, None, log_mel.Audio())
    features = np.concatenate([order_free.mean_and_std([x])[:, :40] for x in read.x])
    digit, speaker, number = (
        np.array(column) for column in zip(*(re.split(r"[_.]", n)[:3] for n in names), strict=True)
    )
    y = digit.astype(np.int64)
    for what, tested in (
        (f"{official}mean frame (40)", number.astype(int) < 5),
        ("leave out speaker theo mean frame (40)", speaker == "theo"),
        ("leave out speaker george mean frame (40)", speaker == "george"),
    ):
        right = order_free.predicted(features[~tested], y[~tested], features[tested]) == y[tested]
        assert round(float(right.mean()), 4) == expected[what]
