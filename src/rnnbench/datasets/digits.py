"""scikit-learn's handwritten digits: real data without a download (Alpaydin & Kaynak 1998, UCI)."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rnnbench.datasets.base.checks import one_of, whole
from rnnbench.datasets.base.spec import Data, Split, TaskSpec
from rnnbench.datasets.base.splits import class_floors, stratified
from rnnbench.datasets.base.task import Task
from rnnbench.seeds import derive

VIEWS = {"rows": (8, 8), "pixels": (64, 1)}  # T, F
SIZES = (1077, 360, 360)


class Digits(Task):
    """1,797 digits of 8x8 pixels, read row by row or pixel by pixel.

    x: N 8 8 (`rows`) or N 64 1 (`pixels`), float32, the pixel values 0..16 divided by 16; y: N, the digit. Split into
    1,077/360/360 at random, every class in proportion, fixed by data_seed (the file names no writers, so some write in
    two splits). Metric `accuracy`; floors `chance` (0.1) and `majority`. Raises BadInput on an unknown view.
    """

    def __init__(self, view: str = "rows", data_seed: int = 0) -> None:
        one_of("view", view, VIEWS)
        whole("data_seed", data_seed, 0)
        self.view, self.data_seed = view, data_seed
        T, features = VIEWS[view]
        sizes = "/".join(map(str, SIZES))
        self.spec = TaskSpec(
            name="digits",
            protocol=f"{view} {T}x{features}, values/16, stratified {sizes}, split seed {data_seed}",
            inputs="features",
            input_size=features,
            outputs="sequence",
            output_size=10,
            loss="cross_entropy",
            metric="accuracy",
            metrics=("accuracy",),
            goal="max",
            floor="chance",
            target=1.0,
            target_source="perfect accuracy",
            max_length=T,
        )

    def load(self) -> Data:
        """Read the digits from scikit-learn's own file."""
        images, labels = read_digits()
        x = torch.from_numpy((images / 16).astype(np.float32)).reshape(-1, *VIEWS[self.view])
        y = torch.from_numpy(labels.astype(np.int64))
        parts = stratified(labels, SIZES, derive(self.data_seed, "digits", "split"))
        return Data(*(Split(x[part], y[part]) for part in parts))

    def floors(self, data: Data) -> Mapping[str, float]:
        """`chance`: a uniform guess; `majority`: always train's most frequent digit."""
        return class_floors(10, data.train.y, data.test.y)


# Where scikit-learn keeps them. Read as they lie: to import scikit-learn, with scipy.stats and pandas, is as much work
# as to import torch.
FILE = Path("datasets", "data", "digits.csv.gz")


@functools.cache
def read_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Every image (1797 64, values 0..16) and its digit. Read once a process; not to be written to."""
    spec = importlib.util.find_spec("sklearn")
    folders = spec.submodule_search_locations if spec is not None else None
    if not folders or not (path := Path(folders[0]) / FILE).is_file():
        from sklearn.datasets import load_digits  # one that has moved its file, or is not there, and says so

        images, labels = load_digits(return_X_y=True)
        return images, labels
    table = np.loadtxt(path, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)
