"""Fixed splits and trivial predictors shared by the classification datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def stratified(labels: NDArray[np.int64], sizes: tuple[int, ...], seed: int) -> tuple[NDArray[np.int64], ...]:
    """Disjoint parts of exactly the given sizes, each with every class in proportion (give or take one).

    labels: N. Returns for each size the sorted indices of that part. Inside a class the order is drawn from seed;
    ordering all by their relative rank in their class then spreads the classes evenly, and the parts are cut from it.
    """
    if sum(sizes) > len(labels):
        raise ValueError(f"parts of {sizes} do not fit into {len(labels)} labels")
    rng = np.random.default_rng(seed)
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        (members,) = np.nonzero(labels == label)
        rank[rng.permutation(members)] = (np.arange(len(members)) + rng.random()) / len(members)
    order = np.argsort(rank, kind="stable")
    ends = np.cumsum(sizes)
    return tuple(np.sort(order[end - size : end]) for size, end in zip(sizes, ends, strict=True))


def class_floors(classes: int, train: Tensor, test: Tensor) -> dict[str, float]:
    """Accuracy on test of a uniform guess (`chance`) and of always naming train's most frequent class (`majority`).

    train, test: labels, N; those that are IGNORED do not count. Of equally frequent classes the first counts as the
    most frequent.
    """
    from rnnbench.datasets.base.losses import IGNORED

    train, test = (part[part != IGNORED] for part in (train, test))
    most = int(train.bincount(minlength=classes).argmax())
    return {"chance": 1 / classes, "majority": float((test == most).double().mean())}


def majority_by_step(y: Tensor, classes: int) -> Tensor:
    """The most frequent class at each step: what is known without any input.

    y: N T, the classes of sequences of one length; those that are IGNORED do not count. Returns T, int64: of equally
    frequent classes the first, and class 0 where no sequence has any.
    """
    import torch

    from rnnbench.datasets.base.losses import IGNORED

    T = y.shape[1]
    known = y != IGNORED
    at = (torch.arange(T) * classes + y.long())[known]
    return at.bincount(minlength=T * classes).view(T, classes).argmax(1)
