"""The leaderboard across datasets: each league's entries by their scores on all of its tasks, every doubt in sight."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rnnbench.reports.boards.common_tasks import largest_block, left_out
from rnnbench.reports.boards.leagues import GRANT, League, granted_in_words, plainest
from rnnbench.reports.selection.axes import AXES
from rnnbench.reports.statistics import many_tasks as across
from rnnbench.reports.statistics.elo import FEWEST_TASKS, MOST_ENTRIES, elo
from rnnbench.reports.statistics.many_tasks import FEWEST_SEEDS, iqm_interval, mean_ranks
from rnnbench.reports.statistics.paired import smallest_p
from rnnbench.reports.tables.frames import Row, typed_frame
from rnnbench.reports.tables.numbers import between, counted, known, p_bound
from rnnbench.reports.tables.standing import best_in_bold, marked, standings
from rnnbench.reports.tables.table import Section, Table, without_empty

COLUMNS: dict[str, str] = {
    "budget": "str", "granted": "str", "device": "str", "precision": "str", "league": "Int64", "rank": "Int64",
    "standing": "str", "label": "str", "iqm": "float64", "iqm_low": "float64", "iqm_high": "float64",
    "mark": "str", "mean_rank": "float64", "better": "float64", "better_low": "float64", "better_high": "float64",
    "against": "str", "elo": "float64", "elo_low": "float64", "elo_high": "float64", "elo_rank": "Int64",
    "clique": "str", "tasks": "Int64", "of_tasks": "Int64", "not_run": "str", "runs": "Int64", "imputed": "Int64",
    "fewest_seeds": "Int64",
    "cell": "str", "operator": "str", "peephole": "str", "direction": "str", "depth": "Int64", "hidden_size": "Int64",
    "options": "str",
}  # fmt: skip
LEGEND = (
    "IQM: mean of the middle half of all runs' scores (0 at the floor, 1 at the target), every task with equal weight, "
    "with its 95% interval by a bootstrap over seeds within tasks. ≈: that interval overlaps the leader's. "
    "Mean rank: over tasks. P(better): the probability that a run beats "
    "a run of the plain LSTM on a task drawn at random, with its interval. Elo: Bradley-Terry over all tasks, plain "
    "LSTM = 1000, interval over resampled datasets; entries whose intervals overlap the leader's share rank 1. "
    "Clique: entries that share a letter are not told apart (Wilcoxon over datasets, Holm). "
    "*: runs that failed are in, as the floor or as the task's worst run, whichever is worse. "
    "n<5: too few seeds for an interval. An entry that was not run on every task of the ranking has no rank and no IQM."
)
LEFT = frozenset({"entry", "clique", "not run on"})
Values = dict[tuple[int, int], np.ndarray]  # one number a run, by (entry, task)


@dataclass(frozen=True)
class Standing:
    """A league in figures: a row an entry, best first, and what must be said of them."""

    rows: list[Row]
    terms: str
    remarks: list[str]


def across_table(leagues: Sequence[League]) -> Table:
    """The table of all leagues that have at least two tasks and two entries; `COLUMNS` are those of its frame.

    standing is `best` (the IQM's interval is apart from every other ranked one), `tied` or empty. imputed: runs that
    failed and count as the floor or worse; not_run: the league's tasks that the entry was not run on.
    """
    found = [league for league in leagues if len(league.tasks) > 1 and len(league.entries) > 1]
    standings_of = [stand(league) for league in found]
    rows = [row | {"league": n} for n, standing in enumerate(standings_of, 1) for row in standing.rows]
    sections = [_section(league, standing) for league, standing in zip(found, standings_of, strict=True)]
    return Table(
        "across", typed_frame(rows, COLUMNS), sections, LEGEND, LEFT, "No two entries met on two datasets yet."
    )


@dataclass(frozen=True)
class _Field:
    """A league as its figures are taken: entries and tasks by number.

    on: of each entry the tasks that count and that it was run on; counted: the tasks that count; empty: those that do
    not, as every run failed and no floor is known; over, ranked: the tasks ranked over, and the entries that were run
    on all of them; scored: those of over on which every ranked entry has a score; anchor: the plain LSTM.
    merits, scores, imputed: by (entry, task), one number a run.
    """

    league: League
    merits: Values
    scores: Values
    imputed: Values
    empty: set[int]
    counted: list[int]
    on: list[list[int]]
    over: list[int]
    ranked: list[int]
    scored: list[int]
    anchor: int | None

    @property
    def shown(self) -> list[int]:
        """The tasks that rows tell of: those ranked over, all where there is no ranking."""
        return self.over or self.counted

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.league.tasks["name"]]


def _field(league: League) -> _Field:
    merits, scores, imputed = (league.values(name) for name in ("merit", "score", "imputed"))
    entries = range(len(league.entries))
    empty = {task for (_, task), part in merits.items() if np.isnan(part).any()}
    counted = [task for task in range(len(league.tasks)) if task not in empty]
    on = [[task for task in counted if (entry, task) in merits] for entry in entries]
    over, ranked = largest_block(on)
    scored = [task for task in over if not _lacks_score(scores, ranked, task)]
    anchor = plainest(league.entries, [len({*tasks} & {*over}) for tasks in on])
    return _Field(league, merits, scores, imputed, empty, counted, on, over, ranked, scored, anchor)


def _lacks_score(scores: Values, entries: Sequence[int], task: int) -> bool:
    return any(np.isnan(scores[entry, task]).any() for entry in entries)


def stand(league: League) -> Standing:
    """The figures of one league.

    Ranks, IQM and P(better) are over one set of tasks (`largest_block`), so that a column never holds numbers of
    unequal tasks; Elo, which is made for entries that did not all meet, is over all tasks.
    """
    field = _field(league)
    rows = [_row(field, entry) for entry in range(len(league.entries))]
    remarks = _left_out_remarks(field)
    remarks += _add_ranks(rows, field)
    remarks += _add_elo(rows, field)
    if unscored := [task for task in field.over if task not in field.scored]:
        remarks.append(f"no floor or target, so no score, and not in the IQM: {_names(field.names, unscored)}")
    _place(rows, field.ranked)
    rows.sort(key=lambda row: (row["rank"] is None, row["rank"] or 0, _last(-row["elo"]), row["label"]))
    return Standing(rows, _terms(league), remarks)


def _left_out_remarks(field: _Field) -> list[str]:
    """What is not counted, and what is not ranked; then who is the plain LSTM."""
    remarks = []
    if field.empty:
        remarks.append(f"every run failed and no floor is known: not counted: {_names(field.names, field.empty)}")
    entries = len(field.league.entries)
    remarks += left_out(field.league.tasks, field.over, field.counted, len(field.ranked), entries)
    return [*remarks, _anchor_remark(field)]


def _names(names: Sequence[str], chosen: Iterable[int]) -> str:
    return ", ".join(names[task] for task in sorted(chosen))


def _row(field: _Field, entry: int) -> Row:
    """What is known of one entry before it is set beside the others."""
    mine = [task for task in field.shown if task in field.on[entry]]
    row = _entry(field.league, entry, field.on[entry], field.shown)
    row |= _counts([field.merits[entry, task] for task in mine], [field.imputed[entry, task] for task in mine])
    scores = [field.scores[entry, task] for task in field.scored] if entry in field.ranked else []
    row |= dict(zip(("iqm", "iqm_low", "iqm_high"), iqm_interval(scores), strict=True))
    return row | _better(field, entry)


def _entry(league: League, e: int, on: Sequence[int], over: Sequence[int]) -> Row:
    of = league.entries.iloc[e]
    missing = [league.tasks["name"][t] for t in over if t not in on]
    row = {name: of[name] for name in ("label", *AXES)}
    row |= {"budget": league.terms["budget"], "granted": league.terms["granted"]}
    row |= {"device": league.terms["device_kind"], "precision": league.terms["precision"]}
    row |= {"tasks": len(over) - len(missing), "of_tasks": len(over), "not_run": ", ".join(missing)}
    return row | {"rank": None, "standing": "", "clique": "", "mean_rank": math.nan}


def _counts(merits: Sequence[np.ndarray], imputed: Sequence[np.ndarray]) -> Row:
    """How many runs an entry has on the tasks of the ranking, and how few on one of them."""
    fewest = min((len(part) for part in merits), default=0)
    row = {"fewest_seeds": fewest, "mark": f"n<{FEWEST_SEEDS}" if 0 < fewest < FEWEST_SEEDS else ""}
    return row | {"runs": sum(map(len, merits)), "imputed": int(sum(part.sum() for part in imputed))}


def _better(field: _Field, entry: int) -> Row:
    """The probability of improvement over the plain LSTM, on the tasks of the ranking."""
    found: tuple[float, float, float] = (math.nan, math.nan, math.nan)
    against = ""
    anchor = field.anchor
    if anchor is not None and anchor != entry and {anchor, entry} <= {*field.ranked}:
        mine, theirs = ([field.merits[each, task] for task in field.over] for each in (entry, anchor))
        found = across.improvement(mine, theirs)
        against = field.league.entries["label"][anchor]
    return dict(zip(("better", "better_low", "better_high"), found, strict=True)) | {"against": against}


def _anchor_remark(field: _Field) -> str:
    if field.anchor is None:
        return "no plain LSTM was run: Elo's mean is 1000, and nothing to be better than"
    said = f"the plain LSTM (Elo 1000) is {field.league.entries['label'][field.anchor]}"
    if field.ranked and field.anchor not in field.ranked:
        return f"{said}; it is not ranked, so nothing is to be better than"
    return said


def _datasets(league: League, over: Sequence[int]) -> list[int]:
    """The number of each task's dataset: lengths of one dataset are not independent, and count as one."""
    names = league.tasks["dataset"].fillna("unknown").astype(str)
    numbers = {name: n for n, name in enumerate(dict.fromkeys(names[t] for t in over))}
    return [numbers[names[t]] for t in over]


def _add_ranks(rows: Sequence[Row], field: _Field) -> list[str]:
    """Mean ranks over tasks, and cliques over datasets; returns why there are no cliques, if so."""
    ranked = field.ranked
    if not ranked:
        return []
    ranks = mean_ranks(_means(field.merits, ranked, field.over))
    for entry, rank in zip(ranked, ranks, strict=True):
        rows[entry]["mean_rank"] = float(rank)
    if len(ranked) > MOST_ENTRIES:
        return [f"no test of {len(ranked)} entries: pairs grow with the square"]
    of = _datasets(field.league, field.over)
    if not across.can_tell_apart(len(ranked), max(of) + 1):
        return [_no_test(len(ranked), max(of) + 1)]
    for entry, cliques in zip(ranked, across.cliques(_by_dataset(field, of)), strict=True):
        rows[entry]["clique"] = "".join(map(_letter, cliques))
    return []


def _no_test(entries: int, datasets: int) -> str:
    pairs = entries * (entries - 1) // 2
    return (
        f"no test over tasks: with {counted(datasets, 'dataset')} Wilcoxon's p is at least "
        f"{p_bound(smallest_p(datasets))}, and Holm over {counted(pairs, 'pair')} would need "
        f"{p_bound(across.ALPHA / pairs)}"
    )


def _means(values: Values, entries: Sequence[int], tasks: Sequence[int]) -> np.ndarray:
    """(entries, tasks)"""
    return np.array([[across.mean(values[entry, task]) for task in tasks] for entry in entries])


def _by_dataset(field: _Field, of: Sequence[int]) -> np.ndarray:
    """The ranked entries' means of the tasks of each dataset, (entries, datasets): of scores where all tasks have one,
    for these have one unit. of: the number of each task's dataset."""
    by_task = _means(field.scores if field.scored == field.over else field.merits, field.ranked, field.over)
    columns = [[n for n, each in enumerate(of) if each == dataset] for dataset in range(max(of) + 1)]
    return np.array([[across.mean(row[column]) for column in columns] for row in by_task])


def _letter(number: int) -> str:
    """a, b, ..., z, a1, b1, ..."""
    more, last = divmod(number, 26)
    return chr(ord("a") + last) + (str(more) if more else "")


def _add_elo(rows: Sequence[Row], field: _Field) -> list[str]:
    """Elo over all tasks that count; returns what must be said of it."""
    for row in rows:
        row |= {"elo": math.nan, "elo_low": math.nan, "elo_high": math.nan, "elo_rank": None}
    if len(rows) > MOST_ENTRIES:
        return [f"no Elo of {len(rows)} entries: pairs grow with the square; a selection of {MOST_ENTRIES} has it"]
    if not field.counted:
        return []
    nobody = np.array([])
    entries = range(len(rows))
    games = [across.games([field.merits.get((entry, task), nobody) for entry in entries]) for task in field.counted]
    of = _datasets(field.league, field.counted)
    found = elo(np.stack(games), field.anchor, datasets=of)
    for entry, row in enumerate(rows):
        ends = {"elo_low": float(found.low[entry]), "elo_high": float(found.high[entry])}
        row |= {"elo": float(found.strength[entry]), **ends, "elo_rank": int(found.rank[entry]) or None}
    return _elo_remarks(len(of), max(of) + 1)


def _elo_remarks(tasks: int, datasets: int) -> list[str]:
    remarks = []
    if datasets < tasks:
        remarks.append(
            f"the {tasks} tasks are of {counted(datasets, 'dataset')}; those of one dataset count together in cliques "
            "and Elo's interval"
        )
    if datasets < FEWEST_TASKS:
        said = f"resampling {counted(datasets, 'dataset')} says nothing, it takes {FEWEST_TASKS}"
        remarks.append(f"Elo without intervals: {said}")
    return remarks


def _place(rows: Sequence[Row], entries: Sequence[int]) -> None:
    """Ranks by IQM, where no task has a score by mean rank; who is best, and whose interval overlaps the best one's."""
    by_score = [rows[entry] for entry in entries if known(rows[entry]["iqm"])]
    if by_score:
        ranked = sorted(by_score, key=lambda row: (-row["iqm"], row["label"]))
    else:
        by_rank = [rows[entry] for entry in entries if known(rows[entry]["mean_rank"])]
        ranked = sorted(by_rank, key=lambda row: (row["mean_rank"], row["label"]))
    low, high = ([row[end] for row in ranked] for end in ("iqm_low", "iqm_high"))
    said = standings(low, high, [known(end) for end in low])
    for place, (row, standing) in enumerate(zip(ranked, said, strict=True), 1):
        row |= {"rank": place, "standing": standing}


def _last(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _terms(league: League) -> str:
    """Every task's protocol, and what it was granted: once where that is equal."""
    protocols = league.tasks["protocol"].fillna("protocol unknown")
    granted = [granted_in_words(*pair) for pair in zip(*(league.tasks[name] for name in GRANT), strict=True)]
    alike = len(set(granted)) == 1
    tasks = [
        f"{name}: {protocol}" + f", {grant}" * (not alike)
        for name, protocol, grant in zip(league.tasks["name"], protocols, granted, strict=True)
    ]
    return f"{len(tasks)} tasks ({'; '.join(tasks)})" + f" · {granted[0]}" * alike


def _section(league: League, standing: Standing) -> Section:
    rows = without_empty([_cells(row) for row in standing.rows], ("clique", "not run on", "Elo rank"))
    bold = best_in_bold([row["standing"] for row in standing.rows], ("entry", "IQM ↑"))
    return Section(f"across {league.title}", rows, standing.terms, standing.remarks, bold)


def _cells(row: Row) -> dict[str, str]:
    iqm = between(row["iqm"], row["iqm_low"], row["iqm_high"], 3)
    return {
        "#": "-" if row["rank"] is None else str(row["rank"]),
        "entry": row["label"],
        "IQM ↑": marked(iqm, row["mark"], row["standing"]),
        "mean rank ↓": f"{row['mean_rank']:.2f}" if known(row["mean_rank"]) else "",
        "P(better)": between(row["better"], row["better_low"], row["better_high"], 2),
        "Elo": between(row["elo"], row["elo_low"], row["elo_high"], 0),
        "Elo rank": "" if row["elo_rank"] is None else str(row["elo_rank"]),
        "clique": row["clique"],
        "tasks": f"{row['tasks']}/{row['of_tasks']}",
        "runs": f"{row['runs'] - row['imputed']}/{row['runs']}" + "*" * bool(row["imputed"]),
        "not run on": row["not_run"],
    }
