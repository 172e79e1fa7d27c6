"""Folders of recordings: what is read, to the bit, and what a strange folder is refused with."""

from __future__ import annotations

import io
import struct
import unicodedata
import wave
from pathlib import Path

import numpy as np
import pytest

from rnnbench.datasets.own import sequences, wavs
from rnnbench.datasets.own.log_mel import Audio, LogMel
from rnnbench.errors import BadInput


def pcm(values: np.ndarray, width: int) -> bytes:
    """Whole numbers as samples of so many bytes, one after another."""
    if width == 1:
        return bytes((values + 128).astype(np.uint8))
    return b"".join(int(value).to_bytes(width, "little", signed=True) for value in values)


def a_wav(values: np.ndarray, width: int = 2, rate: int = 8000, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(pcm(values, width))
    return buffer.getvalue()


def noise(seed: int, samples: int = 400, most: int = 9999) -> np.ndarray:
    return np.random.default_rng(seed).integers(-most, most, samples)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve recordings of two classes, with their labels."""
    place = tmp_path / "sounds"
    place.mkdir()
    rows = ["file,label"]
    for n in range(12):
        (place / f"{n}.wav").write_bytes(a_wav(noise(n, 400 + 10 * n)))
        rows.append(f"{n}.wav,{'ab'[n % 2]}")
    (place / "labels.csv").write_text("\n".join(rows) + "\n")
    return place


def reading(folder: Path, **options: object):
    return sequences.read({"path": str(folder), **options})


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_are_shares_of_full_scale(width: int) -> None:
    full = 2 ** (8 * width - 1)
    values = np.array([0, 1, -1, full - 1, -full, full // 3])
    content = a_wav(values, width)
    found = wavs.sound(io.BytesIO(content), len(content), "x.wav")
    assert found.rate == 8000
    assert found.samples.tolist() == (values / full).tolist()


def test_a_folder_is_read_as_log_mel_energies(folder: Path) -> None:
    found = reading(folder, scale="none")
    assert "12 sequences of 3 to 4 steps, 40 channels, 2 classes (a 6, b 6)" in found.reading.lines[0]
    assert "8000 Hz mono, log-mel 40, 25/10 ms, floor 1e-06" in found.reading.lines[0]
    for part in found.parts:
        for x, y, length, name in zip(part.x, part.y, part.lengths, part.names, strict=True):
            n = int(name.removesuffix(".wav"))
            expected = LogMel(8000, Audio())(noise(n, 400 + 10 * n) / 2**15)
            assert np.array_equal(x[:length], expected.astype(np.float32))
            assert found.classes[y] == "ab"[n % 2]


def test_every_option_of_the_energies_is_in_the_protocol(folder: Path) -> None:
    variants = [{}, {"mels": 20}, {"window_ms": 20}, {"hop_ms": 5}, {"log_floor": 1e-3}]
    assert len({reading(folder, audio=audio).protocol for audio in variants}) == len(variants)


def test_names_with_umlauts_are_found_in_either_form(folder: Path) -> None:
    name = "größe é.wav"
    (folder / "0.wav").rename(folder / unicodedata.normalize("NFD", name))
    text = (folder / "labels.csv").read_text().replace("0.wav", unicodedata.normalize("NFC", name), 1)
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    found = reading(folder)
    assert unicodedata.normalize("NFC", name) in {each for part in found.parts for each in part.names}


def test_other_rates_and_sub_folders_are_read(folder: Path) -> None:
    (folder / "deep").mkdir()
    for n in range(12):
        (folder / f"{n}.wav").unlink()
        (folder / "deep" / f"{n}.wav").write_bytes(a_wav(noise(n, 3000), rate=44100))
    rows = [f"deep/{n}.wav,{'ab'[n % 2]},{n // 2}" for n in range(12)]
    (folder / "labels.csv").write_text("\n".join(["file,label,group", *rows]))
    found = reading(folder)
    assert "44100 Hz mono" in found.reading.lines[0]
    assert "6 groups" in found.reading.lines[0]
    assert found.max_steps == 1 + (3000 - 1103) // 441


def test_a_column_that_may_be_a_group_is_told(folder: Path) -> None:
    rows = [f"{n}.wav,{'ab'[n % 2]},p{n // 2}" for n in range(12)]
    (folder / "labels.csv").write_text("\n".join(["file,label,speaker", *rows]))
    hint = "not used: speaker (dataset.group=speaker would keep those of one speaker in one split)"
    assert hint in reading(folder).reading.lines[0]
    assert "not used" not in reading(folder, group="speaker").reading.lines[0]


def test_recordings_that_the_table_does_not_name_are_told(folder: Path) -> None:
    (folder / "extra.wav").write_bytes(a_wav(noise(99)))
    assert "1 wav file that labels.csv does not name is left out" in reading(folder).reading.lines[0]


def cut(content: bytes, samples: int) -> bytes:
    return content[: -samples * 2]


def announcing(content: bytes, count: int) -> bytes:
    """A wav whose chunk of data announces so many bytes."""
    at = content.index(b"data") + 4
    return content[:at] + struct.pack("<I", count) + content[at + 4 :]


GOOD = a_wav(noise(50))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (a_wav(noise(1), rate=16000), r"3\.wav is 16000 Hz, the 11 others 8000: resample \(1 file of 12\)\."),
        (a_wav(noise(1), channels=2), r"3\.wav has 2 channels: mix it down to one \(mono\)\."),
        (a_wav(noise(1, 0)), r"3\.wav holds no sample: leave it out\."),
        (a_wav(noise(1, 150)), r"3\.wav has 150 samples, fewer than a window of 200 \(25 ms at 8000 Hz\)"),
        (b"", r"3\.wav is empty\."),
        (b"ID3\x03 this is an mp3", r"3\.wav is no PCM wav \(.*\): convert it to 16-bit PCM, mono\."),
        (cut(GOOD, 100), r"3\.wav is cut short or damaged: its header announces 400 samples, and at most \d+ are"),
        (announcing(GOOD, 2_000_000_000), r"3\.wav is cut short or damaged: its header announces 1,000,000,000"),
        (GOOD.replace(b"\x01\x00\x01\x00", b"\x03\x00\x01\x00", 1), r"3\.wav is no PCM wav \(unknown format: 3\)"),
        (GOOD[:30], r"3\.wav is no PCM wav"),
    ],
)  # fmt: skip
def test_a_wav_that_is_none_is_refused_by_name(folder: Path, content: bytes, sentence: str) -> None:
    (folder / "3.wav").write_bytes(content)
    with pytest.raises(BadInput, match=sentence) as caught:
        reading(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (("3.wav", "33.wav"), {}, r"labels\.csv names 33\.wav \(row 4\), which is not in sounds; did you mean 3\.wav"),
        (("3.wav", "2.wav"), {}, r"labels\.csv names 2\.wav 2 times: leave one row\."),
        (("3.wav", "../3.wav"), {}, r"labels\.csv names '\.\./3\.wav', which lies outside sounds"),
        (("3.wav", "/etc/passwd"), {}, r"labels\.csv names '/etc/passwd', which lies outside sounds"),
        (("3.wav,b", "3.wav,"), {}, r"3\.wav has no label \(line 5 of labels\.csv\)\."),
        (("\n3.wav,b", "\n,b"), {}, r"labels\.csv names no file at line 5\."),
        (("3.wav", '"3\n.wav"'), {}, r"labels\.csv names '3\\n\.wav' at line \d: rename it without control characters"),
        (("file,label", "name,label"), {}, r"labels\.csv has the columns name, label, and none is called file"),
        (("file,label", "file,what"), {}, r"none is called label: dataset\.label= names yours"),
        (("", ""), {"group": "speaker"}, r"labels\.csv has no column 'speaker'"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_its_folder_is_refused(folder: Path, change, options, sentence: str) -> None:
    text = (folder / "labels.csv").read_text().replace(*change, 1)
    (folder / "labels.csv").write_text(text)
    with pytest.raises(BadInput, match=sentence):
        reading(folder, **options)


def test_a_folder_without_its_table_is_refused(folder: Path) -> None:
    (folder / "labels.csv").unlink()
    with pytest.raises(
        BadInput, match=r"sounds is a folder without labels\.csv: a table with the columns file and label"
    ):
        reading(folder)


def test_folders_called_like_recordings_are_none(folder: Path) -> None:
    (folder / "x.wav").mkdir()
    assert "left out" not in reading(folder).reading.lines[0]
    with (folder / "labels.csv").open("a") as file:
        file.write("x.wav,a\n")
    with pytest.raises(BadInput, match=r"labels\.csv names x\.wav \(row 13\), which is a folder: name the file in it"):
        reading(folder)


def test_one_file_written_in_two_ways_is_one(folder: Path) -> None:
    with (folder / "labels.csv").open("a") as file:
        file.write("./3.wav,b\n")
    with pytest.raises(BadInput, match=r"labels\.csv names 3\.wav 2 times: leave one row"):
        reading(folder)


def test_a_table_beside_the_recordings_changes_nothing(folder: Path) -> None:
    (folder / "more.parquet").write_bytes(b"")
    assert reading(folder).reading.facts["sizes"] == [9, 1, 2]


def test_more_energies_than_the_memory_has_room_for_are_refused(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(wavs, "machine_limit", lambda: 8 * 40 * (3 + 3))  # of 400 and 410 samples: 3 windows each
    with pytest.raises(
        BadInput, match=r"the energies of all recordings up to 2\.wav take more than half of this machi"
    ):
        reading(folder)
