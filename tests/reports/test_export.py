from __future__ import annotations

import io
import json
import re
import subprocess

import pandas as pd
import pytest

from rnnbench.reports.export import (
    FORMATS,
    Section,
    Table,
    latex_escaped,
    to_json,
    to_latex,
    to_markdown,
    to_rich,
    write_table,
)

NASTY = r"a_b & 50% $x$ #1 {c} ~d ^e \f <g> |h| *i* `j` [k] ± ↑ ≈ →"


def table(text=NASTY):
    frame = pd.DataFrame(
        {"label": [text, None], "mean": [0.123456789, float("nan")], "n": pd.array([3, None], "Int64")}
    )
    rows = [{"entry": text, "mean ↑": "0.123"}, {"entry": "b", "mean ↑": ""}]
    section = Section("digits", rows, "terms", ["one remark"], frozenset({(0, "entry")}))
    return Table("made_up", frame, [section], "A legend.", frozenset({"entry"}))


def test_every_format_is_written_whole_and_the_same_each_time(tmp_path):
    paths = write_table(table(), tmp_path / "new")
    assert [path.suffix[1:] for path in paths] == list(FORMATS)
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_table(table(), tmp_path / "new")] == before


def test_csv_parquet_and_json_hold_the_same_rows(tmp_path):
    write_table(table("x"), tmp_path)
    csv = pd.read_csv(tmp_path / "made_up.csv")
    parquet = pd.read_parquet(tmp_path / "made_up.parquet")
    whole = json.loads((tmp_path / "made_up.json").read_text())
    assert csv["mean"][0] == pytest.approx(0.123457)
    assert parquet["mean"][0] == 0.123456789
    assert whole["rows"] == [{"label": "x", "mean": 0.123456789, "n": 3}, {"label": None, "mean": None, "n": None}]
    assert whole["remarks"] == ["digits: one remark"]


def test_json_has_no_infinity():
    odd = Table("t", pd.DataFrame({"x": [float("inf")]}), [], "")
    assert json.loads(to_json(odd))["rows"] == [{"x": None}]


def test_markdown_has_as_many_columns_in_every_row():
    lines = [line for line in to_markdown(table()).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}
    assert lines[2].startswith("| **a_b")
    assert "- one remark" in to_markdown(table())


def test_latex_is_booktabs_and_escapes_everything():
    text = to_latex(table())
    assert [text.count(word) for word in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert r"\begin{tabular}{lr}" in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    assert r"a\_b \& 50\% \$x\$ \#1 \{c\}" in body
    assert all(line.count(" & ") == 1 for line in body.splitlines() if line.endswith(r"\\"))
    assert not re.search(r"(?<!\\)[%#]", body)


def test_every_printable_ascii_character_is_latex():
    special = set('\\&%$#_{}~^<>|"[]')
    for letter in map(chr, range(32, 127)):
        assert (latex_escaped(f"a{letter}b") == f"a{letter}b") == (letter not in special)


def test_latex_compiles_where_there_is_one(tmp_path):
    source = r"\documentclass{article}\usepackage{booktabs}\usepackage[T1]{fontenc}\begin{document}"
    (tmp_path / "t.tex").write_text(source + to_latex(table()) + r"\end{document}")
    try:
        done = subprocess.run(["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no pdflatex here")
    assert done.returncode == 0, done.stdout


def test_without_rows_every_format_says_so():
    empty = Table("t", pd.DataFrame({"x": pd.Series([], dtype="str")}), [], "legend", empty="Nothing.")
    assert to_markdown(empty) == "Nothing.\n"
    assert "Nothing." in to_latex(empty)
    assert json.loads(to_json(empty))["rows"] == []


def test_the_terminal_shows_markup_as_it_is():
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=200).print(to_rich(table("[bold]x[/bold]")))
    assert "[bold]x[/bold]" in out.getvalue()
