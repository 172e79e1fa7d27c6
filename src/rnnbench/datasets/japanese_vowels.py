"""Japanese Vowels: which of nine speakers said it? (Kudo, Toyama & Shimbo 1999; UEA archive, its official split)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rnnbench.datasets.base.checks import whole
from rnnbench.datasets.base.fetch import RemoteFile, fetch
from rnnbench.datasets.base.spec import Data, Split, TaskSpec
from rnnbench.datasets.base.splits import class_floors, stratified
from rnnbench.datasets.base.task import Task
from rnnbench.datasets.own import ts_files
from rnnbench.seeds import derive

CHANNELS, CLASSES, LONGEST = 12, 9, 29
TRAIN, VAL, TEST = 225, 45, 370

_COMMIT = "aeon-toolkit/aeon/{}a101ddc8b35a65441609b45c9bcce5aeafa0c131/aeon/datasets/data/JapaneseVowels/"
_MIRRORS = ("https://raw.githubusercontent.com/" + _COMMIT.format(""), "https://github.com/" + _COMMIT.format("raw/"))
_SHA256 = {
    "JapaneseVowels_TRAIN.ts": "68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd",
    "JapaneseVowels_TEST.ts": "b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462",
}
FILES = {
    name: RemoteFile("uea_ucr", name, sha256, tuple(mirror + name for mirror in _MIRRORS))
    for name, sha256 in _SHA256.items()
}


class JapaneseVowels(Task):
    """Utterances of nine speakers as 12 linear-prediction coefficients over 7 to 29 frames; the speaker is the class.

    x: B T 12, float32, standardised per channel with the mean and standard deviation of the training frames, zeros
    after the end; y: N, the speaker 0..8; lengths: B. The official 370 test cases; of the official 270 training cases
    (30 a speaker) 5 a speaker are kept for validation, fixed by data_seed: 225/45/370. Metric `accuracy`; floors
    `chance` (1/9) and `majority`. Raises MissingData where a file is corrupt or cannot be fetched.
    """

    def __init__(self, data_seed: int = 0) -> None:
        whole("data_seed", data_seed, 0)
        self.data_seed = data_seed
        self.spec = TaskSpec(
            name="japanese_vowels",
            protocol=f"official test, {TRAIN}/{VAL}/{TEST}, standardised by train, split seed {data_seed}",
            inputs="features",
            input_size=CHANNELS,
            outputs="sequence",
            output_size=CLASSES,
            loss="cross_entropy",
            metric="accuracy",
            metrics=("accuracy",),
            goal="max",
            floor="chance",
            target=1.0,
            target_source="perfect accuracy",
            max_length=LONGEST,
        )

    def load(self) -> Data:
        """Read the two files, downloading what is missing."""
        cases, labels = read_ts(fetch(FILES["JapaneseVowels_TRAIN.ts"]))
        test_cases, test_labels = read_ts(fetch(FILES["JapaneseVowels_TEST.ts"]))
        train, val = stratified(labels, (TRAIN, VAL), derive(self.data_seed, "japanese_vowels", "split"))
        frames = np.concatenate([cases[i] for i in train])
        mean, std = frames.mean(0), frames.std(0)
        return Data(
            _pad([cases[i] for i in train], labels[train], mean, std),
            _pad([cases[i] for i in val], labels[val], mean, std),
            _pad(test_cases, test_labels, mean, std),
        )

    def floors(self, data: Data) -> Mapping[str, float]:
        """`chance`: a uniform guess; `majority`: always train's most frequent speaker (the first of equals)."""
        return class_floors(CLASSES, data.train.y, data.test.y)


def read_ts(path: Path) -> tuple[list[NDArray[np.float64]], NDArray[np.int64]]:
    """A UEA .ts file: its cases, each T F, and their classes numbered in the order of the header's @classLabel."""
    names = ts_files.classes(path)
    read = ts_files.read(path)
    return read.x, np.array([names.index(label) for label in read.labels], dtype=np.int64)


def _pad(
    cases: list[NDArray[np.float64]], labels: NDArray[np.int64], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> Split:
    x = torch.zeros(len(cases), LONGEST, CHANNELS)
    for row, case in zip(x, cases, strict=True):
        row[: len(case)] = torch.from_numpy((case - mean) / std)
    return Split(x, torch.from_numpy(labels), torch.tensor([len(case) for case in cases]))
