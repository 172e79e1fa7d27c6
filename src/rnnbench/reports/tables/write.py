"""A table as files: CSV, Markdown, LaTeX, Parquet and JSON. Formats, and adds nothing."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench.reports.tables.frames import frame_to_csv
from rnnbench.reports.tables.markdown import to_markdown
from rnnbench.reports.tables.table import Table
from rnnbench.store.store import write_atomic
from rnnbench.store.text import json_text

FORMATS = ("csv", "md", "tex", "parquet", "json")


def to_csv(table: Table) -> str:
    """Every column of the frame, floats to 6 significant digits."""
    return frame_to_csv(table.frame)


def to_json(table: Table) -> str:
    """{name, legend, remarks, rows}: rows as objects with every column, null where nothing is known."""
    return _dumped(_object(table))


def all_to_json(tables: Iterable[Table]) -> str:
    """One object: every table, as `to_json` has it, by its name."""
    return _dumped({table.name: _object(table) for table in tables})


def _object(table: Table) -> dict[str, Any]:
    rows = [{str(key): _plain(value) for key, value in row.items()} for row in table.frame.to_dict("records")]
    remarks = [f"{section.title}: {line}" for section in table.sections for line in section.remarks]
    return {"name": table.name, "legend": table.legend, "remarks": remarks, "rows": rows}


def _dumped(whole: Mapping[str, object]) -> str:
    return json_text(json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"


def _plain(value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    if isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value.item() if hasattr(value, "item") else str(value)


def to_parquet(table: Table) -> bytes:
    """The frame with its types and every digit. Equal bytes under one version of pyarrow."""
    buffer = io.BytesIO()
    table.frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def to_latex(table: Table) -> str:
    """As in `latex.py`."""
    from rnnbench.reports.tables.latex import to_latex as written

    return written(table)


WRITERS: dict[str, Callable[[Table], str | bytes]] = {
    "csv": to_csv, "md": to_markdown, "tex": to_latex, "parquet": to_parquet, "json": to_json,
}  # fmt: skip


def write_table(table: Table, folder: Path, formats: Iterable[str] = FORMATS) -> list[Path]:
    """Write name.csv, .md, .tex, .parquet and .json into folder, each whole or not at all; returns the paths.

    The same records give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for ending in formats:
        path = folder / f"{table.name}.{ending}"
        write_atomic(path, WRITERS[ending](table))
        paths.append(path)
    return paths
