"""Which of a store's runs are a search's, so that a leaderboard shows a study as one row and not as hundreds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rnnbench.store.manifests import SearchRules, TrialRow


def with_searches(frame: pd.DataFrame, found: Mapping[str, SearchRules]) -> pd.DataFrame:
    """A runs frame with the column `stage` (trial, final, or empty) and a search's studies as axes of their own.

    So a leaderboard's row is a study: chosen among its trials by validation, shown by its finals. An entry that was
    also run outside of every search stays what it is: a row that anybody could have made without one.
    """
    stages: dict[str, tuple[str, str]] = {}
    for name, search in found.items():
        for each in _rows(search):
            run = each["id"]
            if not run:
                continue
            key, known = f"search {name}: {each['study']}", stages.get(run)
            # Of two searches that share runs the first has them, finals as well: else its winner would be shown by the
            # very trial it was chosen for. What any search has chosen among is a trial.
            if known is None or (known[1] != "trial" and each["stage"] == "trial"):
                stages[run] = (key, each["stage"])
    if not stages or frame.empty:
        return frame
    inside = frame["id"].isin(list(stages))
    also_outside = set(frame.loc[~inside, "entry"])
    mine = inside & ~frame["entry"].isin(list(also_outside))
    frame = frame.assign(stage="")
    frame.loc[mine, "axes"] = [stages[run][0] for run in frame.loc[mine, "id"]]
    frame.loc[mine, "stage"] = [stages[run][1] for run in frame.loc[mine, "id"]]
    return frame


def _rows(search: SearchRules) -> list[TrialRow]:
    return [each for each in search.get("trials") or [] if {"id", "study", "stage"} <= set(each)]
