"""A reference that knows no order: logistic regression on each channel's mean and standard deviation over time.

What it reaches needs no recurrence. It is fitted to all that is not tested, train and validation, for it has nothing to
choose. Features are standardised by these (ddof 0, 0 counting as 1); the regression is multinomial with an L2 penalty,
C = 1, by L-BFGS to scikit-learn's tolerance of 1e-4 (a tighter one moves one answer in 250 on FSDD's speakers): no
seed, the same bits from the same data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

C = 1.0  # inverse strength of the penalty; not searched: validation is for the networks
MOST_STEPS = 5_000  # of L-BFGS; it takes some hundred


def mean_and_std(x: NDArray[Any], lengths: Sequence[int] | None = None) -> NDArray[np.float64]:
    """Each channel's mean and ddof-0 standard deviation over the steps of a sequence, N 2C. x: N T C, padded."""
    rows = []
    for index, sequence in enumerate(x):
        steps = sequence if lengths is None else sequence[: lengths[index]]
        values = np.asarray(steps, np.float64)
        rows.append(np.concatenate([values.mean(0), values.std(0)]))
    return np.array(rows)


def predicted(train: NDArray[np.float64], labels: NDArray[np.int64], test: NDArray[np.float64]) -> NDArray[np.int64]:
    """The classes of test (N F), by a regression fitted to train (N F) and its labels (N)."""
    from sklearn.linear_model import LogisticRegression

    mean, std = train.mean(0), train.std(0)
    std[std == 0] = 1
    fitted = LogisticRegression(C=C, max_iter=MOST_STEPS).fit((train - mean) / std, labels)
    found: NDArray[np.int64] = fitted.predict((test - mean) / std)
    return found


def fitted_numbers(
    train: NDArray[np.float64], numbers: NDArray[np.float64], test: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Numbers for test (N F), by ridge regression with the same penalty, fitted to train (N F) and its numbers (N)."""
    from sklearn.linear_model import Ridge

    mean, std = train.mean(0), train.std(0)
    std[std == 0] = 1
    fitted = Ridge(alpha=1 / C, solver="cholesky").fit((train - mean) / std, numbers)
    found: NDArray[np.float64] = fitted.predict((test - mean) / std)
    return found
