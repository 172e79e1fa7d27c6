"""How a trial is picked, and a running one given up: Optuna's samplers and pruners, seeded trial by trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, CmaEsSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial

from rnnbench.runs.space import Dimension
from rnnbench.seeds import derive

optuna.logging.set_verbosity(optuna.logging.ERROR)


class _ByNumber(BaseSampler):
    """A sampler whose values depend on the trial's number and nothing else: no history, no order of asking."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        return {}


class Random(_ByNumber):
    """Trial n of a study is a function of the seed, the study and n: a resumed or parallel search draws the same."""

    def __init__(self, seed: int, key: str) -> None:
        self.seed, self.key = seed, key

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        stream = derive(self.seed, "search", self.key, trial.number, param_name) % 2**32
        return RandomSampler(stream).sample_independent(study, trial, param_name, param_distribution)


class Grid(_ByNumber):
    """Trial n is the n-th point of the product of all lists; the last dimension varies fastest."""

    def __init__(self, space: Sequence[Dimension]) -> None:
        self.lists = {dimension.key: dimension.grid() for dimension in space}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        left = trial.number
        for key, values in reversed(self.lists.items()):
            left, place = divmod(left, len(values))
            if key == param_name:
                return values[place]
        raise KeyError(param_name)


def make_sampler(kind: str, seed: int, key: str, space: Sequence[Dimension], known: int) -> BaseSampler:
    """The sampler for the next trial of study `key`; known: how many trials there are. TPE and CMA-ES draw anew from
    the seed and that number, so that their trial is a function of seed and history."""
    if kind == "random":
        return Random(seed, key)
    if kind == "grid":
        return Grid(space)
    stream = derive(seed, "search", key, known) % 2**32
    if kind == "cmaes":
        return CmaEsSampler(seed=stream, warn_independent_sampling=False)
    return TPESampler(seed=stream)


def make_pruner(kind: str, first: int, last: int) -> BasePruner:
    """first: updates to the first validation; last: updates of a whole run."""
    if kind == "asha":
        return SuccessiveHalvingPruner(min_resource=first, reduction_factor=3)
    if kind == "hyperband":
        return HyperbandPruner(min_resource=first, max_resource=last, reduction_factor=3)
    return MedianPruner(n_startup_trials=5) if kind == "median" else NopPruner()


def suggest(trial: Trial, dimension: Dimension) -> Any:
    """The trial's value of a dimension; what it has already is kept. A choice is kept as its place in the list."""
    low, high = dimension.bounds
    if dimension.kind == "choice":
        return trial.suggest_categorical(dimension.key, list(range(len(dimension.texts))))
    log = dimension.scale != "linear"
    if dimension.kind == "int":
        return trial.suggest_int(dimension.key, int(low), int(high), log=log, step=int(dimension.step or 1))
    return trial.suggest_float(dimension.key, low, high, log=log, step=dimension.step)
