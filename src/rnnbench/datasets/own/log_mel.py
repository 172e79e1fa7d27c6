"""Log-mel energies of sound. No two libraries agree, so every step is said here, and a protocol names its numbers.

x: samples in [-1, 1). Windows of W samples every H, none reaching beyond an end (no padding): T = 1 + (n - W) // H.
Each is weighted by a periodic Hann window, extended by zeros to the next power of two, and transformed; the power of
its frequencies is summed by M triangles, whose corners are equally far apart in mel = 2595 log10(1 + f / 700) (HTK)
from 0 to half the rate, their flanks straight in f, their tops 1 (no norm). The logarithm is natural, of p + floor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnbench.datasets.base.checks import whole
from rnnbench.errors import BadInput, nearest, shown

MOST_SAMPLES = 1 << 16  # of a window; 65 s at 1 kHz, 1.4 s at 48 kHz
MOST_BANDS = 1 << 10
MOST = 1e9  # of the other options
AT_ONCE = 1 << 12  # windows that are transformed together


@dataclass(frozen=True)
class Audio:
    """mels: bands; window_ms, hop_ms: of a window, and between the starts of two; log_floor: added to a power."""

    mels: int = 40
    window_ms: float = 25
    hop_ms: float = 10
    log_floor: float = 1e-6

    def words(self) -> str:
        """For a protocol: `log-mel 40, 25/10 ms, floor 1e-06`."""
        return f"log-mel {self.mels}, {self.window_ms:g}/{self.hop_ms:g} ms, floor {self.log_floor:g}"


def audio(options: Mapping[str, Any] | None) -> Audio:
    """The option `audio` of a dataset. Raises BadInput."""
    if options is not None and not isinstance(options, Mapping):
        raise BadInput(f"dataset.audio must be options by name, e.g. {{mels: 40}}; got {shown(options)}.")
    given = dict(options or {})
    known = list(Audio.__dataclass_fields__)
    for key in given:
        if key not in known:
            raise BadInput(f"dataset.audio has no {key!r}; {nearest(str(key), known)}")
    found = Audio(**given)
    whole("audio.mels", found.mels, 1)
    if found.mels > MOST_BANDS:
        raise BadInput(f"dataset.audio.mels must be at most {MOST_BANDS:,}; got {shown(found.mels)}.")
    for key in known[1:]:
        value = getattr(found, key)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < np.inf:
            raise BadInput(f"dataset.audio.{key} must be a number above 0; got {shown(value)}.")
        if value > MOST:
            raise BadInput(f"dataset.audio.{key} must be at most {MOST:g}; got {shown(value)}.")
    return found


def samples(milliseconds: float, rate: int) -> int:
    """So many milliseconds in samples, the nearest whole number, a half being rounded up."""
    return int(Fraction(str(milliseconds)) * rate / 1000 + Fraction(1, 2))


def filters(rate: int, bands: int, size: int) -> NDArray[np.float64]:
    """The triangles, M by size // 2 + 1. Raises BadInput where one has no frequency of the transform in it."""
    frequency = np.arange(size // 2 + 1) * (rate / size)
    most = 2595 * np.log10(1 + rate / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, most, bands + 2) / 2595) - 1)
    low, top, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    rising = (frequency - low) / (top - low)
    falling = (high - frequency) / (high - top)
    triangles: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    empty = np.nonzero(triangles.sum(1) == 0)[0]
    if len(empty):
        raise BadInput(
            f"dataset.audio.mels={bands} leaves bands without any frequency (the first is band {int(empty[0])}): at "
            f"{rate} Hz a transform of {size} has one every {rate / size:g} Hz; take fewer bands or a longer window_ms."
        )
    return triangles


class LogMel:
    """Log-mel energies of sound of one rate: a call makes samples (n) into T M, float64."""

    def __init__(self, rate: int, options: Audio) -> None:
        self.window, self.hop = samples(options.window_ms, rate), samples(options.hop_ms, rate)
        if not (2 <= self.window <= MOST_SAMPLES and self.hop >= 1):
            raise BadInput(
                f"dataset.audio.window_ms={options.window_ms:g} and hop_ms={options.hop_ms:g} are {self.window} and "
                f"{self.hop} samples at {rate} Hz; a window takes 2 to {MOST_SAMPLES:,}, a hop at least 1."
            )
        self.size = 1 << (self.window - 1).bit_length()
        self.floor = options.log_floor
        self.hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)
        self.filters = filters(rate, options.mels, self.size)

    def steps(self, samples: int) -> int:
        """T of so many samples, at least a window of them."""
        return 1 + (samples - self.window) // self.hop

    def __call__(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """x: n samples, at least a window of them."""
        windows = np.lib.stride_tricks.sliding_window_view(x, self.window)[:: self.hop]
        parts = []
        for start in range(0, len(windows), AT_ONCE):
            spectrum = np.fft.rfft(windows[start : start + AT_ONCE] * self.hann, self.size)
            power = spectrum.real**2 + spectrum.imag**2
            parts.append(np.log(power @ self.filters.T + self.floor))
        return np.concatenate(parts)
