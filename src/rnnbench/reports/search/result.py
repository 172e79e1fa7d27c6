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

from rnnbench.errors import BadInput
from rnnbench.reports.selection.frame import records_frame
from rnnbench.reports.statistics.best_share import percentile_interval, resampled_best_share
from rnnbench.reports.statistics.means import mean_ci
from rnnbench.reports.tables.frames import Row, typed_frame
from rnnbench.reports.tables.numbers import short
from rnnbench.store.manifests import SearchRules
from rnnbench.store.record import Record

WELCH_FROM = 200  # trials a study: the size of the paper, from which its own test is used
FEWEST_FOR_EFFECT = 20  # trials a study, and
FEWEST_TOP = 2  # of them compared: below, resampling says nothing of a best share
ALPHA = 0.05

TRIAL_KEYS = ("id", "study", "number", "stage", "values")  # of a trial as the search keeps it
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
    rules: SearchRules
    trials: pd.DataFrame
    studies: pd.DataFrame
    metric: str  # of several datasets all there are, in words
    goal: str  # empty where two studies' goals differ
    goals: Mapping[str, str]  # of each study
    sentences: tuple[str, ...]


def search_result(name: str, rules: SearchRules, records: Sequence[Record]) -> SearchResult:
    """The result of a search. rules: `search` of its manifest; records: of its runs, as far as they are finished."""
    needed = {"trials": TRIAL_KEYS, "studies": ("key", "label"), "space": ("key", "text")}
    if not (all(_whole(rules, part, keys) for part, keys in needed.items()) and rules["studies"]):
        raise BadInput(f"what is kept of the search {name} is damaged; its command, given again, writes it anew.")
    most = max((row["number"] + 1 for row in rules["trials"]), default=0)
    if "trials_each" not in rules:
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


def _whole(rules: Mapping[str, Any], part: str, keys: Sequence[str]) -> bool:
    """Whether a list of a search is there, and each of its rows has these keys."""
    return part in rules and all(row.keys() >= set(keys) for row in rules[part])


def _by_study(rules: SearchRules, frame: pd.DataFrame, key: str) -> dict[str, str]:
    """The metric, or its goal, of each study: two studies may be of two datasets."""
    known = frame.set_index("id")[key].dropna()
    found: dict[str, str] = {}
    for each in rules["trials"]:
        run = each["id"]
        if run is not None and run in known.index:
            found.setdefault(each["study"], str(known[run]))
    return {study["key"]: found.get(study["key"], str(known.iloc[0])) for study in rules["studies"]}


def _trials(rules: SearchRules, frame: pd.DataFrame, goals: Mapping[str, str]) -> pd.DataFrame:
    """One row a trial or final. chosen: `best` or `top` among a study's trials, by validation alone."""
    records = frame.set_index("id")
    labels = {study["key"]: study["label"] for study in rules["studies"]}
    keys = _keys(rules)
    rows = []
    for planned in rules["trials"]:
        names = {"study": planned["study"], "label": labels.get(planned["study"], planned["study"])}
        place = {"number": planned["number"], "stage": planned["stage"], "chosen": ""}
        values = {key: planned["values"].get(key) for key in keys}
        rows.append(names | place | _became(planned["id"], records) | values)
    trials = pd.DataFrame(rows, columns=[*TRIALS, *keys, "id"])
    for study, part in trials[trials["stage"] == "trial"].groupby("study"):
        if study not in goals:  # of a manifest that was joined with another
            continue
        order = _by_validation(part, goals[str(study)])
        trials.loc[order.index[: _top(len(part), rules)], "chosen"] = "top"
        trials.loc[order.index[:1], "chosen"] = "best"
    return trials


def _keys(rules: SearchRules) -> list[str]:
    """The options that are searched."""
    return [dimension["key"] for dimension in rules["space"]]


def _became(run: str | None, records: pd.DataFrame) -> Row:
    """What became of a trial's run. run: None of a trial that was refused; records: by id."""
    measured = ("seed", "params", "train_seconds")
    if run not in records.index:
        status = "open" if run else "refused"
        unknown = dict.fromkeys(("val", "test", *measured), math.nan)
        return {"id": run or "", "status": status, **unknown}
    record: Any = records.loc[run]
    is_ok = record["status"] == "ok"
    return {
        "id": run,
        "status": record["status"],
        "val": record["val"] if is_ok else math.nan,
        "test": record["value"] if is_ok else math.nan,
        **{key: record[key] for key in measured},
    }


def _by_validation(trials: pd.DataFrame, goal: str) -> pd.DataFrame:
    """The trials that have a validation value, best first; equal ones by number."""
    sign = -1 if goal == "max" else 1
    valued = trials[trials["val"].notna()]
    return valued.assign(key=sign * valued["val"]).sort_values(["key", "number"]).drop(columns="key")


def _top(n: int, rules: SearchRules) -> int:
    return max(1, round(n * float(rules["top"])))


def _study(key: str, rules: SearchRules, trials: pd.DataFrame, goal: str) -> Row:
    """One row of the frame of studies."""
    mine = trials[(trials["study"] == key) & (trials["stage"] == "trial")]
    top = mine[mine["chosen"] != ""]
    low, high = math.nan, math.nan
    if _enough(mine, rules):
        low, high = percentile_interval(_best_share(mine, rules, goal), ALPHA)
    counts = Counter(mine.loc[mine["status"] != "ok", "status"])
    row: Row = {
        "study": key,
        "label": next(study["label"] for study in rules["studies"] if study["key"] == key),
        "trials": len(mine),
        "ok": int((mine["status"] == "ok").sum()),
        "failures": _counted(counts),
        "top_n": len(top),
        "top_val": top["val"].mean(),
        "top_test": top["test"].mean(),
        "top_low": low,
        "top_high": high,
    }
    return row | _winner(key, rules, trials) | _effect(key, rules, trials, goal)


def _winner(key: str, rules: SearchRules, trials: pd.DataFrame) -> Row:
    """A study's best trial by validation, and its runs on fresh seeds."""
    best = trials[(trials["study"] == key) & (trials["chosen"] == "best")]
    number = None if best.empty else best["number"].iloc[0]
    finals = finals_of(trials, key, number)
    mean, low, high = mean_ci(finals["test"].dropna())
    return {
        "best_trial": number,
        "best_val": math.nan if best.empty else best["val"].iloc[0],
        "values": "" if best.empty else in_words(best.iloc[0], rules),
        "finals": len(finals),
        "final_test": mean,
        "final_low": low,
        "final_high": high,
    }


def _counted(statuses: Mapping[str, int]) -> str:
    """ "2 diverged, 1 oom"."""
    return ", ".join(f"{n} {status}" for status, n in sorted(statuses.items()))


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
        objectives = [sign * mine["val"] if each == "metric" else mine[each] for each in result.rules["objectives"]]
        parts.append(_by_validation(mine[~_beaten(np.column_stack(objectives).astype(float))], goal))
    return pd.concat(parts)


def _beaten(losses: np.ndarray) -> np.ndarray:
    """Of each row (trials, objectives; less is better) whether another is nowhere worse and somewhere better."""
    beaten = []
    for one in losses:
        nowhere_worse = (losses <= one).all(axis=1)
        somewhere_better = (losses < one).any(axis=1)
        beaten.append(bool((nowhere_worse & somewhere_better).any()))
    return np.array(beaten, dtype=bool)


def _enough(trials: pd.DataFrame, rules: SearchRules) -> bool:
    return len(trials) >= FEWEST_FOR_EFFECT and _top(len(trials), rules) >= FEWEST_TOP


def in_words(trial: pd.Series[Any], rules: SearchRules) -> str:
    """What was tried, in words."""
    said = []
    for key in _keys(rules):
        value = trial[key]
        said.append(f"{key}={value if isinstance(value, str) else short(value, 3)}")
    return ", ".join(said)


def _effect(key: str, rules: SearchRules, trials: pd.DataFrame, goal: str) -> Row:
    """A study's best share against the baseline's, on test: the difference of means, and whether it is one."""
    numbers = dict.fromkeys(("difference", "low", "high", "p"), math.nan)
    nothing: Row = numbers | {"method": "", "verdict": ""}
    base = _baseline(key, rules)
    if base is None:
        return nothing
    if key == base:
        return nothing | {"verdict": "baseline"}
    searched = trials[trials["stage"] == "trial"]
    mine, theirs = searched[searched["study"] == key], searched[searched["study"] == base]
    ours, others = _tested(mine), _tested(theirs)
    is_enough = _enough(mine, rules) and _enough(theirs, rules)
    if ours.empty or others.empty or not is_enough:
        return nothing | {"verdict": "too few trials"}
    difference = ours.mean() - others.mean()
    resampled = _best_share(mine, rules, goal) - _best_share(theirs, rules, goal, seed=1)
    low, high = percentile_interval(resampled, ALPHA)
    row = nothing | {"difference": difference, "low": low, "high": high}
    comparisons = _comparisons(rules)
    if min(len(mine), len(theirs)) >= WELCH_FROM:
        from scipy.stats import ttest_ind

        p = float(ttest_ind(ours, others, equal_var=False).pvalue) * comparisons
        row |= {"p": min(1.0, p), "method": f"Welch, Bonferroni over {comparisons}"}
        is_decided = row["p"] < ALPHA
    else:
        row["method"] = f"bootstrap, Bonferroni over {comparisons}"
        least, most = percentile_interval(resampled, ALPHA / comparisons)
        is_decided = not least <= 0 <= most
    if not is_decided:
        return row | {"verdict": "not decided"}
    is_better = (difference > 0) == (goal == "max")
    return row | {"verdict": "better" if is_better else "worse"}


def _tested(trials: pd.DataFrame) -> pd.Series[Any]:
    """The test values of a study's best share."""
    return trials.loc[trials["chosen"] != "", "test"].dropna()


def _baseline(key: str, rules: SearchRules) -> str | None:
    """The study that one is compared with: the baseline, of several datasets the one on its own."""
    baseline, mine = str(rules.get("baseline")).split(), key.split()
    its_datasets = [word for word in baseline if word.startswith("dataset=")]
    my_datasets = [word for word in mine if word.startswith("dataset=")]
    if len(its_datasets) != len(my_datasets):
        return None
    wanted = [word for word in baseline if word not in its_datasets] + my_datasets
    known = {tuple(sorted(study["key"].split())): study["key"] for study in rules["studies"]}
    return known.get(tuple(sorted(wanted)))


def _comparisons(rules: SearchRules) -> int:
    """How many studies are compared with a baseline."""
    keys = [study["key"] for study in rules["studies"]]
    return sum(_baseline(key, rules) not in (None, key) for key in keys)


def _best_share(trials: pd.DataFrame, rules: SearchRules, goal: str, *, seed: int = 0) -> np.ndarray:
    """The mean on test of a study's best share by validation, resampled; see `resampled_best_share`."""
    sign = -1 if goal == "max" else 1
    val, test = trials["val"].to_numpy(float), trials["test"].to_numpy(float)
    return resampled_best_share(sign * val, test, _top(len(trials), rules), seed=seed)


def _sentences(
    rules: SearchRules, trials: pd.DataFrame, studies: pd.DataFrame, metrics: Mapping[str, str]
) -> list[str]:
    """What the size of the search can decide, and what it cannot."""
    metric = ", ".join(dict.fromkeys(metrics.values()))
    said = [
        f"Trials, the winner and the best {100 * float(rules['top']):g}% of trials are chosen by val/{metric} alone; "
        f"every test/{metric} here is of what was chosen so, or of the winner on fresh seeds."
    ]
    unfinished = int((trials["status"] == "open").sum())
    if unfinished:
        said.append(f"{unfinished} runs are not finished: the figures will change.")
    finals = trials.loc[trials["stage"] == "final", "status"]
    failed = Counter(finals[~finals.isin(["ok", "open"])])
    if failed:
        said.append(f"Of {len(finals)} runs on fresh seeds {_counted(failed)}: the winners' figures are of the others.")
    if len(rules["objectives"]) > 1:
        objectives = ", ".join(rules["objectives"])
        said.append(f"Several objectives: finals are of every trial that none beats in all of {objectives}.")
    return said + _on_comparisons(studies, metrics, _comparisons(rules))


def _on_comparisons(studies: pd.DataFrame, metrics: Mapping[str, str], comparisons: int) -> list[str]:
    """How studies were compared with the baseline, and how small a difference could be seen."""
    compared = studies[studies["difference"].notna()]
    if compared.empty:
        return []
    n, k = int(studies["trials"].min()), int(studies["top_n"].min())
    if n >= WELCH_FROM:
        return [f"{n} trials a study, {k} compared: Welch's test, Bonferroni over {comparisons} comparisons."]
    halves = (compared["high"] - compared["low"]) / 2
    by_metric = halves.groupby(compared["study"].map(metrics), sort=False).median()
    wide = " and ".join(f"± {short(half, 2)} {name}" for name, half in by_metric.items())
    said = [
        f"{n} trials a study leave {k} to compare. The 95% intervals are bootstraps over whole trials, half of them "
        f"wider than {wide}: smaller differences cannot be decided at this size. A verdict asks "
        f"the interval at {100 * (1 - ALPHA / comparisons):.2f}% (Bonferroni over {comparisons}) to "
        "leave out 0."
    ]
    undecided = compared.loc[compared["verdict"] == "not decided", "label"].tolist()
    if undecided:
        said.append(f"Not decided: {', '.join(undecided)}. The paper's size is {WELCH_FROM} trials a study.")
    return said
