"""The leaderboard for people: Markdown, terminal and files. Formats what `leaderboard` computed and adds nothing."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from rnnbench.reports.boards.leaderboard import OTHER_MACHINE
from rnnbench.reports.selection.blocks import _or, blocks, metric_name, terms, title
from rnnbench.reports.tables.numbers import brief_count, count, plus_minus, rounded, short
from rnnbench.reports.tables.table import Section
from rnnbench.reports.tables.table import Table as Exported
from rnnbench.store.store import write_atomic

if TYPE_CHECKING:
    from rich.table import Table

EMPTY = "No finished runs yet."
LEGEND = (
    "Mean over seeds ± half of its 95% interval, on test. Bold: that interval is apart from all others. "
    "≈: it overlaps the leader's, their order is open. n<3: too few seeds for an interval. "
    "Score: 0 at the floor, 1 at the target. Coverage: runs with a result, of all. "
    "Tuned (k): the best of k settings on validation; set: given by hand; otherwise the default ones. "
    "Times compare only under one device, precision and backend."
)


def remarks(block: pd.DataFrame) -> list[str]:
    """One line for each row with failures, notes or settings of its own: "LSTM: adam, optimizer.lr=0.01; 1 oom".

    What is to be said of every row alike is said once.
    """
    lines = []
    shared = block["notes"].iloc[0] if len(block) > 1 and block["notes"].nunique() == 1 else ""
    differ = block.loc[block["settings"] == "default", "training"].nunique() > 1  # several optimizers
    for _, row in block.iterrows():
        training = _or(row["training"], "") if differ or row["settings"] != "default" else ""
        if text := "; ".join(part for part in (training, row["failures"], row["notes"] if not shared else "") if part):
            lines.append(f"{row['label']}: {text}")
    return [*lines, *([f"all: {shared}"] if shared else [])]


def result(row: pd.Series[Any]) -> str:
    """The main number of a row with its spread and mark; a dash where no run has one."""
    text = plus_minus(row["mean"], row["low"], row["high"]) or "-"
    return text + (f" ({row['mark']})" if row["mark"] else "") + (" ≈" if row["standing"] == "tied" else "")


def settings(row: pd.Series[Any]) -> str:
    """`default`, `set`, or `tuned (6)`: the best of 6 settings."""
    return f"tuned ({row['trials']})" if row["settings"] == "tuned" else str(row["settings"])


def _cells(row: pd.Series[Any], metric: str) -> dict[str, str]:
    """A row as texts by column heading, in the order of the Markdown table."""
    return {
        "#": _or(row["rank"], "-"),
        "entry": row["label"],
        "dataset": _or(row["dataset"], ""),
        metric: result(row),
        "n": str(row["n"]),
        "floor": short(row["floor"]),
        "score": f"{row['score']:.3f}" if not pd.isna(row["score"]) else "",
        "params": count(row["params"]),
        "train s": _timed(row, "train_seconds"),
        "steps/s": _timed(row, "steps_per_second"),
        "device": _or(row["device"], ""),
        "precision": _or(row["precision"], ""),
        "backend": _or(row["backend"], ""),
        "settings": settings(row),
        "coverage": row["coverage"],
    }


def _timed(row: pd.Series[Any], name: str) -> str:
    """A time or speed, marked where most rows of the block ran elsewhere."""
    text = rounded(row[name])
    return text + "†" * bool(text and OTHER_MACHINE in row["notes"])


LEFT = ("entry", "dataset", "device", "precision", "backend", "settings", "coverage")


def as_table(table: pd.DataFrame) -> Exported:
    """A leaderboard as `export` prints it: every column for programs, a section a block for people."""
    sections = []
    for block in blocks(table):
        metric = metric_name(block)
        rows = [_cells(row, metric) for _, row in block.iterrows()]
        best = [n for n, standing in enumerate(block["standing"]) if standing == "best"]
        bold = frozenset((n, name) for n in best for name in ("entry", metric))
        sections.append(Section(title(block), rows, terms(block), remarks(block), bold))
    return Exported("leaderboard", table, sections, LEGEND, frozenset(LEFT), EMPTY)


def to_markdown(table: pd.DataFrame) -> str:
    """A leaderboard as Markdown: one section and table for each dataset, protocol and budget, then a legend."""
    if table.empty:
        return EMPTY + "\n"
    sections = []
    for block in blocks(table):
        metric = metric_name(block)
        rows = [_cells(row, metric) for _, row in block.iterrows()]
        lines = [f"## {title(block)}", "", _escaped(terms(block)), "", "| " + " | ".join(rows[0]) + " |"]
        lines.append("|" + "|".join("---" if name in LEFT else "--:" for name in rows[0]) + "|")
        for cells, standing in zip(rows, block["standing"], strict=True):
            texts = {name: _escaped(text) for name, text in cells.items()}
            if standing == "best":
                texts |= {name: f"**{texts[name]}**" for name in ("entry", metric)}
            lines.append("| " + " | ".join(texts.values()) + " |")
        said = [f"- {_escaped(line)}" for line in remarks(block)]
        sections.append("\n".join([*lines, *([""] if said else []), *said]))
    return "\n\n".join([*sections, LEGEND]) + "\n"


def _escaped(text: str) -> str:
    """text without what Markdown would read as markup: table bars, emphasis, code, HTML tags."""
    return re.sub(r"[\\|*`]|<(?=[A-Za-z/!])", r"\\\g<0>", text)


def to_rich(table: pd.DataFrame) -> Table:
    """A leaderboard for a terminal of 100 columns or more: one table a block, what its rows share in the heading."""
    from rich.table import Table
    from rich.text import Text

    outer = Table.grid(expand=False)
    outer.add_column()
    if table.empty:
        outer.add_row(Text(EMPTY))
        return outer
    for block in blocks(table):
        inner, shared = _rich_block(block)
        outer.add_row(Text(title(block), style="bold"))
        outer.add_row(Text(" · ".join([terms(block), *shared]), style="dim"))
        outer.add_row(inner)
        for line in remarks(block):
            outer.add_row(Text("  " + line, style="yellow"))
        outer.add_row("")
    outer.add_row(Text(LEGEND, style="dim"))
    return outer


def _rich_block(block: pd.DataFrame) -> tuple[Table, list[str]]:
    """One block's table, and on what all rows ran where they agree: that needs no column then."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    metric = metric_name(block)
    rows = [_rich_cells(row, metric) for _, row in block.iterrows()]
    shared = rows[0]["on"] if len({cells["on"] for cells in rows}) == 1 else ""
    names = [name for name in rows[0] if name != "on" or not shared]
    inner = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    widths = {"entry": 14, "on": 8, "coverage": 9}  # these wrap, down to so many columns
    for name in names:
        justify: Literal["left", "right"] = "left" if name in widths else "right"
        inner.add_column(name, justify=justify, no_wrap=name not in widths, overflow="fold", min_width=widths.get(name))
    for cells, (_, row) in zip(rows, block.iterrows(), strict=True):
        style = "bold" if row["standing"] == "best" else "dim" if pd.isna(row["rank"]) else ""
        inner.add_row(*(Text(cells[name]) for name in names), style=style)
    return inner, [f"on {shared}"] if shared else []


def _rich_cells(row: pd.Series[Any], metric: str) -> dict[str, str]:
    """A row as texts for a terminal: short numbers, and what belongs together in one column."""
    cells = _cells(row, metric)
    tuned = f", {cells['settings']}" if row["settings"] != "default" else ""
    on = " ".join(filter(None, (cells["device"], cells["precision"], cells["backend"])))
    kept = ("#", "entry", metric, "n", "score", "params", "train s", "steps/s")
    changed = {"entry": cells["entry"] + tuned, "params": brief_count(row["params"])}
    return {name: changed.get(name, cells[name]) for name in kept} | {"on": on, "coverage": cells["coverage"]}


def write(table: pd.DataFrame, folder: str | Path, name: str = "leaderboard", *, parquet: bool = True) -> list[Path]:
    """Write a leaderboard as `name`.csv, .md and .parquet into folder, each whole or not at all; returns the paths.

    The same records give the same bytes. The CSV has every column of the table, floats to 6 significant digits, and
    `result` ("0.951 ± 0.012"); the Parquet file has every digit, and is left out where parquet is False (its bytes
    depend on pyarrow's version).
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    flat = table.copy()
    results = [plus_minus(row["mean"], row["low"], row["high"]) for _, row in table.iterrows()]
    flat.insert(list(flat.columns).index("mean"), "result", pd.Series(results, index=flat.index, dtype="str"))
    contents: dict[str, str | bytes] = {
        "csv": flat.to_csv(index=False, float_format="%.6g", lineterminator="\n"),
        "md": to_markdown(table),
    }
    if parquet:
        buffer = io.BytesIO()
        table.to_parquet(buffer, index=False)
        contents["parquet"] = buffer.getvalue()
    paths = [folder / f"{name}.{ending}" for ending in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_atomic(path, content)
    return paths
