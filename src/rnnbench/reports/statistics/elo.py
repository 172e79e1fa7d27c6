"""Bradley-Terry strengths on Elo's scale: one number an entry from who beat whom, also where not all met all.

Bradley & Terry 1952: entry i beats j with probability 1 / (1 + 10^((E_j - E_i) / 400)). A task is one game of every
pair that met on it, worth one point, which is shared as the pairs of runs were won. Every entry has one drawn game
more, spread over those it met (as in BayesElo): without it, an entry that won everything would have no finite strength.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnbench.reports.statistics.many_tasks import ALPHA

SCALE = 400 / math.log(10)
ANCHORED_AT = 1000.0
RESAMPLES = 500
FEWEST_TASKS = 5  # resampling fewer gives an interval of whichever datasets there happen to be
MOST_ENTRIES = 100  # pairs grow with the square
AT_ONCE = 2_000_000  # numbers in a batch of resampled tables of games


@dataclass(frozen=True)
class Elo:
    """By entry: the strength, its interval over resampled datasets (NaN below 5), and the rank: 1 + the number of
    entries whose whole interval is above this one's, so that intervals that overlap the leader's share rank 1; 0 is
    no rank, where there are no intervals."""

    strength: np.ndarray
    low: np.ndarray
    high: np.ndarray
    rank: np.ndarray


def elo(shares: np.ndarray, anchor: int | None = None, *, datasets: Sequence[int] | None = None, seed: int = 0) -> Elo:
    """Bradley-Terry on Elo's scale with its bootstrap over datasets.

    shares: (tasks, entries, entries), the part of the point of each game that the first entry won (`games`); NaN
    where two did not meet. anchor: the entry whose strength is 1000 in every resample; None: the mean is 1000.
    datasets: the number of each task's dataset, for tasks of one dataset (its lengths, say) are drawn together: they
    are not independent. None: each task is one of its own.
    """
    n = shares.shape[1]
    wins = np.where(np.isnan(shares), 0.0, shares)
    wins[:, np.arange(n), np.arange(n)] = 0.0
    if datasets is not None:
        wins = np.stack([wins[np.asarray(datasets) == each].sum(axis=0) for each in dict.fromkeys(datasets)])
    tasks = len(wins)
    drawn = _drawn(~np.isnan(shares))
    strength = _anchored(fit((wins.sum(axis=0) + drawn)[None]), anchor)[0]
    nothing = np.full(n, math.nan)
    if tasks < FEWEST_TASKS:
        return Elo(strength, nothing, nothing, np.zeros(n, dtype=int))
    times = np.random.default_rng(seed).multinomial(tasks, [1 / tasks] * tasks, size=RESAMPLES)
    step = max(1, AT_ONCE // (n * n))
    batches = [
        _anchored(fit((times[at : at + step] @ wins.reshape(tasks, -1)).reshape(-1, n, n) + drawn), anchor)
        for at in range(0, RESAMPLES, step)
    ]
    low, high = np.quantile(np.concatenate(batches), [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    rank = 1 + (low[None, :] > high[:, None]).sum(axis=1)
    return Elo(strength, low, high, rank)


def _drawn(met: np.ndarray) -> np.ndarray:
    """The added half wins: one drawn game an entry, spread evenly over those it met."""
    pairs = met.any(axis=0) & ~np.eye(met.shape[1], dtype=bool)
    rivals = np.maximum(pairs.sum(axis=1), 1)
    share = (1.0 / rivals[:, None] + 1.0 / rivals[None, :]) / 2
    result: np.ndarray = np.where(pairs, share / 2, 0.0)
    return result


def fit(wins: np.ndarray) -> np.ndarray:
    """Maximum-likelihood strengths (natural logarithms, mean 0) of tables of wins (batch, n, n), by Newton's method.

    wins[b, i, j]: how often i beat j, not negative, parts of a game allowed. Exists where every entry is connected to
    every other by wins in both directions, which the drawn games see to.
    """
    batch, n, _ = wins.shape
    played = wins + wins.transpose(0, 2, 1)
    theta = np.zeros((batch, n))
    eye = np.eye(n)
    for _ in range(200):
        p = 1.0 / (1.0 + np.exp(np.clip(theta[:, None, :] - theta[:, :, None], -700, 700)))
        slope = (wins - played * p).sum(axis=2)
        curve = played * p * (1.0 - p)
        # + 1/n: the strengths have no zero of their own, and this keeps their mean where it is
        hessian = eye * curve.sum(axis=2)[:, :, None] - curve + 1.0 / n
        move = np.linalg.solve(hessian, slope[:, :, None])[:, :, 0]
        longest = np.abs(move).max(axis=1, keepdims=True)
        theta += move * np.minimum(1.0, 1.0 / np.maximum(longest, 1e-300))
        if longest.max() < 1e-10:
            break
    centred: np.ndarray = theta - theta.mean(axis=1, keepdims=True)
    return centred


def _anchored(theta: np.ndarray, anchor: int | None) -> np.ndarray:
    zero = theta.mean(axis=1, keepdims=True) if anchor is None else theta[:, anchor : anchor + 1]
    result: np.ndarray = ANCHORED_AT + SCALE * (theta - zero)
    return result
