"""The leaderboard as a table: a section a block, every failure in sight. Formats what `leaderboard` computed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from rnnbench.reports.boards.floors import FITTED, FLOOR, is_floor
from rnnbench.reports.boards.floors import LEGEND as FLOORS_LEGEND
from rnnbench.reports.boards.leaderboard import OTHER_MACHINE
from rnnbench.reports.selection.blocks import blocks, metric_name, terms, title
from rnnbench.reports.tables.labels import dotted, text_or
from rnnbench.reports.tables.numbers import brief_count, count, known, plus_minus, rounded, short
from rnnbench.reports.tables.standing import best_in_bold, marked
from rnnbench.reports.tables.table import Section, Table

FORMATS = ("csv", "md", "parquet")  # of its files
LEGEND = (
    "Mean over seeds ± half of its 95% interval, on test. Bold: that interval is apart from all others. "
    "≈: it overlaps the leader's, their order is open. n<3: too few seeds for an interval. "
    "Score: 0 at the floor, 1 at the target. Coverage: runs with a result, of all. "
    "Tuned (k): the best of k settings on validation; set: given by hand; otherwise the default ones. "
    "Times compare only under one device, precision and backend."
)
SOLVED_LEGEND = (
    "Solved: runs that reached what the task says is solved, on test, of all (a run that failed did not); the CSV has "
    "the exact 95% interval of the share. Best seed: the best run, which papers on such tasks print for the mean."
)
LEFT = frozenset({"entry", "dataset", "device", "precision", "backend", "settings", "coverage", "on"})
Cells = dict[str, str]


def leaderboard_table(board: pd.DataFrame, name: str = "leaderboard") -> Table:
    """The table of a leaderboard (of `leaderboard`), a section a block.

    Its frame has every column of the leaderboard, and before `mean` the `result` as it is read: "0.951 ± 0.012".
    """
    results = [_value(row) for _, row in board.iterrows()]
    frame = board.copy()
    frame.insert(list(frame.columns).index("mean"), "result", pd.Series(results, index=frame.index, dtype="str"))
    legend = [LEGEND, SOLVED_LEGEND * ("solved" in board), FLOORS_LEGEND * bool(is_floor(board).any())]
    return Table(name, frame, [_section(block) for block in blocks(board)], " ".join(filter(None, legend)), LEFT)


def _section(block: pd.DataFrame) -> Section:
    metric = metric_name(block)
    has_solved = "solved" in block and bool(block["solved"].notna().any())
    rows = [_cells(row, metric, has_solved=has_solved) for _, row in block.iterrows()]
    bold = best_in_bold(list(block["standing"]), ("entry", metric))
    said = remarks(block)
    return Section(title(block), rows, terms(block), said, bold, brief=_brief(block, rows, bold, said))


def _cells(row: pd.Series[Any], metric: str, *, has_solved: bool) -> Cells:
    """A row as texts by heading. has_solved: whether its task can be solved."""
    return {
        "#": text_or(row["rank"], "-"),
        "entry": row["label"],
        "dataset": text_or(row["dataset"], ""),
        metric: marked(_value(row), row["mark"], row["standing"]),
        "n": text_or(row["n"], ""),
        **({"solved": solved_of(row), "best seed": short(row["best_seed"])} if has_solved else {}),
        "floor": short(row["floor"]),
        "score": "" if pd.isna(row["score"]) else f"{row['score']:.3f}",
        "params": count(row["params"]),
        "train s": _timed(row, "train_seconds"),
        "steps/s": _timed(row, "steps_per_second"),
        "device": text_or(row["device"], ""),
        "precision": text_or(row["precision"], ""),
        "backend": text_or(row["backend"], ""),
        "settings": settings(row),
        "coverage": row["coverage"],
    }


def _value(row: pd.Series[Any]) -> str:
    return plus_minus(row["mean"], row["low"], row["high"])


def solved_of(row: pd.Series[Any]) -> str:
    """`7 of 8` runs that solved the task; empty where it is none that can be solved."""
    k = row.get("solved")
    return f"{k} of {row['solved_of']}" if known(k) else ""


def _timed(row: pd.Series[Any], name: str) -> str:
    """A time or speed, marked where most rows of the block ran elsewhere."""
    text = rounded(row[name])
    return f"{text}†" if text and OTHER_MACHINE in row["notes"] else text


def settings(row: pd.Series[Any]) -> str:
    """`default`, `set`, or `tuned (6)`: the best of 6 settings."""
    return f"tuned ({row['trials']})" if row["settings"] == "tuned" else str(row["settings"])


def remarks(block: pd.DataFrame) -> list[str]:
    """One line for each entry with failures, notes or settings of its own: "LSTM: adam, optimizer.lr=0.01; 1 oom".

    What is to be said of every row alike is said once.
    """
    mine = block[~is_floor(block)]
    shared = mine["notes"].iloc[0] if len(mine) > 1 and mine["notes"].nunique() == 1 else ""
    several_optimizers = block.loc[block["settings"] == "default", "training"].nunique() > 1
    lines = []
    for _, row in mine.iterrows():
        told = several_optimizers or row["settings"] != "default"
        training = text_or(row["training"], "") if told else ""
        notes = "" if shared else row["notes"]
        said = [part for part in (training, row["failures"], notes) if part]
        if said:
            lines.append(f"{row['label']}: {'; '.join(said)}")
    return [*lines, f"all: {shared}"] if shared else lines


def _brief(
    block: pd.DataFrame, rows: list[Cells], bold: frozenset[tuple[int, str]], said: list[str]
) -> Section:  # fmt: skip
    """The section for a terminal: short numbers, and on what all rows ran in the heading, where they agree."""
    ran_on = [" ".join(filter(None, (row["device"], row["precision"], row["backend"]))) for row in rows]
    mine = [on for on, floor in zip(ran_on, is_floor(block), strict=True) if not floor]
    alike = len(set(mine)) == 1
    names = ("#", "entry", metric_name(block), "n", "solved", "best seed", "score", "params", "train s", "steps/s")
    kept = [name for name in names if name in rows[0]]
    narrow = []
    for cells, (_, row), on in zip(rows, block.iterrows(), ran_on, strict=True):
        changed = {"entry": _with_settings(cells, row), "params": brief_count(row["params"])}
        brief = {name: changed.get(name, cells[name]) for name in kept}
        narrow.append(brief | ({} if alike else {"on": on}) | {"coverage": cells["coverage"]})
    terms_of_all = dotted(terms(block), f"on {mine[0]}" if alike and mine[0] else "")
    without_result = frozenset(n for n, mean in enumerate(block["mean"]) if pd.isna(mean))
    return Section(title(block), narrow, terms_of_all, said, bold, without_result)


def _with_settings(cells: Cells, row: pd.Series[Any]) -> str:
    """The entry, with its settings where they are not the default ones."""
    return cells["entry"] if row["settings"] in ("default", FLOOR, FITTED) else f"{cells['entry']}, {cells['settings']}"
