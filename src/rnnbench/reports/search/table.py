"""A search for people: Markdown and CSV. Formats what was computed and adds nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from rnnbench.reports.search.result import SearchResult, finals_of, front, in_words
from rnnbench.reports.statistics.means import mean_ci
from rnnbench.reports.tables.frames import frame_to_csv
from rnnbench.reports.tables.markdown import code, escaped, table_lines
from rnnbench.reports.tables.numbers import known, p_text, plus_minus, short, with_arrow, with_ends
from rnnbench.reports.tables.table import without_empty
from rnnbench.reports.tables.terminal import rows_to_rich
from rnnbench.store.store import write_atomic

if TYPE_CHECKING:
    from rich.console import Group

FILES = ("search.md", "search_trials.csv", "search_studies.csv", "search_importance.csv")
FIGURES = ("search.png", "search_space.png")


def study_cells(result: SearchResult) -> list[dict[str, str]]:
    """The rows of the main table as texts by heading; headings that would be empty in every row are left out."""
    best_val = with_arrow(f"best val/{result.metric}", result.goal)
    share = f"best {100 * float(result.rules['top']):g}%"
    rows = []
    for _, row in result.studies.iterrows():
        rows.append({
            "study": row["label"],
            "trials": f"{row['trials']}" + (f" ({row['failures']})" if row["failures"] else ""),
            best_val: short(row["best_val"]),
            "of": row["values"],
            f"{share}, n": str(row["top_n"]),
            f"{share}, val": short(row["top_val"]),
            f"{share}, test": short(row["top_test"]),
            "to the baseline [95% CI]": with_ends(row["difference"], row["low"], row["high"]),
            "p": p_text(row["p"]),
            "verdict": row["verdict"],
            "winner on fresh seeds, test": _final(row),
        })  # fmt: skip
    return without_empty(rows)


def _final(row: pd.Series[Any]) -> str:
    if not row["finals"]:
        return ""
    return f"{plus_minus(row['final_test'], row['final_low'], row['final_high'])} (n={row['finals']})"


def front_cells(result: SearchResult) -> list[dict[str, str]]:
    """Of several objectives: a row for every trial that none beats in all of them."""
    if len(result.rules["objectives"]) < 2:
        return []
    labels = {study["key"]: study["label"] for study in result.rules["studies"]}
    rows = []
    for _, row in front(result).iterrows():
        mean, low, high = mean_ci(finals_of(result.trials, row["study"], row["number"])["test"].dropna())
        rows.append({
            "study": labels[row["study"]], "trial": str(row["number"]), f"val/{result.metric}": short(row["val"]),
            **{each: short(row[each]) for each in result.rules["objectives"] if each != "metric"},
            "on fresh seeds, test": plus_minus(mean, low, high), "of": in_words(row, result.rules),
        })  # fmt: skip
    return rows


def importance_cells(importance: pd.DataFrame) -> list[dict[str, str]]:
    """The importance table: a row a study, a column an option."""
    rows = []
    for label, part in importance.groupby("label", sort=False):
        shares = {
            row["key"]: f"{row['importance']:.2f}" if known(row["importance"]) else "" for _, row in part.iterrows()
        }
        note = part["note"].iloc[0]
        rows.append({"study": str(label), "trials": str(part["trials"].iloc[0]), **shares, "note": note})
    names = list(dict.fromkeys(name for row in rows for name in row if name != "note"))
    names += ["note"] * any(row["note"] for row in rows)
    return [{name: row.get(name, "") for name in names} for row in rows]


def to_markdown(result: SearchResult, importance: pd.DataFrame, figures: Iterable[str] = ()) -> str:
    """The page of a search."""
    rules, cells = result.rules, front_cells(result)
    objectives = f", objectives {escaped(', '.join(rules['objectives']))}" if len(rules["objectives"]) > 1 else ""
    pruner = "" if rules["pruner"] == "none" else f", pruner {escaped(str(rules['pruner']))}"
    lines = [
        f"# Search: {escaped(result.name)}",
        "",
        f"{len(rules['studies'])} studies of {rules['trials_each']} trials, sampler {escaped(str(rules['sampler']))}, "
        f"seed {rules['seed']}{objectives}{pruner}.",
        "",
        *_table(study_cells(result)),
        "",
        *(f"- {escaped(sentence)}" for sentence in result.sentences),
        "",
        *(["## The front: no other trial is better in every objective", "", *_table(cells), ""] if cells else []),
        "## The space",
        "",
        *(f"- {code('='.join((dimension['key'], dimension['text'])))}" for dimension in rules["space"]),
        "",
        f"## Importance (fANOVA) for val/{escaped(str(result.metric))}",
        "",
        *_table(importance_cells(importance)),
        "",
        "Shares of the variance of a random forest fitted to the trials that ended ok; of some 40 trials, "
        "another seed of the forest moves a share by up to about 0.05.",
        *(f"\n![{name}]({name})" for name in figures),
    ]
    return "\n".join(lines) + "\n"


LEFT = frozenset({"study", "of", "verdict", "note"})


def _table(rows: list[dict[str, str]]) -> list[str]:
    return table_lines(_dashed(rows), LEFT)


def _dashed(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: text or "-" for name, text in row.items()} for row in rows]


def write_search(
    result: SearchResult, importance: pd.DataFrame, folder: Path, figures: Iterable[str] = ()
) -> list[Path]:
    """Write search.md and the CSVs, each whole or not at all; the same records give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rounded = importance.assign(importance=importance["importance"].round(3))
    frames = (result.trials, result.studies, rounded)
    contents = [to_markdown(result, importance, figures), *map(frame_to_csv, frames)]
    paths = [folder / name for name in FILES]
    for path, content in zip(paths, contents, strict=True):
        write_atomic(path, content)
    return paths


def to_rich(result: SearchResult, importance: pd.DataFrame, files: Iterable[Path]) -> Group:
    """The same for a terminal."""
    from rich.console import Group
    from rich.text import Text

    tables = {result.name: study_cells(result)}
    if cells := front_cells(result):
        tables["the front: no other trial is better in every objective"] = cells
    tables["importance (fANOVA)"] = importance_cells(importance)
    parts: list[Any] = []
    for title, rows in tables.items():
        shown = [{name: text for name, text in row.items() if name != "of"} for row in rows]  # it fills a terminal
        parts += [Text(title, style="bold"), rows_to_rich(_dashed(shown), LEFT), ""]
    parts += [Text(sentence) for sentence in result.sentences]
    return Group(*parts, Text("written: " + ", ".join(map(str, files)), style="dim"))
