"""What a search found: trials, what was best on validation, the best share of trials on test, and how sure that is.

Selection is by validation only: the order of trials, the winner and the best share are made from `val`, and test values
are read of what was chosen. A trial that failed stays in: it ranks behind every one that has a value.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.statistics.means import RESAMPLES, mean_ci
from rnnbench.reports.tables.frames import typed_frame
from rnnbench.reports.tables.numbers import short

WELCH_FROM = 200  # trials a study: the size of the paper, from which its own test is used
FEWEST_FOR_EFFECT = 20  # trials a study, and
FEWEST_TOP = 2  # of them compared: below, resampling says nothing of a best share
ALPHA = 0.05

TRIALS = ("study", "label", "number", "stage", "chosen", "status", "val", "test", "seed", "params", "train_seconds")
STUDIES = {
    "study": "str", "label": "str", "trials": "Int64", "ok": "Int64", "failures": "str", "best_trial": "Int64",
    "best_val": "float64", "values": "str", "top_n": "Int64", "top_val": "float64", "top_test": "float64",
    "top_low": "float64", "top_high": "float64", "difference": "float64", "low": "float64", "high": "float64",
    "p": "float64", "method": "str", "verdict": "str", "finals": "Int64", "final_test": "float64",
    "final_low": "float64", "final_high": "float64",
}  # fmt: skip


@dataclass(frozen=True)
class SearchResult:
    """trials: one row a trial or final; studies: one row a study (columns in STUDIES); rules: the search as planned."""

    name: str
    rules: Mapping[str, Any]
    trials: pd.DataFrame
    studies: pd.DataFrame
    metric: str  # of several datasets all there are, in words
    goal: str  # empty where two studies' goals differ
    goals: Mapping[str, str]  # of each study
    sentences: tuple[str, ...]


def search_result(name: str, rules: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> SearchResult:
    """The result of a search. rules: `search` of its manifest; records: of its runs, as far as they are finished."""
    most = max((row["number"] + 1 for row in rules["trials"]), default=0)
    rules = {"trials_each": most, **rules}  # a manifest that was cut short may not say how many were wanted
    frame = records_frame(records)
    metrics, goals = (_by_study(rules, frame, key) for key in ("metric", "goal"))
    metric = ", ".join(dict.fromkeys(metrics.values()))
    trials = _trials(rules, frame, goals)
    rows = [_study(study["key"], rules, trials, goals[study["key"]]) for study in rules["studies"]]
    studies = typed_frame(rows, STUDIES)
    said = tuple(_sentences(rules, trials, studies, metrics))
    goal = goals[rules["studies"][0]["key"]] if len(set(goals.values())) == 1 else ""
    return SearchResult(name, rules, trials, studies, metric, goal, goals, said)


def _by_study(rules: Mapping[str, Any], frame: pd.DataFrame, key: str) -> dict[str, str]:
    """The metric, or its goal, of each study: two studies may be of two datasets."""
    known = frame.set_index("id")[key].dropna()
    found: dict[str, str] = {}
    for each in rules["trials"]:
        if each["id"] in known.index:
            found.setdefault(each["study"], str(known[each["id"]]))
    return {study["key"]: found.get(study["key"], str(known.iloc[0])) for study in rules["studies"]}


def _trials(rules: Mapping[str, Any], frame: pd.DataFrame, goals: Mapping[str, str]) -> pd.DataFrame:
    """One row a trial or final. chosen: `best` or `top` among a study's trials, by validation alone."""
    records = frame.set_index("id")
    labels = {study["key"]: study["label"] for study in rules["studies"]}
    rows = []
    for each in rules["trials"]:
        run = each["id"]
        record: Any = records.loc[run] if run in records.index else None
        ok = record is not None and record["status"] == "ok"
        row = {
            "study": each["study"], "label": labels.get(each["study"], each["study"]), "number": each["number"],
            "stage": each["stage"], "chosen": "", "id": run or "",
            "status": "refused" if not run else "open" if record is None else record["status"],
            "val": record["val"] if ok else math.nan, "test": record["value"] if ok else math.nan,
        }  # fmt: skip
        for key in ("seed", "params", "train_seconds"):
            row[key] = math.nan if record is None else record[key]
        rows.append(row | {dimension["key"]: each["values"].get(dimension["key"]) for dimension in rules["space"]})
    columns = [*TRIALS, *(dimension["key"] for dimension in rules["space"]), "id"]
    trials = pd.DataFrame(rows, columns=columns)
    for study, part in trials[trials["stage"] == "trial"].groupby("study"):
        if study not in goals:  # of a manifest that was joined with another
            continue
        order = _by_validation(part, goals[str(study)])
        trials.loc[order.index[: _top(len(part), rules)], "chosen"] = "top"
        trials.loc[order.index[:1], "chosen"] = "best"
    return trials


def _by_validation(trials: pd.DataFrame, goal: str) -> pd.DataFrame:
    """The trials that have a validation value, best first; equal ones by number."""
    sign = -1 if goal == "max" else 1
    valued = trials[trials["val"].notna()]
    return valued.assign(key=sign * valued["val"]).sort_values(["key", "number"]).drop(columns="key")


def _top(n: int, rules: Mapping[str, Any]) -> int:
    return max(1, round(n * float(rules["top"])))


def _study(key: str, rules: Mapping[str, Any], trials: pd.DataFrame, goal: str) -> dict[str, Any]:
    mine = trials[(trials["study"] == key) & (trials["stage"] == "trial")]
    best = mine[mine["chosen"] == "best"]
    top = mine[mine["chosen"] != ""]
    finals = finals_of(trials, key, None if best.empty else best["number"].iloc[0])
    final, final_low, final_high = mean_ci(finals["test"].dropna())
    low, high = _interval(_best_share(mine, rules, goal)) if _enough(mine, rules) else (math.nan, math.nan)
    label = next(study["label"] for study in rules["studies"] if study["key"] == key)
    counts = Counter(mine.loc[mine["status"] != "ok", "status"])
    row: dict[str, Any] = {
        "study": key, "label": label, "trials": len(mine), "ok": int((mine["status"] == "ok").sum()),
        "failures": ", ".join(f"{n} {status}" for status, n in sorted(counts.items())),
        "best_trial": None if best.empty else best["number"].iloc[0],
        "best_val": math.nan if best.empty else best["val"].iloc[0],
        "values": "" if best.empty else in_words(best.iloc[0], rules), "top_n": len(top),
        "top_val": top["val"].mean(), "top_test": top["test"].mean(), "top_low": low, "top_high": high,
        "finals": len(finals), "final_test": final, "final_low": final_low, "final_high": final_high,
    }  # fmt: skip
    return row | _effect(key, rules, trials, goal)


def finals_of(trials: pd.DataFrame, study: str, number: int | None) -> pd.DataFrame:
    """The finals of one trial that ended ok; of several objectives each winner has its own."""
    finals = trials[(trials["study"] == study) & (trials["stage"] == "final") & (trials["status"] == "ok")]
    return finals[finals["number"] == number]


def front(result: SearchResult) -> pd.DataFrame:
    """Of several objectives: the trials that none beats in all of them, by study and validation, best first."""
    parts = []
    for study in result.rules["studies"]:
        mine = result.trials[(result.trials["study"] == study["key"]) & (result.trials["stage"] == "trial")]
        mine = mine[mine["val"].notna()]
        goal = result.goals[study["key"]]
        sign = -1 if goal == "max" else 1
        losses = np.column_stack([
            sign * mine["val"] if each == "metric" else mine[each] for each in result.rules["objectives"]
        ]).astype(float)  # fmt: skip
        beaten = [bool(((losses <= one).all(axis=1) & (losses < one).any(axis=1)).any()) for one in losses]
        parts.append(_by_validation(mine[~np.array(beaten, dtype=bool)], goal))
    return pd.concat(parts)


def _enough(trials: pd.DataFrame, rules: Mapping[str, Any]) -> bool:
    return len(trials) >= FEWEST_FOR_EFFECT and _top(len(trials), rules) >= FEWEST_TOP


def in_words(trial: pd.Series[Any], rules: Mapping[str, Any]) -> str:
    """What was tried, in words."""
    keys = [dimension["key"] for dimension in rules["space"]]
    return ", ".join(f"{key}={trial[key] if isinstance(trial[key], str) else short(trial[key], 3)}" for key in keys)


def _effect(key: str, rules: Mapping[str, Any], trials: pd.DataFrame, goal: str) -> dict[str, Any]:
    """A study's best share against the baseline's, on test: the difference of means, and whether it is one."""
    nothing: dict[str, Any] = {
        "difference": math.nan,
        "low": math.nan,
        "high": math.nan,
        "p": math.nan,
        "method": "",
        "verdict": "",
    }
    base, comparisons = _baseline(key, rules), _comparisons(rules)
    if base is None:
        return nothing
    if key == base:
        return nothing | {"verdict": "baseline"}
    searched = trials[trials["stage"] == "trial"]
    mine, theirs = searched[searched["study"] == key], searched[searched["study"] == base]
    ours, others = (part.loc[part["chosen"] != "", "test"].dropna() for part in (mine, theirs))
    if ours.empty or others.empty or not (_enough(mine, rules) and _enough(theirs, rules)):
        return nothing | {"verdict": "too few trials"}
    row: dict[str, Any] = nothing | {"difference": ours.mean() - others.mean()}
    resampled = _best_share(mine, rules, goal) - _best_share(theirs, rules, goal, seed=1)
    row["low"], row["high"] = _interval(resampled)
    if min(len(mine), len(theirs)) >= WELCH_FROM:
        from scipy.stats import ttest_ind

        p = float(ttest_ind(ours, others, equal_var=False).pvalue) * comparisons
        row |= {"p": min(1.0, p), "method": f"Welch, Bonferroni over {comparisons}"}
        decided = row["p"] < ALPHA
    else:
        row["method"] = f"bootstrap, Bonferroni over {comparisons}"
        least, most = _interval(resampled, ALPHA / comparisons)
        decided = not least <= 0 <= most
    better = (row["difference"] > 0) == (goal == "max")
    return row | {"verdict": ("better" if better else "worse") if decided else "not decided"}


def _baseline(key: str, rules: Mapping[str, Any]) -> str | None:
    """The study that one is compared with: the baseline, of several datasets the one on its own."""
    words = [str(rules.get("baseline")).split(), key.split()]
    theirs, ours = ([word for word in each if word.startswith("dataset=")] for each in words)
    found = " ".join([*(word for word in words[0] if word not in theirs), *ours])
    known = {" ".join(sorted(study["key"].split())): study["key"] for study in rules["studies"]}
    return known.get(" ".join(sorted(found.split()))) if len(theirs) == len(ours) else None


def _comparisons(rules: Mapping[str, Any]) -> int:
    """How many studies are compared with a baseline."""
    keys = [study["key"] for study in rules["studies"]]
    return sum(_baseline(key, rules) not in (None, key) for key in keys)


def _best_share(trials: pd.DataFrame, rules: Mapping[str, Any], goal: str, *, seed: int = 0) -> np.ndarray:
    """The mean on test of the best share by validation, of trials drawn anew with replacement: RESAMPLES values.

    Whole trials are drawn, failed ones included, and chosen from again: so the spread is that of the whole search.
    """
    key = trials["val"].to_numpy(float) * (-1 if goal == "max" else 1)
    test = trials["test"].to_numpy(float)
    key = np.where(np.isfinite(key) & np.isfinite(test), key, np.inf)
    rng = np.random.default_rng([seed, len(trials)])
    drawn = rng.integers(0, len(trials), size=(RESAMPLES, len(trials)))
    order = np.argsort(key[drawn], axis=1, kind="stable")[:, : _top(len(trials), rules)]
    chosen = np.take_along_axis(drawn, order, axis=1)
    values = np.where(np.isfinite(key[chosen]), test[chosen], np.nan)
    some = ~np.isnan(values).all(axis=1)
    means = np.full(len(values), np.nan)
    means[some] = np.nanmean(values[some], axis=1)
    return means


def _interval(values: np.ndarray, alpha: float = ALPHA) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    low, high = np.quantile(values, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def _sentences(
    rules: Mapping[str, Any], trials: pd.DataFrame, studies: pd.DataFrame, metrics: Mapping[str, str]
) -> list[str]:
    """What the size of the search can decide, and what it cannot."""
    metric, comparisons = ", ".join(dict.fromkeys(metrics.values())), _comparisons(rules)
    said = [
        f"Trials, the winner and the best {100 * float(rules['top']):g}% of trials are chosen by val/{metric} alone; "
        f"every test/{metric} here is of what was chosen so, or of the winner on fresh seeds."
    ]
    if (unfinished := int((trials["status"] == "open").sum())) > 0:
        said.append(f"{unfinished} runs are not finished: the figures will change.")
    finals = trials.loc[trials["stage"] == "final", "status"]
    if failed := Counter(finals[~finals.isin(["ok", "open"])]):
        counts = ", ".join(f"{n} {status}" for status, n in sorted(failed.items()))
        said.append(f"Of {len(finals)} runs on fresh seeds {counts}: the winners' figures are of the others.")
    if len(rules["objectives"]) > 1:
        said.append(
            "Several objectives: finals are of every trial that none beats in all of "
            + ", ".join(rules["objectives"])
            + "."
        )
    compared = studies[studies["difference"].notna()]
    if compared.empty:
        return said
    n, k = int(studies["trials"].min()), int(studies["top_n"].min())
    if n >= WELCH_FROM:
        return [
            *said,
            f"{n} trials a study, {k} compared: Welch's test, Bonferroni over {comparisons} comparisons.",
        ]
    halves = ((compared["high"] - compared["low"]) / 2).groupby(compared["study"].map(metrics), sort=False).median()
    wide = " and ".join(f"± {short(half, 2)} {name}" for name, half in halves.items())
    open_ = compared.loc[compared["verdict"] == "not decided", "label"].tolist()
    said.append(
        f"{n} trials a study leave {k} to compare. The 95% intervals are bootstraps over whole trials, half of them "
        f"wider than {wide}: smaller differences cannot be decided at this size. A verdict asks "
        f"the interval at {100 * (1 - ALPHA / comparisons):.2f}% (Bonferroni over {comparisons}) to "
        "leave out 0."
    )
    if open_:
        said.append(f"Not decided: {', '.join(open_)}. The paper's size is {WELCH_FROM} trials a study.")
    return said
