"""`rnnbench report`: records to one HTML file that holds everything it needs and asks nobody for anything.

Nothing of a record is ever markup: the data are JSON inside a script element that is never run, with every "<" escaped,
and the page's own code builds text nodes from them. A policy in the page lets the browser run the page's two scripts
and no other, and load nothing from anywhere. The same records give the same bytes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from rnnbench._version import __version__
from rnnbench.reports.page.ablations import ablations
from rnnbench.reports.page.board import board
from rnnbench.reports.page.curves import learning_curves
from rnnbench.reports.page.library import charts_library
from rnnbench.reports.page.origin import coverage_data, provenance
from rnnbench.reports.page.pictures import pictures
from rnnbench.reports.page.searches import searched
from rnnbench.reports.page.source import Data, Source
from rnnbench.store.store import write_atomic
from rnnbench.store.text import json_text

SCRIPTS = (  # in this order
    "base", "charts", "labels", "table", "words", "board", "spark", "pareto", "entry", "curves", "searches",
    "ablations", "frames", "origin", "live", "main",
)  # fmt: skip
NOBODY, ITSELF = "'none'", "'self'"
Stale = Callable[[pd.DataFrame], Sequence[bool]]


def page_data(source: Source, *, stale: Stale | None = None) -> Data:
    """Everything a page shows, as plain values."""
    found = board(source)
    return {
        "title": source.title, "version": __version__, "runs": len(source.frame), "board": found,
        "curves": learning_curves(source, found), "searches": searched(source), "ablations": ablations(source),
        "frames": pictures(source, found), "coverage": coverage_data(source),
        "provenance": provenance(source, stale),
    }  # fmt: skip


def render(data: Data, *, live: str | None = None) -> str:
    """The page of some data as HTML. live: what tells its state from the next, of a page that looks for newer ones."""
    code = application()
    library = charts_library()
    allowed = " ".join(f"'sha256-{_sha256(text)}'" for text in (library, code))
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        f"connect-src {NOBODY if live is None else ITSELF}; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": html.escape(policy, quote=False),
        "TITLE": html.escape(f"{data['title']} · rnnbench"),
        "STYLE": _text("page.css"),
        "DATA": embedded(data | ({} if live is None else {"live": live})),
        "LIBRARY": library,
        "CODE": code,
    }
    pieces = _text("page.html").split("@@")  # text and names in turn
    return "".join(parts[piece] if n % 2 else piece for n, piece in enumerate(pieces))


def write_page(source: Source, path: Path, *, stale: Stale | None = None) -> Path:
    """Write the page of a source, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, render(page_data(source, stale=stale)))
    return path


def embedded(data: Any) -> str:
    """data as JSON that may stand in a script element: no "<" and no line that ends where JavaScript thinks it does."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return json_text(text)  # half a character, a mark of direction and a line's end are escapes, too


@functools.cache
def application() -> str:
    """The page's own code."""
    return "(() => {\n'use strict';\n" + "\n".join(_text(f"{name}.js") for name in SCRIPTS) + "})();\n"


@functools.cache
def _text(name: str) -> str:
    return files("rnnbench.reports.page").joinpath("files", name).read_text(encoding="utf-8")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
