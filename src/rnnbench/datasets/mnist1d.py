"""MNIST-1D: ten short curves, stretched, shifted, tilted and drowned in noise (Greydanus & Kobak 2020, 2024)."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from rnnbench.datasets.base.checks import whole
from rnnbench.datasets.base.spec import Data, Split, TaskSpec
from rnnbench.datasets.base.splits import class_floors, stratified
from rnnbench.datasets.base.task import Task
from rnnbench.datasets.own.order_free import predicted
from rnnbench.seeds import derive

CLASSES, STEPS = 10, 40
TRAIN, VAL, TEST = 3500, 500, 1000

# How the ten digits are written in twelve heights, from left to right.
CURVES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)

# The published set is one draw with these numbers; another number is another set.
SEED = 42
EACH = 500  # examples of a digit
SHORTEST, LONGEST = 36, 60  # zeros that follow the curve, which narrow it
WIDTH = 72  # points before the last step, which thins them out to STEPS
TALLER = 0.4  # heights differ by up to half of this, up and down
SHIFTS = 48  # 0 to 47 points to the right, around the end
WAVES, SMOOTH = 0.25, 2.0  # smooth noise where there is no curve: its size before, and the width of, the smoothing
GRAIN = 0.02  # noise at every point
TILT = 0.75
BARELY = 1e-8  # added to a curve, so that none of its heights counts as one of the zeros after it


class MNIST1D(Task):
    """5,000 sequences of 40 numbers in each of which one of ten curves is hidden: which one?

    x: N 40 1, float32, one number a step; y: N, the digit 0..9. Generated, and equal in float32 to the published arrays
    (github.com/greydanus/mnist1d, Apache-2.0; "Scaling down deep learning with MNIST-1D", arXiv 2011.14439), which are
    standardised over all 5,000. The official 1,000 test sequences; of the official 4,000 for training 500 are kept for
    validation, every class in proportion, fixed by data_seed: 3,500/500/1,000. Metric `accuracy`; floors `chance`
    (0.1) and `majority`; reference `linear`, a logistic regression on the 40 numbers. Raises BadInput on a wrong
    data_seed.
    """

    def __init__(self, data_seed: int = 0) -> None:
        whole("data_seed", data_seed, 0)
        self.data_seed = data_seed
        self.spec = TaskSpec(
            name="mnist1d",
            protocol=f"numpy seed {SEED} as published, {STEPS}x1, official test, stratified {TRAIN}/{VAL}/{TEST}, "
            f"split seed {data_seed}",
            inputs="features",
            input_size=1,
            outputs="sequence",
            output_size=CLASSES,
            loss="cross_entropy",
            metric="accuracy",
            metrics=("accuracy",),
            goal="max",
            floor="chance",
            target=1.0,
            target_source="perfect accuracy",
            max_length=STEPS,
            reference="linear",
        )

    def load(self) -> Data:
        """Generate the published arrays and split their first 4,000."""
        values, labels = generate()
        x, y = torch.from_numpy(values).unsqueeze(-1), torch.from_numpy(labels)
        train, val = stratified(labels[:-TEST], (TRAIN, VAL), derive(self.data_seed, "mnist1d", "split"))
        return Data(Split(x[train], y[train]), Split(x[val], y[val]), Split(x[-TEST:], y[-TEST:]))

    def floors(self, data: Data) -> Mapping[str, float]:
        """`chance`: a uniform guess; `majority`: always train's most frequent digit; `linear`: see the class."""
        train, test = (split.x.squeeze(-1).double().numpy() for split in (data.train, data.test))
        found = predicted(train, data.train.y.numpy(), test)
        linear = float((found == data.test.y.numpy()).mean())
        return {**class_floors(CLASSES, data.train.y, data.test.y), "linear": linear}


def generate() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The published sequences (5000 40) and their digits, in the published order: 4,000 for training, 1,000 for test.

    Drawn example by example from numpy's frozen legacy generator in the published order of draws, computed in float64.
    """
    random = np.random.RandomState(SEED)
    examples = CLASSES * EACH
    points = np.empty((examples, WIDTH))
    waves, grain = np.empty_like(points), np.empty_like(points)
    tilts = np.empty((examples, 1))
    digits = np.repeat(np.arange(CLASSES), EACH)
    curves = templates()
    for i, digit in enumerate(digits):
        zeros = SHORTEST + int(random.rand() * (LONGEST - SHORTEST + 1))
        height = 1 + TALLER * (random.rand() - 0.5)
        shift = random.randint(SHIFTS)
        padded = np.concatenate([curves[digit] + BARELY, np.zeros(zeros)])
        points[i] = np.roll(resampled(padded, WIDTH) * height, shift)
        waves[i] = WAVES * random.randn(WIDTH)
        grain[i] = GRAIN * random.randn(WIDTH)
        tilts[i] = TILT * (random.rand() - 0.5)
    noisy = np.where(points != 0, points, smoothed(waves)) + grain
    tilted = noisy - tilts * np.linspace(-0.5, 0.5, WIDTH)
    order = random.permutation(examples)
    values = np.stack([resampled(row, STEPS) for row in tilted[order]])
    values = (values - values.mean()) / values.std()
    return values.astype(np.float32), digits[order]


def templates() -> NDArray[np.float64]:
    """The ten curves (10 12), of equal spread, each beginning at 0."""
    curves = np.array(CURVES)
    curves -= curves.mean(1, keepdims=True)
    curves /= curves.std(1, keepdims=True)
    curves -= curves[:, :1]
    return curves / 6


def resampled(values: NDArray[np.float64], points: int) -> NDArray[np.float64]:
    """A curve read at so many equidistant points from its first to its last, linearly in between."""
    return np.interp(_places(points), _places(len(values)), values)


@functools.cache
def _places(points: int) -> NDArray[np.float64]:
    return np.linspace(0, 1, points)


def smoothed(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every row convolved with a Gaussian of width SMOOTH, cut at four widths; rows are mirrored at their ends."""
    reach = round(4 * SMOOTH)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTH) ** 2)
    weights /= weights.sum()
    mirrored = np.pad(rows, ((0, 0), (reach, reach)), mode="symmetric")
    found = np.zeros_like(rows)
    for first, weight in enumerate(weights):
        found += weight * mirrored[:, first : first + rows.shape[1]]
    return found
