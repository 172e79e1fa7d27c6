"""How much of a search's spread each searched option explains: functional ANOVA (Hutter et al. 2014), by Optuna.

Of the trials that ended ok, on validation. fANOVA fits a random forest to them; of few trials it is a rough picture.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import pandas as pd

from rnnbench.reports.search.result import SearchResult
from rnnbench.reports.tables.frames import Row, typed_frame
from rnnbench.store.manifests import SearchRules, SpaceRow

FEWEST = 10  # trials with a value, below which a forest says nothing
POOLED = "all studies"
VARIANT = "variant"  # the option that tells pooled studies apart


def importance(result: SearchResult) -> pd.DataFrame:
    """Columns study, label, trials, key, importance (0 to 1, over a study 1 in all); empty studies say why in `note`.

    Where there are several studies on one dataset, their trials together are one more, with the variant as an option.
    """
    trials = result.trials[(result.trials["stage"] == "trial") & result.trials["val"].notna()]
    rows: list[Row] = []
    studies = result.rules["studies"]
    for study in studies:
        rows += _rows(study["key"], study["label"], trials[trials["study"] == study["key"]], result, pooled=False)
    if len(studies) > 1 and not any("dataset=" in study["key"] for study in studies):
        rows += _rows(POOLED, POOLED, trials, result, pooled=True)
    columns = {"study": "str", "label": "str", "trials": "Int64", "key": "str", "importance": "float64", "note": "str"}
    return typed_frame(rows, columns)


def _rows(key: str, label: str, trials: pd.DataFrame, result: SearchResult, *, pooled: bool) -> list[Row]:
    """The rows of one study, or of all together (pooled)."""
    head = {"study": key, "label": label, "trials": len(trials), "note": ""}
    options = [dimension["key"] for dimension in result.rules["space"]]
    if len(trials) < FEWEST:
        head["note"] = f"fewer than {FEWEST} trials with a value"
    elif trials["val"].nunique() < 2:
        head["note"] = "all values are equal"
    if head["note"]:
        return [head | {"key": option, "importance": math.nan} for option in options]
    found = _fanova(trials, result.rules, pooled)
    if pooled:
        options.append(VARIANT)
    return [head | {"key": option, "importance": found.get(option, 0.0)} for option in options]


def _fanova(trials: pd.DataFrame, rules: SearchRules, pooled: bool) -> dict[str, float]:
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = {dimension["key"]: _distribution(dimension) for dimension in rules["space"]}
    if pooled:
        keys = tuple(study["key"] for study in rules["studies"])
        distributions[VARIANT] = optuna.distributions.CategoricalDistribution(keys)
    study = optuna.create_study(direction="minimize")
    for _, row in trials.sort_values(["study", "number"]).iterrows():
        params = {dimension["key"]: _parameter(dimension, row[dimension["key"]]) for dimension in rules["space"]}
        if pooled:
            params[VARIANT] = row["study"]
        trial = optuna.create_trial(params=params, distributions=distributions, value=float(row["val"]))
        study.add_trial(trial)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of options that had one value only
        shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {option: float(share) for option, share in shares.items()}


def _distribution(dimension: SpaceRow) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    low, high, log = dimension["low"], dimension["high"], dimension["scale"] != "linear"
    if dimension["kind"] == "choice":
        return CategoricalDistribution(tuple(dimension["choices"]))
    if dimension["scale"] == "log1m":
        low, high = (1 - high) * (1 - 1e-9), 1 - low
    if dimension["kind"] == "int":
        return IntDistribution(int(low), int(high), log=log)
    return FloatDistribution(low, high, log=log)


def _parameter(dimension: SpaceRow, value: Any) -> Any:
    """A value as it was sampled: 1 - value on the scale log1m, within its bounds whatever the rounding did."""
    if dimension["kind"] == "choice":
        return value
    if dimension["kind"] == "int":
        return int(value)
    low, high = dimension["low"], dimension["high"]
    value = min(max(float(value), low), high)
    return 1 - value if dimension["scale"] == "log1m" else value
