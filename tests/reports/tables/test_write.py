from __future__ import annotations

import io
import json
import re
import subprocess

import pandas as pd
import pytest

from rnnbench.reports.tables.latex import escaped as latex_escaped
from rnnbench.reports.tables.latex import layout, number, to_latex
from rnnbench.reports.tables.markdown import bold_parts, table_lines, to_markdown
from rnnbench.reports.tables.table import Section, Table, without_empty
from rnnbench.reports.tables.terminal import marked_text, to_rich
from rnnbench.reports.tables.write import FORMATS, all_to_json, to_json, write_table

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


def test_several_tables_are_one_json_object_by_name():
    assert json.loads(all_to_json([table("x")])) == {"made_up": json.loads(to_json(table("x")))}


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
    special = set('\\&%$#_{}~^<>|"[]*')
    for letter in map(chr, range(32, 127)):
        assert (latex_escaped(f"a{letter}b") == f"a{letter}b") == (letter not in special)


def test_a_latex_caption_is_the_title_and_the_rest_are_notes_below():
    text = to_latex(table("x"))
    assert r"\caption{digits}" in text
    notes = text[text.index(r"\end{tabular}") :]
    assert notes.index(r"\footnotesize") < notes.index("terms\n\none remark\n\nA legend.") < notes.index(r"\end{table}")


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("(9.11 ± 5.62)e-4", r"$(9.11 \pm 5.62)\times10^{-4}$"),
        ("(-9.11 ± 5.62)e7 ≈", r"$(-9.11 \pm 5.62)\times10^{7}$ $\approx$"),
        ("0.97988 ± 0.00493", r"$0.97988 \pm 0.00493$"),
        ("15,321 ± 1,234", r"$15{,}321 \pm 1{,}234$"),
        ("5.3e-05", r"$5.3\times10^{-5}$"),
        ("-0.5", "$-0.5$"),
        ("-0.02 [-0.06, 0.01]", r"$-0.02$ {[}$-0.06$, 0.01{]}"),
        ("-7.4e-03 [0, 1e+04]", r"$-7.4\times10^{-3}$ {[}0, $1\times10^{4}$]".replace("$]", "${]}")),
        ("[-3, 4]", r"{[}$-3$, 4{]}"),
        ("0.41", "0.41"),
        ("1,953", "1,953"),
        ("×1.66", r"$\times$1.66"),
        ("0 -> 3", r"0 $\rightarrow$ 3"),
        ("2026-11-01", "2026-11-01"),
        ("a-5 x1e5 3e5z 1.2.3e-4", "a-5 x1e5 3e5z 1.2.3e-4"),
        ("-", "-"),
        ("", ""),
    ],
)
def test_numbers_are_mathematics_in_latex(cell, written):
    assert number(cell) == written


def test_only_columns_of_numbers_are_mathematics():
    text = to_latex(table("lr=5e-05 -3"))
    assert "lr=5e-05 -3" in text


def test_what_stands_out_is_bold_also_where_it_is_mathematics():
    section = Section("t", [{"mean": "0.5 ± 0.1"}], bold=frozenset({(0, "mean")}))
    text = to_latex(Table("t", pd.DataFrame(), [section], ""))
    assert r"{\boldmath\textbf{$0.5 \pm 0.1$}} \\" in text


def wide(n):
    row = {"entry": "ConvLSTM +peephole(hadamard,detach) h=16", "notes": "parameters twice as many; another backend"}
    return Section("t", [row | {f"number {k}": "0.1234 ± 0.0012" for k in range(n)}])


def test_columns_of_texts_fold_so_that_a_wide_table_fits_a_page():
    left = frozenset({"entry", "notes"})
    assert layout(wide(0), left).size == ""
    shape = layout(wide(2), left)
    assert (shape.environment, set(shape.widths)) == ("table", left)
    assert sum(shape.widths.values()) < 0.6
    assert layout(wide(3), left).size in (r"\small", r"\footnotesize", r"\scriptsize")
    sideways = to_latex(Table("t", pd.DataFrame(), [wide(6)], "", left))
    assert sideways.count("{sidewaystable}") == 2
    assert r"\usepackage{rotating}" in sideways
    text = to_latex(Table("t", pd.DataFrame(), [wide(2)], "", left))
    assert re.search(r"\{tabular\}\{>\{\\raggedright\\arraybackslash\}p\{0\.\d\d\\textwidth\}", text)
    assert r"+peephole\allowbreak{}(hadamard,\allowbreak{}detach) h=16" in text


def test_latex_compiles_where_there_is_one(tmp_path):
    source = r"\documentclass{article}\usepackage{array,booktabs,rotating}\begin{document}"
    tables = [table(), Table("w", pd.DataFrame(), [wide(n) for n in range(7)], NASTY, frozenset({"entry", "notes"}))]
    (tmp_path / "t.tex").write_text(source + "".join(map(to_latex, tables)) + r"\end{document}")
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


def printed(shown, width=120):
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width).print(to_rich(shown))
    return out.getvalue()


@pytest.mark.parametrize("width", [90, 100, 120])
def test_the_terminal_breaks_no_word_where_another_column_can_give_way(width):
    row = {
        "value": "bidirectional",
        "dataset": "moving_digits · small",
        "entry": "ConvLSTM x2 +peephole(hadamard,start=normal) h=16 [forecast.patch=4] of 300,000 params",
        "gain": "0.836 [0.372, 1.24]",
        "notes": "parameters ×1.66; 2 seeds without a pair",
    }
    text = printed(Table("t", pd.DataFrame(), [Section("t", [row])], "", frozenset(row) - {"gain"}), width)
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    for word in ("bidirectional", "moving_digits", "+peephole", "(hadamard,", "normal)", "300,000", "parameters"):
        assert word in text
    assert "0.836 [0.372, 1.24]" in text


def test_the_terminal_shows_every_letter_also_where_words_do_not_fit():
    row = {"a": "x" * 30, "b": "y" * 30, "n": "1" * 30}
    text = printed(Table("t", pd.DataFrame(), [Section("t", [row])], "", frozenset("ab")), 60)
    assert [text.count(letter) for letter in "xy1"] == [30, 30, 30]


def test_a_terminal_shows_the_brief_form_of_a_section_and_files_the_whole():
    brief = Section("short", [{"entry": "b"}], faint=frozenset({0}))
    section = Section("long", [{"entry": "b", "detail": "x"}], brief=brief)
    made = Table("t", pd.DataFrame(), [section], "", frozenset({"entry"}))
    assert "short" in printed(made)
    assert "detail" not in printed(made)
    assert "| entry | detail |" in to_markdown(made)


def test_columns_that_are_empty_in_every_row_may_go():
    rows = [{"a": "", "b": "", "c": "1"}, {"a": "", "b": "", "c": ""}]
    assert without_empty(rows) == [{"c": "1"}, {"c": ""}]
    assert without_empty(rows, ("a", "c")) == [{"b": "", "c": "1"}, {"b": "", "c": ""}]
    assert without_empty([]) == []


def test_rows_alone_are_lines_of_markdown():
    assert table_lines([{"a": "x|y", "n": "1"}], {"a"}) == ["| a | n |", "|---|--:|", "| x\\|y | 1 |"]
    assert table_lines([], {"a"}) == []


def test_the_bold_of_markdown_is_bold_in_a_terminal():
    assert bold_parts("is **so** and **so**") == [("is ", False), ("so", True), (" and ", False), ("so", True)]
    text = marked_text("is **so**")
    assert text.plain == "is so"
    assert [(span.start, span.end, span.style) for span in text.spans] == [(3, 5, "bold")]


def test_headings_of_numbers_fold_where_texts_cannot_give_enough():
    row = {"study": "LSTM", **{f"best {n}%, on validation": "0.1234" for n in range(10, 50, 10)}}
    text = printed(Table("t", pd.DataFrame(), [Section("t", [row])], "", frozenset({"study"})), 60)
    assert all(len(line.rstrip()) <= 60 for line in text.splitlines())
    assert text.count("0.1234") == 4
    assert text.count("validation") == 4
