"""Log-mel energies against a literal computation, window by window, band by band, by the Fourier sum itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.signal.windows import hann

from rnnbench.datasets.own.log_mel import Audio, LogMel, audio, filters, samples
from rnnbench.errors import BadInput


def literal(x: np.ndarray, rate: int, bands: int, window: int, hop: int, size: int, floor: float) -> np.ndarray:
    """One number at a time, as the words in log_mel.py say it."""
    mel = [2595 * math.log10(1 + rate / 2 / 700) * k / (bands + 1) for k in range(bands + 2)]
    corners = [700 * (10 ** (m / 2595) - 1) for m in mel]
    rows = []
    for start in range(0, len(x) - window + 1, hop):
        cut = x[start : start + window] * hann(window, sym=False)
        n = np.arange(window)
        power = [abs(np.sum(cut * np.exp(-2j * np.pi * k * n / size))) ** 2 for k in range(size // 2 + 1)]
        row = []
        for low, top, high in zip(corners, corners[1:], corners[2:], strict=False):
            energy = 0.0
            for k, p in enumerate(power):
                f = k * rate / size
                if low < f <= top:
                    energy += p * (f - low) / (top - low)
                elif top < f < high:
                    energy += p * (high - f) / (high - top)
            row.append(math.log(energy + floor))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    ("rate", "options", "window", "hop", "size"),
    [
        (8000, Audio(), 200, 80, 256),
        (16000, Audio(mels=23, window_ms=32, hop_ms=16, log_floor=1e-3), 512, 256, 512),
        (44100, Audio(mels=10, window_ms=2.5, hop_ms=5), 110, 221, 128),
    ],
)
def test_energies_are_what_the_words_say(rate: int, options: Audio, window: int, hop: int, size: int) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, window + 3 * hop + 7)
    of = LogMel(rate, options)
    assert (of.window, of.hop, of.size) == (window, hop, size)
    found = of(x)
    expected = literal(x, rate, options.mels, window, hop, size, options.log_floor)
    assert found.shape == (4, options.mels)
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_a_tone_is_loudest_in_the_band_around_it() -> None:
    of = LogMel(8000, Audio())
    t = np.arange(8000) / 8000
    tops = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 4000 / 700), 42)[1:-1] / 2595) - 1)
    for frequency in (500, 1500, 3000):
        loudest = of(np.sin(2 * np.pi * frequency * t)).mean(0).argmax()
        assert abs(tops[loudest] - frequency) < 100


def test_silence_is_the_floor_and_the_first_and_last_sample_count() -> None:
    of = LogMel(8000, Audio())
    assert np.allclose(of(np.zeros(200)), math.log(1e-6))
    assert of(np.zeros(279)).shape == (1, 40)
    assert of(np.zeros(280)).shape == (2, 40)


def test_milliseconds_are_the_nearest_samples() -> None:
    assert [samples(25, 8000), samples(2.5, 44100), samples(10, 44100), samples(0.1, 44100)] == [200, 110, 441, 4]
    assert samples(0.1, 5000) == 1, "a half is rounded up"


def test_what_gives_no_energies_is_refused() -> None:
    with pytest.raises(BadInput, match=r"dataset\.audio\.mels=128 leaves bands without any frequency"):
        filters(8000, 128, 256)
    with pytest.raises(BadInput, match=r"dataset\.audio\.window_ms=0\.1 and hop_ms=10 are 1 and 80 samples at 8000 Hz"):
        LogMel(8000, Audio(window_ms=0.1))
    with pytest.raises(BadInput, match=r"a window takes 2 to 65,536"):
        LogMel(48000, Audio(window_ms=1e6))
    for key, value in (("window_ms", float("nan")), ("log_floor", 0), ("hop_ms", True), ("window_ms", "25")):
        with pytest.raises(BadInput, match=rf"dataset\.audio\.{key} must be a number above 0"):
            audio({key: value})
    with pytest.raises(BadInput, match=r"dataset\.audio\.mels must be a whole number of at least 1"):
        audio({"mels": 2.5})
    assert audio(None) == Audio()
    assert audio({"hop_ms": 5}).words() == "log-mel 40, 25/5 ms, floor 1e-06"
