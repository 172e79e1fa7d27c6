"""The official test file of Moving MNIST: where it lies, and which runs test on it. No torch: planning asks, too."""

from __future__ import annotations

from pathlib import Path

from rnnbench.datasets.base.fetch import cache_folder

URL = "http://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"
MD5 = "be083ec986bfe91a449d63653c411eb2"
SHAPE = (20, 10_000, 64, 64)  # T N H W, uint8


def official_path() -> Path:
    """Where the official test file lies, if the user has put it there."""
    return cache_folder() / "moving_mnist" / "mnist_test_seq.npy"


def settled(test_set: str, protocol: str, frames: int, clips: int | None) -> str:
    """What test_set=auto stands for: the official file under OpenSTL's rules, where it is there and holds as much.

    frames: of a whole clip; clips: of test, None for the protocol's own. `auto` stays under shi2015, which has one
    test set only.
    """
    if test_set != "auto" or protocol != "openstl":
        return test_set
    fits = frames <= SHAPE[0] and (clips is None or clips <= SHAPE[1])
    return "official" if fits and official_path().exists() else "generated"
